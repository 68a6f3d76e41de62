// Seals and opens packs and journal sections for one thread: the only place where segments meet keys.

import EventStoreCore
import EventStoreCrypto
import EventStoreSegments

/// One per thread. Remembers the keys it used, by entity number, until the keyring changes.
final class StoreSealer: BlockSealer {
    private let names: NameTable
    private let directoryKey: SecretKey
    private let context = XAESContext()
    private var vocabularyKey: SecretKey?
    private struct EntityKey {
        let id: UInt64
        let key: SecretKey
    }
    /// By entity number; `denseMax` and above in `keys`. Unchecked: asked for twice a pack, never held.
    @exclusivity(unchecked) private var denseKeys: [EntityKey?] = []
    private var keys: [UInt32: EntityKey] = [:]
    private static let denseMax = 1 << 16
    private var keyringGeneration: UInt64
    /// Random bytes for nonces, drawn for many at a time: each is used once, and a nonce is no secret.
    private var pool: [UInt8] = []
    private var poolUsed = 0
    private static let poolBytes = 128 * XAESContext.nonceBytes

    init(_ names: NameTable) {
        self.names = names
        directoryKey = names.keyring.subkey(.footers)
        keyringGeneration = names.keyring.generation
    }

    /// Drops the keys it remembers if the keyring was rewritten since: called before each query and each
    /// group of blocks, so that an erased entity's key goes from here too.
    func refresh() {
        let generation = names.keyring.generation
        guard generation != keyringGeneration else { return }
        keyringGeneration = generation
        denseKeys = []
        keys = [:]
        context.forget()
    }

    private func entityKey(_ entity: UInt32) throws(Fault) -> EntityKey {
        let index = Int(entity)
        if index < denseKeys.count, let known = denseKeys[index] { return known }
        return try lookUp(entity)
    }

    @inline(never)
    private func lookUp(_ entity: UInt32) throws(Fault) -> EntityKey {
        if let known = keys[entity] { return known }
        let id = try names.keyID(entity)
        let found = EntityKey(id: id, key: try names.keyring.entityKey(id))
        let index = Int(entity)
        if index < StoreSealer.denseMax {
            if index >= denseKeys.count {
                let missing = max(index + 1, 2 * denseKeys.count) - denseKeys.count
                denseKeys.append(contentsOf: repeatElement(nil, count: missing))
            }
            denseKeys[index] = found
        } else {
            keys[entity] = found
        }
        return found
    }

    /// Whether a key is gone for good, or about to be.
    func isErased(_ keyID: UInt64) -> Bool {
        names.keyring.tombstone(keyID) != nil || names.lives.records.contains { $0.keyID == keyID && $0.isErased }
    }

    func entityKeyID(_ entity: UInt32) throws(Fault) -> UInt64 { try entityKey(entity).id }

    private func secret(_ key: PackKey) throws(Fault) -> SecretKey {
        switch key {
        case .entity(let entity): return try entityKey(entity).key
        case .directory: return directoryKey
        case .vocabulary:
            guard let vocabularyKey else { throw Fault(.damaged, "a vocabulary pack before its key") }
            return vocabularyKey
        }
    }

    func seal(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        try context.seal(key: try secret(key), nonce: nonce, aad: aad, plain: plain, into: target)
    }

    func open(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        try context.open(key: try secret(key), nonce: nonce, aad: aad, sealed: sealed, into: target)
    }

    func useVocabularyKey(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
        guard bytes.count == SecretKey.bytesCount else { throw Fault(.damaged, "a vocabulary key is 32 bytes") }
        vocabularyKey = SecretKey(copying: bytes)
    }

    // MARK: Journal sections

    /// Seals a section of the journal under the entity's key and a random nonce; `into` is 40 bytes longer.
    func sealSection(
        entity: UInt32, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        if poolUsed + XAESContext.nonceBytes > pool.count {
            pool = names.environment.random(StoreSealer.poolBytes)
            poolUsed = 0
        }
        let nonce = UnsafeMutableRawBufferPointer(rebasing: target[..<XAESContext.nonceBytes])
        pool.withUnsafeBytes {
            nonce.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: $0[poolUsed..<poolUsed + XAESContext.nonceBytes]))
        }
        poolUsed += XAESContext.nonceBytes
        try context.seal(
            key: try entityKey(entity).key, nonce: UnsafeRawBufferPointer(nonce), aad: aad, plain: plain,
            into: UnsafeMutableRawBufferPointer(rebasing: target[XAESContext.nonceBytes...]))
    }

    func openSection(
        entity: UInt32, aad: UnsafeRawBufferPointer, box: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        try context.openBox(key: try entityKey(entity).key, aad: aad, box: box, into: target)
    }
}
