// The retention sweep: one commit takes what has expired out of the index, then files go.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments
import Foundation

extension StoreEngine {
    /// - Parameter confirmed: goes on although the clock leapt.
    func sweep(dryRun: Bool, confirmed: Bool) throws(Fault) -> SweepReport {
        let lane = try writer()
        let start = ContinuousClock.now
        if !dryRun { try clock.check(context.environment, confirmed: confirmed) }
        var report = try sweepAlone(lane, dryRun: dryRun)
        if !dryRun { report.entitiesErased = try eraseDue() }
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    /// The sweep of a writing process: nothing is committed when nothing is due.
    func sweepAutomatically() throws(Fault) {
        let lives = context.names.lives
        guard lives.records.contains(where: { lives.days($0) > 0 || $0.life == .cancelled }) else { return }
        let report = try sweep(dryRun: false, confirmed: false)
        if report.eventsExpired > 0 {
            StoreLog.logger.info("retention: \(report.eventsExpired) events expired, \(report.bytesFreed) bytes freed")
        }
    }

    private func sweepAlone(_ lane: WriterLane, dryRun: Bool) throws(Fault) -> SweepReport {
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        let report = try sweepLocked(lane, entities: nil, dryRun: dryRun)
        if !dryRun, !clock.isRecent(context.environment.nowMs()) { try recordClock(lane) }
        return report
    }

    /// With `maintenance` held.
    func sweepLocked(_ lane: WriterLane, entities: Set<UInt32>?, dryRun: Bool) throws(Fault) -> SweepReport {
        let now = context.environment.nowMs()
        let visibility = context.names.lives.visibility(nowMs: now)
        var report = SweepReport()
        let memory = lane.published.withLock { $0.memory }
        if !dryRun, memory.contains(where: { batch in visibility.visible(batch)?.rows !== batch.rows }) {
            try flushUnlessFull(lane)
        }
        let removal = try expired(lane.published.withLock { $0.segments }, visibility, entities)
        report.segmentsDropped = removal.dropped.count
        report.partsRemoved = removal.gone.count
        report.eventsExpired = removal.rows
        report.bytesFreed = try allocated(removal.dropped)
        guard !dryRun else { return report }
        let floors = risenFloors(now, entities)
        guard !removal.isEmpty || !floors.isEmpty else { return report }
        try lane.exclusively { () throws(Fault) in
            var change = CatalogChange()
            removal.apply(to: &change)
            change.updateEntities = floors
            if !removal.isEmpty { try lane.record([StoreEngine.entry(removal)], in: &change) }
            _ = try lane.commit(change, urgent: true)
            try publish(removal, lane)
        }
        report.bytesFreed += try reclaim(removal, lane)
        madeRoom(lane, removal.touched)
        return report
    }

    /// What expired in memory goes with a flush, which needs space: on a full disk it waits until there is some. It is
    /// invisible all the same.
    func flushUnlessFull(_ lane: WriterLane) throws(Fault) {
        do throws(Fault) {
            try flushLocked(lane)
        } catch {
            guard error.code == .diskFull else { throw error }
            StoreLog.logger.warning("unflushed events wait for disk space: \(error)")
        }
    }

    /// Space was freed: what was set aside for a full disk is set aside again.
    func madeRoom(_ lane: WriterLane, _ touched: Set<Int64> = []) {
        context.room.changed(touched)
        do throws(Fault) {
            try context.room.check(lane.published.withLock { $0.segments })
        } catch {
            return
        }
    }

    private static func entry(_ removal: PartRemoval) -> AuditEntry {
        AuditEntry(
            operation: "retention.sweep", entity: nil, blindName: nil, reason: nil,
            details: [
                "segments": "\(removal.dropped.count)", "parts": "\(removal.gone.count)", "events": "\(removal.rows)",
            ], actor: .own)
    }

    private func expired(
        _ segments: SegmentSet, _ visibility: Visibility, _ entities: Set<UInt32>?
    ) throws(Fault) -> PartRemoval {
        var removal = PartRemoval(context)
        for handle in segments.all where handle.info.minTime < visibility.greatest {
            let all = try handle.entries(context.catalog)
            let old = all.filter { entry in
                entry.maxTime < visibility.floor(entry.entity) && entities?.contains(entry.entity) ?? true
            }
            try removal.remove(old, of: handle, isAll: old.count == all.count)
        }
        try removal.settle()
        return removal
    }

    /// Records whose floor has risen with the cut-off of their plan.
    private func risenFloors(_ now: Int64, _ entities: Set<UInt32>?) -> [EntityRecord] {
        let lives = context.names.lives
        return lives.records.compactMap { record in
            guard !record.isErased, record.keyID != 0, entities?.contains(record.number) ?? true else { return nil }
            let cutOff = LifeTable.cutOff(days: lives.days(record), nowMs: now)
            guard cutOff > record.floorMs else { return nil }
            var risen = record
            risen.floorMs = cutOff
            return risen
        }
    }

    /// Bytes that the files take on disk.
    func allocated(_ handles: [SegmentHandle]) throws(Fault) -> Int {
        var bytes = 0
        for handle in handles { bytes += try context.environment.files.status(handle.path)?.allocatedBytes ?? 0 }
        return bytes
    }

    /// Makes a removal visible. With the lane held, after its commit.
    func publish(_ removal: PartRemoval, _ lane: WriterLane) throws(Fault) {
        for handle in removal.dropped {
            // Readers of older snapshots go on; a file that is damaged or gone is not worth keeping open.
            if let reader = try? context.segmentFiles.reader(handle) { handle.pin(reader) }
        }
        var state = lane.published.withLock { $0 }
        try removal.apply(to: &state, context.files)
        lane.published.withLock { $0 = state }
        context.columnCache.purge(segments: removal.touched)
    }

    /// Unlinks what was dropped and destroys the bytes of what is gone; returns bytes of the holes made.
    func reclaim(_ removal: PartRemoval, _ lane: WriterLane) throws(Fault) -> Int {
        if !removal.dropped.isEmpty { try remove(removal.dropped, lane) }
        guard !removal.gone.isEmpty else { return 0 }
        return try destroy(removal.gone, of: removal.shrunk, lane)
    }

    private func destroy(
        _ parts: [GonePart], of segments: [Int64: CatalogSegment], _ lane: WriterLane
    ) throws(Fault) -> Int {
        let (freed, done): (Int, [PartKey])
        do throws(Fault) {
            (freed, done) = try PartDestroyer(context: context).destroy(parts, of: segments)
        } catch {
            lane.note(error)
            throw error
        }
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            change.freeGone = done
            _ = try lane.commit(change, urgent: true)
        }
        return freed
    }

    /// Destroys what an earlier process recorded as gone and did not come to.
    func finishDestroying() throws(Fault) {
        let lane = try writer()
        let (parts, segments) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.gone().filter { !$0.isFreed }, try reader.segments(overlapping: nil))
        }
        guard !parts.isEmpty else { return }
        let known = Dictionary(uniqueKeysWithValues: segments.map { ($0.number, $0) })
        _ = try destroy(parts, of: known, lane)
    }
}
