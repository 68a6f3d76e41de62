/// Times as they are given: RFC 3339, `YYYY-MM-DD` (that day's start), integer milliseconds, `now`, `today`,
/// `yesterday`, and spans ago (`24h`, `-24h`, `7d`). Dates, and times without an offset, are of the zone.

import Foundation

/// A span of time with a unit: `500ms`, `30s`, `15m`, `24h`, `7d`, `2w`. Days have 24 hours here.
package enum TimeSpan {
    private static let units: [(String, Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000),
    ]

    /// Milliseconds, or `nil` when it is not a span. A unit is required.
    package static func parse(_ text: Substring) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count)
        guard let number = Int64(digits), let scale = units.first(where: { $0.0 == unit })?.1 else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow ? nil : product
    }
}

package enum TimeExpression {
    /// Milliseconds since 1970 UTC, or `nil` when the text is no time.
    package static func parse(_ text: String, nowMs: Int64, zone: TimeZone) -> Int64? {
        switch text {
        case "now": return nowMs
        case "today": return dayStart(nowMs, zone: zone, daysBack: 0)
        case "yesterday": return dayStart(nowMs, zone: zone, daysBack: 1)
        default: break
        }
        if let integer = Int64(text), text.first != "+" { return integer }
        if let span = TimeSpan.parse(text.hasPrefix("-") ? text.dropFirst() : Substring(text)) {
            let (result, overflow) = nowMs.subtractingReportingOverflow(span)
            return overflow ? nil : result
        }
        return calendar(text, zone: zone)
    }

    private static func dayStart(_ ms: Int64, zone: TimeZone, daysBack: Int64) -> Int64 {
        let local = ms + CivilTime.offsetMs(zone, at: ms)
        let day = CivilTime.floorDivide(local, CivilTime.dayMs) - daysBack
        return CivilTime.moment(local: day * CivilTime.dayMs, zone: zone)
    }

    /// `YYYY-MM-DD`, optionally `T` or a blank, `HH:MM[:SS[.fff]]`, and `Z` or `±HH:MM`.
    private static func calendar(_ text: String, zone: TimeZone) -> Int64? {
        var scan = Scanner(bytes: Array(text.utf8))
        guard let year = scan.digits(4), scan.take("-"), let month = scan.digits(2), scan.take("-"),
            let day = scan.digits(2), (1...12).contains(month),
            (1...CivilTime.daysInMonth(year: year, month: month)).contains(day)
        else { return nil }
        let date = CivilTime.days(year: year, month: month, day: day) * CivilTime.dayMs
        if scan.atEnd { return CivilTime.moment(local: date, zone: zone) }
        guard scan.take("T") || scan.take("t") || scan.take(" "), let clock = scan.clock() else { return nil }
        if scan.atEnd { return CivilTime.moment(local: date + clock, zone: zone) }
        guard let offset = scan.offset(), scan.atEnd else { return nil }
        return date + clock - offset
    }

    /// Reads fixed-width pieces; each reader moves on only when it succeeds.
    private struct Scanner {
        let bytes: [UInt8]
        var position = 0
        init(bytes: [UInt8]) { self.bytes = bytes }

        var atEnd: Bool { position == bytes.count }

        mutating func take(_ character: Character) -> Bool {
            guard position < bytes.count, bytes[position] == character.asciiValue else { return false }
            position += 1
            return true
        }

        mutating func digits(_ count: Int) -> Int64? {
            guard position + count <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[position..<position + count] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            position += count
            return value
        }

        /// Milliseconds into the day; second 60 (a leap second) is the next second; digits past the
        /// millisecond are dropped.
        mutating func clock() -> Int64? {
            guard let hour = digits(2), hour < 24, take(":"), let minute = digits(2), minute < 60 else { return nil }
            var result = (hour * 60 + minute) * 60_000
            guard take(":") else { return result }
            guard let second = digits(2), second <= 60 else { return nil }
            result += second * 1000
            guard take(".") else { return result }
            var scale: Int64 = 100
            var seen = 0
            while let digit = digits(1) {
                result += digit * scale
                scale /= 10
                seen += 1
            }
            return seen > 0 ? result : nil
        }

        mutating func offset() -> Int64? {
            if take("Z") || take("z") { return 0 }
            let sign: Int64
            if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
            guard let hours = digits(2), hours < 24, take(":"), let minutes = digits(2), minutes < 60 else {
                return nil
            }
            return sign * (hours * 60 + minutes) * 60_000
        }
    }
}
