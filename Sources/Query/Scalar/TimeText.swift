// Times as text, both ways: RFC 3339 and dates read, RFC 3339 with milliseconds written.

import EventStoreCore

package enum TimeText {
    /// Milliseconds since 1970 UTC of `YYYY-MM-DD` (its first moment in UTC) or of RFC 3339, also with a blank for the
    /// `T`, without seconds, and with any number of decimals, of which those past the millisecond are dropped. `nil`
    /// for any other text; a time of day must have an offset or `Z`.
    package static func parse(_ text: Text) -> Int64? {
        text.withBytes { bytes in
            var scan = Scan(bytes: bytes)
            guard let day = scan.date() else { return nil }
            let midnight = day * Limits.msPerDay
            if scan.isAtEnd { return midnight }
            guard scan.takes(0x54) || scan.takes(0x74) || scan.takes(0x20), let clock = scan.clock() else { return nil }
            if scan.takes(0x5a) || scan.takes(0x7a) { return scan.isAtEnd ? midnight + clock : nil }
            guard let offset = scan.offset(), scan.isAtEnd else { return nil }
            return midnight + clock - offset
        }
    }

    /// Milliseconds of `±HH:MM` or `±HHMM`.
    static func offset(_ text: String) -> Int64? {
        Text(text).withBytes { bytes in
            var scan = Scan(bytes: bytes)
            guard let offset = scan.offset(), scan.isAtEnd else { return nil }
            return offset
        }
    }

    /// `2026-11-23T10:15:00.123Z`, or with the offset of a zone. Years beyond four digits have a sign.
    static func iso(_ ms: Int64, zone: ZoneRules?) -> String {
        let offset = zone?.offset(atUTC: ms) ?? 0
        let local = ms.addingClamped(offset)
        let dayNumber = local.flooredQuotient(Limits.msPerDay)
        // The first day of all begins before the range does: its milliseconds are counted without multiplying.
        let time = local &- dayNumber &* Limits.msPerDay
        let day = CivilDay(number: dayNumber)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(30)
        if day.year < 0 { bytes.append(0x2d) } else if day.year > 9999 { bytes.append(0x2b) }
        append(Int64(day.year.magnitude), 4, &bytes)
        bytes.append(0x2d)
        append(day.month, 2, &bytes)
        bytes.append(0x2d)
        append(day.day, 2, &bytes)
        bytes.append(0x54)
        appendClock(time / 1000, &bytes)
        bytes.append(0x2e)
        append(time % 1000, 3, &bytes)
        if zone == nil { bytes.append(0x5a) } else { appendOffset(offset, &bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func appendClock(_ seconds: Int64, _ bytes: inout [UInt8]) {
        append(seconds / 3600, 2, &bytes)
        bytes.append(0x3a)
        append(seconds / 60 % 60, 2, &bytes)
        bytes.append(0x3a)
        append(seconds % 60, 2, &bytes)
    }

    /// Offsets of local mean times have seconds.
    private static func appendOffset(_ offset: Int64, _ bytes: inout [UInt8]) {
        bytes.append(offset < 0 ? 0x2d : 0x2b)
        let seconds = Int64(offset.magnitude) / 1000
        append(seconds / 3600, 2, &bytes)
        bytes.append(0x3a)
        append(seconds / 60 % 60, 2, &bytes)
        guard seconds % 60 != 0 else { return }
        bytes.append(0x3a)
        append(seconds % 60, 2, &bytes)
    }

    private static func append(_ number: Int64, _ width: Int, _ bytes: inout [UInt8]) {
        var scale: Int64 = 1
        var digits = 1
        while digits < width || number / scale >= 10 {
            scale *= 10
            digits += 1
        }
        while scale > 0 {
            bytes.append(UInt8(0x30 + number / scale % 10))
            scale /= 10
        }
    }

    private struct Scan {
        let bytes: UnsafeRawBufferPointer
        var position = 0

        init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        var isAtEnd: Bool { position == bytes.count }

        mutating func takes(_ byte: UInt8) -> Bool {
            guard position < bytes.count, bytes[position] == byte else { return false }
            position += 1
            return true
        }

        mutating func digits(_ count: Int) -> Int64? {
            guard bytes.count - position >= count else { return nil }
            var value: Int64 = 0
            for byte in bytes[position..<position + count] {
                guard byte &- 0x30 < 10 else { return nil }
                value = value * 10 + Int64(byte &- 0x30)
            }
            position += count
            return value
        }

        mutating func date() -> Int64? {
            guard let year = digits(4), takes(0x2d), let month = digits(2), takes(0x2d), let day = digits(2),
                month >= 1, month <= 12, day >= 1, day <= CivilDay.daysInMonth(year: year, month: month)
            else { return nil }
            return CivilDay(year: year, month: month, day: day).number
        }

        /// `HH:MM`, `HH:MM:SS`, decimals; second 60 is the last millisecond of its minute.
        mutating func clock() -> Int64? {
            guard let hour = digits(2), takes(0x3a), let minute = digits(2), hour < 24, minute < 60 else { return nil }
            let minutes = (hour * 60 + minute) * 60_000
            guard takes(0x3a) else { return minutes }
            guard let second = digits(2), second <= 60 else { return nil }
            var fraction: Int64 = 0
            if takes(0x2e) || takes(0x2c) {
                guard let part = decimals() else { return nil }
                fraction = part
            }
            return second == 60 ? minutes + 59_999 : minutes + second * 1000 + fraction
        }

        private mutating func decimals() -> Int64? {
            var value: Int64 = 0
            var unit: Int64 = 100
            let start = position
            while let digit = digits(1) {
                value += digit * unit
                unit /= 10
            }
            return position > start ? value : nil
        }

        mutating func offset() -> Int64? {
            let isWest = takes(0x2d)
            guard isWest || takes(0x2b), let hours = digits(2) else { return nil }
            _ = takes(0x3a)
            guard let minutes = digits(2), hours < 24, minutes < 60 else { return nil }
            let offset = (hours * 60 + minutes) * 60_000
            return isWest ? -offset : offset
        }
    }
}
