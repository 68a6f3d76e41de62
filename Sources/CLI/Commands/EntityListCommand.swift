/// `eventstore entity list` and `show`: the fleet, and one of it.

import ArgumentParser
import EventStore

struct EntityListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the fleet: last event, last arrival, events in 24 h, refusals, skew, size, days left.",
        discussion: """
            On a terminal times are relative; json has them in milliseconds. The skew is how far an entity's newest \
            event lies behind its arrival; a negative one came from a clock that is ahead.

            Examples:
              eventstore entity list events
              eventstore entity list events --json | jq '.[] | select(.eventsInLastDay == 0) | .name'
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions

    func run() throws {
        let entities = try access.open(.readOnly) { try $0.entities() }
        let terminal = Terminal.current()
        let output = Output()
        try FleetText.print(
            entities, format: format.resolved(terminal), output: output, time: (access.time.times, access.time.nowMs),
            terminal: terminal)
        try output.flush()
    }
}

struct EntityShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one entity.",
        discussion: """
            Example:
              eventstore entity show events example.org
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: "The entity.")
    var name: String

    @OptionGroup var format: FormatOptions

    func run() throws {
        let entity = try access.session().entity(name)
        let terminal = Terminal.current()
        let output = Output()
        try ObjectPrinter.print(
            FleetText.fields(entity, times: access.time.times, nowMs: access.time.nowMs),
            format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }
}
