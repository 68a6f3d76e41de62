// The plans a new store knows: how many days each keeps.

import EventStoreCore

enum Plans {
    /// Days by name; `nil` days keeps for ever.
    static let builtIn: [(name: String, days: Int?)] = [
        ("starter", 7), ("professional", 30), ("enterprise", 90), ("unlimited", nil),
    ]

    static func check(_ name: String) throws(Fault) {
        guard builtIn.contains(where: { $0.name == name }) else {
            let known = builtIn.map(\.name).joined(separator: ", ")
            throw Fault(.invalid, "unknown plan '\(name)'; known: \(known)")
        }
    }
}
