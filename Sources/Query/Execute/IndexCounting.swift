// Counting without looking at rows: from the store's totals, or from the index of segments.

import EventStoreCore
import EventStoreSegments

/// A query of nothing but `count(*)`, by entity, type or neither, over entities, types and times.
struct IndexCounting {
    private let plan: NativePlan
    private let source: any ScanSource
    private let groups: GroupTable
    private let counter: CountAccumulator
    private let keys: [FixedColumn]
    private let known = KnownGroups()

    /// Groups by entity and type number.
    private final class KnownGroups {
        var groups: [UInt64: Int] = [:]
        /// By entity or type alone: group + 1 by number, 0 where not known yet.
        var byNumber = GrowableBuffer<Int32>()
    }

    init?(_ plan: NativePlan, _ source: any ScanSource, _ groups: GroupTable) {
        guard let grouped = plan.grouped, plan.isOfIndexOnly, groups.accumulators.count <= 1 else { return nil }
        var keys: [FixedColumn] = []
        for key in grouped.keys {
            guard key == .fixed(.entity) || key == .fixed(.type), case .column(.fixed(let column)) = key.node else {
                return nil
            }
            keys.append(column)
        }
        guard let counter = groups.accumulators.first as? CountAccumulator,
            grouped.calls.allSatisfy({ $0.kind == .count && $0.arguments.isEmpty && $0.filter == nil && !$0.isDistinct }
            )
        else { return nil }
        self.plan = plan
        self.source = source
        self.groups = groups
        self.counter = counter
        self.keys = keys
    }

    /// From the totals; false when they do not answer.
    func countFromTotals() throws(Fault) -> Bool {
        guard keys.count <= 1, !plan.scope.isEmpty else { return plan.scope.isEmpty }
        let key: TotalsKey = keys.first.map { $0 == .entity ? .entity : .type } ?? .all
        guard let counts = try source.counts(by: key, plan.scope) else { return false }
        for (value, count) in counts where count > 0 {
            counter.add(count, to: keys.isEmpty ? 0 : groups.group([value]))
        }
        return true
    }

    /// Counts a unit by the index; false when its rows must be looked at.
    func count(_ unit: ScanUnit) -> Bool {
        guard case .segment(let entries, let slice) = unit.rows, slice.count == 1, unit.since == .min,
            plan.scope.times.contains(unit.times.lowerBound), plan.scope.times.contains(unit.times.upperBound)
        else { return false }
        if keys.isEmpty, plan.scope.types == nil {
            counter.add(unit.rowCount, to: 0)
            return true
        }
        let byEntity = keys.contains(.entity)
        let byType = keys.contains(.type)
        if let index = unit.index, !byEntity || !byType && plan.scope.types == nil {
            if byEntity {
                for (place, entity) in index.entities.enumerated() {
                    counter.add(index.rows[place], to: group(alone: entity) { group(entity, 0) })
                }
            } else {
                for count in index.types where plan.scope.wants(type: count.type) {
                    counter.add(count.rows, to: group(alone: count.type) { group(0, byType ? count.type : 0) })
                }
            }
            return true
        }
        for entry in entries {
            for count in entry.types where plan.scope.wants(type: count.type) {
                counter.add(count.rows, to: group(byEntity ? entry.entity : 0, byType ? count.type : 0))
            }
        }
        return true
    }

    /// The group of one number where that is all there is to a group.
    @inline(__always)
    private func group(alone number: UInt32, _ find: () -> Int) -> Int {
        if Int(number) < known.byNumber.count, known.byNumber.base[Int(number)] > 0 {
            return Int(known.byNumber.base[Int(number)]) - 1
        }
        let group = find()
        if Int(number) >= known.byNumber.count { known.byNumber.resize(to: Int(number) + 1, filling: 0) }
        known.byNumber.base[Int(number)] = Int32(group) + 1
        return group
    }

    private func group(_ entity: UInt32, _ type: UInt32) -> Int {
        if keys.isEmpty { return 0 }
        let key = UInt64(entity) << 32 | UInt64(type)
        if let group = known.groups[key] { return group }
        let values = keys.map { column -> SQLValue in
            column == .entity ? .text(source.entityName(entity)) : .text(source.typeName(type))
        }
        let group = groups.group(values)
        known.groups[key] = group
        return group
    }
}
