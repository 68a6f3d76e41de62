/// Bars in time: widths, calendar grids across clock changes, and histograms put into them.

import EventStore
import EventStoreCLI
import Foundation
import Testing

@Suite("Chart buckets and grids")
struct ChartGridTests {
    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 24 * hour

    private static func zone(_ name: String) throws -> TimeZone { try #require(TimeZone(identifier: name)) }

    private static func ms(_ text: String) throws -> Int64 {
        try #require(TimeExpression.parse(text, nowMs: 0, zone: .gmt))
    }

    private static func grid(
        _ since: String, _ until: String, _ bucket: String, zone name: String = "UTC"
    ) throws -> ChartGrid {
        let width = try #require(ChartBucket(argument: bucket))
        return try #require(ChartGrid(range: ms(since)..<ms(until), bucket: width, zone: zone(name)))
    }

    @Test(arguments: [
        ("30s", ChartBucket.fixed(30_000), "30 s"), ("15m", .fixed(900_000), "15 min"), ("1h", .fixed(hour), "1 h"),
        ("24h", .fixed(day), "day"), ("1d", .fixed(day), "day"), ("2d", .fixed(2 * day), "2 days"),
        ("1w", .fixed(7 * day), "week"), ("1mo", .months(1), "month"), ("3mo", .months(3), "3 months"),
        ("1y", .months(12), "year"), ("2y", .months(24), "2 years"), ("250ms", .fixed(250), "250 ms"),
    ])
    func widths(argument: String, bucket: ChartBucket, text: String) {
        #expect(ChartBucket(argument: argument) == bucket)
        #expect(bucket.text == text)
    }

    @Test(arguments: ["", "1", "0h", "-1h", "h", "1.5h", "0mo", "1201mo", "1 h", "1M"])
    func otherWidthsAreRefused(argument: String) { #expect(ChartBucket(argument: argument) == nil) }

    @Test func fittingIsTheNarrowestNaturalWidth() {
        #expect(ChartBucket.fitting(0..<Self.hour, bars: 72) == .fixed(60_000))
        #expect(ChartBucket.fitting(0..<7 * Self.day, bars: 72) == .fixed(3 * Self.hour))
        #expect(ChartBucket.fitting(0..<30 * Self.day, bars: 72) == .fixed(12 * Self.hour))
        #expect(ChartBucket.fitting(0..<3650 * Self.day, bars: 72) == .months(3))
        for bars in [10, 72, 200] {
            for days in [1, 2, 9, 40, 400, 4000] as [Int64] {
                let range = 1_234_567..<(1_234_567 + days * Self.day)
                let bucket = ChartBucket.fitting(range, bars: bars)
                let count = ChartGrid(range: range, bucket: bucket, zone: .gmt)?.starts.count ?? .max
                #expect(count <= bars, "\(days) days, \(bars) bars of \(bucket.text): \(count)")
            }
        }
    }

    @Test func gridsBeginAtRoundTimes() throws {
        let hours = try Self.grid("2026-11-23T10:20", "2026-11-23T12:00", "1h")
        #expect(hours.starts == [try Self.ms("2026-11-23T10:00"), try Self.ms("2026-11-23T11:00")])
        #expect(hours.end == (try Self.ms("2026-11-23T12:00")))
        let weeks = try Self.grid("2026-11-25", "2026-12-01", "1w")
        // Mondays.
        #expect(weeks.starts == [try Self.ms("2026-11-23"), try Self.ms("2026-11-30")])
        let before1970 = try Self.grid("1969-12-31T23:30", "1970-01-01T00:30", "1h")
        #expect(before1970.starts == [-Self.hour, 0])
    }

    @Test func daysAreTheZones() throws {
        let days = try Self.grid("2026-11-22T23:00Z", "2026-11-24T23:00Z", "1d", zone: "Europe/Berlin")
        #expect(days.starts == [try Self.ms("2026-11-22T23:00"), try Self.ms("2026-11-23T23:00")])
        let kolkata = try Self.grid("2026-11-23T00:00", "2026-11-23T02:00", "1h", zone: "Asia/Kolkata")
        #expect(kolkata.starts.first == (try Self.ms("2026-11-22T23:30")))
    }

    @Test("Days of 23 and 25 hours keep their midnights")
    func clockChanges() throws {
        let spring = try Self.grid("2026-03-28T12:00", "2026-03-30T12:00", "1d", zone: "Europe/Berlin")
        let springLengths = zip(spring.starts, spring.starts.dropFirst() + [spring.end]).map { ($1 - $0) / Self.hour }
        #expect(springLengths == [24, 23, 24])
        let autumn = try Self.grid("2026-10-24T12:00", "2026-10-26T12:00", "1d", zone: "Europe/Berlin")
        let autumnLengths = zip(autumn.starts, autumn.starts.dropFirst() + [autumn.end]).map { ($1 - $0) / Self.hour }
        #expect(autumnLengths == [24, 25, 24])
        // Hours stay hours: 25 of them, none of them twice as long.
        let hours = try Self.grid("2026-10-24T22:00", "2026-10-25T23:00", "1h", zone: "Europe/Berlin")
        #expect(hours.starts.count == 25)
        #expect(zip(hours.starts, hours.starts.dropFirst()).allSatisfy { $1 - $0 == Self.hour })
    }

    @Test func monthsAndYears() throws {
        let months = try Self.grid("2025-12-15", "2026-03-01", "1mo")
        #expect(months.starts == [try Self.ms("2025-12-01"), try Self.ms("2026-01-01"), try Self.ms("2026-02-01")])
        #expect(months.end == (try Self.ms("2026-03-01")))
        let years = try Self.grid("2024-05-05", "2026-01-02", "1y", zone: "Europe/Berlin")
        #expect(
            years.starts
                == [
                    try Self.ms("2023-12-31T23:00"), try Self.ms("2024-12-31T23:00"), try Self.ms("2025-12-31T23:00"),
                ])
    }

    @Test func tooManyBarsAreRefused() {
        #expect(ChartGrid(range: 0..<365 * Self.day, bucket: .fixed(1000), zone: .gmt) == nil)
    }

    @Test("Every moment falls into exactly the bar that holds it")
    func barOfAMoment() throws {
        let grid = try Self.grid("2026-03-01", "2026-04-15", "1d", zone: "Europe/Berlin")
        #expect(grid.bar(of: grid.starts[0] - 1) == nil)
        #expect(grid.bar(of: grid.end) == nil)
        for (index, start) in grid.starts.enumerated() {
            #expect(grid.bar(of: start) == index)
            let last = (index + 1 < grid.starts.count ? grid.starts[index + 1] : grid.end) - 1
            #expect(grid.bar(of: last) == index)
        }
    }

    @Test func histogramsAreAddedUpIntoBars() throws {
        let grid = try Self.grid("2026-10-24T22:00", "2026-10-26T23:00", "1d", zone: "Europe/Berlin")
        // Half hours, one event each: a day of 25 hours has 50, the next 48.
        let counts = [Int](repeating: 1, count: 98)
        let histogram = Histogram(
            start: grid.starts[0], bucketMs: Self.hour / 2, series: [("a", counts), ("b", counts.map { $0 * 2 })])
        let data = ChartData(grid: grid, histogram: histogram)
        #expect(data.series.map(\.name) == ["b", "a"])
        #expect(data.series.map(\.counts) == [[100, 96], [50, 48]])
        #expect(data.sums == [150, 144])
        #expect(data.total == 294)
    }

    @Test func theLargestSeriesAndTheRest() throws {
        let grid = try Self.grid("2026-11-23", "2026-11-25", "1d")
        let series = (1...9).map { ChartSeries(name: "s\($0)", counts: [$0, 0]) }
        let top = ChartData(grid: grid, series: series).top()
        #expect(top.series.map(\.name) == ["s9", "s8", "s7", "s6", "s5", "s4", "other (3)"])
        #expect(top.series.last?.counts == [6, 0])
        #expect(top.total == 45)
        #expect(top.occupied == grid.starts[0]..<grid.starts[1])
        #expect(ChartData(grid: grid, series: []).occupied == nil)
    }
}
