/// The key file beside a store is replaced so that at every moment one of two files opens the store.

import EventStore
import Foundation
import Testing

@testable import EventStoreCLI

@Suite("Key file beside a store")
struct KeyFileBesideTests {
    private final class Place {
        let folder = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString
        var store: String { folder + "/events" }
        var key: String { store + ".key" }
        var coming: String { key + ".new" }

        init() throws {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try KeyFile.make(at: key)
            try BlockingEventStore.create(at: store, key: .keyFile(key)).close()
        }
        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
        func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

        func rotate(to new: String) throws {
            let prepared = try PreparedKeys.root(.keyFile(new), at: store, key: .keyFile(key))
            _ = try StoreAdministration.perform(.keys(.apply(prepared)), at: store, key: .keyFile(key))
        }
    }

    @Test func theNewKeyTakesTheOldOnesPlace() throws {
        let place = try Place()
        let old = try place.bytes(place.key)
        let second = place.folder + "/link"
        #expect(link(place.key, second) == 0)
        #expect(try KeyFileBeside.make(for: place.store) == place.coming)
        let new = try place.bytes(place.coming)
        // Not begun: the old one opens, the one to come waits and is taken by whoever tries again.
        #expect(try KeyFileBeside.settled(place.store) == place.key)
        #expect(try KeyFileBeside.make(for: place.store) == place.coming)
        #expect(try place.bytes(place.coming) == new && place.bytes(place.key) == old)
        try place.rotate(to: place.coming)
        // Cut short here, the next command that needs the key finishes it.
        #expect(try KeyFileBeside.settled(place.store) == place.key)
        #expect(try place.bytes(place.key) == new && !place.isThere(place.coming))
        #expect(try place.bytes(second).allSatisfy { $0 == 0 }, "the old file is not overwritten")
        #expect(PreparedKeys.opens(place.store, key: .keyFile(place.key)))
        // Once more changes nothing.
        try KeyFileBeside.finish(place.store)
        #expect(try !KeyFileBeside.destroy(place.store))
        #expect(try place.bytes(place.key) == new)
    }

    @Test func anOldKeyThatWasOverwrittenAlreadyIsNoObstacle() throws {
        let place = try Place()
        _ = try KeyFileBeside.make(for: place.store)
        try place.rotate(to: place.coming)
        let new = try place.bytes(place.coming)
        try Data(count: 65).write(to: URL(fileURLWithPath: place.key))
        #expect(try KeyFileBeside.settled(place.store) == place.key)
        #expect(try place.bytes(place.key) == new)
    }

    @Test func onlyAKeyThatOpensNothingIsDestroyed() throws {
        let place = try Place()
        #expect(try !KeyFileBeside.destroy(place.store))
        let other = place.folder + "/other.key"
        try KeyFile.make(at: other)
        try place.rotate(to: other)
        #expect(try KeyFileBeside.destroy(place.store))
        #expect(!place.isThere(place.key))
        #expect(try KeyFileBeside.settled(place.store) == nil)
        #expect(PreparedKeys.opens(place.store, key: .keyFile(other)))
    }

    @Test func aLinkIsNotOursToReplace() throws {
        let place = try Place()
        let elsewhere = place.folder + "/elsewhere.key"
        try FileManager.default.moveItem(atPath: place.key, toPath: elsewhere)
        try FileManager.default.createSymbolicLink(atPath: place.key, withDestinationPath: elsewhere)
        #expect(throws: CLIFailure.self) { _ = try KeyFileBeside.make(for: place.store) }
        #expect(!place.isThere(place.coming))
    }

    @Test func optionsOfRootKeysNeedTheFlag() throws {
        #expect(throws: (any Error).self) { _ = try EntityEraseCommand.parse(["s", "e", "--new-key-file", "f"]) }
        #expect(throws: (any Error).self) { _ = try EntityEraseCommand.parse(["s", "e", "--drop-others"]) }
        _ = try EntityEraseCommand.parse(["s", "e", "--rotate-root", "--drop-others"])
        #expect(throws: (any Error).self) { _ = try KeyRotateEntityCommand.parse(["s"]) }
        #expect(throws: (any Error).self) { _ = try KeyRotateEntityCommand.parse(["s", "e", "--all"]) }
        _ = try KeyRotateEntityCommand.parse(["s", "e", "f", "--at-once"])
    }
}
