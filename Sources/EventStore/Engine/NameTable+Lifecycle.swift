// Renaming and forgetting entities in the table of names.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto

extension NameTable {
    /// The record of an entity under a new name; nothing is changed here before `renamed` is called.
    func renaming(_ record: EntityRecord, to name: String) throws(Fault) -> EntityRecord {
        let bytes = Array(name.utf8)
        guard !bytes.isEmpty, bytes.count <= Limits.entityNameBytesMax, bytes.allSatisfy({ $0 >= 0x20 }) else {
            throw Fault(.invalid, "an entity's name has 1 to \(Limits.entityNameBytesMax) bytes")
        }
        guard number(ofEntity: name) == nil else {
            throw Fault(.exists, "there is an entity of that name already; choose another name")
        }
        var record = record
        record.sealedName = try SealedValue.seal(
            bytes, key: try keyring.entityKey(record.keyID), aad: NameSealing.entity(record.number), environment)
        record.tag = entityTag(bytes)
        return record
    }

    func renamed(_ entity: UInt32, to name: String) {
        state.withLock { $0.entities.replace(entity, with: Array(name.utf8)) }
    }

    /// The record and the held names of an entity under another key; nothing is changed here before `rekeyed` is called.
    func rekeying(
        _ record: EntityRecord, to keyID: UInt64, _ holders: [NameHolder]
    ) throws(Fault) -> (record: EntityRecord, holders: [NameHolder]) {
        let (old, new) = (try keyring.entityKey(record.keyID), try keyring.entityKey(keyID))
        func resealed(_ box: [UInt8], _ aad: [UInt8]) throws(Fault) -> [UInt8] {
            try SealedValue.seal(try SealedValue.open(box, key: old, aad: aad), key: new, aad: aad, environment)
        }
        var record = record
        record.sealedName = try resealed(record.sealedName, NameSealing.entity(record.number))
        record.keyID = keyID
        var renewed: [NameHolder] = []
        for var holder in holders {
            guard let kind = StoredNameKind(rawValue: holder.kind) else {
                throw Fault(.damaged, "the catalog has a name of unknown kind \(holder.kind)")
            }
            holder.sealed = try resealed(holder.sealed, NameSealing.holder(kind, holder.name, record.number))
            renewed.append(holder)
        }
        return (record, renewed)
    }

    /// An entity has another key from now on. With the lane held, after the commit.
    func rekeyed(_ entity: UInt32, to keyID: UInt64) {
        state.withLock { state in
            state.retired[state.keyIDs[Int(entity)]] = entity
            state.keyIDs[Int(entity)] = keyID
        }
        noteKeyChange()
    }

    /// Adds an entity before it has any events. Its record waits for the next commit; the key is durable.
    func add(entity name: String, plan: String) throws(Fault) -> UInt32 {
        let batch = RowBatch()
        _ = batch.entities.intern(name)
        let admission = try admit(batch, allowNewEntities: true, plan: plan)
        guard let number = batch.entityNumbers.first, admission.entitiesAdded.count == 1 else {
            throw Fault(.exists, "there is an entity of that name already")
        }
        return number
    }

    /// Forgets an entity's name, its key, and the names that only it used.
    func forget(_ entity: UInt32) {
        state.withLock { NameTable.forget(entity, &$0) }
        SealedValue.forgetKeys()
    }

    static func forget(_ entity: UInt32, _ state: inout State) {
        if Int(entity) < state.keyIDs.count { state.keyIDs[Int(entity)] = 0 }
        state.entities.replace(entity, with: nil)
        for kind in StoredNameKind.allCases {
            for number in 0..<(kind == .type ? state.types.count : state.attributes.count) {
                let number = UInt32(number)
                let holders = state.holding(kind, number)
                guard holders.contains(entity) else { continue }
                let left = holders.subtracting([entity])
                if left.isEmpty {
                    switch kind {
                    case .type: state.types.replace(number, with: nil)
                    case .attribute: state.attributes.replace(number, with: nil)
                    }
                }
                state.set(kind, number, nil, holders: left)
            }
        }
        state.heldTypes[entity] = nil
        state.heldAttributes[entity] = nil
        state.unsaved.holders.removeAll { $0.entity == entity }
    }
}
