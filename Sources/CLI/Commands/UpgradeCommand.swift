/// `eventstore upgrade`: brings a store of an earlier format to the present one.

import ArgumentParser
import EventStore

struct UpgradeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Bring a store of an earlier format to the present one.",
        discussion: """
            One transaction of the catalog: a crash leaves the store in the old format or in the new one. Older \
            versions of this program cannot open the store afterwards. Reading a store of an earlier format needs \
            no upgrade.

            Example:
              eventstore upgrade events
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let session = try access.session()
        let report = try StoreAdministration.upgrade(
            at: access.store, key: session.key, options: access.options(.readWrite))
        if !quietness.quiet, report.versionBefore == report.versionAfter {
            Diagnostics.line("the store has format \(report.versionAfter) already: nothing to do")
        }
        let terminal = Terminal.current()
        let output = Output()
        let fields = [
            ReportField("versionBefore", count: report.versionBefore, label: "format before"),
            ReportField("versionAfter", count: report.versionAfter, label: "format after"),
            ReportField("seconds", seconds: report.seconds, label: "took"),
        ]
        try ObjectPrinter.print(fields, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }
}
