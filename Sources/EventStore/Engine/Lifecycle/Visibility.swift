// Which rows readers may see: none of an entity below its floor. What is stored and not to be seen any more is
// only there between a cut-off and the sweep that follows it, or across the floor in a partition of several days.

import EventStoreCatalog
import EventStoreCore
import EventStoreQuery
import EventStoreSegments

/// The floors of all entities at one moment. A value; arrays are shared.
struct Visibility: Sendable {
    /// By entity number; rows before it are not there for anybody. `.max` for an erased entity.
    let floors: [Int64]
    /// By entity number: whether index and totals may have rows below the floor.
    let isPending: [Bool]
    /// Stands for this content, among all of this process.
    let stamp: UInt64
    /// Greatest floor of any entity that is not erased: rows at or after it are visible.
    let greatest: Int64
    /// Greatest floor of entities whose index may have rows below it; `.min` when there are none.
    let pendingGreatest: Int64

    init(floors: [Int64], isPending: [Bool], stamp: UInt64) {
        self.floors = floors
        self.isPending = isPending
        self.stamp = stamp
        greatest = floors.lazy.filter { $0 != .max }.max() ?? .min
        pendingGreatest = zip(floors, isPending).lazy.filter(\.1).map(\.0).max() ?? .min
    }

    static let all = Visibility(floors: [], isPending: [], stamp: 0)

    @inline(__always)
    func floor(_ entity: UInt32) -> Int64 { Int(entity) < floors.count ? floors[Int(entity)] : .min }

    /// A batch of rows without those that are not to be seen; `nil` when none is left.
    func visible(_ batch: MemoryBatch) -> MemoryBatch? {
        guard batch.times.lowerBound < greatest else { return batch }
        let rows = batch.rows
        var kept: [UInt32] = []
        kept.reserveCapacity(rows.rowCount)
        for row in 0..<rows.rowCount {
            let entity = rows.entityNumbers[Int(rows.entity.base[row])]
            if rows.timestamp.base[row] >= floor(entity) { kept.append(UInt32(row)) }
        }
        if kept.count == rows.rowCount { return batch }
        return batch.keeping(kept, stamp: stamp)
    }
}

extension MemoryBatch {
    /// Some of the rows, as a batch that caches do not take for the whole one; `nil` for none.
    func keeping(_ kept: [UInt32], stamp: UInt64) -> MemoryBatch? {
        guard !kept.isEmpty else { return nil }
        let collector = RowCollector()
        kept.withUnsafeBufferPointer { collector.append(rows, rows: $0) }
        return MemoryBatch(collector.takeBatch(), stamp: Hash.mix(self.stamp, stamp))
    }

    /// Without the rows of one entity; the same batch when it has none, `nil` when nothing is left.
    func without(entity: UInt32) -> MemoryBatch? {
        guard rows.entityNumbers.contains(entity) else { return self }
        let kept = (0..<rows.rowCount).compactMap { row in
            rows.entityNumbers[Int(rows.entity.base[row])] == entity ? nil : UInt32(row)
        }
        return kept.count == rows.rowCount ? self : keeping(kept, stamp: UInt64(entity) &+ 1)
    }
}

extension Published {
    /// What of it may be seen. Reads the index of segments that reach below a floor that no sweep has reached yet.
    func seen(_ visibility: Visibility, _ catalog: Catalog) throws(Fault) -> Published {
        var copy = self
        copy.visibility = visibility
        if memory.contains(where: { $0.times.lowerBound < visibility.greatest }) {
            copy.memory = memory.compactMap { visibility.visible($0) }
        }
        guard visibility.pendingGreatest > .min else { return copy }
        var handles: [SegmentHandle] = []
        var isChanged = false
        for handle in segments.all {
            guard handle.info.minTime < visibility.pendingGreatest else {
                handles.append(handle)
                continue
            }
            let seen = try handle.seen(visibility, catalog)
            if let seen { handles.append(seen) }
            if seen !== handle { isChanged = true }
        }
        copy.hidesIndexed = isChanged
        if isChanged { copy.segments = SegmentSet(handles) }
        return copy
    }
}

extension SegmentHandle {
    /// The segment as far as it may be seen: itself, one with fewer entries, or `nil` for nothing.
    func seen(_ visibility: Visibility, _ catalog: Catalog) throws(Fault) -> SegmentHandle? {
        let seen: Seen
        if let known = cachedSeen.withLock({ $0 }), known.stamp == visibility.stamp {
            seen = known.seen
        } else {
            seen = try look(visibility, catalog)
            cachedSeen.withLock { $0 = (visibility.stamp, seen) }
        }
        switch seen {
        case .whole: return self
        case .nothing: return nil
        case .part(let handle): return handle
        }
    }

    private func look(_ visibility: Visibility, _ catalog: Catalog) throws(Fault) -> Seen {
        let all = try entries(catalog)
        let visible = all.filter { $0.maxTime >= visibility.floor($0.entity) }
        var floors: [UInt32: Int64] = [:]
        for entry in visible where entry.minTime < visibility.floor(entry.entity) {
            floors[entry.entity] = visibility.floor(entry.entity)
        }
        if visible.isEmpty { return .nothing }
        if visible.count == all.count, floors.isEmpty { return .whole }
        return .part(SegmentHandle(part: visible, of: self, floors: floors))
    }
}
