// Where an export goes: written beside the target under a temporary name, renamed when all of it is there.
//
// Invariant: under the target's name there is what was there before, or the whole export. What a process left that was
// killed is known by the number in its name and goes with the next export to the same target.

import EventStoreCore
import EventStoreCrypto
import Foundation

/// A file, or a stream, that is written from beginning to end, with its hash.
///
/// `@unchecked Sendable`: used by whoever's turn it is, see `ExportTurns`.
final class ExportFile: @unchecked Sendable {
    /// Relative to the place of the manifest.
    let name: String
    private(set) var byteCount = 0
    var events = 0
    private let handle: (any EventStoreCore.FileHandle)?
    private let stream: (@Sendable (UnsafeRawBufferPointer) throws -> Void)?
    private let hash = SHA256Stream()

    init(_ handle: any EventStoreCore.FileHandle, name: String) {
        self.name = name
        self.handle = handle
        stream = nil
    }

    init(_ stream: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) {
        name = "-"
        handle = nil
        self.stream = stream
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
        guard bytes.count > 0 else { return }
        try handle?.write(bytes, at: byteCount)
        do {
            try stream?(bytes)
        } catch let error as EventStoreError {
            throw Fault(.init(rawValue: error.code.rawValue), error.message)
        } catch {
            throw Fault(.io, "the export's output takes no more", cause: error)
        }
        hash.add(bytes)
        byteCount += bytes.count
    }

    /// Makes it durable and says what it is.
    func finish() throws(Fault) -> ExportManifest.File {
        try handle?.sync()
        handle?.close()
        return ExportManifest.File(path: name, bytes: byteCount, sha256: hash.finish().hexText, events: events)
    }

    func abandon() { handle?.close() }
}

struct ExportTarget {
    private let files: any FileSystem
    let path: String
    let isDirectory: Bool
    private let replaces: Bool
    /// What is written to until the end.
    let temporary: String

    static let manifestInside = "_manifest.json"

    /// - Throws: `exists`, `not-found` for a directory that is not there.
    init(_ files: any FileSystem, _ path: String, isDirectory: Bool, replaces: Bool) throws(Fault) {
        self.files = files
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        self.path = path
        self.isDirectory = isDirectory
        self.replaces = replaces
        temporary = ExportTarget.temporaryPrefix(path) + "\(ProcessInfo.processInfo.processIdentifier)"
        guard !Path.name(path).isEmpty, ![".", ".."].contains(Path.name(path)) else {
            throw Fault(.invalid, "an export needs the name of a file or of a new directory", at: .init(file: path))
        }
        guard let parent = try files.status(Path.parent(path)), parent.isDirectory else {
            throw Fault(.notFound, "there is no such directory", at: .init(file: Path.parent(path)))
        }
        try check()
        try removeLeftOvers()
        if try files.status(temporary) != nil {
            throw Fault(.exists, "another export of this process writes to the same path", at: .init(file: path))
        }
        if isDirectory { try files.makeDirectory(temporary) }
    }

    private static func temporaryPrefix(_ path: String) -> String {
        Path.join(Path.parent(path), "." + Path.name(path) + ".exporting-")
    }

    private func check() throws(Fault) {
        guard let status = try files.status(path) else { return }
        guard replaces else {
            throw Fault(
                .exists, "something is there already; choose another path or use --force", at: .init(file: path))
        }
        guard status.isDirectory else { return }
        guard isDirectory, try files.status(Path.join(path, ExportTarget.manifestInside)) != nil else {
            throw Fault(
                .exists, "a directory that is no export is there; it is not replaced, remove it yourself",
                at: .init(file: path))
        }
    }

    /// Removes what exports left behind whose processes are no more.
    private func removeLeftOvers() throws(Fault) {
        let prefix = Path.name(ExportTarget.temporaryPrefix(path))
        for name in try files.list(Path.parent(path)) where name.hasPrefix(prefix) {
            let number = name.dropFirst(prefix.count).prefix { $0.isNumber }
            guard let process = pid_t(number), kill(process, 0) != 0, errno == ESRCH else { continue }
            try ExportTarget.remove(Path.join(Path.parent(path), name), files)
        }
    }

    /// The path of a part while it is written: the file itself, or one in the directory.
    func create(_ name: String?) throws(Fault) -> any EventStoreCore.FileHandle {
        guard let name else { return try files.create(temporary) }
        let full = Path.join(temporary, name)
        if try files.status(Path.parent(full)) == nil { try files.makeDirectory(Path.parent(full)) }
        return try files.create(full)
    }

    /// Puts the export under its name and writes the manifest; returns where that is.
    func publish(_ manifest: String) throws(Fault) -> String {
        let place = isDirectory ? Path.join(path, ExportTarget.manifestInside) : path + ".manifest.json"
        if isDirectory {
            try files.replace(Path.join(temporary, ExportTarget.manifestInside), with: Array(manifest.utf8))
            for name in try files.list(temporary) where name.hasPrefix("day=") {
                try files.syncDirectory(Path.join(temporary, name))
            }
            try files.syncDirectory(temporary)
        } else if try files.status(place) != nil {
            // Never a manifest of something else beside the file.
            try files.unlink(place)
        }
        try check()
        try moveIntoPlace()
        if !isDirectory {
            do throws(Fault) {
                try files.replace(place, with: Array(manifest.utf8))
            } catch {
                try? files.unlink(path)
                throw error
            }
        }
        return place
    }

    private func moveIntoPlace() throws(Fault) {
        guard isDirectory else {
            try files.rename(temporary, to: path)
            return try files.syncDirectory(Path.parent(path))
        }
        let old = try files.status(path) == nil ? nil : temporary + "-old"
        if let old { try files.rename(path, to: old) }
        do throws(Fault) {
            try files.rename(temporary, to: path)
            do throws(Fault) {
                try files.syncDirectory(Path.parent(path))
            } catch {
                // Whoever made a key for it takes that away again: it must not stay behind.
                try? files.rename(path, to: temporary)
                throw error
            }
        } catch {
            if let old { try? files.rename(old, to: path) }
            throw error
        }
        // What cannot be removed goes with the next export.
        if let old { try? ExportTarget.remove(old, files) }
    }

    /// Removes what was begun.
    func discard() {
        for path in [temporary, temporary + "-journal"] { try? ExportTarget.remove(path, files) }
    }

    private static func remove(_ path: String, _ files: any FileSystem) throws(Fault) {
        guard let status = try files.status(path) else { return }
        guard status.isDirectory else { return try files.unlink(path) }
        for name in try files.list(path) { try remove(Path.join(path, name), files) }
        try files.removeDirectory(path)
    }
}
