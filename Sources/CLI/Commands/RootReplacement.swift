/// `--rotate-root` of `entity erase`: replaces the root key the store is opened with, so that older copies of the
/// keyring are opened by keys alone that the store needs no longer.

import ArgumentParser
import EventStore
import Foundation

struct RootReplacementOptions: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Replace the root key first: then copies of the keyring made before are opened by replaced keys alone."))
    var rotateRoot = false

    @Option(help: ArgumentHelp("File with the new root key; made when it is not there.", valueName: "file"))
    var newKeyFile: String?

    @Option(help: ArgumentHelp("File whose first line is the new passphrase.", valueName: "file"))
    var newPassphraseFile: String?

    @OptionGroup(title: "Other slots, with --rotate-root") var others: OtherSlotOptions

    mutating func validate() throws {
        let given = newKeyFile != nil || newPassphraseFile != nil || others.isGiven
        if given, !rotateRoot { throw ValidationError("options of other root keys need --rotate-root") }
        if newKeyFile != nil, newPassphraseFile != nil {
            throw ValidationError("give one new key, --new-key-file or --new-passphrase-file")
        }
    }
}

/// Carries the replacement out and goes on with the new key.
struct RootReplacement {
    let options: RootReplacementOptions
    let quiet: Bool

    /// Whether the key in use is the file beside the store, which is this program's to replace.
    private func isBeside(_ session: StoreSession) -> Bool {
        guard case .keyFile(let path) = session.key else { return false }
        return KeyReport.absolute(path) == KeyReport.absolute(KeyOptions.fileBeside(session.access.store))
    }

    func run(_ session: StoreSession) throws -> StoreSession {
        let store = session.access.store
        let isBeside = isBeside(session)
        let keeping = try options.others.sources()
        let new: KeySource
        if options.newKeyFile != nil || options.newPassphraseFile != nil {
            var given = NewKeyOptions()
            given.newKeyFile = options.newKeyFile
            given.newPassphraseFile = options.newPassphraseFile
            new = try given.source(quiet: quiet)
        } else {
            guard isBeside else {
                throw CLIFailure.usage("--rotate-root needs --new-key-file or --new-passphrase-file")
            }
            new = .keyFile(try KeyFileBeside.make(for: store))
        }
        let prepared = try PreparedKeys.root(
            new, at: store, key: session.key, keeping: keeping, droppingOthers: options.others.dropOthers)
        guard case .keys(.rotated(let report)) = try session.perform(.keys(.apply(prepared))) else {
            throw CLIFailure.oddAnswer
        }
        return try settle(session, new, isBeside, report)
    }

    /// What is left of the old key, as far as it is this program's.
    private func settle(
        _ session: StoreSession, _ new: KeySource, _ isBeside: Bool, _ report: KeyRotationReport
    ) throws -> StoreSession {
        let store = session.access.store
        var key = new
        var old = "the old root key"
        if isBeside {
            let file = KeyOptions.fileBeside(store)
            if options.newKeyFile == nil, options.newPassphraseFile == nil {
                try KeyFileBeside.finish(store)
                key = .keyFile(file)
                old = "\(file) holds the new key, the old one in it was overwritten; copies of the old one"
            } else if try KeyFileBeside.destroy(store) {
                old = "\(file) was overwritten and removed; copies of the old root key"
            }
        }
        if !quiet {
            Diagnostics.line("the root key was replaced: \(old) may still open copies of the keyring made before")
            if report.slots.count > 1 {
                Diagnostics.line(
                    "the root keys of \(report.slots.count - 1) slots that stay open them as well, where they had slots"
                )
            }
        }
        return StoreSession(access: session.access, key: key)
    }
}
