import EventStoreCore
import Testing

@testable import EventStoreQuery

/// Statements over the virtual tables: answers, what is pushed down, how a run ends.
@Suite struct SQLiteRunTests {
    @Test func joinsAndSelfJoins() throws {
        let table = MockTable.small(surplus: 0.5)
        let joined = try ask(
            """
            SELECT e.plan, count(*) FROM events v JOIN entities e ON e.name = v.entity GROUP BY 1 ORDER BY 1
            """, table)
        #expect(joined == [[.text("professional"), .integer(26)], [.text("starter"), .integer(14)]])
        let pairs = try ask(
            "SELECT count(*) FROM events a JOIN events b ON a.timestamp = b.timestamp AND a.sequence < b.sequence",
            table)
        #expect(pairs == [[.integer(20)]])
        let left = try ask(
            """
            SELECT count(*), count(b.id) FROM events a LEFT JOIN events b
            ON b."req.path" = a."req.path" AND b.sequence = a.sequence + 6
            """, table)
        #expect(left[0][0] == .integer(40))
    }

    @Test func windowsUnionsAndCommonTables() throws {
        let table = MockTable.small()
        let ranked = try ask(
            """
            SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY entity ORDER BY sequence DESC) AS n FROM events)
            WHERE n = 1 ORDER BY id
            """, table)
        #expect(ranked == [[.text("id-38")], [.text("id-39")]])
        let recursive = try ask(
            """
            WITH RECURSIVE steps(at) AS (SELECT 1000 UNION ALL SELECT at + 1 FROM steps WHERE at < 1003)
            SELECT at, (SELECT count(*) FROM events WHERE timestamp = at) FROM steps
            """, table)
        #expect(recursive == (1000...1003).map { [.integer($0), .integer(2)] })
        let union = try ask(
            "SELECT entity FROM events UNION SELECT name FROM entities UNION SELECT 'c' ORDER BY 1 DESC", table)
        #expect(union == [[.text("c")], [.text("b.example")], [.text("a.example")]])
        let nested = try ask(
            """
            SELECT count(*) FROM events e WHERE entity IN (SELECT name FROM entities WHERE plan = 'starter')
            AND EXISTS (SELECT 1 FROM events o WHERE o.sequence = e.sequence + 1)
            """, table)
        #expect(nested == [[.integer(13)]])
        #expect(try ask("WITH c AS (SELECT 1 UNION SELECT 2) SELECT count(*) FROM c", table) == [[.integer(2)]])
    }

    @Test func starGivesFixedColumnsAndHiddenOnesHaveNames() throws {
        let run = try SQLiteRun(
            text: "SELECT *, status, min(timestamp) OVER () AS least, time_bucket(10, timestamp) AS day FROM events",
            attributes: MockTable.attributes, parameters: [:], table: MockTable.small(), zones: NoZones(),
            memoryLimit: 1 << 20)
        #expect(run.columns.map(\.name).prefix(7) == FixedColumn.allCases.map(\.rawValue)[...])
        #expect(run.columns.filter(\.isTime).map(\.name) == ["timestamp", "received", "day"])
        #expect(try rows(of: run).count == 40)
        #expect(try run.next(max: 1) == nil)
    }

    @Test func onlyColumnsUsedAreAskedFor() throws {
        let table = MockTable.small()
        _ = try ask("SELECT count(*) FROM events", table)
        #expect(table.scans[0].columns.isEmpty)
        table.forget()
        _ = try ask("SELECT \"req.path\" FROM events WHERE entity = 'a.example' ORDER BY status", table)
        #expect(Set(table.scans[0].columns) == [.attribute("req.path"), .fixed(.entity), .attribute("status")])
        let many = (0..<80).map { "n\($0)" }
        let wide = MockTable([
            [.attribute("n70"): .integer(7), .attribute("n75"): .integer(8), .attribute("n3"): .null]
        ])
        #expect(try ask("SELECT n70 + n75 FROM events", wide, attributes: many) == [[.integer(15)]])
        #expect(wide.scans[0].columns == [.attribute("n70"), .attribute("n75")])
    }

    @Test func ordersAreTakenOver() throws {
        let table = MockTable.small()
        for (order, newestFirst) in [
            ("timestamp", false), ("timestamp DESC", true), ("timestamp, sequence", false),
            ("timestamp DESC, sequence DESC", true), ("timestamp DESC, sequence", nil), ("sequence", nil),
            ("timestamp, sequence, id", nil),
        ] as [(String, Bool?)] {
            table.forget()
            let rows = try ask("SELECT sequence FROM events WHERE status >= 201 ORDER BY \(order) LIMIT 5", table)
            #expect(rows.count == 5)
            #expect(table.scans[0].newestFirst == newestFirst, "\(order)")
        }
    }

    @Test func conditionsArePushedDown() throws {
        let table = MockTable.small()
        func pushed(_ condition: String, _ parameters: [String: SQLValue] = [:]) throws -> [[ColumnCondition.Test]] {
            table.forget()
            _ = try ask("SELECT id, entity, status FROM events WHERE \(condition)", table, parameters)
            return table.scans.map { $0.conditions.map(\.test) }
        }
        #expect(try pushed("entity = 'a'") == [[.equal(.text("a"))]])
        #expect(
            try pushed("timestamp >= 5 AND timestamp < 9.5") == [[.greaterOrEqual(.integer(5)), .less(.double(9.5))]])
        #expect(try pushed("timestamp = '5'") == [[.equal(.integer(5))]])
        #expect(try pushed("entity IN ('a', 'b', NULL)") == [[.oneOf([.text("a"), .text("b")])]])
        #expect(try pushed("status IN (200, 404)") == [[.oneOf([.integer(200), .integer(404)])]])
        #expect(try pushed("status = 200") == [[.equal(.integer(200))]])
        #expect(try pushed("status IS NULL") == [[.isNull]])
        #expect(try pushed("status IS NOT NULL") == [[.isNotNull]])
        #expect(try pushed("entity LIKE 'a%'") == [[.like("a%")]])
        #expect(try pushed("entity GLOB 'a*'")[0].contains(.glob("a*")))
        #expect(try pushed("entity LIKE 'a!%' ESCAPE '!'") == [[]])
        #expect(try pushed("entity = 'A' COLLATE NOCASE") == [[]])
        #expect(try pushed("entity = 5") == [[]])
        #expect(try pushed("status = NULL") == [])
        // What a parameter may be compared as is not known: two scans, numbers and text.
        #expect(try pushed(":s = status", ["s": .integer(200)]) == [[.equal(.integer(200))], [.isText]])
        #expect(try pushed("status = :s", ["s": .text("GET")]) == [[.equal(.text("GET"))]])
        #expect(try pushed("entity = :s", ["s": .text("12")]) == [[.equal(.text("12"))]])
    }

    @Test func textThatIsNoTimeIsRefused() throws {
        let table = MockTable.small()
        for text in [
            "SELECT 1 FROM events WHERE timestamp > 'yesterday'",
            "SELECT 1 FROM events WHERE received IN ('now')",
            "SELECT 1 FROM events e JOIN entities n ON e.timestamp = n.name",
        ] {
            let fault = #expect(throws: Fault.self) { try ask(text, table) }
            #expect(fault?.code == .invalid)
            #expect(fault?.message.contains("no time") == true)
        }
    }

    @Test func joinsKeepRowsInsteadOfScanningAgain() throws {
        let table = MockTable.small(400, surplus: 0.1)
        let text =
            "SELECT count(*), sum(b.sequence) FROM events a CROSS JOIN events b ON b.ms = a.ms AND b.status <> 203"
        let expected = try ask(text, table)
        table.forget()
        #expect(try ask(text, table, keepsRows: true) == expected)
        #expect(table.scans.count < 100)
        #expect(expected == [[.integer(320), .integer((0..<400).filter { $0 % 5 != 3 }.reduce(0, +))]])
    }

    @Test func errorsOfTheCursorComeThrough() throws {
        let damage = Fault(.damaged, "a block does not decode", at: Fault.Place(block: 3))
        let table = MockTable.small(failure: (10, damage))
        let run = try SQLiteRun(
            text: "SELECT id FROM events", attributes: [], parameters: [:], table: table, zones: NoZones(),
            memoryLimit: 1 << 20)
        #expect(try run.next(max: 10)?[0].count == 10)
        let fault = #expect(throws: Fault.self) { try run.next(max: 10) }
        #expect(fault?.code == .damaged)
        #expect(fault?.place.block == 3)
        #expect(try run.next(max: 10) == nil)
        let sorted = #expect(throws: Fault.self) { try ask("SELECT max(status) FROM events GROUP BY entity", table) }
        #expect(sorted?.code == .damaged)
    }

    @Test func closedEarlyAndInterrupted() async throws {
        let text =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0"
        let early = try SQLiteRun(
            text: "SELECT id FROM events", attributes: [], parameters: [:], table: MockTable.small(), zones: NoZones(),
            memoryLimit: 1 << 20)
        #expect(try early.next(max: 3)?[0].count == 3)
        early.close()
        early.close()
        #expect(try early.next(max: 3) == nil)

        let endless = try SQLiteRun(
            text: text, attributes: [], parameters: [:], table: MockTable.small(), zones: NoZones(),
            memoryLimit: 1 << 30)
        let stopper = Task.detached {
            try await Task.sleep(for: .milliseconds(30))
            endless.interrupt()
        }
        let fault = #expect(throws: Fault.self) { try endless.next(max: 1) }
        #expect(fault?.code == .cancelled)
        try await stopper.value
    }

    @Test func memoryIsBounded() throws {
        let table = MockTable.small(200)
        let fault = #expect(throws: Fault.self) {
            try ask(
                """
                SELECT a.id || b.id || hex(a.id || c.id) AS x FROM events a, events b, events c ORDER BY x LIMIT 1000000
                """, table, memoryLimit: 4 << 20)
        }
        #expect(fault?.code == .limit)
        let quantile = #expect(throws: Fault.self) {
            try ask("SELECT quantile(a.ms, 0.5) FROM events a, events b, events c", table, memoryLimit: 1 << 20)
        }
        #expect(quantile?.code == .limit)
    }

    @Test func plansAreExplained() throws {
        let run = try SQLiteRun(
            text:
                "SELECT * FROM events v JOIN entities e ON e.name = v.entity WHERE v.timestamp > 5 ORDER BY timestamp",
            attributes: [], parameters: [:], table: MockTable.small(), zones: NoZones(), memoryLimit: 1 << 20)
        let lines = try run.explain()
        #expect(lines.count >= 2)
        #expect(lines.contains { $0.hasPrefix("SCAN v (pushed down: timestamp > ?") })
        #expect(lines.contains { $0.contains("entity = ?") || $0.contains("name = ?") }, "\(lines)")
        #expect(try rows(of: run).count == 40)
    }
}
