// What an export reads, cut into items that several threads take one after the other.
//
// Invariants:
// - A span is a partition or a day. The files of a span are opened when its first item is handed out, and from then on
//   it is read as it was at that moment, whatever is merged or dropped meanwhile.
// - Items are numbered in the order of spans; of rows committed after the plan was made none is taken.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments
import Foundation

/// A part of time with what an export reads of it.
final class ExportSpan: Sendable {
    let start: Int64
    let filter: RowFilter
    let readers: [Int64: SegmentReader]

    init(start: Int64, filter: RowFilter, readers: [Int64: SegmentReader]) {
        self.start = start
        self.filter = filter
        self.readers = readers
    }
}

/// A part of a span that one thread reads.
struct ExportItem: Sendable {
    enum Rows: Sendable {
        case memory([RowBatch])
        case segment(SegmentHandle, [SegmentEntityEntry], slice: ScanUnit.Slice)
    }

    let span: ExportSpan
    let rows: Rows
    /// By the index: about how many rows it looks at.
    let rowCount: Int
    /// Its place in the order of output.
    var number = 0
    var isLastOfSpan = false
}

/// Hands out items. `@unchecked Sendable`: everything that changes is touched with `lock` held.
final class ExportPlan: @unchecked Sendable {
    /// How much an item has and what a span is.
    struct Shape {
        /// Rows of an item, about.
        var itemRows: Int
        /// Spans are UTC days, also where partitions are longer.
        var isByDay: Bool
    }

    /// Sequences that are taken: from what was asked for up to the cut.
    let sequences: Range<UInt64>
    /// Rows the items look at, all together, about.
    let rowsExpected: Int

    private let engine: StoreEngine
    private let filter: RowFilter
    private let shape: Shape
    private let lock = NSLock()
    private var spans: [(start: Int64, times: ClosedRange<Int64>)]
    private var items: [ExportItem] = []
    private var nextSpan = 0
    private var nextItem = 0
    private var handedOut = 0

    init(
        _ engine: StoreEngine, _ filter: RowFilter, _ snapshot: Published, sequences: Range<UInt64>, _ shape: Shape
    ) {
        self.engine = engine
        self.filter = filter
        self.sequences = sequences
        self.shape = shape
        let parts = ExportPlan.partitions(snapshot, filter, sequences, engine.context.partition)
        spans = parts.flatMap { shape.isByDay ? ExportPlan.days($0) : [(start: $0.lowerBound, times: $0)] }
        rowsExpected = snapshot.segments.all.reduce(
            snapshot.memory.reduce(0) { $0 + $1.rows.rowCount }
        ) { $1.times.overlaps(filter.times) && $1.info.maxSequence >= sequences.lowerBound ? $0 + $1.info.rows : $0 }
    }

    /// Partitions that may have rows, oldest first.
    static func partitions(
        _ snapshot: Published, _ filter: RowFilter, _ sequences: Range<UInt64>, _ partition: Partition
    ) -> [ClosedRange<Int64>] {
        var lengths: [Int64: Int64] = [:]
        for handle in snapshot.segments.all
        where handle.times.overlaps(filter.times) && handle.info.maxSequence >= sequences.lowerBound {
            lengths[handle.info.partitionStart] = handle.info.partitionMs
        }
        for batch in snapshot.memory where batch.times.overlaps(filter.times) {
            var bounds: (start: Int64, length: Int64) = (.max, 0)
            for time in batch.rows.timestamp.buffer
            where time < bounds.start || time - bounds.start >= bounds.length {
                bounds = partition.bounds(of: time)
                lengths[bounds.start] = bounds.length
            }
        }
        return lengths.map { $0.key...$0.key + $0.value - 1 }.sorted { $0.lowerBound < $1.lowerBound }
    }

    private static func days(_ partition: ClosedRange<Int64>) -> [(start: Int64, times: ClosedRange<Int64>)] {
        stride(from: partition.lowerBound, through: partition.upperBound, by: Int(Limits.msPerDay)).map {
            (start: $0, times: $0...$0 + Limits.msPerDay - 1)
        }
    }

    /// The next item, `nil` at the end.
    func next() throws(Fault) -> ExportItem? {
        lock.lock()
        defer { lock.unlock() }
        while nextItem == items.count {
            guard nextSpan < spans.count else { return nil }
            let (start, times) = spans[nextSpan]
            nextSpan += 1
            nextItem = 0
            items = try filter.narrowed(to: times).map { (part) throws(Fault) in try open(part, start, times) } ?? []
        }
        var item = items[nextItem]
        nextItem += 1
        item.number = handedOut
        item.isLastOfSpan = nextItem == items.count
        handedOut += 1
        return item
    }

    private func open(_ filter: RowFilter, _ start: Int64, _ times: ClosedRange<Int64>) throws(Fault) -> [ExportItem] {
        var attempts = 0
        while true {
            do throws(Fault) {
                return try open(filter, start, try engine.snapshot())
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

    private func open(_ filter: RowFilter, _ start: Int64, _ snapshot: Published) throws(Fault) -> [ExportItem] {
        let partition = engine.context.partition.bounds(of: start).start
        let scan = PartitionScan(engine.context, filter)
        var readers: [Int64: SegmentReader] = [:]
        var parts: [(handle: SegmentHandle, entries: [SegmentEntityEntry])] = []
        for handle in snapshot.segments.inPartition(partition)
        where handle.info.maxSequence >= sequences.lowerBound && handle.info.minSequence < sequences.upperBound {
            let entries = try scan.entries(handle)
            guard !entries.isEmpty else { continue }
            readers[handle.info.number] = try engine.context.segmentFiles.reader(handle)
            parts.append((handle, entries.sorted { $0.headOffset < $1.headOffset }))
        }
        let span = ExportSpan(start: start, filter: filter, readers: readers)
        var items: [ExportItem] = []
        for (handle, entries) in parts { add(handle, entries, span, &items) }
        let memory = snapshot.memory.filter {
            $0.times.overlaps(filter.times) && $0.lastSequence >= sequences.lowerBound
                && $0.firstSequence < sequences.upperBound
        }
        add(memory.map(\.rows), span, &items)
        return items
    }

    private func add(
        _ handle: SegmentHandle, _ entries: [SegmentEntityEntry], _ span: ExportSpan, _ items: inout [ExportItem]
    ) {
        var group: [SegmentEntityEntry] = []
        var rows = 0
        func close() {
            guard !group.isEmpty else { return }
            items.append(
                ExportItem(span: span, rows: .segment(handle, group, slice: ScanUnit.Slice()), rowCount: rows))
            group = []
            rows = 0
        }
        for entry in entries {
            if rows + entry.rows > shape.itemRows { close() }
            let blocks = (entry.rows + Limits.blockRowsMax - 1) / Limits.blockRowsMax
            let perItem = max(1, shape.itemRows / Limits.blockRowsMax)
            if blocks > perItem {
                close()
                var slice = ScanUnit.Slice()
                slice.count = (blocks + perItem - 1) / perItem
                for index in 0..<slice.count {
                    slice.index = index
                    items.append(
                        ExportItem(
                            span: span, rows: .segment(handle, [entry], slice: slice),
                            rowCount: entry.rows / slice.count))
                }
                continue
            }
            group.append(entry)
            rows += entry.rows
        }
        close()
    }

    private func add(_ memory: [RowBatch], _ span: ExportSpan, _ items: inout [ExportItem]) {
        var group: [RowBatch] = []
        var rows = 0
        for batch in memory {
            group.append(batch)
            rows += batch.rowCount
            guard rows >= shape.itemRows else { continue }
            items.append(ExportItem(span: span, rows: .memory(group), rowCount: rows))
            group = []
            rows = 0
        }
        if !group.isEmpty { items.append(ExportItem(span: span, rows: .memory(group), rowCount: rows)) }
    }
}
