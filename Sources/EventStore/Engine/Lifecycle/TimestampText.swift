// Times in records that people read: RFC 3339 in UTC.

import EventStoreCore

enum TimestampText {
    static func utc(_ ms: Int64) -> String {
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let rest = ms - CivilDate.day(ms: ms) * Limits.msPerDay
        let time = [rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60].map { padded($0, 2) }
        return CivilDate(ms: ms).text + "T" + time.joined(separator: ":") + "." + padded(rest % 1000, 3) + "Z"
    }
}
