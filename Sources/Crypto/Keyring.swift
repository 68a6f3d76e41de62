// The keys of one store. Reading side and state; `Keyring+Writing.swift` changes it.
//
// Invariants: what memory holds is what a complete file held or holds; a change is visible in memory only
// after its file is durable; a generation number stands for one content, also after a failed write.
// The order of keyring and catalog (add: keyring first; erase: intent, keyring, final) is the caller's.

import EventStoreCore
import Synchronization

/// The opened keyring. Safe to share between threads; lookups never wait for a rewrite.
package final class Keyring: Sendable {
    struct State: Sendable {
        var file: KeyringFile
        var master: SecretKey
        var body: KeyringBody
        /// In the order of `KeyPurpose.allCases`.
        var subkeys: [SecretKey]
        /// Keys handed out so far: one object for one key, so that caches by identity work.
        var handedOut: [UInt64: SecretKey] = [:]
    }

    struct Writer: Sendable {
        /// The highest generation ever tried, also by writes that failed.
        var lastGeneration: UInt64
        /// The header of a write that failed and may have reached the disk all the same.
        var attempted: [UInt8]?
        var isPoisoned = false
    }

    package let path: String
    /// 16 bytes.
    package let storeID: [UInt8]
    let environment: Environment
    let state: Mutex<State>
    /// Held through a rewrite, so that rewrites queue up.
    let writer: Mutex<Writer>

    private init(path: String, environment: Environment, state: State) {
        self.path = path
        self.environment = environment
        storeID = state.file.storeID
        writer = Mutex(Writer(lastGeneration: state.file.generation))
        self.state = Mutex(state)
    }

    // MARK: Opening

    /// Makes the keyring of a new store, with one slot. Durable when it returns. Throws `exists` when a file
    /// is there: a keyring is never overwritten.
    package static func create(
        path: String, environment: Environment, storeID: [UInt8], secret: RootSecret,
        scrypt: ScryptParameters = .standard
    ) throws(Fault) -> Keyring {
        guard try environment.files.status(path) == nil else {
            throw Fault(.exists, "there is a keyring already", at: .init(file: path))
        }
        let master = SecretKey(random: environment)
        let slot = try KeyringSlot(
            wrapping: master, under: secret, storeID: storeID, scrypt: scrypt, environment)
        let body = KeyringBody(fresh: environment)
        let file = try KeyringFile(
            storeID: storeID, generation: 1, slots: [slot], body: body, master: master, environment)
        try environment.files.replace(path, with: file.bytes)
        return Keyring(path: path, environment: environment, state: State(file: file, master: master, body: body))
    }

    /// Opens a keyring. Throws `notFound`, `damaged` (rot, truncation), `tooNew`, `wrongKey` (no slot opens;
    /// at once with a key, after scrypt with a passphrase), `tampered`, `limit` (crafted scrypt parameters).
    package static func open(
        path: String, environment: Environment, secret: RootSecret
    ) throws(Fault) -> Keyring {
        do throws(Fault) {
            let file = try read(path, environment)
            let master = try file.unlock(secret)
            let body = try file.openBody(master)
            return Keyring(path: path, environment: environment, state: State(file: file, master: master, body: body))
        } catch {
            throw error.at(file: path)
        }
    }

    /// The slots of a keyring, without a key: what to ask the user for. Not authenticated.
    package static func slots(path: String, environment: Environment) throws(Fault) -> [KeySlotInfo] {
        do throws(Fault) {
            return try read(path, environment).slots.map(\.info)
        } catch {
            throw error.at(file: path)
        }
    }

    static func read(_ path: String, _ environment: Environment) throws(Fault) -> KeyringFile {
        try KeyringFile(decoding: try environment.files.readAll(path, max: KeyringFormat.fileBytesMax))
    }

    // MARK: Keys

    /// The store's key for a purpose; the same object every time.
    package func subkey(_ purpose: KeyPurpose) -> SecretKey {
        state.withLock { $0.subkeys[Int(purpose.rawValue) - 1] }
    }

    /// The key of an entity; the same object while it lives. Throws `keyErased` when it has a tombstone,
    /// `notFound` when the ring never had it: then the ring is older than the store.
    package func entityKey(_ id: UInt64) throws(Fault) -> SecretKey {
        try state.withLock { (state) throws(Fault) in
            if let key = state.handedOut[id] { return key }
            guard let index = state.body.entityKeyIndex(id) else {
                if state.body.tombstoneIndex(id) != nil {
                    throw Fault(.keyErased, "the entity's key was erased, its data cannot be read any more")
                }
                throw Fault(
                    .notFound,
                    "the keyring does not have this entity's key: it is older than the store, or the key was rotated "
                        + "after this data was copied",
                    at: .init(file: path))
            }
            let key = state.body.entityKey(index)
            state.handedOut[id] = key
            return key
        }
    }

    /// Counts rewrites; goes up with every change.
    package var generation: UInt64 { state.withLock { $0.file.generation } }

    /// Ids of the entity keys in the ring, ascending.
    package func entityKeyIDs() -> [UInt64] {
        let body = state.withLock { $0.body }
        return (0..<body.entityKeyCount).map(body.entityKeyID)
    }

    /// The generation a key came with; `nil` for one that is not in the ring.
    package func entityKeyGeneration(_ id: UInt64) -> UInt64? {
        let body = state.withLock { $0.body }
        return body.entityKeyIndex(id).map(body.entityKeyGeneration)
    }

    package func tombstones() -> [KeyTombstone] {
        let body = state.withLock { $0.body }
        return (0..<body.tombstoneCount).map(body.tombstone)
    }

    package func tombstone(_ id: UInt64) -> KeyTombstone? {
        let body = state.withLock { $0.body }
        return body.tombstoneIndex(id).map(body.tombstone)
    }

    package func slots() -> [KeySlotInfo] {
        state.withLock { $0.file.slots.map(\.info) }
    }

    /// The whole file as it is now, for a copy elsewhere.
    package func copy() -> (bytes: [UInt8], generation: UInt64) {
        state.withLock { ($0.file.bytes, $0.file.generation) }
    }

    /// Which store and generation a keyring file is of, without a key. Not authenticated.
    package static func identity(
        path: String, environment: Environment
    ) throws(Fault) -> (storeID: [UInt8], generation: UInt64) {
        do throws(Fault) {
            let file = try read(path, environment)
            return (file.storeID, file.generation)
        } catch {
            throw error.at(file: path)
        }
    }

    // MARK: Following another process

    /// Takes over what another process wrote. Reads the header only (72 bytes) when nothing changed. Returns
    /// whether anything did; erased keys are gone from the ring then, and the caller's copies are the
    /// caller's to drop. Throws `wrongKey` when the master key was rotated: open the store again.
    package func reloadIfChanged() throws(Fault) -> Bool {
        do throws(Fault) {
            return try writer.withLock { (writer) throws(Fault) in
                let known = state.withLock { (file: $0.file, master: $0.master) }
                guard try readHeader() != known.file.header else { return false }
                let file = try Keyring.read(path, environment)
                guard file.storeID == storeID else {
                    throw Fault(.damaged, "the keyring belongs to another store")
                }
                let body = try openRewritten(file, known.master)
                state.withLock { $0.take(file, body) }
                writer.lastGeneration = max(writer.lastGeneration, file.generation)
                return true
            }
        } catch {
            throw error.at(file: path)
        }
    }

    /// Takes over a ring that another process rewrote under a new master key, with a root key that opens it now.
    /// Throws `wrongKey` when this one does not.
    package func reload(with secret: RootSecret) throws(Fault) {
        do throws(Fault) {
            try writer.withLock { (writer) throws(Fault) in
                let file = try Keyring.read(path, environment)
                guard file.storeID == storeID else {
                    throw Fault(.damaged, "the keyring belongs to another store")
                }
                let master = try file.unlock(secret)
                let body = try file.openBody(master)
                state.withLock { state in
                    state.take(file, body)
                    state.master = master
                }
                writer.lastGeneration = max(writer.lastGeneration, file.generation)
            }
        } catch {
            throw error.at(file: path)
        }
    }

    private func openRewritten(_ file: KeyringFile, _ master: SecretKey) throws(Fault) -> KeyringBody {
        do throws(Fault) {
            return try file.openBody(master)
        } catch {
            guard error.code == .tampered else { throw error }
            throw Fault(.wrongKey, "the keyring has a new master key; open the store again")
        }
    }

    /// Reads the file again and checks all of it. Throws what `open` throws; a ring that another process
    /// rewrote under a new master key is `wrongKey`.
    package func verifyFile() throws(Fault) {
        do throws(Fault) {
            let file = try Keyring.read(path, environment)
            _ = try openRewritten(file, state.withLock { $0.master })
        } catch {
            throw error.at(file: path)
        }
    }

    func readHeader() throws(Fault) -> [UInt8] {
        let handle = try environment.files.openForReading(path)
        defer { handle.close() }
        var header = [UInt8](repeating: 0, count: KeyringFile.headerBytes)
        try header.withMutableBytes { (header) throws(Fault) in try handle.read(into: header, at: 0) }
        return header
    }
}

extension Keyring.State {
    init(file: KeyringFile, master: SecretKey, body: KeyringBody) {
        self.file = file
        self.master = master
        self.body = body
        subkeys = KeyPurpose.allCases.indices.map(body.subkey)
    }

    /// Replaces content; keys handed out stay the same objects unless they were erased.
    mutating func take(_ file: KeyringFile, _ body: KeyringBody) {
        self.file = file
        self.body = body
        handedOut = handedOut.filter { body.entityKeyIndex($0.key) != nil }
    }
}
