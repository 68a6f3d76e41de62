// Encoding and decoding 16,384 rows of one entity whose only attribute holds values of one kind: each kind takes
// another codec. "nothing" is what time, id and the block itself cost without an attribute.

import Benchmark
import EventStoreCore
import EventStoreSegments

/// A kind of values, by what the writer makes of it.
private enum Kind: String, CaseIterable {
    case nothing, constant, dictionary, text, hexadecimal, addresses, integers, ascending, decimals, doubles, bools

    func value(_ row: Int, _ numbers: inout Numbers, _ batch: RowBatch) -> (ValueKind, UInt64)? {
        let number = numbers.next()
        func text(_ value: String) -> (ValueKind, UInt64) { (.string, UInt64(batch.strings.intern(value))) }
        switch self {
        case .nothing: return nil
        case .constant: return text("GET")
        case .dictionary: return text("/page/\(number % 50)/")
        case .text: return text("a sentence that comes once, with number \(number) in it")
        case .hexadecimal: return text(String(number | 1 << 63, radix: 16))
        case .addresses: return text("\(number % 223).\(number >> 8 & 255).\(number >> 16 & 255).\(number >> 24 & 255)")
        case .integers: return (.integer, number % 5000)
        case .ascending: return (.integer, UInt64(row * 37) + number % 20)
        case .decimals: return (.double, (Double(number % 100_000) / 100).bitPattern)
        case .doubles: return (.double, Double(number).squareRoot().bitPattern)
        case .bools: return (.bool, number & 1)
        }
    }
}

/// Rows to encode, and the segment they become.
private final class Block {
    static let rows = 16_384
    private let batch = RowBatch()
    private var order = GrowableBuffer<RowRef>()
    private let file = MemoryFile()
    private let writer: SegmentWriter
    private let scanner = BlockScanner(sealer: CopyingSealer())
    private var segment: SegmentReader?
    private var entry: SegmentEntityEntry?
    private let column: ColumnKey?

    init(_ kind: Kind) throws {
        writer = SegmentWriter(
            sealer: CopyingSealer(),
            environment: Environment(
                files: file, nowMs: { 0 }, randomBytes: { $0.initializeMemory(as: UInt8.self, repeating: 9) }))
        (batch.entityNumbers, batch.typeNumbers, batch.attributeNumbers) = ([3], [1], [10])
        var numbers = Numbers(seed: 3)
        var builder = RowBatchBuilder(batch)
        var key: ColumnKey?
        for row in 0..<Block.rows {
            if let (valueKind, payload) = kind.value(row, &numbers, batch) {
                builder.add(ColumnKey(attribute: 0, kind: valueKind), payload)
                key = ColumnKey(attribute: 10, kind: valueKind)
            }
            builder.finishRow(
                entity: 0, type: 0, timestamp: EventLines.startMs + Int64(row) * 900,
                id: EventID(high: numbers.next(), low: numbers.next()), sequence: UInt64(row))
            order.append(RowRef(batch: 0, row: UInt32(row)))
        }
        column = key
        try encode()
    }

    func encode() throws {
        let summary = try writer.write(
            order.buffer, of: [batch], partitionStart: EventLines.startMs, partitionMs: Limits.msPerDay,
            options: SegmentOptions(), directory: "")
        if segment == nil {
            segment = try SegmentReader(file: file, path: "", sequenceBase: 0)
            entry = summary.entities[0]
        }
    }

    func decode() throws {
        guard let segment, let entry else { return }
        try scanner.open(segment, entry)
        for block in 0..<scanner.blockCount {
            blackHole(try scanner.timestamps(block)[0])
            if let column { blackHole(try scanner.column(block, column)?.count) }
        }
    }
}

func codecBenchmarks() {
    for kind in Kind.allCases {
        measure("encode-\(kind.rawValue)", setUp: { try Block(kind) }) { try $0.encode() }
        measure("decode-\(kind.rawValue)", setUp: { try Block(kind) }) { try $0.decode() }
    }
}
