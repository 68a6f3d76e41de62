/// Axes: round numbers up the side, round local times along the foot.

import EventStoreCLI
import Foundation
import Testing

@Suite("Chart axes")
struct ChartScaleTests {
    @Test func valueAxesAreRoundAndReachTheTop() {
        for rows in [2, 3, 4, 6, 8, 12, 24] {
            for value in [0, 1, 2, 3, 7, 10, 11, 99, 100, 101, 999, 12_345, 1_000_000, 987_654_321] {
                let axis = ValueAxis(max: value, rows: rows)
                #expect(axis.top >= value && axis.top >= 1)
                #expect(axis.top % axis.steps == 0)
                #expect(rows % axis.steps == 0)
                #expect(axis.top <= max(value, 1) * 4, "\(value) in \(rows) rows: top \(axis.top)")
            }
        }
        #expect(ValueAxis(max: 1000, rows: 12) == ValueAxis(max: 998, rows: 12))
    }

    @Test func oddHeightsHaveAnAxisToo() {
        for rows in [5, 7, 11, 13] {
            let axis = ValueAxis(max: 50, rows: rows)
            #expect(axis.top >= 50)
            #expect(rows % axis.steps == 0)
        }
    }

    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1k"), (1500, "1.5k"), (1250, "1.25k"), (20_000, "20k"), (1_000_000, "1M"),
        (2_500_000, "2.5M"), (3_000_000_000, "3G"),
    ])
    func valueLabels(value: Int, label: String) { #expect(ValueAxis.label(value) == label) }

    private func labels(_ since: String, _ until: String, _ bucket: String, zone: String = "UTC", bar: Int = 1) throws
        -> [String]
    {
        let zone = try #require(TimeZone(identifier: zone))
        let width = try #require(ChartBucket(argument: bucket))
        let lower = try #require(TimeExpression.parse(since, nowMs: 0, zone: zone))
        let upper = try #require(TimeExpression.parse(until, nowMs: 0, zone: zone))
        let grid = try #require(ChartGrid(range: lower..<upper, bucket: width, zone: zone))
        let ticks = TimeAxis.ticks(grid, zone: zone, barColumns: bar)
        // Labels never touch.
        for (a, b) in zip(ticks, ticks.dropFirst()) { #expect((b.bar - a.bar) * bar > a.label.count) }
        return ticks.map { "\($0.bar) \($0.label)" }
    }

    @Test func ticksAreRoundLocalTimes() throws {
        #expect(
            try labels("2026-11-23T10:00", "2026-11-23T11:00", "1m")
                == ["0 10:00", "15 10:15", "30 10:30", "45 10:45"])
        #expect(
            try labels("2026-11-23", "2026-11-25", "1h", zone: "Europe/Berlin")
                == ["0 Nov 23", "12 12:00", "24 Nov 24", "36 12:00"])
        #expect(try labels("2026-11-20", "2026-11-23", "6h", bar: 4) == ["0 Nov 20", "4 Nov 21", "8 Nov 22"])
        #expect(
            try labels("2026-01-01", "2027-01-01", "1mo", bar: 4) == [
                "0 2026-01", "3 2026-04", "6 2026-07", "9 2026-10",
            ])
        #expect(try labels("2026-11-02", "2026-12-28", "1w", bar: 5).first == "0 Nov 2")
        #expect(
            try labels("2026-02-01", "2026-03-04", "12h")
                == ["0 Feb 1", "20 Feb 11", "40 Feb 21", "56 Mar 1"])
        #expect(
            try labels("2026-01-01", "2026-02-04", "12h").prefix(3) + labels("2026-01-20", "2026-02-04", "12h")
                == ["0 Jan 1", "10 Jan 6", "20 Jan 11", "2 Jan 21", "12 Jan 26", "24 Feb 1"])
    }

    @Test func everyGridHasATick() throws {
        for bucket in ["1s", "7s", "1m", "13m", "1h", "5h", "1d", "3d", "1w", "1mo", "7mo", "1y"] {
            let width = try #require(ChartBucket(argument: bucket))
            for bars in [1, 2, 10, 70] as [Int64] {
                let range = 1_795_428_000_000..<(1_795_428_000_000 + bars * width.approximateMs)
                let grid = try #require(ChartGrid(range: range, bucket: width, zone: .gmt))
                #expect(!TimeAxis.ticks(grid, zone: .gmt, barColumns: 1).isEmpty, "\(bars) bars of \(bucket)")
            }
        }
    }
}
