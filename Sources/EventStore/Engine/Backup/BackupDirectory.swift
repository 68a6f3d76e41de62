// The directory a backup is kept in: what belongs there, copying files into it, and clearing away the rest.
//
//     backup.json            the manifest, replaced last: what it names is the backup
//     catalog-<hash>.db      the copied catalog
//     segments/<day>/*.seg   as in the store
//     expired/<time>/        what earlier runs dropped, if it is kept for a while
//     lock                   one backup at a time

import EventStoreCore
import EventStoreSegments
import Foundation

struct BackupDirectory: Sendable {
    let root: String
    let files: any FileSystem

    var manifest: String { Path.join(root, BackupManifest.name) }
    var segments: String { Path.join(root, "segments") }
    var expired: String { Path.join(root, "expired") }
    var temporaryCatalog: String { Path.join(root, "catalog.tmp") }
    private var lockPath: String { Path.join(root, "lock") }

    func segment(_ path: String) -> String { Path.join(segments, path) }
    static func catalogName(_ sha256: String) -> String { "catalog-\(sha256.prefix(20)).db" }
    static func isCatalog(_ name: String) -> Bool { name.hasPrefix("catalog-") && name.hasSuffix(".db") }

    // MARK: Opening

    /// The manifest that is there; `nil` before the first backup was finished. Throws `exists` for a directory that
    /// holds anything but a backup of this store.
    func read() throws(Fault) -> BackupManifest? {
        guard try files.status(manifest) != nil else { return nil }
        return try BackupManifest(
            decoding: try files.readAll(manifest, max: BackupManifest.bytesMax), file: manifest)
    }

    func prepare(store: String) throws(Fault) -> BackupManifest? {
        guard let status = try files.status(root) else {
            try files.makeDirectory(root)
            try files.syncDirectory(Path.parent(root))
            return nil
        }
        guard status.isDirectory else {
            throw Fault(.exists, "there is a file here; a backup needs a directory", at: .init(file: root))
        }
        if let found = try read() {
            guard found.store == store else {
                throw Fault(
                    .exists, "this is a backup of another store; choose another directory", at: .init(file: root))
            }
            return found
        }
        let strangers = try files.list(root).filter { !isOurs($0) }
        guard strangers.isEmpty else {
            throw Fault(
                .exists, "the directory holds other things than a backup; choose an empty one", at: .init(file: root))
        }
        return nil
    }

    /// What a first backup that was cut short may have left.
    private func isOurs(_ name: String) -> Bool {
        ["lock", "segments", "expired"].contains(name) || name.contains(".tmp") || BackupDirectory.isCatalog(name)
    }

    func lock() throws(Fault) -> any FileLock {
        guard let lock = try files.tryLock(lockPath) else {
            throw Fault(.locked, "another backup into this directory is under way", at: .init(file: root))
        }
        return lock
    }

    // MARK: Copying

    /// Copies a file's bytes; durable when it returns, its name is not. Throws `notFound` when the source is gone.
    func copy(
        _ source: String, to target: String, prepare: (String) throws(Fault) -> Void = { _ in },
        progress: (Int) -> Void
    ) throws(Fault) -> Int {
        let input = try files.openForReading(source)
        defer { input.close() }
        let temporary = target + ".tmp"
        if try files.status(temporary) != nil { try files.unlink(temporary) }
        let output = try files.create(temporary)
        defer { output.close() }
        let size = try FileBytes.copy(input, to: output, progress: progress)
        try prepare(temporary)
        try output.sync()
        try files.rename(temporary, to: target)
        return size
    }

    func makeDirectory(_ path: String) throws(Fault) {
        if try files.status(path) == nil { try files.makeDirectory(path) }
    }

    // MARK: Clearing away

    /// Every file below `segments`, as paths below it.
    func segmentFiles() throws(Fault) -> [String] {
        guard try files.status(segments) != nil else { return [] }
        var found: [String] = []
        for day in try files.list(segments).sorted() {
            let directory = Path.join(segments, day)
            guard let status = try files.status(directory), status.isDirectory else { continue }
            for name in try files.list(directory).sorted() { found.append(day + "/" + name) }
        }
        return found
    }

    func removeEmptyDays() throws(Fault) {
        for day in try files.list(segments) {
            let directory = Path.join(segments, day)
            guard let status = try files.status(directory), status.isDirectory else { continue }
            if try files.list(directory).isEmpty { try files.removeDirectory(directory) }
        }
    }

    /// Removes a directory of this backup with all that is in it.
    func removeTree(_ path: String) throws(Fault) {
        guard let status = try files.status(path) else { return }
        guard status.isDirectory else { return try files.unlink(path) }
        for name in try files.list(path) { try removeTree(Path.join(path, name)) }
        try files.removeDirectory(path)
    }
}
