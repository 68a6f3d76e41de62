// What is erased stays erased, whichever of backup and keyring is the older one.

import EventStoreCatalog
import EventStoreCore
import Foundation
import Testing

@testable import EventStore

@Suite struct BackupErasureTests {
    @Test(arguments: [Partition.day, .month]) func anOldBackupWithTheNewKeyring(_ partition: Partition) throws {
        let folder = TestFolder()
        let store = try folder.create(Fixed.create(partition))
        try BackupTests.fill(store)
        try store.append(BackupTests.events("alone", -20, 30))
        try store.backup(to: folder.backup)
        try store.append(BackupTests.events("two", 0, 7, from: 1000))
        _ = try store.eraseEntity("two")
        _ = try store.eraseEntity("alone")
        let report = try folder.restore()
        #expect(report.entitiesErased == 2 && report.events == 320 && report.entities == 2)
        let events = try folder.restoredEvents()
        #expect(events == (try store.all().filter { $0.sequence < report.nextSequence }))
        #expect(Set(events.map(\.entity)) == ["one", "three"])
        // It lives on: the name is free, a merge gives back what is left of the bytes.
        let restored = try BlockingEventStore.open(at: folder.restored, key: Fixed.key, options: Fixed.open())
        try restored.append(BackupTests.events("two", 0, 3))
        _ = try restored.compact()
        try restored.expectClean()
        #expect(try restored.all().count == 323)
        try restored.close()
        try store.close()
    }

    @Test func aNewBackupWithAnOldKeyring() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        let old = try folder.copyKeyring()
        _ = try store.eraseEntity("two")
        try store.backup(to: folder.backup)
        let report = try folder.restore(keyring: old)
        #expect(report.keysDestroyed == 1 && report.events == 320)
        let restored = try BlockingEventStore.open(at: folder.restored, key: Fixed.key, options: Fixed.open())
        #expect(restored.engine.context.keyring.entityKeyIDs().count == 2)
        #expect(restored.engine.context.keyring.tombstones().count == 1)
        try restored.expectClean()
        try restored.close()
        try store.close()
        // Put back by hand, without `restore`, an old keyring is not written with.
        try TestFolder.copy(old, to: folder.store + "/keyring")
        #expect(code { try folder.open() } == "wrong-key")
    }

    @Test func aKeyringThatLacksKeys() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        let old = try folder.copyKeyring()
        try store.append(BackupTests.events("younger", -1, 9))
        try store.backup(to: folder.backup)
        #expect(code { try folder.restore(keyring: old) } == "not-found")
        #expect(!FileManager.default.fileExists(atPath: folder.restored))
        let report = try folder.restore(keyring: old, force: true)
        #expect(report.entitiesUnreadable == [3] && report.events == 480)
        #expect(try folder.restoredEvents() == store.all().filter { $0.entity != "younger" })
        // A newer copy finds everything still in the backup.
        try folder.discardRestored()
        try folder.restore()
        #expect(try folder.restoredEvents() == store.all())
        try store.close()
    }

    @Test func partsGoneSinceAreDestroyedInTheCopies() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        try store.backup(to: folder.backup)
        _ = try store.eraseEntity("two")
        var options = BackupOptions()
        options.verify = true
        let report = try store.backup(to: folder.backup, options: options)
        #expect(report.partsDestroyed == 4 && report.filesCopied == 0 && report.problems.isEmpty)
        // The copies are what the files of the store are.
        for file in TestFolder.files(below: folder.backup + "/segments") {
            let bytes = try TestFolder.bytes(folder.backup + "/segments/" + file)
            #expect(try bytes == TestFolder.bytes(folder.store + "/segments/" + file), "\(file)")
        }
        let again = try store.backup(to: folder.backup)
        #expect(again.partsDestroyed == 0)
        try folder.restore()
        #expect(try folder.restoredEvents() == store.all())
        try store.close()
    }

    @Test func aRestoredStoreNeverWritesToTheOriginalsKeyBackup() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        let path = folder.path + "/configured"
        let lane = try store.engine.writer()
        try lane.inTurn { () throws(Fault) in
            var backups = KeyBackups()
            backups.configuredPath = path
            let text = [UInt8]((try? JSONEncoder().encode(backups)) ?? Data())
            var change = CatalogChange()
            change.setDocuments = [
                KeyBackups.documentName: try store.engine.sealed(document: KeyBackups.documentName, text)
            ]
            _ = try lane.commit(change)
        }
        try store.backup(to: folder.backup)
        try folder.restore()
        let restored = try BlockingEventStore.open(at: folder.restored, key: Fixed.key, options: Fixed.open())
        #expect(try restored.engine.keyBackups().configuredPath == nil)
        _ = try restored.eraseEntity("one")
        #expect(!FileManager.default.fileExists(atPath: path))
        try restored.close()
        try store.close()
    }
}
