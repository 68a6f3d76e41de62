// Questions that need more memory than the store may take fail with `limit`, and say what to do.

import EventStoreCore
import EventStoreQuery
import Testing

@testable import EventStore

struct QueryBudgetTests {
    @Test(arguments: [
        "SELECT id, count(*) FROM events GROUP BY id",
        "SELECT DISTINCT id FROM events",
        "SELECT count(DISTINCT id) FROM events",
        "SELECT attributes FROM events ORDER BY n",
        "SELECT attributes FROM events ORDER BY attributes LIMIT 90000",
        "SELECT attributes, long FROM events ORDER BY n LIMIT 90000",
        "SELECT type, max(attributes || id) FROM events GROUP BY type, id",
        "SELECT sequence, last(long) FROM events GROUP BY sequence",
    ])
    func moreThanTheBudget(_ sql: String) throws {
        let folder = TestFolder()
        let store = try folder.create()
        for day in -2..<0 {
            try store.append(
                (0..<1500).map { number in
                    var event = Known.event(number, day: day)
                    event.attributes["long"] = .string("\(number)-" + String(repeating: "x", count: 200))
                    return event
                })
            try store.flush()
        }
        let query = try native(store, sql, budget: 64 << 10)
        do throws(Fault) {
            while let batch = try query.next() { _ = batch.count }
            Issue.record("it fits: \(sql)")
        } catch {
            #expect(error.code == .limit && error.message.contains("memory budget"), "\(error)")
        }
        let roomy = try native(store, sql, budget: 64 << 20)
        var count = 0
        while let batch = try roomy.next() { count += batch[0].count }
        #expect(try count == store.ask(sql).count)
        try store.close()
    }

    private func native(_ store: BlockingEventStore, _ sql: String, budget: Int) throws -> NativeQuery {
        let engine = store.store.engine
        let names = StoreNames(engine.context.names)
        guard case .native(let query) = try SQLParser.parse(sql, parameters: [:], names: names).body else {
            throw Fault(.invalid, "not native: \(sql)")
        }
        var environment = engine.queryEnvironment
        environment.memoryBudget = budget
        let source = QuerySnapshot(engine.context, try engine.snapshot(), missingIsDamage: true)
        return try NativeQuery(query, source: source, environment: environment)
    }

    /// Whatever is found, and wherever, what a stream holds ends near a part of the budget.
    @Test func aStreamHoldsPartOfTheRows() throws {
        let folder = TestFolder()
        let store = try folder.create()
        for day in -12..<0 {
            try store.append((0..<400).map { Known.event($0, day: day) })
            try store.flush()
        }
        // The first days match nothing, so that waves grow, then all matches.
        let condition = "timestamp + 0 >= \(Fixed.day - 9 * Fixed.dayMs)"
        let sql = "SELECT *, attributes || attributes || attributes FROM events WHERE \(condition)"
        let query = try native(store, sql, budget: 64 << 10)
        var count = try query.next()?[0].count ?? 0
        #expect(count > 0)
        #expect(query.counts.rowsScanned <= 2800, "scanned \(query.counts.rowsScanned) before the first row")
        while let batch = try query.next() { count += batch[0].count }
        #expect(count == 9 * 400)
        try store.close()
    }

    @Test func theCacheKeepsToItsShare() throws {
        let folder = TestFolder()
        let store = try folder.create(open: Fixed.open(budget: 32 << 20))
        for day in -8..<0 {
            try store.append((0..<2000).map { Known.event($0, day: day) })
            try store.flush()
        }
        let expected = try store.ask("SELECT path, sum(n), sum(ms) FROM events GROUP BY path ORDER BY path")
        for _ in 0..<3 {
            #expect(try store.ask("SELECT path, sum(n), sum(ms) FROM events GROUP BY path ORDER BY path") == expected)
            #expect(try store.ask("SELECT id, received, attributes FROM events").count == 16_000)
        }
        #expect(store.store.engine.context.columnCache.byteCount <= 32 << 20)
        try store.close()
    }
}
