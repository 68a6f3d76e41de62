// A file system whose syncs do nothing, for what is built out of sight and synced in one go before it appears.

/// Everything but syncs goes to the file system behind it. Whoever builds with it syncs each file and directory there
/// before anything refers to them.
package struct UnsyncedFiles: FileSystem {
    private let base: any FileSystem

    package init(_ base: any FileSystem) { self.base = base }

    package var isSystem: Bool { base.isSystem }
    package func openForReading(_ path: String) throws(Fault) -> any FileHandle { try base.openForReading(path) }
    package func openForUpdate(_ path: String) throws(Fault) -> any FileHandle {
        UnsyncedHandle(try base.openForUpdate(path))
    }
    package func create(_ path: String) throws(Fault) -> any FileHandle { UnsyncedHandle(try base.create(path)) }
    package func rename(_ from: String, to: String) throws(Fault) { try base.rename(from, to: to) }
    package func unlink(_ path: String) throws(Fault) { try base.unlink(path) }
    package func makeDirectory(_ path: String) throws(Fault) { try base.makeDirectory(path) }
    package func removeDirectory(_ path: String) throws(Fault) { try base.removeDirectory(path) }
    package func list(_ path: String) throws(Fault) -> [String] { try base.list(path) }
    package func status(_ path: String) throws(Fault) -> FileStatus? { try base.status(path) }
    package func syncDirectory(_ path: String) throws(Fault) {}
    package func freeBytes(_ path: String) throws(Fault) -> Int { try base.freeBytes(path) }
    package func tryLock(_ path: String) throws(Fault) -> (any FileLock)? { try base.tryLock(path) }
}

private final class UnsyncedHandle: FileHandle {
    private let base: any FileHandle

    init(_ base: any FileHandle) { self.base = base }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        try base.read(into: target, at: offset)
    }
    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) { try base.write(source, at: offset) }
    func size() throws(Fault) -> Int { try base.size() }
    func sync() throws(Fault) {}
    func truncate(to size: Int) throws(Fault) { try base.truncate(to: size) }
    func punch(_ range: Range<Int>) throws(Fault) { try base.punch(range) }
    func close() { base.close() }
}
