/// What a chart draws: a grid of bars, and for each series a count a bar.

import EventStore
import Foundation

package struct ChartSeries: Sendable, Equatable {
    package var name: String
    package var counts: [Int]
    package var total: Int

    package init(name: String, counts: [Int]) {
        self.name = name
        self.counts = counts
        total = counts.reduce(0, +)
    }
}

package struct ChartData: Sendable {
    package static let seriesMax = 6

    package var grid: ChartGrid
    /// By falling total.
    package var series: [ChartSeries]
    /// The last series is the rest of them.
    package private(set) var hasOther = false
    /// Whether totals and shares mean something: not for quantiles.
    package var addsUp = true
    /// Counts are values times this: 1 unless values have fractions.
    package var scale = 1.0
    /// Why some events are not in it, if so.
    package var damage: EventStoreError?

    package init(grid: ChartGrid, series: [ChartSeries]) {
        self.grid = grid
        self.series = series.sorted { ($1.total, $0.name) < ($0.total, $1.name) }
    }

    /// A histogram's buckets, each put into the bar its start falls into.
    package init(grid: ChartGrid, histogram: Histogram) {
        let series = histogram.series.map { source in
            var counts = [Int](repeating: 0, count: grid.starts.count)
            for (index, count) in source.counts.enumerated() where count > 0 {
                if let bar = grid.bar(of: histogram.start + Int64(index) * histogram.bucketMs) { counts[bar] += count }
            }
            return ChartSeries(name: source.name, counts: counts)
        }
        self.init(grid: grid, series: series)
        damage = histogram.damage
    }

    package var total: Int { series.reduce(0) { $0 + $1.total } }

    /// Counts a bar, all series together.
    package var sums: [Int] {
        var result = [Int](repeating: 0, count: grid.starts.count)
        for one in series { for (index, count) in one.counts.enumerated() { result[index] += count } }
        return result
    }

    /// The largest series, the others together as one; no more than a person can tell apart.
    package func top(_ limit: Int = ChartData.seriesMax) -> ChartData {
        guard series.count > limit else { return self }
        var rest = [Int](repeating: 0, count: grid.starts.count)
        for one in series[limit...] { for (index, count) in one.counts.enumerated() { rest[index] += count } }
        var result = self
        result.series = Array(series[..<limit])
        result.series.append(ChartSeries(name: "other (\(series.count - limit))", counts: rest))
        result.hasOther = true
        return result
    }

    /// From the first bar with events to the end of the last; `nil` without events.
    package var occupied: Range<Int64>? {
        let sums = sums
        guard let first = sums.firstIndex(where: { $0 > 0 }), let last = sums.lastIndex(where: { $0 > 0 }) else {
            return nil
        }
        return grid.starts[first]..<(last + 1 < grid.starts.count ? grid.starts[last + 1] : grid.end)
    }
}

/// Asks the store for what a chart needs.
struct ChartQuery {
    let store: BlockingEventStore
    let filter: EventFilter
    let by: String?
    let zone: TimeZone

    func data(range: Range<Int64>, bucket: ChartBucket) throws -> ChartData {
        guard let grid = ChartGrid(range: range, bucket: bucket, zone: zone) else {
            throw CLIFailure.usage("--bucket \(bucket.text) cuts this time range into too many bars; take a longer one")
        }
        var filter = filter
        filter.since = max(filter.since ?? .min, range.lowerBound)
        filter.until = min(filter.until ?? .max, range.upperBound)
        let source = resolution(grid)
        let histogram = try store.histogram(filter, by: by, bucketMs: source.bucketMs, origin: source.origin)
        return ChartData(grid: grid, histogram: histogram)
    }

    /// Width and origin of the buckets to ask for. Where the zone's clock changes inside the range, calendar
    /// bars are put together from hours or half hours; elsewhere from whole days.
    private func resolution(_ grid: ChartGrid) -> (bucketMs: Int64, origin: Int64) {
        if case .fixed(let span) = grid.bucket, !grid.bucket.isCalendar { return (span, grid.starts[0]) }
        let offset = CivilTime.offsetMs(zone, at: grid.starts[0])
        if isSteady(grid.range, offset: offset) {
            if case .fixed(let span) = grid.bucket { return (span, grid.starts[0]) }
            return (CivilTime.dayMs, grid.starts[0])
        }
        return (1_800_000, grid.starts[0])
    }

    private func isSteady(_ range: Range<Int64>, offset: Int64) -> Bool {
        guard CivilTime.offsetMs(zone, at: range.upperBound) == offset else { return false }
        let start = Date(timeIntervalSince1970: Double(range.lowerBound) / 1000)
        guard let next = zone.nextDaylightSavingTimeTransition(after: start) else { return true }
        return next.timeIntervalSince1970 * 1000 >= Double(range.upperBound)
    }
}
