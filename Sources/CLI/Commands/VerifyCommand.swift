/// `eventstore verify`: reads and checks every byte; exit code 2 and a list of holes when something is wrong.

import ArgumentParser
import EventStore

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every byte of the store.",
        discussion: """
            Exit code 2 when something was found: each hole is listed with entity, time range, rows, file \
            and block.

            Example:
              eventstore verify events --json
            """)

    @OptionGroup var access: StoreAccess

    @Flag(help: "Only that files and catalog agree.")
    var quick = false

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let report: VerifyReport
        do {
            report = try access.open(.readOnly) { store in
                let meter = ProgressMeter("verifying", quiet: quietness.quiet)
                defer { meter.finish() }
                return try store.verify(quick: quick) { meter.update(share: $0) }
            }
        } catch let error as EventStoreError where error.code == .damaged || error.code == .tampered {
            // Damage that keeps the store from being opened is a finding like any other.
            try tell(VerifyReport(unopened: error, store: access.store))
            throw CLIFailure(
                code: error.code.rawValue, message: "the store cannot be opened: \(error.message)",
                exitCode: CLIFailure.foundSomething)
        }
        try tell(report)
        guard !report.holes.isEmpty else { return }
        let holes = report.holes.count
        throw CLIFailure(
            code: "damaged",
            message: "verify found \(holes) \(holes == 1 ? "hole" : "holes"); the rest of the store is readable",
            exitCode: CLIFailure.foundSomething)
    }

    private func tell(_ report: VerifyReport) throws {
        let terminal = Terminal.current()
        let output = Output()
        try VerifyText.print(
            report, format: format.resolved(terminal), output: output, times: access.time.times, terminal: terminal)
    }
}

extension VerifyReport {
    /// A store that cannot even be opened, with the file to blame.
    fileprivate init(unopened error: EventStoreError, store: String) {
        self.init()
        holes = [Hole(file: error.file ?? store, message: error.message)]
    }
}

package enum VerifyText {
    static let columns = ["entity", "since", "until", "rows", "file", "block", "message"]

    static func print(
        _ report: VerifyReport, format: RowFormat, output: Output, times: TimeText, terminal: Terminal
    ) throws {
        switch format {
        case .json, .ndjson:
            try output.write(object(report).text + "\n")
        case .csv:
            try table(report.holes, format: .csv, output: output, times: times, terminal: terminal)
        case .table:
            try output.write(summary(report) + "\n")
            if !report.holes.isEmpty {
                try output.write("\n")
                try table(report.holes, format: .table, output: output, times: times, terminal: terminal)
            }
        }
        try output.flush()
    }

    package static func object(_ report: VerifyReport) -> JSONValue {
        .object([
            ("ok", .bool(report.holes.isEmpty)), ("segments", .int(report.segments)), ("blocks", .int(report.blocks)),
            ("events", .int(report.events)), ("bytes", .int(report.bytes)),
            ("seconds", .double((report.seconds * 1000).rounded() / 1000)),
            ("holes", .array(report.holes.map(hole))),
        ])
    }

    private static func hole(_ hole: Hole) -> JSONValue {
        .object([
            ("entity", .text(hole.entity)), ("since", .time(hole.since)), ("until", .time(hole.until)),
            ("rows", .int(hole.rows)), ("file", .string(hole.file)), ("block", .int(hole.block)),
            ("message", .string(hole.message)),
        ])
    }

    package static func summary(_ report: VerifyReport) -> String {
        let checked =
            "checked \(TextLayout.grouped(report.events)) events in \(TextLayout.grouped(report.blocks)) blocks of "
            + "\(TextLayout.grouped(report.segments)) segments, \(TextLayout.bytes(report.bytes)), "
            + "\(TextLayout.decimal(report.seconds, 2)) s"
        return report.holes.isEmpty ? checked + ": all is well" : checked + ": \(report.holes.count) damaged"
    }

    private static func table(
        _ holes: [Hole], format: RowFormat, output: Output, times: TimeText, terminal: Terminal
    ) throws {
        // Never cut: a hole's place must be readable in full.
        var wide = terminal
        wide.isTerminal = false
        let writer = try RowWriter(columns: columns, format: format, output: output, times: times, terminal: wide)
        for hole in holes {
            try writer.write([
                hole.entity.map { .text($0) } ?? .absent, hole.since.map { .time($0) } ?? .absent,
                hole.until.map { .time($0) } ?? .absent, hole.rows.map { .integer(Int64($0)) } ?? .absent,
                .text(hole.file), hole.block.map { .integer(Int64($0)) } ?? .absent, .text(hole.message),
            ])
        }
        try writer.finish()
    }
}
