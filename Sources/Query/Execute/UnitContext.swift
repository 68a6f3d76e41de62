// One unit as a worker sees it: its columns as far as they were asked for, and the rows still selected.

import EventStoreCore

/// The columns a query reads, by position.
struct QueryColumn {
    enum Source {
        case unit(UnitColumnID)
        /// The JSON of all attributes.
        case attributes
        /// A name no event has.
        case nothing
    }
    var name: ColumnName
    var source: Source
}

/// One per worker, moved from unit to unit.
final class UnitContext {
    let columns: [QueryColumn]
    let source: any ScanSource
    let loader: UnitLoader
    let scratch = Scratch()
    private(set) var unit: ScanUnit?
    private var loaded: [UnitColumn?]
    private var gathered: [Dense?]
    var selection = Selection(rows: nil, count: 0) {
        didSet { for index in gathered.indices { gathered[index] = nil } }
    }

    init(_ columns: [QueryColumn], _ source: any ScanSource, _ cache: ColumnCache) {
        self.columns = columns
        self.source = source
        loader = UnitLoader(source, cache)
        loaded = Array(repeating: nil, count: columns.count)
        gathered = Array(repeating: nil, count: columns.count)
    }

    /// Begins a unit with these columns at hand; all rows are selected.
    func begin(_ unit: ScanUnit, loading numbers: [Int]) throws(Fault) {
        scratch.reset()
        self.unit = unit
        for index in loaded.indices { loaded[index] = nil }
        try load(numbers)
        let first = loaded.first { $0 != nil } ?? nil
        var count = first?.vector.count
        if count == nil { count = try loader.columns(unit, [.entity])[0].vector.count }
        selection = Selection(rows: nil, count: count ?? 0)
        if unit.since > .min { try leaveOut(before: unit.since, unit) }
    }

    private func leaveOut(before since: Int64, _ unit: ScanUnit) throws(Fault) {
        let times = try loader.columns(unit, [.timestamp])[0].vector
        guard case .integers(let base) = times.form, times.least < since else { return }
        let kept = scratch.take(selection.count, of: UInt32.self)
        var count = 0
        for row in 0..<selection.count where base &+ Int64(bitPattern: times.element(row)) >= since {
            kept[count] = UInt32(truncatingIfNeeded: row)
            count += 1
        }
        selection = Selection(rows: kept, count: count)
    }

    /// Keeps the first of the selected rows, so many at most.
    func keepFirst(_ count: Int) {
        if count < selection.count { selection.count = max(count, 0) }
    }

    /// Makes sure that these columns are there.
    func load(_ numbers: [Int]) throws(Fault) {
        guard let unit else { return }
        var wanted: [UnitColumnID] = []
        var places: [Int] = []
        for number in numbers where loaded[number] == nil {
            if case .unit(let id) = columns[number].source {
                wanted.append(id)
                places.append(number)
            }
        }
        guard !wanted.isEmpty else { return }
        let found = try loader.columns(unit, wanted)
        for (place, column) in zip(places, found) { loaded[place] = column }
    }

    /// A column of the whole unit; `nil` for one that has no vector.
    func vector(_ number: Int) throws(Fault) -> Vector? {
        if loaded[number] == nil { try load([number]) }
        return loaded[number]?.vector
    }

    /// The selected values of a column.
    func dense(_ number: Int) throws(Fault) -> Dense {
        if let known = gathered[number] { return known }
        let values: Dense
        switch columns[number].source {
        case .unit:
            values = try vector(number)?.gather(selection, scratch) ?? Dense(.constant(.null), count: selection.count)
        case .nothing: values = Dense(.constant(.null), count: selection.count)
        case .attributes:
            guard let unit else { preconditionFailure("no unit") }
            let texts = try AttributesJSON(source).texts(unit, selection, loader)
            values = Dense(.values(texts), count: selection.count)
        }
        gathered[number] = values
        return values
    }
}
