// Taking entities out of a catalog whose keys are not there: their index rows, totals and names go, by what the index
// says alone. Used when a backup is restored with a keyring that is newer, or older, than it.

import EventStoreCatalog
import EventStoreCore

struct CatalogDropping {
    let reader: CatalogReader
    let partitionIsDay: Bool
    private(set) var change = CatalogChange()
    private(set) var rows: [UInt32: Int] = [:]
    /// What is left of totals that were already taken from.
    private var leftOfTypes: LeftOfTotals

    init(_ reader: CatalogReader) throws(Fault) {
        self.reader = reader
        partitionIsDay = Partition(stored: try reader.settings().partition) == .day
        leftOfTypes = LeftOfTotals(partitionIsDay ? [] : try reader.totals(ofTypes: true))
    }

    /// Makes records erased ones.
    mutating func drop(_ records: [EntityRecord], _ environment: Environment) throws(Fault) {
        let numbers = records.map(\.number).sorted()
        for segment in try reader.segments(overlapping: nil) where segment.state == CatalogSegment.live {
            let parts = try reader.segmentEntities(segment: segment.number, entities: numbers)
            guard !parts.isEmpty else { continue }
            for part in parts { try count(part, segment) }
            if parts.reduce(0, { $0 + $1.rows }) == segment.rows {
                change.markUnlinking.append(segment.number)
                continue
            }
            // Without the key nobody knows where the rest lies: it stays as ciphertext until the segment is merged.
            change.addGone += parts.map { part in
                GonePart(
                    segment: segment.number, entity: part.entity, rows: part.rows,
                    ranges: [part.headOffset..<part.headOffset + part.headLength])
            }
        }
        for record in records {
            let days = try reader.days(of: record.number, before: .max)
            change.entityDayDeltas += days.map { DayCount(day: $0.day, key: record.number, rows: -$0.rows) }
            var erased = record
            erased.state = LifeState.erased.rawValue
            erased.sealedName = []
            erased.tag = environment.random(16)
            change.updateEntities.append(erased)
        }
        change.releaseHolders = numbers
        change.forgetEntities = numbers
    }

    private mutating func count(_ part: CatalogSegmentEntity, _ segment: CatalogSegment) throws(Fault) {
        rows[part.entity, default: 0] += part.rows
        let first = Int32(truncatingIfNeeded: CivilDate.day(ms: segment.partitionStart))
        if partitionIsDay {
            change.typeDayDeltas += part.types.map { DayCount(day: first, key: $0.type, rows: -$0.rows) }
            return
        }
        // The index does not say how the rows of a type lie over the days of a longer partition: they are taken from
        // its days in order. Totals of a type stay exact, those of a day within the partition may not.
        let last = CivilDate.day(ms: segment.partitionStart + segment.partitionMs - 1)
        for type in part.types {
            change.typeDayDeltas += leftOfTypes.take(type.rows, of: type.type, Int64(first)...last)
        }
    }
}
