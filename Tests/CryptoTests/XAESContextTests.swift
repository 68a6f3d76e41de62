// XAES-256-GCM against the vectors and the accumulated hash of its specification; reuse of set-ups; tampering.

import EventStoreCore
import EventStoreCrypto
import Testing

@Suite struct XAESContextTests {
    private func seal(
        _ context: XAESContext, _ key: SecretKey, _ nonce: [UInt8], _ aad: [UInt8], _ plain: [UInt8]
    ) throws -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: plain.count + XAESContext.tagBytes)
        try sealed.withUnsafeMutableBytes { sealed in
            try plain.withUnsafeBytes { plain in
                try aad.withUnsafeBytes { aad in
                    try nonce.withUnsafeBytes {
                        try context.seal(key: key, nonce: $0, aad: aad, plain: plain, into: sealed)
                    }
                }
            }
        }
        return sealed
    }

    private func open(
        _ context: XAESContext, _ key: SecretKey, _ nonce: [UInt8], _ aad: [UInt8], _ sealed: [UInt8],
        into plain: inout [UInt8]
    ) throws {
        try plain.withUnsafeMutableBytes { plain in
            try sealed.withUnsafeBytes { sealed in
                try aad.withUnsafeBytes { aad in
                    try nonce.withUnsafeBytes {
                        try context.open(key: key, nonce: $0, aad: aad, sealed: sealed, into: plain)
                    }
                }
            }
        }
    }

    private func open(
        _ context: XAESContext, _ key: SecretKey, _ nonce: [UInt8], _ aad: [UInt8], _ sealed: [UInt8]
    ) throws -> [UInt8] {
        var plain = [UInt8](repeating: 0xee, count: max(0, sealed.count - XAESContext.tagBytes))
        try open(context, key, nonce, aad, sealed, into: &plain)
        return plain
    }

    @Test(arguments: [
        (UInt8(1), "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (UInt8(3), "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ])
    func publishedVectors(_ keyByte: UInt8, _ aad: String, _ expected: String) throws {
        let context = XAESContext()
        let nonce = Array("ABCDEFGHIJKLMNOPQRSTUVWX".utf8)
        let plain = Array("XAES-256-GCM".utf8)
        let sealed = try seal(context, key(keyByte), nonce, Array(aad.utf8), plain)
        #expect(hex(sealed) == expected)
        #expect(try open(context, key(keyByte), nonce, Array(aad.utf8), sealed) == plain)
    }

    /// The specification's accumulated test: inputs from one SHAKE128 of nothing, ciphertexts into another.
    @Test func accumulatedHashOfTenThousand() throws {
        var source = Shake128()
        var sink = Shake128()
        #expect(hex(Shake128.firstBytes(16)) == "7f9c2ba4e88f827d616045507605853e")
        let context = XAESContext()
        for _ in 0..<10_000 {
            let testKey = key(source.squeeze(32))
            let nonce = source.squeeze(24)
            let plain = source.squeeze(Int(source.squeeze(1)[0]))
            let aad = source.squeeze(Int(source.squeeze(1)[0]))
            let sealed = try seal(context, testKey, nonce, aad, plain)
            sink.absorb(sealed)
            #expect(try open(context, testKey, nonce, aad, sealed) == plain)
        }
        #expect(hex(sink.squeeze(32)) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939")
    }

    @Test func everyFlippedBitIsTamperedAndLeavesNoPlaintext() throws {
        let context = XAESContext()
        let testKey = key(7)
        let nonce = TestRandom(seed: 2).bytes(24)
        let aad = Array("header".utf8)
        let sealed = try seal(context, testKey, nonce, aad, Array("the plain text".utf8))
        func expectTampered(_ key: SecretKey, _ nonce: [UInt8], _ aad: [UInt8], _ sealed: [UInt8]) {
            var plain = [UInt8](repeating: 0xee, count: sealed.count - XAESContext.tagBytes)
            #expect(faultCode { try open(context, key, nonce, aad, sealed, into: &plain) } == .tampered)
            #expect(plain.allSatisfy { $0 == 0 })
        }
        for bit in 0..<sealed.count * 8 { expectTampered(testKey, nonce, aad, flipped(sealed, bit)) }
        for bit in 0..<nonce.count * 8 { expectTampered(testKey, flipped(nonce, bit), aad, sealed) }
        for bit in 0..<aad.count * 8 { expectTampered(testKey, nonce, flipped(aad, bit), sealed) }
        for bit in 0..<256 { expectTampered(key(flipped(clear(testKey), bit)), nonce, aad, sealed) }
        expectTampered(testKey, nonce, [], sealed)
        // A failure leaves the context usable.
        #expect(try open(context, testKey, nonce, aad, sealed) == Array("the plain text".utf8))
    }

    @Test func shorterThanATagIsDamaged() {
        for count in 0..<XAESContext.tagBytes {
            let short = [UInt8](repeating: 0, count: count)
            #expect(
                faultCode { _ = try open(XAESContext(), key(1), .init(repeating: 0, count: 24), [], short) } == .damaged
            )
        }
    }

    /// More keys and prefixes than the context keeps set up, in random order and both directions, against a
    /// fresh context each.
    @Test func reusedSetUpsAgreeWithFreshOnes() throws {
        let random = TestRandom(seed: 3)
        let context = XAESContext()
        let keys = (0..<7).map { _ in key(random.bytes(32)) }
        let prefixes = (0..<5).map { _ in random.bytes(12) }
        for round in 0..<3_000 {
            let testKey = keys[Int(random.next() % 7)]
            let nonce = prefixes[Int(random.next() % 5)] + random.bytes(12)
            let aad = random.bytes(Int(random.next() % 40))
            let plain = random.bytes(Int(random.next() % 100))
            if round % 500 == 499 { context.forget() }
            if random.next() % 2 == 0 {
                let sealed = try seal(context, testKey, nonce, aad, plain)
                #expect(try open(XAESContext(), testKey, nonce, aad, sealed) == plain)
            } else {
                let sealed = try seal(XAESContext(), testKey, nonce, aad, plain)
                #expect(try open(context, testKey, nonce, aad, sealed) == plain)
            }
        }
    }

    /// Prefixes and keys that differ in one bit must not share a set-up.
    @Test func setUpsAreToldApartByEveryBitOfThePrefix() throws {
        let context = XAESContext()
        let testKey = key(9)
        let nonce = [UInt8](repeating: 0x55, count: 24)
        let reference = try seal(context, testKey, nonce, [], [1, 2, 3])
        for bit in 0..<96 {
            let other = flipped(nonce, bit)
            let sealed = try seal(context, testKey, other, [], [1, 2, 3])
            #expect(sealed != reference)
            #expect(try seal(XAESContext(), testKey, other, [], [1, 2, 3]) == sealed)
        }
        let twin = key(9)
        #expect(try seal(context, twin, nonce, [], [1, 2, 3]) == reference)
    }

    @Test func sealsAndOpensInPlace() throws {
        let context = XAESContext()
        let nonce = [UInt8](repeating: 4, count: 24)
        let plain = TestRandom(seed: 5).bytes(5_000)
        let expected = try seal(context, key(4), nonce, [9], plain)
        var buffer = plain + [UInt8](repeating: 0, count: 16)
        try buffer.withUnsafeMutableBytes { buffer in
            let text = UnsafeRawBufferPointer(rebasing: buffer[..<5_000])
            try nonce.withUnsafeBytes { nonce in
                try [9].withUnsafeBytes {
                    try context.seal(
                        key: key(4), nonce: nonce, aad: .init(rebasing: $0[..<1]), plain: text, into: buffer)
                }
            }
        }
        #expect(buffer == expected)
    }

    @Test func boxesRoundTripAndBindTheirData() throws {
        let environment = testEnvironment()
        let context = XAESContext()
        for count in [0, 1, 15, 16, 17, 4_096] {
            let plain = TestRandom(seed: 6).bytes(count)
            let box = try context.sealBox(key: key(2), aad: [1, 2], plain: plain, environment)
            #expect(box.count == count + XAESContext.boxOverheadBytes)
            #expect(try context.openBox(key: key(2), aad: [1, 2], box: box) == plain)
            #expect(try SealedValue.open(box, key: key(2), aad: [1, 2]) == plain)
            #expect(faultCode { _ = try context.openBox(key: key(2), aad: [1, 3], box: box) } == .tampered)
            #expect(faultCode { _ = try context.openBox(key: key(3), aad: [1, 2], box: box) } == .tampered)
        }
        let (one, two) = (
            try SealedValue.seal([5], key: key(2), aad: [], environment),
            try SealedValue.seal([5], key: key(2), aad: [], environment)
        )
        #expect(one != two)
        for count in 0..<XAESContext.boxOverheadBytes {
            let short = [UInt8](repeating: 0, count: count)
            #expect(faultCode { _ = try context.openBox(key: key(2), aad: [], box: short) } == .damaged)
        }
    }
}

/// Alone: it watches every seal of the process. Only pairs of its own key count.
@Suite(.serialized) struct NonceAuditTests {
    @Test func seesARepeatedPair() throws {
        let context = XAESContext()
        let environment = testEnvironment(seed: 77)
        NonceAudit.start()
        let box = try context.sealBox(key: key(0x71), aad: [], plain: [1], environment)
        _ = try context.sealBox(key: key(0x71), aad: [], plain: [1], environment)
        let before = NonceAudit.counts()
        var sealed = [UInt8](repeating: 0, count: 17)
        try box.withUnsafeBytes { box in
            try sealed.withUnsafeMutableBytes {
                try context.seal(
                    key: key(0x71), nonce: .init(rebasing: box[..<24]), aad: .init(start: nil, count: 0),
                    plain: .init(rebasing: box[..<1]), into: $0)
            }
        }
        let after = NonceAudit.stop()
        #expect(before.pairs >= 2)
        #expect(after.repeats > before.repeats)
    }
}

func flipped(_ bytes: [UInt8], _ bit: Int) -> [UInt8] {
    var copy = bytes
    copy[bit / 8] ^= 1 << UInt8(bit % 8)
    return copy
}

extension Shake128 {
    static func firstBytes(_ count: Int) -> [UInt8] {
        var empty = Shake128()
        return empty.squeeze(count)
    }
}
