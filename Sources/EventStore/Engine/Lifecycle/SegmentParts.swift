// Taking entities' parts out of segments: what the index loses, where the bytes lie, and destroying them.

import EventStoreCatalog
import EventStoreCore
import EventStoreQuery
import EventStoreSegments

/// Collects what a commit takes out of the index: whole segments, and parts of others.
struct PartRemoval {
    private(set) var dropped: [SegmentHandle] = []
    private(set) var gone: [GonePart] = []
    private(set) var entityDays: [DayCount] = []
    private(set) var typeDays: [DayCount] = []
    /// Segments that lose a part, as they are afterwards.
    private(set) var shrunk: [Int64: CatalogSegment] = [:]
    private(set) var rows = 0
    /// Rows of longer partitions that could not be read, by type.
    private struct Unread {
        var entity: UInt32
        var days: ClosedRange<Int64>
        var types: [UInt32: Int]
    }
    private var unread: [Unread] = []
    private let context: ReadContext
    private let scan: PartitionScan

    init(_ context: ReadContext) {
        self.context = context
        scan = PartitionScan(context, RowFilter(entities: nil, types: nil, times: .min ... .max, predicates: []))
        // What is lost must not keep anybody from taking the rest out.
        scan.missingIsDamage = true
    }

    var isEmpty: Bool { dropped.isEmpty && gone.isEmpty }

    /// Takes parts of one segment out; all of them drop the file.
    mutating func remove(_ parts: [SegmentEntityEntry], of handle: SegmentHandle, isAll: Bool) throws(Fault) {
        guard !parts.isEmpty else { return }
        if isAll {
            if try !countWhole(handle) { for part in parts { try count(part, handle) } }
            dropped.append(handle)
            return
        }
        for part in parts { try count(part, handle) }
        var info = handle.info
        info.level = 0
        for part in parts {
            info.rows -= part.rows
            gone.append(
                GonePart(
                    segment: info.number, entity: part.entity, rows: part.rows, ranges: places(of: part, in: handle)))
        }
        shrunk[info.number] = info
    }

    /// Where an entity's bytes lie. What of its directory cannot be read leaves the head alone: the rest is
    /// ciphertext whose key is nowhere once the entity is erased.
    private func places(of part: SegmentEntityEntry, in handle: SegmentHandle) -> [Range<Int>] {
        do throws(Fault) {
            try scan.scanner.open(try scan.reader(handle), part)
            return scan.scanner.places()
        } catch {
            return [part.headOffset..<part.headOffset + part.headLength]
        }
    }

    /// What the totals lose with a whole segment of several days; false where the catalog does not say, or where a part
    /// of it was counted before.
    private mutating func countWhole(_ handle: SegmentHandle) throws(Fault) -> Bool {
        guard handle.info.partitionMs != Limits.msPerDay else { return false }
        let found = try context.catalog.read { (reader) throws(Fault) in
            try reader.days(ofSegment: handle.info.number)
        }
        guard let days = found, days.entities.reduce(0, { $0 + $1.rows }) == handle.info.rows else { return false }
        rows += handle.info.rows
        entityDays += days.entities.map { DayCount(day: $0.day, key: $0.key, rows: -$0.rows) }
        typeDays += days.types.map { DayCount(day: $0.day, key: $0.key, rows: -$0.rows) }
        return true
    }

    /// What the totals lose. A partition of one day says it by the index; a part of a longer one by its rows' times.
    private mutating func count(_ part: SegmentEntityEntry, _ handle: SegmentHandle) throws(Fault) {
        rows += part.rows
        guard handle.info.partitionMs != Limits.msPerDay else {
            let day = Int32(truncatingIfNeeded: CivilDate.day(ms: handle.info.partitionStart))
            entityDays.append(DayCount(day: day, key: part.entity, rows: -part.rows))
            typeDays += part.types.map { DayCount(day: day, key: $0.type, rows: -$0.rows) }
            return
        }
        var missing = Dictionary(part.types.map { ($0.type, $0.rows) }) { $0 + $1 }
        for (place, rows) in try readable(part, handle) {
            let day = Int32(truncatingIfNeeded: place.day)
            entityDays.append(DayCount(day: day, key: part.entity, rows: -rows))
            typeDays.append(DayCount(day: day, key: place.type, rows: -rows))
            missing[place.type, default: 0] -= rows
        }
        missing = missing.filter { $0.value > 0 }
        if !missing.isEmpty {
            let days = CivilDate.day(ms: part.minTime)...CivilDate.day(ms: max(part.minTime, part.maxTime))
            unread.append(Unread(entity: part.entity, days: days, types: missing))
        }
    }

    /// Nothing of a part whose key was erased before its data, as with data from before an erasure.
    private func readable(_ part: SegmentEntityEntry, _ handle: SegmentHandle) throws(Fault) -> [DayRows: Int] {
        do throws(Fault) {
            return try scan.dayRows(handle, part)
        } catch {
            guard error.code == .keyErased else { throw error }
            return [:]
        }
    }

    /// Takes rows that could not be read out of the totals, once all others are: of which day they were nobody knows, so
    /// they are taken from the days of their part in order. Sums stay exact.
    mutating func settle() throws(Fault) {
        guard !unread.isEmpty else { return }
        let (byEntity, byType) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.totals(ofTypes: false), try reader.totals(ofTypes: true))
        }
        var entities = LeftOfTotals(byEntity, after: entityDays)
        var types = LeftOfTotals(byType, after: typeDays)
        for part in unread.sorted(by: { ($0.days.lowerBound, $0.entity) < ($1.days.lowerBound, $1.entity) }) {
            entityDays += entities.take(part.types.values.reduce(0, +), of: part.entity, part.days)
            for (type, rows) in part.types.sorted(by: { $0.key < $1.key }) {
                typeDays += types.take(rows, of: type, part.days)
            }
        }
        unread = []
    }

    func apply(to change: inout CatalogChange) {
        change.markUnlinking += dropped.map(\.info.number)
        change.addGone += gone
        change.entityDayDeltas += entityDays
        change.typeDayDeltas += typeDays
    }

    /// What exists afterwards.
    func apply(to published: inout Published, _ files: StoreFiles) throws(Fault) {
        let numbers = Set(dropped.map(\.info.number)).union(shrunk.keys)
        let smaller = try shrunk.values.map { (info) throws(Fault) in try SegmentHandle(info, files: files) }
        published.segments = published.segments.replacing(numbers, with: smaller)
    }

    var touched: Set<Int64> { Set(dropped.map(\.info.number)).union(shrunk.keys) }
}

/// What totals still have of an entity or a type on a day, to take from.
struct LeftOfTotals {
    private var left: [UInt32: [Int64: Int]] = [:]

    init(_ totals: [DayCount], after taken: [DayCount] = []) {
        for count in totals + taken { left[count.key, default: [:]][Int64(count.day), default: 0] += count.rows }
    }

    /// Takes rows from days in order, never more than are there.
    mutating func take(_ rows: Int, of key: UInt32, _ days: ClosedRange<Int64>) -> [DayCount] {
        var (rows, taken) = (rows, [DayCount]())
        let there = (left[key] ?? [:]).filter { $0.value > 0 && days.contains($0.key) }
        for (day, count) in there.sorted(by: { $0.key < $1.key }) where rows > 0 {
            let part = min(rows, count)
            rows -= part
            left[key]?[day] = count - part
            taken.append(DayCount(day: Int32(truncatingIfNeeded: day), key: key, rows: -part))
        }
        return taken
    }
}

/// Destroying the bytes of parts that are recorded as gone.
struct PartDestroyer {
    let context: ReadContext

    /// From this many bytes on, space goes back at once; less is overwritten and goes at the next compaction.
    static let punchBytesMin = 64 * 1024

    /// Destroys what is recorded and not yet destroyed, and returns the bytes the file system has back. Each file is
    /// synced before the catalog hears of it.
    func destroy(_ parts: [GonePart], of segments: [Int64: CatalogSegment]) throws(Fault) -> (
        freed: Int, done: [PartKey]
    ) {
        var freed = 0
        var done: [PartKey] = []
        for (number, parts) in Dictionary(grouping: parts, by: \.segment).sorted(by: { $0.key < $1.key }) {
            guard let info = segments[number] else { continue }
            freed += try destroy(parts, in: try SegmentHandle(info, files: context.files).path)
            done += parts.map { PartKey(segment: number, entity: $0.entity) }
        }
        return (freed, done)
    }

    /// Destroys parts of one file and syncs it; returns the bytes the file system has back.
    func destroy(_ parts: [GonePart], in path: String) throws(Fault) -> Int {
        let files = context.environment.files
        guard let before = try files.status(path) else { return 0 }
        let handle = try files.openForUpdate(path)
        defer { handle.close() }
        for recorded in parts.flatMap(\.ranges) {
            // What a damaged file has lost is gone already.
            let range = recorded.clamped(to: 0..<before.size)
            guard !range.isEmpty else { continue }
            if range.count >= PartDestroyer.punchBytesMin {
                try handle.punch(range)
            } else {
                try handle.writeZeros(range)
            }
        }
        try handle.sync()
        let after = try files.status(path)?.allocatedBytes ?? 0
        return max(0, before.allocatedBytes - after)
    }
}
