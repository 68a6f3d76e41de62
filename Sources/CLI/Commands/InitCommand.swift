/// `eventstore init`: makes a store and, unless a key is named, a key file beside it.

import ArgumentParser
import EventStore
import Foundation

extension Partition: ExpressibleByArgument {}

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a store.",
        discussion: """
            Without a key option the key is made beside the store as STORE.key (mode 0600): move it to where \
            your backups of the store do not reach.

            Examples:
              eventstore init events
              eventstore init /var/lib/events --key-file /etc/eventstore/events.key
            """)

    @OptionGroup var access: StoreAccess

    @Option(help: "Events are grouped by day, week or month. Fixed for good; week or month for sparse sites.")
    var partition: Partition = .day

    @Option(help: ArgumentHelp("Plan of entities that are given none.", valueName: "name"))
    var defaultPlan = "unlimited"

    @OptionGroup(title: "Budgets")
    var budget: StoreBudgetOptions

    @OptionGroup var quietness: QuietOptions

    private static let plans = ["starter", "professional", "enterprise", "unlimited"]

    func validate() throws {
        guard InitCommand.plans.contains(defaultPlan) else {
            throw ValidationError(
                "unknown plan '\(defaultPlan)'; a new store knows " + InitCommand.plans.joined(separator: ", "))
        }
    }

    func run() throws {
        guard !FileManager.default.fileExists(atPath: access.store) || isEmptyDirectory else {
            throw CLIFailure(code: "exists", message: "\(access.store) is there already")
        }
        var create = CreateOptions()
        create.partition = partition
        create.defaultPlan = defaultPlan
        let key = try newKey()
        do {
            let store = try BlockingEventStore.create(
                at: access.store, key: key.source, options: create, open: access.options(.readWrite))
            if budget.change != BudgetChange() { try store.setBudget(budget.change) }
            try store.close()
        } catch {
            if let made = key.made { unlink(made) }
            throw error
        }
        say(key)
    }

    private var isEmptyDirectory: Bool {
        (try? FileManager.default.contentsOfDirectory(atPath: access.store))?.isEmpty ?? false
    }

    private struct NewKey {
        var source: KeySource
        /// The key file made now.
        var made: String?
        /// The key file beside the store that was there already.
        var found: String?
    }

    private func newKey() throws -> NewKey {
        if access.keys.passphrase { return NewKey(source: .passphrase(try Passphrase.askNew())) }
        if let explicit = access.keys.explicitSource() { return NewKey(source: try KeyOptions.checked(explicit)) }
        let path = KeyOptions.fileBeside(access.store)
        if FileManager.default.fileExists(atPath: path) { return NewKey(source: .keyFile(path), found: path) }
        try KeyFile.make(at: path)
        return NewKey(source: .keyFile(path), made: path)
    }

    private func say(_ key: NewKey) {
        guard !quietness.quiet else { return }
        Diagnostics.line("made the store \(access.store)")
        if let made = key.made {
            Diagnostics.line("made its key \(made): keep a copy elsewhere and move it away from the store's backups;")
            Diagnostics.line("without it the events are unreadable, with it anybody reads them")
        }
        if let found = key.found { Diagnostics.line("opened by the key that was there already: \(found)") }
    }
}

/// New key files: 32 random bytes as hex and a line end, readable by the owner only.
enum KeyFile {
    static func make(at path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let code = errno == EACCES || errno == EPERM ? "permission" : errno == ENOENT ? "not-found" : "io"
            throw CLIFailure(code: code, message: "cannot make \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var generator = SystemRandomNumberGenerator()
        let output = Output(descriptor: descriptor)
        do {
            for _ in 0..<32 {
                let text = String(UInt8.random(in: .min ... .max, using: &generator), radix: 16)
                try output.write(text.count == 1 ? "0" + text : text)
            }
            try output.write("\n")
            try output.flush()
            guard fsync(descriptor) == 0 else { throw CLIFailure(code: "io", message: "cannot sync \(path)") }
        } catch {
            unlink(path)
            throw error
        }
    }
}
