// Slots, rotations and copies of the keyring, while the store is open for writing.
//
// The order is always: keyring, its configured copy, then the catalog with the keyring's generation and the audit
// record. An interruption in between leaves a keyring that is ahead; the next open records that in the audit chain.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

extension StoreEngine {
    // MARK: Slots and rotation

    func addKeySlot(_ prepared: PreparedSlot) throws(Fault) -> UInt64 {
        try changeKeys("key.add") { () throws(Fault) in
            let id = try context.keyring.addSlot(prepared)
            return (id, ["slot": id.hexText])
        }
    }

    func removeKeySlot(_ id: UInt64) throws(Fault) {
        try changeKeys("key.remove") { () throws(Fault) in
            try context.keyring.removeSlot(id)
            return ((), ["slot": id.hexText])
        }
    }

    /// - Returns: the slots that went.
    func rotateKeys(_ prepared: PreparedRotation, isRoot: Bool) throws(Fault) -> [KeySlotInfo] {
        try changeKeys(isRoot ? "key.rotate-root" : "key.rotate-master") { () throws(Fault) in
            let before = context.keyring.slots()
            let ids = try context.keyring.rotate(prepared)
            let dropped = before.filter { ids.contains($0.id) }
            if isRoot, prepared.keepsNone { context.keyBackups.rootsReplaced(context.keyring.generation) }
            let details = ["slots": StoreEngine.list(context.keyring.slots()), "removed": StoreEngine.list(dropped)]
            return (dropped, details)
        }
    }

    private static func list(_ slots: [KeySlotInfo]) -> String { slots.map(\.id.hexText).joined(separator: " ") }

    /// Runs one change of the keyring, brings the configured copy up to date, and commits generation and audit record.
    private func changeKeys<T>(
        _ operation: String, _ body: () throws(Fault) -> (T, details: [String: String])
    ) throws(Fault) -> T {
        let lane = try writer()
        // Better now than when half of it is done.
        try context.keyBackups.update(always: true)
        var staleCopy: Fault?
        let result = try lane.inTurn { () throws(Fault) in
            let (result, details) = try body()
            staleCopy = keyringChanged()
            try record(operation, details, lane)
            return result
        }
        if let staleCopy { throw StoreEngine.doneBut(staleCopy) }
        return result
    }

    /// With the lane's turn held.
    private func record(
        _ operation: String, reason: String? = nil, _ details: [String: String], _ lane: WriterLane
    ) throws(Fault) {
        var change = CatalogChange()
        var details = details
        details["generation"] = "\(context.keyring.generation)"
        try lane.record(
            [
                AuditEntry(
                    operation: operation, entity: nil, blindName: nil, reason: reason, details: details, actor: .own)
            ], in: &change)
        _ = try lane.commit(change)
    }

    // MARK: Copies

    /// Brings the configured copy up to date after the keyring changed. What the ring has lost is lost whether or not
    /// the copy can be written: the failure is returned, and the copy tried again with the next change and at open.
    func keyringChanged() -> Fault? {
        do throws(Fault) {
            try context.keyBackups.update()
            return nil
        } catch { return error }
    }

    static func doneBut(_ staleCopy: Fault) -> Fault {
        Fault(
            .keyBackup,
            "done, but the key backup is older than that: it is written again with the next change of keys, "
                + "or with `key backup`", at: staleCopy.place, cause: staleCopy)
    }

    /// Writes a copy of the keyring and remembers it.
    func backUpKeys(to path: String) throws(Fault) -> UInt64 {
        try changeBackups("key.backup", writing: path) { backups, generation, now in
            backups.copied(to: path, generation, now)
        }
    }

    /// From now on the copy at `path` is kept up to date; `nil` ends that and leaves the file as it is.
    func setKeyBackupPath(_ path: String?) throws(Fault) {
        _ = try changeBackups("key.backup-path", writing: path) { backups, generation, now in
            backups.configure(path, generation, now)
        }
    }

    private func changeBackups(
        _ operation: String, writing path: String?, _ edit: (inout KeyBackups, UInt64, Int64) -> Void
    ) throws(Fault) -> UInt64 {
        let lane = try writer()
        if let path { try context.keyBackups.check(path, store: context.files.root) }
        return try lane.inTurn { () throws(Fault) in
            let before = try context.keyBackups.change(writing: path, edit)
            do throws(Fault) {
                try record(operation, ["path": path ?? ""], lane)
            } catch {
                context.keyBackups.takeBack(to: before)
                throw error
            }
            return context.keyring.generation
        }
    }

    // MARK: At open

    /// Takes over what is known of copies, and mends the configured one if an interruption left it behind.
    func adoptKeyBackups() throws(Fault) {
        let keeper = context.keyBackups
        let backups: KeyBackups? = try document(KeyBackups.documentName)
        guard let backups else { return }
        keeper.load(backups)
        guard let path = backups.configuredPath else { return }
        let found = try? context.environment.files.readAll(path, max: KeyringFormat.fileBytesMax)
        guard found != context.keyring.copy().bytes else { return }
        do throws(Fault) {
            try keeper.update(always: true)
        } catch {
            StoreLog.logger.error("\(error); new entities are refused until then")
        }
    }

    /// A change of keys whose audit record never came, or keys of entities that were never stored.
    func recordKeyringAhead(of known: UInt64) throws(Fault) {
        guard known > 0, context.keyring.generation > known else { return }
        let lane = try writer()
        try lane.inTurn { () throws(Fault) in
            try record(
                "key.found-changed", reason: "an earlier process changed the keyring and did not get to record it",
                ["known": "\(known)", "slots": StoreEngine.list(context.keyring.slots())], lane)
        }
    }

    // MARK: Status

    func keyStatus() throws(Fault) -> KeyStatus {
        // In a reader this brings keys and names up to date.
        _ = try snapshot()
        let keyring = context.keyring
        let backups = try keyBackups()
        let living = context.names.lives.records.filter { !$0.isErased }
        func missing(after generation: UInt64) -> Int {
            living.count { record in keyring.entityKeyGeneration(record.keyID).map { $0 > generation } ?? false }
        }
        let (retired, parts) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.retiredKeys(), try reader.partKeys())
        }
        let used = Set(living.map(\.keyID)).union(retired.map(\.id))
        let tombstones = keyring.tombstones().sorted { ($0.erasedMs, $0.id) < ($1.erasedMs, $1.id) }
        var status = KeyStatus()
        status.generation = keyring.generation
        status.slots = keyring.slots().map(KeySlot.init)
        status.entities = living.count
        status.entityKeys = keyring.entityKeyIDs().count
        status.unusedKeys = keyring.entityKeyIDs().count { !used.contains($0) }
        status.entitiesWithoutBackup = missing(after: backups.newestGeneration)
        if let path = backups.configuredPath {
            status.backup = KeyBackupInfo(
                path: path, timeMs: backups.configuredTimeMs, generation: backups.configuredGeneration,
                entitiesMissing: missing(after: backups.configuredGeneration))
        }
        status.copies = backups.copies.map { copy in
            KeyBackupInfo(
                path: copy.path, timeMs: copy.timeMs, generation: copy.generation,
                entitiesMissing: missing(after: copy.generation),
                rootKeysReplaced: backups.isBehindReplacedRoots(copy))
        }
        status.oldKeys = try oldKeys(retired, parts)
        status.tombstones = tombstones.map { ErasedKey(id: $0.id.hexText, erasedMs: $0.erasedMs) }
        return status
    }
}

extension StoreEngine {
    /// By entity: the keys it had before that are still in the keyring, and what is under them.
    private func oldKeys(_ retired: [RetiredKey], _ parts: [PartUnderKey]) throws(Fault) -> [OldKeyUse] {
        let ringed = retired.filter { context.keyring.entityKeyGeneration($0.id) != nil }
        guard !ringed.isEmpty else { return [] }
        let infos = Dictionary(try stored().segments.all.map { ($0.info.number, $0.info) }) { first, _ in first }
        let partsByKey = Dictionary(grouping: parts) { $0.keyID }
        return Dictionary(grouping: ringed) { $0.entity }.compactMap { entity, keys in
            guard let name = context.names.entityName(entity) else { return nil }
            let segments = Set(keys.flatMap { partsByKey[$0.id] ?? [] }.map(\.segment)).compactMap { infos[$0] }
            return OldKeyUse(
                entity: name, keys: keys.map(\.id.hexText), segments: segments.count,
                bytes: segments.reduce(0) { $0 + $1.fileBytes })
        }.sorted { $0.entity < $1.entity }
    }
}

extension KeySlot {
    init(_ info: KeySlotInfo) {
        let kind: Kind =
            switch info.kind {
            case .keyFile: .keyFile
            case .passphrase: .passphrase
            case .environment: .environment
            case .command: .command
            }
        self.init(id: info.id.hexText, kind: kind, createdMs: info.createdMs)
    }
}
