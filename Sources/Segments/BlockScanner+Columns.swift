// Columns of an open block: decoded when first asked for, once.

import EventStoreCore

extension BlockScanner {
    package func block(_ index: Int) -> ScannedBlock {
        let block = blockState(index)
        return ScannedBlock(
            rows: block.rows, minTime: block.minTime, maxTime: block.maxTime, shapes: block.shapes,
            columns: block.keys)
    }

    /// Milliseconds of every row.
    package func timestamps(_ index: Int) throws(Fault) -> UnsafePointer<Int64> {
        let block = blockState(index)
        if let known = block.times { return known }
        do throws(Fault) {
            let target = arena.take(block.rows, of: Int64.self)
            try IntegerCodec.decode(
                block.timeLayout, payload: try payload(block.timePlace, block, index), count: block.rows, into: target)
            block.times = UnsafePointer(target)
            return UnsafePointer(target)
        } catch { throw located(error, index) }
    }

    /// Shape of every row, an index of the block's shapes.
    package func shapeCodes(_ index: Int) throws(Fault) -> UnsafePointer<UInt32> {
        let block = blockState(index)
        if let known = block.shapeCodes { return known }
        do throws(Fault) {
            let target = arena.take(block.rows, of: UInt32.self)
            if let layout = block.shapeLayout {
                try CodeCodec.decode(
                    layout, payload: try payload(block.shapePlace, block, index), count: block.rows, into: target)
                try checkShapes(target, block)
            } else {
                var row = 0
                for (code, shape) in block.shapes.enumerated() {
                    (target + row).update(repeating: UInt32(truncatingIfNeeded: code), count: shape.rows)
                    row += shape.rows
                }
            }
            block.shapeCodes = UnsafePointer(target)
            return UnsafePointer(target)
        } catch { throw located(error, index) }
    }

    /// The counts of the directory decide how long columns are: codes must agree with them.
    private func checkShapes(_ codes: UnsafePointer<UInt32>, _ block: BlockState) throws(Fault) {
        let counts = arena.take(block.shapes.count, of: Int.self)
        counts.update(repeating: 0, count: block.shapes.count)
        for row in 0..<block.rows { counts[Int(codes[row])] += 1 }
        for (code, shape) in block.shapes.enumerated() where counts[code] != shape.rows {
            throw Fault(.damaged, "shape codes do not add up")
        }
    }

    /// Absolute sequence of every row.
    package func sequences(_ index: Int) throws(Fault) -> UnsafePointer<UInt64> {
        let block = blockState(index)
        if let known = block.sequences { return known }
        do throws(Fault) {
            let target = arena.take(block.rows, of: Int64.self)
            try IntegerCodec.decode(
                block.sequenceLayout, payload: try payload(block.sequencePlace, block, index), count: block.rows,
                into: target)
            let sequences = UnsafeRawPointer(target).assumingMemoryBound(to: UInt64.self)
            block.sequences = sequences
            return sequences
        } catch { throw located(error, index) }
    }

    /// Milliseconds of arrival of every row.
    package func received(_ index: Int) throws(Fault) -> UnsafePointer<Int64> {
        let block = blockState(index)
        if let known = block.received { return known }
        do throws(Fault) {
            let target = arena.take(block.rows, of: Int64.self)
            try NumberCodec.decodeIntegers(
                block.receivedLayout, payload: try payload(block.receivedPlace, block, index), arena: arena,
                into: target)
            block.received = UnsafePointer(target)
            return UnsafePointer(target)
        } catch { throw located(error, index) }
    }

    package func ids(_ index: Int) throws(Fault) -> UnsafePointer<EventID> {
        let block = blockState(index)
        if let known = block.ids { return known }
        do throws(Fault) {
            let target = arena.take(block.rows, of: EventID.self)
            try IDCodec.decode(
                block.idLayout, payload: try payload(block.idPlace, block, index), count: block.rows, arena: arena,
                into: target)
            block.ids = UnsafePointer(target)
            return UnsafePointer(target)
        } catch { throw located(error, index) }
    }

    // MARK: Attributes

    /// The column of an attribute and kind, or nil when no row of the block has it.
    package func column(_ index: Int, _ key: ColumnKey) throws(Fault) -> BlockColumn? {
        let block = blockState(index)
        guard let number = block.index(of: key) else { return nil }
        return try column(index, at: number)
    }

    /// The n-th column of the block.
    package func column(_ index: Int, at number: Int) throws(Fault) -> BlockColumn {
        let block = blockState(index)
        if let known = block.columns[number].decoded { return known }
        do throws(Fault) {
            let slot = block.columns[number]
            let payload = try payload(slot.place, block, index)
            let column = BlockColumn(
                values: try decode(slot, payload), count: slot.count, dense: try dense(number, block, index))
            block.columns[number].decoded = column
            return column
        } catch { throw located(error, index) }
    }

    private func decode(_ slot: ColumnSlot, _ payload: UnsafeRawBufferPointer) throws(Fault) -> BlockColumn.Values {
        switch slot.layout {
        case .strings(let layout):
            var vocabulary: VocabularyColumn?
            if layout.usesVocabulary, let segment {
                vocabulary = try segment.vocabularyColumn(slot.key.attribute, sealer)
            }
            return .strings(try StringCodec.decode(layout, payload: payload, vocabulary: vocabulary, arena: arena))
        case .numbers(let layout) where slot.key.kind == .double:
            let target = arena.take(slot.count, of: Double.self)
            try NumberCodec.decodeDoubles(layout, payload: payload, arena: arena, into: target)
            return .doubles(UnsafePointer(target))
        case .numbers(let layout):
            let target = arena.take(slot.count, of: Int64.self)
            try NumberCodec.decodeIntegers(layout, payload: payload, arena: arena, into: target)
            return .integers(UnsafePointer(target))
        case .bools(let layout):
            return .bools(try BoolCodec.decode(layout, payload: payload, count: slot.count, arena: arena))
        }
    }

    private func dense(_ number: Int, _ block: BlockState, _ index: Int) throws(Fault) -> UnsafePointer<Int32>? {
        if block.columns[number].count == block.rows { return nil }
        guard let presence = block.presence else { return nil }
        let target = arena.take(block.rows, of: Int32.self)
        let width = block.columns.count
        if block.shapeLayout == nil {
            var row = 0
            var present: Int32 = 0
            for (code, shape) in block.shapes.enumerated() {
                let place = target + row
                row += shape.rows
                if presence[code * width + number] == 0 {
                    place.update(repeating: -1, count: shape.rows)
                    continue
                }
                for offset in 0..<shape.rows { place[offset] = present &+ Int32(truncatingIfNeeded: offset) }
                present &+= Int32(truncatingIfNeeded: shape.rows)
            }
            return UnsafePointer(target)
        }
        let codes = try shapeCodes(index)
        var present: Int32 = 0
        for row in 0..<block.rows {
            let isPresent = presence[Int(codes[row]) * width + number] != 0
            target[row] = isPresent ? present : -1
            present &+= isPresent ? 1 : 0
        }
        return UnsafePointer(target)
    }

    // MARK: Pruning

    /// Least and greatest value of a numeric column where the block has a zone map.
    package func zone(_ index: Int, _ key: ColumnKey) -> BlockZone? {
        let block = blockState(index)
        return block.index(of: key).flatMap { block.columns[$0].zone }
    }

    /// False when no row of the block can have this text in this column; true when unknown.
    package func mightContain(_ index: Int, _ key: ColumnKey, _ text: UnsafeRawBufferPointer) throws(Fault) -> Bool {
        let block = blockState(index)
        guard let number = block.index(of: key) else { return false }
        guard let pack = block.columns[number].bloomPack else { return true }
        do throws(Fault) {
            return BloomFilter.mightContain(BloomFilter.hash(text), in: try self.pack(pack, block, index))
        } catch { throw located(error, index) }
    }

    package func mightContainID(_ index: Int, _ id: EventID) throws(Fault) -> Bool {
        let block = blockState(index)
        guard let pack = block.idBloomPack else { return true }
        do throws(Fault) {
            return BloomFilter.mightContain(BloomFilter.hash(id), in: try self.pack(pack, block, index))
        } catch { throw located(error, index) }
    }
}
