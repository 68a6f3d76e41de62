// Files of pyarrow, Polars and DuckDB are read, and what cannot be read is said with the column's name.

import EventStoreCore
import EventStoreParquet
import Testing

struct ForeignFileTests {
    // By name: test output shows the arguments.
    private static let readable = [
        "snappy": ForeignFiles.snappyDictionaries, "zstd": ForeignFiles.zstdSecondPages,
        "deltas": ForeignFiles.deltasAndRuns, "polars": ForeignFiles.polars, "duckdb": ForeignFiles.duckdb,
    ]

    @Test(arguments: readable.keys.sorted())
    func valuesAreTheSame(_ name: String) throws {
        let bytes = try #require(Self.readable[name])
        let table = try Table.read(bytes)
        #expect(table.columns.map(\.name) == ["flag", "small", "real", "text", "at", "day"])
        #expect(table.columns.map(\.kind) == [.bool, .integer, .double, .string, .timestamp, .timestamp])
        #expect(table.rowCount == 40)
        for row in 0..<40 {
            let text = [UInt8](String(repeating: "ü\(row % 3)", count: 1 + row % 2).utf8)
            // Microseconds below a millisecond are cut off towards the past.
            let at = 1_756_684_800_000 + Int64((row * 1500 - 7 + 1_000_000) / 1000 - 1000)
            let wanted: [Cell] = [
                row % 5 == 0 ? .null : .word(row % 3 == 0 ? 1 : 0),
                row % 7 == 0 ? .null : .word(UInt64(bitPattern: Int64(row * 1000 - 5000))),
                .word((Double(row) / 4).bitPattern), row % 4 == 1 ? .null : .text(text),
                .word(UInt64(bitPattern: at)), .word(UInt64(bitPattern: Int64(row - 3) * Limits.msPerDay)),
            ]
            #expect(table.cells.map { $0[row] } == wanted, "\(name), row \(row)")
        }
    }

    @Test func fractionsThatAreCutOffAreTold() throws {
        let reader = try ParquetReader(MemoryFile(ForeignFiles.snappyDictionaries))
        #expect(reader.columns.map(\.cutsFractions) == [false, false, false, false, true, false])
    }

    private static let refused = [
        "nested": (ForeignFiles.nested, ["\"tags\"", "nested"]),
        "gzip": (ForeignFiles.gzip, ["\"x\"", "GZIP", "ZSTD"]),
        "decimal": (ForeignFiles.decimal, ["\"price\"", "DECIMAL", "cast"]),
        "int96": (ForeignFiles.int96, ["\"t\"", "INT96"]),
        "deltaTexts": (ForeignFiles.deltaTexts, ["\"t\"", "DELTA_BYTE_ARRAY"]),
    ]

    @Test(arguments: refused.keys.sorted())
    func whatCannotBeReadIsSaid(_ name: String) throws {
        let (bytes, words) = try #require(Self.refused[name])
        let fault = #expect(throws: Fault.self) { try Table.read(bytes) }
        #expect(fault?.code == .invalid)
        for word in words { #expect(fault?.message.contains(word) == true, "\(fault?.message ?? "")") }
    }

    /// Damage in files of every codec and encoding, not only in those that the writer here knows.
    @Test(arguments: readable.keys.sorted())
    func damageThrowsOrReads(_ name: String) throws {
        let bytes = try #require(Self.readable[name])
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        var failures = 0
        for _ in 0..<600 {
            var broken = bytes
            for _ in 0...random.below(3) {
                broken[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            do {
                _ = try Table.read(broken, rowsMax: 5000)
            } catch {
                #expect(error is Fault, "\(name), seed \(seed)")
                failures += 1
            }
        }
        #expect(failures > 0)
    }
}
