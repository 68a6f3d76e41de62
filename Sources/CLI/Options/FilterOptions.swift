/// Which events: the filters every reading command shares.

import ArgumentParser
import EventStore

struct FilterOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("Only this entity; may be repeated.", valueName: "name"))
    var entity: [String] = []

    @Option(name: .long, help: ArgumentHelp("Only this type; may be repeated.", valueName: "name"))
    var type: [String] = []

    @Option(help: ArgumentHelp("From this time on: RFC 3339, date, ms, now, today, -24h, 7d.", valueName: "time"))
    var since: String?

    @Option(help: ArgumentHelp("Before this time.", valueName: "time"))
    var until: String?

    @Option(
        name: .customLong("where"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "'NAME OP VALUE' with OP = != < <= > >= ~ (contains) ^= (starts with); several are all required.",
            valueName: "expr"))
    var conditions: [String] = []

    var isEmpty: Bool { entity.isEmpty && type.isEmpty && since == nil && until == nil && conditions.isEmpty }

    func filter(_ time: TimeOptions) throws -> EventFilter {
        var filter = EventFilter(entities: entity, types: type)
        filter.since = try since.map { try time.parse($0, option: "since") }
        filter.until = try until.map { try time.parse($0, option: "until") }
        if let since = filter.since, let until = filter.until, since > until {
            throw CLIFailure.usage("--since lies after --until")
        }
        filter.conditions = try conditions.map { text in
            do {
                let expression = try WhereExpression(parsing: text)
                return EventFilter.Condition(
                    expression.name, expression.comparison, expression.value, orText: expression.bareText)
            } catch let problem as WhereExpression.Problem { throw CLIFailure.usage("--where \(problem.message)") }
        }
        return filter
    }
}

/// Hints about names in a filter that the store does not know. Hints never change the outcome.
struct NameHints {
    let store: BlockingEventStore

    func check(_ filter: EventFilter, by series: String? = nil) throws {
        try check(filter.entities, kind: .entity, word: "entity")
        try check(filter.types, kind: .type, word: "type")
        var attributes = filter.conditions.map(\.attribute)
        if let series, series != "type", series != "entity" { attributes.append(series) }
        try check(attributes, kind: .attribute, word: "attribute")
    }

    private func check(_ wanted: [String], kind: NameKind, word: String) throws {
        guard !wanted.isEmpty else { return }
        let known = try store.names(of: kind)
        let set = Set(known)
        var said = Set<String>()
        for name in wanted where !set.contains(name) && said.insert(name).inserted {
            Diagnostics.line(NameHints.text(name, word: word, near: NearNames.near(name, among: known)))
        }
    }

    private static let fields = [
        "entity": "--entity", "type": "--type", "timestamp": "--since and --until", "received": "", "sequence": "",
        "id": "",
    ]

    static func text(_ name: String, word: String, near: [String]) -> String {
        var text = "hint: no \(word) '\(TextLayout.harmless(name))' in this store"
        if !near.isEmpty {
            text += "; did you mean " + near.map { "'\(TextLayout.harmless($0))'" }.joined(separator: " or ") + "?"
        } else if word == "attribute", let option = fields[name] {
            text += "; it is a field of every event" + (option.isEmpty ? "" : ", filtered with \(option)")
        }
        return text
    }
}
