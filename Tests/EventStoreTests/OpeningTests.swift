// Opening: the right error for each thing that can be wrong, quickly and without touching anything.

import EventStoreCatalog
import Foundation
import Testing

@testable import EventStore

@Suite struct OpeningTests {
    private func prepared() throws -> TestFolder {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day)])
        try store.close()
        return folder
    }

    private func snapshot(_ folder: TestFolder) throws -> [String: [UInt8]] {
        try Dictionary(
            uniqueKeysWithValues: TestFolder.files(below: folder.store).map {
                ($0, try TestFolder.bytes(folder.store + "/" + $0))
            })
    }

    @Test(arguments: [OpenOptions.Mode.readWrite, .readOnly])
    func theWrongKeyIsSaidAtOnceAndChangesNothing(_ mode: OpenOptions.Mode) throws {
        let folder = try prepared()
        let before = try snapshot(folder)
        let start = ContinuousClock.now
        let found = code {
            try BlockingEventStore.open(at: folder.store, key: Fixed.otherKey, options: Fixed.open(mode))
        }
        #expect(found == "wrong-key")
        #expect(ContinuousClock.now - start < .milliseconds(500))
        #expect(try snapshot(folder) == before)
        let store = try folder.open(Fixed.open(mode))
        #expect(try store.all().count == 1)
        try store.close()
    }

    @Test func missingPiecesAreNamed() throws {
        let folder = TestFolder()
        #expect(code { try folder.open() } == "not-found")
        try FileManager.default.createDirectory(atPath: folder.store, withIntermediateDirectories: true)
        #expect(code { try folder.open() } == "not-found")
        for piece in ["catalog.db", "keyring"] {
            let folder = try prepared()
            try FileManager.default.removeItem(atPath: folder.store + "/" + piece)
            #expect(code { try folder.open() } == "not-found")
            #expect(code { try folder.open(Fixed.open(.readOnly)) } == "not-found")
        }
        let file = try folder.write("file", "text")
        #expect(code { try BlockingEventStore.open(at: file, key: Fixed.key) } == "not-found")
    }

    @Test func nothingIsMadeWhereSomethingIs() throws {
        let folder = try prepared()
        #expect(code { try folder.create() } == "exists")
        let store = try folder.open()
        #expect(try store.all().count == 1)
        try store.close()
        let other = TestFolder()
        _ = try other.write("thing", "text")
        #expect(code { try BlockingEventStore.create(at: other.path, key: Fixed.key) } == "exists")
    }

    @Test func oneWriterAndItsNumberIsNamed() throws {
        let folder = try prepared()
        let store = try folder.open()
        #expect(code { try folder.open() } == "locked")
        do {
            _ = try folder.open()
        } catch let error as EventStoreError {
            #expect(error.message.contains("pid \(ProcessInfo.processInfo.processIdentifier)"))
        }
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.all().count == 1)
        try reader.close()
        try store.close()
        let next = try folder.open()
        try next.close()
    }

    @Test func aReaderTakesNoWrites() throws {
        let folder = try prepared()
        let reader = try folder.open(Fixed.open(.readOnly))
        let one = Event(entity: "e", type: "t", timestamp: Fixed.day)
        let file = try folder.write("in.ndjson", one.line)
        #expect(code { try reader.append([one]) } == "read-only")
        #expect(code { try reader.importEvents(ImportRequest(sources: [file])) } == "read-only")
        #expect(code { try reader.flush() } == "read-only")
        #expect(code { try reader.compact() } == "read-only")
        #expect(try reader.all().count == 1)
        try reader.close()
    }

    @Test func aKeyringOfAnotherStoreIsNotAccepted() throws {
        let one = try prepared()
        let two = try prepared()
        try TestFolder.copy(two.store + "/keyring", to: one.store + "/keyring")
        #expect(["wrong-key", "tampered"].contains(code { try one.open() }))
    }

    @Test func anOldKeyringIsNotAccepted() throws {
        let folder = try prepared()
        let old = folder.path + "/old-keyring"
        try TestFolder.copy(folder.store + "/keyring", to: old)
        var store = try folder.open()
        try store.append([Event(entity: "later", type: "t", timestamp: Fixed.day)])
        try store.close()
        let new = folder.path + "/new-keyring"
        try TestFolder.copy(folder.store + "/keyring", to: new)
        try TestFolder.copy(old, to: folder.store + "/keyring")
        let before = try snapshot(folder)
        for mode in [OpenOptions.Mode.readWrite, .readOnly] {
            let found = code {
                let store = try folder.open(Fixed.open(mode))
                try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day)])
            }
            #expect(!["(none)", "key-erased"].contains(found), "an old keyring was accepted: \(found)")
        }
        #expect(try snapshot(folder)["catalog.db"] == before["catalog.db"])
        try TestFolder.copy(new, to: folder.store + "/keyring")
        store = try folder.open()
        #expect(try store.all().count == 2)
        try store.close()
    }

    @Test func aFutureVersionIsLeftAlone() throws {
        let folder = try prepared()
        let catalog = folder.store + "/catalog.db"
        var settings = try {
            let store = try folder.open(Fixed.open(.readOnly))
            defer { try? store.close() }
            return store.engine.context.settings
        }()
        settings.formatVersion = 3
        try FileManager.default.removeItem(atPath: catalog)
        try Catalog.create(path: catalog, settings: settings)
        let before = try snapshot(folder)
        #expect(code { try folder.open() } == "too-new")
        #expect(code { try folder.open(Fixed.open(.readOnly)) } == "too-new")
        #expect(try snapshot(folder)["catalog.db"] == before["catalog.db"])
    }

    @Test func aFolderThatMayNotBeReadSaysSo() throws {
        // The superuser may read everything.
        guard geteuid() != 0 else { return }
        let folder = try prepared()
        chmod(folder.store + "/keyring", 0)
        #expect(code { try folder.open() } == "permission")
        chmod(folder.store + "/keyring", 0o600)
        chmod(folder.store + "/catalog.db", 0)
        #expect(code { try folder.open() } == "permission")
        chmod(folder.store + "/catalog.db", 0o600)
        let store = try folder.open()
        try store.close()
    }

    @Test func filesAreForTheirOwnerOnly() throws {
        let folder = try prepared()
        let store = try folder.open()
        try store.append([Event(entity: "e2", type: "t", timestamp: Fixed.day)])
        try store.flush()
        for file in TestFolder.files(below: folder.store) {
            var info = stat()
            stat(folder.store + "/" + file, &info)
            #expect(info.st_mode & 0o077 == 0, "\(file)")
        }
        try store.close()
    }

    @Test func everyKindOfKeyOpens() throws {
        let folder = TestFolder()
        let hex = String(repeating: "ab", count: 32)
        let file = try folder.write("key", hex)
        chmod(file, 0o600)
        let phrase = try folder.write("phrase", "correct horse battery staple\nsecond line")
        let sources: [(KeySource, KeySource)] = [
            (.keyFile(file), .raw([UInt8](repeating: 0xab, count: 32))), (.command("cat \(file)"), .keyFile(file)),
            (.passphraseFile(phrase), .passphrase(Array("correct horse battery staple".utf8))),
        ]
        for (index, (first, second)) in sources.enumerated() {
            let path = folder.path + "/store\(index)"
            try BlockingEventStore.create(at: path, key: first, open: Fixed.open()).close()
            try BlockingEventStore.open(at: path, key: second, options: Fixed.open()).close()
            #expect(code { try BlockingEventStore.open(at: path, key: Fixed.key) } == "wrong-key")
        }
        #expect(code { try BlockingEventStore.create(at: folder.path + "/x", key: .raw([1, 2])) } == "invalid")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/x"))
    }
}
