// New keys for entities: what is read meanwhile, what the old key still opens, and what copies of data and keys are
// worth afterwards.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation
import Testing

@testable import EventStore

@Suite struct EntityKeyTests {
    private static func filled() throws -> (TestFolder, BlockingEventStore) {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        try store.flush()
        try store.append(BackupTests.events("one", 0, 5, from: 5000) + BackupTests.events("two", 0, 5, from: 5000))
        return (folder, store)
    }

    private static func keyIDs(_ store: BlockingEventStore) -> [UInt64] {
        store.engine.context.keyring.entityKeyIDs()
    }

    // MARK: Reading goes on

    @Test func whatIsThereIsReadAndWhatComesIsUnderTheNewKey() throws {
        let (folder, store) = try Self.filled()
        let before = try store.all()
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.all() == before)
        let old = Set(Self.keyIDs(store))
        let report = try store.rotateEntityKeys(["one", "one"])
        #expect(report.entities == 1 && report.segmentsLeft == 4 && report.bytesLeft > 0 && report.keysDestroyed == 0)
        #expect(Set(Self.keyIDs(store)).subtracting(old).count == 1)
        #expect(try store.all() == before)
        #expect(try reader.all() == before)
        try store.append(BackupTests.events("one", 0, 5, from: 6000))
        #expect(try reader.all().count == before.count + 5)
        // A repeat of what lies under the old key is known.
        #expect(try store.append(BackupTests.events("one", -2, 40)).duplicates == 40)
        try store.flush()
        let after = try store.all()
        #expect(after.count == before.count + 5)
        #expect(try reader.all() == after)
        let use = try #require(try store.keyStatus().oldKeys.first)
        #expect(use.entity == "one" && use.keys.count == 1 && use.segments == 4)
        #expect(try reader.keyStatus().oldKeys == [use])
        try store.expectClean()
        try reader.expectClean()
        try store.close()
        let again = try folder.open()
        #expect(try again.all() == after)
        #expect(try again.keyStatus().oldKeys == [use])
        _ = try again.compact()
        #expect(try again.keyStatus().oldKeys.isEmpty)
        #expect(try again.keyStatus().unusedKeys == 0 && Self.keyIDs(again).count == 3)
        #expect(try again.all() == after)
        #expect(try reader.all() == after)
        try again.expectClean()
        #expect(try Keys.operations(again) == ["key.rotate-entity", "key.destroy-old"])
        #expect(try again.verifyAudit().firstBroken == nil)
        for handle in [again, reader] { try handle.close() }
    }

    @Test func theJournalOfBeforeIsReadAfterwards() throws {
        let (folder, store) = try Self.filled()
        try store.rotateEntityKeys(nil)
        try store.append(BackupTests.events("two", 0, 3, from: 7000))
        let all = try store.all()
        // As power loss would leave it: rows of both keys in the journal.
        try TestFolder.copy(folder.store, to: folder.path + "/copy")
        try store.close()
        let copy = try BlockingEventStore.open(at: folder.path + "/copy", key: Fixed.key, options: Fixed.open())
        #expect(try copy.all() == all)
        try copy.rotateEntityKeys(nil, now: true)
        #expect(try copy.all() == all)
        #expect(Self.keyIDs(copy).count == 3)
        try copy.expectClean()
        try copy.close()
        let again = try BlockingEventStore.open(at: folder.path + "/copy", key: Fixed.key, options: Fixed.open())
        #expect(try again.all() == all)
        try again.close()
    }

    @Test func namesAreSealedAnew() throws {
        let (folder, store) = try Self.filled()
        try store.append([Event(entity: "one", type: "its own type", timestamp: Fixed.day, id: Fixed.id(1 << 40))])
        try store.rotateEntityKeys(nil, now: true)
        try store.renameEntity("one", to: "uno")
        try store.close()
        let again = try folder.open()
        #expect(try again.names(of: .entity) == ["three", "two", "uno"])
        #expect(try again.names(of: .type).contains("its own type"))
        #expect(try again.all().filter { $0.entity == "uno" }.count == 166)
        try again.close()
    }

    @Test func nothingIsDoneForAnEntityThatIsNotThere() throws {
        let (folder, store) = try Self.filled()
        let ids = Self.keyIDs(store)
        #expect(code { try store.rotateEntityKeys(["one", "none"]) } == "not-found")
        #expect(Self.keyIDs(store) == ids)
        #expect(try store.keyStatus().oldKeys.isEmpty)
        try store.close()
        let empty = try BlockingEventStore.create(
            at: folder.path + "/empty", key: Fixed.key, options: Fixed.create(), open: Fixed.open())
        #expect(try empty.rotateEntityKeys(nil, now: true).entities == 0)
        try empty.close()
    }

    @Test func theConfiguredCopyComesFirst() throws {
        let (folder, store) = try Self.filled()
        let path = folder.path + "/kept"
        try store.setKeyBackupPath(path)
        try store.rotateEntityKeys(nil)
        #expect(try TestFolder.bytes(path) == TestFolder.bytes(folder.store + "/keyring"))
        try store.rotateEntityKeys(nil, now: true)
        #expect(try TestFolder.bytes(path) == TestFolder.bytes(folder.store + "/keyring"))
        #expect(try store.keyStatus().entitiesWithoutBackup == 0)
        // Where it cannot be written nothing is done.
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let ids = Self.keyIDs(store)
        #expect(code { try store.rotateEntityKeys(nil) } == "key-backup")
        #expect(Self.keyIDs(store) == ids)
        try store.close()
    }

    @Test func writersAndReadersGoOn() async throws {
        let (folder, store) = try Self.filled()
        let known = try store.all().count
        let writer = Task.detached {
            for number in UInt64(0)..<150 {
                try store.append(BackupTests.events("one", 0, 2, from: 10_000 + number * 2))
                if number % 40 == 20 { try store.flush() }
            }
        }
        let reading = Task.detached {
            for _ in 0..<20 {
                let reader = try folder.open(Fixed.open(.readOnly))
                #expect(try reader.all().count >= known)
                try reader.close()
            }
        }
        for round in 0..<6 { try store.rotateEntityKeys(nil, now: round % 2 == 1) }
        try await writer.value
        try await reading.value
        _ = try store.compact()
        #expect(try store.all().count == known + 300)
        #expect(Self.keyIDs(store).count == 3)
        try store.expectClean()
        try store.close()
        let again = try folder.open()
        #expect(try again.all().count == known + 300)
        try again.close()
    }

    // MARK: What the old key opens

    /// Nothing that was sealed under the old keys is in any file: neither packs nor journal rows nor names.
    @Test func theOldKeyOpensNothingOfTheStore() throws {
        let (folder, store) = try Self.filled()
        try store.append([Event(entity: "one", type: "its own type", timestamp: Fixed.day, id: Fixed.id(1 << 40))])
        var sealed: [[UInt8]] = []
        let context = store.engine.context
        let (entities, journal, holders) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.entities(), try reader.journal(from: 0), try reader.holders())
        }
        #expect(!journal.isEmpty && !holders.isEmpty)
        sealed += entities.map(\.sealedName) + holders.map(\.sealed)
        sealed += journal.map { Array($0.blob.suffix(200)) }
        for file in TestFolder.files(below: folder.store + "/segments") {
            let bytes = try TestFolder.bytes(folder.store + "/segments/" + file)
            for start in stride(from: 64, to: bytes.count - 32, by: 48) {
                sealed.append(Array(bytes[start..<start + 24]))
            }
        }
        let old = Self.keyIDs(store)
        func found() throws -> Int {
            let files = try TestFolder.files(below: folder.store).map {
                Data(try TestFolder.bytes(folder.store + "/" + $0))
            }
            return sealed.count { piece in files.contains { $0.range(of: Data(piece.prefix(24))) != nil } }
        }
        #expect(try found() == sealed.count)
        let report = try store.rotateEntityKeys(nil, now: true)
        #expect(report.keysDestroyed == 3 && report.segmentsLeft == 0 && report.segmentsRewritten == 4)
        #expect(try found() == 0)
        #expect(Set(Self.keyIDs(store)).isDisjoint(with: old))
        try store.close()
        #expect(try found() == 0)
    }

    // MARK: Copies

    @Test func aBackupFromBeforeNeedsTheKeysFromBefore() throws {
        let (folder, store) = try Self.filled()
        try store.backup(to: folder.backup)
        let all = try store.all()
        let old = try folder.copyKeyring()
        try store.rotateEntityKeys(["one"], now: true)
        #expect(code { try folder.restore() } == "not-found")
        let report = try folder.restore(force: true)
        #expect(report.entitiesUnreadable.count == 1)
        #expect(try folder.restoredEvents() == all.filter { $0.entity != "one" })
        try folder.discardRestored()
        try folder.restore(keyring: old)
        #expect(try folder.restoredEvents() == all)
        try folder.discardRestored()
        // A new one of both is complete.
        try store.backup(to: folder.backup)
        try folder.restore()
        #expect(try folder.restoredEvents() == all)
        try store.close()
    }

    @Test func aBackupFromBetweenNeedsBothKeys() throws {
        let (folder, store) = try Self.filled()
        let all = try store.all()
        let before = try folder.copyKeyring()
        try store.rotateEntityKeys(["one"])
        try store.backup(to: folder.backup)
        let between = try folder.copyKeyring("between")
        _ = try store.compact()
        #expect(code { try folder.restore(keyring: before) } == "not-found")
        #expect(code { try folder.restore() } == "not-found")
        try folder.restore(keyring: between)
        #expect(try folder.restoredEvents() == all)
        try store.close()
    }

    @Test func filesFromBeforeWithTheNewKeyringAreRefused() throws {
        let (folder, store) = try Self.filled()
        try TestFolder.copy(folder.store, to: folder.path + "/copy")
        try store.rotateEntityKeys(["one"], now: true)
        try store.close()
        try TestFolder.copy(folder.store + "/keyring", to: folder.path + "/copy/keyring")
        let outcome = code {
            try BlockingEventStore.open(at: folder.path + "/copy", key: Fixed.key, options: Fixed.open()).close()
        }
        #expect(outcome == "not-found")
    }

    @Test func erasureDestroysEveryKeyAnEntityHad() throws {
        let (folder, store) = try Self.filled()
        try store.backup(to: folder.backup)
        try store.backUpKeys(to: folder.path + "/first")
        try store.rotateEntityKeys(["one"], now: true)
        try store.backUpKeys(to: folder.path + "/second")
        try store.rotateEntityKeys(["one"])
        let report = try store.eraseEntity("one")
        struct Facts: Codable {
            struct Copy: Codable {
                var path: String
                var rootKeys: String?
            }
            var key: String
            var olderKeys: [String]
            var keyBackups: [Copy]
        }
        let facts = try JSONDecoder().decode(Facts.self, from: Data(report.receipt.text.utf8))
        #expect(report.receipt.isValid())
        #expect(facts.olderKeys.count == 2)
        #expect(facts.keyBackups.map(\.path) == [folder.path + "/first", folder.path + "/second"])
        #expect(facts.keyBackups.allSatisfy { $0.rootKeys == nil })
        let tombstones = Set(try store.keyStatus().tombstones.map(\.id))
        #expect(tombstones == Set(facts.olderKeys + [facts.key]))
        #expect(Self.keyIDs(store).count == 2)
        try store.expectClean()
        // The backup from before all that: erased there, too.
        let restored = try folder.restore()
        #expect(restored.entitiesErased == 1)
        #expect(Set(try folder.restoredEvents().map(\.entity)) == ["two", "three"])
        try store.close()
        let again = try folder.open()
        try again.expectClean()
        #expect(try again.verifyAudit().firstBroken == nil)
        try again.close()
    }

    /// Copies from before a replacement of all root keys are marked, those from after it are not.
    @Test func receiptsSayWhichCopiesLieBehindReplacedRoots() throws {
        let (folder, store) = try Self.filled()
        try store.backUpKeys(to: folder.path + "/first")
        try store.addKeySlot(Keys.third)
        try store.rotateRootKey(from: Fixed.key, to: Fixed.otherKey, keeping: [Keys.third])
        // A slot that was kept may open it still.
        #expect(try store.keyStatus().copies.map(\.rootKeysReplaced) == [false])
        try store.rotateRootKey(from: Fixed.otherKey, to: Fixed.key, droppingOthers: true)
        try store.backUpKeys(to: folder.path + "/second")
        #expect(try store.keyStatus().copies.map(\.rootKeysReplaced) == [true, false])
        let text = try store.eraseEntity("one").receipt.text
        let first = try #require(text.range(of: folder.path + "/first"))
        let second = try #require(text.range(of: folder.path + "/second"))
        #expect(text[first.upperBound..<second.lowerBound].contains(#""rootKeys":"replaced""#))
        #expect(!text[second.upperBound...].contains("replaced"))
        try store.close()
    }

    // MARK: Steps in a life

    @Test func aStepToWhereAnEntityIsChangesNothing() throws {
        let (folder, store) = try Self.filled()
        defer { withExtendedLifetime(folder) {} }
        #expect(try store.resumeEntity("one") == false)
        #expect(try store.suspendEntity("one") == true)
        #expect(try store.suspendEntity("one") == false)
        #expect(code { try store.cancelEntity("one") } == "invalid")
        try store.setPlan(ofEntity: "one", days: 1000)
        #expect(try store.cancelEntity("one") == true)
        #expect(try store.cancelEntity("one") == false)
        #expect(code { try store.suspendEntity("one") } == "wrong-state")
        #expect(try store.cancelEntity("one", eraseAfterMs: 5000) == true)
        #expect(try store.entities().first { $0.name == "one" }?.eraseAtMs == Fixed.now + 5000)
        #expect(try store.cancelEntity("one", eraseAfterMs: 5000) == false)
        #expect(try store.resumeEntity("one") == true)
        _ = try store.eraseEntity("one")
        #expect(code { try store.eraseEntity("one") } == "not-found")
        #expect(code { try store.resumeEntity("one") } == "not-found")
        #expect(
            try Keys.operations(store) == [
                "entity.suspend", "entity.set-plan", "entity.cancel", "entity.cancel", "entity.resume", "entity.erase",
            ])
        try store.close()
    }
}
