/// `eventstore plan`: how long plans keep events.

import ArgumentParser
import EventStore

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "List plans; add one or change its days.",
        discussion: """
            Examples:
              eventstore plan list events
              eventstore plan set events archive --days 365
            """,
        subcommands: [PlanListCommand.self, PlanSetCommand.self])
}

struct PlanListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the plans, shortest first, and how many entities have each.",
        discussion: """
            Example:
              eventstore plan list events
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions

    func run() throws {
        let (plans, entities) = try access.open(.readOnly) { (try $0.plans(), try $0.stats().entitiesByPlan) }
        let terminal = Terminal.current()
        let output = Output()
        let counts = Dictionary(entities.map { ($0.key, $0.count) }) { $0 + $1 }
        try PlanText.print(
            plans, entities: counts, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }
}

struct PlanSetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Add a plan or change its days, for all entities that have it, at once.",
        discussion: """
            What has expired stays gone; what a shorter plan makes expire goes now. Entities with days of their \
            own keep those.

            Examples:
              eventstore plan set events archive --days 365
              eventstore plan set events museum --forever
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: "The plan.")
    var name: String

    @Option(help: ArgumentHelp("Days events are kept.", valueName: "n"))
    var days: Int?

    @Flag(help: "Events are kept for ever.")
    var forever = false

    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if (days != nil) == forever { throw ValidationError("give --days N or --forever") }
        try PlanDays.validate(days)
    }

    func run() throws {
        _ = try access.perform(.setPlan(Plan(name: name, days: days)))
        guard !quietness.quiet else { return }
        let kept = days.map { "\($0) \($0 == 1 ? "day" : "days")" } ?? "for ever"
        Diagnostics.line("plan '\(TextLayout.harmless(name))' keeps events \(kept)")
    }
}

package enum PlanText {
    /// Days are null (nothing in csv) where events are kept for ever.
    package static func print(
        _ plans: [Plan], entities: [String: Int], format: RowFormat, output: Output, terminal: Terminal
    ) throws {
        switch format {
        case .table:
            var table = TableLayout(columns: ["plan", "days", "entities"], terminal: terminal)
            for plan in plans {
                let text = table.add([
                    TableCell(text: TextLayout.harmless(plan.name)),
                    TableCell(text: plan.days.map { "\($0)" } ?? "forever", right: true),
                    TableCell(text: TextLayout.grouped(entities[plan.name] ?? 0), right: true),
                ])
                if let text { try output.write(text) }
            }
            try output.write(table.finish())
        case .csv:
            let writer = try RowWriter(
                columns: ["name", "days", "entities"], format: .csv, output: output, times: TimeText(zone: .gmt),
                terminal: terminal)
            for plan in plans {
                try writer.write([
                    .text(plan.name), plan.days.map { .integer(Int64($0)) } ?? .absent,
                    .integer(Int64(entities[plan.name] ?? 0)),
                ])
            }
            try writer.finish()
        case .json, .ndjson:
            let objects = plans.map { plan in
                JSONValue.object([
                    ("name", .string(plan.name)), ("days", .int(plan.days)),
                    ("entities", .int(entities[plan.name] ?? 0)),
                ])
            }
            try ObjectList.print(objects, format: format, output: output)
        }
    }
}
