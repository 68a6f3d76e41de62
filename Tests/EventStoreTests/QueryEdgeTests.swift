// Answers where engines go wrong: NULLs, kinds that mix, ends of ranges, scopes that contradict each other.

import EventStoreCore
import Testing

@testable import EventStore

struct QueryEdgeTests {
    private func event(
        _ number: Int, _ attributes: [String: AttributeValue], entity: String = "a", type: String = "t",
        at time: Int64? = nil
    ) -> Event {
        Event(
            entity: entity, type: type, timestamp: time ?? Fixed.day + Int64(number) * 1000,
            id: Fixed.id(UInt64(number)), attributes: attributes)
    }

    /// Runs a check on the journal's rows and again on the same rows in a segment.
    private func bothWays(_ events: [Event], _ check: (BlockingEventStore, String) throws -> Void) throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append(events)
        try check(store, "journal")
        try store.flush()
        try check(store, "segment")
        try store.close()
        let opened = try folder.open()
        try check(opened, "reopened")
        try opened.close()
    }

    @Test func nullsInConditions() throws {
        let values: [AttributeValue?] = [.integer(1), .integer(2), nil, .string("2"), .double(1)]
        let events = values.enumerated().map { event($0.offset, $0.element.map { ["x": $0] } ?? ["y": .integer(0)]) }
        try bothWays(events) { (store, place) throws in
            func count(_ condition: String) throws -> QueryValue {
                try store.one("SELECT count(*) FROM events WHERE \(condition)")
            }
            #expect(try count("x = 1") == 2, "\(place)")
            #expect(try count("x <> 1") == 2, "\(place)")
            #expect(try count("NOT x = 1") == 2, "\(place)")
            #expect(try count("NOT (x <> 1)") == 2, "\(place)")
            #expect(try count("x IS NOT 1") == 3, "\(place)")
            #expect(try count("x IS NULL OR x = '2'") == 2, "\(place)")
            #expect(try count("x NOT IN (1, NULL)") == 0, "\(place)")
            #expect(try count("x NOT IN (1)") == 2, "\(place)")
            #expect(try count("NOT (x > 1 AND y IS NULL)") == 3, "\(place)")
            #expect(try count("x BETWEEN 1 AND 2 OR NULL") == 3, "\(place)")
            #expect(try count("x NOT BETWEEN 1 AND 1.5") == 2, "\(place)")
            #expect(try count("nullif(x, 1) IS NULL") == 3, "\(place)")
            #expect(try count("NULL") == 0, "\(place)")
            #expect(try count("x LIKE '2'") == 2, "\(place)")
            #expect(try count("NOT x LIKE '2'") == 2, "\(place)")
            #expect(try store.ask("SELECT x FROM events ORDER BY x, sequence") == [[.null], [1], [1.0], [2], ["2"]])
            #expect(
                try store.ask("SELECT x FROM events ORDER BY x DESC NULLS FIRST, sequence LIMIT 2") == [[.null], ["2"]])
            #expect(try store.ask("SELECT x FROM events ORDER BY x NULLS LAST, sequence LIMIT 2") == [[1], [1.0]])
        }
    }

    @Test func oneAndOnePointZeroAreOneGroup() throws {
        let values: [AttributeValue] = [
            .integer(1), .double(1), .bool(true), .string("1"), .double(-0.0), .integer(0), .double(0), .double(1.5),
            .integer(.max), .double(0x1p63), .json("[1]"), .string("[1]"),
        ]
        try bothWays(values.enumerated().map { event($0.offset, ["x": $0.element]) }) { (store, place) throws in
            let groups = try store.ask("SELECT count(*) FROM events GROUP BY x ORDER BY x")
            #expect(groups == [[3], [3], [1], [1], [1], [1], [2]], "\(place)")
            #expect(try store.one("SELECT count(DISTINCT x) FROM events") == 7, "\(place)")
            #expect(try store.ask("SELECT DISTINCT x FROM events").count == 7, "\(place)")
            #expect(try store.ask("SELECT DISTINCT x FROM events ORDER BY x LIMIT 2 OFFSET 4").count == 2, "\(place)")
            #expect(
                try store.ask("SELECT x FROM events WHERE x >= 9223372036854775807.0 AND typeof(x) <> 'text'").count
                    == 1)
            #expect(
                try store.ask("SELECT typeof(x) FROM events ORDER BY sequence LIMIT 3") == [
                    ["integer"], ["real"], ["integer"],
                ])
        }
    }

    @Test func sumsAreExactOrFail() throws {
        try bothWays([
            event(0, ["x": .integer(.max), "y": .integer(.max)]), event(1, ["x": .integer(1), "y": .integer(-1)]),
            event(2, ["x": .integer(-5), "y": .double(0.5)]),
        ]) { (store, place) throws in
            #expect(try store.one("SELECT sum(x) FROM events") == .integer(.max - 4), "\(place)")
            #expect(code { try store.one("SELECT sum(x) FROM events WHERE x > 0") } == "invalid", "\(place)")
            #expect(try store.one("SELECT total(x) FROM events WHERE x > 0") == .double(0x1p63), "\(place)")
            #expect(try store.one("SELECT sum(y) FROM events WHERE x < 2") == .double(-0.5), "\(place)")
            #expect(try store.one("SELECT sum(x) FROM events WHERE x > 5 AND x < 4") == .null, "\(place)")
            #expect(try store.one("SELECT x + 1 FROM events WHERE x > 5") == .double(0x1p63), "\(place)")
        }
    }

    @Test func quantilesAtTheEnds() throws {
        try bothWays((0..<5).map { event($0, ["x": $0 == 4 ? .string("text") : .integer(Int64($0))]) }) {
            (store, place) throws in
            #expect(
                try store.ask("SELECT quantile(x, 0), quantile(x, 0.5), quantile(x, 1), quantile(x, 1.0) FROM events")
                    == [[0.0, 1.5, 3.0, 3.0]], "\(place)")
            #expect(
                try store.one("SELECT quantile(x * 1e308 * 10, 0.9) FROM events WHERE x <> 'text'")
                    == .double(.infinity))
            #expect(try store.one("SELECT quantile(x, 0.5) FROM events WHERE x > 7 AND x < 8") == .null)
        }
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([event(0, ["x": .integer(1)])])
        for share in ["-0.1", "1.5", "1e300", "'a'", "NULL", "x"] {
            #expect(code { try store.ask("SELECT quantile(x, \(share)) FROM events") } == "invalid", "\(share)")
        }
        #expect(code { try store.ask("SELECT quantile(DISTINCT x, 0.5) FROM events") } == "invalid")
        try store.close()
    }

    @Test func limitsBeyondAllNumbers() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 60)
        let most = "LIMIT 9223372036854775807"
        for clause in ["", "ORDER BY n", "ORDER BY timestamp DESC", "GROUP BY n", "GROUP BY n ORDER BY count(*), n"] {
            let isGrouped = clause.hasPrefix("GROUP")
            let sql = "SELECT \(isGrouped ? "count(*)" : "id") FROM events \(clause)"
            #expect(try store.ask("\(sql) \(most) OFFSET 9223372036854775807").isEmpty, "\(clause)")
            #expect(try store.ask("\(sql) \(most) OFFSET 1").count == (isGrouped ? 59 : 209), "\(clause)")
            #expect(try store.ask("\(sql) LIMIT 1 OFFSET 9223372036854775807").isEmpty, "\(clause)")
            _ = try store.plan("\(sql) \(most) OFFSET 9223372036854775807")
        }
        #expect(try store.ask("SELECT DISTINCT n FROM events \(most) OFFSET 58").count == 2)
        #expect(
            try store.ask("SELECT DISTINCT count(*) FROM events GROUP BY n \(most) OFFSET 9223372036854775807").isEmpty)
        try store.close()
    }

    @Test func scopesThatContradict() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 60)
        func count(_ condition: String) throws -> QueryValue {
            let found = try store.one("SELECT count(*) FROM events WHERE \(condition)")
            // The same without what the index can use.
            let slow = condition.replacing("entity", with: "(entity || '')").replacing("type", with: "(type || '')")
                .replacing("timestamp", with: "(timestamp + 0)")
            #expect(try store.one("SELECT count(*) FROM events WHERE \(slow)") == found, "\(condition)")
            return found
        }
        #expect(try count("entity = 'site1' AND entity = 'site2'") == 0)
        #expect(try count("entity IN ('site1', 'site2') AND entity = 'site2' AND entity <> 'site1'") == 35)
        #expect(try count("entity = 'site1' OR entity = 'site2'") == 70)
        #expect(try count("entity IN ('nobody', 'site3')") == 35)
        #expect(try count("entity = 'SITE1'") == 0)
        #expect(try count("entity IS 'site1' AND NOT entity = 'site1'") == 0)
        #expect(try count("type = 'wp.cron' AND type IN ('wp.cron', 'auth.attempt')") == 70)
        #expect(try count("type = 'wp.cron' AND type = 'auth.attempt'") == 0)
        #expect(try count("type = 'wp.cron' AND entity = 'site2'") == 35)
        #expect(try count("type = 'wp.cron' AND entity = 'site1'") == 0)
        #expect(try count("timestamp > \(Fixed.day) AND timestamp < \(Fixed.day)") == 0)
        #expect(try count("timestamp >= \(Fixed.day) AND timestamp <= \(Fixed.day)") == 1)
        #expect(try count("timestamp = \(Fixed.day)") == 1)
        #expect(try count("\(Fixed.day) < timestamp") == 29)
        #expect(try count("timestamp > \(Fixed.day - 1) AND timestamp < \(Fixed.day + 1)") == 1)
        #expect(try count("timestamp > \(Fixed.day - Fixed.dayMs).5") == 89)
        #expect(try count("timestamp >= -9223372036854775808 AND timestamp <= 9223372036854775807") == 210)
        #expect(try count("timestamp < -9223372036854775808 OR timestamp > 9223372036854775807") == 0)
        #expect(try count("timestamp > 9223372036854775807") == 0)
        #expect(try count("timestamp < 1e300 AND timestamp > -1e300") == 210)
        #expect(try count("timestamp <> \(Fixed.day) AND entity = 'site0'") == 34)
        try store.close()
    }

    /// Blocks are large enough for zone maps and Bloom filters to be asked.
    @Test func pruningByBlocks() throws {
        let folder = TestFolder()
        let store = try folder.create()
        for day in -3..<0 {
            try store.append(
                (0..<2400).map { number in
                    var event = Known.event(number, day: day)
                    event.attributes["big"] = .integer(number % 2 == 0 ? .max - Int64(number) : .min + Int64(number))
                    event.attributes["mix"] = number % 2 == 0 ? .string("m\(number)") : .double(Double(number) / 2)
                    event.attributes["key"] = .string("k\(day)-\(number)")
                    return event
                })
            try store.flush()
        }
        try store.close()
        for condition in [
            "n = 1e300", "n IN (1e300, -1e300)", "n = 9e999", "n = -9e999", "n = 7.0", "n = 7.5", "n = 2399",
            "big = 9223372036854775807", "big = 9223372036854775806", "big = -9223372036854775807",
            "big = 9223372036854775807.0", "mix = 'm12'", "mix = 6.5", "mix IN (6.5, 'm12', 'nothing')", "mix = '6.5'",
            "key = 'k-2-77'", "key IN ('k-1-5', 'k-3-6')", "key = 'nowhere'", "ok = 1 AND key = 'k-2-78'", "ok = 2",
            "id = '\(Fixed.id(99 << 24 | 5).uuidString.lowercased())'", "id = '\(Fixed.id(1).uuidString.lowercased())'",
            "key IS 'k-2-77'", "key IS NULL", "'k-2-77' = key AND n = 77",
        ] {
            let opened = try folder.open()
            let rows = try opened.ask("SELECT key FROM events WHERE \(condition) ORDER BY key")
            // OR with what never holds keeps the conditions from being looked at one by one.
            let whole = try opened.ask("SELECT key FROM events WHERE (\(condition)) OR n < -1 ORDER BY key")
            #expect(rows == whole, "\(condition)")
            try opened.close()
        }
    }

    /// The columns of batches in memory are cached: a question that leaves a batch out must not spoil the next.
    @Test func batchesInMemoryOutsideTheTimeRange() throws {
        let folder = TestFolder()
        let store = try folder.create()
        for (number, day) in [0, -2, 0].enumerated() {
            try store.append((0..<10).map { Known.event(number * 10 + $0, day: day) })
        }
        let late = try store.ask("SELECT sum(n), count(ms) FROM events WHERE timestamp >= \(Fixed.day) AND n >= 0")
        #expect(late == [[.integer(45 + 245), 13]])
        #expect(try store.ask("SELECT sum(n), count(ms), min(timestamp) FROM events WHERE n >= 0").first?.first == 435)
        #expect(
            try store.ask("SELECT sum(n), min(timestamp) FROM events WHERE timestamp >= \(Fixed.day) AND n >= 0")
                == [[290, .integer(Fixed.day)]])
        try store.close()
    }

    @Test func attributesOfTheJournalAlone() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([event(0, ["old": .integer(1)])])
        try store.flush()
        try store.append([event(1, ["fresh": .string("x"), "old": .integer(2)], entity: "b", type: "u")])
        #expect(try store.ask("SELECT fresh, old FROM events ORDER BY sequence") == [[.null, 1], ["x", 2]])
        #expect(try store.ask("SELECT entity, type FROM events WHERE fresh IS NOT NULL") == [["b", "u"]])
        #expect(try store.one("SELECT count(*) FROM events WHERE entity = 'b' AND type = 'u'") == 1)
        #expect(
            try store.ask("SELECT attributes FROM events ORDER BY sequence") == [
                [#"{"old":1}"#], [#"{"fresh":"x","old":2}"#],
            ])
        #expect(try store.one("SELECT count(fresh) FROM events") == 1)
        #expect(code { try store.ask("SELECT frsh FROM events") } == "invalid")
        try store.close()
    }

    @Test func partitionsOfWeeksAndMonths() throws {
        for partition in [Partition.week, .month] {
            let folder = TestFolder()
            let store = try Known.store(folder, perDay: 60, Fixed.create(partition))
            try store.compact()
            let byDay = try store.ask(
                "SELECT time_bucket('1 day', timestamp), count(*) FROM events GROUP BY 1 ORDER BY 1")
            #expect(byDay == (-3...0).map { [.integer(Fixed.day + $0 * Fixed.dayMs), $0 == 0 ? 30 : 60] })
            let day = "timestamp >= \(Fixed.day - Fixed.dayMs) AND timestamp < \(Fixed.day)"
            #expect(try store.one("SELECT count(*) FROM events WHERE \(day)") == 60)
            #expect(try store.one("SELECT count(*) FROM events WHERE \(day) AND entity = 'site1'") == 10)
            #expect(try store.ask("SELECT type, count(*) FROM events WHERE \(day) GROUP BY type").count == 3)
            try store.close()
        }
    }

    @Test func largeTexts() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 10)
        let any = (0..<900).map { "n = \($0)" }.joined(separator: " OR ")
        #expect(try store.one("SELECT count(*) FROM events WHERE \(any)") == 35)
        #expect(
            try store.one(
                "SELECT count(*) FROM events WHERE n IN (\((0..<50_000).map { "\($0)" }.joined(separator: ",")))") == 35
        )
        let deep = String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000)
        #expect(code { try store.ask("SELECT \(deep) FROM events") } == "limit")
        let nots = (0..<2000).map { "NOT n = \($0)" }.joined(separator: " AND ")
        #expect(["limit", "(none)"].contains(code { try store.ask("SELECT count(*) FROM events WHERE \(nots)") }))
        try store.close()
    }

    @Test func treesOfTheBuilderHaveABound() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 10)
        var tree = QueryExpression.attribute("n") == 0
        for number in 1..<3000 { tree = tree || .attribute("n") == .value(Int64(number)) }
        let query = EventQuery.select(.count()).where(tree)
        #expect(["limit", "(none)"].contains(code { try store.query(query).rows() }))
        try store.close()
    }
}
