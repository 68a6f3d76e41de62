// Sizes, totals and advice: what `stats` prints.

import EventStoreCore

extension StoreEngine {
    /// Below this mean, longer partitions store an entity's events more tightly.
    private static let rowsPerBlockAdvised = 20.0

    func stats() throws(Fault) -> StoreStats {
        let snapshot = try snapshot()
        var stats = StoreStats()
        stats.eventsByType = try counts(by: .type, EventFilter())
        stats.events = try counts(by: .total, EventFilter()).reduce(0) { $0 + $1.count }
        let names = context.names.counts
        stats.entities = names.entities
        stats.types = names.types
        stats.attributes = names.attributes
        stats.segments = snapshot.segments.all.count
        stats.partitions = snapshot.segments.partitionCount
        stats.unflushedEvents = snapshot.memory.reduce(0) { $0 + $1.rows.rowCount }
        stats.nextSequence = snapshot.nextSequence
        stats.partition = context.partition
        let times = snapshot.segments.all.map(\.times) + snapshot.memory.map(\.times)
        stats.firstTimestamp = times.map(\.lowerBound).min()
        stats.lastTimestamp = times.map(\.upperBound).max()
        try addSizes(&stats, snapshot)
        try addBlocks(&stats, snapshot)
        return stats
    }

    func addSizes(_ stats: inout StoreStats, _ snapshot: Published) throws(Fault) {
        let files = context.environment.files
        stats.segmentBytes = snapshot.segments.all.reduce(0) { $0 + $1.info.fileBytes }
        for name in try files.list(context.files.root) {
            let path = Path.join(context.files.root, name)
            guard let status = try files.status(path), !status.isDirectory else { continue }
            stats.bytes += status.size
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
        if stats.rowsPerBlock < StoreEngine.rowsPerBlockAdvised, context.partition != .month {
            let longer = context.partition == .day ? "week" : "month"
            stats.advice.append(
                "an entity has \(Int(stats.rowsPerBlock.rounded())) events a partition on average; a store made with "
                    + "--partition \(longer) would be smaller")
        }
    }
}
