// Writer to reader: what goes in comes out, whatever the batches look like.

import EventStoreCore
import EventStoreSegments
import Testing

@Suite struct RoundTripTests {
    private func check(_ batches: [RowBatch], _ fixture: Fixture, _ seed: UInt64) throws {
        let summary = try fixture.write(batches)
        let reader = try fixture.reader(summary)
        let expected = Fixture.expected(batches)
        #expect(summary.rows == expected.count)
        #expect(try fixture.file(summary).size() == summary.fileBytes)
        let rows = try Fixture.rows(reader, summary.entities, fixture.sealer, prefetch: seed & 1 == 0)
        #expect(rows == expected, "seed \(seed)")
        let directory = try reader.directory(fixture.sealer)
        #expect(directory.entities == summary.entities)
        #expect(directory.typeNumbers == summary.typeNumbers)
        #expect(directory.attributeNumbers == summary.attributeNumbers)
        #expect(directory.minSequence == summary.minSequence && directory.maxSequence == summary.maxSequence)
        #expect(fixture.sealer.repeatedUses == 0)
    }

    @Test(arguments: 0..<24)
    func randomBatches(_ round: UInt64) throws {
        let seed = UInt64.random(in: 0...UInt64.max) &+ round
        var random = RandomRows(seed: seed)
        var form = RandomShape()
        form.rows = [1, 2, 3, 40, 700, 3000][Int(round) % 6]
        form.entities = [1, 3, 40, 7][Int(round) / 6]
        form.types = [1, 5][Int(round) % 2]
        var fixture = Fixture()
        fixture.options.sharedValueEntitiesMin = [0, 2, 3][Int(round) % 3]
        fixture.options.highCompression = round % 4 == 3
        fixture.options.sequenceBase = round % 5 == 0 ? 1 : 0
        var batches: [RowBatch] = []
        for number in 0..<[1, 3, 2][Int(round) % 3] {
            batches.append(random.batch(form, batchNumber: number))
            form.firstSequence += UInt64(form.rows)
        }
        try check(batches, fixture, seed)
    }
}
