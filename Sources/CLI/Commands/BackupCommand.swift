/// `eventstore backup`: copies a store into a directory while it is written to, without its keys.

import ArgumentParser
import EventStore

struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the store into a directory, without its keys.",
        discussion: """
            Works while others write. The first backup copies everything, later ones only the files that are new; \
            files the store has dropped are dropped there too. Interrupted, the previous backup stays good; run it \
            again. Keep a copy of the keyring elsewhere: without one nothing of a backup can be read. Prints one JSON \
            line.

            Examples:
              eventstore backup events /mnt/backup/events
              eventstore backup events /mnt/backup/events --keep-expired 7d --verify
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: "Directory of the backup; made when it is not there.")
    var directory: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long files the store has dropped are kept in DIR/expired (default: 0d).", valueName: "time"))
    var keepExpired: String?

    @Flag(help: "Read every copied byte back and authenticate it.")
    var verify = false

    @OptionGroup var quietness: QuietOptions

    func run() throws {
        var options = BackupOptions()
        options.verify = verify
        if let keepExpired { options.keepExpiredMs = try BackupText.duration(keepExpired) }
        let key = try access.keys.source(store: access.store)
        let meter = ProgressMeter("backing up", quiet: quietness.quiet)
        let report: BackupReport
        do {
            defer { meter.finish() }
            report = try StoreAdministration.backup(
                access.store, to: directory, options: options, key: key, open: access.options(.readWrite)
            ) { meter.update(share: $0) }
        }
        for warning in report.warnings { Diagnostics.line("warning: \(warning)") }
        for problem in report.problems { Diagnostics.line("the copy is damaged: \(problem)") }
        if report.entitiesWithoutKeyBackup > 0 {
            Diagnostics.line(
                "warning: the keys of \(report.entitiesWithoutKeyBackup) entities are in no backup of the keyring; "
                    + "without them their events cannot be restored (see `eventstore key backup`)")
        }
        let output = Output()
        try output.write(BackupText.line(report) + "\n")
        try output.flush()
        guard report.problems.isEmpty else {
            throw CLIFailure(
                code: "damaged", message: "\(report.problems.count) findings in the backup; the store is as it was",
                exitCode: CLIFailure.foundSomething)
        }
    }
}

package enum BackupText {
    /// A length of time such as `7d` or `12h`, in milliseconds.
    package static func duration(_ text: String) throws -> Int64 {
        let units: [Character: Int64] = ["d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000]
        guard let last = text.last, let unit = units[last], let number = Int64(text.dropLast()), number >= 0,
            number <= Int64.max / 86_400_000
        else { throw ValidationError("'\(text)' is no length of time; write 7d, 12h or 30m") }
        return number * unit
    }

    package static func line(_ report: BackupReport) -> String {
        JSONValue.object([
            ("directory", .string(report.directory)), ("files", .int(report.files)), ("bytes", .int(report.bytes)),
            ("filesCopied", .int(report.filesCopied)), ("bytesCopied", .int(report.bytesCopied)),
            ("filesRemoved", .int(report.filesRemoved)), ("partsDestroyed", .int(report.partsDestroyed)),
            ("events", .int(report.events)), ("entities", .int(report.entities)),
            ("nextSequence", .raw("\(report.nextSequence)")),
            ("entitiesWithoutKeyBackup", .int(report.entitiesWithoutKeyBackup)),
            ("verified", .bool(report.isVerified && report.problems.isEmpty)),
            ("warnings", .array(report.warnings.map { .string($0) })),
            ("problems", .array(report.problems.map { .string($0) })),
            ("seconds", .double((report.seconds * 1000).rounded() / 1000)),
        ]).text
    }

    package static func line(_ report: RestoreReport) -> String {
        JSONValue.object([
            ("events", .int(report.events)), ("entities", .int(report.entities)), ("bytes", .int(report.bytes)),
            ("backupTime", .integer(report.backupTime)), ("nextSequence", .raw("\(report.nextSequence)")),
            ("entitiesErased", .int(report.entitiesErased)), ("keysDestroyed", .int(report.keysDestroyed)),
            ("entitiesUnreadable", .array(report.entitiesUnreadable.map { .int($0) })),
            ("warnings", .array(report.warnings.map { .string($0) })),
            ("movedAside", .text(report.movedAside)),
            ("seconds", .double((report.seconds * 1000).rounded() / 1000)),
        ]).text
    }
}
