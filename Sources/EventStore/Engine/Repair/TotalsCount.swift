// The totals a catalog should have: rows by day and entity, and by day and type, as its segments say.

import EventStoreCatalog
import EventStoreCore
import EventStoreQuery
import EventStoreSegments

struct TotalsCount {
    private struct Key: Hashable {
        var day: Int32
        var number: UInt32
    }
    private let context: ReadContext
    private let scan: PartitionScan
    private var entities: [Key: Int] = [:]
    private var types: [Key: Int] = [:]

    init(_ context: ReadContext) {
        self.context = context
        scan = PartitionScan(context, RowFilter(entities: nil, types: nil, times: .min ... .max, predicates: []))
    }

    /// A partition of one day says it by the index; a longer one by its rows' times.
    mutating func add(_ handle: SegmentHandle) throws(Fault) {
        let parts = try handle.entries(context.catalog)
        guard handle.info.partitionMs != Limits.msPerDay else {
            let day = Int32(truncatingIfNeeded: CivilDate.day(ms: handle.info.partitionStart))
            for part in parts {
                entities[Key(day: day, number: part.entity), default: 0] += part.rows
                for type in part.types { types[Key(day: day, number: type.type), default: 0] += type.rows }
            }
            return
        }
        for part in parts {
            for (place, rows) in try scan.dayRows(handle, part) {
                let day = Int32(truncatingIfNeeded: place.day)
                entities[Key(day: day, number: place.entity), default: 0] += rows
                types[Key(day: day, number: place.type), default: 0] += rows
            }
        }
    }

    /// What the catalog's totals have to change by.
    func deltas() throws(Fault) -> (entities: [DayCount], types: [DayCount]) {
        let (byEntity, byType) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.totals(ofTypes: false), try reader.totals(ofTypes: true))
        }
        return (TotalsCount.deltas(from: byEntity, to: entities), TotalsCount.deltas(from: byType, to: types))
    }

    private static func deltas(from old: [DayCount], to new: [Key: Int]) -> [DayCount] {
        var left = new
        for row in old { left[Key(day: row.day, number: row.key), default: 0] -= row.rows }
        return left.filter { $0.value != 0 }
            .map { DayCount(day: $0.key.day, key: $0.key.number, rows: $0.value) }
            .sorted { ($0.day, $0.key) < ($1.day, $1.key) }
    }
}
