/// The zone that governs dates, display and charts, and the clock.

import ArgumentParser
import EventStore
import Foundation

struct TimeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Time zone of dates and of display.", valueName: "zone"))
    var tz = "UTC"

    @Option(help: ArgumentHelp("The time taken for now.", valueName: "time", visibility: .hidden))
    var now: String?

    mutating func validate() throws {
        guard TimeZone(identifier: tz) != nil else {
            throw ValidationError("unknown time zone '\(tz)'; give an IANA name such as Europe/Berlin")
        }
        if let now, TimeExpression.parse(now, nowMs: systemNowMs, zone: zone) == nil {
            throw ValidationError("'\(now)' is no time")
        }
    }

    var zone: TimeZone { TimeZone(identifier: tz) ?? .gmt }

    var times: TimeText { TimeText(zone: zone) }

    /// The hidden option's time, or the system's.
    var nowMs: Int64 { fixedNowMs ?? systemNowMs }

    var fixedNowMs: Int64? { now.flatMap { TimeExpression.parse($0, nowMs: systemNowMs, zone: zone) } }

    func parse(_ text: String, option: String) throws -> Int64 {
        guard let ms = TimeExpression.parse(text, nowMs: nowMs, zone: zone) else {
            throw CLIFailure.usage(
                "--\(option): '\(text)' is no time; examples: 2026-11-23, 2026-11-23T10:00:00Z, -24h, 7d, today, now")
        }
        return ms
    }

    private var systemNowMs: Int64 { Int64((Date().timeIntervalSince1970 * 1000).rounded()) }
}
