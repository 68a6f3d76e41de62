// Rows that are in the journal, or on their way there, and not yet in a segment.

import EventStoreCore

/// A batch in the memory table and what lets a reader pass it over. Immutable.
struct MemoryBatch: Sendable {
    let rows: RowBatch
    /// Milliseconds, both inclusive; empty batches do not get here.
    let times: ClosedRange<Int64>
    let firstSequence: UInt64
    let lastSequence: UInt64
    /// 0 for a batch as it was appended; tells caches which rows of it were left out.
    let stamp: UInt64

    init(_ rows: RowBatch, stamp: UInt64 = 0) {
        self.rows = rows
        self.stamp = stamp
        var least = Int64.max
        var greatest = Int64.min
        var first = UInt64.max
        var last: UInt64 = 0
        for row in 0..<rows.rowCount {
            least = min(least, rows.timestamp.base[row])
            greatest = max(greatest, rows.timestamp.base[row])
            first = min(first, rows.sequence.base[row])
            last = max(last, rows.sequence.base[row])
        }
        times = least...max(least, greatest)
        firstSequence = first
        lastSequence = last
    }
}

/// One generation of the memory table: filled, then frozen, then flushed and dropped. Belongs to the writer
/// lane; its batches are shared with readers, its index is not.
final class MemoryTable {
    private(set) var batches: [MemoryBatch] = []
    private(set) var rowCount = 0
    private var batchBytes = 0
    var byteCount: Int { batchBytes + index.byteCount }
    private var index = RowIndex()
    /// When the first row came in, for the flush by age.
    private(set) var startedMs: Int64?

    func add(_ batch: MemoryBatch, nowMs: Int64) {
        let number = UInt32(batches.count)
        batches.append(batch)
        // Raw columns, and the index out of the class while it is filled: see BatchColumns.
        let columns = BatchColumns([batch.rows])
        var index = RowIndex(capacity: 1)
        swap(&index, &self.index)
        withExtendedLifetime(columns) {
            for row in 0..<batch.rows.rowCount {
                index.insert(RowIdentity.hash(columns.views[0], row), RowRef(batch: number, row: UInt32(row)))
            }
        }
        swap(&index, &self.index)
        rowCount += batch.rows.rowCount
        batchBytes += batch.rows.byteCount
        if startedMs == nil { startedMs = nowMs }
    }

    /// Takes out the batches added last. Costs a new index: it is for what went wrong.
    func removeLast(_ count: Int) {
        guard count > 0 else { return }
        let kept = batches.dropLast(count)
        let started = startedMs
        batches = []
        rowCount = 0
        batchBytes = 0
        index = RowIndex()
        for batch in kept { add(batch, nowMs: started ?? 0) }
        startedMs = kept.isEmpty ? nil : started
    }

    /// Takes out the rows of one entity. Costs a new index.
    func remove(entity: UInt32) {
        let kept = batches.map { $0.without(entity: entity) }
        let started = startedMs
        batches = []
        rowCount = 0
        batchBytes = 0
        index = RowIndex()
        for case let batch? in kept { add(batch, nowMs: started ?? 0) }
        startedMs = batches.isEmpty ? nil : started
    }

    /// The row with the identity of this one.
    func find(_ hash: UInt64, like rows: RowBatch, _ row: Int) -> RowRef? {
        index.find(hash) { RowIdentity.isSame(batches[Int($0.batch)].rows, Int($0.row), rows, row) }
    }
}
