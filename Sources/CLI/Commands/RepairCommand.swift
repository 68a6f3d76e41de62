/// `eventstore repair`: makes a damaged store one that verifies again, and says what is lost.

import ArgumentParser
import EventStore

struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Save what can be read of damaged files; say what is lost.",
        discussion: """
            What can be read of damaged files is written to new ones; the old ones go to \
            STORE/quarantine, where you can delete them when you no longer need them. \
            Nothing is edited in place. Needs the store for itself: stop what writes to it. \
            Copy the store first if you can.

            Exit code 0: the store verifies; 2: something is left that repair cannot mend.

            Examples:
              eventstore repair events --dry-run
              eventstore repair events --json
            """)

    @OptionGroup var access: StoreAccess

    @Flag(help: "Only say what a repair would do.")
    var dryRun = false

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let session = try access.session()
        let meter = ProgressMeter("checking", quiet: quietness.quiet)
        let report: RepairReport
        do {
            defer { meter.finish() }
            report = try StoreAdministration.repair(
                at: access.store, key: session.key, options: access.options(.readWrite), dryRun: dryRun
            ) { meter.update(share: $0) }
        }
        let terminal = Terminal.current()
        let output = Output()
        let chosen = format.resolved(terminal)
        if chosen == .table {
            try output.write(RepairText.text(report, times: TimeText(zone: .gmt)))
        } else {
            try ObjectPrinter.print(RepairText.fields(report), format: chosen, output: output, terminal: terminal)
        }
        try output.flush()
        if let first = report.holesLeft.first {
            throw CLIFailure(
                code: "damaged",
                message: "\(TextLayout.harmless(first)): this is left; restore a backup of what is named",
                exitCode: CLIFailure.foundSomething)
        }
    }
}

/// A repair in words and as JSON.
package enum RepairText {
    package static func fields(_ report: RepairReport) -> [ReportField] {
        let losses = report.losses.map { loss in
            JSONValue.object([
                ("entity", .text(loss.entity)), ("since", .time(loss.since)), ("until", .time(loss.until)),
                ("rows", .int(loss.rows)), ("file", .string(loss.file)), ("message", .string(loss.message)),
            ])
        }
        let moved = report.quarantined.map { file in
            JSONValue.object([
                ("file", .string(file.file)), ("to", .text(file.to)), ("message", .string(file.message)),
            ])
        }
        return [
            ReportField("dryRun", .bool(report.dryRun), label: "", shown: nil),
            ReportField("eventsLost", count: report.eventsLost, label: "events lost"),
            ReportField("eventsSaved", count: report.eventsSaved, label: "events saved"),
            ReportField("segmentsDamaged", count: report.segmentsDamaged, label: "damaged segments"),
            ReportField("totalsCorrected", count: report.totalsCorrected, label: "totals corrected"),
            ReportField("losses", .array(losses), label: "", shown: nil),
            ReportField("quarantined", .array(moved), label: "", shown: nil),
            ReportField("holesLeft", .array(report.holesLeft.map { .string($0) }), label: "", shown: nil),
            ReportField("seconds", seconds: report.seconds, label: "took"),
        ]
    }

    package static func text(_ report: RepairReport, times: TimeText) -> String {
        if report.wasSound { return "nothing to repair\n" }
        var text = ""
        for loss in report.losses {
            let entity = loss.entity.map { "'\(TextLayout.harmless($0))'" } ?? "an unknown entity"
            var range = ""
            if let since = loss.since, let until = loss.until {
                range = ", \(times.rfc3339(since)) to \(times.rfc3339(until))"
            }
            text += "lost: \(TextLayout.grouped(loss.rows)) events of \(entity)\(range)\n"
            text += "      \(loss.file): \(TextLayout.harmless(loss.message))\n"
        }
        for moved in report.quarantined {
            let target = moved.to.map { "moved to \($0)" } ?? "would be moved to quarantine"
            text += "\(moved.file)\n      \(target): \(TextLayout.harmless(moved.message))\n"
        }
        if report.totalsCorrected > 0 { text += "corrected \(report.totalsCorrected) totals of the catalog\n" }
        let (saved, lost) = (TextLayout.grouped(report.eventsSaved), TextLayout.grouped(report.eventsLost))
        if report.dryRun { return text + "a repair would save \(saved) events of damaged segments and lose \(lost)\n" }
        text += "saved \(saved) events of damaged segments, lost \(lost)\n"
        return text + (report.holesLeft.isEmpty ? "the store verifies\n" : "")
    }
}
