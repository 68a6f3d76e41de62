// What a time zone's clocks show: offsets from UTC and the moments at which they change.

import EventStoreCore

/// The offsets of a zone. Before the first transition `initialOffsetMs` holds, after the last its offset for ever.
package struct ZoneRules: Sendable, Hashable {
    package struct Transition: Sendable, Hashable {
        package var utcMs: Int64
        /// From this moment on.
        package var offsetMs: Int64
        package init(utcMs: Int64, offsetMs: Int64) {
            self.utcMs = utcMs
            self.offsetMs = offsetMs
        }
    }

    package let initialOffsetMs: Int64
    /// Ascending by time.
    package let transitions: [Transition]

    package init(initialOffsetMs: Int64, transitions: [Transition] = []) {
        self.initialOffsetMs = initialOffsetMs
        self.transitions = transitions
    }

    package static let utc = ZoneRules(initialOffsetMs: 0)

    /// How many transitions are at or before a moment.
    private func index(atUTC ms: Int64) -> Int {
        var low = 0
        var high = transitions.count
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].utcMs <= ms { low = middle + 1 } else { high = middle }
        }
        return low
    }

    package func offset(atUTC ms: Int64) -> Int64 { offset(afterTransitions: index(atUTC: ms)) }

    private func offset(afterTransitions count: Int) -> Int64 {
        count == 0 ? initialOffsetMs : transitions[count - 1].offsetMs
    }

    /// The offset at a moment and the time, from `start` up to before `end`, that it holds.
    func regime(atUTC ms: Int64) -> (start: Int64, end: Int64, offset: Int64) {
        let count = index(atUTC: ms)
        return (
            count == 0 ? .min : transitions[count - 1].utcMs,
            count == transitions.count ? .max : transitions[count].utcMs, offset(afterTransitions: count)
        )
    }

    /// The local time shown at a moment, as milliseconds of a clock that reads 0 at 1970-01-01 00:00.
    package func local(atUTC ms: Int64) -> Int64 { ms.addingClamped(offset(atUTC: ms)) }

    /// The first moment at which clocks show this local time or a later one: of an hour that comes twice the first
    /// pass; of an hour that is left out the moment it is.
    /// The ends of the range stay what they are.
    package func firstUTC(reaching local: Int64) -> Int64 {
        if local == .min || local == .max { return local }
        // Offsets stay within a day, so that this moment is before the one looked for.
        let day = Limits.msPerDay
        var count = index(atUTC: local.subtractingClamped(2 * day))
        while true {
            let start = count == 0 ? Int64.min : transitions[count - 1].utcMs
            let candidate = local.subtractingClamped(offset(afterTransitions: count))
            if candidate <= start { return start }
            if count == transitions.count || candidate < transitions[count].utcMs { return candidate }
            count += 1
        }
    }
}

/// Where zones come from. This room knows none by itself but UTC and fixed offsets.
package protocol ZoneSource: Sendable {
    /// The rules of a zone by its name; `nil` when there is none.
    func rules(_ name: String) -> ZoneRules?
}

/// No zones but UTC and offsets such as `+02:00`.
package struct FixedZones: ZoneSource {
    package init() {}
    package func rules(_ name: String) -> ZoneRules? { nil }
}

extension ZoneSource {
    /// `UTC`, `Z`, `±HH:MM`, or a name the source knows.
    func zone(named name: String) throws(Fault) -> ZoneRules {
        if name == "UTC" || name == "Z" { return .utc }
        if let offset = TimeText.offset(name) { return ZoneRules(initialOffsetMs: offset) }
        if let rules = rules(name) { return rules }
        throw Fault(
            .invalid,
            "unknown time zone \"\(name)\"; zones are names of the IANA database such as 'Europe/Berlin', 'UTC', "
                + "or offsets such as '+02:00'")
    }
}
