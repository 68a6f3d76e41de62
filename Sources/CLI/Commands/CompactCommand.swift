/// `eventstore compact`: merges small segments and gives space back.

import ArgumentParser
import EventStore

struct CompactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract: "Merge small segments and give space back.",
        discussion: """
            Interrupted, it loses nothing and is simply run again.

            Example:
              eventstore compact events
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let meter = ProgressMeter("compacting", quiet: quietness.quiet)
        let result = try access.perform(.compact) { meter.update(share: $0) }
        meter.finish()
        guard case .compacted(let report) = result else { throw CLIFailure.oddAnswer }
        let terminal = Terminal.current()
        let output = Output()
        let fields = [
            ReportField("segmentsBefore", count: report.segmentsBefore, label: "segments before"),
            ReportField("segmentsAfter", count: report.segmentsAfter, label: "segments after"),
            ReportField("bytesBefore", bytes: report.bytesBefore, label: "size before"),
            ReportField("bytesAfter", bytes: report.bytesAfter, label: "size after"),
            ReportField("seconds", seconds: report.seconds, label: "took"),
        ]
        try ObjectPrinter.print(fields, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }
}
