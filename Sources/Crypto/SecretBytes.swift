// Secrets in memory. Invariants: written once, while being made; cleansed when the last reference goes;
// never turned into a String or an Array by this room.

import EventStoreCore
import Synchronization

/// A secret of any length. Immutable, cleansed on free, kept out of swap where the system allows it.
///
/// `@unchecked Sendable`: the memory is written in `init` only.
package final class SecretBytes: @unchecked Sendable {
    package let count: Int
    private let memory: UnsafeMutableRawPointer

    /// Makes a secret of `count` bytes; `fill` writes it in place (the memory starts as zeros).
    package init<E: Error>(count: Int, fill: (UnsafeMutableRawBufferPointer) throws(E) -> Void) throws(E) {
        precondition(count >= 0)
        self.count = count
        memory = SecretMemory.allocate(count)
        try fill(UnsafeMutableRawBufferPointer(start: memory, count: count))
    }

    package convenience init(copying source: UnsafeRawBufferPointer) {
        self.init(count: source.count) { $0.copyMemory(from: source) }
    }

    package convenience init(random count: Int, _ environment: Environment) {
        self.init(count: count) { environment.randomBytes($0) }
    }

    deinit { SecretMemory.free(memory, count) }

    /// The bytes, for the duration of `body`. Copies made there are the caller's to cleanse.
    @inline(__always)
    package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        // The pointer alone does not keep the object, and with it the memory, alive.
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeRawBufferPointer(start: memory, count: count))
    }

    /// Compares in time that depends on the lengths only.
    package static func equal(_ a: SecretBytes, _ b: SecretBytes) -> Bool {
        a.withUnsafeBytes { a in b.withUnsafeBytes { constantTimeEquals(a, $0) } }
    }
}

/// A 256-bit key. Two objects with the same bytes are two keys to the caches of `XAESContext`:
/// keep and pass on one object for one key.
package final class SecretKey: Sendable {
    package static let bytesCount = 32

    package let bytes: SecretBytes
    /// Unique among all keys this process has made; never reused, unlike an address.
    let identity: UInt64

    private static let identities = Atomic<UInt64>(1)

    /// `bytes` must be 32 bytes.
    package init(_ bytes: SecretBytes) {
        precondition(bytes.count == SecretKey.bytesCount, "a key is 32 bytes")
        self.bytes = bytes
        identity = SecretKey.identities.add(1, ordering: .relaxed).oldValue
    }

    /// `source` must be 32 bytes.
    package convenience init(copying source: UnsafeRawBufferPointer) {
        self.init(SecretBytes(copying: source))
    }

    package convenience init(random environment: Environment) {
        self.init(SecretBytes(random: SecretKey.bytesCount, environment))
    }

    @inline(__always)
    package func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try bytes.withUnsafeBytes(body)
    }
}
