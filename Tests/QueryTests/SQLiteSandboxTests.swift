import EventStoreCore
import Testing

@testable import EventStoreQuery

/// What a statement may not do, and how it is told.
@Suite struct SQLiteSandboxTests {
    @Test(arguments: [
        "ATTACH '/tmp/x.db' AS x", "DETACH main", "PRAGMA writable_schema = ON", "PRAGMA table_info(events)",
        "SELECT load_extension('x')", "CREATE TABLE t(a)", "CREATE TEMP TABLE t(a)", "CREATE VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE t USING fts5(a)", "CREATE TRIGGER t AFTER INSERT ON events BEGIN SELECT 1; END",
        "INSERT INTO events(id) VALUES ('x')", "UPDATE events SET id = 'x'", "DELETE FROM events",
        "DROP TABLE events", "VACUUM", "VACUUM INTO '/tmp/x.db'", "BEGIN", "COMMIT", "SAVEPOINT s", "REINDEX",
        "ANALYZE",
        "SELECT * FROM sqlite_schema", "SELECT count(*) FROM sqlite_schema",
        "SELECT * FROM pragma_table_info('events')",
        "SELECT * FROM pragma_database_list", "SELECT * FROM dbstat", "SELECT * FROM sqlite_stmt",
        "SELECT readfile('/etc/passwd')", "SELECT fts5('x')", "SELECT sqlite_version()", "SELECT randomblob(10)",
        "UPDATE sqlite_schema SET sql = 'x'", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE events", "EXPLAIN SELECT 1",
        "", "-- nothing", ";", "WITH x AS (SELECT 1) DELETE FROM events", "SELECT 1 RETURNING 2", "SELECT \"nosuch\"",
        "SELECT ?", "SELECT :missing", "SELECT first(status) FROM events", "SELECT 1 /* ; */ ; SELECT",
        "INSERT INTO json_each VALUES (1)", "SELECT * FROM json_each_x",
    ])
    func refused(_ text: String) {
        let table = MockTable.small()
        let fault = #expect(throws: Fault.self) { try ask(text, table) }
        #expect(fault?.code == .invalid, "\(text): \(String(describing: fault))")
        #expect(fault?.message.isEmpty == false)
        #expect(table.scans.isEmpty)
    }

    @Test(arguments: [
        "SELECT 1;", "SELECT 1; -- end", "SELECT 1;;; /* x */ ", " SELECT 1", "VALUES (1)",
        "SELECT 1 FROM json_each('[1]')", "SELECT json_array_length(attributes) + 1 FROM events LIMIT 1",
        "SELECT attributes->>'status' - 199 FROM events ORDER BY sequence LIMIT 1",
        "SELECT 1 WHERE 'ATTACH' LIKE 'attach'", "SELECT count(*) - 39 FROM \"events\"", "SELECT :one", "SELECT @one",
    ])
    func allowed(_ text: String) throws {
        #expect(try ask(text, MockTable.small(), ["one": .integer(1)]) == [[.integer(1)]])
    }

    @Test func errorsSayWhere() {
        let table = MockTable.small()
        let column = #expect(throws: Fault.self) { try ask("SELECT id,\n  nosuch FROM events", table) }
        #expect(column?.message == "line 2, column 3: no such column: nosuch")
        let missing = #expect(throws: Fault.self) { try ask("SELECT * FROM visitors", table) }
        #expect(missing?.message.contains("there are events, entities and segments") == true)
        let syntax = #expect(throws: Fault.self) { try ask("SELECT id FROM events WHERE WHERE", table) }
        #expect(syntax?.message.hasPrefix("line 1, column 29: ") == true)
        let first = #expect(throws: Fault.self) { try ask("SELECT first(ms) FROM events", table) }
        #expect(first?.message.contains("first(x, timestamp, sequence)") == true)
        let attach = #expect(throws: Fault.self) { try ask("ATTACH 'x' AS y", table) }
        #expect(attach?.message.contains("one SELECT over events, entities and segments") == true)
        let function = #expect(throws: Fault.self) { try ask("SELECT readfile('x')", table) }
        #expect(function?.message.contains("readfile") == true)
        let blob = #expect(throws: Fault.self) { try ask("SELECT x'00'", table) }
        #expect(blob?.message.contains("BLOB") == true)
    }

    @Test func namesOfAttributes() throws {
        let odd = ["a\"b", "select", "sp ace", "dot.ted", "Ünï", "hidden"]
        let table = MockTable([Dictionary(uniqueKeysWithValues: odd.map { (ColumnName.attribute($0), .text($0)) })])
        let rows = try ask(
            "SELECT \"a\"\"b\", \"select\", \"sp ace\", \"dot.ted\", \"Ünï\", hidden FROM events", table,
            attributes: odd)
        #expect(rows == [odd.map { .text($0) }])
        let many = #expect(throws: Fault.self) {
            try ask("SELECT 1", table, attributes: (0..<1991).map { "a\($0)" })
        }
        #expect(many?.message.contains("1990") == true)
        #expect(try ask("SELECT 1 FROM events", table, attributes: (0..<1990).map { "a\($0)" }).count == 1)
        #expect(throws: Fault.self) { try ask("SELECT 1", table, attributes: ["foo", "Foo"]) }
        #expect(try ask("SELECT 1", table, attributes: ["type", "Type", "foo", "foo"]).count == 1)
    }

    @Test func aggregatesOfTheStore() throws {
        let table = MockTable.small()
        #expect(
            try ask("SELECT quantile(ms, 0.5), quantile(ms, 0), quantile(ms, 1) FROM events", table)
                == [[.double(9.75), .double(0), .double(19.5)]])
        #expect(try ask("SELECT quantile(id, 0.5), quantile(NULL, 0.5) FROM events", table) == [[.null, .null]])
        #expect(try ask("SELECT quantile(ms, 0.5) FROM events WHERE 0", table) == [[.null]])
        for share in ["1.1", "-0.1", "'x'", "NULL"] {
            let fault = #expect(throws: Fault.self) { try ask("SELECT quantile(ms, \(share)) FROM events", table) }
            #expect(fault?.message.contains("from 0 to 1") == true)
        }
        let moving = try ask(
            """
            SELECT quantile(ms, 0.25) OVER (ORDER BY sequence ROWS 2 PRECEDING) FROM events ORDER BY sequence LIMIT 4
            """, table)
        #expect(moving == [[.double(0)], [.double(0.125)], [.double(0.25)], [.double(0.75)]])
        let edges = try ask(
            """
            SELECT first(id, timestamp, sequence), last(id, timestamp, sequence), first("req.path", timestamp, sequence),
            last(id, -timestamp, -sequence) FROM events
            """, table)
        #expect(edges == [[.text("id-0"), .text("id-39"), .text("/page/1"), .text("id-0")]])
        #expect(try ask("SELECT last(id, timestamp) FROM events WHERE 0", table) == [[.null]])
    }
}
