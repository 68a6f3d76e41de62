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
    /// Keys that entities had before, by id.
    private var olderKeys: [UInt64: (entity: UInt32, key: SecretKey)] = [:]
    private var keyringGeneration: UInt64
    private var keyChanges: Int
    /// Random bytes for nonces, drawn for many at a time: each is used once, and a nonce is no secret.
    private var pool: [UInt8] = []
    private var poolUsed = 0
    private static let poolBytes = 128 * XAESContext.nonceBytes

    init(_ names: NameTable) {
        self.names = names
        directoryKey = names.keyring.subkey(.footers)
        keyringGeneration = names.keyring.generation
        keyChanges = names.keyChanges
    }

    /// Drops the keys it remembers if the keyring was rewritten since, or an entity got another key: called before each
    /// query and each group of blocks, so that an erased entity's key goes from here too. An older key of an entity
    /// that is there stays, so that who reads what was replaced meanwhile can finish.
    func refresh() {
        let (generation, changes) = (names.keyring.generation, names.keyChanges)
        guard generation != keyringGeneration || changes != keyChanges else { return }
        keyringGeneration = generation
        keyChanges = changes
        olderKeys = olderKeys.filter { (try? names.keyID($0.value.entity)) != nil }
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

    /// A key of an entity, the one it has or one it had.
    private func secretKey(_ entity: UInt32, _ keyID: UInt64) throws(Fault) -> SecretKey {
        let current = try entityKey(entity)
        return current.id == keyID ? current.key : try olderKey(entity, keyID)
    }

    @inline(never)
    private func olderKey(_ entity: UInt32, _ keyID: UInt64) throws(Fault) -> SecretKey {
        if let known = olderKeys[keyID], known.entity == entity { return known.key }
        do throws(Fault) {
            let found = try names.keyring.entityKey(keyID)
            olderKeys[keyID] = (entity, found)
            return found
        } catch {
            guard error.code == .notFound else { throw error }
            // Whoever reads takes a new snapshot, as for a segment that was merged away.
            throw Fault(
                .notFound, "the key of this part was replaced and destroyed, or the keyring is not of this data",
                at: .init(entity: entity))
        }
    }

    /// Whether a key is gone for good, or about to be.
    func isErased(_ keyID: UInt64) -> Bool {
        if names.keyring.tombstone(keyID) != nil { return true }
        if let entity = names.entity(ofRetired: keyID) { return names.lives.record(entity)?.isErased ?? false }
        return names.lives.records.contains { $0.keyID == keyID && $0.isErased }
    }

    func entityKeyID(_ entity: UInt32) throws(Fault) -> UInt64 { try entityKey(entity).id }

    private func secret(_ key: PackKey) throws(Fault) -> SecretKey {
        switch key {
        case .entity(let entity, let keyID): return try secretKey(entity, keyID)
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
        entity: UInt32, keyID: UInt64, aad: UnsafeRawBufferPointer, box: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        let key: SecretKey
        do throws(Fault) {
            key = try secretKey(entity, keyID)
        } catch {
            // No journal outlives the keys of its sections: it is flushed before one is destroyed.
            guard error.code == .notFound else { throw error }
            throw Fault(.tampered, "a journal section names a key its entity never had")
        }
        try context.openBox(key: key, aad: aad, box: box, into: target)
    }
}
