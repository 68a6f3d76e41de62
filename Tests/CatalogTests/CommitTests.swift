// Each part of a change does what it says, and a change that fails leaves nothing behind.

import EventStoreCore
import Testing

@testable import EventStoreCatalog

@Suite struct CommitTests {
    @Test func entitiesAreUpdatedAndFloorsNeverMoveBack() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        var change = CatalogChange()
        change.addEntities = [Sample.entity(1), Sample.entity(2)]
        _ = try catalog.commit(change)
        var changed = Sample.entity(2)
        changed.plan = "enterprise"
        changed.state = 3
        changed.floorMs -= 1000
        changed.sealedName = [7]
        change = CatalogChange()
        change.updateEntities = [changed]
        _ = try catalog.commit(change)
        changed.floorMs += 1000
        let entities = try catalog.read { (reader) throws(Fault) in try reader.entities() }
        #expect(entities == [Sample.entity(1), changed])
        change.updateEntities = [Sample.entity(9)]
        let refused = fault { () throws(Fault) in try catalog.commit(change) }
        #expect(refused?.code == .notFound)
        #expect(refused?.place.entity == 9)
    }

    @Test func tagsAndNumbersAreUnique() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        var change = CatalogChange()
        change.addEntities = [Sample.entity(1)]
        change.addNames = [NameRecord(number: 1, kind: 1, tag: [1])]
        _ = try catalog.commit(change)
        var twin = Sample.entity(2)
        twin.tag = Sample.entity(1).tag
        var second = CatalogChange()
        second.meta = ["before": 1]
        second.addEntities = [twin]
        #expect(fault { () throws(Fault) in try catalog.commit(second) }?.code == .exists)
        second.addEntities = []
        second.addNames = [NameRecord(number: 2, kind: 2, tag: [1]), NameRecord(number: 2, kind: 1, tag: [1])]
        #expect(fault { () throws(Fault) in try catalog.commit(second) }?.code == .exists)
        try catalog.read { (reader) throws(Fault) in
            #expect(try reader.meta().isEmpty)
            #expect(try reader.names() == change.addNames)
            #expect(try reader.changeCounter() == 1)
        }
    }

    @Test func sharingANameRemovesItsHoldersAlone() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        var change = CatalogChange()
        change.addEntities = [Sample.entity(1), Sample.entity(2)]
        change.addNames = [NameRecord(number: 1, kind: 1, tag: [1]), NameRecord(number: 1, kind: 2, tag: [1])]
        change.addHolders = [
            NameHolder(name: 1, kind: 1, entity: 1, sealed: [1]), NameHolder(name: 1, kind: 1, entity: 2, sealed: [2]),
            NameHolder(name: 1, kind: 2, entity: 2, sealed: [3]),
        ]
        _ = try catalog.commit(change)
        #expect(try catalog.verify(full: true) == [])
        var share = CatalogChange()
        share.shareNames = [SharedName(kind: 1, number: 1, sealed: [8, 8])]
        _ = try catalog.commit(share)
        try catalog.read { (reader) throws(Fault) in
            #expect(try reader.names().map(\.shared) == [[8, 8], nil])
            #expect(try reader.holders() == [change.addHolders[2]])
        }
    }

    @Test func segmentsAreAddedMarkedAndRemoved() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        var first = Sample.dayOfRows(0, entities: 1...3, rows: 4)
        let second = Sample.dayOfRows(1, entities: 2...4, rows: 6)
        first.addSegments += second.addSegments
        first.entityDayDeltas += second.entityDayDeltas
        first.typeDayDeltas += second.typeDayDeltas
        first.nextSequence = 1000
        #expect(try catalog.commit(first).segments == [1, 2])
        #expect(try catalog.verify(full: true) == [])

        var mark = CatalogChange()
        mark.markUnlinking = [2]
        let parts = second.addSegments[0].1
        (mark.entityDayDeltas, mark.typeDayDeltas) = Sample.totals(of: parts, day: 20_001, sign: -1)
        _ = try catalog.commit(mark)
        try catalog.read { (reader) throws(Fault) in
            #expect(try reader.segments(overlapping: nil).map(\.state) == [0, 1])
            #expect(try reader.rowsByDay(days: nil) == [20_000: 12])
            #expect(try reader.rowsByEntity(days: nil) == [1: 4, 2: 4, 3: 4])
        }
        #expect(try catalog.verify(full: true) == [])

        var remove = CatalogChange()
        remove.removeSegments = [2]
        _ = try catalog.commit(remove)
        try catalog.read { (reader) throws(Fault) in
            #expect(try reader.segments(overlapping: nil).map(\.number) == [1])
            #expect(try reader.segmentEntities(segment: 2, entities: nil).isEmpty)
            #expect(try reader.segmentEntities(entity: 2).map(\.segment) == [1])
        }
        // The number of a removed segment is never used again.
        #expect(try catalog.commit(Sample.dayOfRows(2, entities: 1...1, rows: 1)).segments == [3])
    }

    @Test func segmentsAreFoundByTime() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        for day in 0..<4 { _ = try catalog.commit(Sample.dayOfRows(Int64(day), entities: 1...2, rows: 3)) }
        try catalog.read { (reader) throws(Fault) in
            let edge = Sample.start + Sample.day + 5
            #expect(try reader.segments(overlapping: edge...edge).map(\.number) == [2])
            #expect(try reader.segments(overlapping: edge - 1...edge - 1).isEmpty)
            #expect(try reader.segments(overlapping: edge...edge + Sample.day).map(\.number) == [2, 3])
            #expect(try reader.segments(overlapping: Int64.min...Int64.max).count == 4)
        }
    }

    @Test func journalAndBatchesAreForgotten() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        for index in 0..<5 {
            var change = CatalogChange()
            let entry = JournalEntry(
                firstSequence: UInt64(index * 10), rows: 10, receivedMs: Int64(index), blob: [UInt8(index)])
            change.journal = [entry]
            change.batches = [
                BatchRecord(
                    scope: BatchRecord.localImporter, tag: [UInt8(index)], bodyHash: [], receivedMs: Int64(index),
                    answer: [1])
            ]
            change.nextSequence = UInt64(index * 10 + 10)
            _ = try catalog.commit(change)
        }
        #expect(try catalog.verify(full: true) == [])
        var forget = CatalogChange()
        forget.deleteJournalBefore = 20
        forget.dropBatchesBefore = 4
        _ = try catalog.commit(forget)
        try catalog.read { (reader) throws(Fault) in
            #expect(try reader.journal(from: 0).map(\.firstSequence) == [20, 30, 40])
            #expect(try reader.journal(from: 30).map(\.firstSequence) == [30, 40])
            #expect(try reader.batch(scope: .max, tag: [3]) == nil)
            #expect(try reader.batch(scope: .max, tag: [4])?.receivedMs == 4)
        }
    }

    @Test func totalsNeverBecomeNegative() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        _ = try catalog.commit(Sample.dayOfRows(0, entities: 1...2, rows: 5))
        var change = CatalogChange()
        change.entityDayDeltas = [DayCount(day: 20_000, key: 1, rows: -6)]
        #expect(fault { () throws(Fault) in try catalog.commit(change) }?.code == .invalid)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.rowsByEntity(days: nil) } == [1: 5, 2: 5])
    }

    @Test func countersTellWhatChanged() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        func counters() throws -> [UInt64] {
            try catalog.read { (reader) throws(Fault) in
                [try reader.changeCounter(), try reader.segmentsCounter(), try reader.namesCounter()]
            }
        }
        #expect(try counters() == [0, 0, 0])
        _ = try catalog.commit(CatalogChange())
        #expect(try counters() == [1, 0, 0])
        _ = try catalog.commit(Sample.dayOfRows(0, entities: 1...1, rows: 1))
        #expect(try counters() == [2, 1, 0])
        var change = CatalogChange()
        change.addEntities = [Sample.entity(1)]
        _ = try catalog.commit(change)
        #expect(try counters() == [3, 1, 1])
        change = CatalogChange()
        change.meta = ["a": 2]
        change.setMeta = ["b": 5]
        _ = try catalog.commit(change)
        _ = try catalog.commit(change)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.meta() } == ["a": 4, "b": 5])
    }
}
