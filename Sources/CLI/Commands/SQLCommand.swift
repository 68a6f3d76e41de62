/// `eventstore sql`: a question in SQL, its rows as they come.

import ArgumentParser
import EventStore

struct SQLCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Ask a question in SQL.",
        discussion: """
            A SELECT over events (id, entity, type, timestamp, sequence, received, each attribute by its name, \
            attributes), entities and segments. Times are milliseconds; '2026-11-23' and RFC 3339 texts compare \
            with them. On a terminal 1,000 rows are shown; --limit 0 shows all. docs/sql.md is the reference.

            Examples:
              eventstore sql events 'SELECT type, count(*) FROM events GROUP BY type'
              eventstore sql events "SELECT path, count(*) AS n FROM events \\
                WHERE status >= 500 AND timestamp >= '2026-11-23' \\
                GROUP BY path ORDER BY n DESC LIMIT 10"
              eventstore sql events "SELECT time_bucket('1 day', timestamp) AS day, \\
                quantile(duration_ms, 0.95) FROM events WHERE entity = :site \\
                GROUP BY day ORDER BY day" --param site=shop.example
              eventstore sql events --file report.sql --param since:time=-24h --json
              eventstore sql events 'SELECT count(DISTINCT ip) FROM events' --explain
            """)

    private static let terminalRows = 1000

    @OptionGroup var access: StoreAccess

    @Argument(help: ArgumentHelp("The query; without it and without --file: standard input.", valueName: "select"))
    var query: String?

    @Option(help: ArgumentHelp("File with the query; - is standard input.", valueName: "file"))
    var file: String?

    @OptionGroup var parameters: SQLParameterOptions

    @Flag(help: "Say how the query would run instead of running it, as EXPLAIN in front of it does.")
    var explain = false

    @Flag(help: "Say on standard error what it cost.")
    var timing = false

    @Option(
        help: ArgumentHelp(
            "At most this many rows; 0 is all (default: 1,000 of a table on a terminal, else all).", valueName: "n"))
    var limit: Int?

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if query != nil, file != nil { throw ValidationError("give the query or --file, not both") }
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative; 0 is all") }
    }

    func run() throws {
        let parameters = try parameters.values(access.time)
        var text = try SQLText.read(argument: query, file: file)
        if explain { text = text.explained() }
        let terminal = Terminal.current()
        do {
            try access.open(.readOnly) { store in
                if !text.isExplain { try NameHints(store: store).check(text, parameters) }
                try print(try store.query(text.query, parameters: parameters), text, terminal)
            }
        } catch let error as EventStoreError {
            throw text.failure(error, width: terminal.width, unicode: terminal.unicode)
        }
    }

    private func print(_ cursor: QueryCursor, _ text: SQLText, _ terminal: Terminal) throws {
        defer { cursor.close() }
        let format = format.resolved(terminal)
        var shown = terminal
        // A plan is read whole.
        if text.isExplain { shown.isTerminal = false }
        let isShown = format == .table && terminal.isTerminal
        let bound = limit.map { $0 == 0 ? Int.max : $0 } ?? (isShown ? SQLCommand.terminalRows : Int.max)
        let output = Output()
        // A query that meets damage gives what it could before it throws: that is printed too.
        defer { try? output.flush() }
        let writer = try QueryWriter(
            columns: cursor.columns, format: format, output: output, times: access.time.times, terminal: shown)
        var left = bound
        var hasMore = false
        while !hasMore, let batch = try cursor.nextBatch() {
            let count = min(left, batch.count)
            try writer.write(batch, rows: 0..<count)
            left -= count
            hasMore = batch.count > count
        }
        try writer.finish()
        if hasMore, limit == nil, !quietness.quiet {
            Diagnostics.line("showing the first \(TextLayout.grouped(bound)) rows; --limit 0 shows all")
        }
        if timing { Diagnostics.line(QueryTiming.line(cursor.statistics)) }
    }
}

extension NameHints {
    /// Entities and types a query compares with that the store does not know.
    func check(_ text: SQLText, _ parameters: [String: QueryValue]) throws {
        let words = SQLWords(text.text)
        try check(
            EventFilter(
                entities: words.compared(with: "entity", parameters), types: words.compared(with: "type", parameters)))
    }
}
