// Bounds of column chunks: readers leave out whole row groups for what stands there.

import EventStoreCore
import EventStoreParquet
import Testing

struct StatisticsTests {
    private func statistics(_ kind: ParquetKind, _ cells: [Cell]) throws -> ParquetStatistics {
        let table = Table(columns: [ParquetColumn("a", kind)], cells: [cells])
        let reader = try ParquetReader(MemoryFile(try table.written(groupRows: .max)))
        return reader.statistics(ofGroup: 0, column: 0)
    }

    private func little(_ value: Int64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    private func words(_ values: [Int64]) -> [Cell] { values.map { .word(UInt64(bitPattern: $0)) } }
    private func doubles(_ values: [Double]) -> [Cell] { values.map { .word($0.bitPattern) } }
    private func texts(_ values: [String]) -> [Cell] { values.map { .text(Array($0.utf8)) } }

    @Test func integersAreSigned() throws {
        let found = try statistics(.integer, words([3, -7, 200]) + [.null, .null])
        #expect(found == ParquetStatistics(minimum: little(-7), maximum: little(200), nullCount: 2))
    }

    @Test func sequencesAreUnsigned() throws {
        let found = try statistics(.unsigned, words([3, -7, 200]))
        #expect(found == ParquetStatistics(minimum: little(3), maximum: little(-7), nullCount: 0))
    }

    @Test func booleansTakeAByte() throws {
        #expect(try statistics(.bool, words([1, 1])) == ParquetStatistics(minimum: [1], maximum: [1], nullCount: 0))
    }

    @Test func textsGoByBytes() throws {
        let found = try statistics(.string, texts(["b", "ä", "B", "bb"]))
        #expect(found.minimum == Array("B".utf8) && found.maximum == Array("ä".utf8))
    }

    @Test func emptyTextIsTheLeast() throws {
        let found = try statistics(.string, texts(["b", "", "b"]))
        #expect(found.minimum == [] && found.maximum == Array("b".utf8))
    }

    @Test func longTextsAreNoBounds() throws {
        let fits = String(repeating: "x", count: 64)
        #expect(try statistics(.string, texts(["a", fits])).maximum == Array(fits.utf8))
        let found = try statistics(.string, texts(["a", fits + "x"]))
        #expect(found.minimum == nil && found.maximum == nil && found.nullCount == 0)
    }

    @Test func zerosOfDoublesWiden() throws {
        let found = try statistics(.double, doubles([0, 1]))
        #expect(found.minimum == little(Int64(bitPattern: (-0.0).bitPattern)) && found.nanCount == 0)
        #expect(try statistics(.double, doubles([-1, -0.0])).maximum == little(0))
    }

    @Test func notANumberHasNoPlace() throws {
        let found = try statistics(.double, doubles([.nan, 1]))
        #expect(found == ParquetStatistics(minimum: nil, maximum: nil, nullCount: 0, nanCount: 1))
    }

    @Test func infinitiesAreBounds() throws {
        let found = try statistics(.double, doubles([.infinity, .infinity]))
        #expect(
            found.minimum == found.maximum && found.minimum == little(Int64(bitPattern: Double.infinity.bitPattern)))
    }

    @Test func nothingHasNoBounds() throws {
        #expect(try statistics(.timestamp, [.null, .null, .null]) == ParquetStatistics(nullCount: 3))
    }

    /// Every bound holds for every value, in the order of the column's type.
    @Test func boundsHoldOfRandomTables() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = RandomTable(seed: seed)
        let table = random.table(rows: 2000, columns: 12)
        let reader = try ParquetReader(MemoryFile(try table.written(groupRows: .max)))
        for (number, column) in table.columns.enumerated() {
            let found = reader.statistics(ofGroup: 0, column: number)
            #expect(found.nullCount == table.cells[number].count { $0 == .null }, "seed \(seed)")
            for cell in table.cells[number] {
                guard let least = found.minimum, let most = found.maximum else { break }
                #expect(!isLess(cell, least, column.kind), "seed \(seed), column \(number)")
                #expect(!isGreater(cell, most, column.kind), "seed \(seed), column \(number)")
            }
        }
    }

    private func isLess(_ cell: Cell, _ bound: [UInt8], _ kind: ParquetKind) -> Bool {
        switch cell {
        case .null: return false
        case .text(let bytes): return bytes.lexicographicallyPrecedes(bound)
        case .word(let word): return compare(word, bound, kind, { $0 < $1 }, { $0 < $1 }, { $0 < $1 })
        }
    }

    private func isGreater(_ cell: Cell, _ bound: [UInt8], _ kind: ParquetKind) -> Bool {
        switch cell {
        case .null: return false
        case .text(let bytes): return bound.lexicographicallyPrecedes(bytes)
        case .word(let word): return compare(word, bound, kind, { $0 > $1 }, { $0 > $1 }, { $0 > $1 })
        }
    }

    private func compare(
        _ word: UInt64, _ bound: [UInt8], _ kind: ParquetKind, _ unsigned: (UInt64, UInt64) -> Bool,
        _ signed: (Int64, Int64) -> Bool, _ double: (Double, Double) -> Bool
    ) -> Bool {
        let other = bound.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch kind {
        case .double: return double(Double(bitPattern: word), Double(bitPattern: other))
        case .integer, .timestamp: return signed(Int64(bitPattern: word), Int64(bitPattern: other))
        default: return unsigned(word, other)
        }
    }
}
