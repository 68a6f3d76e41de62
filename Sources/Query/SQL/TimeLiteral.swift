// Times as texts of SQL write them: `YYYY-MM-DD`, or a time of RFC 3339, also with a blank for the T and without a
// zone, which is UTC.

import EventStoreCore

enum TimeLiteral {
    /// Milliseconds since 1970 UTC; `nil` for text that is no time. Digits past the millisecond are dropped; second
    /// 60 is the last millisecond of its minute, as it is for events that come in.
    static func parse(_ text: String) -> Int64? {
        var scan = Scan(bytes: Array(text.utf8))
        guard let date = scan.date() else { return nil }
        let day = date * Limits.msPerDay
        if scan.isAtEnd { return day }
        guard scan.take("T") || scan.take("t") || scan.take(" "), let clock = scan.clock() else { return nil }
        if scan.isAtEnd { return day + clock }
        guard let offset = scan.offset(), scan.isAtEnd else { return nil }
        return day + clock - offset
    }

    static let hint =
        "a time is written '2026-11-23', '2026-11-23 14:30:00' or '2026-11-23T14:30:00Z', "
        + "and milliseconds since 1970 without quotes"

    private struct Scan {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { position == bytes.count }

        mutating func take(_ mark: Unicode.Scalar) -> Bool {
            guard position < bytes.count, bytes[position] == UInt8(ascii: mark) else { return false }
            position += 1
            return true
        }

        mutating func digits(_ count: Int) -> Int64? {
            guard bytes.count - position >= count else { return nil }
            var value: Int64 = 0
            for byte in bytes[position..<position + count] {
                guard ASCII.isDigit(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            position += count
            return value
        }

        /// Days since 1970.
        mutating func date() -> Int64? {
            guard let year = digits(4), take("-"), let month = digits(2), take("-"), let day = digits(2),
                (1...12).contains(month), day >= 1, day <= TimeLiteral.daysInMonth(year: year, month: month)
            else { return nil }
            return TimeLiteral.days(year: year, month: month, day: day)
        }

        /// Milliseconds since midnight of `HH:MM[:SS[.fff…]]`.
        mutating func clock() -> Int64? {
            guard let hour = digits(2), hour < 24, take(":"), let minute = digits(2), minute < 60 else { return nil }
            let minutes = (hour * 60 + minute) * 60_000
            guard take(":") else { return minutes }
            guard let second = digits(2), second <= 60 else { return nil }
            var fraction: Int64 = 0
            if take(".") {
                guard let first = digits(1) else { return nil }
                fraction = first * 100
                var scale: Int64 = 10
                while let digit = digits(1) {
                    fraction += digit * scale
                    scale /= 10
                }
            }
            return second == 60 ? minutes + 59_999 : minutes + second * 1000 + fraction
        }

        /// `Z`, `±HH:MM` or `±HHMM`.
        mutating func offset() -> Int64? {
            if take("Z") || take("z") { return 0 }
            let sign: Int64
            if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
            guard let hours = digits(2), hours < 24 else { return nil }
            _ = take(":")
            guard let minutes = digits(2), minutes < 60 else { return nil }
            return sign * (hours * 60 + minutes) * 60_000
        }
    }

    private static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms"), for years from 0 on.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
