/// Where the key comes from: an option, else the environment, else `STORE.key` beside the store, else a
/// passphrase asked on the terminal.

import ArgumentParser
import EventStore
import Foundation

struct KeyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File with the key: 32 bytes raw, hex or base64.", valueName: "file"))
    var keyFile: String?

    @Option(help: ArgumentHelp("File whose first line is the passphrase.", valueName: "file"))
    var passphraseFile: String?

    @Option(help: ArgumentHelp("Environment variable that holds the key as hex or base64.", valueName: "name"))
    var keyEnv: String?

    @Option(help: ArgumentHelp("Shell command whose output is the key.", valueName: "cmd"))
    var keyCommand: String?

    @Flag(help: "Ask for a passphrase on the terminal.")
    var passphrase = false

    mutating func validate() throws {
        let given = [keyFile != nil, passphraseFile != nil, keyEnv != nil, keyCommand != nil, passphrase]
        if given.count(where: { $0 }) > 1 { throw ValidationError("give one key option, not several") }
    }

    /// The key to open `store` with.
    ///
    /// - Parameter keyring: opens this keyring instead, whose store need not be there yet.
    func source(store: String, named keyring: String? = nil) throws -> KeySource {
        let asked = keyring ?? store
        if passphrase { return .passphrase(try Passphrase.ask("Passphrase of \(asked): ")) }
        if let explicit = explicitSource() { return try KeyOptions.checked(explicit) }
        if let beside = try KeyFileBeside.settled(store) { return .keyFile(beside) }
        guard FileManager.default.fileExists(atPath: asked) else {
            throw CLIFailure(code: "not-found", message: "no \(keyring == nil ? "store" : "keyring") at \(asked)")
        }
        if Passphrase.canAsk { return .passphrase(try Passphrase.ask("Passphrase of \(asked): ")) }
        throw CLIFailure(
            code: "not-found",
            message:
                "no key: \(KeyOptions.fileBeside(store)) is not there; give --key-file, --passphrase-file, --key-env or --key-command, "
                + "or set EVENTSTORE_KEY_FILE, EVENTSTORE_PASSPHRASE_FILE or EVENTSTORE_KEY_COMMAND")
    }

    /// The option, else the environment variable; `nil` when neither is there.
    func explicitSource(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> KeySource? {
        if let keyFile { return .keyFile(keyFile) }
        if let passphraseFile { return .passphraseFile(passphraseFile) }
        if let keyEnv { return .environment(keyEnv) }
        if let keyCommand { return .command(keyCommand) }
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let file = variable("EVENTSTORE_KEY_FILE") { return .keyFile(file) }
        if let file = variable("EVENTSTORE_PASSPHRASE_FILE") { return .passphraseFile(file) }
        if let command = variable("EVENTSTORE_KEY_COMMAND") { return .command(command) }
        return nil
    }

    /// Says early, and with the remedy, what the engine would say late.
    static func checked(_ source: KeySource) throws -> KeySource {
        switch source {
        case .keyFile(let file), .passphraseFile(let file):
            guard FileManager.default.fileExists(atPath: file) else {
                throw CLIFailure(code: "not-found", message: "no key file at \(file)")
            }
        case .environment(let name):
            guard ProcessInfo.processInfo.environment[name] != nil else {
                throw CLIFailure(code: "not-found", message: "the environment variable \(name) is not set")
            }
        default: break
        }
        return source
    }

    /// `STORE.key`, whatever way the store's path is spelled.
    static func fileBeside(_ store: String) -> String {
        var path = store
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        let last = path.split(separator: "/").last.map(String.init) ?? ""
        if last == "." || last == ".." || last.isEmpty { path = URL(fileURLWithPath: path).standardizedFileURL.path }
        return path + ".key"
    }
}
