// The keyring as its users see it: keys, erasure, slots, rotation, readers beside a writer, failing writes.

import EventStoreCore
import EventStoreCrypto
import Testing

let testStoreID = [UInt8](0..<16)
let quickScrypt = try? ScryptParameters(logN: 10, r: 1, p: 1)

func testRing(_ environment: Environment, _ secret: RootSecret = .key(key(1), .keyFile)) throws -> Keyring {
    try Keyring.create(
        path: "ring", environment: environment, storeID: testStoreID, secret: secret,
        scrypt: try #require(quickScrypt))
}

@Suite struct KeyringTests {
    let files = MemoryFiles()
    let environment: Environment
    let root = RootSecret.key(key(1), .keyFile)

    init() { environment = testEnvironment(files) }

    private func reopen(_ secret: RootSecret? = nil) throws -> Keyring {
        try Keyring.open(path: "ring", environment: environment, secret: secret ?? root)
    }

    @Test func keysSurviveReopening() throws {
        let ring = try testRing(environment)
        let ids = try ring.addEntityKeys(100)
        #expect(ids.count == 100 && Set(ids).count == 100 && !ids.contains(0))
        let again = try reopen()
        #expect(again.storeID == testStoreID)
        #expect(again.generation == 2)
        #expect(again.entityKeyIDs() == ids.sorted())
        for id in ids { #expect(try clear(again.entityKey(id)) == clear(ring.entityKey(id))) }
        for purpose in KeyPurpose.allCases {
            #expect(clear(again.subkey(purpose)) == clear(ring.subkey(purpose)))
        }
        let all = try KeyPurpose.allCases.map { clear(again.subkey($0)) } + ids.map { try clear(again.entityKey($0)) }
        #expect(Set(all).count == all.count)
        #expect(all.allSatisfy { $0.contains { $0 != 0 } })
    }

    @Test func oneKeyIsOneObject() throws {
        let ring = try testRing(environment)
        let id = try ring.addEntityKeys(1)[0]
        let first = try ring.entityKey(id)
        let names = ring.subkey(.names)
        _ = try ring.addEntityKeys(5)
        #expect(try ring.entityKey(id) === first)
        #expect(ring.subkey(.names) === names)
    }

    @Test func manyKeysAreOneRewrite() throws {
        let ring = try testRing(environment)
        let before = files.state.withLock { $0.renames }
        _ = try ring.addEntityKeys(10_000)
        #expect(files.state.withLock { $0.renames } == before + 1)
        _ = try ring.addEntityKeys(0)
        #expect(files.state.withLock { $0.renames } == before + 1)
        #expect(try reopen().entityKeyIDs().count == 10_000)
    }

    @Test func neverOverwritesAKeyring() throws {
        _ = try testRing(environment)
        #expect(faultCode { _ = try testRing(environment) } == .exists)
        #expect(faultCode { _ = try Keyring.open(path: "other", environment: environment, secret: root) } == .notFound)
    }

    @Test func noKeyStandsInTheFileInClear() throws {
        let ring = try testRing(environment)
        let id = try ring.addEntityKeys(1)[0]
        let file = try #require(files["ring"])
        for secret in try KeyPurpose.allCases.map({ clear(ring.subkey($0)) }) + [
            clear(ring.entityKey(id)), clear(key(1)),
        ] {
            let found = (0...file.count - 8).contains { file[$0..<$0 + 8].elementsEqual(secret[..<8]) }
            #expect(!found)
        }
    }

    // MARK: Erasing

    @Test func erasedKeysAreGoneAndSaySo() throws {
        let ring = try testRing(environment)
        let ids = try ring.addEntityKeys(3)
        let erased = clear(try ring.entityKey(ids[1]))
        let reference = [UInt8](repeating: 0xab, count: 32)
        try ring.eraseEntityKey(ids[1], reference: reference)
        let generation = ring.generation
        try ring.eraseEntityKey(ids[1], reference: [UInt8](repeating: 0, count: 32))
        #expect(ring.generation == generation, "erasing again changes nothing")
        for one in [ring, try reopen()] {
            #expect(faultCode { _ = try one.entityKey(ids[1]) } == .keyErased)
            #expect(faultCode { _ = try one.entityKey(12345) } == .notFound)
            #expect(one.entityKeyIDs() == [ids[0], ids[2]].sorted())
            #expect(
                one.tombstones() == [KeyTombstone(id: ids[1], erasedMs: 1_764_000_000_000, reference: reference)])
            #expect(one.tombstone(ids[1]) != nil && one.tombstone(ids[0]) == nil)
            #expect(try one.addEntityKeys(0).isEmpty)
        }
        #expect(faultCode { try ring.eraseEntityKey(12345, reference: reference) } == .notFound)
        #expect(try ring.addEntityKeys(50).allSatisfy { $0 != ids[1] })
        #expect(!ring.entityKeyIDs().contains(ids[1]))
        #expect(try ring.entityKeyIDs().allSatisfy { try clear(ring.entityKey($0)) != erased })
    }

    @Test func tombstonesOfANewerRingAreTakenOver() throws {
        let ring = try testRing(environment)
        let ids = try ring.addEntityKeys(4)
        let old = try #require(files["ring"])
        try ring.eraseEntityKey(ids[0], reference: [UInt8](repeating: 1, count: 32))
        try ring.eraseEntityKey(ids[2], reference: [UInt8](repeating: 2, count: 32))
        let tombstones =
            ring.tombstones() + [KeyTombstone(id: 9, erasedMs: 5, reference: .init(repeating: 3, count: 32))]
        files["ring"] = old
        let restored = try reopen()
        try restored.mergeTombstones(tombstones)
        try restored.mergeTombstones(tombstones)
        #expect(restored.generation == 3)
        #expect(try reopen().tombstones() == tombstones.sorted { $0.id < $1.id })
        #expect(try reopen().entityKeyIDs() == [ids[1], ids[3]])
        #expect(faultCode { _ = try restored.entityKey(9) } == .keyErased)
    }

    @Test func saysWhichKeysABackupLacks() throws {
        let ring = try testRing(environment)
        let first = try ring.addEntityKeys(3)
        let backedUp = ring.generation
        let second = try ring.addEntityKeys(2)
        for key in first { #expect(try #require(ring.entityKeyGeneration(key)) <= backedUp) }
        for key in second { #expect(try #require(try reopen().entityKeyGeneration(key)) > backedUp) }
        #expect(ring.entityKeyGeneration(first[0] ^ 1) == nil)
    }

    // MARK: Slots

    @Test(arguments: [KeySlotKind.keyFile, .environment, .command])
    func aRawKeyOpensSlotsOfAnyRawKind(_ kind: KeySlotKind) throws {
        let ring = try testRing(environment, .key(key(1), kind))
        #expect(ring.slots().map(\.kind) == [kind])
        #expect(try Keyring.slots(path: "ring", environment: environment).map(\.kind) == [kind])
        _ = try reopen(.key(key(1), .keyFile))
        #expect(faultCode { _ = try reopen(.key(key(2), kind)) } == .wrongKey)
        #expect(faultCode { _ = try reopen(.passphrase(secret("x"))) } == .wrongKey)
    }

    @Test func aPassphraseOpensItsSlot() throws {
        _ = try testRing(environment, .passphrase(secret("correct horse")))
        _ = try reopen(.passphrase(secret("correct horse")))
        #expect(faultCode { _ = try reopen(.passphrase(secret("correct house"))) } == .wrongKey)
        #expect(faultCode { _ = try reopen(root) } == .wrongKey)
    }

    @Test func slotsComeAndGo() throws {
        let ring = try testRing(environment)
        let scrypt = try #require(quickScrypt)
        let words = try ring.addSlot(.passphrase(secret("words")), scrypt: scrypt)
        let other = try ring.addSlot(.passphrase(secret("other")), scrypt: scrypt)
        let command = try ring.addSlot(.key(key(2), .command))
        for secret in [root, .passphrase(secret("words")), .passphrase(secret("other")), .key(key(2), .environment)] {
            _ = try reopen(secret)
        }
        try ring.removeSlot(words)
        #expect(faultCode { _ = try reopen(.passphrase(secret("words"))) } == .wrongKey)
        #expect(faultCode { try ring.removeSlot(words) } == .notFound)
        try ring.removeSlot(other)
        try ring.removeSlot(ring.slots()[0].id)
        #expect(faultCode { try ring.removeSlot(command) } == .invalid)
        #expect(try reopen(.key(key(2), .command)).slots().map(\.id) == [command])
        for number in 3..<18 { _ = try ring.addSlot(.key(key(UInt8(number)), .keyFile)) }
        #expect(faultCode { _ = try ring.addSlot(.key(key(99), .keyFile)) } == .limit)
    }

    @Test func rotatingTheMasterKeepsTheSlotsAtHand() throws {
        let ring = try testRing(environment)
        let id = try ring.addEntityKeys(1)[0]
        let words = try ring.addSlot(.passphrase(secret("words")), scrypt: try #require(quickScrypt))
        let other = try ring.addSlot(.key(key(2), .command))
        let reader = try reopen()
        let generation = ring.generation
        #expect(faultCode { _ = try ring.rotateMaster(keeping: [.key(key(9), .keyFile)]) } == .wrongKey)
        #expect(ring.generation == generation)
        let kept: [RootSecret] = [root, .passphrase(secret("words"))]
        #expect(try ring.rotateMaster(keeping: kept) == [other])
        #expect(ring.slots().map(\.kind) == [.keyFile, .passphrase])
        #expect(!ring.slots().map(\.id).contains(words), "a rewrapped slot is a new one")
        #expect(try clear(reopen(.passphrase(secret("words"))).entityKey(id)) == clear(ring.entityKey(id)))
        #expect(faultCode { _ = try reopen(.key(key(2), .command)) } == .wrongKey)
        #expect(faultCode { _ = try reader.reloadIfChanged() } == .wrongKey)
        // The writer itself goes on.
        _ = try ring.addEntityKeys(1)
        #expect(try reopen().entityKeyIDs().count == 2)
    }
}

/// Readers beside a writer, and writes that fail.
@Suite struct KeyringProcessTests {
    let files = MemoryFiles()
    let environment: Environment
    let root = RootSecret.key(key(1), .keyFile)

    init() { environment = testEnvironment(files) }

    private func reopen() throws -> Keyring {
        try Keyring.open(path: "ring", environment: environment, secret: root)
    }

    @Test func readersFollowTheWriter() throws {
        let writer = try testRing(environment)
        let ids = try writer.addEntityKeys(2)
        let reader = try reopen()
        let kept = try reader.entityKey(ids[0])
        _ = try reader.entityKey(ids[1])
        #expect(try !reader.reloadIfChanged())
        let new = try writer.addEntityKeys(1)[0]
        try writer.eraseEntityKey(ids[1], reference: [UInt8](repeating: 0, count: 32))
        #expect(faultCode { _ = try reader.entityKey(new) } == .notFound)
        #expect(try reader.reloadIfChanged())
        #expect(reader.generation == writer.generation)
        #expect(try clear(reader.entityKey(new)) == clear(writer.entityKey(new)))
        #expect(try reader.entityKey(ids[0]) === kept)
        #expect(faultCode { _ = try reader.entityKey(ids[1]) } == .keyErased)
        #expect(try !reader.reloadIfChanged())
    }

    @Test func anUnchangedRingCostsItsHeaderOnly() throws {
        let writer = try testRing(environment)
        _ = try writer.addEntityKeys(1_000)
        let before = files.state.withLock { $0.bytesRead }
        #expect(try !writer.reloadIfChanged())
        #expect(files.state.withLock { $0.bytesRead } - before == KeyringFormat.Header.end)
    }

    @Test func aStaleWriterDoesNotOverwriteTheNewerRing() throws {
        let first = try testRing(environment)
        let second = try reopen()
        _ = try first.addEntityKeys(1)
        #expect(faultCode { _ = try second.addEntityKeys(1) } == .locked)
        #expect(try second.reloadIfChanged())
        _ = try second.addEntityKeys(1)
        #expect(try reopen().entityKeyIDs().count == 2)
    }

    @Test func anotherStoresRingIsNotTakenOver() throws {
        let ring = try testRing(environment)
        let other = testEnvironment(files, seed: 9)
        files["ring"] = nil
        _ = try Keyring.create(
            path: "ring", environment: other, storeID: [UInt8](repeating: 7, count: 16), secret: root)
        #expect(faultCode { _ = try ring.reloadIfChanged() } == .damaged)
    }

    /// Every operation of a rewrite fails once, before and after it took effect: what is on disk opens, is
    /// the old or the new ring as a whole, and memory says the old one.
    @Test(arguments: [false, true])
    func everyFailingOperationLeavesAWholeRing(_ afterEffect: Bool) throws {
        var failures = 0
        for operation in 0..<50 {
            let files = MemoryFiles()
            let environment = testEnvironment(files, seed: UInt64(operation))
            let ring = try testRing(environment)
            let ids = try ring.addEntityKeys(3)
            files.fail(after: operation, afterEffect: afterEffect)
            let code = faultCode { _ = try ring.addEntityKeys(2) }
            let hasFailed = files.hasFailed
            files.fail(after: nil)
            let onDisk = try Keyring.open(path: "ring", environment: environment, secret: root)
            if !hasFailed {
                #expect(code == nil && onDisk.entityKeyIDs().count == 5)
                break
            }
            failures += 1
            #expect(code == .io)
            #expect(ring.entityKeyIDs() == ids)
            #expect([3, 5].contains(onDisk.entityKeyIDs().count))
            #expect(try ids.allSatisfy { try clear(onDisk.entityKey($0)) == clear(ring.entityKey($0)) })
        }
        #expect(failures >= 6)
    }

    @Test func aFailedSyncPoisonsTheRingForWriting() throws {
        let ring = try testRing(environment)
        let id = try ring.addEntityKeys(1)[0]
        // open (check), create, write, sync
        files.fail(after: 3)
        #expect(faultCode { _ = try ring.addEntityKeys(1) } == .io)
        files.fail(after: nil)
        #expect(faultCode { _ = try ring.addEntityKeys(1) } == .poisoned)
        _ = try ring.entityKey(id)
        _ = try reopen().addEntityKeys(1)
    }

    @Test func aFullDiskDoesNotPoisonAndNoGenerationIsUsedTwice() throws {
        let ring = try testRing(environment)
        files.fail(after: 2, code: .diskFull)
        #expect(faultCode { _ = try ring.addEntityKeys(1) } == .diskFull)
        // The rename takes effect, then the call fails all the same.
        files.fail(after: 5, afterEffect: true, code: .diskFull)
        #expect(faultCode { _ = try ring.addEntityKeys(1) } == .diskFull)
        files.fail(after: nil)
        let reader = try reopen()
        #expect(reader.generation == 3 && ring.generation == 1)
        _ = try ring.addEntityKeys(4)
        #expect(ring.generation == 4)
        #expect(try reader.reloadIfChanged())
        #expect(reader.entityKeyIDs() == ring.entityKeyIDs() && reader.entityKeyIDs().count == 4)
    }
}
