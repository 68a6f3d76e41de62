// Budgets and the space set aside, where they meet imports of exports, copies, upgrades, erasure and compaction.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

@Suite struct BudgetMeetingsTests {
    private static let formats = ExportRequest.Format.allCases

    /// 40 events of each of three entities on four days, exported.
    private static func export(_ format: ExportRequest.Format, _ folder: TestFolder) throws -> ImportRequest {
        let source = try folder.create()
        try BackupTests.fill(source)
        let path = folder.path + "/export." + format.rawValue
        var request = ExportRequest(format: format, to: .path(path))
        if format == .store { request.recipientKey = Fixed.otherKey }
        try source.export(request)
        try source.close()
        var wanted = ImportRequest(sources: [path])
        if format == .store { wanted.sourceKey = Fixed.otherKey }
        return wanted
    }

    private static func use(_ store: BlockingEventStore) throws -> [String: Int] {
        Dictionary(uniqueKeysWithValues: try store.budget().entities.map { ($0.name, $0.events) })
    }

    @Test(arguments: formats) func importsOfExportsKeepToTheBudget(_ format: ExportRequest.Format) throws {
        let folder = TestFolder()
        var request = try Self.export(format, folder)
        for durable in [false, true] {
            let other = TestFolder()
            let store = try other.create()
            try store.setBudget(BudgetChange(eventsPerDay: 100))
            try store.addEntity("two")
            try store.setBudget(BudgetChange(entity: "two", eventsPerDay: 0))
            request.durable = durable
            request.strict = false
            request.dryRun = true
            let planned = try store.importEvents(request)
            #expect(planned.stored == 0 && planned.read == 480)
            #expect(try Self.use(store)["one"] ?? 0 == 0)
            request.dryRun = false
            if !durable {
                request.strict = true
                let refused = try store.importEvents(request)
                #expect(refused.stored == 0 && refused.refusedByReason == ["budget": 120], "\(refused)")
                #expect(try Self.use(store).values.allSatisfy { $0 == 0 })
                #expect(try store.all().isEmpty)
                request.strict = false
            }
            let report = try store.importEvents(request)
            #expect(report.stored == 360 && report.refusedByReason == ["budget": 120], "\(format) \(durable)")
            #expect(try Self.use(store) == ["one": 100, "two": 160, "three": 100], "\(format) \(durable)")
            let again = try store.importEvents(request)
            #expect(again.stored == 0 && again.duplicates == 360 && again.refused == 120, "\(format) \(durable)")
            try store.expectClean()
            try store.close()
            let reopened = try other.open()
            #expect(try Self.use(reopened) == ["one": 100, "two": 160, "three": 100])
            #expect(try reopened.append(BackupTests.events("one", 0, 1, from: 9000)).refused == 1)
            try reopened.close()
        }
    }

    @Test(arguments: formats) func importsOfExportsStopAtTheStoresBudget(_ format: ExportRequest.Format) throws {
        let folder = TestFolder()
        var request = try Self.export(format, folder)
        let other = TestFolder()
        let store = try other.create()
        try store.setBudget(BudgetChange(maxBytes: 1000))
        for (strict, durable) in [(false, false), (true, false), (false, true)] {
            request.strict = strict
            request.durable = durable
            #expect(code { try store.importEvents(request) } == "disk-full", "\(format) \(strict) \(durable)")
        }
        // Counting takes no space.
        request.durable = false
        request.dryRun = true
        #expect(try store.importEvents(request).read == 480)
        #expect(try store.all().isEmpty)
        #expect(TestFolder.files(below: other.store + "/segments").isEmpty)
        request.dryRun = false
        try store.setBudget(BudgetChange(maxBytes: 0))
        #expect(try store.importEvents(request).stored == 480)
        try store.expectClean()
        try store.close()
    }

    @Test func aStoreAtItsBudgetCanMakeRoom() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        try store.flush()
        try store.rotateEntityKeys(["one"])
        try store.setBudget(BudgetChange(maxBytes: 1))
        let more = BackupTests.events("two", 0, 1, from: 5000)
        #expect(code { try store.append(more) } == "disk-full")
        // Repeats are answered: they take nothing.
        #expect(try store.all().count == 480)
        _ = try store.compact()
        #expect(try store.keyStatus().oldKeys.isEmpty)
        try store.setPlan(ofEntity: "three", days: 1)
        #expect(try store.sweep().eventsExpired == 0)
        #expect(try store.eraseEntity("one").events == 160)
        try store.backup(to: folder.backup)
        try store.renameEntity("two", to: "zwei")
        #expect(code { try store.append(more) } == "disk-full")
        try store.setBudget(BudgetChange(maxBytes: try store.budget().storeBytes + (4 << 20)))
        #expect(try store.append(BackupTests.events("zwei", 0, 1, from: 5000)).stored == 1)
        try store.expectClean()
        try store.close()
    }

    @Test func whatIsSetAsideIsNotCopied() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        try store.setBudget(BudgetChange(maxBytes: 1 << 30, eventsPerDay: 500))
        func reserve(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path + "/reserve") }
        #expect(reserve(folder.store))
        try store.backup(to: folder.backup)
        #expect(!TestFolder.files(below: folder.backup).contains { $0.hasSuffix("reserve") })
        try store.export(StoreExportTests.request(folder.path + "/export"))
        #expect(!reserve(folder.path + "/export"))
        let export = try StoreExportTests.open(folder.path + "/export")
        // The budget of the source is none of the export's, which takes nothing in.
        #expect(try export.budget().maxBytes == nil && export.budget().storeBytes > 0)
        try export.close()
        #expect(!reserve(folder.path + "/export"))
        let all = try store.all()
        try store.close()
        try folder.restore()
        #expect(try folder.restoredEvents() == all)
        #expect(reserve(folder.restored))
        let restored = try BlockingEventStore.open(at: folder.restored, key: Fixed.key, options: Fixed.open())
        #expect(try restored.budget().maxBytes == 1 << 30)
        #expect(try restored.budget().each.eventsPerDay == 500)
        try restored.close()
    }

    @Test func anUpgradedStoreHasBudgetsAndAReserve() throws {
        let folder = TestFolder()
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/format-1"
        for name in ["store", "store.key"] { try TestFolder.copy(source + "/" + name, to: folder.path + "/" + name) }
        let key = KeySource.keyFile(folder.path + "/store.key")
        let options = Fixed.open(now: 1_790_000_000_331 + 10 * Fixed.dayMs)
        // Whoever repairs it has to upgrade it first, and hears so.
        #expect(code { try StoreAdministration.repair(at: folder.store, key: key, options: options) } != "(none)")
        #expect(!FileManager.default.fileExists(atPath: folder.store + "/quarantine"))
        _ = try StoreAdministration.upgrade(at: folder.store, key: key)
        let store = try BlockingEventStore.open(at: folder.store, key: key, options: options)
        #expect(FileManager.default.fileExists(atPath: folder.store + "/reserve"))
        let names = try store.names(of: .entity)
        try store.setBudget(BudgetChange(eventsPerDay: 3))
        let event = { (number: UInt64) in
            Event(
                entity: names[0], type: "t", timestamp: 1_790_000_000_331 + 10 * Fixed.dayMs, id: Fixed.id(number))
        }
        let report = try store.append((0..<5).map(event))
        #expect(report.stored == 3 && report.refused == 2)
        try store.rotateEntityKeys(nil)
        _ = try store.compact()
        #expect(try store.keyStatus().oldKeys.isEmpty)
        try store.expectClean()
        try store.close()
        let report2 = try StoreAdministration.repair(at: folder.store, key: key, options: options)
        #expect(report2.wasSound, "\(report2)")
    }

    @Test func anErasedEntitysCountsAreGone() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setBudget(BudgetChange(eventsPerDay: 50))
        try store.append(BackupTests.events("one", 0, 60) + BackupTests.events("two", 0, 10))
        try store.setBudget(BudgetChange(entity: "one", eventsPerDay: 55))
        _ = try store.eraseEntity("one")
        #expect(try Self.use(store) == ["two": 10])
        let rows = try store.engine.context.catalog.read { (reader) throws(Fault) in try reader.arrivals() }
        #expect(rows.count == 1)
        // Another entity of the same name begins anew, with the budget of all.
        #expect(try store.append(BackupTests.events("one", 0, 60, from: 500)).stored == 50)
        try store.close()
        let again = try folder.open()
        #expect(try Self.use(again) == ["one": 50, "two": 10])
        #expect(try again.append(BackupTests.events("one", 0, 1, from: 900)).refused == 1)
        try again.close()
    }
}
