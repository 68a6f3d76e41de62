// Texts compared with the columns that hold times.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct SQLTimeTests {
    @Test(
        arguments: [
            ("1970-01-01", 0), ("2026-11-23", 1_795_392_000_000), ("2026-11-23 14:30", 1_795_444_200_000),
            ("2026-11-23T14:30:00Z", 1_795_444_200_000), ("2026-11-23t14:30:00.5z", 1_795_444_200_500),
            ("2026-11-23 14:30:00.1239+01:00", 1_795_440_600_123), ("2026-11-23T14:30:00-0130", 1_795_449_600_000),
            ("2024-02-29", 1_709_164_800_000), ("0001-01-01", -62_135_596_800_000), ("0000-03-01", -62_162_035_200_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_999), ("1969-12-31T23:59:59.999Z", -1),
        ] as [(String, Int64)])
    func times(text: String, ms: Int64) {
        #expect(TimeLiteral.parse(text) == ms)
    }

    @Test(arguments: [
        "", "2026", "2026-11", "2026-13-01", "2026-02-29", "1900-02-29", "2026-11-23T", "2026-11-23T24:00:00",
        "2026-11-23T10", "2026-11-23 10:60", "2026-11-23 10:00:61", "2026-11-23 10:00:00.", "2026-11-23Z",
        "2026-11-23T10:00:00+1", "2026-11-23T10:00:00+24:00", "2026-11-23T10:00:00Zx", " 2026-11-23", "26-11-23",
        "1795392000000", "yesterday", "２０２６-11-23",
    ])
    func noTimes(text: String) {
        #expect(TimeLiteral.parse(text) == nil)
    }

    @Test(arguments: [
        ("timestamp >= '2026-11-23'", "(timestamp >= 1795392000000)"),
        ("'2026-11-23' < received", "(1795392000000 < received)"),
        ("(timestamp) = ('2026-11-23')", "(timestamp = 1795392000000)"),
        ("timestamp IS NOT '1970-01-01'", "(timestamp IS NOT 0)"),
        ("timestamp BETWEEN '1970-01-01' AND received + 1", "(timestamp BETWEEN 0 AND (received + 1))"),
        ("timestamp NOT IN ('1970-01-01', 5, '1970-01-02')", "(timestamp NOT IN (0, 5, 86400000))"),
        ("'1970-01-02' BETWEEN timestamp AND received", "(86400000 BETWEEN timestamp AND received)"),
        ("'1970-01-02' IN (timestamp, 1)", "(86400000 IN (timestamp, 1))"),
        ("a = '2026-11-23' AND timestamp > 5", #"(("a" = '2026-11-23') AND (timestamp > 5))"#),
        ("timestamp + 0 > '2026-11-23'", "((timestamp + 0) > '2026-11-23')"),
        ("timestamp LIKE '2026%'", "(timestamp LIKE '2026%')"),
        ("NOT (timestamp > '1970-01-01' OR sequence = '5')", "(NOT ((timestamp > 0) OR (sequence = '5')))"),
        ("CASE WHEN timestamp < '1970-01-02' THEN 1 END", "CASE WHEN (timestamp < 86400000) THEN 1 END"),
    ])
    func conditions(text: String, shape: String) throws {
        #expect(try SQLTest.condition(text) == shape)
    }

    @Test func parametersAndAliases() throws {
        #expect(
            try SQLTest.condition("timestamp >= :since AND a = :since", ["since": .text("1970-01-02")])
                == #"((timestamp >= 86400000) AND ("a" = '1970-01-02'))"#)
        let query = try SQLTest.native("SELECT timestamp AS t FROM events WHERE t > '1970-01-02'")
        #expect(query.condition.map(SQLTest.shape) == "(timestamp > 86400000)")
        let grouped = try SQLTest.native("SELECT count(*) FILTER (WHERE timestamp > '1970-01-02') FROM events")
        #expect(SQLTest.shape(grouped.items[0].expression) == "count(*) FILTER (WHERE (timestamp > 86400000))")
    }

    @Test(arguments: [
        ("SELECT id FROM events WHERE timestamp > 'yesterday'", 40),
        ("SELECT id FROM events WHERE timestamp BETWEEN '2026-01-01' AND ('2026-02-30')", 64),
        ("SELECT id FROM events WHERE received IN (1, '2026')", 44),
        ("SELECT printf('%d', 1) FROM events WHERE received IN (1, '2026')", 57),
        ("SELECT e.id FROM events e, events f WHERE '1' <= e.timestamp", 42),
    ])
    func noTime(text: String, offset: Int) {
        let fault = SQLTest.fault(text)
        #expect(fault?.place.offset == offset)
        #expect(fault?.message.contains("is no time; a time is written '2026-11-23'") == true)
    }

    /// The same in statements that SQLite runs.
    @Test(arguments: [
        ("timestamp >= '1970-01-02'", "timestamp >= 86400000"),
        ("e.timestamp >= '1970-01-02' AND f.b='1970-01-02'", "e.timestamp >= 86400000 AND f.b='1970-01-02'"),
        ("'1970-01-02'<\"received\"", "86400000<\"received\""),
        ("timestamp IS NOT DISTINCT FROM '1970-01-02'", "timestamp IS NOT DISTINCT FROM 86400000"),
        ("timestamp-'1970-01-02'>'1970-01-02'", "timestamp-'1970-01-02'>'1970-01-02'"),
        ("timestamp = '1970-01-02' || 'x'", "timestamp = '1970-01-02' || 'x'"),
        ("timestamp BETWEEN '1970-01-01' AND '1969-12-31'", "timestamp BETWEEN 0 AND (-86400000)"),
        (
            "timestamp NOT BETWEEN (a BETWEEN 1 AND 2) AND '1970-01-02'",
            "timestamp NOT BETWEEN (a BETWEEN 1 AND 2) AND 86400000"
        ),
        ("timestamp IN ('1970-01-02', (SELECT '1970-01-02'))", "timestamp IN (86400000, (SELECT '1970-01-02'))"),
        ("'1970-01-02' NOT BETWEEN timestamp AND 5", "86400000 NOT BETWEEN timestamp AND 5"),
        ("a = 'timestamp > ''1970-01-02'''", "a = 'timestamp > ''1970-01-02'''"),
        (
            "/* timestamp > '1970-01-02' */ a = 1 -- timestamp > '1970-01-02'",
            "/* timestamp > '1970-01-02' */ a = 1 -- timestamp > '1970-01-02'"
        ),
    ])
    func general(condition: String, expected: String) throws {
        let statement = try SQLTest.general("SELECT e.id FROM events e, events f WHERE \(condition)")
        #expect(statement.text == "SELECT e.id FROM events e, events f WHERE \(expected)")
    }

    @Test func generalParametersAndAliases() throws {
        let statement = try SQLTest.general(
            "SELECT printf('%d', a) FROM events WHERE timestamp > :t AND a > :a",
            ["t": .text("1970-01-02"), "a": .text("x")])
        #expect(statement.text == "SELECT printf('%d', a) FROM events WHERE timestamp > 86400000 AND a > :a")
        #expect(statement.parameters == ["a": .text("x")])
        let both = try SQLTest.general(
            "SELECT printf('%d', a) FROM events WHERE timestamp > :t AND a > :t", ["t": .text("1970-01-02")])
        #expect(both.parameters == ["t": .text("1970-01-02")])
        let renamed =
            "WITH d AS (SELECT iso(timestamp) AS timestamp FROM events) SELECT * FROM d WHERE timestamp > '2026'"
        #expect(try SQLTest.general(renamed).text == renamed)
    }
}
