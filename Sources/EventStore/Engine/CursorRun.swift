// Reading events in order, in bounded memory.
//
// An ordered read goes partition by partition, and inside one in passes: a pass first gathers where the next
// rows are (times and sequences alone are decoded), at most `passRows` of them, then fetches exactly those.
// A pass starts behind the last row of the one before, so a cursor holds no more than a pass.
//
// The result is a snapshot: rows committed after the cursor was made have sequences it does not take. Each
// pass looks at the segments as they are then if a file it knew was merged away meanwhile.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments

final class CursorRun {
    private let engine: StoreEngine
    private let filter: RowFilter?
    private let order: EventOrder
    private var left: Int
    private var snapshot: Published
    private let sequenceEnd: UInt64
    private var partitions: [(start: Int64, length: Int64)] = []
    private var partitionIndex = 0
    private var after: MatchKey?
    private var stored: StoredOrderRun?
    private var isClosed = false
    private var damage: Fault?

    static let passRows = 65_536
    /// The first pass of a read without a limit is small, so that the first rows come at once.
    private static let firstPassRows = 4096
    private var passRows: Int

    init(engine: StoreEngine, filter: EventFilter, order: EventOrder, limit: Int?) throws(Fault) {
        if let limit, limit < 0 { throw Fault(.invalid, "a limit must not be negative") }
        self.engine = engine
        self.order = order
        snapshot = try engine.snapshot()
        sequenceEnd = snapshot.nextSequence
        self.filter = try engine.context.names.compile(filter)
        left = limit ?? .max
        passRows = min(left, CursorRun.firstPassRows)
        partitions = listPartitions()
        if order == .stored { stored = StoredOrderRun(engine) }
    }

    func close() {
        isClosed = true
        snapshot = Published()
        stored = nil
    }

    /// The next rows, `nil` at the end. What could not be read is passed over; the end then throws why.
    func nextBatch() throws(Fault) -> EventBatch? {
        try engine.requireOpen()
        guard !isClosed, let filter else { return nil }
        while left > 0, partitionIndex < partitions.count {
            let partition = partitions[partitionIndex]
            guard
                let part = filter.narrowed(
                    to: partition.start...(partition.start + partition.length - 1))
            else {
                partitionIndex += 1
                continue
            }
            if let batch = try next(part, partition.start) {
                left -= batch.count
                return batch
            }
            partitionIndex += 1
            after = nil
        }
        isClosed = true
        if let damage { throw damage }
        return nil
    }

    private func next(_ part: RowFilter, _ start: Int64) throws(Fault) -> EventBatch? {
        if let stored {
            return try stored.next(part, start, limit: left, sequenceEnd: sequenceEnd, damage: &damage)
        }
        return try nextPass(part, start)
    }

    /// Starts of the partitions that have rows in the filter's range, in the order of the read.
    private func listPartitions() -> [(start: Int64, length: Int64)] {
        guard let filter else { return [] }
        var lengths: [Int64: Int64] = [:]
        for handle in snapshot.segments.all where handle.times.overlaps(filter.times) {
            lengths[handle.info.partitionStart] = handle.info.partitionMs
        }
        // Row by row: one event with a wrong clock must not make a partition of each day since 1970.
        for batch in snapshot.memory where batch.times.overlaps(filter.times) {
            var bounds: (start: Int64, length: Int64) = (.max, 0)
            for time in batch.rows.timestamp.buffer
            where time < bounds.start || time - bounds.start >= bounds.length {
                bounds = engine.context.partition.bounds(of: time)
                lengths[bounds.start] = bounds.length
            }
        }
        let ascending = lengths.map { (start: $0.key, length: $0.value) }.sorted { $0.start < $1.start }
        return order == .newestFirst ? ascending.reversed() : ascending
    }

    // MARK: One pass

    private func nextPass(_ part: RowFilter, _ start: Int64) throws(Fault) -> EventBatch? {
        var attempts = 0
        while true {
            do throws(Fault) {
                let pass = PartitionPass(
                    engine.context, part, order == .newestFirst ? .descending : .ascending,
                    limit: min(passRows, left), after: after, sequenceEnd: sequenceEnd)
                pass.scan.missingIsDamage = attempts == CursorRun.attemptsMax
                try pass.gather(snapshot, start)
                passRows = CursorRun.passRows
                note(pass.damage)
                guard pass.count > 0 else { return nil }
                let last = pass.last
                let batch = try pass.fetch(NameResolver(engine.context.names))
                // Only now: a fetch that finds a file gone is done over from the gathering on.
                after = last
                note(pass.damage)
                return batch
            } catch {
                // A segment's file went away: it was merged with others since the snapshot was taken.
                guard error.code == .notFound, attempts < CursorRun.attemptsMax else { throw error }
                attempts += 1
                snapshot = try engine.snapshot()
            }
        }
    }

    /// How often a missing file is looked for anew before it counts as damage.
    static let attemptsMax = 3

    private func note(_ found: [Fault]) { damage = damage ?? found.first }
}

/// Gathers and fetches the next rows of one partition.
final class PartitionPass {
    private let context: ReadContext
    private static let fewRows = 1024
    let scan: PartitionScan
    private let collector: MatchCollector
    private let sequenceEnd: UInt64
    private var sources: [RowSource] = []

    init(
        _ context: ReadContext, _ filter: RowFilter, _ order: MatchOrder, limit: Int, after: MatchKey?,
        sequenceEnd: UInt64
    ) {
        self.context = context
        self.sequenceEnd = sequenceEnd
        scan = PartitionScan(context, filter)
        collector = MatchCollector(order: order, limit: limit, after: after)
    }

    var count: Int { collector.count }
    var damage: [Fault] { scan.damage }
    var last: MatchKey? { collector.sorted.last }

    func gather(_ snapshot: Published, _ partitionStart: Int64) throws(Fault) {
        for batch in snapshot.memory where batch.times.overlaps(scan.filter.times) {
            gather(batch.rows)
        }
        // Newest segments first (or oldest), so that a small limit is filled early and prunes the rest.
        let handles = snapshot.segments.inPartition(partitionStart)
        let isDescending = collector.order == .descending
        let ordered = handles.sorted {
            isDescending ? $0.info.maxTime > $1.info.maxTime : $0.info.minTime < $1.info.minTime
        }
        for handle in ordered { try gather(handle) }
        collector.finish()
    }

    private func gather(_ rows: RowBatch) {
        let filter = BatchFilter(rows, scan.filter)
        guard !filter.isHopeless else { return }
        let source = UInt32(sources.count)
        sources.append(.memory(rows))
        filter.forEachMatch { row in
            let sequence = rows.sequence.base[row]
            guard sequence < sequenceEnd else { return }
            collector.add(
                MatchKey(
                    major: rows.timestamp.base[row], sequence: sequence, source: source, row: UInt32(row)))
        }
    }

    private func gather(_ handle: SegmentHandle) throws(Fault) {
        guard handle.info.minSequence < sequenceEnd else { return }
        var entries = try scan.entries(handle)
        // For a few rows the newest entities come first, so that the rest is never opened; for many the file is
        // read from front to back.
        if collector.limit ?? .max <= PartitionPass.fewRows {
            let isDescending = collector.order == .descending
            entries.sort { isDescending ? $0.maxTime > $1.maxTime : $0.minTime < $1.minTime }
        }
        try scan.forEachBlock(handle, entries, times: { collector.narrow($0) }) { (block, rows) throws(Fault) in
            let times = try scan.scanner.timestamps(block.block)
            let sequences = try scan.scanner.sequences(block.block)
            let source = UInt32(sources.count)
            sources.append(.block(block))
            for row in rows where sequences[Int(row)] < sequenceEnd {
                collector.add(
                    MatchKey(major: times[Int(row)], sequence: sequences[Int(row)], source: source, row: row))
            }
        }
    }

    /// The gathered rows, in order.
    func fetch(_ names: NameResolver) throws(Fault) -> EventBatch {
        try RowFetch.fetch(collector.sorted, sources, context, scan, names)
    }
}

enum RowFetch {
    /// The rows of some keys, in the order of the keys. Each source is opened once.
    static func fetch(
        _ keys: UnsafeBufferPointer<MatchKey>, _ sources: [RowSource], _ context: ReadContext,
        _ scan: PartitionScan, _ names: NameResolver
    ) throws(Fault) -> EventBatch {
        var bySource: [UInt32: [(row: UInt32, place: Int32)]] = [:]
        for (place, key) in keys.enumerated() {
            bySource[key.source, default: []].append((key.row, Int32(place)))
        }
        let target = RowCollector()
        var landed = [Int32](repeating: -1, count: keys.count)
        let fetcher = BlockFetcher(context, scan)
        for (source, wanted) in bySource.sorted(by: { $0.key < $1.key }) {
            let wanted = wanted.sorted { $0.row < $1.row }
            let first = Int32(target.batch.rowCount)
            if try fetcher.fetch(sources[Int(source)], wanted.map(\.row), into: target) {
                for (index, item) in wanted.enumerated() { landed[Int(item.place)] = first + Int32(index) }
            }
        }
        return EventBatch(rows: target.takeBatch(), order: landed.filter { $0 >= 0 }, names: names)
    }
}

/// Materialises chosen rows of sources; keeps the last entity open, because its blocks come one after the other.
final class BlockFetcher {
    private let context: ReadContext
    private let scan: PartitionScan
    private var openSegment: Int64?
    private var openEntity: UInt32?

    init(_ context: ReadContext, _ scan: PartitionScan) {
        self.context = context
        self.scan = scan
    }

    /// False when the block turned out to be damaged.
    func fetch(_ source: RowSource, _ rows: [UInt32], into target: RowCollector) throws(Fault) -> Bool {
        switch source {
        case .memory(let batch):
            rows.withUnsafeBufferPointer { target.append(batch, rows: $0) }
            return true
        case .block(let block):
            do throws(Fault) {
                if openSegment != block.handle.info.number || openEntity != block.entry.entity {
                    openSegment = nil
                    try scan.scanner.open(try scan.reader(block.handle), block.entry)
                    openSegment = block.handle.info.number
                    openEntity = block.entry.entity
                }
                try rows.withUnsafeBufferPointer { (rows) throws(Fault) in
                    try target.append(scan.scanner, block: block.block, rows: rows)
                }
                return true
            } catch {
                openSegment = nil
                try scan.remember(error.at(file: block.handle.path, entity: block.entry.entity))
                return false
            }
        }
    }
}

/// Reads a partition as it is stored: the fastest way to all rows.
final class StoredOrderRun {
    private let engine: StoreEngine
    private var start: Int64?
    private var memory: [MemoryBatch] = []
    private var pending: [(handle: SegmentHandle, entry: SegmentEntityEntry)] = []
    private var scan: PartitionScan?
    private static let batchRows = 16_384

    init(_ engine: StoreEngine) { self.engine = engine }

    func next(
        _ filter: RowFilter, _ partitionStart: Int64, limit: Int, sequenceEnd: UInt64, damage: inout Fault?
    ) throws(Fault) -> EventBatch? {
        if start != partitionStart { try begin(filter, partitionStart) }
        guard let scan else { return nil }
        let target = RowCollector()
        while target.batch.rowCount < min(limit, StoredOrderRun.batchRows) {
            if let batch = memory.popLast() {
                collect(batch.rows, filter, sequenceEnd, target)
            } else if let item = pending.popLast() {
                try collect(item.handle, item.entry, scan, sequenceEnd, target)
            } else {
                break
            }
        }
        damage = damage ?? scan.damage.first
        let rows = target.takeBatch()
        guard rows.rowCount > 0 else { return nil }
        let count = min(rows.rowCount, limit)
        return EventBatch(rows: rows, order: Array(0..<Int32(count)), names: NameResolver(engine.context.names))
    }

    /// Opens every file of the partition at once, so that it is read as it is now whatever happens to it.
    private func begin(_ filter: RowFilter, _ partitionStart: Int64) throws(Fault) {
        start = partitionStart
        let scan = PartitionScan(engine.context, filter)
        self.scan = scan
        var attempts = 0
        while true {
            do throws(Fault) {
                let snapshot = try engine.snapshot()
                memory = snapshot.memory.filter { $0.times.overlaps(filter.times) }
                pending = []
                for handle in snapshot.segments.inPartition(partitionStart) {
                    for entry in try scan.entries(handle) { pending.append((handle, entry)) }
                    scan.readers[handle.info.number] = try openReader(handle, attempts)
                }
                pending.reverse()
                return
            } catch {
                guard error.code == .notFound, attempts < CursorRun.attemptsMax else { throw error }
                attempts += 1
            }
        }
    }

    /// `nil` after the last attempt: the scan then says that the file is missing.
    private func openReader(_ handle: SegmentHandle, _ attempts: Int) throws(Fault) -> SegmentReader? {
        do throws(Fault) {
            return try engine.context.segmentFiles.reader(handle)
        } catch {
            guard attempts == CursorRun.attemptsMax || error.code != .notFound else { throw error }
            scan?.missingIsDamage = true
            return nil
        }
    }

    private func collect(_ rows: RowBatch, _ filter: RowFilter, _ sequenceEnd: UInt64, _ target: RowCollector) {
        let matcher = BatchFilter(rows, filter)
        var chosen: [UInt32] = []
        matcher.forEachMatch { row in
            if rows.sequence.base[row] < sequenceEnd { chosen.append(UInt32(row)) }
        }
        if !chosen.isEmpty { chosen.withUnsafeBufferPointer { target.append(rows, rows: $0) } }
    }

    private func collect(
        _ handle: SegmentHandle, _ entry: SegmentEntityEntry, _ scan: PartitionScan, _ sequenceEnd: UInt64,
        _ target: RowCollector
    ) throws(Fault) {
        try scan.forEachBlock(handle, [entry], times: { $0 }) { (source, rows) throws(Fault) in
            guard handle.info.maxSequence >= sequenceEnd else {
                return try target.append(scan.scanner, block: source.block, rows: rows)
            }
            let sequences = try scan.scanner.sequences(source.block)
            let old = rows.filter { sequences[Int($0)] < sequenceEnd }
            if !old.isEmpty {
                try old.withUnsafeBufferPointer { (rows) throws(Fault) in
                    try target.append(scan.scanner, block: source.block, rows: rows)
                }
            }
        }
    }
}
