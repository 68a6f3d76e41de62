// Entities whose keys were rotated and whose older parts still lie under the keys of before, in everything that reads
// or moves parts of segments.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

@Suite struct RotatedKeysTests {
    /// Of "one" parts lie under three keys, of "two" under two, of "three" under one; the journal has rows of two keys.
    static func rotated(
        _ folder: TestFolder, _ partition: Partition = .day, options: OpenOptions = Fixed.open()
    ) throws -> BlockingEventStore {
        let store = try folder.create(Fixed.create(partition), open: options)
        try BackupTests.fill(store)
        try store.flush()
        try store.rotateEntityKeys(["one", "two"])
        try append(store, 6000)
        try store.flush()
        try append(store, 7000)
        try store.rotateEntityKeys(["one"])
        try append(store, 8000)
        return store
    }

    static func append(_ store: BlockingEventStore, _ from: UInt64) throws {
        for entity in ["one", "two", "three"] { try store.append(BackupTests.events(entity, 0, 5, from: from)) }
    }

    static let filters = [
        EventFilter(), EventFilter(entities: ["one"]), EventFilter(entities: ["one", "three"]),
        EventFilter(conditions: [.init("n", .less, .integer(20))]),
    ]

    @Test(arguments: [Partition.day, .week]) func storeExportsHaveAllOfIt(_ partition: Partition) throws {
        let folder = TestFolder()
        let source = try Self.rotated(folder, partition)
        for (number, filter) in Self.filters.enumerated() {
            let path = folder.path + "/export\(number)"
            try source.export(StoreExportTests.request(path, filter))
            let export = try StoreExportTests.open(path)
            try export.expectClean("filter \(number)")
            #expect(try export.all() == source.all(filter), "filter \(number)")
            #expect(try export.keyStatus().oldKeys.isEmpty && export.keyStatus().unusedKeys == 0)
            try export.close()
            let other = TestFolder()
            let target = try other.create(Fixed.create(partition))
            var request = ImportRequest(sources: [path])
            request.sourceKey = Fixed.otherKey
            #expect(try target.importEvents(request).stored == source.all(filter).count)
            #expect(Set(try target.all().map(\.plain)) == Set(try source.all(filter).map(\.plain)))
            try target.close()
        }
        try source.close()
    }

    @Test func otherExportsHaveAllOfIt() throws {
        let folder = TestFolder()
        let source = try Self.rotated(folder)
        for format in [ExportRequest.Format.ndjson, .csv, .parquet, .sqlite] {
            let path = folder.path + "/export." + format.rawValue
            #expect(try source.export(ExportRequest(format: format, to: .path(path))).events == source.all().count)
            let other = TestFolder()
            let target = try other.create()
            #expect(try target.importEvents(ImportRequest(sources: [path])).stored == source.all().count)
            #expect(Set(try target.all().map(\.plain)) == Set(try source.all().map(\.plain)), "\(format)")
            try target.close()
        }
        try source.close()
    }

    @Test func backupsAreVerifiedAndRestored() throws {
        let folder = TestFolder()
        let store = try Self.rotated(folder)
        var options = BackupOptions()
        options.verify = true
        let report = try store.backup(to: folder.backup, options: options)
        #expect(report.problems.isEmpty, "\(report.problems)")
        // Entities, not keys.
        #expect(report.entitiesWithoutKeyBackup == 3)
        try store.backUpKeys(to: folder.path + "/keys")
        #expect(try store.backup(to: folder.backup).entitiesWithoutKeyBackup == 0)
        let all = try store.all()
        #expect(try folder.restore().entitiesUnreadable.isEmpty)
        #expect(try folder.restoredEvents() == all)
        // The restored store goes on: its old keys go as anybody's.
        let restored = try BlockingEventStore.open(at: folder.restored, key: Fixed.key, options: Fixed.open())
        #expect(try restored.keyStatus().oldKeys.map(\.entity) == ["one", "two"])
        _ = try restored.compact()
        #expect(try restored.keyStatus().oldKeys.isEmpty)
        #expect(try restored.all() == all)
        try restored.expectClean()
        try restored.close()
        try store.close()
    }

    // MARK: Repair

    private static func repair(_ folder: TestFolder, dryRun: Bool = false) throws -> RepairReport {
        try StoreAdministration.repair(at: folder.store, key: Fixed.key, options: Fixed.open(), dryRun: dryRun)
    }

    @Test(arguments: [Partition.day, .week]) func repairFindsNothingInASoundStore(_ partition: Partition) throws {
        let folder = TestFolder()
        let store = try Self.rotated(folder, partition)
        let all = try store.all()
        try store.close()
        #expect(try Self.repair(folder, dryRun: true).wasSound)
        let report = try Self.repair(folder)
        #expect(report.wasSound, "\(report)")
        let again = try folder.open()
        #expect(try again.all() == all)
        try again.expectClean()
        try again.close()
    }

    @Test(arguments: [Partition.day, .week]) func repairSavesWhatLiesUnderOldKeys(_ partition: Partition) throws {
        for seed in TestRun.seeds("RotatedKeysTests.repairSavesWhatLiesUnderOldKeys") {
            var random = SeededGenerator(seed: seed)
            for round in 0..<8 {
                let folder = TestFolder()
                let store = try Self.rotated(folder, partition)
                let all = try store.all()
                try store.close()
                let file =
                    folder.store + "/segments/" + random.pick(TestFolder.files(below: folder.store + "/segments"))
                var bytes = try TestFolder.bytes(file)
                let bit = Int.random(in: 64 * 8..<bytes.count * 8, using: &random)
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                try Data(bytes).write(to: URL(fileURLWithPath: file))
                let report = try Self.repair(folder)
                let what: Comment = "seed \(seed), round \(round), bit \(bit) of \(bytes.count)"
                #expect(report.segmentsDamaged == 1 && report.holesLeft.isEmpty, what)
                let again = try folder.open()
                let left = try again.all()
                #expect(left.count + report.eventsLost == all.count, what)
                #expect(Set(left).isSubset(of: all), what)
                // The tail of the file makes all of it unreadable; one block is one entity's.
                if bit < (bytes.count - 600) * 8 { #expect(report.losses.count <= 1, "\(what): \(report.losses)") }
                try again.expectClean(what)
                _ = try again.compact()
                #expect(try again.all() == left, what)
                let status = try again.keyStatus()
                #expect(status.oldKeys.isEmpty && status.entityKeys == 3, what)
                try again.expectClean(what)
                #expect(try again.verifyAudit().firstBroken == nil, what)
                try again.close()
            }
        }
    }

    // MARK: Erasure and retention

    @Test(arguments: [Partition.day, .week]) func erasureReachesEveryKey(_ partition: Partition) throws {
        let folder = TestFolder()
        let store = try Self.rotated(folder, partition)
        let others = try store.all().filter { $0.entity != "one" }
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.all().count == others.count + 175)
        let report = try store.eraseEntity("one")
        #expect(report.events == 175)
        #expect(try store.keyStatus().tombstones.count == 3)
        for handle in [store, reader] {
            #expect(try handle.all() == others)
            try handle.expectClean()
        }
        _ = try store.compact()
        #expect(try store.keyStatus().oldKeys.isEmpty)
        #expect(try store.keyStatus().entityKeys == 2)
        #expect(try reader.all() == others)
        try store.expectClean()
        for handle in [store, reader] { try handle.close() }
    }

    @Test(arguments: [Partition.day, .week]) func expiredPartsUnderOldKeysGo(_ partition: Partition) throws {
        let folder = TestFolder()
        let store = try folder.create(Fixed.create(partition))
        // Runs long enough to be punched, and short ones.
        for (entity, count) in [("one", 3000), ("two", 20), ("three", 20)] {
            for day in Int64(-3)...0 {
                try store.append(
                    (0..<count).map { index in
                        Event(
                            entity: entity, type: "t", timestamp: Fixed.day + day * Fixed.dayMs + Int64(index),
                            id: UUID(), attributes: ["r": .string(UUID().uuidString + UUID().uuidString)])
                    })
            }
        }
        try store.flush()
        try store.rotateEntityKeys(nil)
        try store.append([Keys.event("two", 1)])
        let all = try store.all()
        try store.setPlan(ofEntity: "one", days: 1)
        try store.setPlan(ofEntity: "two", days: 1)
        let kept = all.filter { $0.entity == "three" || $0.timestamp >= Fixed.day - Fixed.dayMs }
        #expect(try store.all() == kept)
        try store.expectClean()
        #expect(try store.counts(by: .total).map(\.count) == [kept.count])
        for day in Int64(-3)...0 {
            var filter = EventFilter(types: ["t"])
            filter.since = Fixed.day + day * Fixed.dayMs
            filter.until = filter.since.map { $0 + Fixed.dayMs }
            let wanted = kept.count { $0.timestamp >= filter.since! && $0.timestamp < filter.until! }
            #expect(try store.counts(by: .type, filter).reduce(0) { $0 + $1.count } == wanted, "day \(day)")
        }
        _ = try store.compact()
        #expect(try store.keyStatus().oldKeys.isEmpty)
        #expect(try store.all() == kept)
        try store.expectClean()
        try store.close()
        let again = try folder.open()
        #expect(try again.all() == kept)
        try again.expectClean()
        try again.close()
    }

    // MARK: Rotation beside what reads

    @Test(arguments: [false, true]) func cursorsGoOnWhenTheirKeysAreDestroyed(_ isOther: Bool) throws {
        let folder = TestFolder()
        let store = try Self.rotated(folder)
        let all = try store.all()
        let reader = isOther ? try folder.open(Fixed.open(.readOnly)) : store
        let cursor = try reader.cursor(EventFilter(), order: .oldestFirst)
        var found: [Event] = []
        var isFirst = true
        while let batch = try cursor.nextBatch() {
            for index in 0..<batch.count { found.append(batch[index]) }
            if isFirst { try store.rotateEntityKeys(nil, now: true) }
            isFirst = false
        }
        #expect(found == all)
        #expect(try reader.ask("SELECT count(*) FROM events") == store.ask("SELECT count(*) FROM events"))
        if isOther { try reader.close() }
        try store.close()
    }

    @Test func exportsGoOnOrSayWhyNot() throws {
        for format in ExportRequest.Format.allCases {
            let folder = TestFolder()
            let store = try Self.rotated(folder)
            let all = try store.all()
            var request = ExportRequest(format: format, to: .path(folder.path + "/export"))
            if format == .store { request.recipientKey = Fixed.otherKey }
            let rotations = Once { _ = try? store.rotateEntityKeys(nil, now: true) }
            request.isCancelled = {
                rotations.run()
                return false
            }
            do {
                #expect(try store.export(request).events == all.count, "\(format)")
            } catch {
                Issue.record("\(format): \(error)")
            }
            #expect(try store.all() == all)
            try store.close()
        }
    }
}

/// Runs something the first time it is asked to. `@unchecked Sendable`: the flag is behind a lock.
final class Once: @unchecked Sendable {
    private let lock = NSLock()
    private var isDone = false
    private let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func run() {
        let isFirst = lock.withLock {
            defer { isDone = true }
            return !isDone
        }
        if isFirst { body() }
    }
}
