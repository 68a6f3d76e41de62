/// The axes of a chart: round numbers up the side, round times along the foot.

import Foundation

/// The value axis: `steps` equal steps from 0 to `top`, each `rows / steps` rows high.
package struct ValueAxis: Sendable, Equatable {
    package let top: Int
    package let steps: Int

    /// The number of steps (dividing `rows`) and the round step that waste the least height.
    package init(max value: Int, rows: Int) {
        let wanted = Swift.max(value, 1)
        var best: (top: Int, steps: Int)?
        for steps in [4, 3, 6, 2] where rows % steps == 0 {
            let top = ValueAxis.roundStep((wanted + steps - 1) / steps) * steps
            if best.map({ top < $0.top }) ?? true { best = (top, steps) }
        }
        top = best?.top ?? ValueAxis.roundStep(wanted)
        steps = best?.steps ?? 1
    }

    /// The least of 1, 2, 2.5, 3, 4, 5, 8 × 10^k that is no less than `value`.
    private static func roundStep(_ value: Int) -> Int {
        var scale = 1
        while scale <= Int.max / 100 {
            for tenths in [10, 20, 25, 30, 40, 50, 80, 100] where tenths * scale % 10 == 0 {
                if tenths * scale / 10 >= value { return tenths * scale / 10 }
            }
            scale *= 10
        }
        return value
    }

    /// `1,500` as `1.5k`. `scale` is what the value was multiplied with.
    package static func label(_ value: Int, scale: Double = 1) -> String {
        let number = Double(value) / scale
        for (size, unit) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where number >= size {
            return short(number / size, 2) + unit
        }
        return scale == 1 ? String(value) : short(number, 3)
    }

    private static func short(_ number: Double, _ places: Int) -> String {
        var text = TextLayout.decimal(number, places)
        guard text.contains(".") else { return text }
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}

/// The time axis: a label under some of the bars, at round local times.
package enum TimeAxis {
    package struct Tick: Equatable, Sendable {
        package var bar: Int
        package var label: String
    }

    private enum Step {
        case span(Int64)
        /// From the first of each month: every so many days of it.
        case monthDays(Int64)
        case months(Int64)
    }

    private static let labelColumns = 8

    /// Ticks at least a label apart, `barColumns` columns a bar.
    package static func ticks(_ grid: ChartGrid, zone: TimeZone, barColumns: Int) -> [Tick] {
        let locals = grid.starts.map { $0 + CivilTime.offsetMs(zone, at: $0) }
        let steps: [Step] =
            [1, 5, 15, 30].map { .span($0 * 1000) } + [1, 5, 15, 30].map { .span($0 * 60_000) }
            + [1, 2, 3, 6, 12].map { .span($0 * 3_600_000) } + [1, 2].map { .span($0 * CivilTime.dayMs) }
            + [5, 10, 15].map { .monthDays($0) } + [1, 3, 6, 12, 24, 60, 120].map { .months($0) }
        let gap = max(1, (labelColumns + 2 + barColumns - 1) / barColumns)
        for step in steps where isCoarseEnough(step, grid.bucket) {
            let bars = boundaries(locals, step)
            if zip(bars, bars.dropFirst()).allSatisfy({ $1 - $0 >= gap }), !bars.isEmpty {
                return bars.map { Tick(bar: $0, label: label(locals[$0], step: step)) }
            }
        }
        // Nothing round fits, as with weeks: every so many bars, by date.
        return stride(from: 0, to: locals.count, by: gap).map {
            Tick(bar: $0, label: label(locals[$0], step: isLong(grid) ? .months(1) : .span(CivilTime.dayMs)))
        }
    }

    private static func isLong(_ grid: ChartGrid) -> Bool { grid.end - grid.starts[0] > 400 * CivilTime.dayMs }

    private static func isCoarseEnough(_ step: Step, _ bucket: ChartBucket) -> Bool {
        switch (step, bucket) {
        case (.span(let step), .fixed(let span)): step >= span && step % span == 0
        case (.monthDays, .fixed(let span)): CivilTime.dayMs % span == 0
        case (.span, .months), (.monthDays, .months): false
        case (.months, .fixed(let span)): span <= 2 * CivilTime.dayMs
        case (.months(let step), .months(let count)): step % count == 0
        }
    }

    /// Bars in which a new step begins: the first bar counts when it begins exactly there.
    private static func boundaries(_ locals: [Int64], _ step: Step) -> [Int] {
        var result: [Int] = []
        for index in locals.indices {
            let here = number(locals[index], step)
            let before = number(index > 0 ? locals[index - 1] : locals[index] - 1, step)
            if here != before { result.append(index) }
        }
        return result
    }

    private static func number(_ local: Int64, _ step: Step) -> Int64 {
        switch step {
        case .span(let span): return CivilTime.floorDivide(local, span)
        case .monthDays(let count):
            let date = CivilTime.date(days: CivilTime.floorDivide(local, CivilTime.dayMs))
            // What is left over at the month's end joins the part before.
            return (date.year * 12 + date.month) * 31 + min((date.day - 1) / count, 30 / count - 1)
        case .months(let count):
            let date = CivilTime.date(days: CivilTime.floorDivide(local, CivilTime.dayMs))
            return CivilTime.floorDivide(date.year * 12 + date.month - 1, count)
        }
    }

    private static let monthNames = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// A moment as short as its bucket allows: `Nov 21 02:00`, `Nov 21`, `2026-11`.
    package static func label(_ ms: Int64, bucket: ChartBucket, zone: TimeZone) -> String {
        let local = ms + CivilTime.offsetMs(zone, at: ms)
        if case .months = bucket { return label(local, step: .months(1)) }
        let day = label(local, step: .span(CivilTime.dayMs))
        if bucket.isCalendar { return day }
        let clock = label(local, step: .span(min(bucket.approximateMs, CivilTime.dayMs - 1)))
        return clock == day ? day + " 00:00" : day + " " + clock
    }

    private static func label(_ local: Int64, step: Step) -> String {
        let days = CivilTime.floorDivide(local, CivilTime.dayMs)
        let date = CivilTime.date(days: days)
        let rest = local - days * CivilTime.dayMs
        switch step {
        case .months: return "\(date.year)-" + TimeText.digits(date.month, 2)
        case .monthDays: return "\(monthNames[Int(date.month) - 1]) \(date.day)"
        case .span(let span):
            if rest == 0 || span >= CivilTime.dayMs { return "\(monthNames[Int(date.month) - 1]) \(date.day)" }
            let text = TimeText.digits(rest / 3_600_000, 2) + ":" + TimeText.digits(rest / 60_000 % 60, 2)
            return span < 60_000 ? text + ":" + TimeText.digits(rest / 1000 % 60, 2) : text
        }
    }
}
