// Visits the blocks of one partition that a filter may match: what ordered reads, counts, histograms and tails
// have in common.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments

/// A block of a segment, to find it again.
struct BlockSource: Sendable {
    let handle: SegmentHandle
    let entry: SegmentEntityEntry
    let block: Int
}

/// Where rows come from.
enum RowSource: Sendable {
    case block(BlockSource)
    case memory(RowBatch)
}

/// One per thread. Knows the damage it met: a block that cannot be read is passed over and remembered.
final class PartitionScan {
    let context: ReadContext
    let filter: RowFilter
    let scanner: BlockScanner
    private let sealer: StoreSealer
    private let matcher: BlockMatcher
    private(set) var damage: [Fault] = []
    /// Files held open for this read, by number of the segment.
    var readers: [Int64: SegmentReader] = [:]
    /// Whether a file that is not there is damage, or a reason to look again what the catalog says.
    var missingIsDamage = false

    /// From this many entities of a segment on, its hot region is read as a whole.
    private static let prefetchEntriesMin = 8

    init(_ context: ReadContext, _ filter: RowFilter) {
        self.context = context
        self.filter = filter
        sealer = StoreSealer(context.names)
        scanner = BlockScanner(sealer: sealer)
        matcher = BlockMatcher(filter)
    }

    /// The entries of a segment that the filter may match, by the index alone.
    func entries(_ handle: SegmentHandle) throws(Fault) -> [SegmentEntityEntry] {
        guard handle.times.overlaps(filter.times) else { return [] }
        let entries = try handle.entries(context.catalog, of: filter.entities)
        return entries.filter { entry in
            entry.minTime <= filter.times.upperBound && entry.maxTime >= filter.times.lowerBound
                && (filter.types == nil || entry.types.contains { filter.wants(type: $0.type) })
        }
    }

    /// Calls `body` with the matching rows of each block of the segment that has any; the scanner is at it.
    ///
    /// - Parameters:
    ///   - slice: which of an entity's blocks; all, unless it is said.
    ///   - times: asked for each entity and block: the range still wanted, `nil` to pass it over.
    func forEachBlock(
        _ handle: SegmentHandle, _ entries: [SegmentEntityEntry], slice: ScanUnit.Slice = ScanUnit.Slice(),
        times: (ClosedRange<Int64>) -> ClosedRange<Int64>?,
        _ body: (BlockSource, UnsafeBufferPointer<UInt32>) throws(Fault) -> Void
    ) throws(Fault) {
        guard !entries.isEmpty else { return }
        sealer.refresh()
        let reader: SegmentReader
        do throws(Fault) {
            reader = try self.reader(handle)
            // Only worth it when entities are visited in the order they lie in.
            let isAscending = zip(entries, entries.dropFirst()).allSatisfy { $0.headOffset < $1.headOffset }
            if entries.count >= PartitionScan.prefetchEntriesMin, isAscending { try scanner.prefetch(reader) }
        } catch {
            try remember(error.at(file: handle.path))
            return
        }
        for entry in entries {
            guard times(entry.minTime...entry.maxTime) != nil else { continue }
            do throws(Fault) {
                try scanner.open(reader, entry)
                let count = scanner.blockCount
                for block in count * slice.index / slice.count..<count * (slice.index + 1) / slice.count {
                    let info = scanner.block(block)
                    guard var narrowed = times(info.minTime...info.maxTime) else { continue }
                    if let floor = handle.floors[entry.entity] {
                        guard narrowed.upperBound >= floor else { continue }
                        narrowed = max(floor, narrowed.lowerBound)...narrowed.upperBound
                    }
                    try visit(BlockSource(handle: handle, entry: entry, block: block), narrowed, body)
                }
            } catch {
                try remember(error.at(file: handle.path, entity: entry.entity))
            }
        }
    }

    /// Rows of an entity's part by UTC day and type, as far as they can be read.
    func dayRows(_ handle: SegmentHandle, _ part: SegmentEntityEntry) throws(Fault) -> [DayRows: Int] {
        var counts: [DayRows: Int] = [:]
        try forEachBlock(handle, [part], times: { $0 }) { (source, rows) throws(Fault) in
            let times = try scanner.timestamps(source.block)
            let codes = try scanner.shapeCodes(source.block)
            let shapes = scanner.block(source.block).shapes
            for row in rows {
                let day = CivilDate.day(ms: times[Int(row)])
                let type = shapes[Int(codes[Int(row)])].type
                counts[DayRows(day: day, entity: part.entity, type: type), default: 0] += 1
            }
        }
        return counts
    }

    private func visit(
        _ source: BlockSource, _ narrowed: ClosedRange<Int64>,
        _ body: (BlockSource, UnsafeBufferPointer<UInt32>) throws(Fault) -> Void
    ) throws(Fault) {
        guard narrowed.overlaps(filter.times) else { return }
        do throws(Fault) {
            let rows = try matcher.match(scanner, block: source.block, times: narrowed.clamped(to: filter.times))
            if !rows.isEmpty { try body(source, rows) }
        } catch {
            try remember(error)
        }
    }

    func reader(_ handle: SegmentHandle) throws(Fault) -> SegmentReader {
        if let known = readers[handle.info.number] { return known }
        return try context.segmentFiles.reader(handle)
    }

    /// Damage costs what is damaged; anything else ends the read.
    func remember(_ fault: Fault) throws(Fault) {
        var fault = fault
        if fault.code == .notFound, missingIsDamage {
            fault = Fault(.damaged, "the segment's file is missing", at: fault.place)
        }
        guard fault.code == .damaged || fault.code == .tampered else { throw fault }
        damage.append(fault)
    }
}
