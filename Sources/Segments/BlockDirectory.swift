// Reads a block's directory: shapes, the descriptors of all columns, and in which pack each payload stands.
// The order of things here is the one BlockEncoder writes.

import EventStoreCore

/// A type and the columns its rows have in a block. Memory belongs to the scanner and lasts until its next `open`.
package struct BlockShape: BitwiseCopyable {
    /// Store number.
    package var type: UInt32
    package var rows: Int
    /// With store numbers of attributes, ascending.
    package var columns: UnsafeBufferPointer<ColumnKey>
    /// Indexes of these columns in the block.
    var indexes: UnsafeBufferPointer<Int32>
}

/// Where a payload stands: a pack of the block, and the place in its raw bytes.
struct PayloadPlace: BitwiseCopyable {
    var pack = 0
    var start = 0
    var length = 0
}

/// A pack of a block. Pack 0 is the head the directory was read from.
struct PackSlot: BitwiseCopyable {
    var offset: Int
    /// In the file, tag included.
    var length: Int
    var rawLength: Int
    var codec: PackCodec
    /// Number within the block, for the nonce.
    var number: Int
    var memory: UnsafeRawBufferPointer?
}

enum ColumnLayout: BitwiseCopyable {
    case strings(StringLayout)
    case numbers(NumberLayout)
    case bools(BoolLayout)

    var payloadBytes: Int {
        switch self {
        case .strings(let layout): layout.payloadBytes
        case .numbers(let layout): layout.payloadBytes
        case .bools(let layout): layout.payloadBytes
        }
    }
}

struct ColumnSlot: BitwiseCopyable {
    var key: ColumnKey
    var count = 0
    var layout = ColumnLayout.bools(BoolLayout())
    var isFar = false
    var place = PayloadPlace()
    var zone: BlockZone?
    /// Pack of its Bloom filter.
    var bloomPack: Int?
    var decoded: BlockColumn?
}

/// Least and greatest value of a numeric column in a block.
package enum BlockZone: Sendable, Equatable, BitwiseCopyable {
    case integers(Int64, Int64)
    case doubles(Double, Double)
}

/// Everything known of one block while its entity is open.
final class BlockState {
    var rows = 0
    var minTime: Int64 = 0
    var maxTime: Int64 = 0
    var flags: BlockFlags = []
    /// In the scanner's arena, like everything pointed to here.
    var columns: UnsafeMutableBufferPointer<ColumnSlot> = .init(start: nil, count: 0)
    var shapes: UnsafeBufferPointer<BlockShape> = .init(start: nil, count: 0)
    /// Keys of `columns`.
    var keys: UnsafeBufferPointer<ColumnKey> = .init(start: nil, count: 0)
    var packs: UnsafeMutableBufferPointer<PackSlot> = .init(start: nil, count: 0)
    /// One byte a shape and column: 1 where the shape has the column.
    var presence: UnsafePointer<UInt8>?

    var shapeLayout: CodeLayout?
    var shapePlace = PayloadPlace()
    var timeLayout = IntegerLayout(form: .constant)
    var timePlace = PayloadPlace()
    var sequenceLayout = IntegerLayout(form: .constant)
    var sequencePlace = PayloadPlace()
    var receivedLayout = NumberLayout()
    var receivedPlace = PayloadPlace()
    var idLayout = IDLayout(form: .raw)
    var idPlace = PayloadPlace()
    var idBloomPack: Int?
    var bloomBits: [Int] = []

    // Decoded once, in the scanner's arena.
    var times: UnsafePointer<Int64>?
    var shapeCodes: UnsafePointer<UInt32>?
    var sequences: UnsafePointer<UInt64>?
    var received: UnsafePointer<Int64>?
    var ids: UnsafePointer<EventID>?

    func reset(rows: Int, minTime: Int64, maxTime: Int64) {
        self.rows = rows
        self.minTime = minTime
        self.maxTime = maxTime
        columns = .init(start: nil, count: 0)
        packs = .init(start: nil, count: 0)
        presence = nil
        bloomBits.removeAll(keepingCapacity: true)
        shapeLayout = nil
        idBloomPack = nil
        times = nil
        shapeCodes = nil
        sequences = nil
        received = nil
        ids = nil
    }

    /// Index of a column, or nil.
    func index(of key: ColumnKey) -> Int? {
        let keys = keys
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].raw < key.raw { low = middle + 1 } else { high = middle }
        }
        return low < keys.count && keys[low] == key ? low : nil
    }
}

/// Where the packs of a block are to be looked for.
struct BlockSurroundings {
    /// Where the entity's hot packs begin in the file.
    var hotStart: Int
    var regions: SegmentRegions
    /// The block is its entity's only one, its directory in the entity's head pack.
    var isOnly: Bool
    var partitionStart: Int64
    var sequenceBase: UInt64
}

struct BlockDirectoryReader {
    private let block: BlockState
    private let arena: Arena
    private let surroundings: BlockSurroundings
    private var reader: ByteReader
    private var columns: UnsafeMutableBufferPointer<ColumnSlot>
    private var packs: UnsafeMutablePointer<PackSlot>
    private var packCount = 0

    static func read(
        _ bytes: UnsafeRawBufferPointer, into block: BlockState, _ surroundings: BlockSurroundings, arena: Arena
    ) throws(Fault) {
        guard block.rows > 0, block.rows <= Limits.blockRowsMax else { throw damaged("a block has too many rows") }
        var parser = BlockDirectoryReader(
            block: block, arena: arena, surroundings: surroundings, reader: ByteReader(bytes),
            columns: .init(start: nil, count: 0), packs: arena.take(1, of: PackSlot.self))
        try parser.readColumnsAndShapes()
        try parser.readFixedColumns()
        try parser.readDescriptors()
        if block.flags.contains(.zones) { try parser.readZones() }
        try parser.placePayloads()
        block.packs = UnsafeMutableBufferPointer(start: parser.packs, count: parser.packCount)
    }

    static func damaged(_ message: String) -> Fault { Fault(.damaged, message) }
    private func damaged(_ message: String) -> Fault { Fault(.damaged, message) }

    private mutating func readColumnsAndShapes() throws(Fault) {
        let bits = try reader.u8()
        block.flags = BlockFlags(rawValue: bits)
        guard block.flags.isSubset(of: .all), surroundings.isOnly || !block.flags.contains(.single) else {
            throw damaged("unknown flags of a block")
        }
        let columnCount = try reader.count(max: reader.remaining)
        columns = UnsafeMutableBufferPointer(
            start: arena.take(columnCount, of: ColumnSlot.self), count: columnCount)
        let keys = arena.take(columnCount, of: ColumnKey.self)
        // Every payload and every Bloom filter may be a pack of its own.
        packs = arena.take(2 * columnCount + 8, of: PackSlot.self)
        var next: UInt64 = 0
        for index in 0..<columnCount {
            let step = try reader.count(max: Int(UInt32.max))
            guard let raw = UInt32(exactly: next + UInt64(step)) else { throw damaged("a column's key is too large") }
            let key = ColumnKey(raw: raw)
            guard key.kindIfValid != nil else { throw damaged("unknown kind of a column") }
            columns.initializeElement(at: index, to: ColumnSlot(key: key))
            keys[index] = key
            next = UInt64(raw) + 1
        }
        block.columns = columns
        block.keys = UnsafeBufferPointer(start: keys, count: columnCount)
        try readShapes()
    }

    private mutating func readShapes() throws(Fault) {
        let shapeCount = try reader.count(max: min(block.rows, Limits.shapesPerBlockMax))
        guard shapeCount > 0 else { throw damaged("a block without shapes") }
        let shapes = arena.take(shapeCount, of: BlockShape.self)
        let presence = arena.take(shapeCount * columns.count, of: UInt8.self)
        var type: Int64 = 0
        var rest = block.rows
        for number in 0..<shapeCount {
            type = type &+ (try reader.zigzag())
            guard let typeNumber = UInt32(exactly: type) else { throw damaged("a type's number is too large") }
            var rows = rest
            if number < shapeCount - 1 { rows = try reader.count(max: rest) }
            guard rows > 0 else { throw damaged("a shape without rows") }
            rest -= rows
            shapes[number] = try readPresence(
                type: typeNumber, rows: rows, only: shapeCount == 1, presence + number * columns.count)
        }
        guard rest == 0 else { throw damaged("shapes do not add up") }
        for index in columns.indices where columns[index].count == 0 {
            throw damaged("a column that no shape has")
        }
        block.shapes = UnsafeBufferPointer(start: shapes, count: shapeCount)
        block.presence = UnsafePointer(presence)
    }

    private mutating func readPresence(
        type: UInt32, rows: Int, only: Bool, _ presence: UnsafeMutablePointer<UInt8>
    ) throws(Fault) -> BlockShape {
        let columnCount = columns.count
        let bits = only ? nil : try reader.raw((columnCount + 7) / 8)
        // Every shape takes as much as it could need: the bits are read once.
        let keys = arena.take(columnCount, of: ColumnKey.self)
        let indexes = arena.take(columnCount, of: Int32.self)
        var found = 0
        for column in 0..<columnCount {
            let bit = bits.map { $0[column >> 3] >> UInt8(column & 7) & 1 } ?? 1
            presence[column] = bit
            if bit == 0 { continue }
            keys[found] = columns[column].key
            indexes[found] = Int32(truncatingIfNeeded: column)
            columns[column].count += rows
            found += 1
        }
        return BlockShape(
            type: type, rows: rows, columns: UnsafeBufferPointer(start: keys, count: found),
            indexes: UnsafeBufferPointer(start: indexes, count: found))
    }

    private mutating func readFixedColumns() throws(Fault) {
        let rows = block.rows
        if !block.flags.contains(.shapesInOrder) {
            let form = try reader.u8()
            block.shapeLayout = try CodeCodec.parse(form: form, &reader, count: rows, bound: block.shapes.count)
        }
        block.timeLayout = try IntegerCodec.parse(&reader, count: rows)
        block.timeLayout.base &+= surroundings.partitionStart
        block.sequenceLayout = try IntegerCodec.parse(&reader, count: rows)
        block.sequenceLayout.base &+= Int64(bitPattern: surroundings.sequenceBase)
        block.receivedLayout = try NumberCodec.parse(&reader, kind: .integer, count: rows)
        block.receivedLayout.stream.base &+= surroundings.partitionStart
        block.idLayout = try IDCodec.parse(&reader, count: rows)
    }

    private mutating func readDescriptors() throws(Fault) {
        for index in columns.indices {
            let count = columns[index].count
            switch columns[index].key.kind {
            case .string, .json:
                guard reader.remaining > 0 else { throw damaged("a block's directory ends too early") }
                columns[index].isFar = reader.bytes[reader.offset] & StringCodec.farFlag != 0
                columns[index].layout = .strings(try StringCodec.parse(&reader, count: count))
            case .integer, .double:
                let kind = columns[index].key.kind
                columns[index].layout = .numbers(try NumberCodec.parse(&reader, kind: kind, count: count))
            case .bool:
                columns[index].layout = .bools(try BoolCodec.parse(&reader, count: count))
            }
        }
    }

    private mutating func readZones() throws(Fault) {
        block.bloomBits.append(try bloomBits())
        for index in columns.indices {
            switch columns[index].key.kind {
            case .string, .json:
                block.bloomBits.append(try bloomBits())
            case .integer:
                let least = try reader.zigzag()
                let greatest = least &+ Int64(bitPattern: try reader.varint())
                guard greatest >= least else { throw damaged("a zone map ends before it begins") }
                columns[index].zone = .integers(least, greatest)
            case .double:
                let least = Double(bitPattern: try reader.u64())
                columns[index].zone = .doubles(least, Double(bitPattern: try reader.u64()))
            case .bool:
                break
            }
        }
    }

    private mutating func bloomBits() throws(Fault) -> Int {
        let bits = try reader.count(max: block.rows * BloomFilter.bitsPerKey + 7)
        guard bits & 7 == 0 else { throw damaged("a Bloom filter of odd length") }
        return bits
    }
}

// MARK: - Places of payloads

extension BlockDirectoryReader {
    /// Mirrors EntityWriter: a pack is closed as soon as it holds `packTargetBytes`.
    private mutating func placePayloads() throws(Fault) {
        if block.flags.contains(.single) { return try placeInHead() }
        var near = 0
        var far = 0
        eachPayload { isFar, length in
            if isFar { far += length } else { near += length }
        }
        let isInHead = surroundings.isOnly && near <= SegmentFormat.hotBytesInHeadMax
        addPack(PackSlot(offset: 0, length: 0, rawLength: 0, codec: .raw, number: 0, memory: nil))
        if !isInHead { try placeNear(near) }
        if far > 0 { try placeFar() }
        try placeIDs()
        guard isInHead else {
            guard reader.isAtEnd else { throw damaged("bytes after a block's directory") }
            return
        }
        guard reader.remaining == near else { throw damaged("hot columns do not fill the head pack") }
        var start = 0
        setPlaces { isFar, length in
            if isFar { return nil }
            defer { start += length }
            return PayloadPlace(pack: 0, start: start, length: length)
        }
        packs[0].memory = try reader.raw(near)
    }

    private mutating func placeInHead() throws(Fault) {
        var start = 0
        setPlaces { _, length in
            defer { start += length }
            return PayloadPlace(pack: 0, start: start, length: length)
        }
        block.idPlace = PayloadPlace(pack: 0, start: start, length: block.idLayout.payloadBytes)
        guard reader.remaining == start + block.idLayout.payloadBytes else {
            throw damaged("columns do not fill their pack")
        }
        let rest = try reader.raw(reader.remaining)
        addPack(PackSlot(offset: 0, length: 0, rawLength: rest.count, codec: .raw, number: 0, memory: rest))
    }

    /// Fixed columns, then attributes, in the order of the directory; ids not among them.
    private func eachPayload(_ body: (_ isFar: Bool, _ length: Int) -> Void) {
        if let layout = block.shapeLayout { body(false, layout.payloadBytes) }
        body(false, block.timeLayout.payloadBytes)
        body(false, block.sequenceLayout.payloadBytes)
        body(false, block.receivedLayout.payloadBytes)
        for column in columns { body(column.isFar, column.layout.payloadBytes) }
    }

    private func setPlaces(_ body: (_ isFar: Bool, _ length: Int) -> PayloadPlace?) {
        if let layout = block.shapeLayout, let place = body(false, layout.payloadBytes) { block.shapePlace = place }
        if let place = body(false, block.timeLayout.payloadBytes) { block.timePlace = place }
        if let place = body(false, block.sequenceLayout.payloadBytes) { block.sequencePlace = place }
        if let place = body(false, block.receivedLayout.payloadBytes) { block.receivedPlace = place }
        for index in columns.indices {
            let length = columns[index].layout.payloadBytes
            if let place = body(columns[index].isFar, length) { columns[index].place = place }
        }
    }

    /// Assigns packs to the payloads of one region; returns the raw length of each.
    private func assign(isFar wanted: Bool) -> [Int] {
        var lengths: [Int] = []
        var isOpen = false
        let first = packCount
        setPlaces { isFar, length in
            guard isFar == wanted else { return nil }
            if length == 0 { return PayloadPlace() }
            if !isOpen {
                lengths.append(0)
                isOpen = true
            }
            let place = PayloadPlace(
                pack: first + lengths.count - 1, start: lengths[lengths.count - 1], length: length)
            lengths[lengths.count - 1] += length
            if lengths[lengths.count - 1] >= Limits.packTargetBytes { isOpen = false }
            return place
        }
        return lengths
    }

    private mutating func placeNear(_ total: Int) throws(Fault) {
        let offset = surroundings.hotStart + (try reader.count(max: surroundings.regions.strings))
        try addPacks(assign(isFar: false), from: offset, end: surroundings.regions.strings)
    }

    private mutating func placeFar() throws(Fault) {
        let offset = surroundings.regions.strings + (try reader.count(max: surroundings.regions.ids))
        try addPacks(assign(isFar: true), from: offset, end: surroundings.regions.ids)
    }

    private mutating func placeIDs() throws(Fault) {
        let offset = surroundings.regions.ids + (try reader.count(max: surroundings.regions.vocabulary))
        var lengths = [block.idLayout.payloadBytes]
        block.idPlace = PayloadPlace(pack: packCount, start: 0, length: block.idLayout.payloadBytes)
        for (index, bits) in block.bloomBits.enumerated() where bits > 0 {
            let pack = packCount + lengths.count
            lengths.append(BloomFilter.byteCount(bits: bits))
            if index == 0 { block.idBloomPack = pack } else { setBloom(index - 1, pack) }
        }
        try addPacks(lengths, from: offset, end: surroundings.regions.vocabulary)
    }

    /// The n-th column of a string kind.
    private func setBloom(_ position: Int, _ pack: Int) {
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

    private mutating func addPacks(_ rawLengths: [Int], from start: Int, end: Int) throws(Fault) {
        var offset = start
        for rawLength in rawLengths {
            let word = try reader.count(max: Limits.packRawBytesMax << 2 | 3)
            guard rawLength <= Limits.packRawBytesMax, let codec = PackCodec(rawValue: UInt8(word & 3)) else {
                throw damaged("a pack is too large or of unknown make")
            }
            let length = (word >> 2) + SegmentFormat.tagBytes
            guard length <= end - offset else { throw damaged("a pack lies outside its region") }
            addPack(
                PackSlot(
                    offset: offset, length: length, rawLength: rawLength, codec: codec, number: packCount,
                    memory: nil))
            offset += length
        }
    }
}
