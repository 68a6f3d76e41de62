// The keyring's body in memory: its plaintext, checked once and then read in place, so that opening a ring of
// many entities makes no object per key. Format: docs/format/keyring.md, section "Body".
//
// Invariants: entity keys and tombstones are sorted by id without repeats; no id is both; no id is zero;
// every purpose has its subkey. A body never changes: a change makes a new one, the old one is cleansed.

import EventStoreCore

package struct KeyringBody: Sendable {
    private typealias Offset = KeyringFormat.Body

    package let bytes: SecretBytes
    package let entityKeyCount: Int
    package let tombstoneCount: Int

    private static let subkeysCount = KeyPurpose.allCases.count
    private static let entityKeysStart = Offset.end + subkeysCount * KeyringFormat.Subkey.end
    private var tombstonesStart: Int {
        KeyringBody.entityKeysStart + entityKeyCount * KeyringFormat.EntityKey.end
    }

    private static func size(entityKeys: Int, tombstones: Int) -> Int {
        entityKeysStart + entityKeys * KeyringFormat.EntityKey.end + tombstones * KeyringFormat.Tombstone.end
    }

    // MARK: Decoding

    /// Checks the plaintext of a body. Throws `damaged` when it breaks a rule of the format: it came through
    /// its authentication, so a writer made it wrong.
    package init(decoding plain: SecretBytes) throws(Fault) {
        let damaged = Fault(.damaged, "the keyring's body does not decode")
        let counts = try plain.withUnsafeBytes { (bytes) throws(Fault) in
            var reader = ByteReader(bytes)
            let subkeys = try reader.u16()
            let reserved = try reader.u16()
            let entityKeys = Int(try reader.u32())
            let tombstones = Int(try reader.u32())
            let reserved2 = try reader.u32()
            guard Int(subkeys) == KeyringBody.subkeysCount, reserved == 0, reserved2 == 0,
                entityKeys <= KeyringFormat.entityKeysMax, tombstones <= KeyringFormat.tombstonesMax,
                bytes.count == KeyringBody.size(entityKeys: entityKeys, tombstones: tombstones)
            else { throw damaged }
            return (entityKeys, tombstones)
        }
        bytes = plain
        (entityKeyCount, tombstoneCount) = counts
        guard subkeysAreInOrder, idsAreInOrder else { throw damaged }
    }

    private var subkeysAreInOrder: Bool {
        bytes.withUnsafeBytes { bytes in
            KeyPurpose.allCases.enumerated().allSatisfy { index, purpose in
                let start = Offset.end + index * KeyringFormat.Subkey.end
                let head = bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self).littleEndian
                return head == UInt64(purpose.rawValue)
            }
        }
    }

    private var idsAreInOrder: Bool {
        var last: UInt64 = 0
        for index in 0..<entityKeyCount {
            let id = entityKeyID(index)
            guard id > last else { return false }
            last = id
        }
        last = 0
        for index in 0..<tombstoneCount {
            let id = tombstoneID(index)
            guard id > last, entityKeyIndex(id) == nil else { return false }
            last = id
        }
        return true
    }

    // MARK: Reading

    func subkey(_ index: Int) -> SecretKey {
        let start = Offset.end + index * KeyringFormat.Subkey.end + KeyringFormat.Subkey.key
        return key(at: start)
    }

    func entityKey(_ index: Int) -> SecretKey {
        key(at: entityKeyStart(index) + KeyringFormat.EntityKey.key)
    }

    func entityKeyID(_ index: Int) -> UInt64 { word(entityKeyStart(index) + KeyringFormat.EntityKey.id) }

    /// The keyring generation that brought the key.
    func entityKeyGeneration(_ index: Int) -> UInt64 {
        word(entityKeyStart(index) + KeyringFormat.EntityKey.generation)
    }

    func tombstone(_ index: Int) -> KeyTombstone {
        let start = tombstoneStart(index)
        return bytes.withUnsafeBytes { bytes in
            KeyTombstone(
                id: tombstoneID(index),
                erasedMs: Int64(bitPattern: word(start + KeyringFormat.Tombstone.erasedMs)),
                reference: [UInt8](
                    bytes[start + KeyringFormat.Tombstone.reference..<start + KeyringFormat.Tombstone.end]))
        }
    }

    private func tombstoneID(_ index: Int) -> UInt64 { word(tombstoneStart(index) + KeyringFormat.Tombstone.id) }
    func entityKeyIndex(_ id: UInt64) -> Int? { KeyringBody.find(id, in: entityKeyCount, at: entityKeyID) }
    func tombstoneIndex(_ id: UInt64) -> Int? { KeyringBody.find(id, in: tombstoneCount, at: tombstoneID) }

    private static func find(_ id: UInt64, in count: Int, at idAt: (Int) -> UInt64) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if idAt(middle) < id { low = middle + 1 } else { high = middle }
        }
        return low < count && idAt(low) == id ? low : nil
    }

    private func entityKeyStart(_ index: Int) -> Int {
        KeyringBody.entityKeysStart + index * KeyringFormat.EntityKey.end
    }
    private func tombstoneStart(_ index: Int) -> Int { tombstonesStart + index * KeyringFormat.Tombstone.end }

    private func word(_ offset: Int) -> UInt64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian }
    }

    private func key(at offset: Int) -> SecretKey {
        bytes.withUnsafeBytes { bytes in
            SecretKey(copying: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + SecretKey.bytesCount]))
        }
    }
}

// MARK: - Making bodies

extension KeyringBody {
    /// A body with random subkeys and nothing else.
    package init(fresh environment: Environment) {
        bytes = SecretBytes(count: KeyringBody.size(entityKeys: 0, tombstones: 0)) { target in
            KeyringBody.writeHeader(target, entityKeys: 0, tombstones: 0)
            for (index, purpose) in KeyPurpose.allCases.enumerated() {
                let start = Offset.end + index * KeyringFormat.Subkey.end
                target.storeBytes(of: purpose.rawValue.littleEndian, toByteOffset: start, as: UInt16.self)
                let key = start + KeyringFormat.Subkey.key
                environment.randomBytes(
                    UnsafeMutableRawBufferPointer(rebasing: target[key..<key + SecretKey.bytesCount]))
            }
        }
        entityKeyCount = 0
        tombstoneCount = 0
    }

    /// The same body with `count` new random entity keys, and their ids in ascending order.
    package func adding(
        _ count: Int, generation: UInt64, _ environment: Environment
    ) throws(Fault) -> (body: KeyringBody, ids: [UInt64]) {
        guard count <= KeyringFormat.entityKeysMax - entityKeyCount else {
            throw Fault(.limit, "the keyring holds \(KeyringFormat.entityKeysMax) entity keys at most")
        }
        let ids = drawIDs(count, environment)
        let keys = SecretBytes(random: count * SecretKey.bytesCount, environment)
        let made = KeyringBody.make(entityKeys: entityKeyCount + count, tombstones: tombstoneCount) { target in
            copySubkeys(to: target)
            var old = 0
            for index in 0..<entityKeyCount + count {
                let new = index - old
                let start = entityKeyStart(index)
                if old < entityKeyCount, new >= count || entityKeyID(old) < ids[new] {
                    copy(entityKeyStart(old), KeyringFormat.EntityKey.end, to: target, start)
                    old += 1
                } else {
                    target.storeBytes(of: ids[new].littleEndian, toByteOffset: start, as: UInt64.self)
                    target.storeBytes(
                        of: generation.littleEndian, toByteOffset: start + KeyringFormat.EntityKey.generation,
                        as: UInt64.self)
                    KeyringBody.copy(keys, new * 32, 32, to: target, start + KeyringFormat.EntityKey.key)
                }
            }
            copy(
                tombstonesStart, tombstoneCount * KeyringFormat.Tombstone.end, to: target,
                entityKeyStart(entityKeyCount + count))
        }
        return (made, ids)
    }

    /// The same body without the keys of `erased` and with their tombstones. An id with a tombstone keeps the
    /// one it has; an id the ring does not know gets one too.
    package func erasing(_ erased: [KeyTombstone]) throws(Fault) -> KeyringBody {
        var tombstones: [UInt64: KeyTombstone] = [:]
        for tombstone in erased where tombstone.id != 0 { tombstones[tombstone.id] = tombstone }
        for index in 0..<tombstoneCount { tombstones[tombstoneID(index)] = tombstone(index) }
        guard tombstones.count <= KeyringFormat.tombstonesMax else {
            throw Fault(.limit, "the keyring holds \(KeyringFormat.tombstonesMax) tombstones at most")
        }
        let kept = (0..<entityKeyCount).filter { tombstones[entityKeyID($0)] == nil }
        return copying(kept, tombstones.values.sorted { $0.id < $1.id })
    }

    /// The same body without some keys.
    package func removing(_ ids: Set<UInt64>) -> KeyringBody {
        copying((0..<entityKeyCount).filter { !ids.contains(entityKeyID($0)) }, (0..<tombstoneCount).map(tombstone))
    }

    /// A body with the keys at these places and these tombstones, by id.
    private func copying(_ kept: [Int], _ sorted: [KeyTombstone]) -> KeyringBody {
        KeyringBody.make(entityKeys: kept.count, tombstones: sorted.count) { target in
            copySubkeys(to: target)
            for (index, old) in kept.enumerated() {
                copy(entityKeyStart(old), KeyringFormat.EntityKey.end, to: target, entityKeyStart(index))
            }
            for (index, tombstone) in sorted.enumerated() {
                let start = entityKeyStart(kept.count) + index * KeyringFormat.Tombstone.end
                target.storeBytes(of: tombstone.id.littleEndian, toByteOffset: start, as: UInt64.self)
                target.storeBytes(
                    of: tombstone.erasedMs.littleEndian, toByteOffset: start + KeyringFormat.Tombstone.erasedMs,
                    as: Int64.self)
                UnsafeMutableRawBufferPointer(rebasing: target[(start + KeyringFormat.Tombstone.reference)...])
                    .copyBytes(from: tombstone.reference)
            }
        }
    }

    private static func make(
        entityKeys: Int, tombstones: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) -> KeyringBody {
        let bytes = SecretBytes(count: size(entityKeys: entityKeys, tombstones: tombstones)) { target in
            writeHeader(target, entityKeys: entityKeys, tombstones: tombstones)
            fill(target)
        }
        return KeyringBody(bytes: bytes, entityKeyCount: entityKeys, tombstoneCount: tombstones)
    }

    private init(bytes: SecretBytes, entityKeyCount: Int, tombstoneCount: Int) {
        self.bytes = bytes
        self.entityKeyCount = entityKeyCount
        self.tombstoneCount = tombstoneCount
    }

    private static func writeHeader(_ target: UnsafeMutableRawBufferPointer, entityKeys: Int, tombstones: Int) {
        target.storeBytes(
            of: UInt16(subkeysCount).littleEndian, toByteOffset: Offset.subkeyCount, as: UInt16.self)
        target.storeBytes(of: UInt32(entityKeys).littleEndian, toByteOffset: Offset.entityKeyCount, as: UInt32.self)
        target.storeBytes(of: UInt32(tombstones).littleEndian, toByteOffset: Offset.tombstoneCount, as: UInt32.self)
    }

    private func copySubkeys(to target: UnsafeMutableRawBufferPointer) {
        copy(Offset.end, KeyringBody.subkeysCount * KeyringFormat.Subkey.end, to: target, Offset.end)
    }

    private func copy(_ from: Int, _ count: Int, to target: UnsafeMutableRawBufferPointer, _ at: Int) {
        KeyringBody.copy(bytes, from, count, to: target, at)
    }

    private static func copy(
        _ source: SecretBytes, _ from: Int, _ count: Int, to target: UnsafeMutableRawBufferPointer, _ at: Int
    ) {
        source.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: target[at..<at + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[from..<from + count]))
        }
    }

    /// Random ids that are not zero, not in the ring, not among the erased, and differ; ascending.
    private func drawIDs(_ count: Int, _ environment: Environment) -> [UInt64] {
        var ids: Set<UInt64> = []
        while ids.count < count {
            let id = environment.randomInteger()
            if id != 0, entityKeyIndex(id) == nil, tombstoneIndex(id) == nil { ids.insert(id) }
        }
        return ids.sorted()
    }
}
