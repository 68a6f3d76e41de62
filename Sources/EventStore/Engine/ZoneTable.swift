// Time zones for queries: what Foundation knows of them, gathered once per zone.

import EventStoreCore
import EventStoreQuery
import Foundation
import Synchronization

/// The zones of the IANA database, with the changes of their clocks from 1900 to 2100. Before and after, the first and
/// the last offset hold. Cost: some milliseconds for the first use of a zone, then a look-up under a lock.
final class ZoneTable: ZoneSource {
    static let shared = ZoneTable()

    private let known = Mutex<[String: ZoneRules]>([:])

    func rules(_ name: String) -> ZoneRules? {
        if let rules = known.withLock({ $0[name] }) { return rules }
        // Two threads may gather the same zone at once; both come to the same.
        guard let zone = TimeZone(identifier: name) else { return nil }
        let rules = ZoneTable.gather(zone)
        known.withLock { $0[name] = rules }
        return rules
    }

    // 1900-01-01 and 2100-01-01, seconds since 1970.
    private static let firstSecond: Int64 = -2_208_988_800
    private static let lastSecond: Int64 = 4_102_444_800
    /// No zone keeps an offset for less than two days.
    private static let stepSeconds: Int64 = 2 * 86_400

    /// Looks at the offset every two days and searches between two that differ.
    private static func gather(_ zone: TimeZone) -> ZoneRules {
        func offset(_ second: Int64) -> Int64 {
            Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second)))) * 1000
        }
        let initial = offset(firstSecond)
        var transitions: [ZoneRules.Transition] = []
        var current = initial
        var second = firstSecond
        while second < lastSecond {
            let next = min(second + stepSeconds, lastSecond)
            guard offset(next) != current else {
                second = next
                continue
            }
            var low = second
            var high = next
            while high - low > 1 {
                let middle = (low + high) / 2
                if offset(middle) == current { low = middle } else { high = middle }
            }
            current = offset(high)
            transitions.append(ZoneRules.Transition(utcMs: high * 1000, offsetMs: current))
            second = high
        }
        return ZoneRules(initialOffsetMs: initial, transitions: transitions)
    }
}
