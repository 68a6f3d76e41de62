// XAES-256-GCM as C2SP specifies it (https://c2sp.org/XAES-256-GCM): AES-256-GCM with a 192-bit nonce, whose
// first 12 bytes and the key give a subkey (NIST SP 800-108r1 counter KDF over CMAC-AES256, Label "X"), and
// whose last 12 bytes are the IV under that subkey.
//
// Invariants: a lane says it is keyed only while its context holds exactly the subkey of its (key, prefix);
// subkeys exist outside libcrypto's contexts only within `derive`'s scratch, cleansed before it returns;
// plaintext that did not authenticate is wiped before an error is thrown.

import CLibCrypto
import EventStoreCore

/// Seals and opens. One per thread (not Sendable). Keeps a few recent keys and subkeys set up, so that the
/// many packs of one (key, segment) cost one IV change each; holds no reference to a `SecretKey`.
package final class XAESContext {
    package static let nonceBytes = 24
    package static let tagBytes = 16
    /// Bytes of the nonce that take part in the subkey; packs that share them (a segment id) share a set-up.
    package static let prefixBytes = 12
    /// Longest plaintext and longest additional data of one call.
    package static let inputBytesMax = 1 << 30

    /// AES-256-GCM keyed with the subkey of one (key, nonce prefix), a context for each direction.
    struct SubkeyLane {
        var identity: UInt64 = 0
        var prefixLow: UInt64 = 0
        var prefixHigh: UInt32 = 0
        var lastUse: UInt64 = 0
        var sealKeyed = false
        var openKeyed = false
        var sealing: OpaquePointer?
        var opening: OpaquePointer?
    }

    private static let subkeyLanesCount = 8
    /// Unchecked: private, and nothing it calls comes back here.
    @exclusivity(unchecked) private var keyLanes = KeyLanes(count: KeyLanes.firstCount)
    private let subkeyLanes: UnsafeMutablePointer<SubkeyLane>
    /// 32 bytes for the subkey being derived.
    private let subkey: UnsafeMutableRawPointer
    /// The tag to expect, as libcrypto takes it together with key and IV.
    private let tagParameter: UnsafeMutablePointer<OSSL_PARAM>
    @exclusivity(unchecked) private var clock: UInt64 = 0

    package init() {
        subkeyLanes = .allocate(capacity: XAESContext.subkeyLanesCount)
        subkeyLanes.initialize(repeating: SubkeyLane(), count: XAESContext.subkeyLanesCount)
        subkey = SecretMemory.allocate(SecretKey.bytesCount)
        tagParameter = .allocate(capacity: 2)
        tagParameter[0] = OSSL_PARAM_construct_octet_string(LibCrypto.tagName, nil, XAESContext.tagBytes)
        tagParameter[1] = OSSL_PARAM_construct_end()
    }

    deinit {
        forget()
        subkeyLanes.deallocate()
        tagParameter.deallocate()
        SecretMemory.free(subkey, SecretKey.bytesCount)
    }

    /// Drops and cleanses every key set-up, e.g. after an entity's key was erased.
    package func forget() {
        keyLanes.forget()
        for index in 0..<XAESContext.subkeyLanesCount {
            EVP_CIPHER_CTX_free(subkeyLanes[index].sealing)
            EVP_CIPHER_CTX_free(subkeyLanes[index].opening)
            subkeyLanes[index] = SubkeyLane()
        }
        OPENSSL_cleanse(subkey, SecretKey.bytesCount)
    }

    /// Seals `plain` into `target`: ciphertext, then the 16-byte tag. `nonce` is 24 bytes and used once per
    /// key; `target` is 16 bytes longer than `plain` and may start where `plain` starts. Throws `limit` for
    /// inputs over `inputBytesMax`, `io` when libcrypto refuses.
    package func seal(
        key: SecretKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer,
        plain: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        precondition(nonce.count == XAESContext.nonceBytes && target.count == plain.count + XAESContext.tagBytes)
        try XAESContext.checkSizes(aad.count, plain.count)
        defer { withExtendedLifetime(self) {} }
        NonceAudit.record(key: key, nonce: nonce)
        let context = try sealingContext(key, nonce)
        let output = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
        var written: Int32 = 0
        var result: Int32 = 1
        if aad.count > 0 { result &= EVP_EncryptUpdate(context, nil, &written, aad.cBase, Int32(aad.count)) }
        if plain.count > 0 { result &= EVP_EncryptUpdate(context, output, &written, plain.cBase, Int32(plain.count)) }
        result &= EVP_EncryptFinal_ex(context, output + plain.count, &written)
        result &= EVP_CIPHER_CTX_ctrl(
            context, EVP_CTRL_AEAD_GET_TAG, Int32(XAESContext.tagBytes), output + plain.count)
        try LibCrypto.check(result, "AES-256-GCM")
    }

    /// Opens `sealed` (ciphertext, then tag) into `target`, which is 16 bytes shorter and may start where
    /// `sealed` starts. Throws `tampered` when the bytes, the additional data, the nonce or the key are not
    /// those it was sealed with (`target` is zeros then), `damaged` when `sealed` is shorter than a tag.
    package func open(
        key: SecretKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer,
        sealed: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        guard sealed.count >= XAESContext.tagBytes else {
            throw Fault(.damaged, "sealed bytes are shorter than their authentication tag")
        }
        let count = sealed.count - XAESContext.tagBytes
        precondition(nonce.count == XAESContext.nonceBytes && target.count == count)
        try XAESContext.checkSizes(aad.count, count)
        defer { withExtendedLifetime(self) {} }
        let input = sealed.cBase
        let context = try openingContext(key, nonce, tag: input + count)
        var none: UInt8 = 0
        var written: Int32 = 0
        var result: Int32 = 1
        if aad.count > 0 { result &= EVP_DecryptUpdate(context, nil, &written, aad.cBase, Int32(aad.count)) }
        if count > 0 {
            let output = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
            result &= EVP_DecryptUpdate(context, output, &written, input, Int32(count))
        }
        try LibCrypto.check(result, "AES-256-GCM")
        guard EVP_DecryptFinal_ex(context, &none, &written) == 1 else {
            if count > 0 { OPENSSL_cleanse(target.baseAddress, count) }
            ERR_clear_error()
            throw Fault(.tampered, "sealed bytes do not match their authentication tag")
        }
    }

    private static func checkSizes(_ aad: Int, _ data: Int) throws(Fault) {
        guard aad <= inputBytesMax, data <= inputBytesMax else {
            throw Fault(.limit, "more than \(inputBytesMax) bytes to seal or open at once")
        }
    }
}

// MARK: - Key set-up

extension XAESContext {
    /// The sealing context of (key, prefix of nonce), its IV set.
    private func sealingContext(_ key: SecretKey, _ nonce: UnsafeRawBufferPointer) throws(Fault) -> OpaquePointer {
        let lane = subkeyLane(key.identity, nonce)
        let iv = nonce.cBase + XAESContext.prefixBytes
        if lane.pointee.sealKeyed, let context = lane.pointee.sealing {
            try LibCrypto.check(EVP_EncryptInit_ex(context, nil, nil, nil, iv), "an IV")
            return context
        }
        let context = try prepared(&lane.pointee.sealing, LibCrypto.aes256GCM, isEncrypting: 1)
        try withSubkey(key, nonce) { (subkey) throws(Fault) in
            try LibCrypto.check(EVP_EncryptInit_ex(context, nil, nil, subkey, iv), "an AES-256-GCM key")
        }
        lane.pointee.sealKeyed = true
        return context
    }

    /// The opening context of (key, prefix of nonce), its IV and the tag to expect set.
    private func openingContext(
        _ key: SecretKey, _ nonce: UnsafeRawBufferPointer, tag: UnsafePointer<UInt8>
    ) throws(Fault) -> OpaquePointer {
        tagParameter[0].data = UnsafeMutableRawPointer(mutating: tag)
        let lane = subkeyLane(key.identity, nonce)
        let iv = nonce.cBase + XAESContext.prefixBytes
        if lane.pointee.openKeyed, let context = lane.pointee.opening {
            try LibCrypto.check(EVP_DecryptInit_ex2(context, nil, nil, iv, tagParameter), "an IV")
            return context
        }
        let context = try prepared(&lane.pointee.opening, LibCrypto.aes256GCM, isEncrypting: 0)
        try withSubkey(key, nonce) { (subkey) throws(Fault) in
            try LibCrypto.check(
                EVP_DecryptInit_ex2(context, nil, subkey, iv, tagParameter), "an AES-256-GCM key")
        }
        lane.pointee.openKeyed = true
        return context
    }

    /// The lane of (key, prefix of nonce): the one that has it, or the least recently used one, unkeyed.
    private func subkeyLane(_ identity: UInt64, _ nonce: UnsafeRawBufferPointer) -> UnsafeMutablePointer<SubkeyLane> {
        let low = nonce.loadUnaligned(as: UInt64.self)
        let high = nonce.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        clock &+= 1
        var oldest = subkeyLanes
        for index in 0..<XAESContext.subkeyLanesCount {
            let lane = subkeyLanes + index
            if lane.pointee.identity == identity, lane.pointee.prefixLow == low, lane.pointee.prefixHigh == high {
                lane.pointee.lastUse = clock
                return lane
            }
            if lane.pointee.lastUse < oldest.pointee.lastUse { oldest = lane }
        }
        oldest.pointee.identity = identity
        oldest.pointee.prefixLow = low
        oldest.pointee.prefixHigh = high
        oldest.pointee.lastUse = clock
        oldest.pointee.sealKeyed = false
        oldest.pointee.openKeyed = false
        return oldest
    }

    /// Makes a context with its cipher set when there is none yet.
    private func prepared(
        _ slot: inout OpaquePointer?, _ cipher: OpaquePointer?, isEncrypting: Int32
    ) throws(Fault) -> OpaquePointer {
        if let context = slot { return context }
        let context = try LibCrypto.context(cipher, isEncrypting: isEncrypting)
        slot = context
        return context
    }

    /// Steps 3 to 5 of the specification: the subkey, for the duration of `body`.
    private func withSubkey(
        _ key: SecretKey, _ nonce: UnsafeRawBufferPointer, _ body: (UnsafePointer<UInt8>) throws(Fault) -> Void
    ) throws(Fault) {
        let (cipher, k1) = try keyLanes.find(key)
        let subkey = subkey
        defer { OPENSSL_cleanse(subkey, SecretKey.bytesCount) }
        // 0, counter, "X", 0, then the nonce's prefix; read as two little-endian words.
        let first = UInt64(littleEndian: nonce.loadUnaligned(as: UInt64.self))
        let last = UInt64(UInt32(littleEndian: nonce.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        let low = 0x0058_0000 | first << 32
        let high = first >> 32 | last << 32
        let mask = (k1.load(as: UInt64.self), k1.load(fromByteOffset: 8, as: UInt64.self))
        for counter in 1...2 {
            let block = 16 * (counter - 1)
            let numbered = (low | UInt64(truncatingIfNeeded: counter) << 8).littleEndian
            subkey.storeBytes(of: numbered ^ mask.0, toByteOffset: block, as: UInt64.self)
            subkey.storeBytes(of: high.littleEndian ^ mask.1, toByteOffset: block + 8, as: UInt64.self)
        }
        let bytes = subkey.assumingMemoryBound(to: UInt8.self)
        var written: Int32 = 0
        let result = EVP_EncryptUpdate(cipher, bytes, &written, bytes, Int32(SecretKey.bytesCount))
        try LibCrypto.check(result, "AES-256")
        try body(bytes)
    }
}
