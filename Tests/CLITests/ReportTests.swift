/// Reports as numbers and words: statistics, Prometheus' text format, charts as data, verification.

import EventStore
import EventStoreCLI
import Foundation
import Testing

@Suite("Reports")
struct ReportTests {
    private static var stats: StoreStats {
        var stats = StoreStats()
        stats.events = 1000
        stats.bytes = 41_500
        stats.entities = 2
        stats.segments = 3
        stats.partitions = 1
        stats.firstTimestamp = 1_795_428_000_500
        stats.nextSequence = 1001
        stats.eventsByType = [CountRow(key: "http.request", count: 900), CountRow(key: "odd \"x\"\n\\", count: 100)]
        stats.refusedByReason = ["bad-json": 2]
        return stats
    }

    @Test(
        "The contract's keys are there, under their names",
        arguments: [
            "events", "bytes", "entities", "segments", "partitions", "bytesPerEvent",
        ])
    func statsKeys(key: String) {
        let fields = StatsText.fields(Self.stats, times: TimeText(zone: .gmt))
        #expect(fields.contains { $0.key == key })
        #expect(Set(fields.map(\.key)).count == fields.count)
    }

    @Test func statsValues() {
        let fields = StatsText.fields(Self.stats, times: TimeText(zone: .gmt))
        let object = JSONValue.object(fields.map { ($0.key, $0.value) }).text
        #expect(object.hasPrefix(#"{"events":1000,"bytes":41500,"bytesPerEvent":41.5,"#))
        #expect(object.contains(#""firstTimestamp":1795428000500,"lastTimestamp":null,"#))
    }

    @Test func prometheus() {
        let text = StatsText.prometheus(Self.stats)
        #expect(
            text.hasPrefix(
                "# HELP eventstore_events Events stored.\n# TYPE eventstore_events gauge\neventstore_events 1000\n"))
        #expect(text.contains("eventstore_first_event_timestamp_seconds 1795428000.500\n"))
        #expect(!text.contains("last_event"))
        #expect(text.contains(#"eventstore_events_by_type{type="odd \"x\"\n\\"} 100"#))
        #expect(text.contains(#"eventstore_refused{reason="bad-json"} 2"#))
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
        }
        #expect(text.hasSuffix("\n"))
    }

    @Test func shares() {
        let text = StatsText.counts(Self.stats.eventsByType, name: "type", terminal: Terminal())
        #expect(text.contains("http.request     900  90.0 %\n"))
    }

    @Test func chartsAsNumbers() throws {
        let start: Int64 = 1_795_392_000_000
        let grid = try #require(
            ChartGrid(range: start..<(start + 7_200_000), bucket: .fixed(3_600_000), zone: .gmt))
        let data = ChartData(
            grid: grid,
            series: [ChartSeries(name: "b", counts: [1, 0]), ChartSeries(name: "a", counts: [2, 3])])
        let object =
            #"{"bucket":"1 h","starts":[1795392000000,1795395600000],"end":1795399200000,"series":"#
            + #"[{"name":"a","total":5,"counts":[2,3]},{"name":"b","total":1,"counts":[1,0]}]}"#
        func printed(_ format: RowFormat) throws -> String {
            try captured {
                try ChartNumbers.print(data, format: format, output: $0, times: TimeText(zone: .gmt))
                try $0.flush()
            }
        }
        #expect(try printed(.json) == object + "\n")
        #expect(
            try printed(.csv) == """
                "timestamp","series","events"
                "2026-11-23T00:00:00.000Z","a",2
                "2026-11-23T00:00:00.000Z","b",1
                "2026-11-23T01:00:00.000Z","a",3

                """)
        #expect(try printed(.ndjson).hasPrefix(#"{"timestamp":1795392000000,"series":"a","events":2}"# + "\n"))
    }

    @Test func verification() {
        var report = VerifyReport()
        report.segments = 2
        report.blocks = 5
        report.events = 1234
        report.bytes = 5_000
        report.seconds = 0.5
        #expect(VerifyText.summary(report).hasSuffix("5.0 kB, 0.50 s: all is well"))
        #expect(VerifyText.object(report).text.hasPrefix(#"{"ok":true,"segments":2,"blocks":5,"events":1234,"#))
        report.holes = [Hole(file: "segments/x.seg", entity: "e", block: 3, since: 1, until: 2, rows: 4, message: "m")]
        #expect(VerifyText.summary(report).hasSuffix(": 1 damaged"))
        let hole = #"{"entity":"e","since":1,"until":2,"rows":4,"file":"segments/x.seg","block":3,"message":"m"}"#
        #expect(VerifyText.object(report).text.hasSuffix(#","holes":["# + hole + "]}"))
        #expect(VerifyText.object(report).text.hasPrefix(#"{"ok":false,"#))
    }
}
