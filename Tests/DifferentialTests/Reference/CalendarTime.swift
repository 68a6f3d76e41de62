// Buckets of time and times as text by Foundation's calendar: slow, and independent of the store's own arithmetic.

import Foundation

/// Times of one zone. Remembers what it computed, as the same times come again and again.
final class CalendarTime {
    private let calendar: Calendar
    private let zone: TimeZone
    private let isUTC: Bool
    private var known: [String: [Int64: Int64]] = [:]
    private var texts: [Int64: String] = [:]

    init?(zone name: String?) {
        guard let zone = name == nil ? TimeZone(identifier: "GMT") : TimeZone(identifier: name ?? "") else {
            return nil
        }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        calendar.firstWeekday = 2
        self.calendar = calendar
        self.zone = zone
        isUTC = name == nil
    }

    /// The start of the bucket of `width` that `time` falls into: `'5 minutes'`, `'1 day'`, `'2 weeks'`, `'1 month'` …
    func bucket(_ width: String, _ time: Int64) -> Int64? {
        if let start = known[width]?[time] { return start }
        let parts = width.split(separator: " ")
        guard parts.count == 2, let count = Int(parts[0]), count > 0 else { return nil }
        let unit = parts[1].hasSuffix("s") ? parts[1].dropLast() : parts[1]
        guard let start = start(count, String(unit), time) else { return nil }
        known[width, default: [:]][time] = start
        return start
    }

    private func start(_ count: Int, _ unit: String, _ time: Int64) -> Int64? {
        let date = Date(timeIntervalSince1970: Double(time) / 1000)
        switch unit {
        case "second": return floored(time, Int64(count) * 1000)
        case "minute": return clockStart(time, Int64(count) * 60_000)
        case "hour" where count == 1: return clockStart(time, 3_600_000)
        case "hour":
            // Of widths that divide a day.
            var parts = calendar.dateComponents([.year, .month, .day, .hour], from: date)
            parts.hour = (parts.hour ?? 0) / count * count
            return calendar.date(from: parts).map { Int64($0.timeIntervalSince1970 * 1000) }
        case "day": return localDay(dayNumber(date) / count * count)
        case "week":
            // Day 4 of 1970, a Monday, begins the first whole week.
            let width = 7 * count
            return localDay((dayNumber(date) - 4) / width * width + 4)
        case "month", "quarter":
            let width = unit == "month" ? count : count * 3
            let parts = calendar.dateComponents([.year, .month], from: date)
            guard let year = parts.year, let month = parts.month else { return nil }
            let months = ((year - 1970) * 12 + month - 1) / width * width
            return localStart(year: 1970 + months / 12, month: months % 12 + 1, day: 1)
        case "year":
            let year = calendar.component(.year, from: date)
            return localStart(year: 1970 + (year - 1970) / count * count, month: 1, day: 1)
        default: return nil
        }
    }

    /// A whole multiple of up to an hour by the clock on the wall; none begins before the clocks last changed.
    private func clockStart(_ time: Int64, _ width: Int64) -> Int64 {
        let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(time) / 1000))
        let start = floored(time + Int64(offset) * 1000, width) - Int64(offset) * 1000
        let startDate = Date(timeIntervalSince1970: Double(start) / 1000)
        guard zone.secondsFromGMT(for: startDate) != offset,
            let change = zone.nextDaylightSavingTimeTransition(after: startDate)
        else { return start }
        return Int64(change.timeIntervalSince1970 * 1000)
    }

    func truncated(_ unit: String, _ time: Int64) -> Int64? { bucket("1 " + unit, time) }

    /// RFC 3339 with milliseconds.
    func text(_ time: Int64) -> String {
        if let text = texts[time] { return text }
        let seconds = floored(time, 1000)
        let date = Date(timeIntervalSince1970: Double(seconds) / 1000)
        let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second], from: date)
        func digits(_ number: Int?, _ count: Int) -> String {
            let text = String(number ?? 0)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let day = "\(digits(parts.year, 4))-\(digits(parts.month, 2))-\(digits(parts.day, 2))"
        let clock = "\(digits(parts.hour, 2)):\(digits(parts.minute, 2)):\(digits(parts.second, 2))"
        let offset = zone.secondsFromGMT(for: date) / 60
        let sign = offset < 0 ? "-" : "+"
        let shift = "\(sign)\(digits(abs(offset) / 60, 2)):\(digits(abs(offset) % 60, 2))"
        let text = "\(day)T\(clock).\(digits(Int(time - seconds), 3))" + (isUTC ? "Z" : shift)
        texts[time] = text
        return text
    }

    private func floored(_ time: Int64, _ width: Int64) -> Int64 {
        let rest = time % width
        return time - (rest < 0 ? rest + width : rest)
    }

    /// Days of the local calendar since 1970-01-01.
    private func dayNumber(_ date: Date) -> Int {
        let shifted = date.timeIntervalSince1970 + Double(zone.secondsFromGMT(for: date))
        return Int((shifted / 86_400).rounded(.down))
    }

    private func localDay(_ number: Int) -> Int64? {
        localStart(year: 1970, month: 1, day: 1 + number)
    }

    /// The first moment of a local day; a day number beyond the month goes on into the next ones.
    private func localStart(year: Int, month: Int, day: Int) -> Int64? {
        let noon = DateComponents(year: year, month: month, day: day, hour: 12)
        guard let date = calendar.date(from: noon) else { return nil }
        return Int64(calendar.startOfDay(for: date).timeIntervalSince1970 * 1000)
    }
}
