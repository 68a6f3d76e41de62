// Keeps the configured copy of the keyring up to date in the process that writes, and remembers what copies there are.
//
// Invariant: `update` returns only when the configured copy, if there is one, holds every key the ring held when it was
// called. What is remembered waits for the next commit, like new names.

import EventStoreCore
import EventStoreCrypto
import Foundation
import Synchronization

final class KeyBackupKeeper: Sendable {
    private struct State {
        var backups = KeyBackups()
        var revision = 0
        var savedRevision = 0
    }

    private let keyring: Keyring
    private let environment: Environment
    private let state = Mutex(State())
    /// Held while the copy is written. Never taken with `state` held.
    private let writing = NSLock()

    init(keyring: Keyring, environment: Environment) {
        self.keyring = keyring
        self.environment = environment
    }

    var backups: KeyBackups { state.withLock { $0.backups } }

    /// Takes over what the catalog has.
    func load(_ backups: KeyBackups) { state.withLock { $0.backups = backups } }

    // MARK: Saving

    /// What the next commit has to carry.
    func unsaved() -> (backups: KeyBackups, revision: Int)? {
        state.withLock { $0.revision == $0.savedRevision ? nil : ($0.backups, $0.revision) }
    }

    func saved(_ revision: Int) { state.withLock { $0.savedRevision = max($0.savedRevision, revision) } }

    // MARK: Writing

    /// Brings the configured copy up to date if it is not. `always` writes it in any case: the proof that it can be.
    /// Throws `key-backup`, which no other failure is.
    func update(always: Bool = false) throws(Fault) {
        try withWriting { () throws(Fault) in
            let backups = backups
            guard let path = backups.configuredPath else { return }
            guard always || backups.configuredGeneration < keyring.generation else { return }
            let generation = try write(path)
            note { $0.configured(path, generation, environment.nowMs()) }
        }
    }

    /// Writes a copy and then changes what is remembered; returns what was remembered before, for `takeBack`.
    func change(
        writing path: String?, _ edit: (inout KeyBackups, _ generation: UInt64, _ nowMs: Int64) -> Void
    ) throws(Fault) -> KeyBackups {
        try withWriting { () throws(Fault) in
            let before = backups
            let generation = try path.map { (path) throws(Fault) in try write(path) } ?? keyring.generation
            note { edit(&$0, generation, environment.nowMs()) }
            return before
        }
    }

    /// After a commit that did not carry the change.
    func takeBack(to before: KeyBackups) { note { $0 = before } }

    /// All root keys were replaced, none kept: earlier copies have slots for none of those there are now.
    func rootsReplaced(_ generation: UInt64) { note { $0.rootsReplacedGeneration = generation } }

    private func note(_ edit: (inout KeyBackups) -> Void) {
        state.withLock { state in
            edit(&state.backups)
            state.revision += 1
        }
    }

    private func withWriting<T>(_ body: () throws(Fault) -> T) throws(Fault) -> T {
        writing.lock()
        defer { writing.unlock() }
        return try body()
    }

    private func write(_ path: String) throws(Fault) -> UInt64 {
        let copy = keyring.copy()
        do throws(Fault) {
            try environment.files.replace(path, with: copy.bytes)
        } catch {
            // A failed sync of that disk says nothing about the store's: it poisons nothing.
            throw Fault(
                .keyBackup,
                "the key backup \(path) cannot be written; make it possible or give another path with `key backup`",
                at: .init(file: path), cause: error)
        }
        return copy.generation
    }

    /// Whether a copy may be written there: nothing is, or an older copy of this very keyring.
    func check(_ path: String, store: String) throws(Fault) {
        let inside = store.hasSuffix("/") ? store : store + "/"
        guard !path.hasPrefix(inside) else {
            throw Fault(.invalid, "a copy of the keys is kept apart from the store: give a path outside \(store)")
        }
        guard let status = try environment.files.status(path) else { return }
        guard !status.isDirectory else {
            throw Fault(.invalid, "this is a directory; name the file the copy is to be", at: .init(file: path))
        }
        let identity = try? Keyring.identity(path: path, environment: environment)
        guard identity?.storeID == keyring.storeID else {
            throw Fault(
                .exists, "something else is there, no copy of this store's keyring; choose another path",
                at: .init(file: path))
        }
    }
}

extension Fault.Code {
    /// The configured copy of the keys cannot be written.
    static let keyBackup = Fault.Code(rawValue: "key-backup")
}
