// Questions that were answered wrongly once, asked again by hand: each names what it was.

import EventStore
import Testing

@Suite("Found before")
struct FoundTests {
    /// The same text for both sides.
    private static func agrees(_ sql: String, _ data: DataSet, _ location: SourceLocation = #_sourceLocation) throws {
        let wanted = try data.reference.connection.rows(sql)
        let got = data.ask(sql, [:])
        guard let rows = got.answer.rows else {
            Issue.record("\(sql): \(got.answer.failure ?? "")", sourceLocation: location)
            return
        }
        #expect(rows == wanted, "\(sql)", sourceLocation: location)
    }

    @Test("Sums of whole doubles are doubles")
    func sums() throws {
        let data = try DataSet(Population(seed: 11, rows: 300...400))
        for argument in ["pair", "round(\"o'clock\")", "status % 7.5", "\"payload.size\"", "numtext", "code"] {
            try Self.agrees("SELECT typeof(sum(\(argument))) FROM events", data)
        }
    }

    @Test("Columns of rows in memory that were read for one time range serve all others")
    func ranges() throws {
        for seed in UInt64(1)...6 {
            let data = try DataSet(Population(seed: seed, rows: 300...400))
            let times = data.events.map(\.timestamp).sorted()
            for part in 0..<8 {
                let since = times[times.count * part / 8]
                try Self.agrees(
                    "SELECT count(*), count(status), sum(delta) FROM events WHERE timestamp >= \(since) AND timestamp < \(since + 3_600_000)",
                    data)
            }
            try Self.agrees("SELECT count(*), count(status), sum(delta), count(DISTINCT id) FROM events", data)
        }
    }

    @Test("Numbers that no integer can equal are compared with integers")
    func beyond() throws {
        let data = try DataSet(Population(seed: 12, rows: 300...400))
        for value in ["1e308", "-1e308", "9.3e18", "-9.3e18", "9223372036854775807", "9.223372036854775808e18"] {
            for column in ["status", "big", "edge", "duration"] {
                try Self.agrees("SELECT count(*) FROM events WHERE \(column) = \(value)", data)
                try Self.agrees("SELECT count(*) FROM events WHERE \(column) IN (\(value), 1)", data)
                try Self.agrees("SELECT count(*) FROM events WHERE \(column) < \(value)", data)
            }
        }
    }

    @Test("Quantiles between numbers that are further apart than any double")
    func distantQuantiles() throws {
        let data = try DataSet(Population(seed: 14, rows: 300...400))
        for share in ["0", "0.25", "0.5", "1"] {
            let value = "quantile(CASE WHEN sequence % 2 THEN 1e308 ELSE -1e308 END, \(share))"
            let question =
                "SELECT \(value) FROM events WHERE sequence IN (SELECT min(sequence) FROM events UNION SELECT min(sequence) + 1 FROM events)"
            try Self.agrees(question, data)
            let first = data.events[0].sequence
            try Self.agrees("SELECT \(value) FROM events WHERE sequence IN (\(first), \(first + 1))", data)
        }
        #expect(
            try data.reference.connection.rows(
                "SELECT quantile(CASE WHEN number % 2 THEN 1e308 ELSE -1e308 END, 0.5) FROM events WHERE number < 2")
                == [[.real(0)]])
    }

    @Test("True and NULL is NULL, also when it is counted")
    func logic() throws {
        let data = try DataSet(Population(seed: 13, rows: 300...400))
        for condition in ["mixed NOT BETWEEN 0 AND 0", "mixed BETWEEN 0 AND 9", "NOT (status > 0 AND small > 0)"] {
            try Self.agrees("SELECT count((\(condition))), sum(\(condition)), count(*) FROM events", data)
            try Self.agrees("SELECT count(*) FROM events WHERE (\(condition)) IS NULL", data)
            try Self.agrees("SELECT typeof((\(condition))) AS k, count(*) FROM events GROUP BY k ORDER BY k", data)
        }
    }
}
