/// The key of an export that is a store: a passphrase, a key file that is named, or one made beside it.

import ArgumentParser
import EventStore
import Foundation

struct RecipientOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File whose first line is the passphrase that will open it.", valueName: "file"))
    var recipientPassphraseFile: String?

    @Option(help: ArgumentHelp("Key file that will open it; made when it is not there.", valueName: "file"))
    var newKeyFile: String?

    @Option(help: ArgumentHelp("When it refuses to be opened: a time, or a span from now: 30d.", valueName: "time"))
    var expires: String?

    mutating func validate() throws {
        if recipientPassphraseFile != nil, newKeyFile != nil {
            throw ValidationError("--recipient-passphrase-file and --new-key-file exclude each other")
        }
    }

    var isGiven: Bool { recipientPassphraseFile != nil || newKeyFile != nil || expires != nil }

    func expiresMs(_ time: TimeOptions) throws -> Int64? {
        guard let expires else { return nil }
        if let span = CancelTime.ms(expires) { return time.nowMs + span }
        return try time.parse(expires, option: "expires")
    }

    func key(for target: String, replaces: Bool) throws -> RecipientKey {
        if let recipientPassphraseFile {
            return RecipientKey(source: try KeyOptions.checked(.passphraseFile(recipientPassphraseFile)))
        }
        let path = newKeyFile ?? KeyOptions.fileBeside(target)
        guard FileManager.default.fileExists(atPath: path) else {
            try KeyFile.make(at: path)
            return RecipientKey(source: .keyFile(path), made: path)
        }
        // A key that lies there may be anybody's, unless it is named or belongs to the export that is replaced.
        guard newKeyFile != nil || replaces else {
            throw CLIFailure(
                code: "exists",
                message: "there is a key at \(path) already; name one with --new-key-file, or use --force")
        }
        return RecipientKey(source: .keyFile(path), found: path)
    }
}

struct RecipientKey {
    var source: KeySource
    /// The key file made now.
    var made: String?
    /// The one that was there.
    var found: String?

    func say() {
        if let made {
            Diagnostics.line("made the export's key \(made): hand it over apart from the export;")
            Diagnostics.line("without it the export is unreadable, with it anybody reads it")
        }
        if let found { Diagnostics.line("the export is opened by the key that was there already: \(found)") }
    }

    func discard() {
        if let made { unlink(made) }
    }
}
