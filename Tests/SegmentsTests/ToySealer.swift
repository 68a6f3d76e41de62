// A sealer for tests: a keystream and a keyed sum, both toys, but every flipped bit of ciphertext, tag, nonce,
// additional data or key is noticed. It records every (key, nonce) pair it ever seals with.

import EventStoreCore
import EventStoreSegments

final class ToySealer: BlockSealer {
    struct Use: Hashable {
        var key: [UInt8]
        var nonce: [UInt8]
    }

    var uses: Set<Use> = []
    var repeatedUses = 0
    var erased: Set<UInt32> = []
    var opened = 0
    private var vocabularyKey: [UInt8] = []

    func entityKeyID(_ entity: UInt32) throws(Fault) -> UInt64 {
        if erased.contains(entity) { throw Fault(.keyErased, "key of entity #\(entity) was erased") }
        return UInt64(entity) &* 0x9e37_79b9_7f4a_7c15
    }

    func useVocabularyKey(_ bytes: UnsafeRawBufferPointer) throws(Fault) { vocabularyKey = Array(bytes) }

    private func key(_ key: PackKey) throws(Fault) -> [UInt8] {
        switch key {
        case .entity(let number, _):
            _ = try entityKeyID(number)
            return [1] + withUnsafeBytes(of: number.littleEndian) { Array($0) }
        case .vocabulary: return [2] + vocabularyKey
        case .directory: return [3]
        }
    }

    /// A state in which every byte of every part has its say.
    private func absorb(_ state: inout (UInt64, UInt64), _ bytes: UnsafeRawBufferPointer) {
        for byte in bytes {
            state.0 = (state.0 ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
            state.1 = (state.1 &+ UInt64(byte) &+ 1) &* 0x9e37_79b9_7f4a_7c15
            state.1 ^= state.1 >> 29
        }
        state.0 = (state.0 ^ UInt64(bytes.count)) &* 0x0000_0100_0000_01b3
    }

    private func stream(_ key: [UInt8], _ nonce: UnsafeRawBufferPointer) -> UInt64 {
        var state: (UInt64, UInt64) = (0xcbf2_9ce4_8422_2325, 7)
        key.withUnsafeBytes { absorb(&state, $0) }
        absorb(&state, nonce)
        return state.0 ^ state.1
    }

    private func apply(_ seed: UInt64, _ from: UnsafeRawBufferPointer, _ to: UnsafeMutableRawBufferPointer) {
        var state = seed
        for index in from.indices {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            to[index] = from[index] ^ UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    private func tag(
        _ key: [UInt8], _ nonce: UnsafeRawBufferPointer, _ aad: UnsafeRawBufferPointer, _ sealed: UnsafeRawBufferPointer
    ) -> (UInt64, UInt64) {
        var state: (UInt64, UInt64) = (0x1234_5678_9abc_def1, 0xfedc_ba98_7654_3211)
        key.withUnsafeBytes { absorb(&state, $0) }
        absorb(&state, nonce)
        absorb(&state, aad)
        absorb(&state, sealed)
        return state
    }

    func seal(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        precondition(nonce.count == 24 && into.count == plain.count + 16)
        let secret = try self.key(key)
        if !uses.insert(Use(key: secret, nonce: Array(nonce))).inserted { repeatedUses += 1 }
        let body = UnsafeMutableRawBufferPointer(rebasing: into[0..<plain.count])
        apply(stream(secret, nonce), plain, body)
        let tag = tag(secret, nonce, aad, UnsafeRawBufferPointer(body))
        into.storeBytes(of: tag.0, toByteOffset: plain.count, as: UInt64.self)
        into.storeBytes(of: tag.1, toByteOffset: plain.count + 8, as: UInt64.self)
    }

    func open(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        precondition(nonce.count == 24 && into.count == sealed.count - 16)
        opened += 1
        let secret = try self.key(key)
        let body = UnsafeRawBufferPointer(rebasing: sealed[0..<into.count])
        let tag = tag(secret, nonce, aad, body)
        guard sealed.loadUnaligned(fromByteOffset: into.count, as: UInt64.self) == tag.0,
            sealed.loadUnaligned(fromByteOffset: into.count + 8, as: UInt64.self) == tag.1
        else { throw Fault(.tampered, "tag does not match") }
        apply(stream(secret, nonce), body, into)
    }
}
