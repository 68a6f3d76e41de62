// What is committed is read back, whole and in order, also after reopening.

import EventStoreCore
import Testing

@testable import EventStoreCatalog

@Suite struct CatalogTests {
    @Test func settingsComeBack() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        #expect(try catalog.read { (reader) throws(Fault) in try reader.settings() } == Sample.settings)
        let status = try #require(try PosixFileSystem().status(scratch.path))
        #expect(status.mode == 0o600)
        #expect(try PosixFileSystem().status(scratch.path + "-wal")?.mode == 0o600)
        catalog.close()
        #expect(
            fault { () throws(Fault) in try Catalog.create(path: scratch.path, settings: Sample.settings) }?.code
                == .exists)
    }

    @Test func everythingCommittedIsReadBack() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        var change = Sample.dayOfRows(0, entities: 1...5, rows: 10)
        change.addEntities = (1...5).map(Sample.entity)
        change.addNames = [
            NameRecord(number: 1, kind: 1, tag: [9, 9]), NameRecord(number: 1, kind: 2, tag: [9, 9], shared: [4]),
        ]
        change.addHolders = [NameHolder(name: 1, kind: 1, entity: 3, sealed: [5, 5])]
        change.journal = [
            JournalEntry(firstSequence: 50, rows: 3, receivedMs: 77, blob: [UInt8](repeating: 8, count: 9000))
        ]
        change.batches = [BatchRecord(scope: 2, tag: [1], bodyHash: [2, 2], receivedMs: 5, answer: [])]
        change.nextSequence = 53
        change.keyringGeneration = UInt64.max
        change.meta = ["refused.size": 4]
        change.setMeta = ["written": 1234]
        let done = try catalog.commit(change)
        #expect(done.segments == [1])

        func check(_ catalog: Catalog) throws {
            try catalog.read { (reader) throws(Fault) in
                #expect(try reader.entities() == change.addEntities)
                #expect(try reader.names() == change.addNames)
                #expect(try reader.holders() == change.addHolders)
                #expect(try reader.journal(from: 0) == change.journal)
                #expect(try reader.journal(from: 51).isEmpty)
                #expect(try reader.batch(scope: 2, tag: [1]) == change.batches[0])
                #expect(try reader.batch(scope: 3, tag: [1]) == nil)
                #expect(try reader.nextSequence() == 53)
                #expect(try reader.keyringGeneration() == UInt64.max)
                #expect(try reader.meta() == ["refused.size": 4, "written": 1234])
                var segment = change.addSegments[0].0
                segment.number = 1
                #expect(try reader.segments(overlapping: nil) == [segment])
                let parts = change.addSegments[0].1.map { part in
                    var part = part
                    part.segment = 1
                    part.keyID = change.addEntities.first { $0.number == part.entity }?.keyID ?? 0
                    return part
                }
                #expect(try reader.segmentEntities(segment: 1, entities: nil) == parts)
                #expect(try reader.segmentEntities(segment: 1, entities: [4, 2, 99]) == [parts[1], parts[3]])
                #expect(try reader.segmentEntities(entity: 4) == [parts[3]])
                #expect(try reader.rowsByEntity(days: nil) == [1: 10, 2: 10, 3: 10, 4: 10, 5: 10])
                #expect(try reader.rowsByType(days: 20_000...20_000) == [1: 45, 7: 5])
                #expect(try reader.rowsByType(days: 20_001...20_009).isEmpty)
                #expect(try reader.rowsByDay(days: nil) == [20_000: 50])
                #expect(try reader.totalRows() == 50)
            }
        }
        try check(catalog)
        catalog.close()
        let reopened = try Catalog.open(path: scratch.path, mode: .reader)
        try check(reopened)
        #expect(fault { () throws(Fault) in try reopened.commit(CatalogChange()) }?.code == .readOnly)
    }
}
