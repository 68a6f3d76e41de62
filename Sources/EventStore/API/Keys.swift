// Keys of a store: what opens it, how its keys are changed, and which copies of them there are.

import EventStoreCore
import EventStoreCrypto
import Foundation

/// One root key that opens a store.
public struct KeySlot: Codable, Sendable, Hashable {
    /// Where the key is expected to come from; any source that gives the same key opens the slot.
    public enum Kind: String, Codable, Sendable {
        case keyFile = "key-file"
        case passphrase, environment, command
    }
    /// 16 hexadecimal digits.
    public var id: String
    public var kind: Kind
    public var createdMs: Int64
}

/// A copy of a store's keyring.
public struct KeyBackupInfo: Codable, Sendable, Hashable {
    public var path: String
    /// When it was written last.
    public var timeMs: Int64?
    /// Of the keyring when it was written.
    public var generation: UInt64
    /// Entities whose key it does not have.
    public var entitiesMissing: Int
    /// Whether all root keys of the store were replaced since it was made, none kept: it is opened by earlier ones alone.
    public var rootKeysReplaced = false
}

/// Keys an entity had before the one it has, that something is still sealed under.
public struct OldKeyUse: Codable, Sendable, Hashable {
    public var entity: String
    /// As receipts name them, oldest first.
    public var keys: [String]
    /// Segments that have to be written anew before the keys can be destroyed, and their bytes.
    public var segments: Int
    public var bytes: Int
}

/// The mark of a key that was erased.
public struct ErasedKey: Codable, Sendable, Hashable {
    /// As receipts name it.
    public var id: String
    public var erasedMs: Int64
}

/// What there is of keys.
public struct KeyStatus: Codable, Sendable {
    public var slots: [KeySlot] = []
    /// Goes up with every change of the keyring.
    public var generation: UInt64 = 0
    public var entities = 0
    public var entityKeys = 0
    /// Keys no entity has: of appends that were interrupted before anything was stored.
    public var unusedKeys = 0
    /// Entities whose key no known copy of the keyring has: lost with this machine.
    public var entitiesWithoutBackup = 0
    /// The copy that is kept up to date, if one is configured.
    public var backup: KeyBackupInfo?
    /// Copies that nobody rewrites, oldest first. Those made while an entity's key was there outlive its erasure.
    public var copies: [KeyBackupInfo] = []
    /// Oldest first.
    public var tombstones: [ErasedKey] = []
    /// Keys of entities that were replaced and are still needed, by name of the entity.
    public var oldKeys: [OldKeyUse] = []
}

/// What giving entities new keys did.
public struct EntityKeyReport: Codable, Sendable {
    /// Entities that have a new key.
    public var entities = 0
    /// Segments that were written anew at once.
    public var segmentsRewritten = 0
    /// Old keys that exist no longer in the keyring and its configured copy.
    public var keysDestroyed = 0
    /// Old keys of these entities that are in the keyring still.
    public var keysLeft = 0
    /// Segments that are still under old keys of these entities, and their bytes: compaction writes them anew.
    public var segmentsLeft = 0
    public var bytesLeft = 0
    public var seconds = 0.0
}

/// What a rotation of root or master key did.
public struct KeyRotationReport: Codable, Sendable {
    public var slots: [KeySlot]
    /// Slots that open the store no longer. Their root keys still open older copies of the keyring: destroy them.
    public var removed: [KeySlot]
    public var generation: UInt64
    /// Known copies that the removed slots' root keys may still open.
    public var copies: [KeyBackupInfo]
}

/// A change of keys that was made ready where the root keys are. Holds no secret in clear; only the store's keyring
/// as it was then can make use of it.
public struct PreparedKeys: Codable, Sendable {
    enum Content: Codable, Sendable {
        case slot(PreparedSlot)
        case root(PreparedRotation)
        case master(PreparedRotation)
    }
    let content: Content
}

/// A change of keys as a value; see ``StoreOperation``.
public enum KeyOperation: Codable, Sendable {
    case apply(PreparedKeys)
    case removeSlot(id: String)
    /// New keys for entities (`nil`: all); `now` seals at once anew what is under the old ones.
    case rotateEntities(names: [String]?, now: Bool)
    case backUp(path: String)
    case setBackupPath(String?)
}

/// What a change of keys gives back.
public enum KeyResult: Codable, Sendable {
    case done
    case slotAdded(id: String)
    case rotated(KeyRotationReport)
    case entitiesRotated(EntityKeyReport)
    /// The generation of the copy.
    case backedUp(generation: UInt64)
}

// MARK: - In the process that writes

extension BlockingEventStore {
    /// What there is of keys. Cheap; works in readers, too.
    public func keyStatus() throws(EventStoreError) -> KeyStatus {
        try atTheDoor { () throws(Fault) in try engine.keyStatus() }
    }

    /// Lets another root key open the store, and returns the slot's id. Durable when it returns, as all changes here;
    /// each is in the audit chain. A passphrase costs half a second and 128 MiB for a moment.
    ///
    /// - Throws: `exists` when this key opens the store already, `limit` beyond 16 slots, `key-backup` when the
    ///   configured copy of the keys cannot be written (nothing is changed then).
    @discardableResult
    public func addKeySlot(_ source: KeySource) throws(EventStoreError) -> String {
        guard case .slotAdded(let id) = try perform(.apply(preparation.slot(source))) else { return "" }
        return id
    }

    /// Takes a root key's slot away: it opens this store no longer. Copies of the keyring made before are still opened
    /// by it, and so would be this keyring by who kept its master key: where the root key leaked, rotate it instead.
    ///
    /// - Throws: `not-found`, `invalid` for the last slot.
    public func removeKeySlot(_ id: String) throws(EventStoreError) { _ = try perform(.removeSlot(id: id)) }

    /// Replaces a root key by a new one, and the master key with it, in one rewrite of the keyring: at every moment
    /// either the old or the new key opens the store. Writing goes on; other processes that read go on when the source
    /// they were opened with gives a key that opens it now, and else get `wrong-key`.
    ///
    /// Copies of the keyring made before are still opened by the old root key. They become useless when every copy of
    /// that key is destroyed, which only you can do.
    ///
    /// - Parameters:
    ///   - old: the key to be replaced.
    ///   - keeping: root keys of other slots that are to stay.
    ///   - droppingOthers: lets slots go whose keys were not given; else they are named in an `invalid`.
    /// - Throws: `wrong-key` when `old` opens no slot, `exists` when `new` opens one already.
    @discardableResult
    public func rotateRootKey(
        from old: KeySource, to new: KeySource, keeping: [KeySource] = [], droppingOthers: Bool = false
    ) throws(EventStoreError) -> KeyRotationReport {
        try rotated(try preparation.root(from: old, to: new, keeping: keeping, droppingOthers))
    }

    /// Draws a new master key, so that who knows the old one, but no root key, opens nothing written from now on in the
    /// keyring. Slots stay whose root keys are given.
    @discardableResult
    public func rotateMasterKey(
        keeping: [KeySource], droppingOthers: Bool = false
    ) throws(EventStoreError) -> KeyRotationReport {
        try rotated(try preparation.master(keeping: keeping, droppingOthers))
    }

    private func rotated(_ prepared: PreparedKeys) throws(EventStoreError) -> KeyRotationReport {
        guard case .rotated(let report) = try perform(KeyOperation.apply(prepared)) else {
            preconditionFailure("a rotation reports")
        }
        return report
    }

    /// Gives entities new keys, durable when it returns: what is stored from now on is sealed under them. What is under
    /// the old keys goes on being read; it is sealed anew when its segments are merged (``compact(progress:)``
    /// merges all of them), and an old key is destroyed when nothing is under it any more.
    ///
    /// A copy of the data that was made before is opened by a copy of the keyring that has the old keys, and by no other.
    ///
    /// - Parameters:
    ///   - names: the entities; `nil` is all.
    ///   - now: writes the segments that are under the old keys anew at once. Costs what compacting them does: all
    ///     entities in them are written.
    /// - Throws: `not-found`, `key-backup` when the configured copy of the keys cannot be written (nothing is changed
    ///   then).
    @discardableResult
    public func rotateEntityKeys(
        _ names: [String]?, now: Bool = false, progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> EntityKeyReport {
        let result = try perform(.rotateEntities(names: names, now: now), progress: progress)
        guard case .entitiesRotated(let report) = result else { preconditionFailure("a rotation reports") }
        return report
    }

    /// Writes a copy of the keyring, mode 0600, whole or not at all, and remembers it: receipts of erasures list it
    /// when it outlives them. It is opened by the root keys of now.
    ///
    /// - Throws: `exists` when something else is at that path, `invalid` for a path inside the store.
    public func backUpKeys(to path: String) throws(EventStoreError) {
        _ = try perform(KeyOperation.backUp(path: PreparedKeys.absolute(path)))
    }

    /// Keeps a copy of the keyring at a path, written now, before the first event of a new entity is acknowledged, with
    /// every change of keys and with every erasure. While it cannot be written, new entities are refused
    /// (`key-backup`); known ones go on. `nil` ends that.
    public func setKeyBackupPath(_ path: String?) throws(EventStoreError) {
        _ = try perform(KeyOperation.setBackupPath(path.map(PreparedKeys.absolute)))
    }

    private var preparation: KeyPreparation {
        KeyPreparation(keyring: engine.context.keyring, environment: engine.context.environment)
    }

    /// Carries out a change of keys in this process, which has the store open for writing.
    public func perform(
        _ operation: KeyOperation, progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> KeyResult {
        try atTheDoor { () throws(Fault) in try carryOut(operation, progress) }
    }

    private func carryOut(
        _ operation: KeyOperation, _ progress: (@Sendable (Double) -> Void)?
    ) throws(Fault) -> KeyResult {
        switch operation {
        case .rotateEntities(let names, let now):
            return .entitiesRotated(try engine.rotateEntityKeys(names, now: now, progress: progress))
        case .apply(let prepared):
            switch prepared.content {
            case .slot(let slot): return .slotAdded(id: try engine.addKeySlot(slot).hexText)
            case .root(let rotation): return .rotated(try report(engine.rotateKeys(rotation, isRoot: true)))
            case .master(let rotation): return .rotated(try report(engine.rotateKeys(rotation, isRoot: false)))
            }
        case .removeSlot(let id):
            guard let number = UInt64(id, radix: 16), number.hexText == id.lowercased() else {
                throw Fault(.invalid, "a slot's id has 16 hexadecimal digits; `key status` shows them")
            }
            try engine.removeKeySlot(number)
            return .done
        case .backUp(let path): return .backedUp(generation: try engine.backUpKeys(to: path))
        case .setBackupPath(let path):
            try engine.setKeyBackupPath(path)
            return .done
        }
    }

    private func report(_ removed: [KeySlotInfo]) throws(Fault) -> KeyRotationReport {
        let status = try engine.keyStatus()
        return KeyRotationReport(
            slots: status.slots, removed: removed.map(KeySlot.init), generation: status.generation,
            copies: status.copies)
    }
}

// MARK: - Whoever holds the store

extension PreparedKeys {
    /// A slot for another root key. Needs a key that opens the store, not its lock.
    public static func slot(
        _ new: KeySource, at path: String, key: KeySource
    ) throws(EventStoreError) -> PreparedKeys {
        try KeyPreparation(path, key).slot(new)
    }

    /// A new root key in place of `key`; see ``BlockingEventStore/rotateRootKey(from:to:keeping:droppingOthers:)``.
    public static func root(
        _ new: KeySource, at path: String, key: KeySource, keeping: [KeySource] = [], droppingOthers: Bool = false
    ) throws(EventStoreError) -> PreparedKeys {
        try KeyPreparation(path, key).root(from: key, to: new, keeping: keeping, droppingOthers)
    }

    /// A new master key; `key` stays, and so do the slots of `keeping`.
    public static func master(
        at path: String, key: KeySource, keeping: [KeySource] = [], droppingOthers: Bool = false
    ) throws(EventStoreError) -> PreparedKeys {
        try KeyPreparation(path, key).master(keeping: [key] + keeping, droppingOthers)
    }

    /// Whether a key opens the keyring of a store as it is now. Cheap but for a passphrase.
    public static func opens(_ path: String, key: KeySource) -> Bool {
        let (environment, files) = (Environment(), StoreFiles(root: path))
        let secret = try? key.secret(environment)
        guard let secret else { return false }
        return (try? Keyring.open(path: files.keyring, environment: environment, secret: secret)) != nil
    }

    static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
}

/// Makes changes of keys ready: the only place that needs the new root keys.
struct KeyPreparation {
    let keyring: Keyring
    let environment: Environment

    init(keyring: Keyring, environment: Environment) {
        self.keyring = keyring
        self.environment = environment
    }

    init(_ path: String, _ key: KeySource) throws(EventStoreError) {
        let environment = Environment()
        let files = StoreFiles(root: path)
        keyring = try atTheDoor { () throws(Fault) in
            try StoreEngine.checkIsStore(files, environment)
            return try Keyring.open(
                path: files.keyring, environment: environment, secret: try key.secret(environment))
        }
        self.environment = environment
    }

    func slot(_ new: KeySource) throws(EventStoreError) -> PreparedKeys {
        try atTheDoor { () throws(Fault) in
            PreparedKeys(content: .slot(try keyring.prepareSlot(try new.secret(environment))))
        }
    }

    func root(
        from old: KeySource, to new: KeySource, keeping: [KeySource], _ droppingOthers: Bool
    ) throws(EventStoreError) -> PreparedKeys {
        try atTheDoor { () throws(Fault) in
            let rotation = try keyring.prepareRotation(
                keeping: try secrets(keeping), adding: try new.secret(environment),
                retiring: [try old.secret(environment)], isForced: droppingOthers)
            return PreparedKeys(content: .root(rotation))
        }
    }

    func master(keeping: [KeySource], _ droppingOthers: Bool) throws(EventStoreError) -> PreparedKeys {
        try atTheDoor { () throws(Fault) in
            PreparedKeys(
                content: .master(
                    try keyring.prepareRotation(keeping: try secrets(keeping), isForced: droppingOthers)))
        }
    }

    private func secrets(_ sources: [KeySource]) throws(Fault) -> [RootSecret] {
        var secrets: [RootSecret] = []
        for source in sources { secrets.append(try source.secret(environment)) }
        return secrets
    }
}
