import EventStoreCore
import Foundation

/// How a backup is made.
public struct BackupOptions: Codable, Sendable {
    /// How long files that the store has dropped (expired, merged, erased) are kept beside the backup; 0 mirrors drops
    /// at once.
    public var keepExpiredMs: Int64 = 0
    /// Reads every copied byte back and authenticates it. Costs a read of the whole backup.
    public var verify = false
    public init() {}
}

/// What a backup did.
public struct BackupReport: Codable, Sendable {
    public var directory = ""
    /// Segment files in the backup, and bytes of all that is in it.
    public var files = 0
    public var bytes = 0
    /// Segment files and bytes that had to travel this time.
    public var filesCopied = 0
    public var bytesCopied = 0
    /// Segment files the store no longer has.
    public var filesRemoved = 0
    /// Parts of files, of erased or expired entities, that were destroyed in copies made earlier.
    public var partsDestroyed = 0
    public var events = 0
    public var entities = 0
    /// The first sequence that is not in the backup.
    public var nextSequence: UInt64 = 0
    /// Entities whose key is in no backup of the keyring: without the keyring their events cannot be restored.
    public var entitiesWithoutKeyBackup = 0
    /// Files of the store that were missing or cut short, and are so in the backup.
    public var warnings: [String] = []
    public var isVerified = false
    /// What verifying the copies found.
    public var problems: [String] = []
    public var seconds: Double = 0
    public init() {}
}

extension BlockingEventStore {
    /// Copies the store into a directory, beside everything that goes on in it: all events acknowledged before the
    /// call are in the copy, which is consistent. Only files that are not there yet are copied; what the store has
    /// dropped is dropped there. No key goes along: back the keyring up elsewhere.
    ///
    /// Interrupted at any point, the previous backup in the directory is as good as before, and the next call finishes.
    ///
    /// - Throws: `exists` for a directory that holds something else, `locked` when another backup into it is under
    ///   way, `invalid` for one inside the store, `diskFull` (the previous backup stays), and `readOnly` for a store of
    ///   an earlier format (run `upgrade` first).
    @discardableResult
    public func backup(
        to directory: String, options: BackupOptions = BackupOptions(), progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> BackupReport {
        try atTheDoor { () throws(Fault) in
            try engine.backup(to: Backup.absolute(directory), options, progress: progress)
        }
    }
}

extension StoreAdministration {
    /// Backs a store up whoever holds it: see ``BlockingEventStore/backup(to:options:progress:)``.
    public static func backup(
        _ path: String, to directory: String, options: BackupOptions = BackupOptions(), key: KeySource,
        open: OpenOptions = OpenOptions(), progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> BackupReport {
        // The holder may have another working directory.
        let result = try perform(
            .backup(directory: Backup.absolute(directory), options: options), at: path, key: key, options: open,
            progress: progress)
        guard case .backedUp(let report) = result else {
            throw EventStoreError(Fault(.invalid, "the holder gave another answer; it may be another version"))
        }
        return report
    }
}

enum Backup {
    static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
}

/// How a backup is restored.
public struct RestoreOptions: Sendable {
    /// Goes on where something is in the way: a store at the path is moved aside; entities whose key the keyring lacks
    /// are given up; files that are missing or damaged become holes.
    public var force = false
    public init() {}
}

/// What a restore gave.
public struct RestoreReport: Codable, Sendable {
    public var events = 0
    public var entities = 0
    public var bytes = 0
    /// When the backup was made, and the first sequence that is not in it.
    public var backupTime: Int64 = 0
    public var nextSequence: UInt64 = 0
    /// Entities the backup still had and the keyring has a tombstone of: erased since, and so here.
    public var entitiesErased = 0
    /// Keys of entities the backup knows as erased that the keyring, an older copy, still had.
    public var keysDestroyed = 0
    /// Numbers of entities that were given up, with `force`, as the keyring does not have their keys.
    public var entitiesUnreadable: [Int] = []
    /// With `force`: what is damaged.
    public var warnings: [String] = []
    /// With `force`: where the store went that was there before.
    public var movedAside: String?
    public var seconds: Double = 0
    public init() {}
}

extension StoreAdministration {
    /// Makes a store from a backup and a copy of its keyring, on this machine or another. The store appears at `path`
    /// when all of it is there, checked and durable; until then, or when anything fails, nothing does.
    ///
    /// What is erased stays erased: an entity that backup or keyring says was erased cannot be read in the restored
    /// store, and its key is no longer in the restored keyring. Costs a copy of the backup.
    ///
    /// - Parameters:
    ///   - keyring: a copy of the store's `keyring`, best one made after the backup.
    ///   - key: opens the keyring.
    /// - Throws: `exists` for a path where something is; `notFound` when there is no backup, no keyring, or the keyring
    ///   is older than the backup and lacks keys (the message says how many); `wrongKey`; `damaged` when files are
    ///   missing or do not fit. ``RestoreOptions/force`` says which of them can be overridden.
    @discardableResult
    public static func restore(
        from directory: String, to path: String, keyring: String, key: KeySource,
        options: RestoreOptions = RestoreOptions(), open: OpenOptions = OpenOptions(),
        progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> RestoreReport {
        try atTheDoor { () throws(Fault) in
            try restore(
                from: directory, to: path, keyring: keyring, key: key, options: options, open: open,
                environment: StoreEngine.environment(open), progress: progress)
        }
    }

    static func restore(
        from directory: String, to path: String, keyring: String, key: KeySource, options: RestoreOptions,
        open: OpenOptions, environment: Environment, progress: (@Sendable (Double) -> Void)? = nil
    ) throws(Fault) -> RestoreReport {
        let restoration = Restoration(
            source: BackupDirectory(root: Backup.absolute(directory), files: environment.files),
            path: Backup.absolute(path), key: key, secret: try key.secret(environment), environment: environment,
            options: options, open: open, progress: progress)
        return try restoration.run(keyring: keyring)
    }
}
