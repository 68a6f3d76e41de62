// What goes to SQLite: why, with which attributes, and what of its text changes.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct SQLGeneralTests {
    @Test(arguments: [
        ("SELECT e.a FROM events e JOIN entities n ON e.entity = n.name", "a join"),
        ("SELECT events.a FROM events, segments", "a join"),
        ("SELECT a FROM events LEFT JOIN events AS f USING (id)", "a join"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH"),
        ("VALUES (1), (2)", "VALUES"),
        ("SELECT a FROM events UNION SELECT b FROM events", "a compound SELECT"),
        ("SELECT a FROM (SELECT a FROM events)", "a sub-query"),
        ("SELECT a FROM events WHERE a IN (SELECT b FROM events)", "a sub-query"),
        ("SELECT a FROM events WHERE NOT EXISTS (SELECT 1)", "a sub-query"),
        ("SELECT (SELECT 1), a FROM events", "a sub-query"),
        ("SELECT sum(a) OVER (ORDER BY b) FROM events", "a window function"),
        ("SELECT row_number() OVER w FROM events WINDOW w AS (ORDER BY a)", "a window function"),
        ("SELECT group_concat(a) FROM events", "the function group_concat"),
        ("SELECT strftime('%Y', a) FROM events", "the function strftime"),
        ("SELECT json_extract(attributes, '$.x') FROM events", "the function json_extract"),
        ("SELECT attributes -> 'x' FROM events", "the operator ->"),
        ("SELECT a ->> 'x' FROM events", "the operator ->>"),
        ("SELECT attributes ->> '$.tags[0]' FROM events", "the operator ->>"),
        ("SELECT * FROM entities", "the table entities"),
        ("SELECT * FROM segments WHERE rows > 5", "the table segments"),
        ("SELECT 1 + 1", "a SELECT without FROM"),
        ("SELECT a FROM events ORDER BY a COLLATE NOCASE", "a collation"),
        ("SELECT x'00' FROM events", "a blob"),
        ("SELECT CAST(a AS BLOB) FROM events", "CAST to BLOB"),
        ("SELECT CURRENT_TIMESTAMP FROM events", "CURRENT_TIMESTAMP"),
        ("SELECT a FROM events WHERE (a, b) = (1, 2)", "a row value"),
        ("SELECT a FROM events WHERE a REGEXP 'x'", "the operator REGEXP"),
        ("SELECT a FROM events LIMIT 1 + 1", "a computed LIMIT"),
        ("SELECT a FROM events WHERE a LIKE b ESCAPE c", "a computed ESCAPE"),
        ("SELECT a, count(*) FROM events", "the column a, which is neither grouped by nor in an aggregate"),
        ("SELECT a, b FROM events GROUP BY a", "the column b, which is neither grouped by nor in an aggregate"),
        ("SELECT a FROM main.events", "a table with the name of its database"),
        ("SELECT a FROM events NOT INDEXED", "INDEXED"),
    ])
    func reasons(text: String, reason: String) throws {
        let statement = try SQLTest.general(text)
        #expect(statement.reason == reason)
        #expect(statement.text == text)
    }

    /// `@` stands for `SELECT printf('%s', 1), `, which no native query has.
    @Test(arguments: [
        ("@ status, a FROM events", "@ status, a FROM events", ["status", "a"]),
        ("@ req.method FROM events", "@ \"req.method\" FROM events", ["req.method"]),
        ("@ e.req.method, e . a FROM events e", "@ e.\"req.method\", e . a FROM events e", ["req.method", "a"]),
        ("@ REQ.METHOD, STATUS FROM events", "@ \"req.method\", STATUS FROM events", ["req.method", "status"]),
        ("@ payload.order FROM events", "@ \"payload.order\" FROM events", ["payload.order"]),
        (
            "@ \"req.method\", [user agent] FROM events", "@ \"req.method\", [user agent] FROM events",
            ["req.method", "user agent"]
        ),
        ("@ req.nothing, \"none\" FROM events", "@ req.nothing, \"none\" FROM events", []),
        (
            "@ 'req.method' /* req.method */ FROM events -- req.method",
            "@ 'req.method' /* req.method */ FROM events -- req.method", []
        ),
        ("@ id, type, Entity FROM events", "@ id, type, Entity FROM events", []),
        (
            "@ attributes->>'req.method', attributes->>'type' FROM events",
            "@ \"req.method\", attributes->>'type' FROM events", ["req.method"]
        ),
        ("@ e.attributes ->> '$.a' FROM events e", "@ e.\"a\" FROM events e", ["a"]),
        ("@ attributes->>'zip' FROM events", "@ attributes->>'zip' FROM events", []),
        ("@ req.method, req.a FROM events req", "@ \"req.method\", req.a FROM events req", ["req.method", "a"]),
        (
            "@ a.b FROM events JOIN (SELECT b FROM events) AS a", "@ a.b FROM events JOIN (SELECT b FROM events) AS a",
            ["b", "a"]
        ),
        ("EXPLAIN @ b FROM events", "        @ b FROM events", ["b"]),
    ])
    func rewriting(text: String, expected: String, attributes: [String]) throws {
        func whole(_ text: String) -> String {
            text.split(separator: "@", omittingEmptySubsequences: false).joined(separator: "SELECT printf('%s', 1),")
        }
        let statement = try SQLTest.general(whole(text))
        #expect(statement.text == whole(expected))
        #expect(statement.attributes == attributes)
    }

    @Test func casesThatCollide() {
        let fault = SQLTest.fault("SELECT printf(Mixed), mixed FROM events")
        #expect(fault?.message.contains("'Mixed' and 'mixed' differ in case alone") == true)
        #expect(fault?.place.offset == 22)
    }

    @Test func aLongerStatement() throws {
        let statement = try SQLTest.general(
            """
            WITH daily AS (
                SELECT entity, time_bucket('1 day', timestamp) AS day, count(*) AS n
                FROM events WHERE req.method = 'GET' AND timestamp >= '1970-01-02' GROUP BY 1, 2
            )
            SELECT x.entity, x.n, lag(x.n) OVER (PARTITION BY x.entity ORDER BY x.day) FROM daily x WHERE x.n > :min
            """, ["min": .integer(3)])
        #expect(statement.attributes == ["req.method"])
        #expect(statement.text.contains(#"WHERE "req.method" = 'GET' AND timestamp >= 86400000 GROUP BY 1, 2"#))
        #expect(statement.parameters == ["min": .integer(3)])
        #expect(statement.reason == "WITH")
    }
}
