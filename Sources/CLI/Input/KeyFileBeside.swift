/// Replacing `STORE.key`, the key file that `init` leaves beside a store.
///
/// The new key lies in `STORE.key.new` until the store is opened by it; then the old file is overwritten and the new
/// one takes its name. At every moment one of the two opens the store, and whoever needs the key next finishes a
/// replacement that was cut short.

import EventStore
import Foundation

package enum KeyFileBeside {
    static func coming(_ store: String) -> String { KeyOptions.fileBeside(store) + ".new" }

    /// The file to open the store with, `nil` when there is none.
    package static func settled(_ store: String) throws -> String? {
        let beside = KeyOptions.fileBeside(store)
        let coming = coming(store)
        let manager = FileManager.default
        guard manager.fileExists(atPath: coming) else { return manager.fileExists(atPath: beside) ? beside : nil }
        try finish(store)
        return manager.fileExists(atPath: beside) ? beside : coming
    }

    /// The file of a key to come. One that is there was made by a replacement that did not get far: its key opens
    /// nothing yet and is used, so that two at a time do not take each other's away.
    package static func make(for store: String) throws -> String {
        let beside = KeyOptions.fileBeside(store)
        var status = stat()
        guard lstat(beside, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw CLIFailure.usage("\(beside) is no plain file: give --new-key-file or --new-passphrase-file")
        }
        let coming = coming(store)
        if !FileManager.default.fileExists(atPath: coming) {
            try KeyFile.make(at: coming)
            try syncDirectory(of: coming)
        }
        return coming
    }

    /// Puts the new key in the place of the old one if the store is opened by the new one, and only by that.
    package static func finish(_ store: String) throws {
        let (beside, coming) = (KeyOptions.fileBeside(store), coming(store))
        // Opened before it is looked at: what is overwritten below is the file that does not open the store, whoever
        // else is putting the new one in its place.
        let old = open(beside, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        defer { if old >= 0 { close(old) } }
        if old >= 0 || errno != ENOENT {
            guard !PreparedKeys.opens(store, key: .keyFile(beside)) else { return }
        }
        guard PreparedKeys.opens(store, key: .keyFile(coming)) else { return }
        if old >= 0 { try overwrite(old, beside) }
        guard rename(coming, beside) == 0 || errno == ENOENT else { throw failure("replace", beside) }
        try syncDirectory(of: beside)
    }

    /// Overwrites and removes `STORE.key` once it opens the store no longer; whether it was there and is gone.
    package static func destroy(_ store: String) throws -> Bool {
        let beside = KeyOptions.fileBeside(store)
        let file = open(beside, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        guard !PreparedKeys.opens(store, key: .keyFile(beside)) else { return false }
        try overwrite(file, beside)
        guard unlink(beside) == 0 || errno == ENOENT else { throw failure("remove", beside) }
        try syncDirectory(of: beside)
        return true
    }

    private static func overwrite(_ file: Int32, _ path: String) throws {
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("overwrite", path) }
        let zeros = [UInt8](repeating: 0, count: min(Int(status.st_size), 1 << 16))
        guard pwrite(file, zeros, zeros.count, 0) == zeros.count, fsync(file) == 0 else {
            throw failure("overwrite", path)
        }
    }

    private static func syncDirectory(of path: String) throws {
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let directory = open(parent, O_RDONLY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("sync", parent) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure("sync", parent) }
    }

    private static func failure(_ what: String, _ path: String) -> CLIFailure {
        CLIFailure(code: "io", message: "cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
