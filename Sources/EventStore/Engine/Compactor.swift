// Merging the segments of a partition into few, well-packed ones.
//
// The old segments stay until the catalog knows the new ones: one transaction adds these and marks those for
// removal, then files go, then their rows. Cut short anywhere, nothing is lost and nothing is there twice.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments
import Foundation
import Synchronization

extension StoreEngine {
    /// Rows merged at a time: what bounds the memory of a compaction, twice over with two threads.
    private static let mergeRowsMax = 393_216
    /// A segment of this level was packed as well as it goes.
    static let packedLevel = 1

    func compact(progress: (@Sendable (Double) -> Void)?) throws(Fault) -> CompactReport {
        let lane = try writer()
        let start = ContinuousClock.now
        var report = CompactReport()
        // Flushes and imports go on meanwhile: they add segments, a merge replaces those it began with.
        compaction.lock()
        defer { compaction.unlock() }
        report.bytesBefore = try storeBytes()
        try flush()
        let before = lane.published.withLock { $0.segments }
        report.segmentsBefore = before.all.count
        let underOldKeys = try segmentsUnderOldKeys()
        let partitions = Dictionary(grouping: before.all) { $0.info.partitionStart }.values
            .filter { handles in
                StoreEngine.needsMerge(handles) || handles.contains { underOldKeys.contains($0.info.number) }
            }
            .sorted { $0[0].info.partitionStart < $1[0].info.partitionStart }
        let damage = try mergeAll(partitions, lane, progress)
        _ = try destroyOldKeys(lane)
        try shrinkCatalog(lane)
        madeRoom(lane)
        if let damage { throw damage }
        report.segmentsAfter = lane.published.withLock { $0.segments.all.count }
        report.bytesAfter = try storeBytes()
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    /// Merges segments, given by partition; returns the first damage met. With `compaction` held.
    func mergeAll(
        _ partitions: [[SegmentHandle]], _ lane: WriterLane, _ progress: (@Sendable (Double) -> Void)?
    ) throws(Fault) -> Fault? {
        let done = Atomic<Int>(0)
        let damage = Mutex<Fault?>(nil)
        let threads = max(1, min(context.threads, context.memoryBudget / (128 << 20)))
        try Workers.run(partitions.count, threads: threads) { [self] (index) throws(Fault) in
            do throws(Fault) {
                try merge(partitions[index], lane)
            } catch {
                // A damaged partition stays as it is; the others are merged all the same.
                // Erased or expired meanwhile: what is left is merged the next time.
                if error.code == .keyErased || !isUnchanged(partitions[index], lane) { return }
                guard error.code == .damaged || error.code == .tampered else { throw error }
                damage.withLock { $0 = $0 ?? error }
            }
            progress?(Double(done.add(1, ordering: .relaxed).newValue) / Double(partitions.count))
        }
        return damage.withLock { $0 }
    }

    private static func needsMerge(_ handles: [SegmentHandle]) -> Bool {
        handles.contains { $0.info.level < packedLevel }
            || handles.count > 1 && handles.reduce(0) { $0 + $1.info.rows } <= mergeRowsMax
    }

    private func storeBytes() throws(Fault) -> Int {
        var stats = StoreStats()
        try addSizes(&stats, try snapshot())
        return stats.bytes
    }

    // MARK: One partition

    private func merge(_ handles: [SegmentHandle], _ lane: WriterLane) throws(Fault) {
        let base = handles.map(\.info.minSequence).min() ?? 0
        var written: [WrittenSegment] = []
        do throws(Fault) {
            for group in try mergeGroups(handles) { written += try write(group, handles, sequenceBase: base) }
            try writing.syncDirectories(written)
            let rows = written.reduce(0) { $0 + $1.summary.rows }
            guard rows == handles.reduce(0, { $0 + $1.info.rows }) else {
                // The index may have lost an erased entity's rows while it was read: that is no damage.
                try lane.exclusively { () throws(Fault) in try requireUnchanged(handles, lane) }
                throw Fault(.damaged, "merged segments have another number of rows than those they came from")
            }
        } catch {
            lane.note(error)
            writing.discard(written)
            throw error
        }
        let segments = written
        do throws(Fault) {
            // Readers of older snapshots keep their files open.
            for handle in handles { handle.pin(try context.segmentFiles.reader(handle)) }
            try lane.exclusively { () throws(Fault) in
                try requireUnchanged(handles, lane)
                try lane.publish(segments, sequenceBase: base, replacing: handles)
            }
        } catch {
            if !lane.isPoisoned { writing.discard(segments) }
            throw error
        }
        try remove(handles, lane)
    }

    /// Throws when something expired or was erased from what was merged meanwhile.
    private func requireUnchanged(_ handles: [SegmentHandle], _ lane: WriterLane) throws(Fault) {
        guard isUnchanged(handles, lane) else {
            throw Fault(.keyErased, "the segments changed while they were merged")
        }
    }

    private func isUnchanged(_ handles: [SegmentHandle], _ lane: WriterLane) -> Bool {
        let now = lane.published.withLock { $0.segments }.inPartition(handles[0].info.partitionStart)
        return handles.allSatisfy { handle in now.contains { $0 === handle } }
    }

    /// Unlinks what the catalog has marked, then forgets it.
    func remove(_ handles: [SegmentHandle], _ lane: WriterLane) throws(Fault) {
        for handle in handles {
            try SegmentRemoval.unlink(handle.path, context.environment)
            context.segmentFiles.forget(handle.info.number)
        }
        context.columnCache.purge(segments: Set(handles.map(\.info.number)))
        for start in Set(handles.map(\.info.partitionStart)) {
            do throws(Fault) {
                try context.environment.files.syncDirectory(context.files.directory(partitionStart: start))
            } catch {
                lane.note(error)
                throw error
            }
        }
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            change.removeSegments = handles.map(\.info.number)
            _ = try lane.commit(change, urgent: true)
        }
    }

    /// Entities by number, in groups that fit into memory.
    private func mergeGroups(_ handles: [SegmentHandle]) throws(Fault) -> [ClosedRange<UInt32>] {
        var rows: [UInt32: Int] = [:]
        for handle in handles {
            for entry in try handle.entries(context.catalog) { rows[entry.entity, default: 0] += entry.rows }
        }
        var groups: [ClosedRange<UInt32>] = []
        var first: UInt32?
        var last: UInt32 = 0
        var count = 0
        for (entity, entityRows) in rows.sorted(by: { $0.key < $1.key }) {
            if let start = first, count + entityRows > StoreEngine.mergeRowsMax {
                groups.append(start...last)
                first = nil
                count = 0
            }
            first = first ?? entity
            last = entity
            count += entityRows
        }
        if let first { groups.append(first...last) }
        return groups
    }

    /// Writes some entities' rows anew. An entity with more rows than fit becomes several segments.
    private func write(
        _ entities: ClosedRange<UInt32>, _ handles: [SegmentHandle], sequenceBase: UInt64
    ) throws(Fault) -> [WrittenSegment] {
        let sealer = StoreSealer(context.names)
        let scanner = BlockScanner(sealer: sealer)
        let collector = RowCollector()
        let writer = SegmentWriter(sealer: sealer, environment: context.environment)
        var written: [WrittenSegment] = []
        var all: [UInt32] = []
        for handle in handles {
            let reader = try context.segmentFiles.reader(handle)
            try scanner.prefetch(reader)
            for entry in try handle.entries(context.catalog) where entities.contains(entry.entity) {
                try scanner.open(reader, entry)
                for block in 0..<scanner.blockCount {
                    let rows = scanner.block(block).rows
                    while all.count < rows { all.append(UInt32(all.count)) }
                    try all.withUnsafeBufferPointer { (all) throws(Fault) in
                        try collector.append(
                            scanner, block: block, rows: UnsafeBufferPointer(rebasing: all[0..<rows]))
                    }
                    if collector.batch.rowCount >= StoreEngine.mergeRowsMax {
                        written += try write(collector.takeBatch(), handles, sequenceBase, writer)
                    }
                }
            }
        }
        return written + (try write(collector.takeBatch(), handles, sequenceBase, writer))
    }

    private func write(
        _ batch: RowBatch, _ handles: [SegmentHandle], _ sequenceBase: UInt64, _ writer: SegmentWriter
    ) throws(Fault) -> [WrittenSegment] {
        guard batch.rowCount > 0 else { return [] }
        let columns = BatchColumns([batch])
        let options = writing.options(highCompression: true, sequenceBase: sequenceBase)
        var written: [WrittenSegment] = []
        for refs in PartitionSplit(columns, context).partitions {
            refs.sort([batch])
            do throws(Fault) {
                written += try writing.write(
                    refs, of: columns, level: StoreEngine.packedLevel, options: options, writer: writer)
            } catch {
                writing.discard(written)
                throw error
            }
        }
        return written
    }

    /// Gives back what the catalog no longer needs, the bytes of deleted rows included.
    func shrinkCatalog(_ lane: WriterLane) throws(Fault) {
        try lane.inTurn { () throws(Fault) in
            _ = try context.catalog.vacuumFreePages()
            _ = try context.catalog.checkpointAndTruncate()
        }
    }
}
