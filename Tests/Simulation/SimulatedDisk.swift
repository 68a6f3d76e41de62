// A disk in memory that serves both halves of a store, Core's file-system protocol and SQLite, and writes every
// operation that changes something into one log, in the order in which it happened.
//
// Its paths begin with `/simulated/` and the disk's name. Nothing below touches the machine's file system.

import EventStoreCore
import Foundation
import Synchronization

/// Which syncs a disk forgets: the mistakes the simulation must be able to find.
package enum ForgottenSync: String, Sendable, CaseIterable {
    case segment, segmentDirectory, log, keyring, catalog, storeDirectory, export, backup, backupDirectory
}

/// `@unchecked Sendable`: everything mutable is behind `lock`.
package final class SimulatedDisk: FileSystem, @unchecked Sendable {
    package static let prefix = "/simulated/"
    private static let mounted = Mutex<[String: SimulatedDisk]>([:])

    package let name: String
    package var root: String { SimulatedDisk.prefix + name }
    private let lock = NSLock()
    private var state: DiskState
    private var operations: [DiskOperation] = []
    private let isRecording: Bool
    private let forgets: ForgottenSync?
    private var isLocked: Set<String> = []
    /// Locks and shared memory of SQLite, by node. Touched by `SimulatedSQLite` with its own lock held.
    let sharing = Mutex<[Int: SQLiteSharing]>([:])

    private init(_ name: String, _ state: DiskState, records: Bool, forgets: ForgottenSync?) {
        self.name = name
        self.state = state
        self.forgets = forgets
        isRecording = records
    }

    /// Puts a disk in place of the one of that name, if there is one: files that are still open stay with the old one.
    package static func mount(
        _ name: String, _ state: DiskState = DiskState(), records: Bool = true, forgets: ForgottenSync? = nil
    ) -> SimulatedDisk {
        SimulatedSQLite.register()
        let disk = SimulatedDisk(name, state, records: records, forgets: forgets)
        mounted.withLock { $0[name] = disk }
        return disk
    }

    package static func unmount(_ name: String) { mounted.withLock { $0[name] = nil } }

    /// The disk a path lies on, if it is a simulated one.
    static func disk(of path: String) -> SimulatedDisk? {
        guard path.hasPrefix(prefix) else { return nil }
        let name = path.dropFirst(prefix.count).prefix { $0 != "/" }
        return mounted.withLock { $0[String(name)] }
    }

    // MARK: The log

    package var log: [DiskOperation] { lock.withLock { operations } }
    package var operationCount: Int { lock.withLock { operations.count } }
    package var content: DiskState { lock.withLock { state } }

    /// Equal for equal contents; nil when there is no such file.
    package func digest(_ path: String) -> UInt64? {
        guard let node = nodeOfFile(path) else { return nil }
        return content.files[node].map(DiskState.digest)
    }

    package func mark(_ mark: DiskMark) { perform(.mark(mark)) }

    func perform(_ operation: DiskOperation) { lock.withLock { performLocked(operation) } }

    private func performLocked(_ operation: DiskOperation) {
        state.apply(operation)
        if isRecording { operations.append(operation) }
    }

    // MARK: Paths

    /// A path below the root of this disk.
    func inside(_ path: String) throws(Fault) -> Substring {
        guard path == root || path.hasPrefix(root + "/") else {
            throw Fault(.notFound, "not on the simulated disk", at: .init(file: path))
        }
        return path.dropFirst(root.count)
    }

    private func locked<T>(_ body: () throws(Fault) -> T) throws(Fault) -> T {
        lock.lock()
        defer { lock.unlock() }
        return try body()
    }

    private func existing(_ path: String) throws(Fault) -> Int {
        guard let node = state.node(try inside(path)) else {
            throw Fault(.notFound, "no such file", at: .init(file: path))
        }
        return node
    }

    private func parent(_ path: String) throws(Fault) -> Int {
        let node = try existing(Path.parent(path))
        guard state.isDirectory(node) else { throw Fault(.io, "not a directory", at: .init(file: path)) }
        return node
    }

    private func free(_ path: String) throws(Fault) {
        if state.node(try inside(path)) != nil { throw Fault(.exists, "file exists", at: .init(file: path)) }
    }

    // MARK: FileSystem

    package var isSystem: Bool { false }

    package func openForReading(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle {
        try locked { () throws(Fault) in
            let node = try existing(path)
            guard !state.isDirectory(node) else { throw Fault(.io, "is a directory", at: .init(file: path)) }
            return SimulatedFile(self, node, path)
        }
    }

    package func openForUpdate(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle {
        try openForReading(path)
    }

    package func create(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle {
        SimulatedFile(self, try createNode(path), path)
    }

    func createNode(_ path: String) throws(Fault) -> Int {
        try locked { () throws(Fault) in
            try free(path)
            let node = state.nextNode
            performLocked(.create(directory: try parent(path), name: Path.name(path), node: node))
            return node
        }
    }

    package func rename(_ from: String, to: String) throws(Fault) {
        try locked { () throws(Fault) in
            let node = try existing(from)
            performLocked(
                .rename(
                    from: try parent(from), name: Path.name(from), to: try parent(to), newName: Path.name(to),
                    node: node))
        }
    }

    package func unlink(_ path: String) throws(Fault) {
        try locked { () throws(Fault) in
            let node = try existing(path)
            guard !state.isDirectory(node) else { throw Fault(.io, "is a directory", at: .init(file: path)) }
            performLocked(.unlink(directory: try parent(path), name: Path.name(path)))
        }
    }

    package func makeDirectory(_ path: String) throws(Fault) {
        try locked { () throws(Fault) in
            try free(path)
            performLocked(
                .makeDirectory(directory: try parent(path), name: Path.name(path), node: state.nextNode))
        }
    }

    package func removeDirectory(_ path: String) throws(Fault) {
        try locked { () throws(Fault) in
            let node = try existing(path)
            guard state.directories[node]?.isEmpty == true else {
                throw Fault(.io, "directory not empty", at: .init(file: path))
            }
            performLocked(.unlink(directory: try parent(path), name: Path.name(path)))
        }
    }

    package func list(_ path: String) throws(Fault) -> [String] {
        try locked { () throws(Fault) in
            guard let names = state.directories[try existing(path)] else {
                throw Fault(.io, "not a directory", at: .init(file: path))
            }
            return names.keys.sorted()
        }
    }

    package func status(_ path: String) throws(Fault) -> FileStatus? {
        try locked { () throws(Fault) in
            guard let below = try? inside(path), let node = state.node(below) else { return nil }
            let isDirectory = state.isDirectory(node)
            let size = state.files[node]?.count ?? 0
            return FileStatus(
                isDirectory: isDirectory, size: size, allocatedBytes: size, mode: isDirectory ? 0o700 : 0o600,
                ownerID: geteuid())
        }
    }

    package func syncDirectory(_ path: String) throws(Fault) {
        try locked { () throws(Fault) in
            let node = try existing(path)
            guard state.isDirectory(node) else { throw Fault(.io, "not a directory", at: .init(file: path)) }
            if let forgets, forgets.isDirectory(path, root: root) { return }
            performLocked(.syncDirectory(node))
        }
    }

    package func tryLock(_ path: String) throws(Fault) -> (any FileLock)? {
        if try status(path) == nil { _ = try createNode(path) }
        return lock.withLock { isLocked.insert(path).inserted } ? SimulatedLock(self, path) : nil
    }

    fileprivate func release(_ path: String) { lock.withLock { _ = isLocked.remove(path) } }

    // MARK: Files by node

    func nodeOfFile(_ path: String) -> Int? {
        lock.withLock {
            guard let inside = try? inside(path), let node = state.node(inside), !state.isDirectory(node) else {
                return nil
            }
            return node
        }
    }

    func size(_ node: Int) -> Int { lock.withLock { state.files[node]?.count ?? 0 } }

    /// Copies what there is from `offset` on, and returns how much that was.
    func read(_ node: Int, into target: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        lock.lock()
        defer { lock.unlock() }
        guard let bytes = state.files[node], offset < bytes.count, target.count > 0 else { return 0 }
        let count = min(target.count, bytes.count - offset)
        bytes.withUnsafeBytes { source in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + count]))
        }
        return count
    }

    func sync(_ node: Int, _ path: String) {
        if let forgets, forgets.isFile(path, root: root) { return }
        perform(.syncFile(node))
    }
}

extension ForgottenSync {
    fileprivate func isFile(_ path: String, root: String) -> Bool {
        switch self {
        case .segment: path.hasPrefix(root + "/store/segments/")
        case .log: path.hasSuffix("catalog.db-wal")
        case .catalog: path.hasSuffix("catalog.db")
        case .keyring: path.hasSuffix("/keyring.tmp")
        case .export: path.contains(".exporting-")
        case .backup: path.hasPrefix(root + "/backup/")
        case .segmentDirectory, .storeDirectory, .backupDirectory: false
        }
    }

    fileprivate func isDirectory(_ path: String, root: String) -> Bool {
        switch self {
        case .segmentDirectory: path.hasPrefix(root + "/store/segments")
        case .storeDirectory: path == root + "/store"
        case .backupDirectory: path.hasPrefix(root + "/backup")
        case .segment, .log, .keyring, .catalog, .export, .backup: false
        }
    }
}

/// `@unchecked Sendable`: immutable; the disk has its own lock.
private final class SimulatedFile: EventStoreCore.FileHandle, @unchecked Sendable {
    private let disk: SimulatedDisk
    private let node: Int
    private let path: String

    init(_ disk: SimulatedDisk, _ node: Int, _ path: String) {
        self.disk = disk
        self.node = node
        self.path = path
    }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        let done = disk.read(node, into: target, at: offset)
        guard done == target.count else {
            throw Fault(.damaged, "file ends too early", at: .init(file: path, offset: offset + done))
        }
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
        disk.perform(.write(file: node, offset: offset, bytes: Array(source)))
    }

    func size() throws(Fault) -> Int { disk.size(node) }
    func sync() throws(Fault) { disk.sync(node, path) }
    func truncate(to size: Int) throws(Fault) { disk.perform(.truncate(file: node, size: size)) }

    func punch(_ range: Range<Int>) throws(Fault) {
        let end = min(range.upperBound, disk.size(node))
        if range.lowerBound < end { disk.perform(.zero(file: node, range: range.lowerBound..<end)) }
    }

    func close() {}
}

/// `@unchecked Sendable`: immutable; the disk has its own lock.
private final class SimulatedLock: FileLock, @unchecked Sendable {
    private let disk: SimulatedDisk
    private let path: String

    init(_ disk: SimulatedDisk, _ path: String) {
        self.disk = disk
        self.path = path
    }

    func release() { disk.release(path) }
}
