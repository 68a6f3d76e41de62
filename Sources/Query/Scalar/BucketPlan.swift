// Buckets of time: their width, where they begin, and which one a moment falls into.
//
// Without a zone, or in one whose clocks never change, a width of fixed length is one division. In other zones:
// widths up to an hour follow the clock but never join two passes of an hour, and end where the clocks change;
// longer ones begin when clocks first reach a multiple of the width, so that days have 23, 24 or 25 hours.
// Buckets are intervals that follow one another without gaps, whatever clocks do.

import EventStoreCore

/// The length of buckets.
package enum BucketWidth: Hashable, Sendable {
    /// Milliseconds, counted from 1970-01-01 00:00.
    case fixed(Int64)
    /// Weeks, which begin on Monday.
    case weeks(Int64)
    /// Months, counted from January 1970.
    case months(Int64)
}

package struct BucketPlan: Hashable, Sendable {
    private enum Method: Hashable, Sendable {
        /// Origin plus multiples of a width, in UTC.
        case divide(width: Int64, origin: Int64)
        /// Within the times between two changes of the clocks.
        case clock(width: Int64, ZoneRules)
        /// From the moment local time reaches origin plus multiples of a width.
        case wall(width: Int64, origin: Int64, ZoneRules)
        case months(Int64, ZoneRules)
    }

    private let method: Method
    package let width: BucketWidth

    /// - Parameter zone: `nil` is UTC.
    package init(width: BucketWidth, zone: ZoneRules? = nil) {
        self.width = width
        let rules = zone ?? .utc
        let length: Int64
        let localOrigin: Int64
        switch width {
        case .months(let count):
            method = .months(count, rules)
            return
        case .fixed(let ms): (length, localOrigin) = (ms, 0)
        // Day 4 of 1970 was a Monday.
        case .weeks(let count):
            (length, localOrigin) = (count.multipliedClamped(7 * Limits.msPerDay), 4 * Limits.msPerDay)
        }
        if rules.transitions.isEmpty {
            method = .divide(width: length, origin: localOrigin - rules.initialOffsetMs)
        } else if length <= Self.hourMs {
            method = .clock(width: length, rules)
        } else {
            method = .wall(width: length, origin: localOrigin, rules)
        }
    }

    private static let hourMs: Int64 = 3_600_000

    /// Width and origin when a bucket is `origin + ⌊(time − origin) ÷ width⌋ × width`.
    package var division: (width: Int64, origin: Int64)? {
        if case .divide(let width, let origin) = method { return (width, origin) }
        return nil
    }

    /// The start of the bucket a moment is in. At the ends of Int64 it is the end of the range.
    @inline(__always)
    package func bucket(_ ms: Int64) -> Int64 {
        if case .divide(let width, let origin) = method { return Self.divided(ms, width, origin) }
        return interval(ms).start
    }

    /// The start of the bucket after the one a moment is in; Int64.max for the last.
    package func nextBoundary(_ ms: Int64) -> Int64 { interval(ms).end }

    @inline(__always)
    private static func divided(_ ms: Int64, _ width: Int64, _ origin: Int64) -> Int64 {
        let shifted = ms.subtractingClamped(origin)
        let rest = shifted % width
        return ms.subtractingClamped(rest < 0 ? rest + width : rest)
    }

    /// Where the index-th bucket begins; beyond the range its end, which no origin moves.
    private static func multiple(_ index: Int64, _ width: Int64, _ origin: Int64) -> Int64 {
        let (product, overflow) = index.multipliedReportingOverflow(by: width)
        return overflow ? (index < 0 ? .min : .max) : product.addingClamped(origin)
    }

    /// The bucket a moment is in: from `start` up to before `end`.
    package func interval(_ ms: Int64) -> (start: Int64, end: Int64) {
        switch method {
        case .divide(let width, let origin):
            let start = Self.divided(ms, width, origin)
            return (start, start.addingClamped(width))
        case .clock(let width, let rules):
            let regime = rules.regime(atUTC: ms)
            let start = Self.divided(ms, width, -regime.offset)
            return (max(start, regime.start), min(start.addingClamped(width), regime.end))
        case .wall(let width, let origin, let rules):
            let index = rules.local(atUTC: ms).subtractingClamped(origin).flooredQuotient(width)
            return Self.interval(ms, index) {
                rules.firstUTC(reaching: Self.multiple($0, width, origin))
            }
        case .months(let count, let rules):
            let day = CivilDay(number: rules.local(atUTC: ms).flooredQuotient(Limits.msPerDay))
            return Self.interval(ms, day.monthIndex.flooredQuotient(count)) {
                let first = CivilDay(firstOfMonth: $0.multipliedClamped(count).clamped)
                return rules.firstUTC(reaching: first.number.multipliedClamped(Limits.msPerDay))
            }
        }
    }

    /// The boundaries around a moment, from the index that its local time suggests. Only where clocks go back over a
    /// boundary is that index not the one.
    private static func interval(_ ms: Int64, _ guess: Int64, _ boundary: (Int64) -> Int64) -> (
        start: Int64, end: Int64
    ) {
        var index = guess
        var start = boundary(index)
        var end = boundary(index + 1)
        while end <= ms, end != .max {
            index += 1
            start = end
            end = boundary(index + 1)
        }
        while start > ms {
            index -= 1
            end = start
            start = boundary(index)
        }
        return (start, end)
    }
}

extension Int64 {
    /// Within what years of months can be computed for.
    fileprivate var clamped: Int64 { Swift.min(Swift.max(self, -4_000_000_000), 4_000_000_000) }
}

/// Buckets of moments that come in some order: remembers the last bucket.
package struct BucketCursor {
    package let plan: BucketPlan
    private var start: Int64 = 0
    private var end: Int64 = 0

    package init(_ plan: BucketPlan) { self.plan = plan }

    @inline(__always)
    package mutating func bucket(_ ms: Int64) -> Int64 {
        if ms >= start, ms < end { return start }
        (start, end) = plan.interval(ms)
        return start
    }
}
