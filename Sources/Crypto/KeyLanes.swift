// Keys that were used, set up for steps 1 and 2 of XAES-256-GCM: AES-256-ECB keyed with the key, and K1, the first
// subkey of CMAC (NIST SP 800-38B). Invariant: a lane has an identity only while its cipher and its K1 are that key's.

import CLibCrypto
import EventStoreCore

/// Set-ups of keys by the key's identity. A question over many entities uses each entity's key once a segment, so
/// the table grows with the keys it meets: identities count up, and neighbours never displace one another.
struct KeyLanes: ~Copyable {
    static let firstCount = 8
    /// Keys beyond these displace others. A lane takes about 700 bytes.
    static let countMax = 1024

    private struct Lane {
        var identity: UInt64 = 0
        var cipher: OpaquePointer?
    }

    private var count: Int
    private var lanes: UnsafeMutablePointer<Lane>
    /// K1 of each lane.
    private var masks: UnsafeMutableRawPointer
    private static let maskBytes = 16

    /// `count` is a power of two.
    init(count: Int) {
        self.count = count
        lanes = .allocate(capacity: count)
        lanes.initialize(repeating: Lane(), count: count)
        masks = SecretMemory.allocate(count * KeyLanes.maskBytes)
    }

    deinit {
        for index in 0..<count { EVP_CIPHER_CTX_free(lanes[index].cipher) }
        lanes.deallocate()
        SecretMemory.free(masks, count * KeyLanes.maskBytes)
    }

    /// Drops and cleanses every set-up.
    mutating func forget() {
        for index in 0..<count {
            EVP_CIPHER_CTX_free(lanes[index].cipher)
            lanes[index] = Lane()
        }
        OPENSSL_cleanse(masks, count * KeyLanes.maskBytes)
    }

    /// The cipher keyed with `key` and its K1, valid until the next call.
    mutating func find(_ key: SecretKey) throws(Fault) -> (cipher: OpaquePointer, k1: UnsafeRawPointer) {
        let index = place(key.identity)
        if lanes[index].identity == key.identity, let cipher = lanes[index].cipher {
            return (cipher, UnsafeRawPointer(masks + index * KeyLanes.maskBytes))
        }
        while count < KeyLanes.countMax, lanes[place(key.identity)].identity != 0 { grow() }
        return try setUp(key, place(key.identity))
    }

    @inline(__always)
    private func place(_ identity: UInt64) -> Int { Int(truncatingIfNeeded: identity) & (count &- 1) }

    private mutating func grow() {
        var wider = KeyLanes(count: count * 2)
        for index in 0..<count where lanes[index].identity != 0 {
            let target = wider.place(lanes[index].identity)
            wider.lanes[target] = lanes[index]
            lanes[index] = Lane()
            (wider.masks + target * KeyLanes.maskBytes).copyMemory(
                from: masks + index * KeyLanes.maskBytes, byteCount: KeyLanes.maskBytes)
        }
        swap(&self, &wider)
    }

    private mutating func setUp(
        _ key: SecretKey, _ index: Int
    ) throws(Fault) -> (cipher: OpaquePointer, k1: UnsafeRawPointer) {
        lanes[index].identity = 0
        if lanes[index].cipher == nil {
            lanes[index].cipher = try LibCrypto.context(LibCrypto.aes256ECB, isEncrypting: 1)
        }
        guard let context = lanes[index].cipher else { throw LibCrypto.fault("AES-256") }
        let k1 = masks + KeyLanes.maskBytes * index
        k1.initializeMemory(as: UInt64.self, repeating: 0, count: 2)
        let bytes = k1.assumingMemoryBound(to: UInt8.self)
        var written: Int32 = 0
        try LibCrypto.check(
            key.withUnsafeBytes { EVP_EncryptInit_ex(context, nil, nil, $0.cBase, nil) }, "an AES-256 key")
        // Only whole blocks are ever encrypted.
        EVP_CIPHER_CTX_set_padding(context, 0)
        try LibCrypto.check(EVP_EncryptUpdate(context, bytes, &written, bytes, 16), "AES-256")
        let high = UInt64(bigEndian: k1.load(as: UInt64.self))
        let low = UInt64(bigEndian: k1.load(fromByteOffset: 8, as: UInt64.self))
        // Doubling in GF(2^128): shift left by one, fold the carry back in without a branch.
        let carry = 0 &- (high >> 63)
        k1.storeBytes(of: (high << 1 | low >> 63).bigEndian, as: UInt64.self)
        k1.storeBytes(of: (low << 1 ^ carry & 0x87).bigEndian, toByteOffset: 8, as: UInt64.self)
        lanes[index].identity = key.identity
        return (context, UnsafeRawPointer(k1))
    }
}
