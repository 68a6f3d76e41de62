// The layout on docs/format/keyring.md, held in place: a printed layout, a file of version 1 that must open
// for ever, and a reader written from the page alone.

import EventStoreCore
import EventStoreCrypto
import Testing

@Suite struct KeyringFormatTests {
    @Test func layout() {
        let printed = """
            header    magic 0, version 8, slotCount 10, reserved 12, storeID 16, generation 32, bodyBytes 40, bodyNonce 48, end 72
            slot      kind 0, scryptLogN 1, scryptR 2, scryptP 4, reserved 6, id 8, createdMs 16, salt 24, wrapNonce 56, \
            wrapped 80, end 128
            body      subkeyCount 0, reserved 2, entityKeyCount 4, tombstoneCount 8, reserved 12, end 16
            subkey    purpose 0, reserved 2, key 8, end 40
            entityKey id 0, generation 8, key 16, end 48
            tombstone id 0, erasedMs 8, reference 16, end 48
            purposes  names 1, nameTags 2, footers 3, audit 4, credentials 5, lineIDs 6, receipts 7, segmentKeys 8
            kinds     keyFile 1, passphrase 2, environment 3, command 4
            """
        #expect(KeyringFormatTests.printLayout() == printed)
    }

    private static func printLayout() -> String {
        typealias F = KeyringFormat
        typealias H = KeyringFormat.Header
        typealias S = KeyringFormat.Slot
        typealias B = KeyringFormat.Body
        func line(_ name: String, _ fields: [(String, Int)]) -> String {
            name.padded(to: 10) + fields.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        }
        return [
            line(
                "header",
                [
                    ("magic", H.magic), ("version", H.version), ("slotCount", H.slotCount), ("reserved", H.reserved),
                    ("storeID", H.storeID), ("generation", H.generation), ("bodyBytes", H.bodyBytes),
                    ("bodyNonce", H.bodyNonce), ("end", H.end),
                ]),
            line(
                "slot",
                [
                    ("kind", S.kind), ("scryptLogN", S.scryptLogN), ("scryptR", S.scryptR), ("scryptP", S.scryptP),
                    ("reserved", S.reserved), ("id", S.id), ("createdMs", S.createdMs), ("salt", S.salt),
                    ("wrapNonce", S.wrapNonce), ("wrapped", S.wrapped), ("end", S.end),
                ]),
            line(
                "body",
                [
                    ("subkeyCount", B.subkeyCount), ("reserved", B.reserved), ("entityKeyCount", B.entityKeyCount),
                    ("tombstoneCount", B.tombstoneCount), ("reserved", B.reserved2), ("end", B.end),
                ]),
            line(
                "subkey",
                [
                    ("purpose", F.Subkey.purpose), ("reserved", F.Subkey.reserved), ("key", F.Subkey.key),
                    ("end", F.Subkey.end),
                ]),
            line(
                "entityKey",
                [
                    ("id", F.EntityKey.id), ("generation", F.EntityKey.generation), ("key", F.EntityKey.key),
                    ("end", F.EntityKey.end),
                ]),
            line(
                "tombstone",
                [
                    ("id", F.Tombstone.id), ("erasedMs", F.Tombstone.erasedMs), ("reference", F.Tombstone.reference),
                    ("end", F.Tombstone.end),
                ]),
            line("purposes", KeyPurpose.allCases.map { ("\($0)", Int($0.rawValue)) }),
            line("kinds", KeySlotKind.allCases.map { ("\($0)", Int($0.rawValue)) }),
        ].joined(separator: "\n")
    }

    /// The ring of the fixture: two slots, three keys, the middle one erased.
    private func makeFixture() throws -> [UInt8] {
        let files = MemoryFiles()
        let ring = try testRing(testEnvironment(files, seed: 42))
        _ = try ring.addSlot(.passphrase(secret("correct horse")), scrypt: try #require(quickScrypt))
        let ids = try ring.addEntityKeys(3)
        try ring.eraseEntityKey(ids[1], reference: [UInt8](repeating: 0xab, count: 32))
        return try #require(files["ring"])
    }

    /// Same randomness, same bytes: a change of the writer's output is a decision.
    @Test func theWriterStillWritesVersion1() throws {
        let written = hex(try makeFixture())
        #expect(written == hex(KeyringFixture.version1))
    }

    @Test func aFileOfVersion1StillOpens() throws {
        let files = MemoryFiles()
        files["ring"] = KeyringFixture.version1
        for secret in [RootSecret.key(key(1), .keyFile), .passphrase(secret("correct horse"))] {
            let ring = try Keyring.open(path: "ring", environment: testEnvironment(files), secret: secret)
            #expect(ring.storeID == testStoreID)
            #expect(ring.generation == 4)
            #expect(ring.entityKeyIDs().count == 2 && ring.tombstones().count == 1)
            #expect(hex(clear(ring.subkey(.lineIDs))) == KeyringFixture.lineIDsKey)
        }
    }

    /// Reads the fixture with the numbers of the page, not those of the constants file.
    @Test func aReaderFromThePageAlone() throws {
        let file = KeyringFixture.version1
        #expect(Array(file[0..<8]) == Array("EVKEYRNG".utf8))
        let slotCount = Int(file[10])
        let bodyBytes = Int(file[40]) | Int(file[41]) << 8
        let slotsEnd = 72 + 128 * slotCount
        #expect(file.count == slotsEnd + bodyBytes + 16 + 32)
        #expect(sha256(Array(file.dropLast(32))) == Array(file.suffix(32)))
        let context = XAESContext()
        let slot = Array(file[72..<200])
        let master = try context.openBox(
            key: key(1), aad: Array("eventstore keyring slot 1".utf8) + file[16..<32] + slot[0..<56],
            box: Array(slot[56..<128]))
        let body = try context.openBox(
            key: key(master), aad: Array(file[..<slotsEnd]),
            box: Array(file[48..<72] + file[slotsEnd..<slotsEnd + bodyBytes + 16]))
        let (subkeys, entityKeys, tombstones) = (Int(body[0]), Int(body[4]), Int(body[8]))
        #expect(body.count == 16 + 40 * subkeys + 48 * entityKeys + 48 * tombstones)
        let lineIDs = 16 + 40 * 5
        #expect(body[lineIDs] == 6)
        #expect(hex(body[lineIDs + 8..<lineIDs + 40]) == KeyringFixture.lineIDsKey)
        let reference = 16 + 40 * subkeys + 48 * entityKeys + 16
        #expect(body[reference..<reference + 32].allSatisfy { $0 == 0xab })
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
