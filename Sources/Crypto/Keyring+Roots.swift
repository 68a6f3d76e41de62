// Changing which root keys open the ring, in two steps: prepared where the secrets are, applied by the writer.
//
// What is prepared holds no secret in clear, so that it may travel to another process: a slot is the master key wrapped
// under the new root key; a rotation carries the new master key sealed under the one before, which binds its slots.

import EventStoreCore

/// A slot to be added.
package struct PreparedSlot: Codable, Sendable {
    /// As it will stand in the file.
    let bytes: [UInt8]
    /// HMAC-SHA256 of `bytes` under the master key it wraps: whoever prepared it knew that key.
    let proof: [UInt8]
}

/// A new master key with its slots.
package struct PreparedRotation: Codable, Sendable {
    /// Ids of the slots there were.
    let basis: [UInt64]
    /// All slots there will be, as they will stand in the file.
    let slots: [[UInt8]]
    /// The new master key sealed under the one before.
    let master: [UInt8]
    /// Ids of `basis` that stay, under the new master key and a new id.
    let renewed: [UInt64]

    /// Whether no root key that opened the ring opens it afterwards.
    package var keepsNone: Bool { renewed.isEmpty }
}

extension Keyring {
    private static let rotationLabel = "eventstore keyring rotation 1"
    private static let slotLabel = "eventstore keyring new slot 1"

    // MARK: Preparing

    /// A slot that `secret` opens. Costs a scrypt derivation for a passphrase, and one for each passphrase slot there
    /// is. Throws `exists` when it opens the ring already.
    package func prepareSlot(
        _ secret: RootSecret, scrypt parameters: ScryptParameters = .standard
    ) throws(Fault) -> PreparedSlot {
        let (file, master) = state.withLock { ($0.file, $0.master) }
        try requireNew(secret, file.slots)
        let slot = try KeyringSlot(
            wrapping: master, under: secret, storeID: storeID, scrypt: parameters, environment)
        return PreparedSlot(bytes: slot.bytes, proof: Keyring.proof(slot.bytes, master))
    }

    private func requireNew(_ secret: RootSecret, _ slots: [KeyringSlot]) throws(Fault) {
        for slot in slots where try slot.unwrap(secret, storeID: storeID) != nil {
            throw Fault(.exists, "this \(secret.kind.name) opens the store already; make a new one")
        }
    }

    private static func proof(_ slot: [UInt8], _ master: SecretKey) -> [UInt8] {
        hmacSHA256(key: master, Array(slotLabel.utf8) + slot)
    }

    /// A new master key. Slots that one of `secrets` opens are kept, with their kind, and one for `new` is added; slots
    /// that one of `retired` opens go. The root keys of all others are not at hand: `isForced` lets them go, else they
    /// are named in an `invalid`. Throws `wrongKey` when no slot would be left or a retired secret opens none.
    package func prepareRotation(
        keeping secrets: [RootSecret], adding new: RootSecret? = nil, retiring retired: [RootSecret] = [],
        isForced: Bool = false, scrypt parameters: ScryptParameters = .standard
    ) throws(Fault) -> PreparedRotation {
        let (file, old) = state.withLock { ($0.file, $0.master) }
        if let new { try requireNew(new, file.slots) }
        let master = SecretKey(random: environment)
        var slots: [KeyringSlot] = []
        var renewed: [UInt64] = []
        var others: [KeySlotInfo] = []
        var retirements = 0
        for slot in file.slots {
            if try opens(slot, retired) != nil {
                retirements += 1
            } else if let secret = try opens(slot, secrets) {
                slots.append(try renew(slot, master, secret))
                renewed.append(slot.info.id)
            } else {
                others.append(slot.info)
            }
        }
        guard retired.isEmpty || retirements > 0 else {
            throw Fault(.wrongKey, "the key to be retired opens no slot of this store")
        }
        if !isForced, !others.isEmpty { throw Keyring.wouldDrop(others) }
        if let new {
            slots.append(
                try KeyringSlot(wrapping: master, under: new, storeID: storeID, scrypt: parameters, environment))
        }
        guard !slots.isEmpty else { throw Fault(.wrongKey, "none of the secrets given opens a slot of this store") }
        let bytes = slots.map(\.bytes)
        return PreparedRotation(
            basis: file.slots.map(\.info.id), slots: bytes, master: try seal(master, under: old, bytes),
            renewed: renewed)
    }

    private static func wouldDrop(_ slots: [KeySlotInfo]) -> Fault {
        let list = slots.map { "\($0.kind.name) \(hex($0.id))" }.joined(separator: ", ")
        return Fault(
            .invalid,
            "the root keys of these slots are not at hand, so a new master key would shut them out: \(list); "
                + "give their keys as well (--keep-key-file, --keep-passphrase-file), or shut them out (--drop-others)")
    }

    private static func hex(_ id: UInt64) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func opens(_ slot: KeyringSlot, _ secrets: [RootSecret]) throws(Fault) -> RootSecret? {
        for secret in secrets where try slot.unwrap(secret, storeID: storeID) != nil { return secret }
        return nil
    }

    private func renew(_ slot: KeyringSlot, _ master: SecretKey, _ secret: RootSecret) throws(Fault) -> KeyringSlot {
        let labelled: RootSecret
        switch secret {
        case .key(let key, _): labelled = .key(key, slot.info.kind)
        case .passphrase: labelled = secret
        }
        return try KeyringSlot(
            wrapping: master, under: labelled, storeID: storeID, scrypt: slot.parameters ?? .standard, environment)
    }

    private func rotationData(_ slots: [[UInt8]]) -> [UInt8] {
        Array(Keyring.rotationLabel.utf8) + storeID + slots.flatMap { $0 }
    }

    private func seal(_ master: SecretKey, under old: SecretKey, _ slots: [[UInt8]]) throws(Fault) -> [UInt8] {
        let context = XAESContext()
        return try rotationData(slots).withBytes { (aad) throws(Fault) in
            try master.withUnsafeBytes { (master) throws(Fault) in
                try context.sealBox(key: old, aad: aad, plain: master, environment)
            }
        }
    }

    // MARK: Applying

    /// Adds a slot that `secret` opens, and returns its id.
    package func addSlot(
        _ secret: RootSecret, scrypt parameters: ScryptParameters = .standard
    ) throws(Fault) -> UInt64 {
        try addSlot(try prepareSlot(secret, scrypt: parameters))
    }

    /// Adds a prepared slot and returns its id. Throws `cancelled` when the master key is another one by now.
    package func addSlot(_ prepared: PreparedSlot) throws(Fault) -> UInt64 {
        let slot = try decoded(prepared.bytes)
        try rewrite { (change) throws(Fault) in
            guard constantTimeEquals(prepared.proof, Keyring.proof(prepared.bytes, change.master)) else {
                throw Keyring.changedMeanwhile
            }
            guard change.slots.count < KeyringFormat.slotsMax else {
                throw Fault(.limit, "the keyring holds \(KeyringFormat.slotsMax) slots at most; remove one first")
            }
            guard !change.slots.contains(where: { $0.info.id == slot.info.id }) else {
                throw Fault(.exists, "this slot was added already")
            }
            if slot.parameters != nil { try KeyringFile.checkWork(change.slots.map(\.parameters) + [slot.parameters]) }
            change.slots.append(slot)
            return true
        }
        return slot.info.id
    }

    /// Draws a new master key and keeps the slots that one of `secrets` opens; the ids of the others are returned.
    package func rotateMaster(keeping secrets: [RootSecret]) throws(Fault) -> [UInt64] {
        try rotate(try prepareRotation(keeping: secrets, isForced: true))
    }

    /// Rewraps the ring under a prepared master key, all in one rewrite, and returns the ids of the slots that went.
    /// Readers have to open the ring anew. Throws `cancelled` when slots or master key are others by now.
    package func rotate(_ prepared: PreparedRotation) throws(Fault) -> [UInt64] {
        var slots: [KeyringSlot] = []
        for bytes in prepared.slots { slots.append(try decoded(bytes)) }
        guard (1...KeyringFormat.slotsMax).contains(slots.count) else {
            throw Fault(.limit, "the keyring holds 1 to \(KeyringFormat.slotsMax) slots")
        }
        try KeyringFile.checkWork(slots.map(\.parameters))
        try rewrite { (change) throws(Fault) in
            guard change.slots.map(\.info.id) == prepared.basis else { throw Keyring.changedMeanwhile }
            change.master = try newMaster(prepared, change.master)
            change.slots = slots
            return true
        }
        return prepared.basis.filter { !prepared.renewed.contains($0) }
    }

    private func newMaster(_ prepared: PreparedRotation, _ old: SecretKey) throws(Fault) -> SecretKey {
        let context = XAESContext()
        do throws(Fault) {
            return SecretKey(
                try SecretBytes(count: SecretKey.bytesCount) { (target) throws(Fault) in
                    try rotationData(prepared.slots).withBytes { (aad) throws(Fault) in
                        try prepared.master.withBytes { (box) throws(Fault) in
                            try context.openBox(key: old, aad: aad, box: box, into: target)
                        }
                    }
                })
        } catch {
            throw error.code == .tampered ? Keyring.changedMeanwhile : error
        }
    }

    private func decoded(_ bytes: [UInt8]) throws(Fault) -> KeyringSlot {
        try bytes.withBytes { (bytes) throws(Fault) in try KeyringSlot(decoding: bytes) }
    }

    private static var changedMeanwhile: Fault {
        Fault(.cancelled, "the keys of the store were changed meanwhile; nothing was done, try again")
    }
}
