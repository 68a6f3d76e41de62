// The Swift builder makes the trees that SQL makes, and refuses what SQL refuses.

import EventStoreCore
import EventStoreQuery
import Testing

@testable import EventStore

import struct Foundation.Date

struct EventQueryTests {
    struct Names: NameCatalog {
        static let all = ["status", "duration_ms", "req.method", "type", "path", "a", "b"]
        func hasAttribute(_ name: String) -> Bool { Names.all.contains(name) }
        func attributeNames() -> [String] { Names.all }
    }

    private func expect(
        _ query: EventQuery, _ sql: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        guard case .native(let expected) = try SQLParser.parse(sql, parameters: [:], names: Names()).body else {
            Issue.record("not native: \(sql)", sourceLocation: sourceLocation)
            return
        }
        let built = try query.selectQuery(names: Names())
        #expect(built == expected, sourceLocation: sourceLocation)
    }

    private func message(_ query: EventQuery) -> String {
        do {
            _ = try query.selectQuery(names: Names())
            return ""
        } catch {
            return error.message
        }
    }

    @Test func theExample() throws {
        let query =
            EventQuery
            .select(.entity, .count().as("n"), .quantile(.attribute("duration_ms"), 0.95).as("p95"))
            .where(.type == "http.request" && .attribute("status") >= 500)
            .since(1_795_392_000_000)
            .groupBy(.entity)
            .orderBy(.column("n"), .descending)
            .limit(10)
        try expect(
            query,
            """
            SELECT entity, count(*) AS n, quantile(duration_ms, 0.95) AS p95 FROM events
            WHERE (type = 'http.request' AND status >= 500) AND timestamp >= '2026-11-23'
            GROUP BY entity ORDER BY n DESC LIMIT 10
            """)
    }

    @Test func operatorsAndFunctions() throws {
        let a = QueryExpression.attribute("a")
        let b = QueryExpression.attribute("b")
        try expect(
            EventQuery.select(a + b, a * 2 - b / 3 % 4, -a, .lower(b), .coalesce(a, b, 0).as("c")).distinct(),
            "SELECT DISTINCT a + b, (a * 2) - ((b / 3) % 4), -a, lower(b), coalesce(a, b, 0) AS c FROM events")
        try expect(
            EventQuery.select(.id).where(!(a == 1) || b != "x" || a < 2.5 && b <= true || a > .null),
            "SELECT id FROM events WHERE ((NOT a = 1 OR b <> 'x') OR (a < 2.5 AND b <= 1)) OR a > NULL")
        try expect(
            EventQuery.select(.id).where(a.isNull).where(b.isNotNull).where(a.in([1, "x", .null])),
            "SELECT id FROM events WHERE a IS NULL AND b IS NOT NULL AND a IN (1, 'x', NULL)")
        try expect(
            EventQuery.select(.id).where(a.between(1, 5) && b.like("x%", escape: "!") && a.isSame(as: b)),
            "SELECT id FROM events WHERE a BETWEEN 1 AND 5 AND b LIKE 'x%' ESCAPE '!' AND a IS b")
        try expect(
            EventQuery.select(.id).where(a.contains("50*[x]?") || a.startsWith("é")),
            "SELECT id FROM events WHERE a GLOB '*50[*][[]x][?]*' OR a GLOB 'é*'")
        try expect(
            EventQuery.select(.timeBucket("1 day", zone: "Europe/Berlin").as("day"), .count().filter(a > 1))
                .groupBy(.column("day")).having(.count() > 5).having(.sum(b) > 1),
            """
            SELECT time_bucket('1 day', timestamp, 'Europe/Berlin') AS day, count(*) FILTER (WHERE (a > 1)) FROM events
            GROUP BY day HAVING count(*) > 5 AND sum(b) > 1
            """)
        try expect(
            EventQuery.select(
                .count(a, distinct: true), .first(a), .last(a, by: .received), .average(b), .min(a), .max(b)),
            "SELECT count(DISTINCT a), first(a), last(a, received), avg(b), min(a), max(b) FROM events")
        try expect(
            EventQuery.selectAll().until(0).orderBy(.timestamp, .descending, nulls: .first).limit(5, offset: 2),
            "SELECT * FROM events WHERE timestamp < 0 ORDER BY timestamp DESC NULLS FIRST LIMIT 5 OFFSET 2")
    }

    @Test func names() throws {
        // An attribute named like a fixed column, and aliases: first in the order, last elsewhere.
        try expect(
            EventQuery.select(.attribute("type").as("t"), .column("TYPE"), .attribute("req.method")).where(
                .column("t") == 1),
            "SELECT attributes->>'type' AS t, TYPE, req.method FROM events WHERE t = 1")
        try expect(
            EventQuery.select(.column("b").as("a")).where(.column("a") == 1).orderBy(.column("a")).orderBy(
                .column("a") + 1),
            "SELECT b AS a FROM events WHERE a = 1 ORDER BY a, a + 1")
        #expect(
            message(EventQuery.select(.attribute("statsu")))
                == "no column or attribute 'statsu'; did you mean 'status'?")
        #expect(message(EventQuery.select(.count().as("total_n")).orderBy(.column("total_m"))).contains("'total_n'"))
    }

    @Test func timesAreTimes() throws {
        try expect(
            EventQuery.select(.id).where(.timestamp >= "2026-11-23" && .received.between("1970-01-01", 5)),
            "SELECT id FROM events WHERE timestamp >= 1795392000000 AND received BETWEEN 0 AND 5")
        #expect(message(EventQuery.select(.id).where(.timestamp > "soon")).contains("'soon' is no time"))
        let moment = Date(timeIntervalSince1970: 1.5)
        try expect(
            EventQuery.select(.id).since(moment).until(moment),
            "SELECT id FROM events WHERE timestamp >= 1500 AND timestamp < 1500")
        _ = try EventQuery.select(.id).since(.distantPast).until(Date(timeIntervalSince1970: .infinity))
            .selectQuery(names: Names())
    }

    @Test func refusals() {
        #expect(message(EventQuery.select([])).contains("at least one column"))
        #expect(message(EventQuery.select(.id).where(.count() > 1)).contains("cannot stand in where()"))
        #expect(message(EventQuery.select(.id).groupBy(.count())).contains("cannot stand in groupBy()"))
        #expect(message(EventQuery.select(.id).having(.id > 1)).contains("need groupBy()"))
        #expect(message(EventQuery.select(.id).orderBy(.count())).contains("need groupBy()"))
        #expect(message(EventQuery.select(.sum(.count()))).contains("inside another"))
        #expect(message(EventQuery.select(.id, .count()).groupBy(.entity)).contains("'id' is neither grouped by"))
        #expect(message(EventQuery.select(.lower(.id).filter(.id == 1))).contains("filter() goes with aggregates"))
        #expect(message(EventQuery.select(.quantile(.sequence, 2))).contains("from 0 to 1"))
    }
}
