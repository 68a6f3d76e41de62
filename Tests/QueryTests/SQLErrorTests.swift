// Every error says where it is, what was expected and what was found.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct SQLErrorTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let offset: Int?
        let message: String
        var code = Fault.Code.invalid
        init(_ text: String, _ offset: Int?, _ message: String) {
            self.text = text
            self.offset = offset
            self.message = message
        }
        var testDescription: String { text }
    }

    private static func check(_ wrong: Case) {
        let fault = SQLTest.fault(wrong.text)
        #expect(fault?.place.offset == wrong.offset)
        #expect(fault?.message.contains(wrong.message) == true, "\(fault?.message ?? "")")
        #expect(fault?.code == .invalid)
    }

    @Test(arguments: [
        Case("", 0, "line 1, column 1: there is no statement; what can be asked is SELECT"),
        Case(" ;; ", 4, "there is no statement"),
        Case("INSERT INTO events VALUES (1)", 0, "the store answers questions"),
        Case("pragma user_version", 0, "not PRAGMA"),
        Case("EXPLAIN ATTACH 'x' AS y", 8, "not ATTACH"),
        Case("1", 0, "not '1'"),
        Case("SELECT id FROM events; SELECT 2", 23, "one statement at a time"),
        Case("WITH x AS (SELECT 1) DELETE FROM events", 21, "not DELETE"),
        Case("WITH x AS (SELECT 1) REPLACE INTO events VALUES (1)", 21, "not REPLACE"),
        Case("SELECT FROM events", 7, "expected a column or a value, found 'FROM'"),
        Case("SELECT a, FROM events", 10, "expected a column or a value, found 'FROM'"),
        Case("SELECT a b c FROM events", 11, "expected ',' or FROM, found 'c'"),
        Case("SELECT a FROM", 13, "expected the name of a table, found the end"),
        Case("SELECT a FROM evnts", 14, "no table 'evnts'; there are events, entities and segments"),
        Case("SELECT a FROM events WHERE", 26, "expected a column or a value, found the end"),
        Case("SELECT a FROM events e WHERE a = 1 1", 35, "expected an operator, GROUP BY, ORDER BY, LIMIT or the end"),
        Case("SELECT a FROM events e x", 23, "expected WHERE, GROUP BY, ORDER BY, LIMIT or the end, found 'x'"),
        Case("SELECT a FROM events LIMIT 1 WHERE a", 29, "expected the end, found 'WHERE'"),
        Case("SELECT a FROM events GROUP a", 27, "expected BY, found 'a'"),
        Case("SELECT a FROM events ORDER BY a NULLS 1", 38, "expected FIRST or LAST after NULLS"),
        Case("SELECT (a + 1 FROM events", 14, "expected an operator or ')' for the '(' at column 8, found 'FROM'"),
        Case("SELECT lower(a FROM events", 15, "for the '(' at column 13, found 'FROM'"),
        Case("SELECT a FROM events WHERE a BETWEEN 1 OR 2", 39, "expected AND, found 'OR'"),
        Case("SELECT a FROM events WHERE a IN 5", 32, "expected a list in brackets after IN, found '5'"),
        Case("SELECT CASE a END FROM events", 14, "expected WHEN, found 'END'"),
        Case("SELECT CASE WHEN a THEN 1 FROM events", 26, "expected WHEN, ELSE or END, found 'FROM'"),
        Case("SELECT CAST(a INT) FROM events", 14, "expected AS, found 'INT'"),
        Case("SELECT order FROM events", 7, "a name that is a keyword stands in double quotes: \"order\""),
        Case("SELECT a FROM events\nWHERE a = 'x", 31, "line 2, column 11: a text that begins with ' has no end"),
        Case("SELECT \"a FROM events", 7, "a name that begins with \" has no end"),
        Case("SELECT 12ab FROM events", 7, "'12ab' is neither a number nor a name"),
        Case("SELECT a # b FROM events", 9, "'#' has no meaning in SQL"),
        Case("SELECT a ! b FROM events", 9, "'!' has no meaning in SQL"),
        Case("SELECT x'123' FROM events", 7, "a blob is written x'…'"),
        Case("SELECT 0xfffffffffffffffff FROM events", 7, "does not fit in 64 bits"),
        Case("SELECT a FROM events WHERE a LIKE 'x' ESCAPE '!!'", 45, "ESCAPE takes one character"),
        Case("SELECT a FROM events WHERE a GLOB 'x' ESCAPE '!'", 38, "ESCAPE goes with LIKE"),
        Case("SELECT a FROM events LIMIT 'x'", 27, "LIMIT wants a whole number"),
        Case("SELECT a FROM events LIMIT a", 27, "LIMIT wants a whole number"),
        Case("SELECT a FROM events LIMIT 1 OFFSET 1.5", 36, "OFFSET wants a whole number"),
        Case("SELECT f.* FROM events e", 7, "no table 'f' here; it is called 'e'"),
    ])
    func syntax(wrong: Case) { Self.check(wrong) }

    @Test(arguments: [
        Case(
            "SELECT statsu FROM events", 7, "line 1, column 8: no column or attribute 'statsu'; did you mean 'status'?"),
        Case("SELECT method FROM events", 7, "did you mean 'req.method'?"),
        Case("SELECT e.metod FROM events e", 7, "no column or attribute 'metod'"),
        Case("SELECT id FROM events e WHERE e.req.methd = 1", 30, "'req.methd'; did you mean 'req.method'?"),
        Case("SELECT id FROM events WHERE type = \"auth\"", 35, "; text is written in single quotes"),
        Case("SELECT 'ä', wrong FROM events", 13, "line 1, column 13: no column"),
        Case("SELECT USER, MIXED FROM events", 13, "'MIXED' may be several attributes: write \"Mixed\" or \"mixed\""),
        Case("SELECT a AS n FROM events ORDER BY m", 35, "no column or attribute 'm'"),
        Case("SELECT a AS total_n FROM events GROUP BY total_m", 41, "did you mean 'total_n'"),
        Case("SELECT a AS n, n FROM events", 15, "no column or attribute 'n'"),
        Case(
            "SELECT a FROM events ORDER BY 2", 30,
            "ORDER BY 2 is no column of the result; they are numbered from 1 to 1"),
        Case("SELECT a FROM events GROUP BY 0", 30, "GROUP BY 0 is no column"),
        Case("SELECT a FROM events ORDER BY -1", 30, "ORDER BY -1 is no column"),
    ])
    func names(wrong: Case) { Self.check(wrong) }

    @Test(arguments: [
        Case("SELECT cuont(*) FROM events", 7, "no function 'cuont'; did you mean 'count'?"),
        Case("SELECT lower(a, b) FROM events", 7, "lower() takes 1 argument; found 2"),
        Case("SELECT iif(a, b) FROM events", 7, "iif() takes 3 arguments; found 2"),
        Case("SELECT substr(a) FROM events", 7, "substr() takes 2 or 3 arguments; found 1"),
        Case("SELECT coalesce(a) FROM events", 7, "coalesce() takes at least 2 arguments; found 1"),
        Case("SELECT min() FROM events", 7, "min() takes at least 1 argument; found 0"),
        Case("SELECT sum(*) FROM events", 7, "sum() takes 1 argument; '*' is none"),
        Case("SELECT count(a, b) FROM events", 7, "count() takes 0 or 1 arguments; found 2"),
        Case("SELECT quantile(a) FROM events", 7, "quantile() takes 2 arguments; found 1"),
        Case("SELECT quantile(a, 1.5) FROM events", 19, "a number from 0 to 1"),
        Case("SELECT quantile(a, b) FROM events", 19, "a number from 0 to 1"),
        Case("SELECT first(DISTINCT a) FROM events", 13, "DISTINCT goes with count"),
        Case("SELECT lower(DISTINCT a) FROM events", 13, "DISTINCT goes with aggregates"),
        Case("SELECT abs(a) FILTER (WHERE b) FROM events", 14, "FILTER goes with aggregates"),
        Case("SELECT sum(count(*)) FROM events", 11, "an aggregate cannot stand inside another"),
        Case("SELECT sum(a) FILTER (WHERE max(b) > 1) FROM events", 28, "FILTER chooses events"),
        Case("SELECT id FROM events WHERE a > 1 AND count(*) > 2", 38, "an aggregate cannot stand in WHERE"),
        Case("SELECT count(*) AS n FROM events WHERE n > 2", 39, "'n' is an aggregate, which cannot stand in WHERE"),
        Case("SELECT a FROM events GROUP BY sum(b)", 30, "an aggregate cannot stand in GROUP BY"),
        Case("SELECT a, sum(b) FROM events GROUP BY 2", 38, "an aggregate cannot stand in GROUP BY"),
        Case("SELECT a, sum(b) AS n FROM events GROUP BY n", 43, "'n' is an aggregate"),
        Case("SELECT a FROM events HAVING a > 1", 28, "HAVING chooses groups"),
        Case("SELECT a FROM events ORDER BY count(*)", 30, "an aggregate in ORDER BY needs a GROUP BY"),
        Case("SELECT count(*) AS n FROM events HAVING sum(n) > 1", 44, "an aggregate cannot stand inside another"),
    ])
    func functions(wrong: Case) { Self.check(wrong) }

    @Test func parameters() {
        let missing = SQLTest.fault("SELECT id FROM events WHERE a = :sinc", ["since": .null])
        #expect(missing?.message == "line 1, column 33: the parameter :sinc has no value; did you mean 'since'?")
        #expect(missing?.place.offset == 32)
        let unused = SQLTest.fault("SELECT id FROM events", ["x": .null])
        #expect(unused?.message == "the parameter 'x' is not in the text; it would stand there as :x")
        let question = SQLTest.fault("SELECT id FROM events WHERE a = ?1")
        #expect(question?.message == "line 1, column 33: parameters have names here: write :name instead of ?")
        #expect(SQLTest.fault("SELECT id FROM events WHERE a = :")?.place.offset == 32)
        // In statements for SQLite too.
        #expect(SQLTest.fault("SELECT printf(:x) FROM events")?.message.contains(":x has no value") == true)
    }

    @Test func limits() throws {
        func nested(_ count: Int) -> String {
            "SELECT \(String(repeating: "(", count: count))1\(String(repeating: ")", count: count)) FROM events"
        }
        #expect(try SQLTest.native(nested(199)).items.count == 1)
        for (text, code) in [
            (nested(300), Fault.Code.limit), (nested(100_000), .limit),
            ("SELECT " + String(repeating: "NOT ", count: 20_000) + "1 FROM events", .limit),
            ("SELECT " + String(repeating: "- ", count: 20_000) + "a FROM events", .limit),
            ("SELECT " + String(repeating: "CASE ", count: 20_000) + "a FROM events", .limit),
            ("SELECT " + String(repeating: "abs(", count: 20_000) + "a FROM events", .limit),
            ("SELECT a" + String(repeating: " + 1", count: 1001) + " FROM events", .limit),
            ("SELECT 1" + String(repeating: ",1", count: 2000) + " FROM events", .limit),
            ("SELECT '" + String(repeating: "x", count: 1_000_000) + "' FROM events", .limit),
            (String(repeating: "(", count: 50_000), .invalid),
        ] {
            #expect(SQLTest.fault(text)?.code == code)
        }
        // An alias repeated very often.
        let sum = String(repeating: "a + ", count: 900) + "1"
        let uses = String(repeating: "n, ", count: 1000) + "n"
        #expect(SQLTest.fault("SELECT \(sum) AS n FROM events WHERE a IN (\(uses))")?.code == .limit)
        #expect(try SQLTest.native("SELECT a\(String(repeating: " OR a", count: 990)) FROM events").items.count == 1)
    }
}
