// The writer's promises: order, one file or none, nonces used once, limits of a block.

import EventStoreCore
import EventStoreSegments
import Testing

@Suite struct WriterTests {
    @Test func sorterOrdersAllRows() {
        for seed: UInt64 in 1...12 {
            var random = RandomRows(seed: seed)
            var form = RandomShape()
            form.rows = [5, 255, 256, 4000][Int(seed) % 4]
            // Few distinct times, so that sequences decide.
            if seed % 3 == 0 { form.partitionMs = 5 }
            // Times so far apart that rank and time take more than 64 bits.
            if seed % 3 == 1 { (form.partitionStart, form.partitionMs) = (0, .max) }
            let batches = [random.batch(form), random.batch(form)]
            let rows = Fixture.expected(batches)
            #expect(rows.count == form.rows * 2)
            for (a, b) in zip(rows, rows.dropFirst()) {
                let isOrdered =
                    (a.entity, a.type, a.timestamp, a.sequence) <= (b.entity, b.type, b.timestamp, b.sequence)
                #expect(isOrdered, "seed \(seed)")
            }
        }
    }

    @Test func failedWritesLeaveNothing() throws {
        var random = RandomRows(seed: 1)
        let batch = random.batch(RandomShape())
        for failing in 1...4 {
            let fixture = Fixture()
            fixture.files.failingWrites.withLock { $0 = failing }
            let fault = #expect(throws: Fault.self) { try fixture.write([batch]) }
            #expect(fault?.code == .diskFull)
            #expect(try fixture.files.list("segments").isEmpty)
        }
        let fixture = Fixture()
        fixture.files.failsRename.withLock { $0 = true }
        #expect(throws: Fault.self) { try fixture.write([batch]) }
        #expect(try fixture.files.list("segments").isEmpty)
        let erased = Fixture()
        erased.sealer.erased = [4]
        let fault = #expect(throws: Fault.self) { try erased.write([batch]) }
        #expect(fault?.code == .keyErased)
        #expect(try erased.files.list("segments").isEmpty)
    }

    @Test func fileIsSyncedOnceAndWrittenInFewPieces() throws {
        var random = RandomRows(seed: 2)
        let fixture = Fixture()
        let summary = try fixture.write([random.batch(RandomShape())])
        let file = try fixture.file(summary)
        #expect(file.syncs.withLock { $0 } == 1)
        #expect(file.writes.withLock { $0 } <= 4)
        #expect(try fixture.files.list("segments") == [fixture.path(summary)])
    }

    @Test func oneWriterNeverRepeatsANonce() throws {
        var random = RandomRows(seed: 3)
        var fixture = Fixture()
        var form = RandomShape()
        form.rows = 6000
        form.bigEntityShare = 0.9
        fixture.options.blockRowsMax = 1000
        for seed: UInt64 in 1...4 {
            fixture.randomSeed = seed
            _ = try fixture.write([random.batch(form)])
        }
        #expect(fixture.sealer.repeatedUses == 0)
        #expect(fixture.sealer.uses.count > 100)
    }

    @Test func severalBlocksOfOneEntity() throws {
        for rowsMax in [1, 7, 1000, 5000] {
            var random = RandomRows(seed: 4)
            var form = RandomShape()
            form.rows = rowsMax == 1 ? 40 : 12_000
            form.entities = 2
            form.types = 2
            form.bigEntityShare = 0.95
            if rowsMax == 7 { form.rows = 500 }
            var fixture = Fixture()
            fixture.options.blockRowsMax = rowsMax
            let batch = random.batch(form)
            let summary = try fixture.write([batch])
            let reader = try fixture.reader(summary)
            #expect(try Fixture.rows(reader, summary.entities, fixture.sealer) == Fixture.expected([batch]))
            let scanner = BlockScanner(sealer: fixture.sealer)
            for entry in summary.entities {
                try scanner.open(reader, entry)
                let sizes = (0..<scanner.blockCount).map { scanner.block($0).rows }
                #expect(sizes.reduce(0, +) == entry.rows)
                // Below the length from which cutting begins, an entity is one block whatever the option says.
                if rowsMax < 5000 || entry.rows > 5000 { #expect(sizes.max()! <= rowsMax) }
            }
            let result = SegmentVerifier.verify(reader, sealer: fixture.sealer)
            #expect(result.findings.isEmpty, "\(result.findings)")
        }
    }

    /// Long runs of one type get blocks of their own.
    @Test func longRunsStandAlone() throws {
        let batch = RowBatch()
        batch.entityNumbers = [1]
        batch.typeNumbers = [0, 1, 2, 3]
        var builder = RowBatchBuilder(batch)
        var sequence: UInt64 = 0
        for (type, rows) in [(0, 100), (1, 20_000), (2, 50), (3, 60)] {
            for row in 0..<rows {
                builder.finishRow(
                    entity: 0, type: UInt32(type), timestamp: 1_756_684_800_000 + Int64(row),
                    id: EventID(high: sequence, low: 1), sequence: sequence)
                sequence += 1
            }
        }
        let fixture = Fixture()
        let summary = try fixture.write([batch])
        let reader = try fixture.reader(summary)
        let scanner = BlockScanner(sealer: fixture.sealer)
        try scanner.open(reader, summary.entities[0])
        #expect((0..<scanner.blockCount).map { scanner.block($0).rows } == [100, 20_000, 110])
        #expect(scanner.block(2).shapes.map(\.type) == [2, 3])
        #expect(SegmentVerifier.verify(reader, sealer: fixture.sealer).findings.isEmpty)
    }

    /// 256 attributes, values of 64 KiB, and blocks that must be cut because a column grows too large.
    @Test func largestEvents() throws {
        let batch = RowBatch()
        batch.entityNumbers = [7]
        batch.typeNumbers = [1]
        batch.attributeNumbers = (0..<256).map { UInt32($0) * 100 }
        var builder = RowBatchBuilder(batch)
        for attribute in 0..<256 {
            builder.add(ColumnKey(attribute: UInt32(attribute), kind: .integer), UInt64(attribute))
        }
        builder.finishRow(
            entity: 0, type: 0, timestamp: 1_756_684_800_000, id: EventID(high: 1, low: 1), sequence: 1)
        var generator = SeededGenerator(seed: 1)
        for row in 0..<420 {
            let text = String(repeating: "\(generator.next()) ", count: 3300).prefix(Limits.valueBytesMax)
            builder.add(ColumnKey(attribute: 0, kind: .string), UInt64(batch.strings.intern(String(text))))
            builder.finishRow(
                entity: 0, type: 0, timestamp: 1_756_684_801_000 + Int64(row), id: EventID(high: 2, low: UInt64(row)),
                sequence: 2 + UInt64(row))
        }
        let fixture = Fixture()
        let summary = try fixture.write([batch])
        let reader = try fixture.reader(summary)
        #expect(try Fixture.rows(reader, summary.entities, fixture.sealer) == Fixture.expected([batch]))
        let scanner = BlockScanner(sealer: fixture.sealer)
        try scanner.open(reader, summary.entities[0])
        #expect(scanner.blockCount > 1)
        #expect(SegmentVerifier.verify(reader, sealer: fixture.sealer).findings.isEmpty)
    }

    /// A small block's cost besides its values.
    @Test func fixedCostOfASmallBlock() throws {
        func fileBytes(_ entities: UInt32) throws -> Int {
            let batch = RowBatch()
            batch.entityNumbers = (0..<entities).map { $0 }
            batch.typeNumbers = [1]
            batch.attributeNumbers = [1, 2, 3]
            var builder = RowBatchBuilder(batch)
            for entity in 0..<entities {
                for attribute: UInt32 in 0..<3 { builder.add(ColumnKey(attribute: attribute, kind: .integer), 200) }
                builder.finishRow(
                    entity: entity, type: 0, timestamp: 1_756_684_800_000 + Int64(entity) * 60_000,
                    id: EventID(
                        high: UInt64(entity) &* 0x9e37_79b9_7f4a_7c15, low: UInt64(entity) &* 0xda94_2042_e4dd_58b5),
                    sequence: UInt64(entity))
            }
            return try Fixture().write([batch]).fileBytes
        }
        let each = (try fileBytes(1000) - fileBytes(500)) / 500
        #expect(each - 16 < 100, "\(each) bytes, 16 of them the id")
    }
}
