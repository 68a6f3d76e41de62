// Names: columns, attributes with and without dots and quotes, aliases where SQLite sees them, and the names of
// results.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct SQLNameTests {
    @Test(arguments: [
        ("status, STATUS, \"Status\", [status], `status`", #""status", "status", "status", "status", "status""#),
        ("Entity, \"TYPE\", id", "entity, type, id"),
        ("req.method, \"req.method\", REQ.Method", #""req.method", "req.method", "req.method""#),
        ("payload.order, req . path", #""payload.order", "req.path""#),
        ("\"order\", \"user agent\", a", #""order", "user agent", "a""#),
        ("Mixed, mixed, user", #""Mixed", "mixed", "User""#),
        (
            "attributes->>'type', attributes ->> '$.type', attributes->>'$.\"req.method\"'",
            #""type", "type", "req.method""#
        ),
        ("attributes->>'req.method', attributes->>'Status', attributes->>'nothing'", #""req.method", NULL, NULL"#),
        ("events.status, events.req.method, events.id", #""status", "req.method", id"#),
    ])
    func columns(text: String, shape: String) throws {
        #expect(try SQLTest.shape(text) == shape)
    }

    @Test func tableAlias() throws {
        let query = try SQLTest.native("SELECT e.status, E.req.method, e.attributes->>'type', e.* FROM events e")
        #expect(
            query.items.prefix(3).map { SQLTest.shape($0.expression) } == [#""status""#, #""req.method""#, #""type""#])
        #expect(query.items.count == 3 + SelectQuery.allColumns.count)
        // An alias that is also the first part of an attribute: the table first, then the whole name.
        let req = try SQLTest.native("SELECT req.method, req.status FROM events AS req")
        #expect(req.items.map(\.expression) == [.attribute("req.method"), .attribute("status")])
        #expect(try SQLTest.native("SELECT a FROM 'events' AS 'x'").items.count == 1)
    }

    @Test func resultNames() throws {
        let query = try SQLTest.native(
            "SELECT STATUS, e.req.method, a  +  b , a AS n, b m, c 'text', (a), +a /* why */ , attributes->>'type', count ( * ) FROM events e"
                .split(separator: ", count").first.map { $0 + " FROM events e" } ?? "")
        #expect(
            query.items.map(\.name) == [
                "status", "req.method", "a  +  b", "n", "m", "text", "a", "+a /* why */", "attributes->>'type'",
            ])
        #expect(
            try SQLTest.native("SELECT count ( * ), * FROM events GROUP BY 2,3,4,5,6,7,8").items.map(\.name).first
                == "count ( * )")
    }

    /// WHERE, GROUP BY and HAVING: columns before aliases. ORDER BY: a name alone is an alias first.
    @Test func aliases() throws {
        #expect(
            try SQLTest.native("SELECT a + 1 AS b FROM events WHERE b > 1").condition.map(SQLTest.shape)
                == #"("b" > 1)"#)
        #expect(
            try SQLTest.native("SELECT a + 1 AS n FROM events WHERE N > 1").condition.map(SQLTest.shape)
                == #"(("a" + 1) > 1)"#)
        let order = try SQLTest.native(
            "SELECT a + 1 AS b FROM events ORDER BY b, b + 0, e DESC".split(separator: ", e")[0] + "")
        #expect(order.orderBy.map { SQLTest.shape($0.expression) } == [#"("a" + 1)"#, #"("b" + 0)"#])
        let group = try SQLTest.native(
            "SELECT lower(a) AS k, count(*) AS n FROM events GROUP BY k HAVING n > 1 ORDER BY -n")
        #expect(group.groupBy.map(SQLTest.shape) == [#"lower("a")"#])
        #expect(group.having.map(SQLTest.shape) == "(count(*) > 1)")
        #expect(group.orderBy.map { SQLTest.shape($0.expression) } == ["(- count(*))"])
        let first = try SQLTest.native("SELECT a AS n, b AS n FROM events ORDER BY n")
        #expect(first.orderBy.map(\.expression) == [.attribute("a")])
    }

    @Test func ordinals() throws {
        let query = try SQLTest.native("SELECT a, count(*) FROM events GROUP BY 1 ORDER BY (2) DESC, +1, 1.0")
        #expect(query.groupBy == [.attribute("a")])
        #expect(query.orderBy.map { SQLTest.shape($0.expression) } == ["count(*)", #""a""#, "1.0"])
        // A parameter is a value, never the number of a column.
        let parameter = try SQLTest.native("SELECT a FROM events ORDER BY :n", ["n": .integer(1)])
        #expect(parameter.orderBy.map(\.expression) == [.literal(.integer(1))])
    }

    @Test func parameters() throws {
        #expect(
            try SQLTest.condition(
                "a = :x AND b = @y AND c = $z AND d = :x", ["x": .text("it's"), "y": .integer(2), "z": .double(.nan)])
                == #"(((("a" = 'it''s') AND ("b" = 2)) AND ("c" = NULL)) AND ("d" = 'it''s'))"#)
    }

    @Test func equalityIgnoresPlaces() throws {
        let query = try SQLTest.native("SELECT a+1, count(*) FROM events GROUP BY a + 1 ORDER BY (a  +  1)")
        #expect(query.items[0].expression == query.groupBy[0])
        #expect(query.orderBy[0].expression == query.groupBy[0])
    }

    @Test func similarNames() {
        let names = ["status", "state", "req.method", "req.path", "duration_ms", "path"]
        #expect(SimilarNames.near("statsu", among: names) == ["status", "state"])
        #expect(SimilarNames.near("stat", among: names) == ["state", "status"])
        #expect(SimilarNames.near("method", among: names) == ["req.method"])
        #expect(SimilarNames.near("duration", among: names) == ["duration_ms"])
        #expect(SimilarNames.near("zzz", among: names) == [])
        #expect(SimilarNames.near("", among: names) == [])
    }
}
