// A file system that calls out at a certain read of a segment: what happens elsewhere in the middle of a query.

import EventStoreCore
import Synchronization

/// Sendable: the count is atomic, the hook is set before the first read.
final class HookedFiles: FileSystem, @unchecked Sendable {
    private let real = PosixFileSystem()
    private let reads = Atomic<Int>(0)
    /// Called once, before the read of this number.
    var at = Int.max
    var hook: @Sendable () -> Void = {}

    var readCount: Int { reads.load(ordering: .relaxed) }

    fileprivate func willRead() {
        if reads.add(1, ordering: .relaxed).newValue == at { hook() }
    }

    func openForReading(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle {
        let handle = try real.openForReading(path)
        return path.hasSuffix(".seg") ? HookedHandle(handle, self) : handle
    }
    func openForUpdate(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle { try real.openForUpdate(path) }
    func create(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle { try real.create(path) }
    func rename(_ from: String, to: String) throws(Fault) { try real.rename(from, to: to) }
    func unlink(_ path: String) throws(Fault) { try real.unlink(path) }
    func makeDirectory(_ path: String) throws(Fault) { try real.makeDirectory(path) }
    func removeDirectory(_ path: String) throws(Fault) { try real.removeDirectory(path) }
    func list(_ path: String) throws(Fault) -> [String] { try real.list(path) }
    func status(_ path: String) throws(Fault) -> FileStatus? { try real.status(path) }
    func syncDirectory(_ path: String) throws(Fault) { try real.syncDirectory(path) }
    func tryLock(_ path: String) throws(Fault) -> (any FileLock)? { try real.tryLock(path) }
}

/// Sendable: immutable, and the wrapped handle is itself Sendable.
private final class HookedHandle: EventStoreCore.FileHandle, @unchecked Sendable {
    private let real: any EventStoreCore.FileHandle
    private let owner: HookedFiles

    init(_ real: any EventStoreCore.FileHandle, _ owner: HookedFiles) {
        self.real = real
        self.owner = owner
    }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        owner.willRead()
        try real.read(into: target, at: offset)
    }
    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) { try real.write(source, at: offset) }
    func size() throws(Fault) -> Int { try real.size() }
    func sync() throws(Fault) { try real.sync() }
    func truncate(to size: Int) throws(Fault) { try real.truncate(to: size) }
    func close() { real.close() }
}
