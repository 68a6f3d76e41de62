// Operators bind as in SQLite, and every construct of the native subset has the tree it should have. The expected
// shapes were compared with SQLite 3.40: both forms of each give the same values.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct SQLPrecedenceTests {
    @Test(arguments: [
        ("a + b * c - d", #"(("a" + ("b" * "c")) - "d")"#),
        ("a || b * c", #"(("a" || "b") * "c")"#),
        ("-a || b", #"((- "a") || "b")"#),
        ("a & b + c << d | 1", #"((("a" & ("b" + "c")) << "d") | 1)"#),
        ("a < b = c > d", #"(("a" < "b") = ("c" > "d"))"#),
        ("a = b = c", #"(("a" = "b") = "c")"#),
        ("NOT a = b AND c", #"((NOT ("a" = "b")) AND "c")"#),
        ("a = NOT b = c", #"("a" = (NOT ("b" = "c")))"#),
        ("a OR b AND c OR d", #"(("a" OR ("b" AND "c")) OR "d")"#),
        ("NOT a IS NULL", #"(NOT ("a" ISNULL))"#),
        ("a = b NOT NULL", #"(("a" = "b") NOTNULL)"#),
        ("a + 1 ISNULL", #"(("a" + 1) ISNULL)"#),
        ("a BETWEEN 1 AND 2 = 0", #"(("a" BETWEEN 1 AND 2) = 0)"#),
        ("a BETWEEN b = 1 AND c + 2 AND d", #"(("a" BETWEEN ("b" = 1) AND ("c" + 2)) AND "d")"#),
        ("a NOT BETWEEN 1 AND 2 OR b", #"(("a" NOT BETWEEN 1 AND 2) OR "b")"#),
        ("a LIKE b || '%' ESCAPE '!' AND c", #"(("a" LIKE ("b" || '%') ESCAPE '!') AND "c")"#),
        ("a NOT LIKE 'x' = 1", #"(("a" NOT LIKE 'x') = 1)"#),
        ("a GLOB 'x*'", #"("a" GLOB 'x*')"#),
        ("a IN (1, b, 'x') AND c NOT IN ()", #"(("a" IN (1, "b", 'x')) AND ("c" NOT IN ()))"#),
        ("a IS b IS NOT c", #"(("a" IS "b") IS NOT "c")"#),
        ("a IS NOT DISTINCT FROM b", #"("a" IS "b")"#),
        ("a IS DISTINCT FROM b", #"("a" IS NOT "b")"#),
        ("a IS TRUE", #"((NOT (NOT "a")) IS 1)"#),
        ("a IS NOT FALSE", #"((NOT "a") IS NOT 1)"#),
        ("a = TRUE", #"("a" = 1)"#),
        ("~a - +b", #"((~"a") - (+"b"))"#),
        ("CASE a WHEN 1 THEN b ELSE c END + 1", #"(CASE "a" WHEN 1 THEN "b" ELSE "c" END + 1)"#),
        ("CASE WHEN a > 1 THEN b END", #"CASE WHEN ("a" > 1) THEN "b" END"#),
        ("a == b AND c != d AND a <> c", #"((("a" = "b") AND ("c" <> "d")) AND ("a" <> "c"))"#),
    ])
    func operators(text: String, shape: String) throws {
        #expect(try SQLTest.shape(text) == shape)
    }

    @Test(arguments: [
        ("1, -5, - 5, 0x1F, 0xFFFFFFFFFFFFFFFF", "1, -5, -5, 31, -1"),
        ("9223372036854775807, -9223372036854775808", "9223372036854775807, -9223372036854775808"),
        ("9223372036854775808, 1e3, .5, 5., 1.5e-2", "9.223372036854775808e+18, 1000.0, 0.5, 5.0, 0.015"),
        ("'it''s', '', NULL, true, FALSE", "'it''s', '', NULL, 1, 0"),
        ("'-- no comment /* none */' -- one\n, /* two */ 2", "'-- no comment /* none */', 2"),
    ])
    func literals(text: String, shape: String) throws {
        let expected = shape.split(separator: "9.223372036854775808e+18", omittingEmptySubsequences: false)
            .joined(separator: "\(9.223372036854775808e18)")
        #expect(try SQLTest.shape(text) == expected)
    }

    @Test(arguments: [
        ("INT", Affinity.integer), ("BIGINT", .integer), ("charint", .integer), ("VARCHAR(10)", .text),
        ("CLOB", .text), ("text", .text), ("DOUBLE PRECISION", .real), ("float", .real), ("REAL", .real),
        ("DECIMAL(10, 5)", .numeric), ("date", .numeric), ("numeric", .numeric), ("\"my int\"", .integer),
    ])
    func casts(type: String, affinity: Affinity) throws {
        let query = try SQLTest.native("SELECT CAST(a AS \(type)) FROM events")
        #expect(query.items[0].expression == Expression(.cast(.attribute("a"), affinity)))
    }

    @Test(arguments: [
        ("count(*), count(), COUNT(a)", #"count(*), count(*), count("a")"#),
        ("count(DISTINCT a), sum(DISTINCT b)", #"count(DISTINCT "a"), sum(DISTINCT "b")"#),
        ("max(a) FILTER (WHERE b > 1)", #"maximum("a") FILTER (WHERE ("b" > 1))"#),
        ("min(a)", #"minimum("a")"#), ("min(a, b), max(a, b, 1)", #"min("a", "b"), max("a", "b", 1)"#),
        ("avg(a), total(a)", #"average("a"), total("a")"#), ("quantile(a, 0.95)", #"quantile("a", 0.95)"#),
        ("first(a), last(a, received)", #"first("a"), last("a", received)"#),
        ("substring(a, 1), substr(a, 1, 2)", #"substr("a", 1), substr("a", 1, 2)"#),
        ("time_bucket('1 day', timestamp, 'Europe/Berlin')", "time_bucket('1 day', timestamp, 'Europe/Berlin')"),
        ("replace(a, 'x', 'y'), \"lower\"(a)", #"replace("a", 'x', 'y'), lower("a")"#),
        ("sum(a) * 100 / count(*)", #"((sum("a") * 100) / count(*))"#),
    ])
    func calls(text: String, shape: String) throws {
        #expect(try SQLTest.shape(text) == shape)
    }

    @Test func clauses() throws {
        let query = try SQLTest.native(
            """
            select distinct a, count(*) as n -- how many
            from events as e where b = 1 group by a, 1 having n > 2
            order by n desc, a nulls last, 1 desc nulls first limit 10 offset 5;;
            """)
        #expect(query.isDistinct)
        #expect(query.items.map(\.name) == ["a", "n"])
        #expect(query.groupBy == [.attribute("a"), .attribute("a")])
        #expect(query.having.map(SQLTest.shape) == "(count(*) > 2)")
        #expect(query.orderBy.map(\.isDescending) == [true, false, true])
        #expect(query.orderBy.map(\.nullsFirst) == [false, false, true])
        #expect(query.limit == 10 && query.offset == 5)
    }

    @Test(arguments: [
        ("LIMIT 3", 3, 0), ("LIMIT 2, 3", 3, 2), ("LIMIT -1", nil, 0), ("LIMIT 3 OFFSET -2", 3, 0),
        ("LIMIT '4'", 4, 0), ("LIMIT 2.0", 2, 0), ("LIMIT (5)", 5, 0), ("LIMIT :n OFFSET :n", 7, 7),
    ])
    func limits(clause: String, limit: Int?, offset: Int) throws {
        let parameters: [String: SQLValue] = clause.contains(":n") ? ["n": .integer(7)] : [:]
        let query = try SQLTest.native("SELECT a FROM events \(clause)", parameters)
        #expect(query.limit == limit && query.offset == offset)
    }

    @Test func explain() throws {
        #expect(try SQLTest.parse("EXPLAIN SELECT a FROM events").isExplain)
        #expect(try SQLTest.parse(" ; explain query plan SELECT a FROM events").isExplain)
        #expect(try !SQLTest.parse("SELECT a FROM events").isExplain)
        let statement = try SQLTest.general("EXPLAIN QUERY PLAN\nSELECT printf('%d', a) FROM events")
        #expect(statement.text == "                  \nSELECT printf('%d', a) FROM events")
    }
}
