// Which ids the segments hold, by entity: what an append asks to know a repeat from a new event.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments

/// Identity hashes of one entity in one segment, ascending.
final class StoredIDSet {
    let hashes: [UInt64]
    var lastUse = 0
    init(_ hashes: [UInt64]) { self.hashes = hashes }
    var byteCount: Int { hashes.count * 8 + 64 }

    func contains(_ hash: UInt64) -> Bool {
        hashes.withUnsafeBufferPointer { hashes in
            var low = 0
            var high = hashes.count
            while low < high {
                let middle = (low + high) / 2
                if hashes[middle] < hash { low = middle + 1 } else { high = middle }
            }
            return low < hashes.count && hashes[low] == hash
        }
    }
}

/// The ids asked for lately, within a budget; the rest is read again when needed. Belongs to the writer lane.
///
/// A hash that is found is only a suspicion: `twin(…)` reads the event itself.
final class StoredIDs {
    private struct Key: Hashable {
        var segment: Int64
        var entity: UInt32
    }

    private let context: ReadContext
    private let scanner: BlockScanner
    private let budgetBytes: Int
    private var sets: [Key: StoredIDSet] = [:]
    private var byteCount = 0
    private var clock = 0
    private var opened: Key?

    init(_ context: ReadContext, budgetBytes: Int) {
        self.context = context
        self.budgetBytes = budgetBytes
        scanner = BlockScanner(sealer: StoreSealer(context.names))
    }

    /// Whether the segment may hold the row of this identity hash.
    func mightContain(_ handle: SegmentHandle, _ entity: UInt32, _ hash: UInt64) throws(Fault) -> Bool {
        let key = Key(segment: handle.info.number, entity: entity)
        clock += 1
        if let known = sets[key] {
            known.lastUse = clock
            return known.contains(hash)
        }
        let fresh = StoredIDSet(try hashes(handle, entity))
        fresh.lastUse = clock
        sets[key] = fresh
        byteCount += fresh.byteCount
        if byteCount > budgetBytes { evict() }
        return fresh.contains(hash)
    }

    private func hashes(_ handle: SegmentHandle, _ entity: UInt32) throws(Fault) -> [UInt64] {
        guard try open(handle, entity) else { return [] }
        var hashes: [UInt64] = []
        for block in 0..<scanner.blockCount {
            try passingDamage { () throws(Fault) in
                let rows = scanner.block(block).rows
                let ids = try scanner.ids(block)
                let times = try scanner.timestamps(block)
                for row in 0..<rows {
                    hashes.append(
                        RowIdentity.hash(entity: entity, day: CivilDate.day(ms: times[row]), id: ids[row]))
                }
            }
        }
        return hashes.sorted()
    }

    private func open(_ handle: SegmentHandle, _ entity: UInt32) throws(Fault) -> Bool {
        let key = Key(segment: handle.info.number, entity: entity)
        if opened == key { return true }
        guard let entry = try handle.entry(context.catalog, of: entity) else { return false }
        opened = nil
        try scanner.open(try context.segmentFiles.reader(handle), entry)
        opened = key
        return true
    }

    /// The stored row with the identity of a row.
    enum Twin {
        case none
        /// As a batch of one.
        case row(RowBatch)
        /// Its id is there, what it says is damaged.
        case unreadable
    }

    func twin(_ handle: SegmentHandle, like rows: RowBatch, _ row: Int) throws(Fault) -> Twin {
        let entity = rows.entityNumbers[Int(rows.entity.base[row])]
        guard try open(handle, entity) else { return .none }
        let wanted = rows.id.base[row]
        let day = CivilDate.day(ms: rows.timestamp.base[row])
        var twin = Twin.none
        for block in 0..<scanner.blockCount {
            try passingDamage { () throws(Fault) in
                let count = scanner.block(block).rows
                let ids = try scanner.ids(block)
                let times = try scanner.timestamps(block)
                let place = (0..<count).first { ids[$0] == wanted && CivilDate.day(ms: times[$0]) == day }
                guard let place else { return }
                twin = .unreadable
                twin = .row(try read(block, UInt32(place)))
            }
            if case .none = twin { continue }
            return twin
        }
        return .none
    }

    private func read(_ block: Int, _ row: UInt32) throws(Fault) -> RowBatch {
        let collector = RowCollector()
        var place = row
        try withUnsafeMutablePointer(to: &place) { (pointer) throws(Fault) in
            try collector.append(
                scanner, block: block, rows: UnsafeBufferPointer(start: UnsafePointer(pointer), count: 1))
        }
        return collector.takeBatch()
    }

    /// Damage in one block is no reason not to look into the others.
    private func passingDamage(_ body: () throws(Fault) -> Void) throws(Fault) {
        do throws(Fault) {
            try body()
        } catch {
            guard error.code == .damaged || error.code == .tampered else { throw error }
        }
    }

    private func evict() {
        let byAge = sets.sorted { $0.value.lastUse < $1.value.lastUse }
        for (key, set) in byAge {
            if byteCount <= budgetBytes / 2 { return }
            sets[key] = nil
            byteCount -= set.byteCount
        }
    }
}
