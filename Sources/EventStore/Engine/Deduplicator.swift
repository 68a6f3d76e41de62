// Removes from rows that are to become segments those the store has already: exact, whatever the age, and
// without a set of all ids. Rows come sorted by entity; each entity's run is merged with the ids that the
// partition's segments and the memory table hold of it.

import EventStoreCore
import EventStoreSegments

/// Rows of the memory table by identity. Built once, then read by many threads.
///
/// `@unchecked Sendable`: nothing changes after `init`.
final class MemoryLookup: @unchecked Sendable {
    private let batches: [MemoryBatch]
    private var index: RowIndex

    init(_ batches: [MemoryBatch]) {
        self.batches = batches
        index = RowIndex(capacity: batches.reduce(0) { $0 + $1.rows.rowCount } + 1)
        for (number, batch) in batches.enumerated() {
            for row in 0..<batch.rows.rowCount {
                index.insert(
                    RowIdentity.hash(batch.rows, row), RowRef(batch: UInt32(number), row: UInt32(row)))
            }
        }
    }

    func find(_ rows: RowBatch, _ row: Int) -> (rows: RowBatch, row: Int)? {
        let found = index.find(RowIdentity.hash(rows, row)) {
            RowIdentity.isSame(batches[Int($0.batch)].rows, Int($0.row), rows, row)
        }
        return found.map { (batches[Int($0.batch)].rows, Int($0.row)) }
    }
}

/// One per thread.
final class Deduplicator {
    private let context: ReadContext
    private let columns: BatchColumns
    private let batches: [RowBatch]
    private let views: UnsafeMutablePointer<ColumnView>
    private let memory: MemoryLookup?
    private let scanner: BlockScanner
    private let collector = RowCollector()
    private var index = RowIndex()
    private var places: [UInt32] = []
    /// Rows of the run that repeat an earlier one, by the place of that one. What they are (duplicate or
    /// conflict) depends on which row the store has in the end, so they are counted when that is known.
    private var repeats: [Int: [Int]] = [:]
    private(set) var duplicates = 0
    private(set) var conflicts = 0

    init(_ context: ReadContext, _ columns: BatchColumns, _ memory: MemoryLookup?) {
        self.context = context
        self.columns = columns
        batches = columns.batches
        views = columns.views
        self.memory = memory
        scanner = BlockScanner(sealer: StoreSealer(context.names))
    }

    /// Keeps of sorted rows of one partition those that are new; the order stays.
    func run(_ refs: PartitionRefs, stored: [SegmentHandle]) throws(Fault) {
        var kept = [Bool](repeating: true, count: refs.count)
        let rows = refs.buffer
        var start = 0
        while start < rows.count {
            let entity = self.entity(rows[start])
            var end = start + 1
            while end < rows.count, self.entity(rows[end]) == entity { end += 1 }
            indexRun(rows, start..<end, &kept)
            for handle in stored {
                if let entry = try handle.entry(context.catalog, of: entity) {
                    try dropStored(handle, entry, rows, &kept)
                }
            }
            if let memory { dropInMemory(memory, rows, start..<end, &kept) }
            countRepeats(rows)
            start = end
        }
        if kept.contains(false) { refs.keep { index, _ in kept[index] } }
    }

    @inline(__always)
    private func entity(_ ref: RowRef) -> UInt32 { views[Int(ref.batch)].entityNumber(Int(ref.row)) }

    private func count(_ a: RowRef, _ b: RowBatch, _ rowB: Int) {
        if RowIdentity.hasSameContent(batches[Int(a.batch)], Int(a.row), b, rowB) {
            duplicates += 1
        } else {
            conflicts += 1
        }
    }

    /// Repeats within the run: the one that came first in the input stays.
    private func indexRun(_ rows: UnsafeBufferPointer<RowRef>, _ run: Range<Int>, _ kept: inout [Bool]) {
        // Out of the class while it is filled, see BatchColumns.
        var index = RowIndex(capacity: 1)
        swap(&index, &self.index)
        defer { swap(&index, &self.index) }
        index.removeAll()
        let views = views
        for place in run {
            let ref = rows[place]
            let view = views + Int(ref.batch)
            let hash = RowIdentity.hash(view.pointee, Int(ref.row))
            let id = view.pointee.id[Int(ref.row)]
            let day = view.pointee.day(Int(ref.row))
            // The index holds places in the run: batch 0, row = place. All are of one entity.
            let twin = index.find(hash) { other in
                let known = rows[Int(other.row)]
                let candidate = views + Int(known.batch)
                return candidate.pointee.id[Int(known.row)] == id && candidate.pointee.day(Int(known.row)) == day
            }
            guard let twin else {
                index.insert(hash, RowRef(batch: 0, row: UInt32(place)))
                continue
            }
            let first = Int(twin.row)
            if sequence(ref) < sequence(rows[first]) {
                kept[first] = false
                repeats[place] = (repeats.removeValue(forKey: first) ?? []) + [first]
                index.replace(hash, { $0.row == twin.row }, with: RowRef(batch: 0, row: UInt32(place)))
            } else {
                kept[place] = false
                repeats[first, default: []].append(place)
            }
        }
    }

    /// A row is dropped because the store has it: it and its repeats are compared with what is stored.
    private func drop(
        _ place: Int, _ rows: UnsafeBufferPointer<RowRef>, _ stored: RowBatch, _ row: Int, _ kept: inout [Bool]
    ) {
        kept[place] = false
        count(rows[place], stored, row)
        for other in repeats.removeValue(forKey: place) ?? [] { count(rows[other], stored, row) }
    }

    /// Repeats of rows that stay are compared with these.
    private func countRepeats(_ rows: UnsafeBufferPointer<RowRef>) {
        for (place, others) in repeats {
            let first = rows[place]
            for other in others { count(rows[other], batches[Int(first.batch)], Int(first.row)) }
        }
        repeats.removeAll(keepingCapacity: true)
    }

    @inline(__always)
    private func sequence(_ ref: RowRef) -> UInt64 { views[Int(ref.batch)].sequence[Int(ref.row)] }

    /// Rows of the run that a segment holds. The stored ids are looked up among the new rows, not the other
    /// way round: they are read once, in order.
    private func dropStored(
        _ handle: SegmentHandle, _ entry: SegmentEntityEntry, _ rows: UnsafeBufferPointer<RowRef>,
        _ kept: inout [Bool]
    ) throws(Fault) {
        do throws(Fault) {
            try scanner.open(try context.segmentFiles.reader(handle), entry)
        } catch {
            return try passDamage(error)
        }
        for block in 0..<scanner.blockCount {
            do throws(Fault) {
                try dropStored(block, entry.entity, rows, &kept)
            } catch {
                try passDamage(error)
            }
        }
    }

    /// What cannot be read cannot be compared with; see WriterLane.mightHold. Other blocks still can.
    private func passDamage(_ fault: Fault) throws(Fault) {
        if ![.damaged, .tampered, .notFound].contains(fault.code) { throw fault }
        StoreLog.logger.warning("some events could not be compared with stored ones: \(fault)")
    }

    private func dropStored(
        _ block: Int, _ entity: UInt32, _ rows: UnsafeBufferPointer<RowRef>, _ kept: inout [Bool]
    ) throws(Fault) {
        let count = scanner.block(block).rows
        let ids = try scanner.ids(block)
        let times = try scanner.timestamps(block)
        var hits: [(stored: UInt32, place: Int)] = []
        for row in 0..<count {
            let day = CivilDate.day(ms: times[row])
            let hash = RowIdentity.hash(entity: entity, day: day, id: ids[row])
            let twin = index.find(hash) { ref in
                let known = rows[Int(ref.row)]
                let view = views + Int(known.batch)
                return view.pointee.id[Int(known.row)] == ids[row] && view.pointee.day(Int(known.row)) == day
            }
            if let twin, kept[Int(twin.row)] { hits.append((UInt32(row), Int(twin.row))) }
        }
        guard !hits.isEmpty else { return }
        for hit in hits { kept[hit.place] = false }
        places = hits.map(\.stored)
        do throws(Fault) {
            try places.withUnsafeBufferPointer { (places) throws(Fault) in
                try collector.append(scanner, block: block, rows: places)
            }
        } catch {
            // Their ids are there; whether they say the same nobody can tell any more.
            _ = collector.takeBatch()
            duplicates += hits.count
            return try passDamage(error)
        }
        let stored = collector.takeBatch()
        for (number, hit) in hits.enumerated() {
            drop(hit.place, rows, stored, number, &kept)
        }
    }

    private func dropInMemory(
        _ memory: MemoryLookup, _ rows: UnsafeBufferPointer<RowRef>, _ run: Range<Int>, _ kept: inout [Bool]
    ) {
        for place in run where kept[place] {
            let ref = rows[place]
            if let twin = memory.find(batches[Int(ref.batch)], Int(ref.row)) {
                drop(place, rows, twin.rows, twin.row, &kept)
            }
        }
    }
}
