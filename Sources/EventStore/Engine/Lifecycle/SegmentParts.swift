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
    private let context: ReadContext
    private let scan: PartitionScan

    init(_ context: ReadContext) {
        self.context = context
        scan = PartitionScan(context, RowFilter(entities: nil, types: nil, times: .min ... .max, predicates: []))
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
        var days: [Int64: Int] = [:]
        var types: [UInt64: Int] = [:]
        try scan.forEachBlock(handle, [part], times: { $0 }) { (source, rows) throws(Fault) in
            let times = try scan.scanner.timestamps(source.block)
            let codes = try scan.scanner.shapeCodes(source.block)
            let shapes = scan.scanner.block(source.block).shapes
            for row in rows {
                let day = CivilDate.day(ms: times[Int(row)])
                days[day, default: 0] += 1
                types[
                    UInt64(UInt32(truncatingIfNeeded: day)) << 32 | UInt64(shapes[Int(codes[Int(row)])].type),
                    default: 0] += 1
            }
        }
        entityDays += days.map { DayCount(day: Int32(truncatingIfNeeded: $0.key), key: part.entity, rows: -$0.value) }
        typeDays += types.map {
            DayCount(
                day: Int32(truncatingIfNeeded: $0.key >> 32), key: UInt32(truncatingIfNeeded: $0.key), rows: -$0.value)
        }
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
        for range in parts.flatMap(\.ranges) where !range.isEmpty {
            guard range.upperBound <= before.size else {
                throw Fault(.damaged, "what is recorded as gone reaches beyond the file", at: .init(file: path))
            }
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
