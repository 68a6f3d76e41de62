// The engine behind the front door: opening and creating, and the calls of the public API that are not reads.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreIngest
import EventStoreQuery
import EventStoreSegments
import Foundation
import Logging
import Synchronization

final class StoreEngine: Sendable {
    let context: ReadContext
    /// `nil` when the store was opened for reading.
    let lane: WriterLane?
    /// Held by whatever changes which segments exist: flush and import. Never taken inside the lane.
    let maintenance = NSLock()
    /// Held by a compaction: there is one at a time.
    let compaction = NSLock()
    /// Whether time may expire data.
    let clock: ClockGuard
    private let follower: Follower?
    private let lock: (any FileLock)?
    private let flusher: Flusher?
    /// What is not collected. Readers do not need it.
    let policy: PolicyGate
    private let control = ControlServer()
    private let isClosed = Atomic<Bool>(false)

    private init(
        context: ReadContext, lock: (any FileLock)?, published: Published, follower: Follower?,
        recordedMs: Int64? = nil,
        sweeps: Bool = false, policy: CollectionPolicy = CollectionPolicy()
    ) {
        self.context = context
        self.policy = PolicyGate(policy)
        let clock = ClockGuard(recordedMs: recordedMs)
        self.clock = clock
        self.lock = lock
        self.follower = follower
        if lock != nil {
            let lane = WriterLane(context, published: published, clock)
            self.lane = lane
            flusher = Flusher()
        } else {
            lane = nil
            flusher = nil
        }
        flusher?.start(self, sweeps: sweeps)
    }

    /// Takes requests of other processes. Only in the holder of the lock, once it is ready.
    private func startControl() {
        if context.environment.files.isSystem { control.start(self) }
    }

    func stopControl() {
        if context.environment.files.isSystem { control.stop(context.files) }
    }

    var writing: SegmentWriting {
        SegmentWriting(
            files: context.files, environment: context.environment, names: context.names,
            incarnation: context.incarnation, sharedMin: context.settings.sharedByEntitiesMin)
    }

    func writer() throws(Fault) -> WriterLane {
        try requireOpen()
        guard let lane else {
            throw Fault(.readOnly, "the store was opened for reading", at: .init(file: context.files.root))
        }
        return lane
    }

    func requireOpen() throws(Fault) {
        if isClosed.load(ordering: .acquiring) {
            throw Fault(.invalid, "the store is closed", at: .init(file: context.files.root))
        }
    }

    /// What exists now. In a reader this asks the catalog whether anything changed: well under a millisecond.
    func snapshot() throws(Fault) -> Published {
        let published = try stored()
        try context.export?.requireUnexpired(context.environment, context.files)
        let visibility = context.names.lives.visibility(nowMs: context.environment.nowMs())
        return try published.seen(visibility, context.catalog)
    }

    /// What is stored now, seen or not.
    func stored() throws(Fault) -> Published {
        try requireOpen()
        if let lane { return lane.published.withLock { $0 } }
        return try follower?.refresh() ?? Published()
    }

    /// Runs a question on a snapshot, and once more on a new one when another process merged a segment away
    /// meanwhile. The last time a missing file is no longer excused.
    func onSnapshot<T>(_ body: (Published, _ missingIsDamage: Bool) throws(Fault) -> T) throws(Fault) -> T {
        for _ in 0..<CursorRun.attemptsMax {
            do throws(Fault) {
                return try body(try snapshot(), false)
            } catch {
                guard error.code == .notFound else { throw error }
            }
        }
        return try body(try snapshot(), true)
    }

    // MARK: Closing

    func close() throws(Fault) {
        if lane != nil { stopControl() }
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        flusher?.stop()
        lane?.close()
        maintenance.lock()
        context.segmentFiles.forgetAll()
        context.columnCache.purge()
        context.catalog.close()
        maintenance.unlock()
        lock?.release()
    }
}

// MARK: - Creating and opening

extension StoreEngine {
    static func environment(_ options: OpenOptions) -> Environment {
        var environment = Environment()
        if let now = options.nowMs { environment.nowMs = now }
        return environment
    }

    static func create(
        at path: String, key: KeySource, create: CreateOptions, open: OpenOptions, environment: Environment? = nil
    ) throws(Fault) -> StoreEngine {
        let environment = environment ?? StoreEngine.environment(open)
        let files = StoreFiles(root: path)
        guard (0...1000).contains(create.sharedByEntitiesMin) else {
            throw Fault(.invalid, "sharedByEntitiesMin is 0 to 1000")
        }
        try Plans.check(create.defaultPlan)
        let secret = try key.secret(environment)
        if let status = try environment.files.status(path) {
            guard status.isDirectory, try environment.files.list(path).isEmpty else {
                throw Fault(.exists, "something is there already; choose another path", at: .init(file: path))
            }
        } else {
            try environment.files.makeDirectory(path)
        }
        try environment.files.makeDirectory(files.segments)
        let storeID = environment.random(16)
        let keyring = try Keyring.create(
            path: files.keyring, environment: environment, storeID: storeID, secret: secret)
        var incarnation: UInt64 = 0
        withUnsafeMutableBytes(of: &incarnation) { environment.randomBytes($0) }
        // The catalog comes last: a directory without one is no store yet.
        try Catalog.create(
            path: files.catalog,
            settings: CatalogSettings(
                formatVersion: Catalog.formatVersion, storeID: storeID, incarnation: incarnation,
                partition: create.partition.stored, sharedByEntitiesMin: create.sharedByEntitiesMin,
                defaultPlan: create.defaultPlan, createdMs: environment.nowMs()),
            files: environment.files)
        try environment.files.syncDirectory(path)
        try environment.files.syncDirectory(Path.parent(path))
        _ = keyring
        return try self.open(at: path, secret: secret, source: key, open: open, environment: environment)
    }

    static func open(
        at path: String, key: KeySource, open: OpenOptions, environment: Environment? = nil
    ) throws(Fault) -> StoreEngine {
        let environment = environment ?? StoreEngine.environment(open)
        try checkIsStore(StoreFiles(root: path), environment)
        return try self.open(
            at: path, secret: try key.secret(environment), source: key, open: open, environment: environment)
    }

    static func checkIsStore(_ files: StoreFiles, _ environment: Environment) throws(Fault) {
        guard let status = try environment.files.status(files.root), status.isDirectory else {
            throw Fault(.notFound, "no store here; `init` makes one", at: .init(file: files.root))
        }
        // An export may come on a medium that belongs to somebody else.
        let manifest = Path.join(files.root, ExportTarget.manifestInside)
        let isOurs = status.ownerID == geteuid()
        guard try isOurs ? true : environment.files.status(manifest) != nil else {
            let owner = getpwuid(status.ownerID).map { String(cString: $0.pointee.pw_name) } ?? "#\(status.ownerID)"
            throw Fault(
                .permission, "the store belongs to user \(owner); run this as that user: sudo -u \(owner) …",
                at: .init(file: files.root))
        }
        guard try environment.files.status(files.catalog) != nil, try environment.files.status(files.keyring) != nil
        else {
            throw Fault(
                .notFound, "this directory is no store: catalog.db or keyring is missing",
                at: .init(file: files.root))
        }
    }

    /// A repair that was cut short while it exchanged the catalog has to be finished first.
    private static func requireWhole(_ files: StoreFiles, _ environment: Environment) throws(Fault) {
        guard try environment.files.status(files.catalogRepaired) == nil else {
            throw Fault(
                .damaged, "a repair was interrupted; run `repair` once more", at: .init(file: files.catalogRepaired))
        }
    }

    static func open(
        at path: String, secret: RootSecret, source: KeySource, open: OpenOptions, environment: Environment
    ) throws(Fault) -> StoreEngine {
        let files = StoreFiles(root: path)
        try checkIsStore(files, environment)
        try requireWhole(files, environment)
        let keyring = try Keyring.open(path: files.keyring, environment: environment, secret: secret)
        if open.mode == .readWrite { try files.requireWritable(environment) }
        let lock = open.mode == .readWrite ? try takeLock(files, environment) : nil
        do throws(Fault) {
            let room = StoreRoom(files, environment)
            guard lock != nil else {
                let catalog = try Catalog.open(path: files.catalog, mode: .reader, files: environment.files)
                return try assemble(files, catalog, keyring, nil, open, environment, source, room)
            }
            // On a full disk a store still has to open, for retention and erasure.
            let catalog = try room.reserve.assisting { () throws(Fault) in
                try Catalog.open(path: files.catalog, mode: .writer, files: environment.files)
            }
            return try assemble(files, catalog, keyring, lock, open, environment, source, room)
        } catch {
            lock?.release()
            throw error
        }
    }

    static func readContext(
        _ files: StoreFiles, _ catalog: Catalog, _ keyring: Keyring, _ open: OpenOptions, _ environment: Environment,
        _ room: StoreRoom
    ) throws(Fault) -> ReadContext {
        let settings = try catalog.read { (reader) throws(Fault) in try reader.settings() }
        guard settings.storeID == keyring.storeID else {
            throw Fault(.wrongKey, "keyring and catalog belong to different stores", at: .init(file: files.root))
        }
        guard let partition = Partition(stored: settings.partition) else {
            throw Fault(.damaged, "unknown partition length", at: .init(file: files.catalog))
        }
        let export = try ExportInfo.read(catalog, keyring)
        try export?.requireUnexpired(environment, files)
        let lives = LifeTable(partition, keyring, isFrozen: export != nil)
        let keyBackups = KeyBackupKeeper(keyring: keyring, environment: environment)
        let names = NameTable(
            keyring: keyring, keyBackups: keyBackups, environment: environment, settings: settings, lives: lives)
        let budget = max(open.memoryBudget, 32 << 20)
        return ReadContext(
            files: files, environment: environment, settings: settings, partition: partition, catalog: catalog,
            keyring: keyring, names: names, keyBackups: keyBackups, segmentFiles: SegmentFiles(environment),
            threads: open.threads > 0 ? open.threads : Workers.cores, memoryBudget: budget,
            columnCache: ColumnCache(budget: budget / 2), zones: ZoneTable(), export: export, room: room)
    }

    /// - Parameter lock: the store's, for a writer; released with the engine.
    static func assemble(
        _ files: StoreFiles, _ catalog: Catalog, _ keyring: Keyring, _ lock: (any FileLock)?, _ open: OpenOptions,
        _ environment: Environment, _ source: KeySource, _ room: StoreRoom
    ) throws(Fault) -> StoreEngine {
        var context = try readContext(files, catalog, keyring, open, environment, room)
        let follower = Follower(context, source)
        guard lock != nil else {
            return StoreEngine(context: context, lock: nil, published: Published(), follower: follower)
        }
        // Names and journal first: with a keyring older than the store nothing is written.
        let generation = try Recovery(context).checkKeyring()
        _ = try follower.refresh()
        let reading = context
        context.incarnation = try room.reserve.assisting { () throws(Fault) in
            try Recovery(reading).run(knowsKeyring: generation > 0)
        }
        let published = try follower.refresh()
        let meta = try catalog.read { (reader) throws(Fault) in try reader.meta() }
        let engine = StoreEngine(
            context: context, lock: lock, published: published, follower: nil, recordedMs: meta[ClockGuard.name],
            sweeps: open.sweepsAutomatically, policy: try StoredPolicy.load(context))
        try engine.lane?.adoptJournal(published.memory)
        try engine.adoptKeyBackups()
        try engine.recordKeyringAhead(of: generation)
        try engine.finishErasures()
        try engine.finishDestroyingOldKeys()
        try engine.finishDestroying()
        try engine.prepareRoom()
        engine.startControl()
        return engine
    }

    // MARK: The lock

    static func takeLock(_ files: StoreFiles, _ environment: Environment) throws(Fault) -> any FileLock {
        guard let lock = try environment.files.tryLock(files.lock) else {
            let holder = (try? environment.files.readAll(files.lock, max: 4096))
                .map { String(decoding: $0, as: UTF8.self) }?.trimmingCharacters(in: .whitespacesAndNewlines)
            throw Fault(
                .locked,
                "another process writes to this store" + (holder.flatMap { $0.isEmpty ? nil : " (\($0))" } ?? ""),
                at: .init(file: files.root))
        }
        // Who holds it is only said for the error above; that it cannot be written is no reason not to work.
        let text = "pid \(ProcessInfo.processInfo.processIdentifier): \(ProcessInfo.processInfo.processName)\n"
        if let handle = try? environment.files.openForUpdate(files.lock) {
            try? handle.truncate(to: 0)
            Array(text.utf8).withUnsafeBytes { bytes in try? handle.write(bytes, at: 0) }
            handle.close()
        }
        return lock
    }
}

extension KeySource {
    /// The key. What a source gives that is no key is a wrong key, not a wrong call.
    func secret(_ environment: Environment) throws(Fault) -> RootSecret {
        do throws(Fault) {
            return try read(environment)
        } catch {
            guard error.code == .invalid else { throw error }
            if case .raw = self { throw error }
            throw Fault(.wrongKey, error.message, at: error.place)
        }
    }

    private func read(_ environment: Environment) throws(Fault) -> RootSecret {
        switch self {
        case .keyFile(let path):
            let (secret, isExposed) = try RootSecret.keyFile(path, environment: environment)
            if isExposed { StoreLog.logger.warning("the key file \(path) can be read by others; chmod 600 it") }
            return secret
        case .passphraseFile(let path):
            let (content, _) = try RootKeyMaterial.readFile(path, environment: environment)
            let line = content.withUnsafeBytes { bytes in
                SecretBytes(copying: UnsafeRawBufferPointer(rebasing: bytes.prefix { $0 != 0x0a && $0 != 0x0d }))
            }
            return .passphrase(try RootKeyMaterial.passphrase(from: line))
        case .passphrase(let bytes):
            let content = bytes.withUnsafeBytes { SecretBytes(copying: $0) }
            return .passphrase(try RootKeyMaterial.passphrase(from: content))
        case .environment(let name): return try RootSecret.environment(variable: name)
        case .command(let command): return try RootSecret.command(command)
        case .raw(let bytes):
            guard bytes.count == SecretKey.bytesCount else { throw Fault(.invalid, "a raw key is 32 bytes") }
            return .key(bytes.withUnsafeBytes { SecretKey(copying: $0) }, .keyFile)
        }
    }
}

/// What the library has to say beside its errors.
enum StoreLog {
    static let logger = Logger(label: "eventstore")
}
