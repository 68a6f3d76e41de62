/// `eventstore key status`, and what the other key commands share: the way to the store, new keys, reports.

import ArgumentParser
import EventStore
import Foundation

struct KeyStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Print slots, copies of the keyring, and what no copy has.",
        discussion: """
            Examples:
              eventstore key status events
              eventstore key status events --json
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions

    func run() throws {
        let status = try access.open(.readOnly) { try $0.keyStatus() }
        let terminal = Terminal.current()
        let output = Output()
        let chosen = format.resolved(terminal)
        let times = access.time.times
        try ObjectPrinter.print(
            KeyReport.fields(status, times: times), format: chosen, output: output, terminal: terminal)
        if chosen == .table { try output.write(KeyReport.tables(status, times: times, terminal: terminal)) }
        try output.flush()
        if let advice = KeyReport.advice(status) { Diagnostics.line(advice) }
    }
}

/// Changes of keys go through here, whoever holds the store.
struct KeyRun {
    let access: StoreAccess
    let key: KeySource

    /// Asks for a passphrase once, if it has to.
    init(_ access: StoreAccess) throws {
        self.access = access
        key = try access.keys.source(store: access.store)
    }

    func perform(_ operation: KeyOperation) throws -> KeyResult {
        let result = try StoreAdministration.perform(
            .keys(operation), at: access.store, key: key, options: access.options(.readWrite))
        guard case .keys(let result) = result else {
            throw CLIFailure(code: "io", message: "the holder of the store gave another answer")
        }
        return result
    }

    /// Where the key came from, in words.
    var place: String {
        switch key {
        case .keyFile(let path), .passphraseFile(let path): path
        case .environment(let name): "the environment variable \(name)"
        case .command: "what the command prints"
        case .passphrase: "the passphrase"
        case .raw: "the key"
        }
    }
}

/// The root key that is to open the store from now on.
struct NewKeyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File with the new key; made when it is not there.", valueName: "file"))
    var newKeyFile: String?

    @Option(help: ArgumentHelp("File whose first line is the new passphrase.", valueName: "file"))
    var newPassphraseFile: String?

    @Flag(help: "Ask for the new passphrase on the terminal.")
    var newPassphrase = false

    mutating func validate() throws {
        let given = [newKeyFile != nil, newPassphraseFile != nil, newPassphrase].count { $0 }
        guard given == 1 else {
            throw ValidationError("give the new key: --new-key-file, --new-passphrase-file or --new-passphrase")
        }
    }

    func source(quiet: Bool) throws -> KeySource {
        if newPassphrase { return .passphrase(try Passphrase.askNew()) }
        if let newPassphraseFile { return try KeyOptions.checked(.passphraseFile(newPassphraseFile)) }
        guard let newKeyFile else { throw CLIFailure.usage("no new key") }
        if !FileManager.default.fileExists(atPath: newKeyFile) {
            try KeyFile.make(at: newKeyFile)
            if !quiet { Diagnostics.line("made the key \(newKeyFile): keep a copy elsewhere") }
        }
        return .keyFile(newKeyFile)
    }
}

/// Keys in words and JSON.
package enum KeyReport {
    static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    static func print(_ fields: [ReportField], _ format: FormatOptions) throws {
        let terminal = Terminal.current()
        let output = Output()
        try ObjectPrinter.print(fields, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }

    package static func fields(_ status: KeyStatus, times: TimeText) -> [ReportField] {
        let backup = status.backup
        return [
            ReportField("slots", .array(status.slots.map(json)), label: "", shown: nil),
            ReportField("generation", count: Int(clamping: status.generation), label: "generation"),
            ReportField("entities", count: status.entities, label: "entities"),
            ReportField("entityKeys", count: status.entityKeys, label: "entity keys"),
            ReportField("unusedKeys", count: status.unusedKeys, label: "keys of no entity"),
            ReportField(
                "entitiesWithoutBackup", count: status.entitiesWithoutBackup, label: "entities without a backed-up key"),
            ReportField(
                "backup", backup.map(json) ?? .null, label: "key backup kept up to date",
                shown: backup.map { words($0, status, times) } ?? "none"),
            ReportField("copies", .array(status.copies.map(json)), label: "", shown: nil),
            ReportField(
                "oldKeys", .array(status.oldKeys.map(json)), label: "entities with old keys in use",
                shown: TextLayout.grouped(status.oldKeys.count)),
            ReportField(
                "tombstones",
                .array(
                    status.tombstones.map { .object([("key", .string($0.id)), ("erased", .integer($0.erasedMs))]) }),
                label: "erased keys", shown: TextLayout.grouped(status.tombstones.count)),
        ]
    }

    private static func words(_ backup: KeyBackupInfo, _ status: KeyStatus, _ times: TimeText) -> String {
        let time = backup.timeMs.map { times.rfc3339($0) } ?? "never"
        let state = backup.generation >= status.generation ? "up to date" : "behind: \(backup.generation)"
        return "\(TextLayout.harmless(backup.path)) (\(time), \(state))"
    }

    package static func fields(_ report: KeyRotationReport) -> [ReportField] {
        [
            ReportField(
                "slots", .array(report.slots.map(json)), label: "slots",
                shown: report.slots.map { "\($0.id) (\($0.kind.rawValue))" }.joined(separator: ", ")),
            ReportField(
                "removed", .array(report.removed.map(json)), label: "removed",
                shown: report.removed.map { "\($0.id) (\($0.kind.rawValue))" }.joined(separator: ", ")),
            ReportField("generation", count: Int(clamping: report.generation), label: "generation"),
            ReportField("copies", .array(report.copies.map(json)), label: "", shown: nil),
        ]
    }

    private static func json(_ slot: KeySlot) -> JSONValue {
        .object([
            ("id", .string(slot.id)), ("kind", .string(slot.kind.rawValue)), ("created", .integer(slot.createdMs)),
        ])
    }

    private static func json(_ copy: KeyBackupInfo) -> JSONValue {
        .object([
            ("path", .string(copy.path)), ("time", .time(copy.timeMs)),
            ("generation", .int(Int(clamping: copy.generation))), ("entitiesMissing", .int(copy.entitiesMissing)),
            ("rootKeysReplaced", .bool(copy.rootKeysReplaced)),
        ])
    }

    package static func tables(_ status: KeyStatus, times: TimeText, terminal: Terminal) -> String {
        var slots = TableLayout(columns: ["slot", "opened by", "made"], terminal: terminal)
        var text = "\n"
        for slot in status.slots {
            text +=
                slots.add([slot.id, slot.kind.rawValue, times.rfc3339(slot.createdMs)].map { TableCell(text: $0) })
                ?? ""
        }
        text += slots.finish() + table(status.oldKeys, terminal: terminal)
        guard !status.copies.isEmpty else { return text }
        var copies = TableLayout(columns: ["copy", "made", "generation", "lacks entities"], terminal: terminal)
        text += "\n"
        for copy in status.copies {
            text +=
                copies.add([
                    TableCell(text: TextLayout.harmless(copy.path)),
                    TableCell(text: copy.timeMs.map { times.rfc3339($0) } ?? ""),
                    TableCell(text: "\(copy.generation)", right: true),
                    TableCell(text: TextLayout.grouped(copy.entitiesMissing), right: true),
                ]) ?? ""
        }
        return text + copies.finish()
    }

    package static func advice(_ status: KeyStatus) -> String? {
        guard status.entitiesWithoutBackup > 0 else { return nil }
        let count = status.entitiesWithoutBackup == 1 ? "1 entity has" : "\(status.entitiesWithoutBackup) entities have"
        return
            "\(count) no backed-up key: lost with this keyring; `key backup STORE FILE --keep` copies it, now and later"
    }

    static func paths(_ copies: [KeyBackupInfo]) -> String {
        copies.isEmpty ? "" : ": " + copies.map { TextLayout.harmless($0.path) }.joined(separator: ", ")
    }
}
