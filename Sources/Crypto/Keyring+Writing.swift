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

    /// Erases all keys an entity has or had, in one rewrite: as `eraseEntityKey`, but ids that are not in the ring get a
    /// tombstone, too.
    package func eraseEntityKeys(_ ids: [UInt64], reference: [UInt8]) throws(Fault) {
        let now = environment.nowMs()
        try mergeTombstones(ids.map { KeyTombstone(id: $0, erasedMs: now, reference: reference) })
    }

    /// Takes keys out that nothing is sealed under any more: gone from the file and from this ring when it returns.
    /// They leave no tombstone, since what they once sealed is not erased: data from before is missing its key then,
    /// which is a reason to look for an older copy of the ring, and no reason to drop the data. Ids that are not there
    /// are passed over.
    package func removeEntityKeys(_ ids: [UInt64]) throws(Fault) {
        try rewrite { (change) throws(Fault) in
            let body = change.body
            let known = Set(ids.filter { body.entityKeyIndex($0) != nil })
            guard !known.isEmpty else { return false }
            change.body = body.removing(known)
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

    /// Makes this ring the newest of its store, for one that is put back from a copy: its generation is then higher than
    /// `generation`, the highest its catalog has seen.
    package func raise(above generation: UInt64) throws(Fault) {
        writer.withLock { $0.lastGeneration = max($0.lastGeneration, generation) }
        try rewrite { (_) throws(Fault) in true }
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
}

// MARK: - The rewrite

extension Keyring {
    /// What a rewrite may change.
    struct Change {
        let generation: UInt64
        var slots: [KeyringSlot]
        var body: KeyringBody
        var master: SecretKey
    }

    /// Runs one change and makes it durable, or leaves memory as it was. `edit` returns false when there is
    /// nothing to do. After a failure that may have left the disk unsynced the ring takes no more changes
    /// (`poisoned`); a full or read-only disk does not poison.
    func rewrite(_ edit: (inout Change) throws(Fault) -> Bool) throws(Fault) {
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
