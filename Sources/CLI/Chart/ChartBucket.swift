/// How wide a bar of a chart is in time: a fixed span, or calendar months.
///
/// Spans of whole days are calendar days of the zone, so that a bar begins at midnight there also where days
/// have 23 or 25 hours; shorter spans are of fixed length, aligned to the zone's clock at the range's start.

import ArgumentParser
import Foundation

package enum ChartBucket: Equatable, Sendable, ExpressibleByArgument {
    case fixed(Int64)
    case months(Int64)

    /// Widths a chart picks from, narrowest first.
    package static let natural: [ChartBucket] =
        [1, 2, 5, 10, 15, 30].map { .fixed($0 * 1000) } + [1, 2, 5, 10, 15, 30].map { .fixed($0 * 60_000) }
        + [1, 2, 3, 6, 12].map { .fixed($0 * 3_600_000) } + [1, 2, 7, 14].map { .fixed($0 * CivilTime.dayMs) }
        + [1, 3, 6, 12, 24, 60, 120].map { .months($0) }

    /// A span with a unit; `mo` are months, `y` years.
    package init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let unit = argument.dropFirst(digits.count)
        if unit == "mo" || unit == "y" {
            guard let count = Int64(digits), (1...1200).contains(count) else { return nil }
            self = .months(unit == "y" ? count * 12 : count)
            return
        }
        guard let span = TimeSpan.parse(Substring(argument)), span > 0 else { return nil }
        self = .fixed(span)
    }

    /// The bucket of calendar steps that differ in length: days of 23 hours, months.
    package init(approximate step: Int64) {
        let hour: Int64 = 3_600_000
        let days = Double(step) / Double(CivilTime.dayMs)
        let near = Int64(days.rounded())
        let isNearDays = near > 0 && abs(step - near * CivilTime.dayMs) <= hour
        switch near {
        case 28...31 where isNearDays: self = .months(1)
        case 89...92 where isNearDays: self = .months(3)
        case 365...366 where isNearDays: self = .months(12)
        default: self = .fixed(isNearDays ? near * CivilTime.dayMs : step)
        }
    }

    /// About how long, to compare and to count bars.
    package var approximateMs: Int64 {
        switch self {
        case .fixed(let span): span
        case .months(let count): count * 2_629_746_000
        }
    }

    /// Bars begin at midnights of the zone.
    package var isCalendar: Bool {
        switch self {
        case .fixed(let span): span % CivilTime.dayMs == 0
        case .months: true
        }
    }

    /// The narrowest natural width that cuts `range` into at most `bars`.
    package static func fitting(_ range: Range<Int64>, bars: Int) -> ChartBucket {
        let length = range.upperBound - range.lowerBound
        return natural.first { length / $0.approximateMs + 2 <= Int64(bars) } ?? .months(120 * 12)
    }

    package var text: String {
        switch self {
        case .months(1): return "month"
        case .months(let count) where count % 12 == 0: return count == 12 ? "year" : "\(count / 12) years"
        case .months(let count): return "\(count) months"
        case .fixed(let span):
            let units: [(Int64, String)] = [
                (604_800_000, "week"), (86_400_000, "day"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms"),
            ]
            let unit = units.first { span % $0.0 == 0 } ?? units[5]
            let count = span / unit.0
            if unit.0 >= 86_400_000 { return count == 1 ? unit.1 : "\(count) \(unit.1)s" }
            return "\(count) \(unit.1)"
        }
    }
}

/// The bars of a chart: where each begins, in UTC milliseconds, and where the last one ends.
package struct ChartGrid: Sendable, Equatable {
    package static let barsMax = 20_000

    package let bucket: ChartBucket
    /// Ascending.
    package let starts: [Int64]
    package let end: Int64

    /// The bars that cover `range`; `nil` when there would be too many of them.
    package init?(range: Range<Int64>, bucket: ChartBucket, zone: TimeZone) {
        guard (range.upperBound - range.lowerBound) / bucket.approximateMs < Int64(ChartGrid.barsMax) else {
            return nil
        }
        self.bucket = bucket
        var starts: [Int64] = []
        var index = ChartGrid.index(of: range.lowerBound, bucket: bucket, zone: zone)
        let base = CivilTime.offsetMs(zone, at: range.lowerBound)
        var next = ChartGrid.start(index, bucket: bucket, zone: zone, base: base)
        repeat {
            starts.append(next)
            index += 1
            next = ChartGrid.start(index, bucket: bucket, zone: zone, base: base)
        } while next < range.upperBound
        self.starts = starts
        end = next
    }

    /// The bars of starts within the calendar that somebody else computed; where some are missing in between, they are filled in.
    /// `nil` without starts, or when there would be too many bars.
    package init?(starts known: [Int64]) {
        let sorted = Set(known).sorted()
        guard let first = sorted.first, let last = sorted.last else { return nil }
        let gaps = zip(sorted, sorted.dropFirst()).map { $1 - $0 }
        let step = gaps.min() ?? 3_600_000
        guard (last - first) / step < Int64(ChartGrid.barsMax) else { return nil }
        var starts = [first]
        for (start, gap) in zip(sorted, gaps) {
            // Days and months differ in length: no gap in between is left out by rounding.
            let count = max(1, Int64((Double(gap) / Double(step)).rounded()))
            for index in 1..<(count + 1) { starts.append(index == count ? start + gap : start + gap / count * index) }
        }
        self.starts = starts
        bucket = ChartBucket(approximate: step)
        end = last + step
    }

    package var range: Range<Int64> { starts[0]..<end }

    /// The bar a moment falls into.
    package func bar(of ms: Int64) -> Int? {
        guard ms >= starts[0], ms < end else { return nil }
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= ms { low = middle } else { high = middle }
        }
        return low
    }

    /// Weeks begin on Monday: 1970-01-05 was one.
    private static func anchor(_ span: Int64) -> Int64 { span % 604_800_000 == 0 ? 4 * CivilTime.dayMs : 0 }

    private static func index(of ms: Int64, bucket: ChartBucket, zone: TimeZone) -> Int64 {
        let local = ms + CivilTime.offsetMs(zone, at: ms)
        switch bucket {
        case .fixed(let span): return CivilTime.floorDivide(local - anchor(span), span)
        case .months(let count):
            let date = CivilTime.date(days: CivilTime.floorDivide(local, CivilTime.dayMs))
            return CivilTime.floorDivide(date.year * 12 + date.month - 1, count)
        }
    }

    private static func start(_ index: Int64, bucket: ChartBucket, zone: TimeZone, base: Int64) -> Int64 {
        switch bucket {
        case .fixed(let span):
            let local = index * span + anchor(span)
            return bucket.isCalendar ? CivilTime.moment(local: local, zone: zone) : local - base
        case .months(let count):
            let months = index * count
            let year = CivilTime.floorDivide(months, 12)
            let days = CivilTime.days(year: year, month: months - year * 12 + 1, day: 1)
            return CivilTime.moment(local: days * CivilTime.dayMs, zone: zone)
        }
    }
}
