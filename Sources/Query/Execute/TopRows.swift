// Rows in order: the first few by a heap, all of them by sorting.

import EventStoreCore

/// A row with what it is sorted by, and its values once they were read.
struct SortedRow {
    var keys: [SQLValue]
    /// Where it stands: also the order of rows that are equal otherwise.
    var unit: Int
    var row: Int
    var values: [SQLValue] = []

    var byteCount: Int {
        var bytes = 96 + (keys.count + values.count) * MemoryLayout<SQLValue>.stride
        for value in values { if case .text(let text) = value { bytes += text.string.utf8.count } }
        return bytes
    }
}

struct RowOrdering: Sendable {
    let terms: [OrderTerm]

    init(_ terms: [OrderTerm]) { self.terms = terms }

    /// Below, at or above zero.
    func order(_ a: [SQLValue], _ b: [SQLValue]) -> Int {
        for (index, term) in terms.enumerated() {
            let order = RowOrdering.order(a[index], b[index], term)
            if order != 0 { return order }
        }
        return 0
    }

    static func order(_ a: SQLValue, _ b: SQLValue, _ term: OrderTerm) -> Int {
        switch (a.isNull, b.isNull) {
        case (true, true): return 0
        case (true, false): return term.nullsFirst ? -1 : 1
        case (false, true): return term.nullsFirst ? 1 : -1
        case (false, false):
            let order = SQLValue.order(a, b)
            return term.isDescending ? -order : order
        }
    }

    func precedes(_ a: SortedRow, _ b: SortedRow) -> Bool {
        // Most orders are by time or count first, and most rows differ there.
        if let term = terms.first, case .integer(let first) = a.keys[0], case .integer(let second) = b.keys[0],
            first != second
        {
            return term.isDescending ? first > second : first < second
        }
        let order = order(a.keys, b.keys)
        if order != 0 { return order < 0 }
        return (a.unit, a.row) < (b.unit, b.row)
    }
}

/// The first rows of an order: a heap with the last of them on top.
final class TopRows {
    private let size: Int
    let ordering: RowOrdering
    private var heap: [SortedRow] = []
    /// Memory of the rows kept, roughly.
    private(set) var byteCount = 0

    /// Beyond this many rows everything is sorted.
    static let sizeMax = 100_000

    init(_ size: Int, _ ordering: RowOrdering) {
        self.size = size
        self.ordering = ordering
    }

    var isFull: Bool { heap.count >= size }

    /// Whether no row with this first key can get in.
    func excludes(firstKey: SQLValue) -> Bool {
        guard isFull, let worst = heap.first, let term = ordering.terms.first else { return size == 0 }
        return RowOrdering.order(firstKey, worst.keys[0], term) > 0
    }

    /// A number that the first key of a row cannot be beyond and still get in.
    struct Bound {
        var number: Int64
        var isDescending: Bool
        @inline(__always)
        func excludes(_ value: Int64) -> Bool { isDescending ? value < number : value > number }
    }

    /// The first key of the last row that could get in, of these alone: found by selection, far cheaper than a heap.
    func bound(_ keys: Dense) -> Bound? {
        guard case .integers(let values) = keys.form, keys.nulls == nil, size > 0, keys.count > 2 * size,
            let term = ordering.terms.first
        else { return nil }
        var numbers = Array(UnsafeBufferPointer(start: values, count: keys.count))
        let place = term.isDescending ? keys.count - size : size - 1
        let number = numbers.withUnsafeMutableBufferPointer { Selecting.nth($0, place, 0, keys.count - 1) }
        return Bound(number: number, isDescending: term.isDescending)
    }

    func add(_ row: SortedRow) {
        if size == 0 { return }
        if heap.count < size {
            byteCount += row.byteCount
            heap.append(row)
            siftUp(heap.count - 1)
        } else if ordering.precedes(row, heap[0]) {
            byteCount += row.byteCount - heap[0].byteCount
            heap[0] = row
            siftDown()
        }
    }

    private func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard ordering.precedes(heap[parent], heap[child]) else { return }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private func siftDown() {
        var parent = 0
        while true {
            let left = parent * 2 + 1
            guard left < heap.count else { return }
            let right = left + 1
            let later = right < heap.count && ordering.precedes(heap[left], heap[right]) ? right : left
            guard ordering.precedes(heap[parent], heap[later]) else { return }
            heap.swapAt(parent, later)
            parent = later
        }
    }

    func sorted() -> [SortedRow] { heap.sorted { ordering.precedes($0, $1) } }

    // MARK: Order in time

    /// The units in the order in which they fill the list, and whether that is by time.
    static func order(_ units: [ScanUnit], _ terms: [OrderTerm]) -> (units: [Int], isByTime: Bool) {
        guard let first = terms.first, first.expression == .fixed(.timestamp) else {
            return (Array(units.indices), false)
        }
        let sorted = units.indices.sorted { a, b in
            first.isDescending
                ? (units[a].times.upperBound, b) > (units[b].times.upperBound, a)
                : (units[a].times.lowerBound, a) < (units[b].times.lowerBound, b)
        }
        return (sorted, true)
    }

    /// Whether no row of a unit with these times can get in, nor of any later one.
    func excludes(_ times: ClosedRange<Int64>, _ terms: [OrderTerm]) -> Bool {
        guard let first = terms.first else { return false }
        return excludes(firstKey: .integer(first.isDescending ? times.upperBound : times.lowerBound))
    }
}

extension QueryWorker {
    /// Offers the matching rows of a unit.
    func addTop(_ unit: ScanUnit, _ number: Int, to top: TopRows) throws(Fault) {
        guard try filter(unit, loadsLate: false) else { return }
        var keys: [Dense] = []
        for node in orderNodes { keys.append(try node.evaluate(context)) }
        let bound = top.bound(keys[0])
        for index in 0..<context.selection.count {
            if let bound, case .integers(let values) = keys[0].form, bound.excludes(values[index]) { continue }
            let first = keys[0].value(index)
            if top.excludes(firstKey: first) { continue }
            var row = SortedRow(keys: [first], unit: number, row: context.selection.row(index))
            for key in keys.dropFirst() { row.keys.append(key.value(index)) }
            top.add(row)
        }
    }

    /// The places of the selected rows.
    func selectedRows(_ number: Int) -> [SortedRow] {
        (0..<context.selection.count).map { SortedRow(keys: [], unit: number, row: context.selection.row($0)) }
    }

    /// The selected rows with keys and values.
    func sortedRows(_ number: Int) throws(Fault) -> [SortedRow] {
        var keys: [[SQLValue]] = []
        for node in orderNodes { keys.append(try node.evaluate(context).allValues) }
        let values = try items()
        return (0..<context.selection.count).map { index in
            SortedRow(
                keys: keys.map { $0[index] }, unit: number, row: context.selection.row(index),
                values: values.map { $0[index] })
        }
    }
}

/// Reads the values of rows that were chosen by their keys.
struct Materialiser {
    private let worker: QueryWorker
    private let units: [ScanUnit]
    private let source: any ScanSource
    private let budget: Int

    /// - Parameter budget: bytes that the values may take.
    init(_ worker: QueryWorker, _ units: [ScanUnit], _ source: any ScanSource, budget: Int = .max) {
        self.worker = worker
        self.units = units
        self.source = source
        self.budget = budget
    }

    /// The items of the rows, in their order, a column each.
    func values(_ rows: [SortedRow]) throws(Fault) -> [[SQLValue]] {
        var columns = worker.itemNodes.map { _ in [SQLValue](repeating: .null, count: rows.count) }
        var byUnit: [UnitKey: (unit: ScanUnit, rows: [(row: Int, place: Int)])] = [:]
        var order: [UnitKey] = []
        for (place, row) in rows.enumerated() {
            let (unit, local) = Materialiser.smallest(units[row.unit], row.row)
            if byUnit[unit.key] == nil {
                byUnit[unit.key] = (unit, [])
                order.append(unit.key)
            }
            byUnit[unit.key]?.rows.append((local, place))
        }
        var bytes = 0
        for key in order {
            if bytes > budget { throw NativeQuery.beyond(budget, "for its rows") }
            guard let found = byUnit[key] else { continue }
            let sorted = found.rows.sorted { $0.row < $1.row }
            try worker.context.begin(found.unit, loading: worker.lateColumns)
            let chosen = worker.context.scratch.take(sorted.count, of: UInt32.self)
            for (index, item) in sorted.enumerated() { chosen[index] = UInt32(item.row) }
            worker.context.selection = Selection(rows: chosen, count: sorted.count)
            for (column, values) in try worker.items().enumerated() {
                bytes += values.approximateBytes
                for (index, item) in sorted.enumerated() { columns[column][item.place] = values[index] }
            }
        }
        if bytes > budget { throw NativeQuery.beyond(budget, "for its rows") }
        return columns
    }

    /// The entity's part of a unit that the row lies in, and the row's number there: no need to read the others'.
    private static func smallest(_ unit: ScanUnit, _ row: Int) -> (ScanUnit, Int) {
        guard case .segment(let entries, let slice) = unit.rows, slice.count == 1, entries.count > 1 else {
            return (unit, row)
        }
        var start = 0
        for entry in entries {
            if row < start + entry.rows {
                let part = ScanUnit(
                    key: .entity(segment: unit.key.segment, entry.entity),
                    rows: .segment(entries: [entry], slice: slice),
                    times: entry.minTime...entry.maxTime, rowCount: entry.rows)
                return (part, row - start)
            }
            start += entry.rows
        }
        preconditionFailure("a row of the unit")
    }
}

extension UnitKey {
    /// One entity's rows in a segment, or a slice of them.
    package static func entity(segment: Int64, _ entity: UInt32, slice: Int = 0) -> UnitKey {
        UnitKey(segment: segment, part: UInt64(entity) << 16 | UInt64(slice))
    }

    /// The n-th group of entities of a segment.
    package static func group(segment: Int64, _ number: Int) -> UnitKey {
        UnitKey(segment: segment, part: 1 << 63 | UInt64(number))
    }
}
