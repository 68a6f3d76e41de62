// Keys of a store: slots, rotation of root and master, who can open what afterwards, and what a status says.

import EventStoreCore
import EventStoreCrypto
import Foundation
import Testing

@testable import EventStore

/// What the suites about keys share.
enum Keys {
    static let third = KeySource.raw([UInt8](repeating: 9, count: 32))

    static func event(_ entity: String, _ number: UInt64) -> Event {
        Event(entity: entity, type: "t", timestamp: Fixed.day + Int64(number), id: Fixed.id(number))
    }

    static func opens(_ folder: TestFolder, _ key: KeySource, _ mode: OpenOptions.Mode = .readOnly) -> String {
        code { try BlockingEventStore.open(at: folder.store, key: key, options: Fixed.open(mode)).close() }
    }

    static func operations(_ store: BlockingEventStore) throws -> [String] {
        try store.auditRecords().map(\.operation)
    }
}

@Suite struct KeyTests {
    private func prepared() throws -> (TestFolder, BlockingEventStore) {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([Keys.event("one", 1), Keys.event("two", 2)])
        return (folder, store)
    }

    @Test func slotsComeAndGo() throws {
        let (folder, store) = try prepared()
        #expect(Keys.opens(folder, Fixed.otherKey) == "wrong-key")
        let id = try store.addKeySlot(Fixed.otherKey)
        #expect(Keys.opens(folder, Fixed.otherKey) == "(none)")
        #expect(Keys.opens(folder, Fixed.key) == "(none)")
        #expect(try store.keyStatus().slots.map(\.id).contains(id))
        #expect(code { try store.addKeySlot(Fixed.key) } == "exists")
        let first = try #require(try store.keyStatus().slots.first { $0.id != id })
        try store.removeKeySlot(first.id)
        #expect(Keys.opens(folder, Fixed.key) == "wrong-key")
        #expect(Keys.opens(folder, Fixed.otherKey) == "(none)")
        #expect(code { try store.removeKeySlot(id) } == "invalid")
        #expect(code { try store.removeKeySlot(first.id) } == "not-found")
        #expect(code { try store.removeKeySlot("x") } == "invalid")
        try store.append([Keys.event("three", 3)])
        #expect(try Keys.operations(store) == ["key.add", "key.remove"])
        #expect(try store.verifyAudit().firstBroken == nil)
        try store.close()
        #expect(Keys.opens(folder, Fixed.otherKey, .readWrite) == "(none)")
    }

    @Test func aPassphraseMayBeAdded() throws {
        let (folder, store) = try prepared()
        let phrase = KeySource.passphrase(Array("correct horse".utf8))
        try store.addKeySlot(phrase)
        #expect(try store.keyStatus().slots.map(\.kind) == [.keyFile, .passphrase])
        #expect(Keys.opens(folder, phrase) == "(none)")
        try store.close()
    }

    @Test func theRootIsRotatedUnderWritersAndReaders() throws {
        let (folder, store) = try prepared()
        let file = try folder.write("root.key", [UInt8](repeating: 7, count: 32))
        let follows = try BlockingEventStore.open(
            at: folder.store, key: .keyFile(file), options: Fixed.open(.readOnly))
        let stays = try folder.open(Fixed.open(.readOnly))
        #expect(try follows.all().count == 2)
        #expect(try stays.all().count == 2)
        let report = try store.rotateRootKey(from: Fixed.key, to: Fixed.otherKey)
        #expect(report.slots.count == 1)
        #expect(report.removed.count == 1)
        _ = try folder.write("root.key", [UInt8](repeating: 8, count: 32))
        try store.append([Keys.event("three", 3)])
        try store.flush()
        // A reader whose source gives the new key goes on; another is told.
        #expect(try follows.all().count == 3)
        #expect(code { try stays.all() } == "wrong-key")
        #expect(Keys.opens(folder, Fixed.key) == "wrong-key")
        #expect(Keys.opens(folder, Fixed.otherKey) == "(none)")
        #expect(try Keys.operations(store) == ["key.rotate-root"])
        for handle in [store, follows, stays] { try handle.close() }
        let again = try BlockingEventStore.open(at: folder.store, key: Fixed.otherKey, options: Fixed.open())
        #expect(try again.all().count == 3)
        try again.expectClean()
        try again.close()
    }

    @Test func theMasterIsRotatedAndReadersGoOn() throws {
        let (folder, store) = try prepared()
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.all().count == 2)
        try store.addKeySlot(Fixed.otherKey)
        #expect(code { try store.rotateMasterKey(keeping: [Fixed.key]) } == "invalid")
        #expect(Keys.opens(folder, Fixed.otherKey) == "(none)")
        let both = try store.rotateMasterKey(keeping: [Fixed.key, Fixed.otherKey])
        #expect(both.slots.count == 2 && both.removed.isEmpty)
        try store.append([Keys.event("three", 3)])
        #expect(try reader.all().count == 3)
        let one = try store.rotateMasterKey(keeping: [Fixed.key], droppingOthers: true)
        #expect(one.slots.count == 1 && one.removed.count == 1)
        #expect(Keys.opens(folder, Fixed.otherKey) == "wrong-key")
        #expect(Keys.opens(folder, Fixed.key) == "(none)")
        #expect(code { try store.rotateMasterKey(keeping: [Keys.third], droppingOthers: true) } == "wrong-key")
        #expect(code { try store.rotateRootKey(from: Keys.third, to: Fixed.otherKey) } == "wrong-key")
        #expect(code { try store.rotateRootKey(from: Fixed.key, to: Fixed.key) } == "exists")
        #expect(try store.all().count == 3)
        for handle in [store, reader] { try handle.close() }
    }

    /// What is prepared in one process is applied in another, once, and holds neither root key nor master key.
    @Test func aPreparedChangeTravelsWithoutSecrets() throws {
        let (folder, store) = try prepared()
        func travelled(_ prepared: PreparedKeys) throws -> KeyOperation {
            let text = try JSONEncoder().encode(StoreOperation.keys(.apply(prepared)))
            let bytes = String(decoding: text, as: UTF8.self)
            #expect(!bytes.contains(Array(repeating: "8", count: 32).joined(separator: ",")))
            guard case .keys(let operation) = try JSONDecoder().decode(StoreOperation.self, from: text) else {
                throw Fault(.invalid, "another operation")
            }
            return operation
        }
        let slot = try travelled(PreparedKeys.slot(Fixed.otherKey, at: folder.store, key: Fixed.key))
        let late = try travelled(PreparedKeys.slot(Keys.third, at: folder.store, key: Fixed.key))
        #expect(code { try PreparedKeys.slot(Keys.third, at: folder.store, key: Keys.third) } == "wrong-key")
        _ = try store.perform(slot)
        #expect(code { try store.perform(slot) } == "exists")
        let root = try travelled(
            PreparedKeys.root(
                Keys.third, at: folder.store, key: Fixed.key, keeping: [Fixed.otherKey]))
        let master = try travelled(
            PreparedKeys.master(at: folder.store, key: Fixed.key, keeping: [Fixed.otherKey]))
        _ = try store.perform(root)
        for stale in [late, root, master] { #expect(code { try store.perform(stale) } == "cancelled") }
        #expect(Keys.opens(folder, Fixed.key) == "wrong-key")
        for key in [Fixed.otherKey, Keys.third] { #expect(Keys.opens(folder, key) == "(none)") }
        try store.close()
    }

    /// Beside a writer, over the control socket.
    @Test func theHolderCarriesOutWhatOthersPrepare() throws {
        let (folder, store) = try prepared()
        let prepared = try PreparedKeys.root(Fixed.otherKey, at: folder.store, key: Fixed.key)
        let result = try StoreAdministration.perform(
            .keys(.apply(prepared)), at: folder.store, key: Fixed.key, options: Fixed.open())
        guard case .keys(.rotated(let report)) = result else {
            Issue.record("a rotation reports")
            return
        }
        #expect(report.removed.count == 1)
        try store.append([Keys.event("three", 3)])
        #expect(Keys.opens(folder, Fixed.key) == "wrong-key")
        #expect(Keys.opens(folder, Fixed.otherKey) == "(none)")
        try store.close()
    }

    @Test func anOlderKeyringReadsAndDoesNotWrite() throws {
        let (folder, store) = try prepared()
        let old = folder.path + "/old-keyring"
        try TestFolder.copy(folder.store + "/keyring", to: old)
        try store.rotateRootKey(from: Fixed.key, to: Fixed.otherKey)
        try store.close()
        let new = folder.path + "/new-keyring"
        try TestFolder.copy(folder.store + "/keyring", to: new)
        try TestFolder.copy(old, to: folder.store + "/keyring")
        let catalog = try TestFolder.bytes(folder.store + "/catalog.db")
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.all().count == 2)
        try reader.close()
        do {
            try folder.open().close()
            Issue.record("a keyring older than the store was accepted")
        } catch let error as EventStoreError {
            #expect(error.code == .wrongKey)
            #expect(error.message.contains("older than the store"))
        }
        #expect(try TestFolder.bytes(folder.store + "/catalog.db") == catalog)
        try TestFolder.copy(new, to: folder.store + "/keyring")
        #expect(Keys.opens(folder, Fixed.otherKey, .readWrite) == "(none)")
    }

    @Test func statusCounts() throws {
        let (folder, store) = try prepared()
        var status = try store.keyStatus()
        #expect(status.entities == 2 && status.entityKeys == 2 && status.unusedKeys == 0)
        #expect(status.entitiesWithoutBackup == 2 && status.backup == nil && status.copies.isEmpty)
        try store.backUpKeys(to: folder.path + "/copy")
        try store.append([Keys.event("three", 3)])
        status = try store.keyStatus()
        #expect(status.entitiesWithoutBackup == 1)
        #expect(status.copies.map(\.entitiesMissing) == [1])
        _ = try store.eraseEntity("one")
        status = try store.keyStatus()
        #expect(status.entities == 2 && status.entityKeys == 2 && status.tombstones.count == 1)
        let reader = try folder.open(Fixed.open(.readOnly))
        let seen = try reader.keyStatus()
        #expect(seen.generation == status.generation && seen.copies == status.copies && seen.entities == 2)
        #expect(code { try reader.addKeySlot(Fixed.otherKey) } == "read-only")
        for handle in [store, reader] { try handle.close() }
    }

    /// Off unless asked for: the witness is one for the whole process.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["EVENTSTORE_NONCE_AUDIT"] == "1"))
    func noPairOfKeyAndNonceIsUsedTwice() throws {
        NonceAudit.start()
        let (folder, store) = try prepared()
        try store.setKeyBackupPath(folder.path + "/copy")
        try store.addKeySlot(Fixed.otherKey)
        try store.rotateMasterKey(keeping: [Fixed.key, Fixed.otherKey])
        try store.rotateRootKey(from: Fixed.key, to: Keys.third, keeping: [Fixed.otherKey])
        try store.append([Keys.event("three", 3)])
        _ = try store.eraseEntity("one")
        try store.close()
        let found = NonceAudit.stop()
        #expect(found.pairs > 10 && found.repeats == 0)
    }
}
