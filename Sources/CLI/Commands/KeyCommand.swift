/// `eventstore key`: what opens a store, changing that, and copies of the keyring.

import ArgumentParser
import EventStore

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Show and change what opens a store; copy its keys.",
        discussion: """
            The file `keyring` in a store holds all its keys. Root keys open it, each through a slot of its own. \
            Without it, or without a root key, nothing can be read: keep a copy apart from copies of the data.

            Examples:
              eventstore key status events
              eventstore key backup events /media/safe/events.keyring --keep
              eventstore key add events --new-passphrase-file emergency.txt
              eventstore key rotate-root events --new-key-file new.key
              eventstore key rotate-entity events example.org --at-once
            """,
        subcommands: [
            KeyStatusCommand.self, KeyAddCommand.self, KeyRemoveCommand.self, KeyRotateRootCommand.self,
            KeyRotateMasterCommand.self, KeyRotateEntityCommand.self, KeyBackupCommand.self,
        ])
}

struct KeyAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Let another root key open the store.",
        discussion: """
            Prints the id of the new slot. A key file that is not there is made, mode 0600.

            Example:
              eventstore key add events --new-passphrase-file emergency.txt
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "New key") var new: NewKeyOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let run = try KeyRun(access)
        let source = try new.source(quiet: quietness.quiet)
        let prepared = try PreparedKeys.slot(source, at: access.store, key: run.key)
        guard case .slotAdded(let id) = try run.perform(.apply(prepared)) else { return }
        try KeyReport.print([ReportField("slot", .string(id), label: "slot", shown: id)], format)
    }
}

struct KeyRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take a root key's slot away.",
        discussion: """
            The last slot stays. Copies of the keyring made before are still opened by the key: where it leaked, use \
            `key rotate-root` and destroy it.

            Example:
              eventstore key remove events 5f0c2b7a9d1e4433
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: ArgumentHelp("The slot, as `key status` names it.", valueName: "slot"))
    var slot: String

    func run() throws { _ = try KeyRun(access).perform(.removeSlot(id: slot)) }
}

/// What both rotations take.
struct OtherSlotOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Key file of another slot that is to stay; may be repeated.", valueName: "file"))
    var keepKeyFile: [String] = []

    @Option(help: ArgumentHelp("Passphrase file of another slot that is to stay; may be repeated.", valueName: "file"))
    var keepPassphraseFile: [String] = []

    @Flag(help: "Shut out all slots whose keys are not given.")
    var dropOthers = false

    var isGiven: Bool { !keepKeyFile.isEmpty || !keepPassphraseFile.isEmpty || dropOthers }

    func sources() throws -> [KeySource] {
        try (keepKeyFile.map { .keyFile($0) } + keepPassphraseFile.map { .passphraseFile($0) })
            .map { try KeyOptions.checked($0) }
    }
}

struct KeyRotateRootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-root",
        abstract: "Replace the root key given by a new one.",
        discussion: """
            The key the store is opened with goes, the new one comes, and the master key is drawn anew: at every \
            moment one of the two opens the store. Writing processes go on. Copies of the keyring made before are \
            still opened by the old key: they become useless when you destroy every copy of that key.

            Examples:
              eventstore key rotate-root events --key-file old.key --new-key-file new.key
              eventstore key rotate-root events --new-key-file new.key --keep-passphrase-file emergency.txt
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "New key") var new: NewKeyOptions
    @OptionGroup(title: "Other slots") var others: OtherSlotOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        let run = try KeyRun(access)
        let keeping = try others.sources()
        let source = try new.source(quiet: quietness.quiet)
        let prepared = try PreparedKeys.root(
            source, at: access.store, key: run.key, keeping: keeping, droppingOthers: others.dropOthers)
        guard case .rotated(let report) = try run.perform(.apply(prepared)) else { return }
        try KeyReport.print(KeyReport.fields(report), format)
        guard !quietness.quiet else { return }
        Diagnostics.line(
            "the old root key opens this store no longer: destroy it (\(run.place)) and all its copies;")
        Diagnostics.line("until then it opens copies of the keyring made before" + KeyReport.paths(report.copies))
    }
}

struct KeyRotateMasterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-master",
        abstract: "Draw a new master key under the same root key.",
        discussion: """
            Example:
              eventstore key rotate-master events --keep-passphrase-file emergency.txt
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "Other slots") var others: OtherSlotOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        let run = try KeyRun(access)
        let prepared = try PreparedKeys.master(
            at: access.store, key: run.key, keeping: try others.sources(), droppingOthers: others.dropOthers)
        guard case .rotated(let report) = try run.perform(.apply(prepared)) else { return }
        try KeyReport.print(KeyReport.fields(report), format)
    }
}

struct KeyBackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the keyring, once or from now on.",
        discussion: """
            The copy is opened by the same root keys as the store. It is remembered: receipts of erasures name the \
            copies that outlive them. With --keep it is written again before the first event of a new entity is \
            acknowledged, with every change of keys and with every erasure; while it cannot be, new entities are \
            refused.

            Examples:
              eventstore key backup events /media/safe/events.keyring
              eventstore key backup events /mnt/other/events.keyring --keep
              eventstore key backup events --no-keep
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: ArgumentHelp("Where to; an older copy there is replaced.", valueName: "file"))
    var file: String?

    @Flag(inversion: .prefixedNo, help: "Keep the copy up to date from now on, or end that.")
    var keep: Bool?

    func validate() throws {
        if file == nil, keep != false { throw ValidationError("name the file the keyring is to be copied to") }
        if file != nil, keep == false { throw ValidationError("--no-keep takes no file") }
    }

    func run() throws {
        let path = file.map(KeyReport.absolute)
        let operation: KeyOperation
        if let path, keep != true { operation = .backUp(path: path) } else { operation = .setBackupPath(path) }
        _ = try KeyRun(access).perform(operation)
    }
}
