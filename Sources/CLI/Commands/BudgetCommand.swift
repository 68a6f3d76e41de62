/// `eventstore budget`: how large the store may become, and how much an entity may add a day.

import ArgumentParser
import EventStore

struct BudgetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "budget",
        abstract: "Show or set what the store and its entities may take in.",
        discussion: """
            Nothing that is stored goes for a budget. Events beyond the day's budget of \
            their entity are refused and counted (reason: budget); a store at its own \
            limit refuses whole appends with error[disk-full] until there is room again.

            Examples:
              eventstore budget show events
              eventstore budget set events --max-bytes 20GB --min-free 1GB
            """,
        subcommands: [BudgetShowCommand.self, BudgetSetCommand.self])
}

/// Limits of the store, also of a new one.
struct StoreBudgetOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Bytes all files may take, e.g. 20GB; none for no limit.", valueName: "size"))
    var maxBytes: ByteSize?

    @Option(help: ArgumentHelp("Bytes that stay free in the file system, e.g. 1GB.", valueName: "size"))
    var minFree: ByteSize?

    @Option(help: ArgumentHelp("Events an entity may add on a UTC day.", valueName: "n"))
    var entityEventsPerDay: EventLimit?

    @Option(help: ArgumentHelp("Bytes of names and values an entity may add on a UTC day.", valueName: "size"))
    var entityBytesPerDay: ByteSize?

    var change: BudgetChange {
        BudgetChange(
            maxBytes: maxBytes?.bytes, minFree: minFree?.bytes, eventsPerDay: entityEventsPerDay?.events,
            bytesPerDay: entityBytesPerDay?.bytes)
    }
}

struct BudgetSetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change budgets; what is not named stays as it is.",
        discussion: """
            With --entity the limits a day are that entity's own; --reset takes those away. \
            Days are UTC days of arrival; counting begins when a budget is set.

            Examples:
              eventstore budget set events --entity-events-per-day 1000000
              eventstore budget set events --max-bytes none
              eventstore budget set events --entity busy.example \\
                --entity-events-per-day none
              eventstore budget set events --entity busy.example --reset
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var limits: StoreBudgetOptions

    @Option(help: ArgumentHelp("The entity whose own budget is meant.", valueName: "name"))
    var entity: String?

    @Flag(help: "The entity has the budget of all others again.")
    var reset = false

    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if entity != nil, limits.maxBytes != nil || limits.minFree != nil {
            throw ValidationError("--max-bytes and --min-free are the store's and do not go with --entity")
        }
        if reset, entity == nil { throw ValidationError("--reset goes with --entity") }
        if limits.change == BudgetChange(), !reset {
            throw ValidationError("give a budget to set, e.g. --max-bytes 20GB")
        }
    }

    func run() throws {
        var change = limits.change
        change.entity = entity
        change.resetsEntity = reset
        let session = try access.session()
        if let entity {
            _ = try session.perform(.setBudget(change), onEntity: entity)
        } else {
            _ = try session.perform(.setBudget(change))
        }
        if !quietness.quiet { Diagnostics.line("budgets set; `budget show` shows them and what is used") }
    }
}

struct BudgetShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the budgets and what is used of them today.",
        discussion: """
            Example:
              eventstore budget show events --json
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions

    func run() throws {
        let report = try access.open(.readOnly) { try $0.budget() }
        let terminal = Terminal.current()
        let output = Output()
        let chosen = format.resolved(terminal)
        try ObjectPrinter.print(BudgetText.fields(report), format: chosen, output: output, terminal: terminal)
        if chosen == .table { try output.write(BudgetText.table(report, terminal: terminal)) }
        try output.flush()
    }
}

/// Budgets in words and as JSON.
package enum BudgetText {
    package static func fields(_ report: BudgetReport) -> [ReportField] {
        let entities = report.entities.map { entity in
            JSONValue.object([
                ("name", .string(entity.name)), ("eventsPerDay", .int(entity.budget.eventsPerDay)),
                ("bytesPerDay", .int(entity.budget.bytesPerDay)), ("own", .bool(entity.isOwn)),
                ("eventsToday", .int(entity.events)), ("bytesToday", .int(entity.bytes)),
            ])
        }
        return [
            ReportField(
                "maxBytes", .int(report.maxBytes), label: "most bytes of the store", shown: size(report.maxBytes)),
            ReportField("bytes", bytes: report.storeBytes, label: "  it takes"),
            ReportField("minFree", .int(report.minFree), label: "bytes to stay free", shown: size(report.minFree)),
            ReportField("freeBytes", bytes: report.freeBytes, label: "  free now"),
            ReportField(
                "entityEventsPerDay", .int(report.each.eventsPerDay), label: "events a day of an entity",
                shown: count(report.each.eventsPerDay)),
            ReportField(
                "entityBytesPerDay", .int(report.each.bytesPerDay), label: "bytes a day of an entity",
                shown: size(report.each.bytesPerDay)),
            ReportField("entities", .array(entities), label: "", shown: nil),
        ]
    }

    package static func table(_ report: BudgetReport, terminal: Terminal) -> String {
        guard !report.entities.isEmpty else { return "" }
        var text = "\n"
        var table = TableLayout(
            columns: ["entity", "events today", "of", "bytes today", "of", "own"], terminal: terminal)
        for entity in report.entities {
            text +=
                table.add([
                    TableCell(text: TextLayout.harmless(entity.name)),
                    TableCell(text: TextLayout.grouped(entity.events), right: true),
                    TableCell(text: count(entity.budget.eventsPerDay), right: true),
                    TableCell(text: size(entity.bytes), right: true),
                    TableCell(text: size(entity.budget.bytesPerDay), right: true),
                    TableCell(text: entity.isOwn ? "yes" : ""),
                ]) ?? ""
        }
        return text + table.finish()
    }

    private static func size(_ bytes: Int?) -> String { bytes.map { TextLayout.bytes($0) } ?? "no limit" }
    private static func count(_ events: Int?) -> String { events.map { TextLayout.grouped($0) } ?? "no limit" }
}
