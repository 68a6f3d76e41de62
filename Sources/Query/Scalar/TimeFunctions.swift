// `time_bucket`, `date_trunc` and `iso`: their arguments, checked, and what they make of a time.

import EventStoreCore

package enum TimeFunctions {
    private static let units: [(names: [String], width: BucketWidth)] = [
        (["ms", "millisecond", "milliseconds"], .fixed(1)),
        (["s", "sec", "second", "seconds"], .fixed(1000)),
        (["m", "min", "minute", "minutes"], .fixed(60_000)),
        (["h", "hour", "hours"], .fixed(3_600_000)),
        (["d", "day", "days"], .fixed(86_400_000)),
        (["w", "week", "weeks"], .weeks(1)),
        (["month", "months"], .months(1)),
        (["quarter", "quarters"], .months(3)),
        (["y", "year", "years"], .months(12)),
    ]
    private static let truncations = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
    private static let widthHelp =
        "a positive number and a unit such as '15 minutes', '1h', '1 day', '1 week', '3 months' or '1 year', or "
        + "milliseconds as an integer"

    /// The width a value stands for: text such as `15 minutes`, `1h`, `day`, or an integer of milliseconds.
    package static func width(_ value: SQLValue) throws(Fault) -> BucketWidth? {
        let found: BucketWidth?
        switch value {
        case .null: return nil
        case .integer(let ms): found = .fixed(ms)
        case .double(let ms): found = Int64(exactly: ms).map { .fixed($0) }
        case .text(let text): found = width(text.string)
        }
        if let found, found.isPositive { return found }
        throw Fault(.invalid, "time_bucket: \(described(value)) is no width; expected \(widthHelp)")
    }

    private static func width(_ text: String) -> BucketWidth? {
        let bytes = Array(text.utf8)
        let trimmed = bytes.drop { isSQLSpace($0) }
        let digits = trimmed.prefix { $0 &- 0x30 < 10 }
        let name = String(
            decoding: trimmed.dropFirst(digits.count).filter { !isSQLSpace($0) }.map(foldedASCII), as: UTF8.self)
        guard let unit = units.first(where: { $0.names.contains(name) })?.width else { return nil }
        guard !digits.isEmpty else { return unit }
        return Int64(String(decoding: digits, as: UTF8.self)).flatMap { unit.times($0) }
    }

    /// The unit of `date_trunc`.
    package static func unit(_ value: SQLValue) throws(Fault) -> BucketWidth? {
        if value.isNull { return nil }
        if case .text(let text) = value {
            let name = String(decoding: text.string.utf8.map(foldedASCII), as: UTF8.self)
            if truncations.contains(name), let unit = units.first(where: { $0.names.contains(name) }) {
                return unit.width
            }
        }
        throw Fault(
            .invalid,
            "date_trunc: \(described(value)) is no unit; expected one of '\(truncations.joined(separator: "', '"))'")
    }

    /// Milliseconds of a time argument: numbers are milliseconds already, text is a date or RFC 3339.
    package static func time(_ value: SQLValue) throws(Fault) -> Int64? {
        switch value {
        case .null: return nil
        case .integer(let ms): return ms
        case .double(let ms): return SQLValue.truncated(ms.rounded(.down))
        case .text(let text):
            if let ms = TimeText.parse(text) { return ms }
            throw Fault(
                .invalid,
                "\(described(value)) is no time; expected milliseconds since 1970, a date such as '2026-11-23' or "
                    + "RFC 3339 such as '2026-11-23T10:15:00Z'")
        }
    }

    /// The rules of a zone argument; `nil` for NULL.
    package static func zone(_ value: SQLValue, _ zones: any ZoneSource) throws(Fault) -> ZoneRules? {
        guard let name = value.textValue else { return nil }
        return try zones.zone(named: name.string)
    }

    /// A plan from the arguments of `time_bucket` or `date_trunc` but the time; `nil` when one is NULL.
    package static func plan(
        _ function: ScalarFunction, width: SQLValue, zone: SQLValue?, _ zones: any ZoneSource
    ) throws(Fault) -> BucketPlan? {
        let length = try function == .dateTrunc ? unit(width) : self.width(width)
        let rules = try zone.map { value throws(Fault) in try self.zone(value, zones) }
        guard let length, rules != .some(nil) else { return nil }
        return BucketPlan(width: length, zone: rules ?? nil)
    }

    static func bucket(
        _ function: ScalarFunction, _ width: SQLValue, _ time: SQLValue, _ zone: SQLValue?, _ zones: any ZoneSource
    ) throws(Fault) -> SQLValue {
        let plan = try plan(function, width: width, zone: zone, zones)
        guard let plan, let ms = try self.time(time) else { return .null }
        return .integer(plan.bucket(ms))
    }

    static func iso(_ time: SQLValue, _ zone: SQLValue?, _ zones: any ZoneSource) throws(Fault) -> SQLValue {
        let rules = try zone.map { value throws(Fault) in try self.zone(value, zones) }
        guard let ms = try self.time(time), rules != .some(nil) else { return .null }
        return .text(Text(TimeText.iso(ms, zone: rules ?? nil)))
    }

    /// A value in an error: short.
    private static func described(_ value: SQLValue) -> String {
        let text = value.textValue?.string ?? "NULL"
        return "'" + (text.count > 40 ? text.prefix(40) + "…" : text[...]) + "'"
    }
}

extension BucketWidth {
    /// A bound that keeps sums of a few widths and times within 64 bits: about 292,000 years of milliseconds.
    private static let msMax: Int64 = 1 << 53
    private static let monthsMax: Int64 = 1 << 32

    fileprivate var isPositive: Bool {
        switch self {
        case .fixed(let ms): ms > 0 && ms <= Self.msMax
        case .weeks(let count): count > 0 && count <= Self.msMax / (7 * Limits.msPerDay)
        case .months(let count): count > 0 && count <= Self.monthsMax
        }
    }

    fileprivate func times(_ factor: Int64) -> BucketWidth {
        switch self {
        case .fixed(let ms): .fixed(ms.multipliedClamped(factor))
        case .weeks(let count): .weeks(count.multipliedClamped(factor))
        case .months(let count): .months(count.multipliedClamped(factor))
        }
    }
}
