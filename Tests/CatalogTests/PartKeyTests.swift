// Which key a part of a segment is under: its entity's, or one the entity had when the part was sealed.

import EventStoreCore
import GRDB
import Testing

@testable import EventStoreCatalog

@Suite struct PartKeyTests {
    private static func filled() throws -> (Scratch, Catalog) {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        var change = Sample.dayOfRows(0, entities: 1...3, rows: 10)
        change.addEntities = (1...3).map(Sample.entity)
        _ = try catalog.commit(change)
        return (scratch, catalog)
    }

    private static func rotate(_ number: UInt32, to key: UInt64, _ catalog: Catalog) throws {
        var record = try #require(
            try catalog.read { (reader) throws(Fault) in try reader.entities() }
                .first { $0.number == number })
        var change = CatalogChange()
        change.retireKeys = [RetiredKey(id: record.keyID, entity: number, generation: 1, retiredMs: 5)]
        record.keyID = key
        change.updateEntities = [record]
        _ = try catalog.commit(change)
    }

    private static func keys(_ catalog: Catalog, segment: Int64) throws -> [UInt64] {
        try catalog.read { (reader) throws(Fault) in try reader.segmentEntities(segment: segment, entities: nil) }
            .map(\.keyID)
    }

    @Test func aPartKeepsTheKeyItWasSealedUnder() throws {
        let (scratch, catalog) = try Self.filled()
        defer { withExtendedLifetime(scratch) {} }
        let first = (1...3).map { UInt64.max - UInt64($0) }
        #expect(try Self.keys(catalog, segment: 1) == first)
        try Self.rotate(2, to: 77, catalog)
        #expect(try Self.keys(catalog, segment: 1) == first)
        // Written before the rotation and published after it: its parts say what they are under.
        var change = Sample.dayOfRows(1, entities: 1...3, rows: 10)
        change.addSegments[0].1[1].keyID = first[1]
        _ = try catalog.commit(change)
        change = Sample.dayOfRows(2, entities: 1...3, rows: 10)
        change.addSegments[0].1[1].keyID = 77
        _ = try catalog.commit(change)
        #expect(try Self.keys(catalog, segment: 2) == first)
        #expect(try Self.keys(catalog, segment: 3) == [first[0], 77, first[2]])
        try Self.rotate(2, to: 78, catalog)
        #expect(try Self.keys(catalog, segment: 2) == first)
        #expect(try Self.keys(catalog, segment: 3)[1] == 77)
        let parts = try catalog.read { (reader) throws(Fault) in try reader.segmentEntities(entity: 2) }
        #expect(parts.map(\.keyID) == [first[1], first[1], 77])
        #expect(try catalog.verify(full: true).isEmpty)
        let single = try catalog.read { (reader) throws(Fault) in try reader.segmentEntities(segment: 3, entities: [2])
        }
        #expect(single.map(\.keyID) == [77])
        // Gone with the segments.
        change = CatalogChange()
        change.markUnlinking = [1, 2, 3]
        for index in Int64(0)...2 {
            let parts = (1...3).map { Sample.part($0, day: index, rows: 10) }
            let (entities, types) = Sample.totals(of: parts, day: Int32(20_000 + index), sign: -1)
            change.entityDayDeltas += entities
            change.typeDayDeltas += types
        }
        _ = try catalog.commit(change)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.partKeys() }.count == 3)
        change = CatalogChange()
        change.removeSegments = [1, 2, 3]
        _ = try catalog.commit(change)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.partKeys() }.isEmpty)
        #expect(try catalog.verify(full: true).isEmpty)
    }

    @Test func aKeyInUseIsNotNotedAsDestroyed() throws {
        let (scratch, catalog) = try Self.filled()
        defer { withExtendedLifetime(scratch) {} }
        let old = UInt64.max - 2
        try Self.rotate(2, to: 77, catalog)
        var change = CatalogChange()
        change.destroyedKeys = [DestroyedKey(id: old, timeMs: 9)]
        #expect(fault { () throws(Fault) in try catalog.commit(change) }?.code == .invalid)
        var gone = CatalogChange()
        let part = Sample.part(2, day: 0, rows: 10)
        gone.addGone = [GonePart(segment: 1, entity: 2, rows: 10, ranges: [0..<10])]
        (gone.entityDayDeltas, gone.typeDayDeltas) = Sample.totals(of: [part], day: 20_000, sign: -1)
        _ = try catalog.commit(gone)
        _ = try catalog.commit(change)
        let keys = try catalog.read { (reader) throws(Fault) in try reader.retiredKeys() }
        #expect(keys == [RetiredKey(id: old, entity: 2, generation: 1, retiredMs: 5, destroyedMs: 9)])
    }

    /// A catalog has no tables for rotations until the first.
    @Test func theTablesComeWithTheFirstRotation() throws {
        let (scratch, catalog) = try Self.filled()
        defer { withExtendedLifetime(scratch) {} }
        #expect(try Self.keys(catalog, segment: 1).count == 3)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.retiredKeys() }.isEmpty)
        try Self.rotate(2, to: 77, catalog)
        #expect(try Self.keys(catalog, segment: 1)[1] == UInt64.max - 2)
        #expect(try catalog.verify(full: true).isEmpty)
    }
}
