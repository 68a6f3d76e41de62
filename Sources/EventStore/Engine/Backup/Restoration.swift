// A store from a backup and a copy of its keyring.
//
// Everything is put together and checked in a directory beside the store's place, which is renamed when all is well:
// there is never half a store. The keyring decides what can be read: entities it has a tombstone for are erased here,
// too, and erasures the backup knows of are carried out in an older keyring.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

struct Restoration {
    let source: BackupDirectory
    let path: String
    let key: KeySource
    let secret: RootSecret
    let environment: Environment
    let options: RestoreOptions
    let open: OpenOptions
    let progress: (@Sendable (Double) -> Void)?

    private var files: any FileSystem { environment.files }
    private var work: String { path + ".restoring" }
    private var made: StoreFiles { StoreFiles(root: work) }

    // MARK: The run

    func run(keyring: String) throws(Fault) -> RestoreReport {
        let start = ContinuousClock.now
        guard let manifest = try source.read() else {
            throw Fault(.notFound, "no backup here: there is no \(BackupManifest.name)", at: .init(file: source.root))
        }
        try checkTarget()
        try checkKeyring(keyring, manifest)
        var report = RestoreReport()
        report.warnings = try missing(manifest)
        if !report.warnings.isEmpty, !options.force {
            throw Fault(
                .damaged,
                "\(report.warnings.count) files of the backup are missing or damaged (\(report.warnings[0])); "
                    + "force restores the rest", at: .init(file: source.root))
        }
        try clearWork()
        do throws(Fault) {
            try copy(manifest, keyring)
            try reconcile(manifest, &report)
            try finish(manifest, &report)
            try moveIntoPlace(&report)
        } catch {
            try? source.removeTree(work)
            throw error
        }
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    // MARK: Before anything is written

    private func checkTarget() throws(Fault) {
        guard let status = try files.status(path) else { return }
        if status.isDirectory, try files.list(path).isEmpty { return }
        guard options.force else {
            throw Fault(
                .exists, "something is there already; choose another path, or force to have it moved aside",
                at: .init(file: path))
        }
        guard status.isDirectory, try files.status(StoreFiles(root: path).catalog) != nil else {
            throw Fault(.exists, "what is there is no store and is not moved aside", at: .init(file: path))
        }
        guard let lock = try files.tryLock(StoreFiles(root: path).lock) else {
            throw Fault(.locked, "a process writes to the store that is there; end it first", at: .init(file: path))
        }
        lock.release()
    }

    private func checkKeyring(_ keyring: String, _ manifest: BackupManifest) throws(Fault) {
        guard try files.status(keyring) != nil else {
            throw Fault(.notFound, "there is no keyring here; give the copy that was kept", at: .init(file: keyring))
        }
        let ring = try Keyring.open(path: keyring, environment: environment, secret: secret)
        guard ring.storeID.hexText == manifest.store else {
            throw Fault(.wrongKey, "the keyring belongs to another store than the backup", at: .init(file: keyring))
        }
    }

    /// Files that are not as the manifest says.
    private func missing(_ manifest: BackupManifest) throws(Fault) -> [String] {
        let catalog = Path.join(source.root, manifest.catalog.name)
        guard try files.status(catalog) != nil, try FileBytes.sha256(catalog, files).sha256 == manifest.catalog.sha256
        else {
            throw Fault(
                .damaged, "the backup's catalog is missing or does not match its checksum", at: .init(file: catalog))
        }
        var found: [String] = []
        for file in manifest.files {
            guard let status = try files.status(source.segment(file.path)) else {
                found.append("\(file.path): missing")
                continue
            }
            if status.size != file.bytes { found.append("\(file.path): \(status.size) bytes, not \(file.bytes)") }
        }
        return found
    }

    /// Removes what a restore that was cut short left, and only such a thing.
    private func clearWork() throws(Fault) {
        guard try files.status(work) != nil else { return }
        let known = ["segments", "keyring", "lock", "control.sock", "reserve"]
        let strangers = try files.list(work).filter { name in
            !known.contains(name) && !name.hasPrefix("catalog.db") && !name.hasSuffix(".tmp")
        }
        guard strangers.isEmpty else {
            throw Fault(.exists, "this is in the way and was not left by a restore; move it", at: .init(file: work))
        }
        guard let lock = try files.tryLock(made.lock) else {
            throw Fault(.locked, "another restore to this path is under way", at: .init(file: work))
        }
        defer { lock.release() }
        try source.removeTree(work)
    }

    // MARK: Putting it together

    private func copy(_ manifest: BackupManifest, _ keyring: String) throws(Fault) {
        try files.makeDirectory(work)
        guard let lock = try files.tryLock(made.lock) else {
            throw Fault(.locked, "another restore to this path is under way", at: .init(file: work))
        }
        defer { lock.release() }
        try files.makeDirectory(made.segments)
        var done = 0
        let all = Double(max(1, manifest.bytes))
        for file in manifest.files where try files.status(source.segment(file.path)) != nil {
            let target = Path.join(made.segments, file.path)
            try source.makeDirectory(Path.parent(target))
            _ = try source.copy(source.segment(file.path), to: target) { bytes in
                done += bytes
                progress?(min(1, Double(done) / all))
            }
        }
        for day in Set(manifest.files.map { Path.parent($0.path) }).sorted()
        where try files.status(Path.join(made.segments, day)) != nil {
            try files.syncDirectory(Path.join(made.segments, day))
        }
        try files.syncDirectory(made.segments)
        try files.replace(made.keyring, with: try files.readAll(keyring))
        _ = try source.copy(Path.join(source.root, manifest.catalog.name), to: made.catalog) { _ in }
        try files.syncDirectory(work)
    }

    // MARK: Catalog and keyring

    /// Makes the two say the same: what either holds to be erased is erased in both.
    private func reconcile(_ manifest: BackupManifest, _ report: inout RestoreReport) throws(Fault) {
        let ring = try Keyring.open(path: made.keyring, environment: environment, secret: secret)
        if manifest.catalogFormat < Catalog.formatVersion {
            _ = try AuditChain(keyring: ring, environment: environment).upgrade(made.catalog)
        }
        let catalog = try Catalog.open(path: made.catalog, mode: .writer, files: files)
        defer { catalog.close() }
        let (records, receipts) = try catalog.read { (reader) throws(Fault) in
            (try reader.entities(), try reader.receipts())
        }
        let (retired, parts) = try catalog.read { (reader) throws(Fault) in
            (try reader.retiredKeys(), try reader.partKeys())
        }
        let held = Set(ring.entityKeyIDs())
        var tombstones: [KeyTombstone] = []
        for record in records where record.life == .erased {
            let keys = [record.keyID] + retired.filter { $0.entity == record.number }.map(\.id)
            guard !held.isDisjoint(with: keys) else { continue }
            let receipt = receipts.last { $0.entity == record.number }
            tombstones += keys.map { tombstone($0, sha256(receipt?.body ?? [])) }
        }
        report.keysDestroyed = tombstones.count
        let readable = records.filter { !$0.isErased }
        let erased = readable.filter { ring.tombstone($0.keyID) != nil }
        // Either key: that of what came since a rotation, or that of what was there before it.
        let lostParts = Set(parts.filter { !held.contains($0.keyID) }.map(\.entity))
        let lost = readable.filter { record in
            ring.tombstone(record.keyID) == nil && (!held.contains(record.keyID) || lostParts.contains(record.number))
        }
        report.entitiesErased = erased.count
        report.entitiesUnreadable = lost.map { Int($0.number) }
        guard lost.isEmpty || options.force else {
            let numbers = lost.prefix(10).map { "\($0.number)" }.joined(separator: ", ") + (lost.count > 10 ? " …" : "")
            throw Fault(
                .notFound,
                "the keyring lacks keys of \(lost.count) entities (number \(numbers)): it is older than the backup, or "
                    + "their keys were rotated since the backup; give the copy of the keyring that belongs to it, or "
                    + "force to restore the others without them")
        }
        tombstones += lost.map { tombstone($0.keyID, sha256(Array("restored without its key".utf8))) }
        try ring.mergeTombstones(tombstones)
        var change = try catalog.read { (reader) throws(Fault) -> CatalogChange in
            var dropping = try CatalogDropping(reader)
            if !erased.isEmpty || !lost.isEmpty { try dropping.drop(erased + lost, environment) }
            return dropping.change
        }
        change.setDocuments = try keyBackupsHere(catalog, ring)
        change.keyringGeneration = ring.generation
        _ = try catalog.commit(change)
    }

    /// The path of the configured key backup is the original's: this store must never write there.
    private func keyBackupsHere(_ catalog: Catalog, _ ring: Keyring) throws(Fault) -> [String: [UInt8]] {
        let name = KeyBackups.documentName
        let aad = ReadContext.aad(document: name)
        let box = try catalog.read { (reader) throws(Fault) in try reader.document(name) }
        guard let box else { return [:] }
        let text = try SealedValue.open(box, key: ring.subkey(.names), aad: aad)
        guard var known = try? JSONDecoder().decode(KeyBackups.self, from: Data(text)), known.configuredPath != nil
        else { return [:] }
        known.configuredPath = nil
        known.configuredGeneration = 0
        guard let encoded = try? JSONEncoder().encode(known) else { return [:] }
        return [name: try SealedValue.seal([UInt8](encoded), key: ring.subkey(.names), aad: aad, environment)]
    }

    private func tombstone(_ id: UInt64, _ reference: [UInt8]) -> KeyTombstone {
        KeyTombstone(id: id, erasedMs: environment.nowMs(), reference: reference)
    }

    // MARK: Checking, and into place

    private func finish(_ manifest: BackupManifest, _ report: inout RestoreReport) throws(Fault) {
        var writing = open
        writing.mode = .readWrite
        // What has expired since shows nowhere; whoever opens the store next sweeps it.
        writing.sweepsAutomatically = false
        let engine = try StoreEngine.open(
            at: work, secret: secret, source: key, open: writing, environment: environment)
        let result: Result<Void, Fault>
        do throws(Fault) {
            result = .success(try check(engine, manifest, &report))
        } catch {
            result = .failure(error)
        }
        try engine.close()
        try result.get()
    }

    private func check(
        _ engine: StoreEngine, _ manifest: BackupManifest, _ report: inout RestoreReport
    ) throws(Fault) {
        let found = try engine.verify(quick: true, progress: nil)
        report.warnings += found.holes.map { "\(Path.name($0.file)): \($0.message)" }
        guard found.holes.isEmpty || options.force else {
            throw Fault(
                .damaged,
                "\(found.holes.count) holes in what was restored (\(found.holes[0].message)); force keeps the rest",
                at: .init(file: source.root))
        }
        try engine.recordRestore(manifest, report)
        let stats = try engine.stats()
        report.events = stats.events
        report.entities = stats.entities
        report.bytes = stats.bytes
        report.nextSequence = manifest.nextSequence
        report.backupTime = manifest.timeMs
    }

    private func moveIntoPlace(_ report: inout RestoreReport) throws(Fault) {
        if let status = try files.status(path) {
            if status.isDirectory, try files.list(path).isEmpty {
                try files.removeDirectory(path)
            } else {
                let aside = path + ".replaced-" + BackupRun.stamp(environment.nowMs())
                try files.rename(path, to: aside)
                report.movedAside = aside
            }
        }
        try files.rename(work, to: path)
        try files.syncDirectory(Path.parent(path))
    }
}

extension StoreEngine {
    fileprivate func recordRestore(_ manifest: BackupManifest, _ report: RestoreReport) throws(Fault) {
        let lane = try writer()
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            try lane.record(
                [
                    AuditEntry(
                        operation: "restore", entity: nil, blindName: nil, reason: nil,
                        details: [
                            "backup": manifest.time, "catalog": manifest.catalog.sha256,
                            "erased": "\(report.entitiesErased)",
                            "unreadable": report.entitiesUnreadable.prefix(1000).map { "\($0)" }
                                .joined(separator: " "),
                        ], actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
        }
    }
}
