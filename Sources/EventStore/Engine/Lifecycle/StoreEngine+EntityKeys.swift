// New keys for entities: a new one is drawn and used from then on; what is under the old one is sealed anew when its
// segments are merged; then the old one is destroyed.
//
// The order is keyring and its copy, then the catalog: one commit gives the entities their new keys and notes which
// parts of segments are under the old ones. An interruption before it leaves spare keys in the ring. An old key is
// destroyed in the keyring first, which the catalog then hears of: the next open finds the key gone and says so. No
// key is destroyed while a part of a segment, or the journal, is under it; whoever destroys holds `compaction` and
// `maintenance`, so that no segment is being written.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

extension StoreEngine {
    /// - Parameters:
    ///   - names: `nil` is all entities.
    ///   - now: seals at once anew what is under their old keys; else that is left to compaction.
    func rotateEntityKeys(
        _ names: [String]?, now: Bool, progress: (@Sendable (Double) -> Void)?
    ) throws(Fault) -> EntityKeyReport {
        let lane = try writer()
        let start = ContinuousClock.now
        // Better now than when half of it is done.
        try context.keyBackups.update(always: true)
        let entities = try giveNewKeys(names, lane)
        var report = EntityKeyReport()
        report.entities = entities.count
        if now {
            compaction.lock()
            defer { compaction.unlock() }
            try flush()
            let numbers = try segmentsUnderOldKeys(of: Set(entities))
            let handles = lane.published.withLock { $0.segments.all }.filter { numbers.contains($0.info.number) }
            report.segmentsRewritten = handles.count
            let partitions = Dictionary(grouping: handles) { $0.info.partitionStart }
                .sorted { $0.key < $1.key }.map(\.value)
            let damage = try mergeAll(partitions, lane, progress)
            report.keysDestroyed = try destroyOldKeys(lane)
            try shrinkCatalog(lane)
            if let damage { throw damage }
        }
        let given = Set(entities)
        let retired = try context.catalog.read { (reader) throws(Fault) in try reader.retiredKeys() }
        report.keysLeft = retired.count { given.contains($0.entity) && isInRing($0) }
        let left = try oldKeyUses(of: given)
        report.segmentsLeft = left.segments
        report.bytesLeft = left.bytes
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    // MARK: New keys

    private func giveNewKeys(_ names: [String]?, _ lane: WriterLane) throws(Fault) -> [UInt32] {
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        // What is prepared and not committed is sealed under the old keys: it is prepared anew.
        return try lane.exclusively { () throws(Fault) in
            let table = context.names
            if !table.unsaved.isEmpty { _ = try lane.commit(CatalogChange()) }
            let records = try names.map { (names) throws(Fault) in try uniqueRecords(names) } ?? livingRecords()
            guard !records.isEmpty else { return [] }
            let ids = try table.newKeys(records.count)
            do throws(Fault) {
                let change = try keyChange(records, ids, lane)
                _ = try lane.commit(change)
            } catch {
                table.takeBack(keys: ids)
                throw error
            }
            for (record, id) in zip(records, ids) { table.rekeyed(record.number, to: id) }
            return records.map(\.number)
        }
    }

    private func uniqueRecords(_ names: [String]) throws(Fault) -> [EntityRecord] {
        var records: [UInt32: EntityRecord] = [:]
        for name in names {
            let record = try lifeRecord(name)
            records[record.number] = record
        }
        return records.values.sorted { $0.number < $1.number }
    }

    private func livingRecords() -> [EntityRecord] {
        context.names.lives.records.filter { record in
            !record.isErased && (try? context.names.keyID(record.number)) != nil
        }
    }

    private func keyChange(
        _ records: [EntityRecord], _ ids: [UInt64], _ lane: WriterLane
    ) throws(Fault) -> CatalogChange {
        var change = CatalogChange()
        var entries: [AuditEntry] = []
        let now = context.environment.nowMs()
        for (record, id) in zip(records, ids) {
            let held = try context.catalog.read { (reader) throws(Fault) in try reader.holders(of: record.number) }
            let renewed = try context.names.rekeying(record, to: id, held)
            change.updateEntities.append(renewed.record)
            change.replaceHolders += renewed.holders
            change.retireKeys.append(
                RetiredKey(
                    id: record.keyID, entity: record.number,
                    generation: context.keyring.entityKeyGeneration(record.keyID) ?? 0, retiredMs: now))
            entries.append(
                AuditEntry(
                    operation: "key.rotate-entity", entity: record.number, blindName: record.tag.hexText, reason: nil,
                    details: [
                        "old": record.keyID.hexText, "new": id.hexText,
                        "generation": "\(context.keyring.generation)",
                    ], actor: .own))
        }
        try lane.record(entries, in: &change)
        return change
    }

    // MARK: Old keys

    /// Segments that have parts under keys their entities had before; `nil` is all entities.
    func segmentsUnderOldKeys(of entities: Set<UInt32>? = nil) throws(Fault) -> Set<Int64> {
        let parts = try context.catalog.read { (reader) throws(Fault) in try reader.partKeys() }
        return Set(parts.filter { entities?.contains($0.entity) ?? true }.map(\.segment))
    }

    /// How many segments have to be rewritten, and their bytes, before the old keys of entities can be destroyed.
    func oldKeyUses(of entities: Set<UInt32>? = nil) throws(Fault) -> (segments: Int, bytes: Int) {
        let numbers = try segmentsUnderOldKeys(of: entities)
        guard !numbers.isEmpty else { return (0, 0) }
        let infos = try stored().segments.all.map(\.info).filter { numbers.contains($0.number) }
        return (infos.count, infos.reduce(0) { $0 + $1.fileBytes })
    }

    /// Destroys the old keys that nothing is under any more and returns how many. With `compaction` held.
    func destroyOldKeys(_ lane: WriterLane) throws(Fault) -> Int {
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        guard try unusedOldKeys().contains(where: { isInRing($0) }) else { return 0 }
        // The journal may have rows that were sealed before the rotation.
        try flushLocked(lane)
        try lane.exclusively { () throws(Fault) in try lane.dropEmptyJournal() }
        let unused = try unusedOldKeys().filter { isInRing($0) }
        var staleCopy: Fault?
        try lane.inTurn { () throws(Fault) in
            try context.keyring.removeEntityKeys(unused.map(\.id))
            SealedValue.forgetKeys()
            context.names.noteKeyChange()
            staleCopy = keyringChanged()
            try noteDestroyed(unused, reason: nil, lane)
        }
        if let staleCopy { throw StoreEngine.doneBut(staleCopy) }
        return unused.count
    }

    /// With the lane's turn held.
    private func noteDestroyed(_ keys: [RetiredKey], reason: String?, _ lane: WriterLane) throws(Fault) {
        var change = CatalogChange()
        let now = context.environment.nowMs()
        change.destroyedKeys = keys.map { DestroyedKey(id: $0.id, timeMs: now) }
        let entries = keys.map { key in
            AuditEntry(
                operation: "key.destroy-old", entity: key.entity,
                blindName: context.names.lives.record(key.entity)?.tag.hexText, reason: reason,
                details: ["key": key.id.hexText, "generation": "\(context.keyring.generation)"], actor: .own)
        }
        try lane.record(entries, in: &change)
        _ = try lane.commit(change)
    }

    /// What an earlier process destroyed in the keyring and did not get to note. Called at open.
    func finishDestroyingOldKeys() throws(Fault) {
        let gone = try unusedOldKeys().filter { !isInRing($0) }
        guard !gone.isEmpty else { return }
        let lane = try writer()
        try lane.inTurn { () throws(Fault) in
            try noteDestroyed(gone, reason: "an earlier process destroyed it and did not get to record it", lane)
        }
    }

    private func isInRing(_ key: RetiredKey) -> Bool { context.keyring.entityKeyGeneration(key.id) != nil }

    /// Retired keys of entities that are there, not noted as destroyed, that no part of a segment is under.
    private func unusedOldKeys() throws(Fault) -> [RetiredKey] {
        let (keys, parts) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.retiredKeys(), try reader.partKeys())
        }
        let used = Set(parts.map(\.keyID))
        return keys.filter { key in
            // Of an erased entity the tombstone says all there is to say.
            key.destroyedMs == 0 && !used.contains(key.id) && context.keyring.tombstone(key.id) == nil
        }
    }

    /// Every key an entity ever had, the one it has first.
    func allKeys(of record: EntityRecord) throws(Fault) -> [RetiredKey] {
        let retired = try context.catalog.read { (reader) throws(Fault) in try reader.retiredKeys() }
        let current = RetiredKey(
            id: record.keyID, entity: record.number,
            generation: context.keyring.entityKeyGeneration(record.keyID) ?? 0, retiredMs: 0)
        return [current] + retired.filter { $0.entity == record.number }
    }
}
