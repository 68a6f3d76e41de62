/// `eventstore retention sweep`: drops what has expired, and erases cancelled entities whose time is up.

import ArgumentParser
import EventStore

struct RetentionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retention",
        abstract: "Drop what has expired.",
        discussion: """
            Example:
              eventstore retention sweep events --dry-run
            """,
        subcommands: [RetentionSweepCommand.self])
}

struct RetentionSweepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Drop what has expired; erase cancelled entities whose time is up.",
        discussion: """
            Expired events cannot be seen from midnight UTC on, swept or not; a sweep gives their bytes back. A \
            process that writes all the time sweeps by itself. When the clock is more than a day ahead of the last \
            write, the sweep asks before it believes it, and where nobody can be asked needs --yes.

            Examples:
              eventstore retention sweep events --dry-run
              eventstore retention sweep events --yes --json
            """)

    @OptionGroup var access: StoreAccess

    @Flag(help: "Only tell what would go.")
    var dryRun = false

    @Flag(help: "Go on although the clock leapt ahead.")
    var yes = false

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let session = try access.session()
        let report = try sweep(session)
        let terminal = Terminal.current()
        let output = Output()
        try ObjectPrinter.print(
            SweepText.fields(report), format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
        if dryRun, !quietness.quiet { Diagnostics.line("dry run: nothing was dropped") }
    }

    private func sweep(_ session: StoreSession) throws -> SweepReport {
        do {
            return try perform(session, confirmed: yes)
        } catch let error as EventStoreError where error.code == .clock && Passphrase.canAsk {
            Diagnostics.line(error.message)
            let now = access.time.times.rfc3339(access.time.nowMs)
            try Confirmation.require(
                "It is \(now) now. Is that right, and may what has expired by then go? [y/N] ", answer: "y",
                yes: false, doing: "retention sweep")
            return try perform(session, confirmed: true)
        }
    }

    private func perform(_ session: StoreSession, confirmed: Bool) throws -> SweepReport {
        let result = try session.perform(.sweep(dryRun: dryRun, confirmed: confirmed))
        guard case .swept(let report) = result else { throw CLIFailure.oddAnswer }
        return report
    }
}

package enum SweepText {
    /// The contract's keys first.
    package static func fields(_ report: SweepReport) -> [ReportField] {
        let erased = report.entitiesErased
        return [
            ReportField("segmentsDropped", count: report.segmentsDropped, label: "segments dropped"),
            ReportField("bytesFreed", bytes: report.bytesFreed, label: "freed"),
            ReportField("eventsExpired", count: report.eventsExpired, label: "events expired"),
            ReportField("partsRemoved", count: report.partsRemoved, label: "parts of segments removed"),
            ReportField(
                "entitiesErased", .array(erased.map { .string($0) }), label: "entities erased",
                shown: erased.isEmpty ? nil : erased.map { TextLayout.harmless($0) }.joined(separator: ", ")),
            ReportField("seconds", seconds: report.seconds, label: "took"),
        ]
    }
}
