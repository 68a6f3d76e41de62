// A backup is the store as it was at one moment, whatever goes on meanwhile, and restores to exactly that.

import EventStoreCore
import EventStoreCrypto
import Foundation
import Synchronization
import Testing

@testable import EventStore

extension TestFolder {
    var backup: String { path + "/backup" }
    var restored: String { path + "/restored" }

    /// A copy of the keyring as it is now.
    func copyKeyring(_ name: String = "keyring-copy") throws -> String {
        try TestFolder.copy(store + "/keyring", to: path + "/" + name)
        return path + "/" + name
    }

    @discardableResult
    func restore(keyring: String? = nil, force: Bool = false, open: OpenOptions = Fixed.open()) throws -> RestoreReport
    {
        var options = RestoreOptions()
        options.force = force
        return try StoreAdministration.restore(
            from: backup, to: restored, keyring: keyring ?? store + "/keyring", key: Fixed.key, options: options,
            open: open)
    }

    /// Everything in the restored store, which is clean.
    func restoredEvents(_ open: OpenOptions = Fixed.open()) throws -> [Event] {
        let store = try BlockingEventStore.open(at: restored, key: Fixed.key, options: open)
        defer { try? store.close() }
        try store.expectClean()
        #expect(try store.verifyAudit().firstBroken == nil)
        return try store.all()
    }

    func discardRestored() throws { try FileManager.default.removeItem(atPath: restored) }
}

@Suite struct BackupTests {
    static func events(_ entity: String, _ day: Int64, _ count: Int, from: UInt64 = 0) -> [Event] {
        (0..<count).map { (index: Int) -> Event in
            let number: UInt64 = from + UInt64(index) + UInt64(day + 100) << 20
            let time: Int64 = Fixed.day + day * Fixed.dayMs + Int64(index)
            return Event(
                entity: entity, type: index % 3 == 0 ? "a" : "b", timestamp: time, id: Fixed.id(number),
                attributes: ["n": .integer(Int64(index)), "s": .string("value \(index % 7)")])
        }
    }

    static func fill(_ store: BlockingEventStore) throws {
        for day in Int64(-3)...0 {
            for entity in ["one", "two", "three"] { try store.append(events(entity, day, 40)) }
        }
    }

    // MARK: The plain way

    @Test func aRestoredStoreIsTheStoreEventForEvent() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try Self.fill(store)
        var options = BackupOptions()
        options.verify = true
        let report = try store.backup(to: folder.backup, options: options)
        #expect(report.problems.isEmpty && report.warnings.isEmpty && report.isVerified)
        #expect(report.events == 480 && report.entities == 3 && report.files == 4 && report.filesCopied == 4)
        #expect(report.entitiesWithoutKeyBackup == 3)
        let expected = try store.all()
        try store.append(Self.events("late", 0, 5))
        let restored = try folder.restore()
        #expect(restored.events == 480 && restored.entities == 3 && restored.nextSequence == report.nextSequence)
        #expect(try folder.restoredEvents() == expected)
        #expect(try store.auditRecords().contains { $0.operation == "backup" })
        let mode = try FileManager.default.attributesOfItem(atPath: folder.restored + "/keyring")[.posixPermissions]
        #expect(mode as? Int == 0o600)
        try store.close()
        #expect(code { try folder.restore() } == "exists")
        #expect(try folder.restore(force: true).movedAside != nil)
    }

    @Test func onlyNewFilesTravel() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try Self.fill(store)
        let first = try store.backup(to: folder.backup)
        #expect(first.bytesCopied > 0)
        let second = try store.backup(to: folder.backup)
        #expect(second.filesCopied == 0 && second.bytesCopied == 0 && second.files == first.files)
        try store.append(Self.events("one", -9, 100))
        let third = try store.backup(to: folder.backup)
        #expect(third.filesCopied == 1 && third.files == first.files + 1)
        let added = third.bytesCopied
        #expect(added > 0 && added < first.bytesCopied)
        // One catalog, one manifest, nothing temporary.
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.backup).sorted()
        #expect(names.count == 4 && names.contains("backup.json") && names.contains("lock"), "\(names)")
        try folder.restore()
        #expect(try folder.restoredEvents() == store.all())
        try store.close()
    }

    @Test func dropsAreMirroredOrKeptForAWhile() throws {
        let clock = SimulatedClock(Fixed.now)
        let folder = TestFolder()
        let store = try folder.create(open: clock.options())
        try store.addEntity("one", plan: "starter")
        for day in Int64(-5)...0 { try store.append(Self.events("one", day, 20)) }
        try store.backup(to: folder.backup)
        let before = try store.all()
        clock.advance(4 * Fixed.dayMs)
        _ = try store.sweep(confirmed: true)
        var options = BackupOptions()
        options.keepExpiredMs = 7 * Fixed.dayMs
        let kept = try store.backup(to: folder.backup, options: options)
        #expect(kept.filesRemoved > 0 && kept.filesCopied == 0)
        let homes = try FileManager.default.contentsOfDirectory(atPath: folder.backup + "/expired")
        #expect(homes.count == 1)
        // What was dropped, laid over the backup, is the backup before.
        let old = folder.path + "/old"
        try TestFolder.copy(folder.backup, to: old)
        let home = old + "/expired/" + (homes.first ?? "")
        for file in TestFolder.files(below: home) {
            let target = old + "/" + file
            try? FileManager.default.createDirectory(
                atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try TestFolder.copy(home + "/" + file, to: target)
        }
        try StoreAdministration.restore(
            from: old, to: folder.path + "/earlier", keyring: folder.store + "/keyring", key: Fixed.key,
            open: Fixed.open())
        let earlier = try BlockingEventStore.open(
            at: folder.path + "/earlier", key: Fixed.key, options: Fixed.open(.readOnly))
        #expect(try earlier.all() == before)
        try earlier.close()
        clock.advance(8 * Fixed.dayMs)
        _ = try store.sweep(confirmed: true)
        let report = try store.backup(to: folder.backup)
        #expect(report.files == 0 && report.events == 0)
        #expect(!FileManager.default.fileExists(atPath: folder.backup + "/expired"))
        #expect(TestFolder.files(below: folder.backup + "/segments").isEmpty)
        try store.close()
    }

    @Test func theDirectoryMustBeABackupOfThisStore() throws {
        let folder = TestFolder()
        let other = TestFolder()
        let store = try folder.create()
        try store.append(Self.events("one", 0, 5))
        _ = try folder.write("file", "x")
        #expect(code { try store.backup(to: folder.path) } == "invalid")
        #expect(code { try store.backup(to: folder.store + "/backup") } == "invalid")
        #expect(code { try store.backup(to: folder.path + "/file") } == "exists")
        _ = try other.write("file", "x")
        #expect(code { try store.backup(to: other.path) } == "exists")
        let second = try other.create()
        try second.backup(to: folder.backup)
        #expect(code { try store.backup(to: folder.backup) } == "exists")
        try second.close()
        #expect(code { try folder.restore() } == "wrong-key")
        #expect(!FileManager.default.fileExists(atPath: folder.restored))
        try store.close()
    }

    @Test func theHolderMakesIt() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try Self.fill(store)
        let report = try StoreAdministration.backup(
            folder.store, to: folder.backup, key: Fixed.key, open: Fixed.open())
        #expect(report.events == 480)
        try folder.restore()
        #expect(try folder.restoredEvents() == store.all())
        try store.close()
    }

    @Test func damageIsFoundByVerifyingAndByRestoring() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try Self.fill(store)
        try store.backup(to: folder.backup)
        let file = folder.backup + "/segments/" + (TestFolder.files(below: folder.backup + "/segments").first ?? "")
        var bytes = try TestFolder.bytes(file)
        bytes[bytes.count / 2] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        var options = BackupOptions()
        options.verify = true
        #expect(try store.backup(to: folder.backup, options: options).problems.count == 1)
        try Data(bytes.dropLast()).write(to: URL(fileURLWithPath: file))
        #expect(code { try folder.restore() } == "damaged")
        #expect(!FileManager.default.fileExists(atPath: folder.restored))
        // A file of another size is copied anew.
        #expect(try store.backup(to: folder.backup, options: options).problems.isEmpty)
        try folder.restore()
        #expect(try folder.restoredEvents() == store.all())
        try store.close()
    }

    // MARK: Secrets

    @Test func noFileOfABackupShowsANameAValueOrAKey() throws {
        let folder = TestFolder()
        let store = try folder.create(Fixed.create(.day, sharedMin: 1))
        for (index, name) in CanaryTests.entityNames.enumerated() {
            try store.append([
                Event(
                    entity: name, type: CanaryTests.types[index % 2], timestamp: Fixed.day + Int64(index),
                    id: CanaryTests.ids[index],
                    attributes: [
                        CanaryTests.names[0]: .string(CanaryTests.values[index % 4]),
                        CanaryTests.names[1]: .integer(CanaryTests.number),
                    ])
            ])
        }
        try store.backup(to: folder.backup)
        try store.append(Self.events(CanaryTests.entityNames[0], 0, 5))
        let ring = store.engine.context.keyring
        var keys = try ring.entityKeyIDs().map { id in try ring.entityKey(id).withUnsafeBytes { [UInt8]($0) } }
        keys += KeyPurpose.allCases.map { ring.subkey($0).withUnsafeBytes { [UInt8]($0) } }
        keys.append([UInt8](repeating: 7, count: 32))
        // Not even wrapped: a part of the keyring's body.
        let file = try TestFolder.bytes(folder.store + "/keyring")
        keys.append(Array(file[(file.count - 96)..<(file.count - 64)]))
        for name in TestFolder.files(below: folder.backup) {
            let bytes = try TestFolder.bytes(folder.backup + "/" + name)
            #expect(CanaryTests.find(in: bytes).isEmpty, "\(name)")
            #expect(!keys.contains { Data(bytes).range(of: Data($0)) != nil }, "\(name) holds a key")
            #expect(!name.contains("keyring"))
        }
        try store.close()
    }

    @Test func anEarlierFormatIsUpgradedFirst() throws {
        let folder = TestFolder()
        let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/format-1"
        guard
            let root = [fixture, fixture + "/store"].first(where: {
                FileManager.default.fileExists(atPath: $0 + "/catalog.db")
            })
        else { return }
        try TestFolder.copy(root, to: folder.store)
        let failure = code {
            try StoreAdministration.backup(folder.store, to: folder.backup, key: Fixed.key, open: Fixed.open())
        }
        #expect(failure == "read-only" || failure == "wrong-key")
        #expect(!FileManager.default.fileExists(atPath: folder.backup))
    }
}
