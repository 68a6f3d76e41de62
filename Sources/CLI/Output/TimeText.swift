/// Times as people read them: RFC 3339 in a zone. Civil-date arithmetic is the proleptic Gregorian calendar
/// (days-from-civil of H. Hinnant's date algorithms); zones are Foundation's.

import Foundation

package enum CivilTime {
    package static let dayMs: Int64 = 86_400_000

    /// Days since 1970-01-01 of a date.
    package static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = floorDivide(y, 400)
        let yearOfEra = y - era * 400
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The date of a number of days since 1970-01-01.
    package static func date(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = days + 719_468
        let era = floorDivide(z, 146_097)
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    package static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        let next = month == 12 ? days(year: year + 1, month: 1, day: 1) : days(year: year, month: month + 1, day: 1)
        return next - days(year: year, month: month, day: 1)
    }

    package static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        let quotient = a / b
        return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient
    }

    /// Milliseconds to add to UTC to get the wall clock of `zone`.
    package static func offsetMs(_ zone: TimeZone, at ms: Int64) -> Int64 {
        Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(ms) / 1000))) * 1000
    }

    /// The moment a wall clock shows `local` (milliseconds as if UTC). In a gap: as far after the gap as the
    /// clock would be; of two moments: the first.
    package static func moment(local: Int64, zone: TimeZone) -> Int64 {
        let before = offsetMs(zone, at: local - dayMs)
        let after = offsetMs(zone, at: local + dayMs)
        let first = local - max(before, after)
        if first + offsetMs(zone, at: first) == local { return first }
        let second = local - min(before, after)
        if second + offsetMs(zone, at: second) == local { return second }
        return local - before
    }
}

/// Prints moments as RFC 3339 with milliseconds, in one zone.
package struct TimeText {
    package let zone: TimeZone
    private let isUTC: Bool

    package init(zone: TimeZone) {
        self.zone = zone
        isUTC = ["UTC", "GMT", "Etc/UTC"].contains(zone.identifier)
    }

    /// The zone as people write it: Foundation calls UTC by its older name.
    package var zoneName: String { isUTC ? "UTC" : zone.identifier }

    /// `2026-11-23T10:00:00.123Z`, or with the zone's offset at that moment.
    package func rfc3339(_ ms: Int64) -> String {
        let offset = isUTC ? 0 : CivilTime.offsetMs(zone, at: ms)
        let (local, overflow) = ms.addingReportingOverflow(offset)
        guard !overflow else { return String(ms) }
        let days = CivilTime.floorDivide(local, CivilTime.dayMs)
        let rest = local - days * CivilTime.dayMs
        let date = CivilTime.date(days: days)
        let clock = [rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60].map { TimeText.digits($0, 2) }
        let day =
            TimeText.digits(date.year, 4) + "-" + TimeText.digits(date.month, 2) + "-"
            + TimeText.digits(date.day, 2)
        return day + "T" + clock.joined(separator: ":") + "." + TimeText.digits(rest % 1000, 3)
            + (isUTC ? "Z" : TimeText.suffix(offset))
    }

    package static func digits(_ value: Int64, _ count: Int) -> String {
        let text = String(value.magnitude)
        let zeros = String(repeating: "0", count: max(0, count - text.count))
        return (value < 0 ? "-" : "") + zeros + text
    }

    private static func suffix(_ offsetMs: Int64) -> String {
        let minutes = abs(offsetMs) / 60_000
        return (offsetMs < 0 ? "-" : "+") + digits(minutes / 60, 2) + ":" + digits(minutes % 60, 2)
    }
}
