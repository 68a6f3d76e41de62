// Counts of what was exported, by entity and UTC day, for the manifest.

import EventStoreCore

struct ExportTally {
    private struct Key: Hashable {
        var entity: UInt32
        var day: Int64
    }

    private var counts: [Key: Int] = [:]
    private(set) var events = 0

    /// Rows come in runs of one entity and day.
    mutating func add(_ rows: RowBatch) {
        var run = 0
        var last = Key(entity: 0, day: 0)
        for row in 0..<rows.rowCount {
            let key = Key(
                entity: rows.entityNumbers[Int(rows.entity.base[row])], day: CivilDate.day(ms: rows.timestamp.base[row])
            )
            if key == last {
                run += 1
                continue
            }
            if run > 0 { counts[last, default: 0] += run }
            last = key
            run = 1
        }
        if run > 0 { counts[last, default: 0] += run }
        events += rows.rowCount
    }

    mutating func add(entity: UInt32, day: Int64, rows: Int) {
        counts[Key(entity: entity, day: day), default: 0] += rows
        events += rows
    }

    mutating func merge(_ other: ExportTally) {
        counts.merge(other.counts) { $0 + $1 }
        events += other.events
    }

    func entities(_ names: NameTable) -> [ExportManifest.Entity] {
        var found: [UInt32: ExportManifest.Entity] = [:]
        for (key, count) in counts {
            var entity =
                found[key.entity] ?? .init(entity: names.entityName(key.entity) ?? "", events: 0, days: [:])
            entity.events += count
            entity.days[CivilDate(dayNumber: key.day).text] = count
            found[key.entity] = entity
        }
        return found.values.sorted { $0.entity < $1.entity }
    }
}
