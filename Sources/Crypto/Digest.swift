// SHA-256 and comparison in constant time.

import CLibCrypto
import EventStoreCore

package let sha256BytesCount = 32

/// SHA-256 (FIPS 180-4) of some bytes.
package func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: sha256BytesCount) { target, count in
        SHA256(bytes.cBase, bytes.count, target.baseAddress)
        count = sha256BytesCount
    }
}

package func sha256(_ bytes: [UInt8]) -> [UInt8] {
    bytes.withUnsafeBytes { sha256($0) }
}

/// Whether both hold the same bytes, in time that depends on the lengths only.
package func constantTimeEquals(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    a.count == b.count && CRYPTO_memcmp(a.cBase, b.cBase, a.count) == 0
}

package func constantTimeEquals(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { a in b.withUnsafeBytes { constantTimeEquals(a, $0) } }
}

/// SHA-256 of bytes that come in pieces.
package struct SHA256Stream {
    private var state = SHA256_CTX()

    package init() { SHA256_Init(&state) }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count > 0 { SHA256_Update(&state, bytes.baseAddress, bytes.count) }
    }

    /// Ends it: nothing may be added afterwards.
    package mutating func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: sha256BytesCount) { target, count in
            SHA256_Final(target.baseAddress, &state)
            count = sha256BytesCount
        }
    }
}
