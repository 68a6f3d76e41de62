/// Rows of queries in the four formats.

import EventStoreCore
import EventStoreQuery
import Foundation
import Testing

@testable import EventStore
import EventStoreCLI

@Suite("Rows of queries")
struct QueryWriterTests {
    private static let columns = [
        QueryColumn(name: "name", isTime: false), QueryColumn(name: "n", isTime: false),
        QueryColumn(name: "x", isTime: false), QueryColumn(name: "at", isTime: true),
        QueryColumn(name: "n", isTime: false),
    ]
    private static let full: [SQLValue] = [
        .text("a \"b\",\n\u{1b}é"), .integer(.max), .double(5), .integer(1_795_428_000_500), .integer(-1),
    ]
    private static let empty: [SQLValue] = [.text(""), .null, .double(.infinity), .null, .null]

    private func written(
        _ format: RowFormat, _ rows: [[SQLValue]], columns: [QueryColumn] = Self.columns,
        terminal: Terminal = Terminal(), zone: String = "UTC"
    ) throws -> String {
        let times = TimeText(zone: try #require(TimeZone(identifier: zone)))
        return try captured { output in
            let writer = try QueryWriter(
                columns: columns, format: format, output: output, times: times, terminal: terminal)
            // In batches of two, as rows come.
            for start in stride(from: 0, to: rows.count, by: 2) {
                let part = rows[start..<min(start + 2, rows.count)]
                let batch = QueryBatch(
                    columns: columns.indices.map { column in part.map { $0[column] } }, count: part.count)
                try writer.write(batch, rows: 0..<batch.count)
            }
            try writer.finish()
        }
    }

    @Test func json() throws {
        let first =
            #"{"name":"a \"b\",\n\u001bé","n":9223372036854775807,"x":5.0,"at":1795428000500,"n_2":-1}"#
        let second = #"{"name":"","n":null,"x":null,"at":null,"n_2":null}"#
        #expect(try written(.ndjson, [Self.full, Self.empty]) == first + "\n" + second + "\n")
        #expect(
            try written(.json, [Self.full, Self.empty, Self.empty]) == "[\n\(first),\n\(second),\n\(second)\n]\n")
        #expect(try written(.json, []) == "[]\n")
        #expect(try written(.ndjson, []).isEmpty)
    }

    @Test func csv() throws {
        #expect(
            try written(.csv, [Self.full, Self.empty], zone: "Asia/Kolkata")
                == "\"name\",\"n\",\"x\",\"at\",\"n\"\n"
                + "\"a \"\"b\"\",\n\u{1b}é\",9223372036854775807,5.0,\"2026-11-23T15:30:00.500+05:30\",-1\n"
                + "\"\",,inf,,\n")
    }

    @Test func tables() throws {
        let rows: [[SQLValue]] = [
            [.text("a\u{1b}"), .integer(1), .double(0.5), .integer(0), .null],
            [.null, .null, .double(12.25), .null, .integer(1000)],
        ]
        #expect(
            try written(.table, rows)
                == """
                name        n      x  at                           n
                ───────  ────  ─────  ────────────────────────  ────
                a\\u{1b}     1    0.5  1970-01-01T00:00:00.000Z  NULL
                NULL     NULL  12.25  NULL                      1000

                """)
        #expect(try written(.table, []).hasPrefix("name  n  x  at  n\n"))
    }

    @Test func nullIsFaintAndTextIsNot() throws {
        let columns = [QueryColumn(name: "a", isTime: false), QueryColumn(name: "b", isTime: false)]
        let text = try written(
            .table, [[.null, .text("NULL")]], columns: columns,
            terminal: Terminal(isTerminal: true, width: 40, colours: true))
        #expect(text.hasSuffix("\u{1b}[2mNULL  \u{1b}[0mNULL\n"))
    }

    @Test func longTextSharesTheRoom() throws {
        let columns = ["path", "n", "agent"].map { QueryColumn(name: $0, isTime: false) }
        let row: [SQLValue] = [
            .text(String(repeating: "p", count: 60)), .integer(123_456_789), .text(String(repeating: "u", count: 90)),
        ]
        let text = try written(
            .table, [row], columns: columns, terminal: Terminal(isTerminal: true, width: 50))
        let last = try #require(text.split(separator: "\n").last)
        #expect(TextLayout.width(String(last)) == 50)
        #expect(last.contains("123456789") && last.hasPrefix("pppp") && last.hasSuffix("u…"))
        // Elsewhere nothing is cut.
        #expect(try written(.table, [row], columns: columns).contains(String(repeating: "u", count: 90)))
    }

    @Test func tooManyColumnsBecomeRecords() throws {
        let columns = (0..<9).map { QueryColumn(name: "column_\($0)", isTime: false) }
        let rows = [(0..<9).map { SQLValue.integer(Int64($0) * 1_000_000) }, [SQLValue](repeating: .null, count: 9)]
        let text = try written(.table, rows, columns: columns, terminal: Terminal(isTerminal: true, width: 60))
        let lines = text.split(separator: "\n")
        #expect(lines.count == 20)
        #expect(lines[0].hasPrefix("── 1 ──"))
        #expect(lines[2] == "column_1  1000000")
        #expect(lines[19] == "column_8  NULL")
    }

    @Test func uniqueNames() {
        #expect(QueryWriter.unique(["a", "b", "a", "a"]) == ["a", "b", "a_2", "a_3"])
        #expect(QueryWriter.unique(["a", "a", "a_2", "a_2"]) == ["a", "a_3", "a_2", "a_2_2"])
    }

    @Test func timing() {
        var statistics = QueryStatistics()
        statistics.rowsScanned = 60_000
        statistics.blocksRead = 1
        statistics.blocksPruned = 12
        statistics.bytesRead = 1_400_000
        statistics.rowsReturned = 1
        statistics.milliseconds = 3.14159
        #expect(
            QueryTiming.line(statistics)
                == "60,000 rows scanned, 1 block read, 12 pruned, 1.4 MB read, 1 row returned, 3.14 ms, native")
        statistics.isNative = false
        #expect(QueryTiming.line(statistics).hasSuffix(", SQLite"))
    }
}

@Suite("Charts of queries")
struct ChartRowsTests {
    private static let hour: Int64 = 3_600_000
    private static let start: Int64 = 1_795_392_000_000

    private func chart(_ columns: [String], _ rows: [[QueryValue]]) throws -> ChartData? {
        var chart = try ChartRows(columns: columns)
        for row in rows { try chart.add(row) }
        return try chart.data()
    }

    @Test func gapsAreFilled() throws {
        let rows: [[QueryValue]] = [0, 1, 4].map { [.integer(Self.start + $0 * Self.hour), .integer($0 + 1)] }
        let data = try #require(try chart(["hour", "n"], rows))
        #expect(data.grid.starts.count == 5 && data.grid.bucket == .fixed(Self.hour))
        #expect(data.series == [ChartSeries(name: "n", counts: [1, 2, 0, 0, 5])])
        #expect(data.scale == 1)
    }

    @Test func seriesAndFractions() throws {
        let rows: [[QueryValue]] = [
            [.integer(Self.start), .text("a"), .double(0.25)], [.integer(Self.start), .null, .integer(1)],
            [.integer(Self.start + Self.hour), .text("a"), .null], [.null, .text("a"), .integer(7)],
            [.integer(Self.start + Self.hour), .integer(5), .double(0.5)],
        ]
        let data = try #require(try chart(["hour", "s", "v"], rows))
        #expect(data.scale == 1e6)
        #expect(data.series.map(\.name) == ["(absent)", "5", "a"])
        #expect(data.series[2].counts == [250_000, 0])
        let text = ChartRenderer(data, style: ChartStyle(width: 70, height: 4, grouped: true), zone: .gmt)
            .text(title: "v")
        #expect(text.contains("0.5 ┤") && text.contains("peak 0.25  Nov 23 00:00"))
    }

    @Test func daysAndMonthsOfDifferentLength() throws {
        let zone = try #require(TimeZone(identifier: "Europe/Berlin"))
        func starts(_ days: [String]) -> [[QueryValue]] {
            days.compactMap { TimeExpression.parse($0, nowMs: 0, zone: zone) }.map { [.integer($0), .integer(1)] }
        }
        let days = try #require(
            try chart(["d", "n"], starts(["2026-03-27", "2026-03-28", "2026-03-29", "2026-03-31"])))
        #expect(days.grid.starts.count == 5 && days.grid.bucket == .fixed(86_400_000))
        let months = try #require(
            try chart(["m", "n"], starts(["2026-01-01", "2026-02-01", "2026-03-01", "2026-06-01"])))
        #expect(months.grid.starts.count == 6 && months.grid.bucket == .months(1))
        #expect(months.total == 4)
    }

    @Test func whatCannotBeDrawn() throws {
        #expect(throws: CLIFailure.self) { try chart(["a"], []) }
        #expect(throws: CLIFailure.self) { try chart(["a", "b", "c", "d"], []) }
        #expect(throws: CLIFailure.self) { try chart(["a", "b"], [[.text("2026"), .integer(1)]]) }
        #expect(throws: CLIFailure.self) { try chart(["a", "b"], [[.integer(0), .text("1")]]) }
        #expect(throws: CLIFailure.self) { try chart(["a", "b"], [[.integer(0), .integer(-1)]]) }
        #expect(throws: CLIFailure.self) {
            try chart(["a", "b"], [[.integer(.min), .integer(1)], [.integer(0), .integer(1)]])
        }
        #expect(throws: CLIFailure.self) {
            try chart(["a", "b"], [0, 1, 1_000_000].map { [.integer($0), .integer(1)] })
        }
        #expect(try chart(["a", "b"], [[.integer(0), .null]]) == nil)
        #expect(throws: CLIFailure.self) { try chart(["a", "b"], [[.integer(1 << 50), .integer(1)]]) }
        #expect(try chart(["a", "b"], [[.integer(1 << 50 - 1), .integer(1)]]) != nil)
    }
}
