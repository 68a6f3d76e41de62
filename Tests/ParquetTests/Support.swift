// Files in memory, random tables, and a plain form of rows in which what was written and what was read compare.

import EventStoreCore
import EventStoreParquet
import Synchronization

/// SplitMix64: small, fast, replayable from its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// A file of bytes that are only read.
final class MemoryFile: FileHandle {
    let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        guard offset >= 0, target.count <= bytes.count, offset <= bytes.count - target.count else {
            throw Fault(.damaged, "file ends too early", at: .init(offset: offset))
        }
        target.copyBytes(from: bytes[offset..<offset + target.count])
    }
    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) { throw Fault(.readOnly, "read-only") }
    func size() throws(Fault) -> Int { bytes.count }
    func sync() throws(Fault) {}
    func truncate(to size: Int) throws(Fault) { throw Fault(.readOnly, "read-only") }
    func close() {}
}

struct MemorySink: ParquetSink {
    var bytes: [UInt8] = []
    mutating func append(_ source: UnsafeRawBufferPointer) throws(Fault) { bytes.append(contentsOf: source) }
}

/// A value that compares bit for bit.
enum Cell: Hashable {
    case null
    case word(UInt64)
    case text([UInt8])
}

/// Columns of cells.
struct Table {
    var columns: [ParquetColumn]
    var cells: [[Cell]]
    var rowCount: Int { cells.first?.count ?? 0 }

    /// The file with row groups of so many rows.
    func written(groupRows: Int, options: ParquetRowGroup.Options = .init()) throws -> [UInt8] {
        let schema = try ParquetSchema(columns)
        var writer = try ParquetWriter(schema, to: MemorySink())
        let group = ParquetRowGroup(schema, options)
        for row in 0..<rowCount {
            for (column, builder) in group.columns.enumerated() { Table.append(cells[column][row], to: builder) }
            group.endRow()
            if group.rowCount == groupRows || group.isFull { try writer.append(group) }
        }
        try writer.append(group)
        try writer.finish(createdBy: "tests version 1", metadata: [(key: "name", value: "ünïcödé")])
        return writer.sink.bytes
    }

    private static func append(_ cell: Cell, to builder: ParquetColumnBuilder) {
        switch cell {
        case .null: builder.appendNull()
        case .word(let word): builder.append(word: word)
        case .text(let bytes):
            if builder.kind == .uuid {
                let halves = bytes.withUnsafeBytes {
                    ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                }
                builder.append(EventID(high: UInt64(bigEndian: halves.0), low: UInt64(bigEndian: halves.1)))
            } else {
                bytes.withUnsafeBytes { builder.append(bytes: $0) }
            }
        }
    }

    /// Reads a file back; `rowsMax` bounds what a damaged one claims to have.
    static func read(_ bytes: [UInt8], batchRows: Int = 1000, rowsMax: Int = .max) throws -> Table {
        let reader = try ParquetReader(MemoryFile(bytes))
        let columns = reader.columns.map { ParquetColumn($0.name, $0.kind, isOptional: $0.isOptional) }
        var cells = [[Cell]](repeating: [], count: columns.count)
        var rows = 0
        for number in 0..<reader.rowGroupCount {
            let group = try reader.open(group: number)
            while rows < rowsMax {
                let count = try group.next(rowsMax: batchRows)
                if count == 0 { break }
                rows += count
                for (index, vector) in group.vectors.enumerated() {
                    for row in 0..<count { cells[index].append(cell(vector, row)) }
                }
            }
        }
        return Table(columns: columns, cells: cells)
    }

    private static func cell(_ vector: ParquetVector, _ row: Int) -> Cell {
        if vector.isNull(row) { return .null }
        return vector.kind.isWord ? .word(vector.word(row)) : .text(Array(vector.bytes(row)))
    }
}

/// Makes tables whose columns differ in everything the writer looks at: kind, nulls, distinct values, order, length.
struct RandomTable {
    var generator: SeededGenerator
    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func table(rows: Int, columns count: Int) -> Table {
        var columns: [ParquetColumn] = []
        var cells: [[Cell]] = []
        for number in 0..<count {
            let kind = ParquetKind.allCases[generator.below(ParquetKind.allCases.count)]
            let isOptional = generator.below(4) > 0
            columns.append(ParquetColumn("c\(number) ✓.x", kind, isOptional: isOptional))
            let nullsOfTen = isOptional ? [0, 1, 5, 9, 10][generator.below(5)] : 0
            let hasRuns = generator.below(2) == 0
            var value = makeValue(kind)
            var isNull = false
            cells.append(
                (0..<rows).map { _ in
                    if !hasRuns || generator.below(40) == 0 { isNull = generator.below(10) < nullsOfTen }
                    if !hasRuns || generator.below(20) == 0 { value = makeValue(kind) }
                    return isNull ? .null : generator.below(3) == 0 ? value : makeValue(kind, distinct: number * 3 + 1)
                })
        }
        return Table(columns: columns, cells: cells)
    }

    private mutating func makeValue(_ kind: ParquetKind, distinct: Int = 1 << 40) -> Cell {
        switch kind {
        case .bool: return .word(generator.next() & 1)
        case .integer, .unsigned, .timestamp:
            let special: [UInt64] = [0, 1, .max, 1 << 63, (1 << 63) - 1, 1_756_684_800_997]
            if generator.below(50) == 0 { return .word(special[generator.below(special.count)]) }
            return .word(generator.next() % UInt64(distinct))
        case .double:
            let special = [0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0.1]
            if generator.below(20) == 0 { return .word(special[generator.below(special.count)].bitPattern) }
            return .word((Double(generator.below(distinct)) / 100).bitPattern)
        case .uuid: return .text((0..<16).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
        case .string, .json, .binary: return .text(makeText(distinct))
        }
    }

    private mutating func makeText(_ distinct: Int) -> [UInt8] {
        switch generator.below(300) {
        case 0: return []
        case 1: return [UInt8](repeating: 0x61, count: 64 + generator.below(3))
        case 2: return (0..<generator.below(5000)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        default: return Array("/path/\(generator.below(distinct))".utf8)
        }
    }
}
