// A store of format 1, as an earlier release wrote it: read as it is, written only after `upgrade`.

import EventStoreCore
import Foundation
import GRDB
import Testing

@testable import EventStore
@testable import EventStoreCatalog

/// Somebody who writes to the catalog with all its checksums right.
enum Rewriting {
    static func run(_ sql: String, _ store: String) throws {
        let queue = try DatabaseQueue(path: store + "/catalog.db", configuration: CatalogConnection.writing)
        try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
        try queue.close()
    }
}

@Suite struct UpgradeTests {
    private static let count = 240
    /// Days after its last event.
    private static let now: Int64 = 1_790_000_000_331 + 10 * Fixed.dayMs

    /// A copy of the fixture with the modes of a store.
    private struct First {
        let folder = TestFolder()
        var path: String { folder.store }
        var key: KeySource { .keyFile(folder.path + "/store.key") }

        init() throws {
            let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/format-1"
            for name in ["store", "store.key", "events.ndjson"] {
                try FileManager.default.copyItem(atPath: source + "/" + name, toPath: folder.path + "/" + name)
            }
            let inside = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
            for file in [""] + inside.map({ "/" + $0 }) {
                let isFile =
                    (try FileManager.default.attributesOfItem(atPath: path + file))[.type] as? FileAttributeType
                try FileManager.default.setAttributes(
                    [.posixPermissions: isFile == .typeDirectory ? 0o700 : 0o600], ofItemAtPath: path + file)
            }
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600], ofItemAtPath: folder.path + "/store.key")
        }

        func open(_ mode: OpenOptions.Mode) throws -> BlockingEventStore {
            try BlockingEventStore.open(at: path, key: key, options: Fixed.open(mode, now: UpgradeTests.now))
        }

        func upgrade(_ key: KeySource? = nil) throws -> UpgradeReport {
            try StoreAdministration.upgrade(at: path, key: key ?? self.key)
        }

        func sqlite(_ sql: String) throws { try Rewriting.run(sql, path) }

        /// What the fixture was made of, read by this version.
        func expected() throws -> [Event] {
            let other = TestFolder()
            let store = try other.create(open: Fixed.open(now: UpgradeTests.now))
            var request = ImportRequest(sources: [folder.path + "/events.ndjson"])
            request.format = .ndjson
            #expect(try store.importEvents(request).stored == UpgradeTests.count)
            defer { try? store.close() }
            return try sorted(store)
        }

        func sorted(_ store: BlockingEventStore) throws -> [Event] {
            try store.all().map(\.plain).sorted { ($0.timestamp, $0.identity) < ($1.timestamp, $1.identity) }
        }
    }

    private func expectEverything(_ store: BlockingEventStore, _ first: First) throws {
        let expected = try first.expected()
        #expect(expected.count == Self.count)
        #expect(try first.sorted(store) == expected)
        #expect(try store.tail().count == Self.count)
        let byEntity = Dictionary(grouping: expected, by: \.entity).mapValues(\.count)
        let counted = try store.counts(by: .entity)
        #expect(Dictionary(uniqueKeysWithValues: counted.map { ($0.key, $0.count) }) == byEntity)
        #expect(try store.one("SELECT count(*) FROM events") == .integer(Int64(Self.count)))
        let failed = expected.filter { $0.attributes["success"] == .bool(false) }.count
        #expect(try store.one("SELECT count(*) FROM events WHERE success = 0") == .integer(Int64(failed)))
        let stats = try store.stats()
        #expect(stats.events == Self.count)
        #expect(try store.entities().map(\.events).reduce(0, +) == Self.count)
        #expect(try store.plans().count == 4)
        try store.expectClean()
        #expect(try store.verifyAudit().firstBroken == nil)
    }

    @Test func formatOneIsReadAsItIs() throws {
        let first = try First()
        let before = try TestFolder.bytes(first.path + "/catalog.db")
        let store = try first.open(.readOnly)
        try expectEverything(store, first)
        #expect(try store.auditRecords().isEmpty && store.receipts().isEmpty)
        #expect(try store.schema().types.isEmpty == false)
        try store.close()
        #expect(try TestFolder.bytes(first.path + "/catalog.db") == before)
    }

    @Test func writingNeedsTheUpgrade() throws {
        let first = try First()
        let files = TestFolder.files(below: first.path)
        for attempt in [
            { _ = try first.open(.readWrite) },
            {
                _ = try StoreAdministration.perform(.compact, at: first.path, key: first.key)
            },
        ] {
            do {
                try attempt()
                Issue.record("format 1 was written to")
            } catch let error as EventStoreError {
                #expect(error.code == .readOnly)
                #expect(error.message.contains("`upgrade`"))
            }
        }
        #expect(TestFolder.files(below: first.path).filter { $0 != "lock" } == files)
        let store = try first.open(.readOnly)
        #expect(try store.all().count == Self.count)
        try store.close()
    }

    @Test func theUpgradeMakesItWritable() throws {
        let first = try First()
        let report = try first.upgrade()
        #expect(report.versionBefore == 1 && report.versionAfter == 2)
        var store = try first.open(.readOnly)
        try expectEverything(store, first)
        let record = try #require(try store.auditRecords().last)
        #expect(record.operation == "upgrade" && record.details == ["from": "1", "to": "2"])
        try store.close()
        store = try first.open(.readWrite)
        try expectEverything(store, first)
        let name = try #require(try store.entities().first?.name)
        var event = Known.event(1)
        event.entity = name
        event.timestamp = Self.now - 1000
        #expect(try store.append([event]).stored == 1)
        try store.suspendEntity(name)
        let erased = try store.eraseEntity(name)
        #expect(erased.receipt.isValid())
        #expect(try store.all().count == Self.count + 1 - erased.events)
        #expect(try store.compact().segmentsAfter > 0)
        try store.expectClean()
        #expect(try store.verifyAudit().firstBroken == nil)
        // Nothing more to do, beside a writer as well.
        #expect(try first.upgrade().versionBefore == 2)
        try store.close()
        let again = try first.upgrade()
        #expect(again.versionBefore == 2 && again.versionAfter == 2)
    }

    @Test func whoMayNotIsRefusedAndNothingChanges() throws {
        let first = try First()
        #expect(code { try first.upgrade(Fixed.otherKey) } == "wrong-key")
        let lock = try StoreEngine.takeLock(StoreFiles(root: first.path), StoreEngine.environment(Fixed.open()))
        #expect(code { try first.upgrade() } == "locked")
        lock.release()
        #expect(code { try StoreAdministration.upgrade(at: first.path + "x", key: first.key) } == "not-found")
        #expect(code { try first.open(.readWrite) } == "read-only")
        // Readers do not stand in its way, and go on.
        let reader = try first.open(.readOnly)
        #expect(try reader.all().count == Self.count)
        #expect(try first.upgrade().versionBefore == 1)
        #expect(try reader.all().count == Self.count)
        #expect(try reader.entities().count > 1)
        try reader.close()
    }

    @Test func aNewerFormatIsRefused() throws {
        let first = try First()
        _ = try first.upgrade()
        try first.sqlite("UPDATE settings SET format_version = 3")
        for mode in [OpenOptions.Mode.readOnly, .readWrite] { #expect(code { try first.open(mode) } == "too-new") }
        #expect(code { try first.upgrade() } == "too-new")
        #expect(code { try StoreAdministration.perform(.compact, at: first.path, key: first.key) } == "too-new")
        try first.sqlite("UPDATE settings SET format_version = 2")
        let store = try first.open(.readWrite)
        try expectEverything(store, first)
        try store.close()
    }
}

@Suite struct AuditHeadTests {
    private func run(_ folder: TestFolder, _ sql: String) throws { try Rewriting.run(sql, folder.store) }

    @Test func aKeptHeadShowsThatTheEndWasCutOff() throws {
        let folder = TestFolder()
        var store = try folder.create()
        for name in ["a", "b", "c"] { try store.addEntity(name) }
        let head = try store.auditHead()
        try store.addEntity("d")
        #expect(try store.verifyAudit(including: head).firstBroken == nil)
        var changed = head
        changed.text = head.text.replacing("\"number\":3", with: "\"number\":2")
        #expect(changed.text != head.text)
        #expect(code { try store.verifyAudit(including: changed) } == "invalid")
        try store.close()
        try run(folder, "DELETE FROM audit WHERE number > 2")
        store = try folder.open(Fixed.open(.readOnly))
        #expect(try store.verifyAudit().firstBroken == nil)
        #expect(try store.verifyAudit(including: head).firstBroken?.number == 3)
        try store.close()
        // Others in the place of those cut off.
        store = try folder.open()
        try store.addEntity("e")
        #expect(try store.verifyAudit().firstBroken == nil)
        #expect(try store.verifyAudit(including: head).firstBroken?.number == 3)
        try store.close()
        let other = TestFolder()
        let stranger = try other.create()
        #expect(code { try stranger.verifyAudit(including: head) } == "invalid")
        try stranger.close()
    }

    @Test(arguments: [
        "UPDATE audit SET body = zeroblob(length(body)) WHERE number = 2",
        "UPDATE audit SET time_ms = 1 WHERE number = 2",
        "DELETE FROM audit WHERE number = 2", "UPDATE audit SET mac = zeroblob(32) WHERE number = 2",
    ]) func theFirstBadRecordIsNamed(_ sql: String) throws {
        let folder = TestFolder()
        var store = try folder.create()
        for name in ["a", "b", "c"] { try store.addEntity(name) }
        try store.close()
        try run(folder, sql)
        store = try folder.open(Fixed.open(.readOnly))
        #expect(try store.verifyAudit().firstBroken?.number == 2)
        try store.close()
    }
}
