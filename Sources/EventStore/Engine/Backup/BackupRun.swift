// One backup: a copy of the catalog, then every segment file it names, then the manifest that makes both the backup.
//
// Until the manifest is replaced the previous backup is untouched; what is no longer named goes after that. Whatever
// is cut short is finished, or cleared away, by the next run.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation

/// Belongs to one thread.
struct BackupRun {
    let context: ReadContext
    let directory: BackupDirectory
    let previous: BackupManifest?
    let progress: (@Sendable (Double) -> Void)?

    /// What the last copy of the catalog says.
    private(set) var picture = Picture()
    private(set) var report = BackupReport()
    /// Copied since the run began, by path, each with the entities whose parts were destroyed in it.
    private var copied: [String: [UInt32]] = [:]

    /// A moment of the store.
    struct Picture {
        var segments: [CatalogSegment] = []
        /// By segment.
        var gone: [Int64: [GonePart]] = [:]
        var nextSequence: UInt64 = 1
        var journalRows = 0
        var entities = 0

        var bytes: Int { segments.reduce(0) { $0 + $1.fileBytes } }
        var events: Int { segments.reduce(journalRows) { $0 + $1.rows } }
    }

    init(
        _ context: ReadContext, _ directory: BackupDirectory, previous: BackupManifest?,
        progress: (@Sendable (Double) -> Void)?
    ) {
        self.context = context
        self.directory = directory
        self.previous = previous
        self.progress = progress
    }

    // MARK: Copying

    /// Copies the catalog and what it names and is not there yet. Returns false when the store's segments changed so
    /// meanwhile that the two may not belong together: then a newer copy of the catalog is needed. What was copied
    /// stays.
    mutating func copy() throws(Fault) -> Bool {
        try context.catalog.copy(to: directory.temporaryCatalog)
        let catalog = try Catalog.open(path: directory.temporaryCatalog, mode: .reader, files: directory.files)
        picture = try catalog.read { (reader) throws(Fault) in try BackupRun.picture(reader) }
        catalog.close()
        report.warnings = []
        var now: [CatalogSegment] = []
        var isWhole = true
        var done = 0
        let all = max(1, picture.bytes)
        try directory.makeDirectory(directory.segments)
        for segment in picture.segments {
            let (path, source) = try place(segment)
            let target = directory.segment(path)
            let known = try directory.files.status(target)
            if known?.size != segment.fileBytes {
                let start = done
                do throws(Fault) {
                    let bytes = try copy(segment, source, target) { bytes in
                        done += bytes
                        progress?(Double(done) / Double(all))
                    }
                    now.append(segment)
                    note(segment, path, bytes)
                } catch {
                    guard error.code == .notFound else { throw error }
                    isWhole = false
                    report.warnings.append("\(path): the store does not have this file")
                }
                done = start
            }
            done += segment.fileBytes
            progress?(min(1, Double(done) / Double(all)))
        }
        guard isWhole else { return false }
        return try agrees(now)
    }

    private func place(_ segment: CatalogSegment) throws(Fault) -> (path: String, source: String) {
        let source = try SegmentHandle(segment, files: context.files).path
        return (Path.join(Path.name(Path.parent(source)), Path.name(source)), source)
    }

    private func copy(
        _ segment: CatalogSegment, _ source: String, _ target: String, _ progress: (Int) -> Void
    ) throws(Fault) -> Int {
        try directory.makeDirectory(Path.parent(target))
        let gone = parts(of: segment)
        let destroyer = PartDestroyer(context: context)
        return try directory.copy(
            source, to: target,
            prepare: { (temporary) throws(Fault) in
                if !gone.isEmpty { _ = try destroyer.destroy(gone, in: temporary) }
            }, progress: progress)
    }

    private mutating func note(_ segment: CatalogSegment, _ path: String, _ bytes: Int) {
        if bytes != segment.fileBytes {
            report.warnings.append("\(path): has \(bytes) bytes, not \(segment.fileBytes)")
        }
        copied[path] = parts(of: segment).map(\.entity)
        report.filesCopied += 1
        report.bytesCopied += bytes
    }

    private static func picture(_ reader: CatalogReader) throws(Fault) -> Picture {
        Picture(
            segments: try reader.segments(overlapping: nil).filter { $0.state == CatalogSegment.live },
            gone: Dictionary(grouping: try reader.gone(), by: \.segment),
            nextSequence: max(1, try reader.nextSequence()),
            journalRows: try reader.journalRows(),
            entities: try reader.entities().count { !$0.isErased })
    }

    /// Whether what was copied is what the copied catalog says: bytes are only destroyed after the catalog says so, so
    /// a segment that is still there with nothing more gone of it was copied with all that was there.
    private func agrees(_ segments: [CatalogSegment]) throws(Fault) -> Bool {
        guard !segments.isEmpty else { return true }
        let now = try context.catalog.read { (reader) throws(Fault) in try BackupRun.picture(reader) }
        let live = Set(now.segments.map(\.number))
        return segments.allSatisfy { segment in
            live.contains(segment.number)
                && picture.gone[segment.number, default: []].count == now.gone[segment.number, default: []].count
        }
    }

    // MARK: Making it the backup

    /// Replaces the manifest: from here on the new backup is the one that counts.
    mutating func publish(timeMs: Int64) throws(Fault) -> BackupManifest {
        let days = Set(copied.keys.map { Path.parent($0) })
        for day in days.sorted() { try directory.files.syncDirectory(directory.segment(day)) }
        try directory.files.syncDirectory(directory.segments)
        let applied = Dictionary(
            (previous?.files ?? []).map { ($0.path, $0.gone) }, uniquingKeysWith: { first, _ in first })
        var files: [BackupManifest.SegmentFile] = []
        for segment in picture.segments {
            let path = try place(segment).path
            guard let status = try directory.files.status(directory.segment(path)) else { continue }
            let gone = copied[path] ?? applied[path] ?? []
            files.append(BackupManifest.SegmentFile(path: path, bytes: status.size, gone: gone.sorted()))
        }
        files.sort { $0.path < $1.path }
        let (bytes, hash) = try FileBytes.sha256(directory.temporaryCatalog, directory.files)
        let name = BackupDirectory.catalogName(hash)
        try directory.files.rename(directory.temporaryCatalog, to: Path.join(directory.root, name))
        try directory.files.syncDirectory(directory.root)
        let manifest = BackupManifest(
            store: context.settings.storeID.hexText, catalogFormat: Catalog.formatVersion, timeMs: timeMs,
            nextSequence: picture.nextSequence, events: picture.events, entities: picture.entities,
            catalog: .init(name: name, bytes: bytes, sha256: hash), files: files)
        try directory.files.replace(directory.manifest, with: try manifest.encoded())
        return manifest
    }

    private func parts(of segment: CatalogSegment) -> [GonePart] { picture.gone[segment.number] ?? [] }

    /// Destroys, in copies made earlier, what has been recorded as gone since; the manifest says when it is done.
    mutating func destroyGone(_ manifest: BackupManifest) throws(Fault) -> BackupManifest {
        var manifest = manifest
        let index = Dictionary(
            manifest.files.enumerated().map { ($1.path, $0) }, uniquingKeysWith: { first, _ in first })
        var hasChanged = false
        for segment in picture.segments where !parts(of: segment).isEmpty {
            let path = try place(segment).path
            guard let at = index[path] else { continue }
            let known = Set(manifest.files[at].gone)
            let left = parts(of: segment).filter { !known.contains($0.entity) }
            guard !left.isEmpty else { continue }
            _ = try PartDestroyer(context: context).destroy(left, in: directory.segment(path))
            manifest.files[at].gone = parts(of: segment).map(\.entity).sorted()
            report.partsDestroyed += left.count
            hasChanged = true
        }
        if hasChanged { try directory.files.replace(directory.manifest, with: try manifest.encoded()) }
        return manifest
    }

    // MARK: What is no longer named

    /// - Parameter keepMs: how long dropped files are kept in `expired`; 0 removes them now.
    mutating func clear(_ manifest: BackupManifest, keepMs: Int64) throws(Fault) {
        let files = directory.files
        let known = Set(manifest.files.map(\.path))
        var dropped: [String] = []
        for path in try directory.segmentFiles() where !known.contains(path) {
            if path.hasSuffix(".tmp") {
                try files.unlink(directory.segment(path))
            } else {
                dropped.append(path)
            }
        }
        let catalogs = try files.list(directory.root).filter {
            BackupDirectory.isCatalog($0) && $0 != manifest.catalog.name
        }
        let keeps = keepMs > 0 && !dropped.isEmpty
        if keeps { try keep(dropped, catalogs, timeMs: manifest.timeMs) }
        if !keeps {
            for path in dropped { try files.unlink(directory.segment(path)) }
            for name in catalogs { try files.unlink(Path.join(directory.root, name)) }
        }
        report.filesRemoved += dropped.count
        for name in try files.list(directory.root) where name.contains(".tmp") && name != manifest.catalog.name {
            try files.unlink(Path.join(directory.root, name))
        }
        try directory.removeEmptyDays()
        try removeExpired(before: manifest.timeMs - keepMs)
        try files.syncDirectory(directory.root)
    }

    /// Moves what this run dropped, with the catalog and the manifest that named it, into a directory of its own.
    private func keep(_ dropped: [String], _ catalogs: [String], timeMs: Int64) throws(Fault) {
        let files = directory.files
        let home = Path.join(directory.expired, BackupRun.stamp(timeMs))
        try directory.makeDirectory(directory.expired)
        try directory.makeDirectory(home)
        if let previous {
            try files.replace(Path.join(home, BackupManifest.name), with: try previous.encoded())
        }
        for name in catalogs { try files.rename(Path.join(directory.root, name), to: Path.join(home, name)) }
        let segments = Path.join(home, "segments")
        try directory.makeDirectory(segments)
        for path in dropped {
            try directory.makeDirectory(Path.join(segments, Path.parent(path)))
            try files.rename(directory.segment(path), to: Path.join(segments, path))
        }
        for day in Set(dropped.map { Path.parent($0) }) { try files.syncDirectory(Path.join(segments, day)) }
        try files.syncDirectory(home)
    }

    private func removeExpired(before limitMs: Int64) throws(Fault) {
        guard try directory.files.status(directory.expired) != nil else { return }
        let limit = BackupRun.stamp(limitMs)
        let names = try directory.files.list(directory.expired)
        for name in names where name <= limit { try directory.removeTree(Path.join(directory.expired, name)) }
        if try directory.files.list(directory.expired).isEmpty {
            try directory.files.removeDirectory(directory.expired)
        }
    }

    /// A time as a name that sorts.
    static func stamp(_ ms: Int64) -> String {
        TimestampText.utc(ms).filter { $0.isNumber || $0 == "T" || $0 == "Z" || $0 == "." }
    }
}
