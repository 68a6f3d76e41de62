// The plans a new store knows: how many days each keeps.

import EventStoreCatalog
import EventStoreCore

enum Plans {
    /// Days by name; `nil` days keeps for ever.
    static let builtIn: [(name: String, days: Int?)] = [
        ("starter", 7), ("professional", 30), ("enterprise", 90), ("unlimited", nil),
    ]

    /// Days by name, 0 for ever: the built-in plans and what the store says of its own.
    static func days(_ stored: [PlanRecord]) -> [String: Int] {
        var days: [String: Int] = [:]
        for plan in builtIn { days[plan.name] = plan.days ?? 0 }
        for plan in stored { days[plan.name] = plan.days }
        return days
    }

    static func check(_ name: String, among plans: [String: Int] = days([])) throws(Fault) {
        guard plans[name] != nil else {
            let known = plans.keys.sorted().joined(separator: ", ")
            throw Fault(.invalid, "unknown plan '\(name)'; known: \(known)")
        }
    }
}
