// What is written comes back, bit for bit, whatever the columns look like.

import EventStoreCore
import EventStoreParquet
import Testing

struct RoundTripTests {
    @Test(arguments: 0..<24)
    func randomTablesComeBack(_ number: Int) throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = RandomTable(seed: seed)
        let rows = [0, 1, 7, 8, 63, 64, 65, 1000, 5000][random.generator.below(9)]
        let table = random.table(rows: rows, columns: 1 + random.generator.below(8))
        var options = ParquetRowGroup.Options()
        options.pageBytes = [64, 1000, 1 << 20][random.generator.below(3)]
        let bytes = try table.written(
            groupRows: [1, 64, 100, 1 << 17][number % 4] * (1 + rows / 500), options: options)
        let back = try Table.read(bytes, batchRows: [1, 13, 8192][random.generator.below(3)])
        #expect(back.columns == table.columns, "seed \(seed)")
        #expect(back.cells == table.cells, "seed \(seed)")
    }

    @Test func manyRowGroupsAndPages() throws {
        var random = RandomTable(seed: 7)
        let table = random.table(rows: 40_000, columns: 5)
        var options = ParquetRowGroup.Options()
        options.rowsMax = 9000
        options.pageBytes = 4096
        let bytes = try table.written(groupRows: .max, options: options)
        #expect(try ParquetReader(MemoryFile(bytes)).rowGroupCount == 5)
        #expect(try Table.read(bytes).cells == table.cells)
    }

    @Test func noRowsAtAll() throws {
        let table = Table(columns: [ParquetColumn("a", .integer), ParquetColumn("b", .string)], cells: [[], []])
        let bytes = try table.written(groupRows: 10)
        let reader = try ParquetReader(MemoryFile(bytes))
        #expect(reader.rowGroupCount == 0 && reader.rowCount == 0)
        #expect(reader.columns.map(\.name) == ["a", "b"])
        #expect(reader.createdBy == "tests version 1")
        #expect(reader.metadata.map(\.key) == ["name"] && reader.metadata.map(\.value) == ["ünïcödé"])
    }

    @Test func columnsWithoutAnyValueTakeNoSpace() throws {
        let kinds = ParquetKind.allCases
        let table = Table(
            columns: kinds.map { ParquetColumn("\($0)", $0) },
            cells: kinds.map { _ in [Cell](repeating: .null, count: 10_000) })
        let bytes = try table.written(groupRows: .max)
        #expect(bytes.count < 2500)
        #expect(try Table.read(bytes).cells == table.cells)
    }

    /// Rows that a column does not mention have no value in it, and codes of the caller's are the caller's texts.
    @Test func skippedRowsAndCallersCodes() throws {
        let schema = try ParquetSchema([ParquetColumn("a", .string), ParquetColumn("b", .integer)])
        var writer = try ParquetWriter(schema, to: MemorySink())
        let group = ParquetRowGroup(schema)
        let texts = ["GET", "POST", ""].map { Array($0.utf8) }
        for round in 0..<2 {
            group.columns[0].startCodes(count: texts.count)
            for row in 0..<100 {
                if row % 3 == 0 {
                    group.columns[0].skip(toRow: group.rowCount)
                    texts[row % 2 + round].withUnsafeBytes { bytes in
                        group.columns[0].append(code: row % 2) { _ in bytes }
                    }
                }
                if row == 50 {
                    group.columns[1].skip(toRow: group.rowCount)
                    group.columns[1].append(Int64(-5))
                }
                group.endRow()
            }
            if round == 1 { try writer.append(group) }
        }
        try writer.finish(createdBy: "tests")
        let back = try Table.read(writer.sink.bytes)
        for row in 0..<200 {
            let code = row % 100 % 3 == 0 ? row % 100 % 2 + row / 100 : nil
            #expect(back.cells[0][row] == (code.map { Cell.text(texts[$0]) } ?? .null), "row \(row)")
        }
        #expect(back.cells[1].indices.filter { back.cells[1][$0] != .null } == [50, 150])
    }

    /// Texts that repeat too little are written out as they come, and a dictionary comes back when they repeat again.
    @Test func dictionaryIsGivenUpAndFoundAgain() throws {
        let rows = 120_000
        let cells = (0..<rows).map { row -> Cell in
            .text(Array((row < 60_000 ? "\(row &* 7919) some text" : "few \(row % 5)").utf8))
        }
        let table = Table(columns: [ParquetColumn("a", .string)], cells: [cells])
        let bytes = try table.written(groupRows: 10_000)
        #expect(try Table.read(bytes).cells == table.cells)
        #expect(bytes.count < 900_000)
    }

    /// Runs of nulls and values that end before, at and behind the words of 64 rows that levels are made of.
    @Test func nullsEndAnywhere() throws {
        for rows in [63, 64, 65, 127, 128, 129, 133, 200] {
            for end in Set([1, 60, 63, 64, 65, 127, 128, 130, rows - 1]) where end < rows {
                let cells = (0..<rows).map { $0 < end ? Cell.word(UInt64($0)) : .null }
                let table = Table(
                    columns: [ParquetColumn("a", .integer), ParquetColumn("b", .integer)],
                    cells: [cells, cells.reversed()])
                #expect(try Table.read(try table.written(groupRows: .max)).cells == table.cells, "\(end) of \(rows)")
            }
        }
    }

    @Test func onlyWantedColumnsAreRead() throws {
        var random = RandomTable(seed: 11)
        let table = random.table(rows: 500, columns: 6)
        let reader = try ParquetReader(MemoryFile(try table.written(groupRows: 200)))
        let group = try reader.open(group: 1, columns: [4, 1])
        let count = try group.next(rowsMax: 10)
        #expect(count == 10)
        #expect(group.vectors.map(\.kind) == [table.columns[4].kind, table.columns[1].kind])
        #expect(group.vectors[1].isNull(3) == (table.cells[1][203] == .null))
    }

    @Test func byteBudgetFillsARowGroup() throws {
        let schema = try ParquetSchema([ParquetColumn("a", .binary)])
        var options = ParquetRowGroup.Options()
        options.bytesMax = 1 << 20
        let group = ParquetRowGroup(schema, options)
        var random = SeededGenerator(seed: 3)
        while !group.isFull {
            let bytes = (0..<1000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            bytes.withUnsafeBytes { group.columns[0].append(bytes: $0) }
            group.endRow()
        }
        #expect(group.rowCount > 1000 && group.rowCount < 1200)
    }
}
