// Erasing an entity: intent in the catalog, tombstone in the keyring, final word in the catalog, then its bytes.
//
// After the intent nothing shows the entity any more; after the tombstone nobody without a copy of the keyring can
// read it; what an interruption leaves undone is finished at the next open.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation

extension StoreEngine {
    func erase(_ name: String, reason: String?, actor: AuditActor = .own) throws(Fault) -> ErasureReport {
        let lane = try writer()
        let start = ContinuousClock.now
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        let record = try lifeRecord(name)
        // What the receipt promises of the configured copy of the keys has to be possible.
        try context.room.reserve.assisting { () throws(Fault) in try context.keyBackups.update(always: true) }
        var begun: (removal: PartRemoval, receipt: ReceiptRow, events: Int)?
        try lane.exclusively { () throws(Fault) in
            begun = try beginErasure(record, reason, actor, lane)
        }
        guard let begun else { preconditionFailure("the body has run") }
        let staleCopy = try destroyKey(record, begun.receipt)
        let unreadable = (ContinuousClock.now - start) / .seconds(1)
        try finishErasure(record, lane)
        var freed = try allocated(begun.removal.dropped)
        freed += try reclaim(begun.removal, lane)
        try dropJournal(lane)
        madeRoom(lane, begun.removal.touched)
        if let staleCopy { throw StoreEngine.doneBut(staleCopy) }
        return ErasureReport(
            receipt: try receipt(begun.receipt), events: begun.events, segmentsDropped: begun.removal.dropped.count,
            bytesFreed: freed, unreadableSeconds: unreadable, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    // MARK: The three steps

    /// One commit: index, totals, names, batches, tallies lose the entity; the audit chain and a signed receipt say so.
    private func beginErasure(
        _ record: EntityRecord, _ reason: String?, _ actor: AuditActor, _ lane: WriterLane
    ) throws(Fault) -> (removal: PartRemoval, receipt: ReceiptRow, events: Int) {
        let removal = try parts(of: record.number, lane)
        let unflushed = lane.published.withLock { $0.memory }.reduce(0) { $0 + $1.count(entity: record.number) }
        var change = CatalogChange()
        remove(record, as: .erasing, removal, from: &change)
        let events = removal.rows + unflushed
        try lane.record(
            [
                AuditEntry(
                    operation: "entity.erase", entity: record.number, blindName: record.tag.hexText, reason: reason,
                    details: ["events": "\(events)", "key": record.keyID.hexText], actor: actor)
            ], in: &change)
        let receipt = try makeReceipt(
            record, try allKeys(of: record), events: events, after: change.addAudit)
        change.addReceipts = [receipt]
        _ = try lane.commit(change, urgent: true)
        context.names.forget(record.number)
        lane.forget(entity: record.number)
        try publish(removal, lane)
        context.columnCache.purge()
        return (removal, receipt, events)
    }

    private func makeReceipt(
        _ record: EntityRecord, _ keys: [RetiredKey], events: Int, after audit: [AuditRow]
    ) throws(Fault) -> ReceiptRow {
        guard let link = audit.last else { preconditionFailure("an erasure is audited") }
        let text = ReceiptText(
            store: context.settings.storeID.hexText, entity: record.number, key: record.keyID.hexText,
            olderKeys: keys.count > 1 ? keys.dropFirst().map(\.id.hexText) : nil,
            erased: TimestampText.utc(link.timeMs), events: events,
            chain: .init(number: link.number, mac: link.mac.hexText),
            keyBackups: try outlivingKeyBackups(keys))
        let body = try text.encoded()
        return ReceiptRow(entity: record.number, timeMs: link.timeMs, body: body, signature: try sign(body))
    }

    /// The parts of segments an entity has.
    private func parts(of entity: UInt32, _ lane: WriterLane) throws(Fault) -> PartRemoval {
        let rows = try context.catalog.read { (reader) throws(Fault) in try reader.segmentEntities(entity: entity) }
        let handles = lane.published.withLock { $0.segments.all }
        let known = Dictionary(uniqueKeysWithValues: handles.map { ($0.info.number, $0) })
        var removal = PartRemoval(context)
        for row in rows {
            // One that is being unlinked is no longer published.
            guard let handle = known[row.segment] else { continue }
            try removal.remove([SegmentEntityEntry(row)], of: handle, isAll: row.rows == handle.info.rows)
        }
        try removal.settle()
        return removal
    }

    /// Returns why the configured copy of the keys still has the key, if it does.
    private func destroyKey(_ record: EntityRecord, _ receipt: ReceiptRow) throws(Fault) -> Fault? {
        let keys = try allKeys(of: record).map(\.id)
        try context.room.reserve.assisting { () throws(Fault) in
            try context.keyring.eraseEntityKeys(keys, reference: sha256(receipt.body))
        }
        SealedValue.forgetKeys()
        return keyringChanged()
    }

    private func finishErasure(_ record: EntityRecord, _ lane: WriterLane) throws(Fault) {
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            var final = context.names.lives.record(record.number) ?? record
            final.state = LifeState.erased.rawValue
            final.sealedName = []
            change.updateEntities = [final]
            _ = try lane.commit(change, urgent: true)
        }
    }

    /// The journal may hold rows of what was erased, sealed under a key that is gone: they go with a flush.
    private func dropJournal(_ lane: WriterLane) throws(Fault) {
        try flushUnlessFull(lane)
        try lane.exclusively { () throws(Fault) in try lane.dropEmptyJournal() }
    }

    // MARK: After an interruption

    /// Finishes erasures that an earlier process began. Called at open, before anything is appended.
    func finishErasures() throws(Fault) {
        let lane = try writer()
        try adoptErasures(lane)
        let begun = context.names.lives.records.filter { $0.life == .erasing }
        // An older copy of the keyring was put back: what the catalog says is erased stays so.
        var returned: [(record: EntityRecord, keys: [UInt64])] = []
        for record in context.names.lives.records where record.life == .erased {
            returned.append((record, [record.keyID]))
        }
        let retired = try context.catalog.read { (reader) throws(Fault) in try reader.retiredKeys() }
        let retiredByEntity = Dictionary(grouping: retired) { $0.entity }
        returned = returned.map { ($0.record, $0.keys + (retiredByEntity[$0.record.number] ?? []).map(\.id)) }
            .filter { $0.keys.contains { context.keyring.entityKeyGeneration($0) != nil } }
        guard !begun.isEmpty || !returned.isEmpty else { return }
        let receipts = try context.catalog.read { (reader) throws(Fault) in try reader.receipts() }
        for record in begun {
            guard let receipt = receipts.last(where: { $0.entity == record.number }) else {
                throw Fault(.damaged, "an erasure that began has no receipt", at: .init(entity: record.number))
            }
            if let staleCopy = try destroyKey(record, receipt) { StoreLog.logger.error("\(staleCopy)") }
            try finishErasure(record, lane)
        }
        for (record, keys) in returned {
            let receipt = receipts.last { $0.entity == record.number }
            try context.keyring.eraseEntityKeys(keys, reference: sha256(receipt?.body ?? []))
            if let staleCopy = keyringChanged() { StoreLog.logger.error("\(staleCopy)") }
        }
        try dropJournal(lane)
    }

    /// Entities whose key was erased after this data was copied: the data follows the keys.
    private func adoptErasures(_ lane: WriterLane) throws(Fault) {
        let records = context.names.lives.records.filter { record in
            !record.isErased && record.keyID != 0 && context.keyring.tombstone(record.keyID) != nil
        }
        for record in records {
            let removal = try parts(of: record.number, lane)
            try lane.exclusively { () throws(Fault) in
                var change = CatalogChange()
                remove(record, as: .erased, removal, from: &change)
                try lane.record(
                    [
                        AuditEntry(
                            operation: "entity.erase", entity: record.number, blindName: record.tag.hexText,
                            reason: "its key was erased already",
                            details: ["events": "\(removal.rows)", "key": record.keyID.hexText], actor: .own)
                    ], in: &change)
                _ = try lane.commit(change, urgent: true)
                context.names.forget(record.number)
                lane.forget(entity: record.number)
                try publish(removal, lane)
            }
            _ = try reclaim(removal, lane)
        }
        if !records.isEmpty { try dropJournal(lane) }
    }

    /// What the catalog loses with an entity.
    private func remove(
        _ record: EntityRecord, as state: LifeState, _ removal: PartRemoval, from change: inout CatalogChange
    ) {
        removal.apply(to: &change)
        var final = record
        final.state = state.rawValue
        final.sealedName = []
        final.tag = context.environment.random(16)
        change.updateEntities = [final]
        change.releaseHolders = [record.number]
        change.forgetEntities = [record.number]
    }

    /// Erases cancelled entities whose time is up or whose data has lived out its retention; returns their names.
    func eraseDue() throws(Fault) -> [String] {
        let now = context.environment.nowMs()
        var erased: [String] = []
        for record in context.names.lives.records where record.life == .cancelled {
            guard let name = context.names.entityName(record.number) else { continue }
            let isDue = record.eraseAtMs > 0 && now >= record.eraseAtMs
            if !isDue { guard try isEmpty(record.number) else { continue } }
            _ = try erase(name, reason: isDue ? "its time was up" : "its data lived out its retention")
            erased.append(name)
        }
        return erased
    }

    func isEmpty(_ entity: UInt32) throws(Fault) -> Bool {
        let stored = try stored()
        if stored.memory.contains(where: { $0.count(entity: entity) > 0 }) { return false }
        return try context.catalog.read { (reader) throws(Fault) in try reader.segmentEntities(entity: entity) }
            .isEmpty
    }
}

extension MemoryBatch {
    func count(entity: UInt32) -> Int {
        guard rows.entityNumbers.contains(entity) else { return 0 }
        return (0..<rows.rowCount).count { rows.entityNumbers[Int(rows.entity.base[$0])] == entity }
    }
}

extension WriterLane {
    /// Takes an entity's rows out of memory. With the lane held and nothing provisional.
    func forget(entity: UInt32) {
        active.remove(entity: entity)
        frozen?.remove(entity: entity)
        let batches = (frozen?.batches ?? []) + active.batches
        published.withLock { $0.memory = batches }
    }

    /// Empties a journal that has nothing more for memory. With the lane held.
    func dropEmptyJournal() throws(Fault) {
        guard active.rowCount == 0, frozen == nil else { return }
        var change = CatalogChange()
        change.deleteJournalBefore = published.withLock { $0.nextSequence }
        _ = try commit(change, urgent: true)
    }
}

extension Array where Element == UInt8 {
    var hexText: String { map { String(format: "%02x", $0) }.joined() }
}

extension UInt64 {
    var hexText: String { String(format: "%016lx", self) }
}
