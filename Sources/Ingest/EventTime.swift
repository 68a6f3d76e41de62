// Timestamps of events: numbers in s, ms, µs or ns by magnitude, RFC 3339 text, the time of an access log.

import EventStoreCore

enum EventTime {
    enum Problem: Error {
        case malformed
        case zoneMissing
    }

    // Thresholds of magnitude. Seconds below 1e11 reach to the year 5138, milliseconds from 1e11 on start in
    // March 1973, microseconds from 1e14 on likewise, nanoseconds from 1e17 on likewise.
    private static let secondsMax: UInt64 = 100_000_000_000
    private static let millisecondsMax: UInt64 = 100_000_000_000_000
    private static let microsecondsMax: UInt64 = 100_000_000_000_000_000

    /// Milliseconds from a whole number whose size tells its unit. Parts of a millisecond are dropped
    /// towards the past.
    @inline(__always)
    static func ms(integer value: Int64) -> Int64 {
        let magnitude = value.magnitude
        if magnitude >= secondsMax, magnitude < millisecondsMax { return value }
        if magnitude < secondsMax { return value * 1000 }
        return floorDivide(value, magnitude < microsecondsMax ? 1000 : 1_000_000)
    }

    /// The same for a number with a fraction: it is rounded to a microsecond first.
    static func ms(double value: Double) -> Int64? {
        let magnitude = value.magnitude
        let scale: Double =
            magnitude < Double(secondsMax)
            ? 1e6 : magnitude < Double(millisecondsMax) ? 1e3 : magnitude < Double(microsecondsMax) ? 1 : 1e-3
        let microseconds = (value * scale).rounded()
        guard microseconds.magnitude < 9.2e18 else { return nil }
        return floorDivide(Int64(microseconds), 1000)
    }

    @inline(__always)
    static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }

    /// Days since 1970-01-01 of a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level
    /// date algorithms").
    @inline(__always)
    static func days(year: Int, month: Int, day: Int) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era * 146_097 + dayOfEra - 719_468)
    }

    static func daysInMonth(year: Int, month: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// RFC 3339 text, also with a space for the `T`, lower-case letters, an offset without colon, any number
    /// of fraction digits (those past the millisecond are dropped). Second 60 counts as the last millisecond
    /// of its minute. Text of digits alone, also with a decimal point, counts as a number.
    static func parse(_ text: UnsafeRawBufferPointer, zone: InputTimeZone?) throws(Problem) -> Int64 {
        var cursor = Cursor(bytes: text)
        if let number = cursor.wholeNumber() { return ms(integer: number) }
        if let value = decimalMs(text) { return value }
        let date = try cursor.date()
        guard let separator = cursor.next(), separator | 0x20 == 0x74 || separator == 0x20 else { throw .malformed }
        let time = try cursor.timeOfDay()
        let local = date * Limits.msPerDay + time
        guard let mark = cursor.next() else {
            guard let zone else { throw .zoneMissing }
            return zone.utcMs(fromLocal: local)
        }
        if mark | 0x20 == 0x7a {
            guard cursor.isAtEnd else { throw .malformed }
            return local
        }
        guard mark == 0x2b || mark == 0x2d else { throw .malformed }
        let offset = try cursor.offsetMs()
        guard cursor.isAtEnd else { throw .malformed }
        return mark == 0x2b ? local - offset : local + offset
    }

    /// The number when all of the text is one.
    static func wholeNumber(_ text: UnsafeRawBufferPointer) -> Int64? { Cursor(bytes: text).wholeNumber() }

    /// A number with decimals (`1700000000.123`); `nil` for any other text.
    private static func decimalMs(_ text: UnsafeRawBufferPointer) -> Int64? {
        guard text.count < 40, text.contains(0x2e), text.allSatisfy({ $0 &- 0x30 < 10 || $0 == 0x2e }) else {
            return nil
        }
        return Double(String(decoding: text, as: UTF8.self)).flatMap { ms(double: $0) }
    }

    /// The time of an access log, without its brackets: `10/Oct/2000:13:55:36 -0700`.
    static func parseAccessLog(_ text: UnsafeRawBufferPointer, zone: InputTimeZone?) throws(Problem) -> Int64 {
        var cursor = Cursor(bytes: text)
        let day = try cursor.digits(2)
        guard cursor.next() == 0x2f, let month = cursor.monthName(), cursor.next() == 0x2f else { throw .malformed }
        let year = try cursor.digits(4)
        guard cursor.next() == 0x3a, day >= 1, day <= daysInMonth(year: year, month: month) else { throw .malformed }
        let local = days(year: year, month: month, day: day) * Limits.msPerDay + (try cursor.timeOfDay())
        guard let space = cursor.next() else {
            guard let zone else { throw .zoneMissing }
            return zone.utcMs(fromLocal: local)
        }
        guard space == 0x20, let sign = cursor.next(), sign == 0x2b || sign == 0x2d else { throw .malformed }
        let offset = try cursor.offsetMs()
        guard cursor.isAtEnd else { throw .malformed }
        return sign == 0x2b ? local - offset : local + offset
    }

    /// Walks over text with a known end.
    private struct Cursor {
        let bytes: UnsafeRawBufferPointer
        var position = 0

        var isAtEnd: Bool { position == bytes.count }

        mutating func next() -> UInt8? {
            guard position < bytes.count else { return nil }
            position += 1
            return bytes[position - 1]
        }

        mutating func digits(_ count: Int) throws(Problem) -> Int {
            guard bytes.count - position >= count else { throw .malformed }
            var value = 0
            for _ in 0..<count {
                let digit = bytes[position] &- 0x30
                guard digit < 10 else { throw .malformed }
                value = value * 10 + Int(digit)
                position += 1
            }
            return value
        }

        /// The number when all of the text is one: a minus or none, up to 19 digits, within 64 bits.
        func wholeNumber() -> Int64? {
            let isNegative = bytes.first == 0x2d
            let digits = bytes.dropFirst(isNegative ? 1 : 0)
            guard digits.count >= 1, digits.count <= 19 else { return nil }
            var value: UInt64 = 0
            for byte in digits {
                guard byte &- 0x30 < 10 else { return nil }
                value = value * 10 + UInt64(byte - 0x30)
            }
            guard let magnitude = Int64(exactly: value) else { return nil }
            return isNegative ? -magnitude : magnitude
        }

        /// Days since 1970 of YYYY-MM-DD.
        mutating func date() throws(Problem) -> Int64 {
            let year = try digits(4)
            guard next() == 0x2d else { throw .malformed }
            let month = try digits(2)
            guard next() == 0x2d else { throw .malformed }
            let day = try digits(2)
            guard month >= 1, month <= 12, day >= 1, day <= EventTime.daysInMonth(year: year, month: month) else {
                throw .malformed
            }
            return EventTime.days(year: year, month: month, day: day)
        }

        /// Milliseconds since midnight of HH:MM:SS with an optional fraction.
        mutating func timeOfDay() throws(Problem) -> Int64 {
            let hour = try digits(2)
            guard next() == 0x3a else { throw .malformed }
            let minute = try digits(2)
            guard next() == 0x3a else { throw .malformed }
            let second = try digits(2)
            guard hour < 24, minute < 60, second <= 60 else { throw .malformed }
            var fraction = 0
            if position < bytes.count, bytes[position] == 0x2e || bytes[position] == 0x2c {
                position += 1
                fraction = try fractionMs()
            }
            let whole = Int64(hour * 3600 + minute * 60)
            return second == 60 ? (whole + 59) * 1000 + 999 : (whole + Int64(second)) * 1000 + Int64(fraction)
        }

        private mutating func fractionMs() throws(Problem) -> Int {
            var value = 0
            var count = 0
            while position < bytes.count, bytes[position] &- 0x30 < 10 {
                if count < 3 { value = value * 10 + Int(bytes[position] &- 0x30) }
                count += 1
                position += 1
            }
            guard count > 0 else { throw .malformed }
            return count == 1 ? value * 100 : count == 2 ? value * 10 : value
        }

        /// Milliseconds of HH:MM or HHMM.
        mutating func offsetMs() throws(Problem) -> Int64 {
            let hours = try digits(2)
            if position < bytes.count, bytes[position] == 0x3a { position += 1 }
            let minutes = try digits(2)
            guard hours < 24, minutes < 60 else { throw .malformed }
            return Int64(hours * 60 + minutes) * 60_000
        }

        mutating func monthName() -> Int? {
            guard bytes.count - position >= 3 else { return nil }
            let letters =
                UInt32(bytes[position] | 0x20) << 16 | UInt32(bytes[position + 1] | 0x20) << 8
                | UInt32(bytes[position + 2] | 0x20)
            position += 3
            switch letters {
            case 0x6a616e: return 1
            case 0x666562: return 2
            case 0x6d6172: return 3
            case 0x617072: return 4
            case 0x6d6179: return 5
            case 0x6a756e: return 6
            case 0x6a756c: return 7
            case 0x617567: return 8
            case 0x736570: return 9
            case 0x6f6374: return 10
            case 0x6e6f76: return 11
            case 0x646563: return 12
            default: return nil
            }
        }
    }
}
