// Reads a block's directory: shapes, how long every payload is, and in which pack it stands. One pass, since the
// bytes of the payloads follow from the descriptors before them. The order of things is the one BlockEncoder writes.

import EventStoreCore

struct BlockDirectoryReader {
    private let block: UnsafeMutablePointer<BlockState>
    /// Outlives this reader: counting references to it would cost as much as reading a shape.
    private unowned(unsafe) let arena: Arena
    private let surroundings: BlockSurroundings
    private var reader: DescriptorReader
    private let isSingle: Bool
    private var columns = UnsafeMutableBufferPointer<ColumnSlot>(start: nil, count: 0)
    /// Values of every column.
    private var counts: UnsafeMutablePointer<UInt32>
    private var packs: UnsafeMutablePointer<PackSlot>
    private var packCount = 0
    /// Bytes of the payloads so far.
    private var near = 0
    private var far = 0
    private var idBytes = 0
    private var bloomBits: [Int] = []

    static func read(
        _ bytes: UnsafeRawBufferPointer, into block: UnsafeMutablePointer<BlockState>,
        _ surroundings: BlockSurroundings, arena: Arena
    ) throws(Fault) {
        guard block.pointee.rows > 0, block.pointee.rows <= Limits.blockRowsMax else {
            throw damaged("a block has too many rows")
        }
        var parser = try BlockDirectoryReader(bytes, block, surroundings, arena)
        try parser.readKeys()
        try parser.readShapes()
        try parser.measureFixedColumns()
        try parser.measureColumns()
        if block.pointee.flags.contains(.zones) { try parser.readZones() }
        try parser.placePayloads()
        block.pointee.packs = UnsafeMutableBufferPointer(start: parser.packs, count: parser.packCount)
    }

    @inline(never)
    private static func damaged(_ message: StaticString) -> Fault { Fault(.damaged, "\(message)") }

    private init(
        _ bytes: UnsafeRawBufferPointer, _ block: UnsafeMutablePointer<BlockState>,
        _ surroundings: BlockSurroundings, _ arena: Arena
    ) throws(Fault) {
        self.block = block
        self.arena = arena
        self.surroundings = surroundings
        reader = DescriptorReader(bytes)
        let flags = BlockFlags(rawValue: try reader.u8())
        guard flags.isSubset(of: .all), surroundings.isOnly || !flags.contains(.single) else {
            throw BlockDirectoryReader.damaged("unknown flags of a block")
        }
        isSingle = flags.contains(.single)
        counts = arena.take(0, of: UInt32.self)
        packs = arena.take(0, of: PackSlot.self)
        block.pointee.flags = flags
        block.pointee.directory = bytes
    }

    private mutating func readKeys() throws(Fault) {
        var reader = reader
        let columnCount = try reader.count(max: reader.remaining)
        columns = UnsafeMutableBufferPointer(
            start: arena.take(columnCount, of: ColumnSlot.self), count: columnCount)
        let keys = arena.take(columnCount, of: ColumnKey.self)
        counts = arena.take(columnCount, of: UInt32.self)
        // Every payload and every Bloom filter may be a pack of its own.
        packs = arena.take(2 * columnCount + 8, of: PackSlot.self)
        var next: UInt64 = 0
        for index in 0..<columnCount {
            let raw = next &+ UInt64(try reader.count(max: Int(UInt32.max)))
            guard raw <= UInt64(UInt32.max) else { throw BlockDirectoryReader.damaged("a column's key is too large") }
            guard raw & 7 <= 4 else { throw BlockDirectoryReader.damaged("unknown kind of a column") }
            keys[index] = ColumnKey(raw: UInt32(truncatingIfNeeded: raw))
            next = raw &+ 1
        }
        self.reader = reader
        block.pointee.columns = columns
        block.pointee.keys = UnsafeBufferPointer(start: keys, count: columnCount)
    }

    private mutating func readShapes() throws(Fault) {
        var reader = reader
        let columnCount = columns.count
        let keys = block.pointee.keys
        let shapeCount = try reader.count(max: min(block.pointee.rows, Limits.shapesPerBlockMax))
        guard shapeCount > 0 else { throw BlockDirectoryReader.damaged("a block without shapes") }
        let shapes = arena.take(shapeCount, of: BlockShape.self)
        counts.update(repeating: 0, count: columnCount)
        var type: Int64 = 0
        var rest = block.pointee.rows
        for number in 0..<shapeCount {
            type = type &+ (try reader.zigzag())
            guard let typeNumber = UInt32(exactly: type) else {
                throw BlockDirectoryReader.damaged("a type's number is too large")
            }
            var rows = rest
            if number < shapeCount - 1 { rows = try reader.count(max: rest) }
            guard rows > 0 else { throw BlockDirectoryReader.damaged("a shape without rows") }
            rest -= rows
            var places = ShapeBits(bits: nil, keys: keys)
            if shapeCount > 1 {
                let bits = try reader.raw((columnCount + 7) / 8)
                places.bits = bits.baseAddress?.assumingMemoryBound(to: UInt8.self)
                BlockDirectoryReader.add(rows, to: counts, columnCount, bits)
            } else {
                counts.update(repeating: UInt32(truncatingIfNeeded: rows), count: columnCount)
            }
            (shapes + number).initialize(to: BlockShape(type: typeNumber, rows: rows, places: places))
        }
        guard rest == 0 else { throw BlockDirectoryReader.damaged("shapes do not add up") }
        self.reader = reader
        block.pointee.shapes = UnsafeBufferPointer(start: shapes, count: shapeCount)
    }

    /// Adds the rows of a shape to the counts of its columns.
    @inline(__always)
    private static func add(
        _ rows: Int, to counts: UnsafeMutablePointer<UInt32>, _ columnCount: Int, _ bits: UnsafeRawBufferPointer
    ) {
        let rows = UInt32(truncatingIfNeeded: rows)
        var first = 0
        while first < columnCount {
            var byte = bits[first >> 3]
            // What stands behind the last column means nothing.
            if columnCount &- first < 8 { byte &= UInt8(truncatingIfNeeded: 1 << (columnCount &- first)) &- 1 }
            while byte != 0 {
                counts[first &+ byte.trailingZeroBitCount] &+= rows
                byte &= byte &- 1
            }
            first &+= 8
        }
    }

    private mutating func readZones() throws(Fault) {
        bloomBits.append(try readBloomBits())
        let zones = arena.take(columns.count, of: BlockZone?.self)
        for index in columns.indices {
            zones[index] = nil
            switch columns[index].key.kind {
            case .string, .json:
                bloomBits.append(try readBloomBits())
            case .integer:
                let least = try reader.zigzag()
                let greatest = least &+ Int64(bitPattern: try reader.varint())
                guard greatest >= least else { throw BlockDirectoryReader.damaged("a zone map ends before it begins") }
                zones[index] = .integers(least, greatest)
            case .double:
                let least = Double(bitPattern: try reader.u64())
                zones[index] = .doubles(least, Double(bitPattern: try reader.u64()))
            case .bool:
                break
            }
        }
        block.pointee.zones = zones
    }

    private mutating func readBloomBits() throws(Fault) -> Int {
        let bits = try reader.count(max: block.pointee.rows * BloomFilter.bitsPerKey + 7)
        guard bits & 7 == 0 else { throw BlockDirectoryReader.damaged("a Bloom filter of odd length") }
        return bits
    }
}

// MARK: - Lengths of payloads

extension BlockDirectoryReader {
    /// One copy of each codec's `measure`, out of line.
    private enum Measure {
        typealias Result = (payload: Int, next: Int)

        @inline(never)
        static func strings(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int) throws(Fault) -> Result {
            var reader = DescriptorReader(bytes, at: offset)
            return (try StringCodec.measure(&reader, count: count), reader.offset)
        }

        @inline(never)
        static func numbers(
            _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int, _ kind: ValueKind
        ) throws(Fault) -> Result {
            var reader = DescriptorReader(bytes, at: offset)
            return (try NumberCodec.measure(&reader, kind: kind, count: count), reader.offset)
        }

        @inline(never)
        static func integers(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int) throws(Fault) -> Result {
            var reader = DescriptorReader(bytes, at: offset)
            return (try IntegerCodec.measure(&reader, count: count), reader.offset)
        }

        @inline(never)
        static func bools(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int) throws(Fault) -> Result {
            var reader = DescriptorReader(bytes, at: offset)
            return (try BoolCodec.parse(&reader, count: count).payloadBytes, reader.offset)
        }

        @inline(never)
        static func ids(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int) throws(Fault) -> Result {
            var reader = DescriptorReader(bytes, at: offset)
            return (try IDCodec.parse(&reader, count: count).payloadBytes, reader.offset)
        }

        @inline(never)
        static func codes(
            _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ count: Int, bound: Int
        ) throws(Fault) -> Result {
            var reader = DescriptorReader(bytes, at: offset)
            let form = try reader.u8()
            return (try CodeCodec.measure(form: form, &reader, count: count, bound: bound), reader.offset)
        }
    }

    private mutating func measureFixedColumns() throws(Fault) {
        let bytes = reader.bytes
        let rows = block.pointee.rows
        var offset = reader.offset
        if !block.pointee.flags.contains(.shapesInOrder) {
            let bound = block.pointee.shapes.count
            block.pointee.shape = fixed(try Measure.codes(bytes, offset, rows, bound: bound), &offset)
        }
        block.pointee.time = fixed(try Measure.integers(bytes, offset, rows), &offset)
        block.pointee.sequence = fixed(try Measure.integers(bytes, offset, rows), &offset)
        block.pointee.received = fixed(try Measure.numbers(bytes, offset, rows, .integer), &offset)
        block.pointee.id.descriptor = offset
        (idBytes, offset) = try Measure.ids(bytes, offset, rows)
        reader = DescriptorReader(bytes, at: offset)
    }

    @inline(__always)
    private mutating func fixed(_ measured: Measure.Result, _ offset: inout Int) -> FixedSlot {
        let slot = FixedSlot(descriptor: offset, place: BlockDirectoryReader.place(0, near, measured.payload))
        near += measured.payload
        offset = measured.next
        return slot
    }

    @inline(__always)
    private static func place(_ pack: Int, _ start: Int, _ length: Int) -> PayloadPlace {
        PayloadPlace(
            pack: Int32(truncatingIfNeeded: pack), start: UInt32(truncatingIfNeeded: start),
            length: UInt32(truncatingIfNeeded: length))
    }

    /// Places payloads as if those near stood in the head and those far in one pack, which is so in small blocks.
    private mutating func measureColumns() throws(Fault) {
        let bytes = reader.bytes
        let keys = block.pointee.keys
        var offset = reader.offset
        for index in 0..<columns.count {
            let count = Int(counts[index])
            guard count > 0 else { throw BlockDirectoryReader.damaged("a column that no shape has") }
            let measured: Measure.Result
            var isFar = false
            switch keys[index].kind {
            case .string, .json:
                measured = try Measure.strings(bytes, offset, count)
                isFar = bytes[offset] & StringCodec.farFlag != 0
            case .integer, .double:
                measured = try Measure.numbers(bytes, offset, count, keys[index].kind)
            case .bool:
                measured = try Measure.bools(bytes, offset, count)
            }
            let isApart = isFar && !isSingle
            let place = BlockDirectoryReader.place(isApart ? 1 : 0, isApart ? far : near, measured.payload)
            columns.initializeElement(
                at: index,
                to: ColumnSlot(
                    key: keys[index], count: UInt32(truncatingIfNeeded: count),
                    descriptor: UInt32(truncatingIfNeeded: offset), isFar: isFar, place: place))
            if isApart { far += measured.payload } else { near += measured.payload }
            offset = measured.next
        }
        reader = DescriptorReader(bytes, at: offset)
    }
}

// MARK: - Places of payloads

extension BlockDirectoryReader {
    /// Mirrors EntityWriter: a pack is closed as soon as it holds `packTargetBytes`.
    private mutating func placePayloads() throws(Fault) {
        if isSingle { return try placeInHead() }
        let isInHead = surroundings.isOnly && near <= SegmentFormat.hotBytesInHeadMax
        addPack(PackSlot(offset: 0, length: 0, rawLength: 0, codec: .raw, number: 0, memory: nil))
        if !isInHead { try placeNear() }
        if far > 0 { try placeFar() }
        try placeIDs()
        guard isInHead else {
            guard reader.isAtEnd else { throw BlockDirectoryReader.damaged("bytes after a block's directory") }
            return
        }
        guard reader.remaining == near else {
            throw BlockDirectoryReader.damaged("hot columns do not fill the head pack")
        }
        packs[0].memory = try reader.raw(near)
    }

    private mutating func placeInHead() throws(Fault) {
        block.pointee.id.place = BlockDirectoryReader.place(0, near, idBytes)
        guard reader.remaining == near + idBytes else {
            throw BlockDirectoryReader.damaged("columns do not fill their pack")
        }
        let rest = try reader.raw(reader.remaining)
        addPack(PackSlot(offset: 0, length: 0, rawLength: rest.count, codec: .raw, number: 0, memory: rest))
    }

    /// Changes the places of the payloads of one region; fixed columns come first.
    private func setPlaces(far wanted: Bool, _ body: (_ length: Int) -> PayloadPlace) {
        if !wanted {
            if !block.pointee.flags.contains(.shapesInOrder) {
                block.pointee.shape.place = body(Int(block.pointee.shape.place.length))
            }
            block.pointee.time.place = body(Int(block.pointee.time.place.length))
            block.pointee.sequence.place = body(Int(block.pointee.sequence.place.length))
            block.pointee.received.place = body(Int(block.pointee.received.place.length))
        }
        for index in columns.indices where columns[index].isFar == wanted {
            columns[index].place = body(Int(columns[index].place.length))
        }
    }

    /// Assigns packs to the payloads of one region; returns the raw length of each.
    private func assign(far wanted: Bool) -> [Int] {
        var lengths: [Int] = []
        var isOpen = false
        let first = packCount
        setPlaces(far: wanted) { length in
            if length == 0 { return PayloadPlace() }
            if !isOpen {
                lengths.append(0)
                isOpen = true
            }
            let place = BlockDirectoryReader.place(first + lengths.count - 1, lengths[lengths.count - 1], length)
            lengths[lengths.count - 1] += length
            if lengths[lengths.count - 1] >= Limits.packTargetBytes { isOpen = false }
            return place
        }
        return lengths
    }

    private mutating func placeNear() throws(Fault) {
        var offset = surroundings.hotStart + (try reader.count(max: surroundings.regions.strings))
        for length in assign(far: false) { try addPack(length, at: &offset, end: surroundings.regions.strings) }
    }

    private mutating func placeFar() throws(Fault) {
        let place = reader.offset
        var offset = surroundings.regions.strings + (try reader.count(max: surroundings.regions.ids))
        block.pointee.stringsPlace = DirectoryPlace(place, reader.offset)
        // One pack behind the head's is what `measureColumns` took for granted.
        if packCount == 1, far < Limits.packTargetBytes {
            return try addPack(far, at: &offset, end: surroundings.regions.ids)
        }
        for length in assign(far: true) { try addPack(length, at: &offset, end: surroundings.regions.ids) }
    }

    private mutating func placeIDs() throws(Fault) {
        let end = surroundings.regions.vocabulary
        let place = reader.offset
        var offset = surroundings.regions.ids + (try reader.count(max: end))
        block.pointee.idsPlace = DirectoryPlace(place, reader.offset)
        block.pointee.id.place = BlockDirectoryReader.place(packCount, 0, idBytes)
        try addPack(idBytes, at: &offset, end: end)
        for (index, bits) in bloomBits.enumerated() where bits > 0 {
            let pack = Int32(truncatingIfNeeded: packCount)
            if index == 0 { block.pointee.idBloomPack = pack } else { setBloom(index - 1, pack) }
            try addPack(BloomFilter.byteCount(bits: bits), at: &offset, end: end)
        }
    }

    /// The n-th column of a string kind.
    private func setBloom(_ position: Int, _ pack: Int32) {
        var seen = 0
        for index in columns.indices where columns[index].key.holdsText {
            if seen == position { columns[index].bloomPack = pack }
            seen += 1
        }
    }

    private mutating func addPack(_ pack: PackSlot) {
        (packs + packCount).initialize(to: pack)
        packCount += 1
    }

    /// Adds a pack that begins at `offset`, which moves on.
    private mutating func addPack(_ rawLength: Int, at offset: inout Int, end: Int) throws(Fault) {
        let word = try reader.count(max: Limits.packRawBytesMax << 2 | 3)
        guard rawLength <= Limits.packRawBytesMax, let codec = PackCodec(rawValue: UInt8(word & 3)) else {
            throw BlockDirectoryReader.damaged("a pack is too large or of unknown make")
        }
        let length = (word >> 2) + SegmentFormat.tagBytes
        guard length <= end - offset else { throw BlockDirectoryReader.damaged("a pack lies outside its region") }
        addPack(
            PackSlot(
                offset: offset, length: length, rawLength: rawLength, codec: codec, number: packCount, memory: nil))
        offset += length
    }
}
