// Bytes that are not a keyring, or not the one that was written: always a typed fault, the right one where
// the kinds of harm can be told apart.

import EventStoreCore
import EventStoreCrypto
import Testing

@Suite struct KeyringHostileTests {
    let files = MemoryFiles()
    let environment: Environment
    let root = RootSecret.key(key(1), .keyFile)
    let original: [UInt8]

    init() throws {
        environment = testEnvironment(files)
        let ring = try testRing(environment)
        _ = try ring.addSlot(.passphrase(secret("words")), scrypt: try #require(quickScrypt))
        let ids = try ring.addEntityKeys(2)
        try ring.eraseEntityKey(ids[0], reference: [UInt8](repeating: 5, count: 32))
        original = try #require(files["ring"])
    }

    private func openingCode(_ bytes: [UInt8], _ secret: RootSecret? = nil) -> Fault.Code? {
        files["ring"] = bytes
        return faultCode { _ = try Keyring.open(path: "ring", environment: environment, secret: secret ?? root) }
    }

    /// The bytes with the checksum they would have, as one who tampers would write it.
    private func resummed(_ bytes: [UInt8]) -> [UInt8] {
        let content = Array(bytes.dropLast(KeyringFormat.checksumBytes))
        return content + sha256(content)
    }

    @Test func theOriginalOpens() {
        #expect(openingCode(original) == nil)
        #expect(openingCode(original, .passphrase(secret("words"))) == nil)
        #expect(openingCode(resummed(original)) == nil)
    }

    @Test func everyFlippedBitIsDamage() {
        for bit in 0..<original.count * 8 { #expect(openingCode(flipped(original, bit)) == .damaged, "bit \(bit)") }
    }

    @Test func everyTruncationAndExtensionIsDamage() {
        for count in 0..<original.count { #expect(openingCode(Array(original[..<count])) == .damaged) }
        for extra in [1, 16, 128, 5_000] {
            #expect(openingCode(original + [UInt8](repeating: 0, count: extra)) == .damaged)
        }
    }

    /// The same with a right checksum: nothing opens, and only the four faults that can be meant are thrown.
    @Test func everyFlippedBitWithARightChecksumIsRefused() {
        let sealedStart = KeyringFormat.Header.end + 2 * KeyringFormat.Slot.end
        for bit in 0..<(original.count - KeyringFormat.checksumBytes) * 8 {
            let code = openingCode(resummed(flipped(original, bit)))
            if bit / 8 >= sealedStart {
                #expect(code == .tampered, "bit \(bit)")
            } else {
                #expect(
                    [.damaged, .tampered, .wrongKey, .tooNew, .limit].contains(code),
                    "bit \(bit): \(code?.rawValue ?? "opened")")
            }
        }
    }

    @Test func everyTruncationWithARightChecksumIsDamage() {
        for count in 0..<original.count - KeyringFormat.checksumBytes {
            #expect(openingCode(original[..<count] + sha256(Array(original[..<count]))) == .damaged, "\(count)")
        }
    }

    @Test func theFaultsAreToldApart() {
        func changed(_ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
            var copy = original
            copy.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            return resummed(copy)
        }
        let slot = KeyringFormat.Header.end
        let words = slot + KeyringFormat.Slot.end
        #expect(openingCode(changed(0, [0])) == .damaged)
        #expect(openingCode(changed(KeyringFormat.Header.version, [2, 0])) == .tooNew)
        #expect(openingCode(changed(KeyringFormat.Header.version, [0, 0])) == .damaged)
        #expect(openingCode(changed(KeyringFormat.Header.generation, [9])) == .tampered)
        #expect(openingCode(changed(KeyringFormat.Header.storeID, [9])) == .wrongKey)
        #expect(openingCode(changed(slot + KeyringFormat.Slot.wrapped, [9])) == .wrongKey)
        #expect(openingCode(changed(slot + KeyringFormat.Slot.kind, [99])) == .damaged)
        #expect(openingCode(changed(words + KeyringFormat.Slot.wrapped, [9])) == .tampered, "another slot changed")
        #expect(openingCode(changed(words + KeyringFormat.Slot.scryptLogN, [63])) == .limit)
        #expect(openingCode(changed(words + KeyringFormat.Slot.scryptR, [0xff, 0xff, 0xff, 0xff])) == .limit)
        #expect(openingCode(original, .key(key(2), .keyFile)) == .wrongKey)
        #expect(openingCode([]) == .damaged)
    }

    /// Passphrase slots, each within the bounds, that add up to more work than allowed: refused on write and on
    /// read, before any derivation.
    @Test func theWorkOfAllSlotsIsBounded() throws {
        let files = MemoryFiles()
        let ring = try testRing(testEnvironment(files))
        _ = try ring.addSlot(.passphrase(secret("a")), scrypt: try #require(quickScrypt))
        let generation = ring.generation
        let heaviest = try ScryptParameters(logN: 17, r: 8, p: 16)
        #expect(faultCode { _ = try ring.addSlot(.passphrase(secret("b")), scrypt: heaviest) } == .limit)
        #expect(ring.slots().count == 2 && ring.generation == generation)
        _ = try ring.addSlot(.passphrase(secret("b")), scrypt: try #require(quickScrypt))
        var copy = try #require(files["ring"])
        for slot in 1...2 {
            // N = 2^17, r = 8, p = 9: nine sixteenths of the work allowed, twice.
            let start = KeyringFormat.Header.end + slot * KeyringFormat.Slot.end + KeyringFormat.Slot.scryptLogN
            copy.replaceSubrange(start..<start + 5, with: [17, 8, 0, 9, 0])
        }
        #expect(openingCode(resummed(copy)) == .limit)
    }

    /// A slot of one store in the keyring of another.
    @Test func slotsDoNotMoveBetweenStores() throws {
        let ring = try Keyring.create(
            path: "foreign", environment: environment, storeID: [UInt8](repeating: 9, count: 16), secret: root)
        _ = try ring.addSlot(.key(key(3), .command))
        var copy = try #require(files["foreign"])
        let range = KeyringFormat.Header.end..<KeyringFormat.Header.end + KeyringFormat.Slot.end
        copy.replaceSubrange(range, with: original[range])
        #expect(openingCode(resummed(copy)) == .wrongKey)
    }

    /// The body's decoder behind its authentication: any bytes give a body or a typed fault.
    @Test func bodiesOfAnyBytesNeverTrap() throws {
        var body = KeyringBody(fresh: environment)
        body = try body.adding(5, generation: 3, environment).body
        body = try body.erasing([KeyTombstone(id: 77, erasedMs: 1, reference: .init(repeating: 1, count: 32))])
        let plain = body.bytes.withUnsafeBytes { [UInt8]($0) }
        let seed = UInt64.random(in: .min ... .max)
        let random = TestRandom(seed: seed)
        for count in 0..<plain.count {
            #expect(faultCode { _ = try KeyringBody(decoding: secret(Array(plain[..<count]))) } == .damaged)
        }
        for round in 0..<5_000 {
            var copy = plain
            for _ in 0..<Int(random.next() % 4 + 1) {
                copy[Int(random.next() % UInt64(round % 2 == 0 ? 20 : copy.count))] = UInt8(
                    truncatingIfNeeded: random.next())
            }
            let code = faultCode {
                let decoded = try KeyringBody(decoding: secret(copy))
                #expect(decoded.entityKeyCount == 5 && decoded.tombstoneCount == 1)
            }
            #expect(code == nil || code == .damaged, "seed \(seed), round \(round)")
        }
    }

    @Test func bodiesOutOfOrderAreDamaged() throws {
        let body = try KeyringBody(fresh: environment).adding(3, generation: 1, environment).body
        let plain = body.bytes.withUnsafeBytes { [UInt8]($0) }
        let first = KeyringFormat.Body.end + KeyPurpose.allCases.count * KeyringFormat.Subkey.end
        let size = KeyringFormat.EntityKey.end
        var swapped = plain
        for index in 0..<size { swapped.swapAt(first + index, first + size + index) }
        #expect(faultCode { _ = try KeyringBody(decoding: secret(swapped)) } == .damaged)
        var repeated = plain
        for index in 0..<8 { repeated[first + size + index] = repeated[first + index] }
        #expect(faultCode { _ = try KeyringBody(decoding: secret(repeated)) } == .damaged)
        var zero = plain
        for index in 0..<8 { zero[first + index] = 0 }
        #expect(faultCode { _ = try KeyringBody(decoding: secret(zero)) } == .damaged)
    }
}
