/// `eventstore schema`: which types there are and what their attributes look like.

import ArgumentParser
import EventStore

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print types and attributes.",
        discussion: """
            For each type: events, first and last seen; for each attribute: kinds (several are flagged), the \
            share of events that have it, distinct values (~ is an estimate), least and greatest number, the \
            most frequent values.

            Examples:
              eventstore schema events
              eventstore schema events --type http.request --since -7d
              eventstore schema events --entity shop.example --json
              eventstore schema events --where 'status >= 500' --format csv
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "Filters") var filters: FilterOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let filter = try filters.filter(access.time)
        let schema = try access.open(.readOnly) { store in
            try NameHints(store: store).check(filter)
            let meter = ProgressMeter("reading", quiet: quietness.quiet)
            defer { meter.finish() }
            return try store.schema(filter) { meter.update(share: $0) }
        }
        let terminal = Terminal.current()
        let output = Output()
        try SchemaPrinter.print(
            schema, format: format.resolved(terminal), output: output, times: access.time.times, terminal: terminal)
        try output.flush()
        if schema.types.isEmpty, !quietness.quiet { Diagnostics.line("no events match") }
        // What could be read is printed; that not all could is a failure.
        if let damage = schema.damage { throw damage }
    }
}
