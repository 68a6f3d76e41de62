// The segments that exist at one moment, and the open files among them.

import EventStoreCatalog
import EventStoreCore
import EventStoreQuery
import EventStoreSegments
import Synchronization

/// A segment the catalog names. Shared by snapshots; says nothing about whether its file is open.
final class SegmentHandle: Sendable {
    let info: CatalogSegment
    let path: String
    /// The open file of a segment that was merged away while snapshots still need it.
    private let pinned: Pin
    private final class Pin: Sendable {
        let reader = Mutex<SegmentReader?>(nil)
    }
    /// Entries of all its entities, ascending by number, once somebody asked.
    private let cachedEntries: Mutex<[SegmentEntityEntry]?>
    /// Entries of single entities, as far as somebody asked; nil for entities that have none here.
    private let cachedSingles = Mutex<[UInt32: SegmentEntityEntry?]>([:])
    private static let singlesMax = 512
    /// The same as units of scans.
    let cachedUnits = Mutex<[ScanUnit]?>(nil)
    /// What was seen of it last under a visibility.
    enum Seen {
        case whole, nothing
        case part(SegmentHandle)
    }
    let cachedSeen = Mutex<(stamp: UInt64, seen: Seen)?>(nil)
    /// Whether all of the segment's rows are shown.
    let isWhole: Bool
    /// Of a handle that shows a part of a segment only: floors that cut an entity's rows.
    let floors: [UInt32: Int64]
    /// The catalog's counter of segment changes when it was last seen to name this segment.
    private let seenAt = Atomic<UInt64>(.max)

    init(info: CatalogSegment, path: String, entries: [SegmentEntityEntry]?) {
        self.info = info
        self.path = path
        pinned = Pin()
        isWhole = true
        floors = [:]
        cachedEntries = Mutex(entries)
    }

    /// A part of a segment: some of its entries, ascending by entity.
    init(part entries: [SegmentEntityEntry], of origin: SegmentHandle, floors: [UInt32: Int64]) {
        info = origin.info
        path = origin.path
        pinned = origin.pinned
        isWhole = false
        self.floors = floors
        cachedEntries = Mutex(entries)
    }

    convenience init(_ info: CatalogSegment, files: StoreFiles) throws(Fault) {
        guard info.id.count == SegmentID.byteCount, info.minTime <= info.maxTime,
            info.minSequence <= info.maxSequence, info.maxSequence < 1 << 63
        else {
            throw Fault(.damaged, "the catalog's row of a segment does not make sense", at: .init(file: files.catalog))
        }
        let id = info.id.withUnsafeBytes { SegmentID($0) }
        self.init(info: info, path: files.segment(id, partitionStart: info.partitionStart), entries: nil)
    }

    var times: ClosedRange<Int64> { info.minTime...info.maxTime }
    /// Whether the entries are in memory.
    var hasEntries: Bool { cachedEntries.withLock { $0 != nil } }

    func isFile(of reader: SegmentReader) -> Bool { info.id.withUnsafeBytes { SegmentID($0) } == reader.id }

    var pinnedReader: SegmentReader? { pinned.reader.withLock { $0 } }
    func pin(_ reader: SegmentReader) { pinned.reader.withLock { $0 = reader } }

    func saw(at segmentChanges: UInt64) { seenAt.store(segmentChanges, ordering: .relaxed) }

    /// The entries of all entities. Cost the first time: one index look-up. Throws `notFound` when another
    /// process merged the segment away, index rows and all: the caller takes a new snapshot.
    func entries(_ catalog: Catalog) throws(Fault) -> [SegmentEntityEntry] {
        if let known = cachedEntries.withLock({ $0 }) { return known }
        let number = info.number
        let rows = try catalog.read { (reader) throws(Fault) in
            try reader.segmentEntities(segment: number, entities: nil)
        }
        // Every segment has rows of some entity.
        guard !rows.isEmpty else {
            throw Fault(.notFound, "the catalog no longer names the segment", at: .init(file: path))
        }
        let entries = rows.map { SegmentEntityEntry($0) }
        cachedEntries.withLock { $0 = entries }
        return entries
    }

    /// The entries of some entities, ascending; `nil` is all.
    func entries(_ catalog: Catalog, of entities: [UInt32]?) throws(Fault) -> [SegmentEntityEntry] {
        guard let entities else { return try entries(catalog) }
        if entities.count > 16 || cachedEntries.withLock({ $0 != nil }) {
            let all = try entries(catalog)
            return entities.compactMap { SegmentHandle.find($0, in: all) }
        }
        let singles = cachedSingles.withLock { known in
            entities.allSatisfy { known[$0] != nil } ? entities.compactMap { known[$0] ?? nil } : nil
        }
        if let singles { return singles }
        let number = info.number
        let (rows, isKnown) = try catalog.read { (reader) throws(Fault) in
            let rows = try reader.segmentEntities(segment: number, entities: entities)
            // Nothing found: of a segment that has nothing of these entities, or of one that is gone.
            if !rows.isEmpty { return (rows, true) }
            return (rows, try reader.segmentsCounter() == seenAt.load(ordering: .relaxed))
        }
        if !isKnown {
            let all = try self.entries(catalog)
            return entities.compactMap { SegmentHandle.find($0, in: all) }
        }
        let found = rows.map { SegmentEntityEntry($0) }
        cachedSingles.withLock { known in
            if known.count > SegmentHandle.singlesMax { known = [:] }
            for entity in entities { known[entity] = .some(SegmentHandle.find(entity, in: found)) }
        }
        return found
    }

    func entry(_ catalog: Catalog, of entity: UInt32) throws(Fault) -> SegmentEntityEntry? {
        SegmentHandle.find(entity, in: try entries(catalog))
    }

    private static func find(_ entity: UInt32, in entries: [SegmentEntityEntry]) -> SegmentEntityEntry? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].entity < entity { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].entity == entity ? entries[low] : nil
    }
}

extension SegmentEntityEntry {
    init(_ row: CatalogSegmentEntity) {
        self.init(
            entity: row.entity, rows: row.rows, minTime: row.minTime, maxTime: row.maxTime,
            headOffset: row.headOffset, headLength: row.headLength,
            types: row.types, keyID: row.keyID)
    }
}

/// All live segments, by partition. Immutable.
final class SegmentSet: Sendable {
    /// By start of partition, then by number.
    let all: [SegmentHandle]
    private let partitions: [Int64: [SegmentHandle]]

    init(_ handles: [SegmentHandle]) {
        all = handles.sorted {
            ($0.info.partitionStart, $0.info.number) < ($1.info.partitionStart, $1.info.number)
        }
        partitions = Dictionary(grouping: all) { $0.info.partitionStart }
    }

    func inPartition(_ start: Int64) -> [SegmentHandle] { partitions[start] ?? [] }

    var partitionCount: Int { partitions.count }

    func replacing(_ numbers: Set<Int64>, with added: [SegmentHandle]) -> SegmentSet {
        SegmentSet(all.filter { !numbers.contains($0.info.number) } + added)
    }
}

/// Open segment files, the least recently used closed when there are too many.
final class SegmentFiles: Sendable {
    private struct Entry {
        var reader: SegmentReader
        var lastUse: UInt64
    }

    private struct State {
        var open: [Int64: Entry] = [:]
        var clock: UInt64 = 0
    }

    static let openMax = 256
    private let state = Mutex(State())
    private let environment: Environment

    init(_ environment: Environment) { self.environment = environment }

    /// Throws `notFound` when the file is gone: the caller looks again what the catalog says.
    func reader(_ handle: SegmentHandle) throws(Fault) -> SegmentReader {
        if let pinned = handle.pinnedReader { return pinned }
        let number = handle.info.number
        let known = state.withLock { state -> SegmentReader? in
            state.clock += 1
            state.open[number]?.lastUse = state.clock
            return state.open[number]?.reader
        }
        // A number below zero is no catalog's and may have been another unpublished segment's.
        if let known, handle.isFile(of: known) { return known }
        let file = try environment.files.openForReading(handle.path)
        let reader = try SegmentReader(file: file, path: handle.path, sequenceBase: handle.info.sequenceBase)
        guard handle.isFile(of: reader) else {
            throw Fault(.tampered, "a segment file is not the one its name says", at: .init(file: handle.path))
        }
        state.withLock { state in
            state.open[number] = Entry(reader: reader, lastUse: state.clock)
            if state.open.count > SegmentFiles.openMax { SegmentFiles.evict(&state) }
        }
        return reader
    }

    private static func evict(_ state: inout State) {
        guard let oldest = state.open.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return }
        state.open[oldest.key] = nil
    }

    func forget(_ number: Int64) { state.withLock { $0.open[number] = nil } }
    func forgetAll() { state.withLock { $0.open = [:] } }
}

/// What exists at one moment: everything a query needs, consistent by construction. A value; cheap to copy.
struct Published: Sendable {
    var segments = SegmentSet([])
    /// Oldest first.
    var memory: [MemoryBatch] = []
    /// The sequence the next row gets.
    var nextSequence: UInt64 = 1
    /// What readers may see of it.
    var visibility = Visibility.all
    /// Whether index and totals have rows that are not to be seen: `segments` leaves them out, totals do not.
    var hidesIndexed = false
}
