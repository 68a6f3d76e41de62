/// `eventstore events`: the events that match, newest first.

import ArgumentParser
import EventStore

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Print events, newest first.",
        discussion: """
            On a terminal 100 rows are shown; --limit 0 shows all.

            Examples:
              eventstore events events --entity example.org --since -24h
              eventstore events events --where 'status >= 500' --where 'path ^= "/api/"'
              eventstore events events --type wp.cron --since 2026-11-01 --format csv
            """)

    private static let terminalRows = 100

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "Filters") var filters: FilterOptions

    @Option(
        help: ArgumentHelp(
            "At most this many events; 0 is all (default: 100 on a terminal, else all).",
            valueName: "n"))
    var limit: Int?

    @Flag(help: "Oldest first.")
    var oldestFirst = false

    @Option(help: ArgumentHelp("Cut the lines of a table here (default: the terminal's width).", valueName: "columns"))
    var width: Int?

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative; 0 is all") }
        if let width, width < 20 { throw ValidationError("--width must be at least 20") }
    }

    func run() throws {
        let filter = try filters.filter(access.time)
        let terminal = Terminal.current()
        var shown = terminal
        if let width { (shown.isTerminal, shown.width) = (true, width) }
        let printer = EventPrinter(
            format: format.resolved(terminal), output: Output(), times: access.time.times, terminal: shown)
        try access.open(.readOnly) { store in
            try NameHints(store: store).check(filter)
            let bound = limit.map { $0 == 0 ? nil : $0 } ?? (terminal.isTerminal ? EventsCommand.terminalRows : nil)
            let count = try printer.print(
                store, filter: filter, order: oldestFirst ? .oldestFirst : .newestFirst, limit: bound)
            if limit == nil, count == bound { note(count) }
        }
    }

    private func note(_ count: Int) {
        guard !quietness.quiet else { return }
        Diagnostics.line("showing the \(oldestFirst ? "oldest" : "newest") \(count) events; --limit 0 shows all")
    }
}
