/// Spans of time as people glance at them: `5m ago`, `in 3h`, `-2s`.

package enum RelativeTime {
    private static let units: [(name: String, ms: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000),
    ]

    /// The largest whole unit: `59s`, `5m`, `23h`, `400d`; under a second is `0s`. Negative spans have a sign.
    package static func span(_ ms: Int64) -> String {
        let size = Int64(clamping: ms.magnitude)
        let unit = units.first { size >= $0.ms } ?? ("s", 1000)
        let count = size / unit.ms
        return (ms < 0 && count > 0 ? "-" : "") + "\(count)\(unit.name)"
    }

    package static func text(_ ms: Int64, nowMs: Int64) -> String {
        let (distance, overflow) = nowMs.subtractingReportingOverflow(ms)
        guard !overflow else { return ms < nowMs ? "long ago" : "far ahead" }
        if distance.magnitude < 1000 { return "now" }
        return distance > 0 ? span(distance) + " ago" : "in " + span(-distance)
    }
}
