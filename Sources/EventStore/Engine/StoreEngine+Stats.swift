// Sizes, totals and advice: what `stats` prints.

import EventStoreCatalog
import EventStoreCore

extension StoreEngine {
    /// Below this mean, longer partitions store an entity's events more tightly.
    private static let rowsPerBlockAdvised = 20.0

    func stats() throws(Fault) -> StoreStats {
        var stats = StoreStats()
        stats.eventsByType = try counts(by: .type, EventFilter())
        stats.events = stats.eventsByType.reduce(0) { $0 + $1.count }
        let snapshot = try snapshot()
        try addCounters(&stats)
        let names = context.names.counts
        stats.entities = names.entities
        stats.types = names.types
        stats.attributes = names.attributes
        stats.segments = snapshot.segments.all.count
        stats.partitions = snapshot.segments.partitionCount
        stats.unflushedEvents = snapshot.memory.reduce(0) { $0 + $1.rows.rowCount }
        stats.nextSequence = snapshot.nextSequence
        stats.partition = context.partition
        stats.export = context.export
        let times = snapshot.segments.all.map(\.times) + snapshot.memory.map(\.times)
        stats.firstTimestamp = times.map(\.lowerBound).min()
        stats.lastTimestamp = times.map(\.upperBound).max()
        try addSizes(&stats, snapshot)
        try addBlocks(&stats, snapshot)
        return stats
    }

    static let refusedPrefix = "refused."
    static let strippedPrefix = "stripped."
    /// What earlier releases counted under; all of it is what parsers of log lines leave out.
    private static let strippedName = "stripped"
    /// The reason of what parsers of log lines leave out.
    static let strippedFromLogLines = "log-line"

    private func addCounters(_ stats: inout StoreStats) throws(Fault) {
        let (meta, entities) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.meta(), try reader.entities())
        }
        for (name, value) in meta where name.hasPrefix(StoreEngine.refusedPrefix) {
            stats.refusedByReason[String(name.dropFirst(StoreEngine.refusedPrefix.count))] = Int(value)
        }
        for (name, value) in meta where name.hasPrefix(StoreEngine.strippedPrefix) {
            stats.strippedByReason[String(name.dropFirst(StoreEngine.strippedPrefix.count))] = Int(value)
        }
        if let earlier = meta[StoreEngine.strippedName] {
            stats.strippedByReason[StoreEngine.strippedFromLogLines, default: 0] += Int(earlier)
        }
        stats.stripped = stats.strippedByReason.values.reduce(0, +)
        stats.entitiesByPlan = Dictionary(grouping: entities) { $0.plan }
            .map { CountRow(key: $0.key, count: $0.value.count) }.sorted { $0.key < $1.key }
    }

    /// Adds to the counters that `stats` shows. One small commit.
    func count(refused: [String: Int], stripped: [String: Int], tallies: TallySet) throws(Fault) {
        guard !stripped.isEmpty || !refused.isEmpty || !tallies.isEmpty, let lane else { return }
        var change = CatalogChange()
        change.tallies = tallies.records
        for (reason, count) in refused { change.meta[StoreEngine.refusedPrefix + reason] = Int64(count) }
        for (reason, count) in stripped { change.meta[StoreEngine.strippedPrefix + reason] = Int64(count) }
        try lane.inTurn { () throws(Fault) in _ = try lane.commit(change) }
    }

    func addSizes(_ stats: inout StoreStats, _ snapshot: Published) throws(Fault) {
        let files = context.environment.files
        for handle in snapshot.segments.all {
            stats.segmentBytes += handle.info.fileBytes
            if try files.status(handle.path)?.size != handle.info.fileBytes { stats.holes += 1 }
        }
        for name in try files.list(context.files.root) {
            let path = Path.join(context.files.root, name)
            guard let status = try files.status(path), !status.isDirectory else { continue }
            // A map of the log that SQLite keeps while somebody has the catalog open.
            if name == "catalog.db-shm" { continue }
            stats.bytes += status.size
            if name == Reserve.fileName { stats.reservedBytes = status.size }
            if name.hasPrefix("catalog.db") { stats.catalogBytes += status.size }
        }
        stats.bytes += stats.segmentBytes
    }

    private func addBlocks(_ stats: inout StoreStats, _ snapshot: Published) throws(Fault) {
        var parts = 0
        var rows = 0
        // The newest partitions tell enough; the index of a large store is not read for a hint.
        for handle in snapshot.segments.all.suffix(64) {
            do throws(Fault) {
                parts += try handle.entries(context.catalog).count
                rows += handle.info.rows
            } catch {
                // Another process merged it away meanwhile.
                if error.code != .notFound { throw error }
            }
        }
        guard parts > 0 else { return }
        stats.rowsPerBlock = Double(rows) / Double(parts)
        if context.export == nil, stats.rowsPerBlock < StoreEngine.rowsPerBlockAdvised, context.partition != .month {
            let longer = context.partition == .day ? "week" : "month"
            stats.advice.append(
                "an entity has \(Int(stats.rowsPerBlock.rounded())) events a partition on average; a store made with "
                    + "--partition \(longer) would be smaller")
        }
    }
}
