/// Rows and objects in the four formats: quoting, absence, control characters, widths.

import EventStore
import Foundation
import Testing

import EventStoreCLI

/// What a closure writes to an `Output`.
func captured(_ work: (Output) throws -> Void) throws -> String {
    let path = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
    try #require(descriptor >= 0)
    defer {
        close(descriptor)
        unlink(path)
    }
    try work(Output(descriptor: descriptor))
    return try String(contentsOfFile: path, encoding: .utf8)
}

@Suite("Rows")
struct RowWriterTests {
    private static let columns = ["name", "n", "x", "ok", "at", "list"]
    private static let full: [Cell] = [
        .text("a \"b\", c"), .integer(.max), .double(0.1), .bool(true), .time(1_795_428_000_500), .json("[1,\"x\"]"),
    ]
    private static let empty: [Cell] = [.text(""), .absent, .absent, .absent, .absent, .absent]

    private func written(
        _ format: RowFormat, rows: [[Cell]], columns: [String] = Self.columns, terminal: Terminal = Terminal(),
        zone: String = "UTC"
    ) throws -> String {
        let times = TimeText(zone: try #require(TimeZone(identifier: zone)))
        return try captured { output in
            let writer = try RowWriter(
                columns: columns, format: format, output: output, times: times, terminal: terminal)
            for row in rows { try writer.write(row) }
            try writer.finish()
        }
    }

    @Test func csvQuotesStringsAndNothingElse() throws {
        let text = try written(.csv, rows: [Self.full, Self.empty])
        #expect(
            text == """
                "name","n","x","ok","at","list"
                "a ""b"", c",9223372036854775807,0.1,true,"2026-11-23T10:00:00.500Z","[1,""x""]"
                "",,,,,

                """)
    }

    @Test func csvKeepsEveryCharacter() throws {
        let text = try written(.csv, rows: [[.text("a\r\nb\t\u{0}é\u{1b}")], [.text("\r\n")]], columns: ["v"])
        #expect(text == "\"v\"\n\"a\r\nb\t\u{0}é\u{1b}\"\n\"\r\n\"\n")
    }

    @Test func csvShowsTimesInTheZone() throws {
        let text = try written(.csv, rows: [[.time(0)]], columns: ["t"], zone: "Asia/Kolkata")
        #expect(text == "\"t\"\n\"1970-01-01T05:30:00.000+05:30\"\n")
    }

    @Test func jsonIsOneArray() throws {
        let object =
            #"{"name":"a \"b\", c","n":9223372036854775807,"x":0.1,"ok":true,"at":1795428000500,"list":[1,"x"]}"#
        #expect(try written(.json, rows: [Self.full, Self.empty]) == "[\n\(object),\n{\"name\":\"\"}\n]\n")
        #expect(try written(.ndjson, rows: [Self.full, Self.empty]) == "\(object)\n{\"name\":\"\"}\n")
        #expect(try written(.json, rows: []) == "[]\n")
        #expect(try written(.ndjson, rows: []) == "")
    }

    @Test func tablesAlignNumbersToTheRight() throws {
        let text = try written(
            .table, rows: [[.text("a"), .integer(5)], [.text("long"), .integer(1234)]], columns: ["s", "n"])
        #expect(
            text == """
                s        n
                ────  ────
                a        5
                long  1234

                """)
    }

    @Test func tablesNeverSendControlCharacters() throws {
        let nasty = "\u{1b}[31mred\u{7}\n\u{202e}gnp.exe\u{9b}x"
        let text = try written(.table, rows: [[.text(nasty)]], columns: ["v"])
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) })
        #expect(text.contains(#"\u{1b}[31mred\u{7}\n\u{202e}gnp.exe\u{9b}x"#))
    }

    @Test func tablesAreCutOnATerminalOnly() throws {
        let row: [[Cell]] = [[.text("a"), .text(String(repeating: "x", count: 100))]]
        let narrow = Terminal(isTerminal: true, width: 30)
        let cut = try written(.table, rows: row, columns: ["s", "v"], terminal: narrow)
        #expect(cut.split(separator: "\n").allSatisfy { TextLayout.width(String($0)) <= 30 })
        #expect(cut.contains("…"))
        let whole = try written(.table, rows: row, columns: ["s", "v"])
        #expect(whole.contains(String(repeating: "x", count: 100)))
    }

    @Test func longTablesAreLaidOutInGroups() throws {
        let rows = (0..<1200).map { [Cell.integer(Int64($0)), .text("r\($0)")] }
        let lines = try written(.table, rows: rows, columns: ["n", "v"]).split(separator: "\n")
        #expect(lines.count == 1202)
        #expect(lines.last == "1199  r1199")
    }

    @Test func defaultsFollowTheTerminal() {
        #expect(RowFormat.standard(on: Terminal(isTerminal: true)) == .table)
        #expect(RowFormat.standard(on: Terminal(isTerminal: false)) == .ndjson)
    }
}

@Suite("Objects")
struct ObjectPrinterTests {
    private static let fields = [
        ReportField("events", count: 1_234_567, label: "events"),
        ReportField("bytes", bytes: 41_500_000, label: "size on disk"),
        ReportField("seconds", seconds: 1.23456, label: "took"),
        ReportField("firstTimestamp", time: nil, label: "first event", times: TimeText(zone: .gmt)),
        ReportField("name", .string("a \"b\""), label: "name", shown: "a"),
        ReportField("byType", .object([("x", .int(1))]), label: "", shown: nil),
    ]

    private func printed(_ format: RowFormat) throws -> String {
        try captured { output in
            try ObjectPrinter.print(Self.fields, format: format, output: output, terminal: Terminal())
            try output.flush()
        }
    }

    @Test func json() throws {
        let expected =
            #"{"events":1234567,"bytes":41500000,"seconds":1.235,"firstTimestamp":null,"name":"a \"b\"","byType":{"x":1}}"#
            + "\n"
        #expect(try printed(.json) == expected)
        #expect(try printed(.ndjson) == expected)
    }

    @Test func csv() throws {
        #expect(
            try printed(.csv)
                == "\"events\",\"bytes\",\"seconds\",\"firstTimestamp\",\"name\"\n"
                + "1234567,41500000,1.235,,\"a \"\"b\"\"\"\n")
    }

    @Test func table() throws {
        #expect(
            try printed(.table) == """
                events        1,234,567
                size on disk  41.5 MB
                took          1.23 s
                name          a

                """)
    }
}

@Suite("JSON text")
struct JSONValueTests {
    @Test func escapes() {
        #expect(JSONValue.string("\"\\\n\r\t\u{0}\u{1f}/é😀").text == #""\"\\\n\r\t\u0000\u001f/é😀""#)
    }

    @Test func numbers() {
        #expect(JSONValue.integer(.min).text == "-9223372036854775808")
        #expect(JSONValue.double(0.1).text == "0.1")
        #expect(JSONValue.double(5).text == "5.0")
        #expect(JSONValue.double(.nan).text == "null")
        #expect(JSONValue.double(.infinity).text == "null")
        #expect(JSONValue.array([.null, .bool(false), .raw("[1]"), .object([])]).text == "[null,false,[1],{}]")
    }

    @Test("Every double reads back as itself")
    func doublesRoundTrip() {
        let seed = UInt64.random(in: .min ... .max)
        var state = seed
        for _ in 0..<2000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let number = Double(bitPattern: state)
            guard number.isFinite else { continue }
            let text = JSONValue.double(number).text
            #expect(Double(text)?.bitPattern == number.bitPattern, "seed \(seed): \(text)")
        }
    }
}

@Suite("Import summary")
struct ImportSummaryTests {
    private static var report: ImportReport {
        var report = ImportReport()
        report.read = 1200
        report.stored = 1190
        report.duplicates = 5
        report.refused = 5
        report.entitiesAdded = ["a \"b\""]
        report.seconds = 1.23456
        report.refusedByReason = ["bad-json": 4, "future": 1]
        report.firstRefusals = [Refusal(source: "x.ndjson", line: 7, reason: "bad-json", detail: "odd \u{1b}[0m")]
        return report
    }

    @Test func theContractsKeysComeFirst() {
        let expected =
            #"{"read":1200,"stored":1190,"duplicates":5,"refused":5,"expired":0,"stripped":0,"#
            + #""entitiesAdded":["a \"b\""],"seconds":1.235,"#
        #expect(ImportSummary.line(Self.report).hasPrefix(expected))
    }

    @Test func refusalsAreCountedAndTheFirstShown() {
        #expect(
            ImportSummary.refusals(Self.report)
                == [
                    "refused 5 of 1,200:", "  bad-json  4", "  future    1", "first:",
                    #"  x.ndjson:7: bad-json: odd \u{1b}[0m"#,
                ])
    }
}
