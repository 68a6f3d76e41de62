// A file system that fails the k-th operation, or loses power at it: from then on everything throws, and what
// was not yet durable is, each by the toss of a coin, there or gone.

import EventStoreCore
import Foundation
import Synchronization

final class FaultyFiles: FileSystem, @unchecked Sendable {
    // Sendable: everything mutable is behind `lock`.
    enum Plan {
        case none
        /// Operation `at` throws once.
        case failOnce(at: Int, Fault.Code)
        /// The `at`-th sync (of a file or a folder) throws once.
        case failSync(at: Int)
        /// From operation `at` on everything throws.
        case losePower(at: Int)
    }

    private let real = PosixFileSystem()
    private let lock = NSRecursiveLock()
    private var plan = Plan.none
    private var operations = 0
    private var syncs = 0
    private(set) var hasFailed = false
    private var isOff = false
    /// Files written since their last sync: how long they were then.
    private var unsynced: [String: Int] = [:]
    /// Changes of folders not yet durable, by folder, oldest first, each with what undoes it.
    private var pending: [(folder: String, undo: () -> Void)] = []

    func set(_ plan: Plan) {
        lock.withLock {
            self.plan = plan
            operations = 0
            syncs = 0
            hasFailed = false
        }
    }

    var operationCount: Int { lock.withLock { operations } }
    var syncCount: Int { lock.withLock { syncs } }

    /// Counts an operation that changes something, and fails it when its time has come.
    fileprivate func step(_ name: String, _ path: String, isSync: Bool = false) throws(Fault) {
        lock.lock()
        defer { lock.unlock() }
        operations += 1
        if isSync { syncs += 1 }
        if isOff { throw Fault(.io, "\(name): power is off", at: .init(file: path)) }
        switch plan {
        case .failOnce(let at, let code) where operations == at:
            hasFailed = true
            throw Fault(code, "\(name): injected", at: .init(file: path))
        case .failSync(let at) where isSync && syncs == at:
            hasFailed = true
            var fault = Fault(.io, "fsync: injected", at: .init(file: path))
            fault.isFileSyncFailure = true
            throw fault
        case .losePower(let at) where operations >= at:
            hasFailed = true
            isOff = true
            throw Fault(.io, "\(name): power is off", at: .init(file: path))
        default: return
        }
    }

    /// Undoes what was not durable, each change by the toss of a coin, newest first.
    func crash(_ generator: inout SeededGenerator) {
        lock.lock()
        defer { lock.unlock() }
        for (path, length) in unsynced where generator.chance(2, of: 3) {
            // What was durable before stays.
            _ = truncate(path, off_t(length))
        }
        // A folder's changes are lost from some point on, never one in the middle.
        let folders = Set(pending.map(\.folder)).sorted()
        for folder in folders {
            let changes = pending.filter { $0.folder == folder }
            let kept = Int.random(in: 0...changes.count, using: &generator)
            for change in changes[kept...].reversed() { change.undo() }
        }
        unsynced = [:]
        pending = []
    }

    fileprivate func wrote(_ path: String, lengthBefore: Int) {
        lock.withLock { if unsynced[path] == nil { unsynced[path] = lengthBefore } }
    }

    fileprivate func synced(_ path: String) { lock.withLock { unsynced[path] = nil } }

    private func changed(_ path: String, undo: @escaping () -> Void) {
        lock.withLock { pending.append((Path.parent(path), undo)) }
    }

    // MARK: FileSystem

    func openForReading(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle { try real.openForReading(path) }

    func openForUpdate(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle {
        FaultyHandle(try real.openForUpdate(path), path, self)
    }

    func create(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle {
        try step("create", path)
        let handle = try real.create(path)
        wrote(path, lengthBefore: 0)
        changed(path) { try? FileManager.default.removeItem(atPath: path) }
        return FaultyHandle(handle, path, self)
    }

    func rename(_ from: String, to: String) throws(Fault) {
        try step("rename", from)
        let old = FileManager.default.contents(atPath: to)
        try real.rename(from, to: to)
        lock.withLock { unsynced[to] = unsynced.removeValue(forKey: from) }
        changed(to) {
            guard let content = FileManager.default.contents(atPath: to) else { return }
            _ = FileManager.default.createFile(atPath: from, contents: content)
            if let old {
                _ = FileManager.default.createFile(atPath: to, contents: old)
            } else {
                try? FileManager.default.removeItem(atPath: to)
            }
        }
    }

    func unlink(_ path: String) throws(Fault) {
        try step("unlink", path)
        let old = FileManager.default.contents(atPath: path)
        try real.unlink(path)
        changed(path) { if let old { _ = FileManager.default.createFile(atPath: path, contents: old) } }
    }

    func makeDirectory(_ path: String) throws(Fault) {
        try step("mkdir", path)
        try real.makeDirectory(path)
        changed(path) { try? FileManager.default.removeItem(atPath: path) }
    }

    func removeDirectory(_ path: String) throws(Fault) {
        try step("rmdir", path)
        try real.removeDirectory(path)
    }

    func list(_ path: String) throws(Fault) -> [String] { try real.list(path) }
    func status(_ path: String) throws(Fault) -> FileStatus? { try real.status(path) }

    func syncDirectory(_ path: String) throws(Fault) {
        try step("fsync of a folder", path, isSync: true)
        try real.syncDirectory(path)
        lock.withLock { pending.removeAll { $0.folder == path } }
    }

    func tryLock(_ path: String) throws(Fault) -> (any FileLock)? { try real.tryLock(path) }
}

private final class FaultyHandle: EventStoreCore.FileHandle, @unchecked Sendable {
    // Sendable: immutable, and the wrapped handle is itself Sendable.
    private let real: any EventStoreCore.FileHandle
    private let path: String
    private let owner: FaultyFiles

    init(_ real: any EventStoreCore.FileHandle, _ path: String, _ owner: FaultyFiles) {
        self.real = real
        self.path = path
        self.owner = owner
    }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        try real.read(into: target, at: offset)
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
        let before = try real.size()
        do throws(Fault) {
            try owner.step("write", path)
        } catch {
            // A write that fails may have got half way.
            try? real.write(UnsafeRawBufferPointer(rebasing: source.prefix(source.count / 2)), at: offset)
            throw error
        }
        try real.write(source, at: offset)
        owner.wrote(path, lengthBefore: before)
    }

    func size() throws(Fault) -> Int { try real.size() }

    func sync() throws(Fault) {
        try owner.step("fsync", path, isSync: true)
        try real.sync()
        owner.synced(path)
    }

    func truncate(to size: Int) throws(Fault) {
        try owner.step("truncate", path)
        try real.truncate(to: size)
    }

    func close() { real.close() }
}
