// The fleet view: every entity with what an operator wants to see of it.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments

extension StoreEngine {
    func entities() throws(Fault) -> [EntityInfo] {
        try onSnapshot { (snapshot, _) throws(Fault) in try entities(snapshot) }
    }

    private func entities(_ snapshot: Published) throws(Fault) -> [EntityInfo] {
        let now = context.environment.nowMs()
        let lives = context.names.lives
        let (records, tallies) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.entities(), try reader.tallies())
        }
        var fleet = FleetTable(now: now)
        for tally in tallies { fleet.add(tally) }
        for batch in snapshot.memory { fleet.add(batch.rows) }
        for handle in snapshot.segments.all { try fleet.add(handle, try handle.entries(context.catalog)) }
        let lastDay = try counts(by: .entity, EventFilter(since: now - Limits.msPerDay))
        let recent = Dictionary(uniqueKeysWithValues: lastDay.map { ($0.key, $0.count) })
        return records.compactMap { record -> EntityInfo? in
            guard let name = context.names.entityName(record.number) else { return nil }
            var info = fleet.info(record, name, days: lives.days(record))
            info.eventsInLastDay = recent[name] ?? 0
            return info
        }.sorted { $0.name < $1.name }
    }
}

/// Adds up what segments and memory hold of each entity.
private struct FleetTable {
    private struct Sums {
        var events = 0
        var bytes = 0.0
        var first = Int64.max
        var last = Int64.min
        var received = Int64.min
        var refused = 0
        var expired = 0
    }
    private let now: Int64
    private var sums: [UInt32: Sums] = [:]

    init(now: Int64) { self.now = now }

    mutating func add(_ tally: EntityTally) {
        var sum = sums[tally.entity] ?? Sums()
        sum.received = max(sum.received, tally.lastReceivedMs)
        sum.refused += tally.refused
        sum.expired += tally.expired
        sums[tally.entity] = sum
    }

    mutating func add(_ rows: RowBatch) {
        for row in 0..<rows.rowCount {
            let entity = rows.entityNumbers[Int(rows.entity.base[row])]
            var sum = sums[entity] ?? Sums()
            sum.events += 1
            sum.first = min(sum.first, rows.timestamp.base[row])
            sum.last = max(sum.last, rows.timestamp.base[row])
            sum.received = max(sum.received, rows.received.base[row])
            sums[entity] = sum
        }
    }

    mutating func add(_ handle: SegmentHandle, _ entries: [SegmentEntityEntry]) throws(Fault) {
        let bytesPerRow = Double(handle.info.fileBytes) / Double(max(1, handle.info.rows))
        for entry in entries {
            var sum = sums[entry.entity] ?? Sums()
            sum.events += entry.rows
            sum.bytes += Double(entry.rows) * bytesPerRow
            sum.first = min(sum.first, entry.minTime)
            sum.last = max(sum.last, entry.maxTime)
            sums[entry.entity] = sum
        }
    }

    func info(_ record: EntityRecord, _ name: String, days: Int) -> EntityInfo {
        let sum = sums[record.number] ?? Sums()
        let state: EntityInfo.State =
            switch record.life {
            case .suspended: .suspended
            case .cancelled: .cancelled
            case .active, .erasing, .erased: .active
            }
        let last = sum.events > 0 ? sum.last : nil
        let received = sum.received > .min ? sum.received : nil
        return EntityInfo(
            name: name, number: record.number, state: state, plan: record.plan, days: days > 0 ? days : nil,
            events: sum.events, bytes: Int(sum.bytes.rounded()), createdMs: record.createdMs, lastEventMs: last,
            lastReceivedMs: received, eventsInLastDay: 0, refused: sum.refused, expired: sum.expired,
            clockSkewMs: last.flatMap { last in received.map { $0 - last } },
            daysLeft: days > 0 && sum.events > 0 ? daysLeft(sum.first, days) : nil,
            eraseAtMs: record.eraseAtMs > 0 ? record.eraseAtMs : nil)
    }

    private func daysLeft(_ oldest: Int64, _ days: Int) -> Int {
        max(0, Int(CivilDate.day(ms: oldest) - CivilDate.day(ms: now)) + days + 1)
    }
}
