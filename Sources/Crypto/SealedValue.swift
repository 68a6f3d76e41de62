// Small sealed values: names, journal sections, credentials. A box is nonce (24, random) ‖ ciphertext ‖ tag (16).

import EventStoreCore
import Synchronization

extension XAESContext {
    /// Bytes a box is longer than what it holds.
    package static let boxOverheadBytes = nonceBytes + tagBytes

    /// Seals `plain` under a fresh random nonce; 40 bytes longer than `plain`.
    package func sealBox(
        key: SecretKey, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer, _ environment: Environment
    ) throws(Fault) -> [UInt8] {
        var box = [UInt8](repeating: 0, count: plain.count + XAESContext.boxOverheadBytes)
        try box.withMutableBytes { (box: UnsafeMutableRawBufferPointer) throws(Fault) in
            try sealBox(key: key, aad: aad, plain: plain, into: box, environment)
        }
        return box
    }

    /// The same into memory of the caller's, 40 bytes longer than `plain`.
    package func sealBox(
        key: SecretKey, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer,
        into box: UnsafeMutableRawBufferPointer, _ environment: Environment
    ) throws(Fault) {
        let nonce = UnsafeMutableRawBufferPointer(rebasing: box[..<XAESContext.nonceBytes])
        environment.randomBytes(nonce)
        try seal(
            key: key, nonce: UnsafeRawBufferPointer(nonce), aad: aad, plain: plain,
            into: UnsafeMutableRawBufferPointer(rebasing: box[XAESContext.nonceBytes...]))
    }

    package func sealBox(
        key: SecretKey, aad: [UInt8], plain: [UInt8], _ environment: Environment
    ) throws(Fault) -> [UInt8] {
        try aad.withBytes { (aad: UnsafeRawBufferPointer) throws(Fault) in
            try plain.withBytes { (plain: UnsafeRawBufferPointer) throws(Fault) in
                try sealBox(key: key, aad: aad, plain: plain, environment)
            }
        }
    }

    /// What a box holds. Throws `tampered` when box, additional data or key are not those it was sealed
    /// with, `damaged` when it is too short to be a box.
    package func openBox(
        key: SecretKey, aad: UnsafeRawBufferPointer, box: UnsafeRawBufferPointer
    ) throws(Fault) -> [UInt8] {
        var plain = [UInt8](repeating: 0, count: max(0, box.count - XAESContext.boxOverheadBytes))
        try plain.withMutableBytes { (plain: UnsafeMutableRawBufferPointer) throws(Fault) in
            try openBox(key: key, aad: aad, box: box, into: plain)
        }
        return plain
    }

    /// The same into memory of the caller's, 40 bytes shorter than `box`.
    package func openBox(
        key: SecretKey, aad: UnsafeRawBufferPointer, box: UnsafeRawBufferPointer,
        into plain: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        guard box.count >= XAESContext.boxOverheadBytes else {
            throw Fault(.damaged, "a sealed value is shorter than its nonce and tag")
        }
        try open(
            key: key, nonce: UnsafeRawBufferPointer(rebasing: box[..<XAESContext.nonceBytes]), aad: aad,
            sealed: UnsafeRawBufferPointer(rebasing: box[XAESContext.nonceBytes...]), into: plain)
    }

    package func openBox(key: SecretKey, aad: [UInt8], box: [UInt8]) throws(Fault) -> [UInt8] {
        try aad.withBytes { (aad: UnsafeRawBufferPointer) throws(Fault) in
            try box.withBytes { (box: UnsafeRawBufferPointer) throws(Fault) in
                try openBox(key: key, aad: aad, box: box)
            }
        }
    }
}

/// Boxes for callers without a context of their own, through one context behind a lock: for values sealed
/// now and then. Loops keep an `XAESContext` each.
package enum SealedValue {
    private static let shared = Mutex(XAESContext())

    package static func seal(
        _ plain: [UInt8], key: SecretKey, aad: [UInt8], _ environment: Environment
    ) throws(Fault) -> [UInt8] {
        try shared.withLock { (context) throws(Fault) in
            try context.sealBox(key: key, aad: aad, plain: plain, environment)
        }
    }

    package static func open(_ box: [UInt8], key: SecretKey, aad: [UInt8]) throws(Fault) -> [UInt8] {
        try shared.withLock { (context) throws(Fault) in try context.openBox(key: key, aad: aad, box: box) }
    }

    /// Drops the set-up of every key used here, e.g. after a key was erased.
    package static func forgetKeys() {
        shared.withLock { $0.forget() }
    }
}
