// The suite itself: its generator and its reference do what they claim, before anything is believed of the store.

import EventStore
import Foundation
import Testing

@Suite("The suite's own parts")
struct GeneratorTests {
    private static func dataSet(_ seed: UInt64) throws -> DataSet {
        try DataSet(Population(seed: seed, rows: 300...600))
    }

    @Test("Generated queries run in SQLite, most with rows; those that must fail do")
    func queriesRun() throws {
        let seed = UInt64.random(in: 0...1 << 40)
        print("generator: seed \(seed)")
        let data = try Self.dataSet(seed)
        var totals = Totals()
        let start = Date()
        for number in seed..<seed + 600 {
            var generator = QueryGenerator(
                events: data.events, seed: number, truth: data.truth, reads: data.reference.reads)
            let question = generator.question()
            let expected = data.expected(question)
            let mustFail = question.features.contains("must fail")
            if let failure = expected.answer.failure, !mustFail, failure != "integer overflow" {
                Issue.record("query \(number): \(failure): \(question.writtenForChecks(.reference).sql)")
            }
            if mustFail, expected.answer.rows != nil {
                Issue.record("query \(number) should fail: \(question.writtenForChecks(.reference).sql)")
            }
            totals.add(Verdict(isEmpty: expected.answer.rows?.isEmpty ?? true, features: question.features))
        }
        let speed = Double(totals.queries) / Date().timeIntervalSince(start)
        print(
            String(
                format: "generator: non-empty %.1f %%, %d features, %.0f queries/s by the reference",
                totals.nonEmptyShare,
                totals.features.count, speed))
        #expect(totals.nonEmptyShare >= 70)
        #expect(totals.features.count > 90)
    }

    @Test("A number gives the same query each time")
    func queriesRepeat() throws {
        let data = try Self.dataSet(3)
        func text(_ number: UInt64) -> String {
            var generator = QueryGenerator(
                events: data.events, seed: number, truth: data.truth, reads: data.reference.reads)
            return generator.question().written(.store).sql
        }
        for number in UInt64(0)..<50 { #expect(text(number) == text(number)) }
    }

    @Test("A data set has the entities, segments and journal rows that the suite promises")
    func dataSets() throws {
        for seed in UInt64(1)...3 {
            let data = try Self.dataSet(seed)
            #expect(Set(data.events.map(\.entity)).count >= 20)
            #expect(Set(data.events.map(\.type)).count >= 6)
            #expect(Set(data.events.flatMap(\.attributes.keys)).count >= 30)
            #expect(data.segments >= 3)
            let first = try data.reference.connection.rows("SELECT count(*), count(DISTINCT timestamp) FROM events")[0]
            #expect(first[0] == .integer(Int64(data.events.count)))
            #expect(Cell.sqlOrder(first[1], first[0]) < 0, "no ties")
        }
    }

    @Test(
        "Buckets of local days have 23 and 25 hours",
        arguments: [
            ("1 day", "Europe/Berlin", "2025-03-30T10:00:00.000+02:00", "2025-03-30T00:00:00.000+01:00"),
            ("1 day", "Europe/Berlin", "2025-10-26T23:00:00.000+01:00", "2025-10-26T00:00:00.000+02:00"),
            ("1 week", "Asia/Kolkata", "2025-09-04T01:00:00.000+05:30", "2025-09-01T00:00:00.000+05:30"),
            ("1 month", "America/New_York", "2025-03-31T10:00:00.000-04:00", "2025-03-01T00:00:00.000-05:00"),
            ("1 hour", "Australia/Lord_Howe", "2025-04-06T01:45:00.000+10:30", "2025-04-06T01:30:00.000+10:30"),
            ("6 hours", "Europe/Berlin", "2025-03-30T04:00:00.000+02:00", "2025-03-30T00:00:00.000+01:00"),
            ("15 minutes", "Asia/Kolkata", "2025-09-04T01:14:00.000+05:30", "2025-09-04T01:00:00.000+05:30"),
        ])
    func buckets(width: String, zone: String, time: String, start: String) throws {
        let calendar = try #require(CalendarTime(zone: zone))
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        let moment = try #require(formatter.date(from: time))
        let bucket = try #require(calendar.bucket(width, Int64(moment.timeIntervalSince1970 * 1000)))
        #expect(calendar.text(bucket) == start)
    }

    @Test("The functions of the reference")
    func functions() throws {
        let connection = try SQLiteConnection()
        try ReferenceFunctions.register(on: connection)
        try connection.execute(
            "CREATE TABLE t(x, timestamp, sequence); INSERT INTO t VALUES (4,1,2),(1,1,1),(NULL,0,0),(2,9,9)")
        #expect(
            try connection.rows("SELECT quantile(x, 0.5), quantile(x, 1), quantile(x, 0.25) FROM t")[0] == [
                .real(2), .real(4), .real(1.5),
            ])
        let order = "timestamp, sequence"
        #expect(
            try connection.rows("SELECT first(x, \(order)), last(x, \(order)) FROM t")[0] == [.integer(1), .integer(2)])
        #expect(
            try connection.rows(
                "SELECT exact_sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1 UNION ALL SELECT -1)")[0]
                == [.integer(.max)])
        let sum = "SELECT exact_sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)"
        #expect(try connection.rows(sum)[0] == [ExactSumState.overflow])
    }
}
