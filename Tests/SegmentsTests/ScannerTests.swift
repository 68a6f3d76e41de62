// What the scanner says of blocks and columns, against the rows that were written.

import EventStoreCore
import EventStoreSegments
import Testing

@Suite struct ScannerTests {
    private func value(_ column: BlockColumn, _ kind: ValueKind, _ row: Int) -> PlainValue? {
        let place = column.dense.map { Int($0[row]) } ?? row
        if place < 0 { return nil }
        switch column.values {
        case .integers(let values): return .word(kind, UInt64(bitPattern: values[place]))
        case .doubles(let values): return .word(kind, values[place].bitPattern)
        case .bools(let values): return .word(kind, values[place] ? 1 : 0)
        case .strings(let values): return .text(kind, Array(values.entries[Int(values.codes[place])].bytes))
        }
    }

    @Test func columnsAgreeWithRows() throws {
        var random = RandomRows(seed: 21)
        var fixture = Fixture()
        fixture.options.sequenceBase = 1_000_000
        var form = RandomShape()
        form.firstSequence = 1_000_005
        let batch = random.batch(form)
        let summary = try fixture.write([batch])
        #expect(summary.minSequence == 5)
        let reader = try SegmentReader(file: try fixture.file(summary), path: "x", sequenceBase: 2_000_000)
        let scanner = BlockScanner(sealer: fixture.sealer)
        let expected = Fixture.expected([batch])
        var next = 0
        for entry in summary.entities {
            try scanner.open(reader, entry)
            let block = scanner.block(0)
            #expect(block.rows == entry.rows && block.minTime == entry.minTime && block.maxTime == entry.maxTime)
            #expect(block.shapes.reduce(0) { $0 + $1.rows } == block.rows)
            let codes = try scanner.shapeCodes(0)
            let times = try scanner.timestamps(0)
            for row in 0..<block.rows {
                let wanted = expected[next]
                next += 1
                #expect(times[row] == wanted.timestamp)
                #expect(try scanner.sequences(0)[row] == wanted.sequence + 1_000_000)
                #expect(try scanner.received(0)[row] == wanted.received)
                #expect(try scanner.ids(0)[row] == wanted.id)
                let shape = block.shapes[Int(codes[row])]
                #expect(shape.type == wanted.type && shape.columns.count == wanted.values.count)
                for key in block.columns {
                    let column = try #require(try scanner.column(0, key))
                    let found = value(column, key.kind, row)
                    #expect((found != nil) == shape.columns.contains(key))
                    if let found { #expect(found == wanted.values[key.attribute]) }
                }
            }
            #expect(try scanner.column(0, ColumnKey(attribute: 99_999, kind: .bool)) == nil)
        }
    }

    @Test func zoneMapsAndBloomFilters() throws {
        let batch = RowBatch()
        batch.entityNumbers = [3]
        batch.typeNumbers = [1]
        batch.attributeNumbers = [10, 11, 12, 13]
        var builder = RowBatchBuilder(batch)
        for row in 0..<5000 {
            builder.add(ColumnKey(attribute: 0, kind: .string), UInt64(batch.strings.intern("value \(row)")))
            builder.add(ColumnKey(attribute: 1, kind: .integer), UInt64(bitPattern: Int64(row % 300) - 20))
            builder.add(ColumnKey(attribute: 2, kind: .double), (Double(row % 10) / 4).bitPattern)
            builder.add(ColumnKey(attribute: 3, kind: .string), UInt64(batch.strings.intern("few \(row % 3)")))
            builder.finishRow(
                entity: 0, type: 0, timestamp: 1_756_684_800_000 + Int64(row),
                id: EventID(high: UInt64(row) &* 0x9e37_79b9_7f4a_7c15, low: 5), sequence: UInt64(row))
        }
        let fixture = Fixture()
        let summary = try fixture.write([batch])
        let reader = try fixture.reader(summary)
        let scanner = BlockScanner(sealer: fixture.sealer)
        try scanner.open(reader, summary.entities[0])
        let text = ColumnKey(attribute: 10, kind: .string)
        #expect(scanner.zone(0, ColumnKey(attribute: 11, kind: .integer)) == .integers(-20, 279))
        #expect(scanner.zone(0, ColumnKey(attribute: 12, kind: .double)) == .doubles(0, 2.25))
        #expect(scanner.zone(0, text) == nil)
        func might(_ key: ColumnKey, _ value: String) throws -> Bool {
            let bytes = Array(value.utf8)
            var result: Result<Bool, Fault> = .success(true)
            bytes.withUnsafeBytes { buffer in
                result = Result { () throws(Fault) in try scanner.mightContain(0, key, buffer) }
            }
            return try result.get()
        }
        for row in 0..<5000 {
            #expect(try might(text, "value \(row)"))
            #expect(try scanner.mightContainID(0, batch.id[row]))
        }
        var wrong = 0
        for row in 0..<1000 {
            if try might(text, "other \(row)") { wrong += 1 }
            if try scanner.mightContainID(0, EventID(high: UInt64(row), low: 6)) { wrong += 1 }
        }
        #expect(wrong < 300, "\(wrong) of 2000")
        #expect(try might(ColumnKey(attribute: 13, kind: .string), "no filter: unknown"))
        #expect(try !might(ColumnKey(attribute: 77, kind: .string), "no such column"))
        #expect(SegmentVerifier.verify(reader, sealer: fixture.sealer).findings.isEmpty)
    }

    @Test func openingReadsOnlyTheHead() throws {
        var random = RandomRows(seed: 22)
        let fixture = Fixture()
        let summary = try fixture.write([random.batch(RandomShape())])
        let file = try fixture.file(summary)
        let reader = try fixture.reader(summary)
        let scanner = BlockScanner(sealer: fixture.sealer)
        file.reads.withLock { $0 = 0 }
        fixture.sealer.opened = 0
        for entry in summary.entities {
            try scanner.open(reader, entry)
            _ = try scanner.timestamps(0)
        }
        #expect(file.reads.withLock { $0 } == summary.entities.count)
        #expect(fixture.sealer.opened == summary.entities.count, "neither directory nor vocabulary")
        file.reads.withLock { $0 = 0 }
        try scanner.prefetch(reader)
        for entry in summary.entities { try scanner.open(reader, entry) }
        #expect(file.reads.withLock { $0 } == 1)
    }

    @Test func placesOfEntitiesShareNothing() throws {
        var random = RandomRows(seed: 24)
        var fixture = Fixture()
        fixture.options.blockRowsMax = 300
        var form = RandomShape()
        form.rows = 2000
        form.bigEntityShare = 0.7
        let summary = try fixture.write([random.batch(form)])
        let reader = try fixture.reader(summary)
        let scanner = BlockScanner(sealer: fixture.sealer)
        var all: [Range<Int>] = []
        for entry in summary.entities {
            try scanner.open(reader, entry)
            let places = scanner.places()
            #expect(places.contains { $0.contains(entry.headOffset) })
            all += places
        }
        all.sort { $0.lowerBound < $1.lowerBound }
        for (a, b) in zip(all, all.dropFirst()) { #expect(a.upperBound <= b.lowerBound) }
        // Zeroing one entity's places leaves the others whole.
        let gone = summary.entities[0]
        var bytes = try fixture.file(summary).content
        try scanner.open(reader, gone)
        for place in scanner.places() { for index in place { bytes[index] = 0 } }
        let holed = try SegmentReader(file: MemoryFile(bytes), path: "holed", sequenceBase: 0)
        let rest = try Fixture.rows(holed, Array(summary.entities.dropFirst()), fixture.sealer)
        #expect(rest.count == summary.rows - gone.rows)
    }

    @Test func collectorTakesChosenRowsInAnyOrder() throws {
        var random = RandomRows(seed: 23)
        let fixture = Fixture()
        let batch = random.batch(RandomShape())
        let summary = try fixture.write([batch])
        let reader = try fixture.reader(summary)
        let scanner = BlockScanner(sealer: fixture.sealer)
        let collector = RowCollector()
        var expected: [PlainRow] = []
        let all = Fixture.expected([batch])
        var start = 0
        for entry in summary.entities {
            try scanner.open(reader, entry)
            let chosen = (0..<UInt32(entry.rows)).filter { $0 % 3 != 1 }.reversed() as [UInt32]
            try chosen.withUnsafeBufferPointer { try collector.append(scanner, block: 0, rows: $0) }
            expected += chosen.map { all[start + Int($0)] }
            start += entry.rows
        }
        let fromBatch: [UInt32] = [4, 0, 17, 17]
        fromBatch.withUnsafeBufferPointer { collector.append(batch, rows: $0) }
        expected += fromBatch.map { batch.plain(Int($0)) }
        let taken = collector.takeBatch()
        #expect(taken.plainRows == expected)
        #expect(taken.entities.count == 0 && taken.types.count == 0 && taken.attributes.count == 0)
        #expect(collector.batch.rowCount == 0)
        // What was collected can be written again.
        var second = fixture
        second.randomSeed = 77
        let copy = try second.write([taken])
        let rows = try Fixture.rows(try second.reader(copy), copy.entities, fixture.sealer)
        #expect(rows.count == expected.count)
    }
}
