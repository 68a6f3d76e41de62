// What a query says of itself: its plan, what it cost, which columns are times; parameters and the small tables.

import Testing

@testable import EventStore

struct QueryExplainTests {
    @Test func thePlanSaysWhichEngineAndWhatWasLeftOut() throws {
        let folder = TestFolder()
        let store = try Known.store(folder)
        let plan = try store.plan(
            "SELECT entity, count(*) FROM events WHERE timestamp >= \(Fixed.day - Fixed.dayMs) AND entity = 'site1' "
                + "AND n > 5 GROUP BY entity ORDER BY 2 LIMIT 3")
        #expect(plan.first?.hasPrefix("engine: native") == true)
        #expect(plan.contains { $0.contains("segments: 3, 2 outside the time range") }, "\(plan)")
        #expect(plan.contains { $0.contains("entities: 1, by the index") })
        #expect(plan.contains { $0 == "limit: 3, offset 0" })
        #expect(
            try store.plan("SELECT id FROM events WHERE entity = 'nobody'").contains {
                $0.contains("nothing can match")
            })
        #expect(try store.plan("SELECT count(*) FROM events").contains { $0.hasPrefix("counts: ") })
        #expect(
            try store.plan("SELECT id FROM events ORDER BY timestamp LIMIT 5").contains {
                $0.contains("first rows are kept")
            })
        #expect(try store.plan("SELECT id FROM events ORDER BY n").contains { $0.contains("all rows are sorted") })
        let general = try store.plan("SELECT a.id FROM events a JOIN events b ON a.n = b.n")
        #expect(general.first?.hasPrefix("engine: SQLite") == true, "\(general)")
        try store.close()
    }

    @Test func explainReadsNoEvent() throws {
        let folder = TestFolder()
        let store = try Known.store(folder)
        let cursor = try store.query("EXPLAIN SELECT n, count(*) FROM events GROUP BY n")
        _ = try cursor.rows()
        #expect(cursor.statistics.rowsScanned == 0 && cursor.statistics.bytesRead == 0)
        #expect(cursor.columns == [QueryColumn(name: "plan", isTime: false)])
        try store.close()
    }

    @Test func statisticsCountWhatWasRead() throws {
        let folder = TestFolder()
        try Known.store(folder).close()
        let store = try folder.open()
        let all = try store.statistics("SELECT sum(n) FROM events WHERE n >= 0")
        #expect(all.isNative && all.rowsScanned == 2100 && all.rowsReturned == 1)
        #expect(all.blocksRead == 3 * Known.entities && all.blocksPruned == 0 && all.bytesRead > 0)
        // The columns are in memory now.
        let again = try store.statistics("SELECT sum(n) FROM events WHERE n >= 0")
        #expect(again.rowsScanned == 2100 && again.bytesRead == 0 && again.blocksRead == 0)
        let day = try store.statistics(
            "SELECT sum(ms) FROM events WHERE timestamp >= \(Fixed.day - Fixed.dayMs) AND timestamp < \(Fixed.day)")
        #expect(day.rowsScanned == 600)
        let one = try store.statistics("SELECT max(ms) FROM events WHERE entity = 'site1' AND n > 1")
        #expect(one.rowsScanned == 3 * 100 + 300, "the journal is looked at whole")
        // No segment is read: the totals or the index know.
        let count = try store.statistics("SELECT count(*) FROM events")
        #expect(count.rowsScanned <= 300 && count.bytesRead == 0)
        #expect(try store.one("SELECT count(*) FROM events") == 2100)
        let nothing = try store.statistics("SELECT * FROM events WHERE type = 'unheard.of'")
        #expect(nothing.rowsScanned == 0 && nothing.rowsReturned == 0)
        let general = try store.query("SELECT n FROM events UNION SELECT n FROM events")
        #expect(try general.rows().count == 600)
        #expect(!general.statistics.isNative && general.statistics.rowsReturned == 600)
        try store.close()
    }

    @Test func whichColumnsAreTimes() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 10)
        func times(_ sql: String) throws -> [Bool] { try store.query(sql).columns.map(\.isTime) }
        #expect(try times("SELECT timestamp, received, sequence, n FROM events") == [true, true, false, false])
        #expect(
            try times("SELECT time_bucket('1 day', timestamp), max(timestamp), count(*) FROM events GROUP BY 1")
                == [true, true, false])
        #expect(try times("SELECT date_trunc('month', timestamp), iso(timestamp) FROM events") == [true, false])
        #expect(try times("SELECT first(timestamp), last(n), avg(timestamp) FROM events") == [true, false, false])
        #expect(try times("SELECT timestamp + 1 FROM events") == [false])
        #expect(try store.query("SELECT n AS x, ok, 1 + 1 FROM events").columns.map(\.name) == ["x", "ok", "1 + 1"])
        try store.close()
    }

    @Test func parametersAreValues() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 60)
        #expect(try store.one("SELECT count(*) FROM events WHERE entity = :who", ["who": "site2"]) == 35)
        #expect(try store.one("SELECT count(*) FROM events WHERE n = :n", ["n": .null]) == 0)
        #expect(try store.one("SELECT count(*) FROM events WHERE n IS :n", ["n": 7]) == 4)
        #expect(try store.one("SELECT count(*) FROM events WHERE n > :n", ["n": 58.5]) == 3)
        #expect(try store.one("SELECT count(*) FROM events WHERE path = :p", ["p": "/p/1' OR '1'='1"]) == 0)
        #expect(
            try store.ask("SELECT n FROM events ORDER BY sequence LIMIT :k OFFSET :o", ["k": 2, "o": 3]) == [[3], [4]])
        #expect(
            try store.one("SELECT count(*) FROM events WHERE timestamp >= :t", ["t": "2025-09-02"]) == 30,
            "a text compared with a time is one")
        #expect(code { try store.ask("SELECT :missing FROM events") } == "invalid")
        #expect(code { try store.ask("SELECT n FROM events WHERE timestamp > :t", ["t": "soon"]) } == "invalid")
        // The same in SQLite.
        #expect(
            try store.one(
                "SELECT count(*) FROM (SELECT id FROM events WHERE entity = :who)", ["who": "site2"]) == 35)
        try store.close()
    }

    @Test func theSmallTables() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 60)
        let entities = try store.ask("SELECT name, events, first, last FROM entities ORDER BY name")
        #expect(entities.count == Known.entities)
        let first = Fixed.day - 3 * Fixed.dayMs + 1000
        #expect(entities[1] == ["site1", 35, .integer(first), .integer(Fixed.day + 25_000)])
        let segments = try store.ask(
            "SELECT rows, entities, first, last, bytes > 0, length(id) FROM segments ORDER BY first")
        #expect(segments.count == 3)
        #expect(segments[0] == [60, 6, .integer(first - 1000), .integer(first + 58_000), 1, 24])
        #expect(
            try store.one(
                "SELECT sum(s.rows) + (SELECT count(*) FROM events WHERE timestamp >= \(Fixed.day)) FROM segments s")
                == 210)
        // A join of both kinds of table.
        #expect(
            try store.ask(
                "SELECT n.name, count(*) FROM entities n JOIN events e ON e.entity = n.name WHERE e.ok GROUP BY 1 ORDER BY 1"
            ).count == 3)
        try store.close()
    }
}
