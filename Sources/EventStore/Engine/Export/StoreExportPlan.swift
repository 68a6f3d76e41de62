// What an export of format `store` is made of, partition by partition: parts of segments that are copied as they are,
// and rows that are written anew.
//
// Invariant: a partition's files are opened when its first unit is handed out, and from then on it is read as it was at
// that moment; of rows committed after the cut none is taken.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments
import Foundation

/// What one thread does at a time.
enum StoreExportUnit: Sendable {
    /// Entities of a segment all of whose rows are wanted.
    case copy(SegmentHandle, SegmentReader, [SegmentEntityEntry])
    /// Rows of one partition: of blocks that are wanted in part, and of the journal.
    case encode(PartitionKey, length: Int64, [ExportItem])

    var rowCount: Int {
        switch self {
        case .copy(_, _, let entries): entries.reduce(0) { $0 + $1.rows }
        case .encode(_, _, let items): items.reduce(0) { $0 + $1.rowCount }
        }
    }
}

/// Hands out units. `@unchecked Sendable`: everything that changes is touched with `lock` held.
final class StoreExportPlan: @unchecked Sendable {
    let sequences: Range<UInt64>
    let rowsExpected: Int
    private let engine: StoreEngine
    private let filter: RowFilter
    private let lock = NSLock()
    private var partitions: [ClosedRange<Int64>]
    private var units: [StoreExportUnit] = []

    init(_ engine: StoreEngine, _ filter: RowFilter, _ snapshot: Published, sequences: Range<UInt64>) {
        self.engine = engine
        self.filter = filter
        self.sequences = sequences
        partitions = ExportPlan.partitions(snapshot, filter, sequences, engine.context.partition).reversed()
        rowsExpected = snapshot.segments.all.reduce(
            snapshot.memory.reduce(0) { $0 + $1.rows.rowCount }
        ) { $1.times.overlaps(filter.times) && $1.info.maxSequence >= sequences.lowerBound ? $0 + $1.info.rows : $0 }
    }

    /// The next unit, `nil` at the end.
    func next() throws(Fault) -> StoreExportUnit? {
        lock.lock()
        defer { lock.unlock() }
        while units.isEmpty {
            guard let partition = partitions.popLast() else { return nil }
            units = try filter.narrowed(to: partition).map { (part) throws(Fault) in try open(part, partition) } ?? []
        }
        return units.removeLast()
    }

    private func open(_ part: RowFilter, _ partition: ClosedRange<Int64>) throws(Fault) -> [StoreExportUnit] {
        var attempts = 0
        while true {
            do throws(Fault) {
                return try open(part, partition, try engine.snapshot())
            } catch {
                // A file went away: merged with others since the snapshot was taken.
                guard error.code == .notFound else { throw error }
                guard attempts < CursorRun.attemptsMax else {
                    throw Fault(.damaged, "the segment's file is missing", at: error.place)
                }
                attempts += 1
            }
        }
    }

    private func open(
        _ part: RowFilter, _ partition: ClosedRange<Int64>, _ snapshot: Published
    ) throws(Fault) -> [StoreExportUnit] {
        let bounds = engine.context.partition.bounds(of: partition.lowerBound)
        let scan = PartitionScan(engine.context, part)
        var readers: [Int64: SegmentReader] = [:]
        var copies: [StoreExportUnit] = []
        var rest: [(handle: SegmentHandle, entries: [SegmentEntityEntry])] = []
        for handle in snapshot.segments.inPartition(bounds.start)
        where handle.info.maxSequence >= sequences.lowerBound && handle.info.minSequence < sequences.upperBound {
            let entries = try scan.entries(handle)
            guard !entries.isEmpty else { continue }
            let reader = try engine.context.segmentFiles.reader(handle)
            readers[handle.info.number] = reader
            let whole = entries.filter { isWhole($0, handle) }
            if !whole.isEmpty { copies.append(.copy(handle, reader, whole)) }
            if whole.count < entries.count {
                let others = entries.filter { !isWhole($0, handle) }.sorted { $0.headOffset < $1.headOffset }
                rest.append((handle, others))
            }
        }
        let span = ExportSpan(start: bounds.start, filter: part, readers: readers)
        var items = rest.map { handle, entries in
            ExportItem(
                span: span, rows: .segment(handle, entries, slice: ScanUnit.Slice()),
                rowCount: entries.reduce(0) { $0 + $1.rows })
        }
        let memory = snapshot.memory.filter {
            $0.times.overlaps(part.times) && $0.lastSequence >= sequences.lowerBound
                && $0.firstSequence < sequences.upperBound
        }
        if !memory.isEmpty {
            items.append(
                ExportItem(
                    span: span, rows: .memory(memory.map(\.rows)),
                    rowCount: memory.reduce(0) { $0 + $1.rows.rowCount }))
        }
        if !items.isEmpty {
            copies.append(.encode(PartitionKey(start: bounds.start, days: 0), length: bounds.length, items))
        }
        return copies
    }

    /// Whether the filter, the cut and what may be seen take all rows of an entity's part.
    private func isWhole(_ entry: SegmentEntityEntry, _ handle: SegmentHandle) -> Bool {
        filter.predicates.isEmpty && handle.floors[entry.entity] == nil && filter.times.contains(entry.minTime)
            && filter.times.contains(entry.maxTime) && entry.types.allSatisfy { filter.wants(type: $0.type) }
            && handle.info.minSequence >= sequences.lowerBound && handle.info.maxSequence < sequences.upperBound
    }
}
