// Filters and groups over 100,000 events in a store on disk, hot, through the public API.

import Benchmark
import EventStore
import Foundation

/// A store that lasts as long as the process.
private final class Filled {
    let store: BlockingEventStore
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("micro-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let lines = folder.appendingPathComponent("events.ndjson")
        try Data(EventLines.make(count: 100_000, entities: 200)).write(to: lines)
        var options = OpenOptions()
        options.threads = 1  // Counts must not depend on how threads share the work.
        store = try BlockingEventStore.create(
            at: folder.appendingPathComponent("store").path, key: .raw([UInt8](repeating: 5, count: 32)), open: options)
        try store.importEvents(ImportRequest(sources: [lines.path]))
    }

    deinit {
        try? store.close()
        try? FileManager.default.removeItem(at: folder)
    }

    func ask(_ sql: String) throws {
        let cursor = try store.query(sql)
        var rows = 0
        while let batch = try cursor.nextBatch() { rows += batch.count }
        blackHole(rows)
    }
}

func queryBenchmarks() {
    let questions = [
        ("filter-number", "SELECT count(*) FROM events WHERE status >= 500"),
        ("filter-text", "SELECT count(*) FROM events WHERE path LIKE '%item-7%'"),
        ("filter-several", "SELECT count(*) FROM events WHERE status = 404 AND duration_ms > 400 AND logged_in = 1"),
        ("group-text", "SELECT path, count(*) AS n FROM events GROUP BY path ORDER BY n DESC LIMIT 20"),
        ("group-hour", "SELECT time_bucket('1 hour', timestamp) AS h, avg(duration_ms) FROM events GROUP BY h"),
        ("group-two", "SELECT entity, status, count(*), max(duration_ms) FROM events GROUP BY entity, status"),
    ]
    for (name, sql) in questions {
        measure(name, setUp: { try Filled() }) { try $0.ask(sql) }
    }
}
