// Backing a store up while it is written to, and saying of the copies whether they are good.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation
import Synchronization

extension StoreEngine {
    /// After so many copies of the catalog that were overtaken, nothing may change segments during one more.
    private static let attemptsMax = 4

    func backup(
        to root: String, _ options: BackupOptions, progress: (@Sendable (Double) -> Void)?
    ) throws(Fault) -> BackupReport {
        let lane = try writer()
        let start = ContinuousClock.now
        let directory = BackupDirectory(root: root, files: context.environment.files)
        try requireElsewhere(root)
        _ = try directory.prepare(store: context.settings.storeID.hexText)
        let lock = try directory.lock()
        defer { lock.release() }
        let previous = try directory.read()
        // The journal is small then.
        try flush()
        var run = BackupRun(context, directory, previous: previous, progress: progress)
        try copyAll(&run)
        var manifest = try run.publish(timeMs: context.environment.nowMs())
        manifest = try run.destroyGone(manifest)
        try run.clear(manifest, keepMs: options.keepExpiredMs)
        var report = run.report
        if options.verify { report.problems = try verify(manifest, run.picture, directory) }
        try recordBackup(root, manifest, report, lane)
        report.directory = root
        report.files = manifest.files.count
        report.bytes = manifest.bytes
        report.events = manifest.events
        report.entities = manifest.entities
        report.nextSequence = manifest.nextSequence
        report.isVerified = options.verify
        report.entitiesWithoutKeyBackup = try keyStatus().entitiesWithoutBackup
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    private func copyAll(_ run: inout BackupRun) throws(Fault) {
        for _ in 1..<StoreEngine.attemptsMax {
            if try run.copy() { return }
        }
        compaction.lock()
        maintenance.lock()
        defer {
            maintenance.unlock()
            compaction.unlock()
            lane?.announceFlush()
        }
        // What is missing now is missing in the store itself: the rest is copied all the same, and it is said.
        _ = try run.copy()
    }

    /// A backup in the store's own directory would be lost with it.
    private func requireElsewhere(_ root: String) throws(Fault) {
        func real(_ path: String) -> [String] {
            URL(fileURLWithPath: path).resolvingSymlinksInPath().standardizedFileURL.pathComponents
        }
        let store = real(context.files.root)
        let target = real(root)
        guard !target.starts(with: store), !store.starts(with: target) else {
            throw Fault(
                .invalid, "a backup goes outside the store's directory, best onto another machine",
                at: .init(file: root))
        }
    }

    private func recordBackup(
        _ root: String, _ manifest: BackupManifest, _ report: BackupReport, _ lane: WriterLane
    ) throws(Fault) {
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            try lane.record(
                [
                    AuditEntry(
                        operation: "backup", entity: nil, blindName: nil, reason: nil,
                        details: [
                            "directory": root, "catalog": manifest.catalog.sha256, "files": "\(manifest.files.count)",
                            "copied": "\(report.filesCopied)", "nextSequence": "\(manifest.nextSequence)",
                        ], actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
        }
    }

    // MARK: Verifying copies

    /// Reads every byte of a backup, as `verify` does of the store. One sentence for each finding.
    private func verify(
        _ manifest: BackupManifest, _ picture: BackupRun.Picture, _ directory: BackupDirectory
    ) throws(Fault) -> [String] {
        var problems: [String] = []
        let path = Path.join(directory.root, manifest.catalog.name)
        if try FileBytes.sha256(path, directory.files).sha256 != manifest.catalog.sha256 {
            problems.append("\(manifest.catalog.name): does not match its checksum")
        }
        let catalog = try Catalog.open(path: path, mode: .reader, files: directory.files)
        defer { catalog.close() }
        problems += try catalog.verify(full: true)
        let found = Mutex<[String]>([])
        let segments = picture.segments
        let context = context
        try Workers.run(segments.count, threads: context.threads) { (index) throws(Fault) in
            let segment = segments[index]
            let gone = Set((picture.gone[segment.number] ?? []).map(\.entity))
            // As the backup's own catalog says: keys may have been rotated since it was copied.
            let parts = try catalog.read { (reader) throws(Fault) in
                try reader.segmentEntities(segment: segment.number, entities: nil)
            }
            let keys = Dictionary(parts.map { ($0.entity, $0.keyID) }) { first, _ in first }
            let check = BackupCheck(context: context, directory: directory)
            let sentences = check.segment(segment, gone: gone, keys: keys)
            found.withLock { $0 += sentences }
        }
        return problems + found.withLock { $0.sorted() }
    }
}

/// Checks the copy of one segment with the store's keys.
private struct BackupCheck: Sendable {
    let context: ReadContext
    let directory: BackupDirectory

    func segment(_ segment: CatalogSegment, gone: Set<UInt32>, keys: [UInt32: UInt64]) -> [String] {
        var path = ""
        do throws(Fault) {
            let source = try SegmentHandle(segment, files: context.files).path
            path = Path.join(Path.name(Path.parent(source)), Path.name(source))
            let target = directory.segment(path)
            let file = try directory.files.openForReading(target)
            defer { file.close() }
            let reader = try SegmentReader(file: file, path: target, sequenceBase: segment.sequenceBase)
            guard reader.id.bytes == segment.id, reader.fileBytes == segment.fileBytes else {
                throw Fault(.tampered, "this is another file than the catalog names")
            }
            let found = SegmentVerifier.verify(
                reader, sealer: StoreSealer(context.names), gone: gone, keys: keys)
            // Erased since the copy of the catalog was made.
            return found.findings.filter { $0.fault.code != .keyErased }.map { "\(path): \($0.fault.message)" }
        } catch {
            return ["\(path): \(error.message)"]
        }
    }
}
