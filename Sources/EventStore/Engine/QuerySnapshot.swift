// A snapshot as the query engine sees it: units of rows by segment and entity, names, totals.

import EventStoreCatalog
import EventStoreCore
import EventStoreQuery
import EventStoreSegments
import Synchronization

/// Of one query. Holds what it reads: segments merged away meanwhile stay open.
final class QuerySnapshot: ScanSource {
    private let context: ReadContext
    private let published: Published
    private let missingIsDamage: Bool
    private let handles: [Int64: SegmentHandle]
    /// Files opened ahead, by number of segment.
    private let held = Mutex<[Int64: SegmentReader]>([:])
    /// More files than this are not held open by one query: half of what the process may have open.
    private static let heldMax = OpenFiles.allowed / 2

    /// Rows of a unit, about: enough that what a unit costs does not matter, few enough for a core's cache.
    static let unitRows = 65_536
    /// Memory batches are scanned together up to this many rows.
    private static let memoryUnitRows = 16_384

    init(_ context: ReadContext, _ published: Published, missingIsDamage: Bool) {
        self.context = context
        self.published = published
        self.missingIsDamage = missingIsDamage
        var handles: [Int64: SegmentHandle] = [:]
        handles.reserveCapacity(published.segments.all.count)
        for handle in published.segments.all { handles[handle.info.number] = handle }
        self.handles = handles
    }

    // MARK: Units

    func plan(_ scope: ScanScope) throws(Fault) -> UnitPlan {
        var plan = UnitPlan(units: [])
        if scope.entities == nil { try readIndex(scope) }
        for handle in published.segments.all {
            plan.segments += 1
            guard handle.times.overlaps(scope.times) else {
                plan.segmentsPruned += 1
                continue
            }
            try add(handle, scope, &plan)
        }
        addMemory(scope, &plan)
        return plan
    }

    /// Brings the index of several segments into memory at once, on all cores.
    private func readIndex(_ scope: ScanScope) throws(Fault) {
        let missing = published.segments.all.filter { $0.times.overlaps(scope.times) && !$0.hasEntries }
        guard missing.count > 1 else { return }
        let catalog = context.catalog
        try Workers.run(missing.count, threads: context.threads) { (number) throws(Fault) in
            _ = try missing[number].units(catalog)
        }
    }

    private func add(_ handle: SegmentHandle, _ scope: ScanScope, _ plan: inout UnitPlan) throws(Fault) {
        // Of a segment that shows a part of its rows, each entity is a unit: their keys always mean the same rows.
        if scope.entities != nil || !handle.isWhole {
            let entries = try handle.entries(context.catalog, of: scope.entities)
            for entry in entries {
                plan.entries += 1
                guard entry.matches(scope) else {
                    plan.entriesPruned += 1
                    continue
                }
                let since = handle.floors[entry.entity] ?? .min
                QuerySnapshot.addEntity(entry, handle.info.number, since: since, &plan.units)
            }
            return
        }
        for unit in try handle.units(context.catalog) {
            guard case .segment(let entries, _) = unit.rows else { continue }
            plan.entries += entries.count
            let isWanted =
                unit.times.overlaps(scope.times)
                && (scope.types == nil || entries.contains { $0.matches(scope) })
            if isWanted { plan.units.append(unit) } else { plan.entriesPruned += entries.count }
        }
    }

    /// An entity's part of a segment as a unit, or as several.
    static func addEntity(
        _ entry: SegmentEntityEntry, _ segment: Int64, since: Int64 = .min, _ units: inout [ScanUnit]
    ) {
        let count = max(1, (entry.rows + 2 * unitRows - 1) / (2 * unitRows))
        for index in 0..<count {
            var slice = ScanUnit.Slice()
            slice.index = index
            slice.count = count
            var unit = ScanUnit(
                key: .entity(segment: segment, entry.entity, slice: index),
                rows: .segment(entries: [entry], slice: slice), times: max(since, entry.minTime)...entry.maxTime,
                rowCount: entry.rows * (index + 1) / count - entry.rows * index / count)
            unit.since = since
            units.append(unit)
        }
    }

    /// Batches in memory, several together. Which ones does not depend on the scope: a unit's key, by which its
    /// columns are cached, names its first and last sequence and must always mean the same rows.
    private func addMemory(_ scope: ScanScope, _ plan: inout UnitPlan) {
        var group: [MemoryBatch] = []
        var rows = 0
        func close() {
            guard let first = group.first, let last = group.last else { return }
            let least = group.reduce(Int64.max) { min($0, $1.times.lowerBound) }
            let greatest = group.reduce(Int64.min) { max($0, $1.times.upperBound) }
            if (least...greatest).overlaps(scope.times) {
                plan.units.append(
                    ScanUnit(
                        key: UnitKey(
                            segment: -1,
                            part: group.reduce(first.firstSequence << 32 ^ last.lastSequence) { key, batch in
                                batch.stamp == 0 ? key : Hash.mix(key, batch.stamp)
                            }),
                        rows: .memory(group.map(\.rows)), times: least...greatest, rowCount: rows))
            }
            group = []
            rows = 0
        }
        for batch in published.memory where batch.rows.rowCount > 0 {
            group.append(batch)
            rows += batch.rows.rowCount
            if rows >= QuerySnapshot.memoryUnitRows { close() }
        }
        close()
    }

    // MARK: Files

    /// Opens files ahead, so that they can be read to the end although another process removes them: for queries that
    /// hand out rows before they have read all, and can then not begin anew. `nil` is all.
    func hold(_ segments: Set<Int64>? = nil) throws(Fault) {
        let numbers = segments ?? Set(handles.keys)
        guard numbers.count <= QuerySnapshot.heldMax else { return }
        for number in numbers {
            let reader = try reader(segment: number)
            held.withLock { $0[number] = reader }
        }
    }

    func reader(segment: Int64) throws(Fault) -> SegmentReader {
        if let known = held.withLock({ $0[segment] }) { return known }
        guard let handle = handles[segment] else { preconditionFailure("a segment of the snapshot") }
        do throws(Fault) {
            return try context.segmentFiles.reader(handle)
        } catch {
            // Merged away by this process a moment ago: then it stays open.
            if let pinned = handle.pinnedReader { return pinned }
            guard error.code == .notFound, missingIsDamage else { throw error }
            throw Fault(.damaged, "the segment's file is missing", at: error.place)
        }
    }

    func makeSealer() -> any BlockSealer { StoreSealer(context.names) }

    // MARK: Names

    func entityNumber(_ name: Text) -> UInt32? { context.names.number(ofEntity: name.string) }
    func typeNumber(_ name: Text) -> UInt32? { context.names.number(ofType: name.string) }
    func attributeNumber(_ name: String) -> UInt32? { context.names.number(ofAttribute: name) }
    func entityName(_ number: UInt32) -> String { context.names.entityName(number) ?? "" }
    func withEntityNames(_ numbers: [UInt32], _ body: (UnsafeRawBufferPointer) -> Void) {
        context.names.withEntityNames(numbers, body)
    }
    func typeName(_ number: UInt32) -> String { context.names.typeName(number) ?? "" }
    func attributeName(_ number: UInt32) -> String { context.names.attributeName(number) ?? "" }

    // MARK: Totals

    /// Where the index is in memory already, adding it up is faster than asking the catalog.
    func counts(by key: TotalsKey, _ scope: ScanScope) throws(Fault) -> [(key: SQLValue, count: Int)]? {
        if published.segments.all.allSatisfy(\.hasEntries) { return nil }
        let filter = RowFilter(entities: scope.entities, types: scope.types, times: scope.times, predicates: [])
        let countKey: CountKey =
            switch key {
            case .all: .total
            case .entity: .entity
            case .type: .type
            }
        guard let rows = try StoreTotals(context).counts(by: countKey, filter, published) else { return nil }
        return rows.map { (key: .text($0.key), count: $0.count) }
    }
}

extension SegmentEntityEntry {
    func matches(_ scope: ScanScope) -> Bool {
        minTime <= scope.times.upperBound && maxTime >= scope.times.lowerBound
            && (scope.types == nil || types.contains { scope.wants(type: $0.type) })
    }
}

extension SegmentHandle {
    /// All of the segment as units, made once. Entities lie in order of place.
    func units(_ catalog: Catalog) throws(Fault) -> [ScanUnit] {
        if let known = cachedUnits.withLock({ $0 }) { return known }
        var units: [ScanUnit] = []
        var group: [SegmentEntityEntry] = []
        var rows = 0
        func close() {
            guard !group.isEmpty else { return }
            let least = group.reduce(Int64.max) { min($0, $1.minTime) }
            let greatest = group.reduce(Int64.min) { max($0, $1.maxTime) }
            units.append(
                ScanUnit(
                    key: .group(segment: info.number, units.count),
                    rows: .segment(entries: group, slice: ScanUnit.Slice()), times: least...greatest, rowCount: rows,
                    index: UnitIndex(group)))
            group = []
            rows = 0
        }
        for entry in try entries(catalog).sorted(by: { $0.headOffset < $1.headOffset }) {
            if rows + entry.rows > QuerySnapshot.unitRows { close() }
            if entry.rows > QuerySnapshot.unitRows {
                QuerySnapshot.addEntity(entry, info.number, &units)
                continue
            }
            group.append(entry)
            rows += entry.rows
        }
        close()
        cachedUnits.withLock { $0 = units }
        return units
    }
}
