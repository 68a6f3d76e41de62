// HMAC-SHA256 (RFC 2104, FIPS 198-1) with the key's two pads hashed once. Invariant: the saved states are
// never changed after `init`; each message starts from a copy of the inner one.

import CLibCrypto
import EventStoreCore

/// Keyed hashes of many short messages under one key: blind tags, ids of log lines.
///
/// One per thread (not Sendable). A message is a sequence of pieces; each counts as its length (8 bytes,
/// little-endian) followed by its bytes, so that ("ab", "c") and ("a", "bc") differ. The ids of stored
/// lines depend on this framing: it never changes.
package final class LineHasher {
    // Three SHA-256 states side by side in secret memory: after the inner pad, after the outer, working.
    private let states: UnsafeMutablePointer<SHA256_CTX>
    private let inner: UnsafeMutablePointer<SHA256_CTX>
    private let outer: UnsafeMutablePointer<SHA256_CTX>

    private static let statesBytes = 3 * MemoryLayout<SHA256_CTX>.stride

    package convenience init(key: SecretKey) {
        self.init(keyBytes: key.bytes)
    }

    /// A key of any length; one over 64 bytes counts as its SHA-256, as RFC 2104 says.
    package init(keyBytes: SecretBytes) {
        let memory = SecretMemory.allocate(LineHasher.statesBytes)
        states = memory.bindMemory(to: SHA256_CTX.self, capacity: 3)
        inner = states + 1
        outer = states + 2
        let pad = SecretMemory.allocate(LineHasher.blockBytes)
        defer { SecretMemory.free(pad, LineHasher.blockBytes) }
        keyBytes.withUnsafeBytes { key in
            if key.count > LineHasher.blockBytes {
                SHA256(key.cBase, key.count, pad.assumingMemoryBound(to: UInt8.self))
            } else if let base = key.baseAddress {
                pad.copyMemory(from: base, byteCount: key.count)
            }
        }
        start(inner, pad: pad, flip: 0x36)
        start(outer, pad: pad, flip: 0x36 ^ 0x5c)
        states.pointee = inner.pointee
    }

    deinit { SecretMemory.free(UnsafeMutableRawPointer(states), LineHasher.statesBytes) }

    private static let blockBytes = 64

    private func start(_ state: UnsafeMutablePointer<SHA256_CTX>, pad: UnsafeMutableRawPointer, flip: UInt8) {
        let bytes = pad.assumingMemoryBound(to: UInt8.self)
        for index in 0..<LineHasher.blockBytes { bytes[index] ^= flip }
        SHA256_Init(state)
        SHA256_Update(state, pad, LineHasher.blockBytes)
    }

    /// Starts a message, dropping one that was not finished.
    @inline(__always)
    package func begin() { states.pointee = inner.pointee }

    /// Adds one piece with its length.
    @inline(__always)
    package func add(_ piece: UnsafeRawBufferPointer) {
        var length = UInt64(piece.count).littleEndian
        SHA256_Update(states, &length, 8)
        if piece.count > 0 { SHA256_Update(states, piece.baseAddress, piece.count) }
    }

    /// Adds a number as a piece of 8 bytes.
    @inline(__always)
    package func add(_ number: UInt64) {
        var framed = (UInt64(8).littleEndian, number.littleEndian)
        SHA256_Update(states, &framed, 16)
    }

    /// Ends the message: the first 16 bytes of its MAC.
    package func finish() -> EventID {
        withUnsafeTemporaryAllocation(byteCount: sha256BytesCount, alignment: 8) { mac in
            finish(into: mac)
            return EventID(
                high: UInt64(bigEndian: mac.load(as: UInt64.self)),
                low: UInt64(bigEndian: mac.load(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    /// Ends the message: the whole MAC, 32 bytes.
    package func finish(into mac: UnsafeMutableRawBufferPointer) {
        precondition(mac.count == sha256BytesCount)
        defer { withExtendedLifetime(self) {} }
        let target = mac.baseAddress!.assumingMemoryBound(to: UInt8.self)
        SHA256_Final(target, states)
        states.pointee = outer.pointee
        SHA256_Update(states, target, sha256BytesCount)
        SHA256_Final(target, states)
        begin()
    }

    /// The id of the n-th occurrence of a line of an entity's log.
    package func id(entity: UnsafeRawBufferPointer, line: UnsafeRawBufferPointer, occurrence: UInt64) -> EventID {
        begin()
        add(entity)
        add(line)
        add(occurrence)
        return finish()
    }

    /// Plain HMAC-SHA256 of `data`, without framing.
    fileprivate func mac(_ data: UnsafeRawBufferPointer) -> [UInt8] {
        begin()
        SHA256_Update(states, data.cBase, data.count)
        return [UInt8](unsafeUninitializedCapacity: sha256BytesCount) { target, count in
            finish(into: UnsafeMutableRawBufferPointer(target))
            count = sha256BytesCount
        }
    }
}

/// HMAC-SHA256 of `data`, 32 bytes. For many messages under one key use `LineHasher`.
package func hmacSHA256(key: SecretKey, _ data: UnsafeRawBufferPointer) -> [UInt8] {
    LineHasher(key: key).mac(data)
}

package func hmacSHA256(key: SecretKey, _ data: [UInt8]) -> [UInt8] {
    data.withUnsafeBytes { hmacSHA256(key: key, $0) }
}

package func hmacSHA256(keyBytes: SecretBytes, _ data: [UInt8]) -> [UInt8] {
    data.withUnsafeBytes { LineHasher(keyBytes: keyBytes).mac($0) }
}
