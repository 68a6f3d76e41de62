/// `eventstore tail`: new events as they are committed, until interrupted.

import ArgumentParser
import EventStore
import Foundation

struct TailCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Print new events as they are stored.",
        discussion: """
            Runs until interrupted (Ctrl-C, exit code 0). Events come in order of sequence, without gaps or \
            repeats; go on later with --from and the last sequence + 1.

            Example:
              eventstore tail events --type auth.attempt --from now
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "Filters") var filters: FilterOptions

    @Option(help: ArgumentHelp("First sequence to print, or now.", valueName: "sequence"))
    var from = "now"

    @Option(help: ArgumentHelp("Stop after this many events.", valueName: "n"))
    var limit: Int?

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    private static let waitMs = 1000
    private static let batchRows = 1000

    func validate() throws {
        guard from == "now" || UInt64(from) != nil else {
            throw ValidationError("--from takes a sequence or now, not '\(from)'")
        }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
    }

    func run() throws {
        // Whatever was printed is whole lines, and a reader holds no lock: leaving at once is clean.
        signal(SIGINT) { _ in _exit(0) }
        signal(SIGTERM) { _ in _exit(0) }
        let filter = try filters.filter(access.time)
        let terminal = Terminal.current()
        let printer = TailPrinter(
            format: format.resolved(terminal), output: Output(), times: access.time.times, terminal: terminal)
        try access.open(.readOnly) { store in
            try NameHints(store: store).check(filter)
            try follow(store, filter: filter, printer: printer)
        }
    }

    private func follow(_ store: BlockingEventStore, filter: EventFilter, printer: TailPrinter) throws {
        var position = try UInt64(from) ?? store.nextSequence()
        var left = limit ?? Int.max
        try printer.start()
        while left > 0 {
            let batch = try store.tailBatch(
                filter, from: position, limit: min(left, TailCommand.batchRows), timeoutMs: TailCommand.waitMs)
            if !batch.isEmpty { try printer.print(batch) }
            left -= batch.count
            position = batch.nextSequence
        }
    }
}

/// Lines of a tail: each batch is flushed at once. `json` has no end to close an array at, so it is ndjson;
/// csv keeps the attributes as one field of JSON, since columns cannot be known ahead.
struct TailPrinter {
    let format: RowFormat
    let output: Output
    let times: TimeText
    let terminal: Terminal

    func start() throws {
        guard format == .csv else { return }
        try output.write(
            (EventPrinter.fields + ["attributes"]).map { CSVText.quoted($0) }.joined(separator: ",") + "\n")
        try output.flush()
    }

    func print(_ batch: EventBatch) throws {
        switch format {
        case .json, .ndjson: try output.write { batch.writeNDJSON(into: &$0) }
        case .csv: for index in 0..<batch.count { try output.write(csvLine(batch[index])) }
        case .table: for index in 0..<batch.count { try output.write(line(batch[index])) }
        }
        try output.flush()
    }

    private func line(_ event: Event) -> String {
        let fields = EventPrinter.summary(event).map { TableCell($0, times: times).text }
        let text = fields.joined(separator: "  ")
        return (terminal.isTerminal ? TextLayout.cut(text, to: terminal.width, unicode: terminal.unicode) : text) + "\n"
    }

    private func csvLine(_ event: Event) -> String {
        let attributes = event.attributes.sorted { $0.key < $1.key }.compactMap { name, value in
            JSONValue(Cell(value)).map { (name, $0) }
        }
        let cells = EventPrinter.row(event, names: []) + [.json(JSONValue.object(attributes).text)]
        return cells.map { CSVText.field($0, times: times) }.joined(separator: ",") + "\n"
    }
}
