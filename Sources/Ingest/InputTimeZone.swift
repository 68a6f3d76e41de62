// The one place of this room that needs Foundation: what local time without a zone means.

import Foundation

/// A zone for times that come without one.
package struct InputTimeZone: Sendable {
    private let zone: TimeZone

    /// A zone of the IANA database (`Europe/Berlin`), `UTC`, or an offset such as `GMT+2`. `nil` when unknown.
    package init?(_ identifier: String) {
        guard let zone = TimeZone(identifier: identifier) ?? TimeZone(abbreviation: identifier) else { return nil }
        self.zone = zone
    }

    package init(_ zone: TimeZone) { self.zone = zone }

    /// Milliseconds since 1970 UTC of a local time given as if it were UTC.
    ///
    /// When clocks go back, the hour that comes twice is taken for its first pass (summer time). A time in
    /// the hour that is left out when clocks go forward is moved by the gap.
    /// Cost: two look-ups in the zone's table.
    func utcMs(fromLocal localMs: Int64) -> Int64 {
        let before = offsetMs(at: localMs - 86_400_000)
        let earlier = localMs - before
        if offsetMs(at: earlier) == before { return earlier }
        let after = offsetMs(at: localMs + 86_400_000)
        let later = localMs - after
        return offsetMs(at: later) == after ? later : earlier
    }

    private func offsetMs(at utcMs: Int64) -> Int64 {
        Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(utcMs) / 1000))) * 1000
    }
}
