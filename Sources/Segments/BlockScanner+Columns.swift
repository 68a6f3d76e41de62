// Columns of an open block: decoded when first asked for, once.

import EventStoreCore

extension BlockScanner {
    package func block(_ index: Int) -> ScannedBlock {
        let block = blockState(index).pointee
        return ScannedBlock(
            rows: block.rows, minTime: block.minTime, maxTime: block.maxTime, shapes: block.shapes,
            shapesInOrder: block.flags.contains(.shapesInOrder), columns: block.keys)
    }

    /// Milliseconds of every row.
    package func timestamps(_ index: Int) throws(Fault) -> UnsafePointer<Int64> {
        let block = blockState(index)
        if let known = block.pointee.times { return known }
        let target = arena.take(block.pointee.rows, of: Int64.self)
        try readTimestamps(index, into: target)
        block.pointee.times = UnsafePointer(target)
        return UnsafePointer(target)
    }

    /// Shape of every row, an index of the block's shapes.
    package func shapeCodes(_ index: Int) throws(Fault) -> UnsafePointer<UInt32> {
        let block = blockState(index)
        if let known = block.pointee.shapeCodes { return known }
        do throws(Fault) {
            let target = arena.take(block.pointee.rows, of: UInt32.self)
            if block.pointee.flags.contains(.shapesInOrder) {
                var row = 0
                for code in block.pointee.shapes.indices {
                    let rows = block.pointee.shapes[code].rows
                    (target + row).update(repeating: UInt32(truncatingIfNeeded: code), count: rows)
                    row += rows
                }
            } else {
                try readShapeCodes(block, index, into: target)
            }
            block.pointee.shapeCodes = UnsafePointer(target)
            return UnsafePointer(target)
        } catch { throw located(error, index) }
    }

    private func readShapeCodes(
        _ block: UnsafeMutablePointer<BlockState>, _ index: Int, into target: UnsafeMutablePointer<UInt32>
    ) throws(Fault) {
        let rows = block.pointee.rows
        let shapes = block.pointee.shapes
        var reader = block.pointee.reader(at: block.pointee.shape.descriptor)
        let form = try reader.u8()
        let layout = try CodeCodec.parse(form: form, &reader, count: rows, bound: shapes.count)
        try CodeCodec.decode(
            layout, payload: try payload(block.pointee.shape.place, block, index), count: rows, into: target)
        // The counts of the directory decide how long columns are: codes must agree with them.
        let counts = arena.take(shapes.count, of: Int.self)
        counts.update(repeating: 0, count: shapes.count)
        for row in 0..<rows { counts[Int(target[row])] += 1 }
        for code in shapes.indices where counts[code] != shapes[code].rows {
            throw Fault(.damaged, "shape codes do not add up")
        }
    }

    /// Absolute sequence of every row.
    package func sequences(_ index: Int) throws(Fault) -> UnsafePointer<UInt64> {
        let block = blockState(index)
        if let known = block.pointee.sequences { return known }
        let target = arena.take(block.pointee.rows, of: UInt64.self)
        try readSequences(index, into: target)
        block.pointee.sequences = UnsafePointer(target)
        return UnsafePointer(target)
    }

    /// Milliseconds of arrival of every row.
    package func received(_ index: Int) throws(Fault) -> UnsafePointer<Int64> {
        let block = blockState(index)
        if let known = block.pointee.receivedTimes { return known }
        let target = arena.take(block.pointee.rows, of: Int64.self)
        try readReceived(index, into: target)
        block.pointee.receivedTimes = UnsafePointer(target)
        return UnsafePointer(target)
    }

    package func ids(_ index: Int) throws(Fault) -> UnsafePointer<EventID> {
        let block = blockState(index)
        if let known = block.pointee.ids { return known }
        let target = arena.take(block.pointee.rows, of: EventID.self)
        try readIDs(index, into: target)
        block.pointee.ids = UnsafePointer(target)
        return UnsafePointer(target)
    }

    // MARK: Fixed columns into the caller's memory

    /// As `timestamps`, into memory of the caller for all rows of the block.
    package func readTimestamps(_ index: Int, into target: UnsafeMutablePointer<Int64>) throws(Fault) {
        let block = blockState(index)
        do throws(Fault) {
            var reader = block.pointee.reader(at: block.pointee.time.descriptor)
            var layout = try IntegerCodec.parse(&reader, count: block.pointee.rows)
            layout.base &+= segment?.partitionStart ?? 0
            try IntegerCodec.decode(
                layout, payload: try payload(block.pointee.time.place, block, index), count: block.pointee.rows,
                into: target)
        } catch { throw located(error, index) }
    }

    /// As `sequences`, into memory of the caller for all rows of the block.
    package func readSequences(_ index: Int, into target: UnsafeMutablePointer<UInt64>) throws(Fault) {
        let block = blockState(index)
        do throws(Fault) {
            var reader = block.pointee.reader(at: block.pointee.sequence.descriptor)
            var layout = try IntegerCodec.parse(&reader, count: block.pointee.rows)
            layout.base &+= Int64(bitPattern: segment?.sequenceBase ?? 0)
            let payload = try payload(block.pointee.sequence.place, block, index)
            try target.withMemoryRebound(to: Int64.self, capacity: block.pointee.rows) { integers throws(Fault) in
                try IntegerCodec.decode(layout, payload: payload, count: block.pointee.rows, into: integers)
            }
        } catch { throw located(error, index) }
    }

    /// As `received`, into memory of the caller for all rows of the block.
    package func readReceived(_ index: Int, into target: UnsafeMutablePointer<Int64>) throws(Fault) {
        let block = blockState(index)
        do throws(Fault) {
            var reader = block.pointee.reader(at: block.pointee.received.descriptor)
            var layout = try NumberCodec.parse(&reader, kind: .integer, count: block.pointee.rows)
            layout.stream.base &+= segment?.partitionStart ?? 0
            try NumberCodec.decodeIntegers(
                layout, payload: try payload(block.pointee.received.place, block, index), arena: arena, into: target)
        } catch { throw located(error, index) }
    }

    /// As `ids`, into memory of the caller for all rows of the block.
    package func readIDs(_ index: Int, into target: UnsafeMutablePointer<EventID>) throws(Fault) {
        let block = blockState(index)
        do throws(Fault) {
            var reader = block.pointee.reader(at: block.pointee.id.descriptor)
            let layout = try IDCodec.parse(&reader, count: block.pointee.rows)
            try IDCodec.decode(
                layout, payload: try payload(block.pointee.id.place, block, index), count: block.pointee.rows,
                arena: arena, into: target)
        } catch { throw located(error, index) }
    }

    // MARK: Attributes

    /// The column of an attribute and kind, or nil when no row of the block has it.
    package func column(_ index: Int, _ key: ColumnKey) throws(Fault) -> BlockColumn? {
        guard let number = blockState(index).pointee.index(of: key) else { return nil }
        return try column(index, at: number)
    }

    /// The n-th column of the block.
    package func column(_ index: Int, at number: Int) throws(Fault) -> BlockColumn {
        let block = blockState(index)
        let slot = block.pointee.columns[number]
        if let known = slot.decoded { return known.pointee }
        do throws(Fault) {
            let column = BlockColumn(
                values: try decode(slot, block, index), count: Int(slot.count),
                dense: try dense(number, block, index))
            let place = arena.take(1, of: BlockColumn.self)
            place.initialize(to: column)
            block.pointee.columns[number].decoded = UnsafePointer(place)
            return column
        } catch { throw located(error, index) }
    }

    /// The values of the n-th column, decoded anew: for who goes by the runs of a block whose shapes are in order, and
    /// so needs no table of its rows.
    package func values(_ index: Int, at number: Int) throws(Fault) -> BlockColumn.Values {
        let block = blockState(index)
        do throws(Fault) {
            return try decode(block.pointee.columns[number], block, index)
        } catch { throw located(error, index) }
    }

    private func decode(
        _ slot: ColumnSlot, _ block: UnsafeMutablePointer<BlockState>, _ index: Int
    ) throws(Fault) -> BlockColumn.Values {
        let payload = try payload(slot.place, block, index)
        var reader = block.pointee.reader(at: Int(slot.descriptor))
        let count = Int(slot.count)
        switch slot.key.kind {
        case .string, .json:
            let layout = try StringCodec.parse(&reader, count: count)
            let vocabulary = layout.usesVocabulary ? try vocabularyColumn(slot.key.attribute) : nil
            return .strings(try StringCodec.decode(layout, payload: payload, vocabulary: vocabulary, arena: arena))
        case .double:
            let layout = try NumberCodec.parse(&reader, kind: .double, count: count)
            let target = arena.take(count, of: Double.self)
            try NumberCodec.decodeDoubles(layout, payload: payload, arena: arena, into: target)
            return .doubles(UnsafePointer(target))
        case .integer:
            let layout = try NumberCodec.parse(&reader, kind: .integer, count: count)
            let target = arena.take(count, of: Int64.self)
            try NumberCodec.decodeIntegers(layout, payload: payload, arena: arena, into: target)
            return .integers(UnsafePointer(target))
        case .bool:
            let layout = try BoolCodec.parse(&reader, count: count)
            return .bools(try BoolCodec.decode(layout, payload: payload, count: count, arena: arena))
        }
    }

    private func dense(
        _ number: Int, _ block: UnsafeMutablePointer<BlockState>, _ index: Int
    ) throws(Fault) -> UnsafePointer<Int32>? {
        let rows = block.pointee.rows
        if Int(block.pointee.columns[number].count) == rows { return nil }
        let shapes = block.pointee.shapes
        let target = arena.take(rows, of: Int32.self)
        var present: Int32 = 0
        if block.pointee.flags.contains(.shapesInOrder) {
            var row = 0
            for code in shapes.indices {
                let count = shapes[code].rows
                let place = target + row
                row += count
                if !shapes[code].places.contains(number) {
                    place.update(repeating: -1, count: count)
                    continue
                }
                for offset in 0..<count { place[offset] = present &+ Int32(truncatingIfNeeded: offset) }
                present &+= Int32(truncatingIfNeeded: count)
            }
            return UnsafePointer(target)
        }
        let codes = try shapeCodes(index)
        for row in 0..<rows {
            let isPresent = shapes[Int(codes[row])].places.contains(number)
            target[row] = isPresent ? present : -1
            present &+= isPresent ? 1 : 0
        }
        return UnsafePointer(target)
    }

    // MARK: Pruning

    /// Blocks of fewer rows have neither zone maps nor Bloom filters.
    package static var zoneRowsMin: Int { SegmentFormat.zoneRowsMin }

    /// Least and greatest value of a numeric column where the block has a zone map.
    package func zone(_ index: Int, _ key: ColumnKey) -> BlockZone? {
        let block = blockState(index)
        guard let zones = block.pointee.zones, let number = block.pointee.index(of: key) else { return nil }
        return zones[number]
    }

    /// False when no row of the block can have this text in this column; true when unknown.
    package func mightContain(_ index: Int, _ key: ColumnKey, _ text: UnsafeRawBufferPointer) throws(Fault) -> Bool {
        let block = blockState(index)
        guard let number = block.pointee.index(of: key) else { return false }
        let pack = Int(block.pointee.columns[number].bloomPack)
        if pack < 0 { return true }
        do throws(Fault) {
            return BloomFilter.mightContain(BloomFilter.hash(text), in: try self.pack(pack, block, index))
        } catch { throw located(error, index) }
    }

    package func mightContainID(_ index: Int, _ id: EventID) throws(Fault) -> Bool {
        let block = blockState(index)
        let pack = Int(block.pointee.idBloomPack)
        if pack < 0 { return true }
        do throws(Fault) {
            return BloomFilter.mightContain(BloomFilter.hash(id), in: try self.pack(pack, block, index))
        } catch { throw located(error, index) }
    }
}
