// Encodes one block: its directory (everything but the table of packs) and the payloads of its columns.
// The order of things here is the order on disk; BlockDirectory reads them back.

import EventStoreCore

/// Flags in the first byte of a block's directory.
struct BlockFlags: OptionSet {
    let rawValue: UInt8
    /// Everything stands in the pack of the directory itself.
    static let single = BlockFlags(rawValue: 1)
    /// Rows come shape by shape, in the order of the shapes: there is no column of shape codes.
    static let shapesInOrder = BlockFlags(rawValue: 2)
    /// Zone maps follow the columns, and there may be Bloom filters.
    static let zones = BlockFlags(rawValue: 4)
    static let all: BlockFlags = [.single, .shapesInOrder, .zones]
}

/// One payload of a block, in the encoder's `payload`.
struct PayloadSlice: BitwiseCopyable {
    var start: Int
    var length: Int
    var isFar: Bool
}

/// What names a Bloom filter that a block has.
struct BloomSlice: BitwiseCopyable {
    /// Index of the column; -1 for ids.
    var column: Int
    var start: Int
    var length: Int
}

final class BlockEncoder {
    let gather = BlockGather()
    let distinct = DistinctFinder()
    private(set) var directory = ByteSink(capacity: 4096)
    private(set) var payload = ByteSink(capacity: 1 << 16)
    /// Hot and far payloads in the order of the directory; ids not among them.
    private(set) var slices: [PayloadSlice] = []
    private(set) var ids = PayloadSlice(start: 0, length: 0, isFar: false)
    private(set) var blooms: [BloomSlice] = []
    private(set) var minTime: Int64 = 0
    private(set) var maxTime: Int64 = 0
    private(set) var flags: BlockFlags = []

    private var numbers = NumberScratch()
    private var integers = GrowableBuffer<Int64>()
    private var idBuffer = GrowableBuffer<EventID>()
    private var refs = GrowableBuffer<StringRef>()
    private var shared = GrowableBuffer<UInt32>()
    private var zones = ByteSink()
    private var bloomBytes = ByteSink()

    struct Input {
        var rows: UnsafeBufferPointer<RowRef>
        var source: SegmentRows
        var vocabulary: VocabularyBuilder?
        var partitionStart: Int64
        var sequenceBase: UInt64
    }

    /// False when the block is too large for the format and must be cut in two.
    func encode(_ input: Input) -> Bool {
        directory.removeAll()
        payload.removeAll()
        zones.removeAll()
        slices.removeAll(keepingCapacity: true)
        blooms.removeAll(keepingCapacity: true)
        gather.gather(input.rows, input.source)
        let count = input.rows.count
        flags = isInShapeOrder() ? .shapesInOrder : []
        if count >= SegmentFormat.zoneRowsMin { flags.insert(.zones) }
        directory.u8(flags.rawValue)
        writeColumnKeys()
        writeShapes(input.source)
        if !flags.contains(.shapesInOrder) { writeShapeCodes(count) }
        writeTimes(input)
        writeSequences(input)
        writeReceived(input)
        writeIDs(input)
        for index in gather.columns.indices {
            if !writeColumn(index, input) { return count == 1 }
        }
        if flags.contains(.zones) { directory.raw(zones.bytes) }
        return directory.count <= SegmentFormat.blockDirectoryBytesMax || count == 1
    }

    /// Sets a flag that is only known once all payloads are.
    func markSingle() {
        flags.insert(.single)
        directory.base[0] = flags.rawValue
    }

    private func isInShapeOrder() -> Bool {
        let codes = gather.shapeCodes.base
        for row in 1..<max(gather.shapeCodes.count, 1) where codes[row] < codes[row - 1] { return false }
        return true
    }

    private func writeColumnKeys() {
        directory.varint(gather.columns.count)
        var next: UInt32 = 0
        for column in gather.columns {
            directory.varint(UInt64(column.key.raw - next))
            next = column.key.raw + 1
        }
    }

    /// A shape: its type, its rows (those of the last follow from the others), and as bits which of the block's
    /// columns it has.
    private func writeShapes(_ source: SegmentRows) {
        let columnCount = gather.columns.count
        directory.varint(gather.shapes.count)
        var type: Int64 = 0
        for (number, shape) in gather.shapes.enumerated() {
            let shapeType = Int64(source.shapes[Int(shape.writerShape)].type)
            directory.zigzag(shapeType - type)
            type = shapeType
            if number < gather.shapes.count - 1 { directory.varint(shape.rows) }
            if gather.shapes.count == 1 { continue }
            writePresence(shape, columnCount)
        }
    }

    private func writePresence(_ shape: GatheredShape, _ columnCount: Int) {
        let start = directory.count
        let bits = directory.extend((columnCount + 7) / 8)
        for index in 0..<(columnCount + 7) / 8 { bits[index] = 0 }
        for index in shape.moveStart..<shape.moveStart + shape.moveCount {
            let column = Int(gather.moves[index].column)
            directory.base[start + column >> 3] |= 1 << UInt8(column & 7)
        }
    }

    private func addSlice(from start: Int, isFar: Bool = false) {
        slices.append(PayloadSlice(start: start, length: payload.count - start, isFar: isFar))
    }

    private func writeShapeCodes(_ count: Int) {
        let start = payload.count
        let codes = CodeCodec.choose(gather.shapeCodes.base, count: count, bound: gather.shapes.count)
        directory.u8(codes.form.rawValue)
        CodeCodec.write(codes, gather.shapeCodes.base, count: count, descriptor: &directory, payload: &payload)
        addSlice(from: start)
    }

    // MARK: Fixed columns

    @inline(__always)
    private func fill(_ rows: UnsafeBufferPointer<RowRef>, _ value: (RowRef) -> Int64) {
        integers.truncate(to: 0)
        integers.resize(to: rows.count, filling: 0)
        numbers.reserve(rows.count)
        let target = integers.base
        for index in 0..<rows.count { target[index] = value(rows[index]) }
    }

    private func writeIntegers(_ count: Int) {
        let start = payload.count
        IntegerCodec.encode(
            integers.base, count: count, grows: true, scratch: numbers.words, descriptor: &directory,
            payload: &payload)
        addSlice(from: start)
    }

    private func writeTimes(_ input: Input) {
        let source = input.source
        fill(input.rows) { source.view($0).timestamp[Int($0.row)] }
        let times = integers.base
        var least = times[0]
        var greatest = least
        for index in 0..<input.rows.count {
            least = min(least, times[index])
            greatest = max(greatest, times[index])
            times[index] = times[index] &- input.partitionStart
        }
        minTime = least
        maxTime = greatest
        writeIntegers(input.rows.count)
    }

    private func writeSequences(_ input: Input) {
        let source = input.source
        fill(input.rows) { Int64(bitPattern: source.view($0).sequence[Int($0.row)] &- input.sequenceBase) }
        writeIntegers(input.rows.count)
    }

    private func writeReceived(_ input: Input) {
        let source = input.source
        fill(input.rows) { source.view($0).received[Int($0.row)] &- input.partitionStart }
        let start = payload.count
        NumberCodec.writeIntegers(
            integers.base, count: input.rows.count, compressible: true, scratch: &numbers, descriptor: &directory,
            payload: &payload)
        addSlice(from: start)
    }

    private func writeIDs(_ input: Input) {
        let count = input.rows.count
        idBuffer.truncate(to: 0)
        idBuffer.resize(to: count, filling: EventID(high: 0, low: 0))
        let source = input.source
        let target = idBuffer.base
        for index in 0..<count {
            let ref = input.rows[index]
            target[index] = source.view(ref).id[Int(ref.row)]
        }
        let start = payload.count
        IDCodec.write(idBuffer.base, count: count, scratch: &numbers, descriptor: &directory, payload: &payload)
        ids = PayloadSlice(start: start, length: payload.count - start, isFar: false)
        guard flags.contains(.zones) else { return }
        bloomBytes.removeAll()
        let bits = BloomFilter.make(count: count, into: &bloomBytes) { BloomFilter.hash(target[$0]) }
        zones.varint(bits)
        keepBloom(column: -1)
    }

    /// Moves what stands in `bloomBytes` behind the payloads.
    private func keepBloom(column: Int) {
        let start = payload.count
        payload.raw(bloomBytes.bytes)
        blooms.append(BloomSlice(column: column, start: start, length: payload.count - start))
    }

    // MARK: Attributes

    private func writeColumn(_ index: Int, _ input: Input) -> Bool {
        let column = gather.columns[index]
        switch column.key.kind {
        case .string, .json:
            return writeStrings(index, column, input)
        case .integer:
            writeIntegerColumn(column)
        case .double:
            writeDoubleColumn(column)
        case .bool:
            writeBoolColumn(column)
        }
        return true
    }

    private func writeIntegerColumn(_ column: GatheredColumn) {
        let start = payload.count
        let cells = UnsafeMutableRawPointer(gather.cells(column)).assumingMemoryBound(to: Int64.self)
        NumberCodec.writeIntegers(
            cells, count: column.count, compressible: true, scratch: &numbers, descriptor: &directory,
            payload: &payload)
        addSlice(from: start)
        guard flags.contains(.zones) else { return }
        var least = cells[0]
        var greatest = least
        for index in 1..<column.count {
            least = min(least, cells[index])
            greatest = max(greatest, cells[index])
        }
        zones.zigzag(least)
        zones.varint(UInt64(bitPattern: greatest &- least))
    }

    private func writeDoubleColumn(_ column: GatheredColumn) {
        let start = payload.count
        let cells = UnsafeMutableRawPointer(gather.cells(column)).assumingMemoryBound(to: Double.self)
        NumberCodec.writeDoubles(
            cells, count: column.count, compressible: true, scratch: &numbers, descriptor: &directory,
            payload: &payload)
        addSlice(from: start)
        guard flags.contains(.zones) else { return }
        let (least, greatest) = ZoneOfDoubles.range(cells, column.count)
        zones.integer(least.bitPattern)
        zones.integer(greatest.bitPattern)
    }

    private func writeBoolColumn(_ column: GatheredColumn) {
        let start = payload.count
        let cells = gather.cells(column)
        numbers.reserve(column.count)
        let codes = numbers.codes
        var ones = 0
        for index in 0..<column.count {
            codes[index] = UInt32(truncatingIfNeeded: cells[index] & 1)
            ones += Int(codes[index])
        }
        BoolCodec.write(codes, count: column.count, ones: ones, descriptor: &directory, payload: &payload)
        addSlice(from: start)
    }

    private func writeStrings(_ index: Int, _ column: GatheredColumn, _ input: Input) -> Bool {
        distinct.find(gather.cells(column), count: column.count)
        let entryCount = distinct.entries.count
        refs.truncate(to: 0)
        refs.resize(to: entryCount, filling: StringRef(base: UnsafeRawPointer(refs.base), count: 0))
        let texts = refs.base
        let found = distinct.entries.base
        var bytes = 0
        for entry in 0..<entryCount {
            texts[entry] = input.source.string(found[entry])
            bytes += texts[entry].count
        }
        if bytes > SegmentFormat.columnBytesMax { return false }
        let tagPlace = directory.count
        let strings = StringColumnInput(
            codes: distinct.codes.base, count: column.count, entries: refs.base, entryCount: entryCount,
            shared: sharedNumbers(column.key, entryCount, input))
        if flags.contains(.zones) { addStringBloom(index, column) }
        let begin = payload.count
        StringCodec.write(strings, descriptor: &directory, payload: &payload)
        let isFar = StringPlacement.isFar(payload: payload.count - begin, count: column.count)
        if isFar { directory.base[tagPlace] |= StringCodec.farFlag }
        addSlice(from: begin, isFar: isFar)
        return payload.count - begin <= SegmentFormat.columnBytesMax + (2 << 20)
    }

    private func addStringBloom(_ index: Int, _ column: GatheredColumn) {
        let entryCount = distinct.entries.count
        guard entryCount >= BloomFilter.entriesMin else { return zones.varint(0) }
        bloomBytes.removeAll()
        let texts = refs.base
        let bits = BloomFilter.make(count: entryCount, into: &bloomBytes) { BloomFilter.hash(texts[$0].bytes) }
        zones.varint(bits)
        keepBloom(column: index)
    }

    /// Numbers in the vocabulary of the entries found, or nil when none is shared.
    private func sharedNumbers(_ key: ColumnKey, _ entryCount: Int, _ input: Input) -> UnsafePointer<UInt32>? {
        guard let vocabulary = input.vocabulary, key.kind == .string else { return nil }
        guard vocabulary.has(attribute: key.attribute) else { return nil }
        shared.truncate(to: 0)
        shared.resize(to: entryCount, filling: StringColumnInput.notShared)
        let target = shared.base
        let isAny = vocabulary.number(
            attribute: key.attribute, strings: distinct.entries.base, count: entryCount, into: target)
        return isAny ? UnsafePointer(target) : nil
    }
}

/// Which string columns stand apart from the hot ones.
enum StringPlacement {
    static let farBytesMin = 1024
    static func isFar(payload: Int, count: Int) -> Bool { payload >= farBytesMin && payload > 8 * count }
}

/// Least and greatest of doubles in the order of numbers; NaN spoils both, so that a zone map never lies.
enum ZoneOfDoubles {
    static func range(_ values: UnsafePointer<Double>, _ count: Int) -> (Double, Double) {
        var least = values[0]
        var greatest = least
        for index in 0..<count {
            let value = values[index]
            if value.isNaN { return (-.infinity, .infinity) }
            if value < least { least = value }
            if value > greatest { greatest = value }
        }
        return (least, greatest)
    }
}
