/// `eventstore restore`: makes a store from a backup and a copy of its keyring.

import ArgumentParser
import EventStore

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a store from a backup and a copy of its keyring.",
        discussion: """
            The store appears when all of it is there and checked, never half. What is erased stays erased: entities \
            that backup or keyring knows as erased are not restored. --force goes on when something is in the way: a \
            store at the path is moved aside, entities whose key the keyring lacks are given up, damaged files become \
            holes. Prints one JSON line.

            Examples:
              eventstore restore /mnt/backup events --keyring keys/keyring
              eventstore restore /mnt/backup events --keyring ring --key-file k.key
            """)

    @Argument(help: "Directory of the backup.")
    var directory: String

    @Argument(help: "Directory of the store to make.")
    var store: String

    @Option(help: ArgumentHelp("Copy of the store's keyring, best one made after the backup.", valueName: "file"))
    var keyring: String

    @Flag(help: "Go on without what is missing, and move a store that is there aside.")
    var force = false

    @OptionGroup(title: "Key options")
    var keys: KeyOptions

    @OptionGroup var time: TimeOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        var open = OpenOptions()
        if let fixed = time.fixedNowMs { open.nowMs = { fixed } }
        var options = RestoreOptions()
        options.force = force
        let key = try keys.source(store: store, named: keyring)
        let meter = ProgressMeter("restoring", quiet: quietness.quiet)
        let report: RestoreReport
        do {
            defer { meter.finish() }
            report = try StoreAdministration.restore(
                from: directory, to: store, keyring: keyring, key: key, options: options, open: open
            ) { meter.update(share: $0) }
        }
        for warning in report.warnings { Diagnostics.line("warning: \(warning)") }
        if let aside = report.movedAside { Diagnostics.line("the store that was there is now \(aside)") }
        let output = Output()
        try output.write(BackupText.line(report) + "\n")
        try output.flush()
    }
}
