// SHA-256, HMAC and line ids, scrypt and Ed25519 against published vectors; their bounds and refusals.

import EventStoreCore
import EventStoreCrypto
import Testing

@Suite struct DigestTests {
    @Test func sha256Vectors() {
        #expect(hex(sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            hex(sha256(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    /// RFC 4231, cases 1, 2, 3 and 6 (a key longer than a block).
    @Test func hmacVectors() {
        let cases: [(key: [UInt8], data: [UInt8], mac: String)] = [
            (
                .init(repeating: 0x0b, count: 20), Array("Hi There".utf8),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                .init(repeating: 0xaa, count: 20), .init(repeating: 0xdd, count: 50),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
            ),
            (
                .init(repeating: 0xaa, count: 131),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ]
        for one in cases { #expect(hex(hmacSHA256(keyBytes: secret(one.key), one.data)) == one.mac) }
    }

    @Test func lineHasherIsHMACOfFramedPieces() {
        let hasher = LineHasher(key: key(5))
        let random = TestRandom(seed: 8)
        for _ in 0..<200 {
            let pieces = (0..<Int(random.next() % 4)).map { _ in random.bytes(Int(random.next() % 200)) }
            var framed: [UInt8] = []
            hasher.begin()
            for piece in pieces {
                piece.withUnsafeBytes { hasher.add($0) }
                framed += little(UInt64(piece.count)) + piece
            }
            hasher.add(UInt64(77))
            framed += little(8) + little(77)
            let id = hasher.finish()
            let mac = hmacSHA256(key: key(5), framed)
            #expect(little(id.high.byteSwapped) + little(id.low.byteSwapped) == Array(mac[..<16]))
        }
    }

    /// Ids of stored lines: this value never changes.
    @Test func lineIDsStayAsTheyAre() {
        let hasher = LineHasher(key: key(1))
        let (entity, line) = (Array("example.org".utf8), Array("GET / HTTP/1.1".utf8))
        let ids = (0..<2).map { occurrence in
            entity.withUnsafeBytes { entity in
                line.withUnsafeBytes { hasher.id(entity: entity, line: $0, occurrence: UInt64(occurrence)).text }
            }
        }
        #expect(ids == ["e12f163b-decf-97b6-b047-0a63472d11da", "63288e32-6432-6d9f-10ae-50c96236eba5"])
    }

    @Test func framingTellsPiecesApart() {
        let hasher = LineHasher(key: key(1))
        func hash(_ pieces: [String]) -> EventID {
            hasher.begin()
            for piece in pieces { Array(piece.utf8).withUnsafeBytes { hasher.add($0) } }
            return hasher.finish()
        }
        #expect(hash(["ab", "c"]) != hash(["a", "bc"]))
        #expect(hash(["ab"]) != hash(["ab", ""]))
        #expect(hash(["ab"]) == hash(["ab"]))
    }

    @Test func comparesInConstantTimeByContentAndLength() {
        #expect(constantTimeEquals([], []))
        #expect(constantTimeEquals([1, 2], [1, 2]))
        #expect(!constantTimeEquals([1, 2], [1, 3]))
        #expect(!constantTimeEquals([1, 2], [1, 2, 0]))
        #expect(SecretBytes.equal(secret("a"), secret("a")))
        #expect(!SecretBytes.equal(secret("a"), secret("b")))
    }

    private func little(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) } }
}

@Suite struct ScryptTests {
    /// RFC 7914, section 12, the cases within the bounds (their first 32 bytes).
    @Test func vectors() throws {
        let first = try scrypt(
            passphrase: secret("password"), salt: Array("NaCl".utf8), parameters: .init(logN: 10, r: 8, p: 16))
        #expect(hex(clear(first)) == "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")
        let second = try scrypt(
            passphrase: secret("pleaseletmein"), salt: Array("SodiumChloride".utf8),
            parameters: .init(logN: 14, r: 8, p: 1))
        #expect(hex(clear(second)) == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    }

    @Test func boundsAreKept() throws {
        #expect(try ScryptParameters(logN: 17, r: 8, p: 1) == .standard)
        let refused: [(UInt8, UInt16, UInt16)] = [
            (9, 8, 1), (24, 1, 1), (63, 1, 1), (255, 8, 1), (17, 0, 1), (17, 8, 0), (20, 16, 1), (17, 8, 17),
            (10, 65_535, 1), (17, 65_535, 65_535),
        ]
        for (logN, r, p) in refused {
            #expect(faultCode { _ = try ScryptParameters(logN: logN, r: r, p: p) } == .limit, "\(logN) \(r) \(p)")
        }
    }

    @Test func theStandardCostWorks() throws {
        let derived = try scrypt(passphrase: secret("p"), salt: [1], parameters: .standard)
        #expect(clear(derived).contains { $0 != 0 })
    }
}

@Suite struct Ed25519Tests {
    /// RFC 8032, section 7.1, tests 1 and 2.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            """
            e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b
            d25bf5f0595bbe24655141438e7a100b
            """
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            """
            92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c
            387b2eaeb4302aeeb00d291612bb0c00
            """
        ),
    ])
    func vectors(_ seed: String, _ publicKey: String, _ message: String, _ signature: String) throws {
        let seedKey = key(bytes(hex: seed))
        #expect(try hex(Ed25519.publicKey(seed: seedKey)) == publicKey)
        #expect(try Ed25519.sign(bytes(hex: message), seed: seedKey) == bytes(hex: signature))
        #expect(
            Ed25519.verify(bytes(hex: signature), of: bytes(hex: message), publicKey: bytes(hex: publicKey)))
    }

    @Test func refusesWhatWasNotSigned() throws {
        let message = Array("receipt".utf8)
        let signature = try Ed25519.sign(message, seed: key(3))
        let publicKey = try Ed25519.publicKey(seed: key(3))
        #expect(Ed25519.verify(signature, of: message, publicKey: publicKey))
        for bit in 0..<signature.count * 8 {
            #expect(!Ed25519.verify(flipped(signature, bit), of: message, publicKey: publicKey))
        }
        #expect(!Ed25519.verify(signature, of: message + [0], publicKey: publicKey))
        #expect(!Ed25519.verify(signature, of: message, publicKey: try Ed25519.publicKey(seed: key(4))))
        #expect(!Ed25519.verify([], of: message, publicKey: publicKey))
        #expect(!Ed25519.verify(signature, of: message, publicKey: []))
    }
}
