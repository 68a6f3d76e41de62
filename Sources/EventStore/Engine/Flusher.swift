// Turns the memory table into segments, in the background or when asked.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments
import Foundation
import Synchronization

/// The thread that flushes.
final class Flusher: Sendable {
    private let stopped = Atomic<Bool>(false)
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    private static let checkSeconds = 30

    func start(_ engine: StoreEngine) {
        engine.lane?.flushWanted = { [wake] in wake.signal() }
        // The thread must not keep a store alive that nobody uses any more.
        let thread = Thread { [self, weak engine] in
            while !stopped.load(ordering: .acquiring) {
                _ = wake.wait(timeout: .now() + .seconds(Flusher.checkSeconds))
                guard let engine, !stopped.load(ordering: .acquiring) else { break }
                flushIfDue(engine)
            }
            ended.signal()
        }
        thread.name = "eventstore-flush"
        thread.stackSize = 8 << 20
        thread.start()
    }

    private func flushIfDue(_ engine: StoreEngine) {
        guard let lane = engine.lane, lane.isDue(nowMs: engine.context.environment.nowMs()) else { return }
        do throws(Fault) {
            try engine.flush()
        } catch {
            StoreLog.logger.error("flushing failed: \(error)")
        }
    }

    func stop() {
        guard !stopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        wake.signal()
        ended.wait()
    }
}

extension StoreEngine {
    func flush() throws(Fault) {
        let lane = try writer()
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        try flushLocked(lane)
    }

    /// With `maintenance` held: everything that is in the memory table now goes into segments.
    func flushLocked(_ lane: WriterLane) throws(Fault) {
        // A table may be frozen already, by a flush that failed; the active one then comes second.
        for _ in 0..<2 {
            guard let table = try lane.freeze() else { return }
            try flush(table, lane)
        }
    }

    private func flush(_ table: MemoryTable, _ lane: WriterLane) throws(Fault) {
        let batches = table.batches.map(\.rows)
        let base = table.batches.map(\.firstSequence).min() ?? 0
        let end = table.batches.map(\.lastSequence).max() ?? 0
        let columns = BatchColumns(batches)
        let partitions = PartitionSplit(columns, context.partition).partitions
        let writing = self.writing
        let options = writing.options(highCompression: false, sequenceBase: base)
        let names = context.names
        let written = Mutex<[WrittenSegment]>([])
        do throws(Fault) {
            try Workers.run(partitions.count, threads: context.threads) { (index) throws(Fault) in
                let rows = partitions[index]
                rows.sort(batches)
                let writer = SegmentWriter(sealer: StoreSealer(names), environment: writing.environment)
                let segments = try writing.write(
                    rows.buffer, of: columns, partitionStart: rows.start, partitionMs: rows.length, level: 0,
                    options: options, writer: writer)
                written.withLock { $0 += segments }
            }
            let segments = written.withLock { $0 }
            try writing.syncDirectories(segments)
            try lane.exclusively { () throws(Fault) in
                try lane.publish(segments, sequenceBase: base, flushedBelow: end + 1)
            }
        } catch {
            lane.note(error)
            // After a commit in doubt the catalog may know the files.
            if !lane.isPoisoned { writing.discard(written.withLock { $0 }) }
            throw error
        }
    }
}

extension WriterLane {
    /// Puts written segments into the catalog and, in the same transaction, takes the journal's rows they came
    /// from out of it. With the lane held.
    func publish(
        _ segments: [WrittenSegment], sequenceBase: UInt64, flushedBelow: UInt64? = nil, nextSequence: UInt64? = nil,
        replacing: [SegmentHandle] = []
    ) throws(Fault) {
        var change = CatalogChange()
        for segment in segments {
            change.addSegments.append(
                (
                    CatalogSegment(segment, sequenceBase: sequenceBase),
                    segment.summary.entities.map { CatalogSegmentEntity($0) }
                ))
            if replacing.isEmpty {
                change.entityDayDeltas += segment.entityDays
                change.typeDayDeltas += segment.typeDays
            }
        }
        change.markUnlinking = replacing.map(\.info.number)
        change.deleteJournalBefore = flushedBelow
        change.dropBatchesBefore = context.environment.nowMs() - WriterLane.batchesKeptMs
        change.nextSequence = nextSequence
        let result = try commit(change)
        var handles: [SegmentHandle] = []
        for (index, added) in change.addSegments.enumerated() {
            var info = added.0
            info.number = result.segments[index]
            handles.append(try SegmentHandle(info, files: context.files))
        }
        let removed = Set(replacing.map(\.info.number))
        published.withLock { state in
            state.segments = state.segments.replacing(removed, with: handles)
            if let flushedBelow { state.memory.removeAll { $0.lastSequence < flushedBelow } }
            if let nextSequence { state.nextSequence = nextSequence }
        }
        if flushedBelow != nil { frozen = nil }
    }

    /// Rows of the journal that an earlier process left. Called once, before anything else.
    func adoptJournal(_ batches: [MemoryBatch]) throws(Fault) {
        try exclusively {
            for batch in batches { active.add(batch, nowMs: context.environment.nowMs()) }
        }
    }
}

/// The rows of one partition, shared by the threads of a flush: each partition is one thread's.
///
/// `@unchecked Sendable`: filled by one thread, then sorted and read by the one thread that took it.
final class PartitionRefs: @unchecked Sendable {
    let start: Int64
    let length: Int64
    private var refs = GrowableBuffer<RowRef>(capacity: 256)

    init(start: Int64, length: Int64) {
        self.start = start
        self.length = length
    }

    var count: Int { refs.count }
    var buffer: UnsafeBufferPointer<RowRef> { refs.buffer }
    func append(batch: UInt32, rows: Range<Int>) {
        refs.reserve(rows.count)
        for row in rows { refs.append(RowRef(batch: batch, row: UInt32(truncatingIfNeeded: row))) }
    }
    func sort(_ batches: [RowBatch]) { RowSorter.sort(&refs, batches) }

    /// Keeps the rows for which the condition holds, in their order.
    func keep(_ condition: (Int, RowRef) -> Bool) {
        var kept = 0
        for index in 0..<refs.count where condition(index, refs.base[index]) {
            refs[kept] = refs.base[index]
            kept += 1
        }
        refs.truncate(to: kept)
    }
}

/// Splits rows of batches by partition, largest partition first.
struct PartitionSplit {
    private(set) var partitions: [PartitionRefs] = []

    init(_ columns: BatchColumns, _ partition: Partition) {
        var byStart: [Int64: PartitionRefs] = [:]
        for (number, batch) in columns.batches.enumerated() {
            var bounds: (start: Int64, length: Int64) = (.max, 0)
            var run = 0
            let times = columns.views[number].timestamp
            let count = batch.rowCount
            // Rows come in runs of one partition: each run is added at once.
            for row in 0...count {
                if row < count, times[row] >= bounds.start, times[row] - bounds.start < bounds.length { continue }
                byStart[bounds.start]?.append(batch: UInt32(number), rows: run..<row)
                guard row < count else { break }
                run = row
                bounds = partition.bounds(of: times[row])
                if byStart[bounds.start] == nil {
                    byStart[bounds.start] = PartitionRefs(start: bounds.start, length: bounds.length)
                }
            }
        }
        partitions = byStart.values.sorted { ($1.count, $0.start) < ($0.count, $1.start) }
    }
}
