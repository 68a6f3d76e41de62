// A test's witness that no (key, nonce) pair is used twice. Off unless a test turns it on; off, it costs one
// relaxed load per seal.

import EventStoreCore
import Synchronization

package enum NonceAudit {
    private struct Record: Sendable {
        var pairs: Set<[UInt8]> = []
        var repeats = 0
    }

    private static let isOn = Atomic<Bool>(false)
    private static let record = Mutex(Record())

    /// Starts recording every sealed pair of this process, forgetting earlier ones.
    package static func start() {
        record.withLock { $0 = Record() }
        isOn.store(true, ordering: .sequentiallyConsistent)
    }

    /// So far: how many pairs were seen, and how many seals used one that had been used before.
    package static func counts() -> (pairs: Int, repeats: Int) {
        record.withLock { (pairs: $0.pairs.count, repeats: $0.repeats) }
    }

    /// Stops recording and returns the final counts.
    package static func stop() -> (pairs: Int, repeats: Int) {
        isOn.store(false, ordering: .sequentiallyConsistent)
        return counts()
    }

    @inline(__always)
    static func record(key: SecretKey, nonce: UnsafeRawBufferPointer) {
        if isOn.load(ordering: .relaxed) { note(key, nonce) }
    }

    private static func note(_ key: SecretKey, _ nonce: UnsafeRawBufferPointer) {
        // A MAC of the nonce under the key names the pair by content without keeping the key.
        let pair = hmacSHA256(key: key, nonce)
        record.withLock { if !$0.pairs.insert(pair).inserted { $0.repeats += 1 } }
    }
}
