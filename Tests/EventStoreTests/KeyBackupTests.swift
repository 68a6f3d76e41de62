// Copies of the keyring: what is in them when, what happens when one cannot be written, and what receipts say of them.

import EventStoreCore
import EventStoreCrypto
import Foundation
import Testing

@testable import EventStore

@Suite struct KeyBackupTests {
    private func ring(_ path: String, _ key: [UInt8] = [UInt8](repeating: 7, count: 32)) throws -> Keyring {
        try Keyring.open(
            path: path, environment: Environment(),
            secret: .key(key.withUnsafeBytes { SecretKey(copying: $0) }, .keyFile))
    }

    private func copies(_ receipt: ErasureReceipt) throws -> [String] {
        struct Text: Decodable {
            struct Copy: Decodable { var path: String }
            var keyBackups: [Copy]
        }
        return try JSONDecoder().decode(Text.self, from: Data(receipt.text.utf8)).keyBackups.map { Path.name($0.path) }
    }

    @Test func theConfiguredCopyHasEveryAcknowledgedEntity() throws {
        let folder = TestFolder()
        var store = try folder.create()
        let path = folder.path + "/copy"
        try store.append([Keys.event("one", 1)])
        try store.setKeyBackupPath(path)
        var info = stat()
        stat(path, &info)
        #expect(info.st_mode & 0o777 == 0o600)
        for number in 2..<6 as Range<UInt64> {
            try store.append([Keys.event("e\(number)", number)])
            #expect(try ring(path).entityKeyIDs() == store.engine.context.keyring.entityKeyIDs())
            #expect(try store.keyStatus().entitiesWithoutBackup == 0)
        }
        let file = try folder.write("in.ndjson", (10..<20).map { Keys.event("i\($0)", $0).line }.joined())
        _ = try store.importEvents(ImportRequest(sources: [file]))
        #expect(try ring(path).entityKeyIDs().count == 15)
        try store.addKeySlot(Fixed.otherKey)
        #expect(try ring(path, [UInt8](repeating: 8, count: 32)).entityKeyIDs().count == 15)
        try store.close()
        store = try folder.open()
        let backup = try #require(try store.keyStatus().backup)
        #expect(backup.path == path && backup.entitiesMissing == 0)
        // A copy that was lost or fell behind is written again at open.
        try store.close()
        try FileManager.default.removeItem(atPath: path)
        store = try folder.open()
        #expect(try ring(path).entityKeyIDs().count == 15)
        // The copy is the keyring: put in its place, all of it opens and is written on.
        try store.close()
        try TestFolder.copy(path, to: folder.store + "/keyring")
        store = try folder.open()
        #expect(try store.all().count == 15)
        try store.append([Keys.event("last", 99)])
        try store.close()
    }

    @Test func withoutItsCopyNoNewEntityIsTaken() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let place = folder.path + "/elsewhere"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
        try store.append([Keys.event("known", 1)])
        try store.setKeyBackupPath(place + "/copy")
        let generation = try store.keyStatus().generation
        try FileManager.default.removeItem(atPath: place)
        for number in 2..<5 as Range<UInt64> {
            do {
                try store.append([Keys.event("new", number), Keys.event("known", number)])
                Issue.record("a new entity was taken without a copy of its key")
            } catch {
                #expect(error.code == .keyBackup)
                #expect(error.message.contains(place + "/copy"))
            }
            try store.append([Keys.event("known", number + 10)])
        }
        // Neither slots nor erasures: nothing is done by half.
        #expect(code { try store.addKeySlot(Fixed.otherKey) } == "key-backup")
        #expect(code { try store.eraseEntity("known") } == "key-backup")
        #expect(code { try store.addEntity("new") } == "key-backup")
        #expect(try store.all().count == 4)
        #expect(try store.keyStatus().unusedKeys == 1, "each try brought another key")
        #expect(try store.keyStatus().generation == generation + 1)
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
        try store.append([Keys.event("new", 30)])
        #expect(try store.keyStatus().unusedKeys == 0)
        #expect(try ring(place + "/copy").entityKeyIDs().count == 2)
        // Or the path is given up.
        try FileManager.default.removeItem(atPath: place)
        try store.setKeyBackupPath(nil)
        try store.append([Keys.event("newer", 31)])
        #expect(try store.keyStatus().copies.map(\.path) == [place + "/copy"])
        #expect(try store.keyStatus().entitiesWithoutBackup == 1)
        try store.close()
    }

    @Test func onlyTheRequestWithTheNewEntityFails() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let place = folder.path + "/elsewhere"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
        try store.append([Keys.event("known", 1)])
        try store.setKeyBackupPath(place + "/copy")
        try FileManager.default.removeItem(atPath: place)
        let handle = store
        DispatchQueue.concurrentPerform(iterations: 24) { index in
            let isNew = index % 3 == 0
            let event = Keys.event(isNew ? "new\(index)" : "known", UInt64(100 + index))
            #expect(code { try handle.append([event]) } == (isNew ? "key-backup" : "(none)"))
        }
        #expect(try store.all().count == 17)
        try store.close()
    }

    @Test func nothingElseIsOverwritten() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let other = try folder.write("precious", "text")
        #expect(code { try store.backUpKeys(to: other) } == "exists")
        #expect(code { try store.setKeyBackupPath(other) } == "exists")
        #expect(code { try store.backUpKeys(to: folder.store + "/keyring") } == "invalid")
        #expect(code { try store.setKeyBackupPath(folder.store + "/copy") } == "invalid")
        #expect(code { try store.backUpKeys(to: folder.path) } == "invalid")
        #expect(code { try store.backUpKeys(to: folder.path + "/no/where") } == "key-backup")
        #expect(try TestFolder.bytes(other) == Array("text".utf8))
        #expect(try store.keyStatus().copies.isEmpty)
        #expect(try store.auditRecords().isEmpty)
        try store.close()
    }

    /// What a receipt lists is exactly what still opens the key.
    @Test func receiptsListWhatOutlivesThem() throws {
        let folder = TestFolder()
        let store = try folder.create()
        func path(_ name: String) -> String { folder.path + "/" + name }
        try store.append([Keys.event("early", 1)])
        try store.backUpKeys(to: path("before"))
        try store.append([Keys.event("gone", 2)])
        try store.backUpKeys(to: path("with"))
        try store.backUpKeys(to: path("again"))
        try store.setKeyBackupPath(path("kept"))
        try store.setKeyBackupPath(path("kept2"))
        let key = try store.engine.lifeRecord("gone").keyID
        let first = try store.eraseEntity("gone")
        let all = ["before", "with", "again", "kept", "kept2"]
        let having = try all.filter { try ring(path($0)).entityKeyGeneration(key) != nil }
        #expect(having == ["with", "again", "kept"])
        #expect(try copies(first.receipt) == having)
        #expect(try ring(path("kept2")).tombstone(key) != nil)
        // Copies written anew have lost it: they count for others only.
        try store.append([Keys.event("next", 3)])
        for name in ["again", "kept"] { try store.backUpKeys(to: path(name)) }
        let second = try store.eraseEntity("next")
        #expect(try copies(second.receipt) == ["again", "kept"])
        // The root is rotated; a copy keeps the slots it was made with, so it is still listed.
        try store.rotateRootKey(from: Fixed.key, to: Fixed.otherKey)
        let third = try store.eraseEntity("early")
        #expect(try copies(third.receipt) == ["before", "with", "again", "kept"])
        #expect(try ring(path("before")).entityKeyIDs().count == 1)
        #expect(throws: Fault.self) { _ = try self.ring(path("kept2")) }
        try store.close()
    }
}
