// Counting: from the totals where they say it, from the index where whole blocks are covered, else from rows.

import EventStoreCatalog
import EventStoreCore
import EventStoreQuery
import EventStoreSegments

extension StoreEngine {
    func counts(by key: CountKey, _ filter: EventFilter) throws(Fault) -> [CountRow] {
        try onSnapshot { (snapshot, missingIsDamage) throws(Fault) in
            try counts(by: key, filter, snapshot, missingIsDamage)
        }
    }

    private func counts(
        by key: CountKey, _ filter: EventFilter, _ snapshot: Published, _ missingIsDamage: Bool
    ) throws(Fault) -> [CountRow] {
        guard let compiled = try context.names.compile(filter) else { return CountTable.none(key) }
        if let rows = try StoreTotals(context).counts(by: key, compiled, snapshot) { return rows }
        var table = CountTable(key)
        try scan(compiled, snapshot, missingIsDamage, &table)
        return table.rows(context.names)
    }

    // MARK: Scanning

    private func scan(
        _ filter: RowFilter, _ snapshot: Published, _ missingIsDamage: Bool, _ table: inout CountTable
    ) throws(Fault) {
        for batch in snapshot.memory where batch.times.overlaps(filter.times) { table.add(batch.rows, filter) }
        let scan = PartitionScan(context, filter)
        scan.missingIsDamage = missingIsDamage
        for handle in snapshot.segments.all where handle.times.overlaps(filter.times) {
            var opened: [SegmentEntityEntry] = []
            for entry in try scan.entries(handle) {
                if !table.addFromIndex(entry, filter, handle) { opened.append(entry) }
            }
            try scan.forEachBlock(handle, opened, times: { $0 }) { (source, rows) throws(Fault) in
                try table.add(scan.scanner, source, rows)
            }
        }
        if let fault = scan.damage.first { throw fault }
    }
}

/// Answers from the totals the catalog keeps by day.
struct StoreTotals {
    private let context: ReadContext

    init(_ context: ReadContext) { self.context = context }

    /// `nil` when the totals do not answer: part of a day, or by entity and type at once.
    func counts(by key: CountKey, _ filter: RowFilter, _ snapshot: Published) throws(Fault) -> [CountRow]? {
        guard !snapshot.hidesIndexed, let days = StoreTotals.wholeDays(filter.times), TotalsPlan.answers(key, filter)
        else { return nil }
        var table = CountTable(key)
        try addTotals(key, filter, days, snapshot, &table)
        return table.rows(context.names)
    }

    /// The UTC days a range covers exactly; `nil` when it cuts one.
    private static func wholeDays(_ times: ClosedRange<Int64>) -> ClosedRange<Int32>? {
        let first = times.lowerBound
        let startsDay = first == .min || first == CivilDate.day(ms: first) * Limits.msPerDay
        let (next, overflow) = times.upperBound.addingReportingOverflow(1)
        let endsDay = overflow || next == CivilDate.day(ms: next) * Limits.msPerDay
        guard startsDay, endsDay else { return nil }
        let firstDay = first == .min ? Int32.min : Int32(clamping: CivilDate.day(ms: first))
        let lastDay = overflow ? Int32.max : Int32(clamping: CivilDate.day(ms: times.upperBound))
        return firstDay <= lastDay ? firstDay...lastDay : nil
    }

    private func addTotals(
        _ key: CountKey, _ filter: RowFilter, _ days: ClosedRange<Int32>, _ snapshot: Published,
        _ table: inout CountTable
    ) throws(Fault) {
        let wanted = days == Int32.min...Int32.max ? nil : days
        // A flush adds to the totals and empties the journal in one transaction: rows of the memory table count
        // only if the same transaction still has them in the journal.
        let (totals, journalStart) = try context.catalog.read { (reader) throws(Fault) in
            (try TotalsPlan.read(key, filter, wanted, reader), try reader.firstJournalSequence() ?? .max)
        }
        table.counts = totals
        for batch in snapshot.memory where batch.times.overlaps(filter.times) {
            if batch.firstSequence >= journalStart { table.add(batch.rows, filter) }
        }
    }
}

/// Which questions the totals answer.
private enum TotalsPlan {
    static func answers(_ key: CountKey, _ filter: RowFilter) -> Bool {
        guard filter.predicates.isEmpty else { return false }
        switch key {
        case .total: return filter.entities == nil || filter.types == nil
        case .entity: return filter.types == nil
        case .type: return filter.entities == nil
        case .day: return filter.entities == nil && filter.types == nil
        }
    }

    static func read(
        _ key: CountKey, _ filter: RowFilter, _ days: ClosedRange<Int32>?, _ reader: CatalogReader
    ) throws(Fault) -> [Int64: Int] {
        switch key {
        case .day:
            return Dictionary(uniqueKeysWithValues: try reader.rowsByDay(days: days).map { (Int64($0.key), $0.value) })
        case .entity:
            let all = try reader.rowsByEntity(days: days).filter { filter.wants(entity: $0.key) }
            return Dictionary(uniqueKeysWithValues: all.map { (Int64($0.key), $0.value) })
        case .type:
            let all = try reader.rowsByType(days: days).filter { filter.wants(type: $0.key) }
            return Dictionary(uniqueKeysWithValues: all.map { (Int64($0.key), $0.value) })
        case .total:
            let byEntity = filter.entities != nil
            let counts = byEntity ? try reader.rowsByEntity(days: days) : try reader.rowsByType(days: days)
            return [
                0: counts.reduce(0) { sum, item in
                    let isWanted = byEntity ? filter.wants(entity: item.key) : filter.wants(type: item.key)
                    return isWanted ? sum + item.value : sum
                }
            ]
        }
    }
}

/// Counts by number: of entity, type or day; 0 for the total.
private struct CountTable {
    let key: CountKey
    var counts: [Int64: Int] = [:]

    init(_ key: CountKey) { self.key = key }

    static func none(_ key: CountKey) -> [CountRow] { key == .total ? [CountRow(key: "", count: 0)] : [] }

    mutating func add(_ rows: RowBatch, _ filter: RowFilter) {
        var found: [Int64: Int] = [:]
        let key = key
        BatchFilter(rows, filter).forEachMatch { row in
            let number: Int64 =
                switch key {
                case .total: 0
                case .entity: Int64(rows.entityNumbers[Int(rows.entity.base[row])])
                case .type: Int64(rows.typeNumbers[Int(rows.shapes[Int(rows.shape.base[row])].type)])
                case .day: CivilDate.day(ms: rows.timestamp.base[row])
                }
            found[number, default: 0] += 1
        }
        counts.merge(found) { $0 + $1 }
    }

    /// Counts an entity's part of a segment by its index entry alone when that says enough.
    mutating func addFromIndex(_ entry: SegmentEntityEntry, _ filter: RowFilter, _ handle: SegmentHandle) -> Bool {
        guard filter.predicates.isEmpty, handle.floors[entry.entity] == nil, filter.times.lowerBound <= entry.minTime,
            filter.times.upperBound >= entry.maxTime
        else { return false }
        if key == .day, handle.info.partitionMs != Limits.msPerDay { return false }
        for count in entry.types where filter.wants(type: count.type) {
            let number: Int64 =
                switch key {
                case .total: 0
                case .entity: Int64(entry.entity)
                case .type: Int64(count.type)
                case .day: CivilDate.day(ms: handle.info.partitionStart)
                }
            counts[number, default: 0] += count.rows
        }
        return true
    }

    mutating func add(
        _ scanner: BlockScanner, _ source: BlockSource, _ rows: UnsafeBufferPointer<UInt32>
    ) throws(Fault) {
        switch key {
        case .total: counts[0, default: 0] += rows.count
        case .entity: counts[Int64(source.entry.entity), default: 0] += rows.count
        case .type:
            let codes = try scanner.shapeCodes(source.block)
            let shapes = scanner.block(source.block).shapes
            for row in rows { counts[Int64(shapes[Int(codes[Int(row)])].type), default: 0] += 1 }
        case .day:
            let times = try scanner.timestamps(source.block)
            for row in rows { counts[CivilDate.day(ms: times[Int(row)]), default: 0] += 1 }
        }
    }

    /// Named; largest first, days in order.
    func rows(_ names: NameTable) -> [CountRow] {
        let named: [CountRow]
        switch key {
        case .total: return [CountRow(key: "", count: counts.values.reduce(0, +))]
        case .day:
            return counts.filter { $0.value > 0 }.sorted { $0.key < $1.key }
                .map { CountRow(key: CivilDate(dayNumber: $0.key).text, count: $0.value) }
        case .entity:
            named = counts.map { CountRow(key: names.entityName(UInt32($0.key)) ?? "", count: $0.value) }
        case .type:
            named = counts.map { CountRow(key: names.typeName(UInt32($0.key)) ?? "", count: $0.value) }
        }
        return named.filter { $0.count > 0 && !$0.key.isEmpty }.sorted { ($1.count, $0.key) < ($0.count, $1.key) }
    }
}
