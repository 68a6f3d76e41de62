// Changes to the keyring: each is one durable rewrite of the whole file. Only the store's writer calls these.

import EventStoreCore
import Synchronization

extension Keyring {
    /// Adds random keys, all in one rewrite, and returns their ids. Durable when it returns; only then may a
    /// catalog mention them. Nothing is written for a count of zero.
    package func addEntityKeys(_ count: Int) throws(Fault) -> [UInt64] {
        precondition(count >= 0)
        var ids: [UInt64] = []
        try rewrite { (change) throws(Fault) in
            guard count > 0 else { return false }
            (change.body, ids) = try change.body.adding(count, generation: change.generation, environment)
            return true
        }
        return ids
    }

    /// Erases an entity's key: gone from the file and from this ring when it returns; copies handed out are
    /// the caller's to drop. `reference` is 32 bytes kept with the tombstone. Erasing an erased key changes
    /// nothing, so that an interrupted erasure can be finished. Throws `notFound` for an id that never was.
    package func eraseEntityKey(_ id: UInt64, reference: [UInt8]) throws(Fault) {
        let tombstone = KeyTombstone(id: id, erasedMs: environment.nowMs(), reference: reference)
        try rewrite { (change) throws(Fault) in
            if change.body.tombstoneIndex(id) != nil { return false }
            guard change.body.entityKeyIndex(id) != nil else {
                throw Fault(.notFound, "the keyring does not have the key to erase")
            }
            change.body = try change.body.erasing([tombstone])
            return true
        }
    }

    /// Takes over tombstones of a newer keyring, e.g. when restoring: their keys go, also those unknown here.
    package func mergeTombstones(_ tombstones: [KeyTombstone]) throws(Fault) {
        try rewrite { (change) throws(Fault) in
            let new = tombstones.filter { $0.id != 0 && change.body.tombstoneIndex($0.id) == nil }
            guard !new.isEmpty else { return false }
            change.body = try change.body.erasing(new)
            return true
        }
    }

    /// Adds a slot that `secret` opens, and returns its id. Costs one scrypt derivation for a passphrase.
    package func addSlot(
        _ secret: RootSecret, scrypt parameters: ScryptParameters = .standard
    ) throws(Fault) -> UInt64 {
        var id: UInt64 = 0
        try rewrite { (change) throws(Fault) in
            guard change.slots.count < KeyringFormat.slotsMax else {
                throw Fault(.limit, "the keyring holds \(KeyringFormat.slotsMax) slots at most; remove one first")
            }
            if secret.kind == .passphrase { try KeyringFile.checkWork(change.slots.map(\.parameters) + [parameters]) }
            let slot = try KeyringSlot(
                wrapping: change.master, under: secret, storeID: storeID, scrypt: parameters, environment)
            id = slot.info.id
            change.slots.append(slot)
            return true
        }
        return id
    }

    /// Removes a slot. Its root key no longer opens this file; it still opens older copies of it, until the
    /// master key is rotated. Throws `invalid` for the last slot, `notFound` for an unknown one.
    package func removeSlot(_ id: UInt64) throws(Fault) {
        try rewrite { (change) throws(Fault) in
            guard let index = change.slots.firstIndex(where: { $0.info.id == id }) else {
                throw Fault(.notFound, "the keyring has no such slot")
            }
            guard change.slots.count > 1 else {
                throw Fault(.invalid, "the last slot cannot be removed: nothing would open the store any more")
            }
            change.slots.remove(at: index)
            return true
        }
    }

    /// Draws a new master key and rewraps the ring. Slots that one of `secrets` opens are kept, with their
    /// kind; the others go, for their root keys are not at hand: their ids are returned. Throws `wrongKey`
    /// when no slot would be left. Readers have to open the store again.
    package func rotateMaster(keeping secrets: [RootSecret]) throws(Fault) -> [UInt64] {
        var dropped: [UInt64] = []
        try rewrite { (change) throws(Fault) in
            let master = SecretKey(random: environment)
            var kept: [KeyringSlot] = []
            for slot in change.slots {
                if let renewed = try renew(slot, master, secrets) {
                    kept.append(renewed)
                } else {
                    dropped.append(slot.info.id)
                }
            }
            guard !kept.isEmpty else { throw Fault(.wrongKey, "none of the secrets given opens a slot of this store") }
            change.master = master
            change.slots = kept
            return true
        }
        return dropped
    }

    private func renew(
        _ slot: KeyringSlot, _ master: SecretKey, _ secrets: [RootSecret]
    ) throws(Fault) -> KeyringSlot? {
        for secret in secrets where try slot.unwrap(secret, storeID: storeID) != nil {
            let labelled: RootSecret
            switch secret {
            case .key(let key, _): labelled = .key(key, slot.info.kind)
            case .passphrase: labelled = secret
            }
            return try KeyringSlot(
                wrapping: master, under: labelled, storeID: storeID, scrypt: slot.parameters ?? .standard, environment)
        }
        return nil
    }
}

// MARK: - The rewrite

extension Keyring {
    /// What a rewrite may change.
    private struct Change {
        let generation: UInt64
        var slots: [KeyringSlot]
        var body: KeyringBody
        var master: SecretKey
    }

    /// Runs one change and makes it durable, or leaves memory as it was. `edit` returns false when there is
    /// nothing to do. After a failure that may have left the disk unsynced the ring takes no more changes
    /// (`poisoned`); a full or read-only disk does not poison.
    private func rewrite(_ edit: (inout Change) throws(Fault) -> Bool) throws(Fault) {
        do throws(Fault) {
            try writer.withLock { (writer) throws(Fault) in
                guard !writer.isPoisoned else {
                    throw Fault(.poisoned, "an earlier write of the keyring failed; open the store again")
                }
                let old = state.withLock { (file: $0.file, body: $0.body, master: $0.master) }
                var change = Change(
                    generation: writer.lastGeneration + 1, slots: old.file.slots, body: old.body, master: old.master)
                guard try edit(&change) else { return }
                try requireUnchanged(old.file, writer.attempted)
                let file = try KeyringFile(
                    storeID: storeID, generation: change.generation, slots: change.slots, body: change.body,
                    master: change.master, environment)
                try persist(file, &writer)
                state.withLock { state in
                    state.take(file, change.body)
                    state.master = change.master
                }
            }
        } catch {
            throw error.at(file: path)
        }
    }

    private func persist(_ file: KeyringFile, _ writer: inout Writer) throws(Fault) {
        writer.lastGeneration = file.generation
        do throws(Fault) {
            try environment.files.replace(path, with: file.bytes)
            writer.attempted = nil
        } catch {
            writer.attempted = file.header
            if ![.diskFull, .readOnly, .permission].contains(error.code) { writer.isPoisoned = true }
            throw error
        }
    }

    /// A ring that another process changed since must not be overwritten with what this one remembers.
    private func requireUnchanged(_ file: KeyringFile, _ attempted: [UInt8]?) throws(Fault) {
        let header = try readHeader()
        guard header == file.header || header == attempted else {
            throw Fault(.locked, "another process changed the keyring; open the store again")
        }
    }
}
