/// Queries from the text to what is printed, over a hand-made store.

import Foundation
import Testing

@testable import EventStore
import EventStoreCLI

@Suite("Queries from end to end")
struct SQLRunTests {
    private static let start: Int64 = 1_795_392_000_000

    private final class Made {
        let path = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString
        let store: BlockingEventStore

        init() throws {
            var options = OpenOptions()
            options.nowMs = { SQLRunTests.start + 86_400_000 }
            store = try BlockingEventStore.create(at: path, key: .raw([UInt8](repeating: 7, count: 32)), open: options)
            try store.append((0..<12).map { Made.event($0) })
            try store.flush()
        }

        private static func event(_ index: Int) -> Event {
            let status: AttributeValue = index == 5 ? 500 : 200
            return Event(
                entity: index < 8 ? "a.example" : "b.example", type: "http.request",
                timestamp: SQLRunTests.start + Int64(index) * 1_800_000, id: UUID(),
                attributes: index == 11 ? [:] : ["status": status, "ms": 1.5])
        }

        deinit {
            try? store.close()
            try? FileManager.default.removeItem(atPath: path)
        }

        func printed(
            _ text: SQLText, _ format: RowFormat, _ parameters: [String: QueryValue] = [:]
        ) throws -> String {
            let cursor = try store.query(text.query, parameters: parameters)
            return try captured { output in
                let writer = try QueryWriter(
                    columns: cursor.columns, format: format, output: output, times: TimeText(zone: .gmt),
                    terminal: Terminal())
                while let batch = try cursor.nextBatch() { try writer.write(batch, rows: 0..<batch.count) }
                try writer.finish()
            }
        }
    }

    @Test func rows() throws {
        let made = try Made()
        let text = SQLText(
            """
            SELECT entity, count(*) AS n, sum(status) s, min(timestamp) AS first, avg(ms) AS ms
            FROM events WHERE timestamp >= '2026-11-23' GROUP BY entity ORDER BY n DESC
            """)
        #expect(
            try made.printed(text, .ndjson)
                == #"{"entity":"a.example","n":8,"s":1900,"first":1795392000000,"ms":1.5}"# + "\n"
                + #"{"entity":"b.example","n":4,"s":600,"first":1795406400000,"ms":1.5}"# + "\n")
        #expect(
            try made.printed(text, .csv)
                == "\"entity\",\"n\",\"s\",\"first\",\"ms\"\n\"a.example\",8,1900,\"2026-11-23T00:00:00.000Z\",1.5\n"
                + "\"b.example\",4,600,\"2026-11-23T04:00:00.000Z\",1.5\n")
        let nulls = SQLText("SELECT status, status FROM events WHERE status IS NULL")
        #expect(try made.printed(nulls, .json) == "[\n{\"status\":null,\"status_2\":null}\n]\n")
    }

    @Test func parameters() throws {
        let made = try Made()
        let given = ["i=5", "d=2.5", "t=true", "n=null", "s='5'", "at:time=2026-11-23T01:00:00Z"]
        var values: [String: QueryValue] = [:]
        for text in given {
            let parameter = try SQLParameter(parsing: text) { TimeExpression.parse($0, nowMs: 0, zone: .gmt) }
            values[parameter.name] = parameter.value
        }
        let text = SQLText("SELECT :i AS i, :d AS d, :t AS t, :n AS n, :s AS s FROM events WHERE timestamp = :at")
        #expect(try made.printed(text, .ndjson, values) == #"{"i":5,"d":2.5,"t":1,"n":null,"s":"5"}"# + "\n")
    }

    @Test("What is wrong with a text is shown, and is wrong usage")
    func errors() throws {
        let made = try Made()
        for (query, column) in [("SELECT stauts FROM events", 7), ("SELECT count(* FROM events", 13)] {
            do {
                _ = try made.printed(SQLText(query), .json)
                Issue.record("understood: \(query)")
            } catch let error as EventStoreError {
                let end = CommandEnd(SQLText(query).failure(error, width: 80, unicode: true))
                #expect(end.exitCode == 64)
                let caret = "  " + String(repeating: " ", count: column) + "^"
                #expect(end.diagnostics.prefix(2) == ["  " + query, caret])
                #expect(end.diagnostics.last?.hasPrefix("error[invalid]: line 1, column \(column + 1): ") == true)
            }
        }
    }

    @Test func explained() throws {
        let made = try Made()
        let plan = try made.printed(SQLText("SELECT count(*) FROM events WHERE status = 1").explained(), .table)
        #expect(plan.contains("engine: native"))
    }

    @Test func charts() throws {
        let made = try Made()
        let cursor = try made.store.query(
            "SELECT time_bucket('1h', timestamp), entity, count(*) FROM events GROUP BY 1, 2")
        var rows = try ChartRows(columns: cursor.columns.map(\.name))
        for row in try cursor.rows() { try rows.add(row) }
        let data = try #require(try rows.data())
        #expect(data.grid.bucket == .fixed(3_600_000) && data.grid.starts.first == Self.start)
        #expect(data.series.map(\.name) == ["a.example", "b.example"])
        #expect(data.series.map(\.counts) == [[2, 2, 2, 2, 0, 0], [0, 0, 0, 0, 2, 2]])
    }
}
