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

    func start(_ engine: StoreEngine, sweeps: Bool) {
        engine.lane?.flushWanted = { [wake] in wake.signal() }
        // The thread must not keep a store alive that nobody uses any more.
        let thread = Thread { [self, weak engine] in
            var sweptDay: Int64?
            while !stopped.load(ordering: .acquiring) {
                if sweeps, let engine { sweepIfDue(engine, &sweptDay) }
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

    /// Once at the start and then at every midnight UTC.
    private func sweepIfDue(_ engine: StoreEngine, _ sweptDay: inout Int64?) {
        let day = CivilDate.day(ms: engine.context.environment.nowMs())
        guard sweptDay != day else { return }
        sweptDay = day
        do throws(Fault) {
            try engine.sweepAutomatically()
        } catch {
            if !stopped.load(ordering: .acquiring) { StoreLog.logger.error("the retention sweep stopped: \(error)") }
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
        let partitions = PartitionSplit(columns, context).partitions
        // What expired since it was appended goes no further.
        let visibility = context.names.lives.visibility(nowMs: context.environment.nowMs())
        for rows in partitions { rows.keep(visibility, columns) }
        let writing = self.writing
        let options = writing.options(highCompression: false, sequenceBase: base)
        let names = context.names
        let written = Mutex<[WrittenSegment]>([])
        do throws(Fault) {
            try Workers.run(partitions.count, threads: context.threads) { (index) throws(Fault) in
                let rows = partitions[index]
                guard rows.count > 0 else { return }
                rows.sort(batches)
                let writer = SegmentWriter(sealer: StoreSealer(names), environment: writing.environment)
                let segments = try writing.write(
                    rows, of: columns, level: 0, options: options, writer: writer)
                written.withLock { $0 += segments }
            }
            let segments = written.withLock { $0 }
            try writing.syncDirectories(segments)
            let tallies = StoreEngine.tallies(batches)
            try lane.exclusively { () throws(Fault) in
                try lane.publish(segments, sequenceBase: base, flushedBelow: end + 1, tallies: tallies)
            }
        } catch {
            lane.note(error)
            // After a commit in doubt the catalog may know the files.
            if !lane.isPoisoned { writing.discard(written.withLock { $0 }) }
            throw error
        }
    }
}

extension StoreEngine {
    /// When the entities of some rows were last heard of.
    fileprivate static func tallies(_ batches: [RowBatch]) -> [EntityTally] {
        var found: [UInt32: EntityTally] = [:]
        for rows in batches {
            for row in 0..<rows.rowCount {
                let entity = rows.entityNumbers[Int(rows.entity.base[row])]
                var tally = found[entity] ?? EntityTally(entity: entity)
                tally.lastEventMs = max(tally.lastEventMs, rows.timestamp.base[row])
                tally.lastReceivedMs = max(tally.lastReceivedMs, rows.received.base[row])
                found[entity] = tally
            }
        }
        return found.values.sorted { $0.entity < $1.entity }
    }
}

extension WriterLane {
    /// Puts written segments into the catalog and, in the same transaction, takes the journal's rows they came
    /// from out of it. With the lane held.
    func publish(
        _ segments: [WrittenSegment], sequenceBase: UInt64, flushedBelow: UInt64? = nil, nextSequence: UInt64? = nil,
        replacing: [SegmentHandle] = [], tallies: [EntityTally] = [], arrivals: [EntityArrivals] = []
    ) throws(Fault) {
        var change = CatalogChange()
        change.tallies = tallies
        change.arrivals = arrivals
        for (place, segment) in segments.enumerated() {
            if context.partition != .day {
                change.segmentDays[place] = SegmentDays(entities: segment.entityDays, types: segment.typeDays)
            }
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
        let now = context.environment.nowMs()
        change.dropBatchesBefore = now - WriterLane.batchesKeptMs
        if clock.observe(now) { change.setMeta[ClockGuard.name] = now }
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

/// What goes into segments of its own: rows of one partition whose entities keep them equally long.
struct PartitionKey: Hashable, Sendable {
    var start: Int64
    /// 0 is for ever.
    var days: Int
}

/// The rows of one partition and retention, shared by the threads of a flush: each is one thread's.
///
/// `@unchecked Sendable`: filled by one thread, then sorted and read by the one thread that took it.
final class PartitionRefs: @unchecked Sendable {
    let key: PartitionKey
    let length: Int64
    private var refs = GrowableBuffer<RowRef>(capacity: 256)

    init(_ key: PartitionKey, length: Int64) {
        self.key = key
        self.length = length
    }

    var start: Int64 { key.start }
    var days: Int { key.days }

    var count: Int { refs.count }
    var buffer: UnsafeBufferPointer<RowRef> { refs.buffer }
    func append(batch: UInt32, rows: Range<Int>) {
        refs.reserve(rows.count)
        for row in rows { refs.append(RowRef(batch: batch, row: UInt32(truncatingIfNeeded: row))) }
    }
    func sort(_ batches: [RowBatch]) { RowSorter.sort(&refs, batches) }

    /// Keeps the rows that may be seen; returns how many went.
    @discardableResult
    func keep(_ visibility: Visibility, _ columns: BatchColumns, dropped: (UInt32) -> Void = { _ in }) -> Int {
        guard start < visibility.greatest else { return 0 }
        let before = count
        let views = columns.views
        keep { _, ref in
            let view = views + Int(ref.batch)
            let entity = view.pointee.entityNumber(Int(ref.row))
            if view.pointee.timestamp[Int(ref.row)] >= visibility.floor(entity) { return true }
            dropped(entity)
            return false
        }
        return before - count
    }

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

/// Splits rows of batches by partition and retention, largest first.
struct PartitionSplit {
    private(set) var partitions: [PartitionRefs] = []

    init(_ columns: BatchColumns, _ context: ReadContext) {
        let days = context.names.lives.retentionDays()
        let common = days.first ?? 0
        let mixed = days.contains { $0 != common } ? days : []
        var byKey: [PartitionKey: PartitionRefs] = [:]
        for number in columns.batches.indices {
            PartitionSplit.split(number, columns, context.partition, common, mixed, &byKey)
        }
        partitions = byKey.values.sorted { ($1.count, $0.start, $0.days) < ($0.count, $1.start, $1.days) }
    }

    /// - Parameter mixed: retention days by entity, empty when all have `common`.
    private static func split(
        _ number: Int, _ columns: BatchColumns, _ partition: Partition, _ common: Int, _ mixed: [Int],
        _ byKey: inout [PartitionKey: PartitionRefs]
    ) {
        let view = columns.views[number]
        let count = columns.batches[number].rowCount
        var bounds: (start: Int64, length: Int64) = (.max, 0)
        var key = PartitionKey(start: .max, days: common)
        var run = 0
        // Rows come in runs of one partition: each run is added at once.
        for row in 0...count {
            if row < count {
                let time = view.timestamp[row]
                let isInside = time >= bounds.start && time - bounds.start < bounds.length
                if isInside, mixed.isEmpty || mixed[Int(view.entityNumber(row))] == key.days { continue }
            }
            byKey[key]?.append(batch: UInt32(number), rows: run..<row)
            guard row < count else { break }
            run = row
            bounds = partition.bounds(of: view.timestamp[row])
            key.start = bounds.start
            if !mixed.isEmpty { key.days = mixed[Int(view.entityNumber(row))] }
            if byKey[key] == nil { byKey[key] = PartitionRefs(key, length: bounds.length) }
        }
    }
}
