import CHostSystem

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The real file system. Locks are `flock`, which a process does not lose by closing another descriptor
/// of the same file, as it would POSIX record locks.
package struct PosixFileSystem: FileSystem {
    package init() {}

    package func openForReading(_ path: String) throws(Fault) -> any FileHandle {
        try openFile(path, O_RDONLY | O_CLOEXEC)
    }

    package func openForUpdate(_ path: String) throws(Fault) -> any FileHandle {
        try openFile(path, O_RDWR | O_CLOEXEC)
    }

    package func create(_ path: String) throws(Fault) -> any FileHandle {
        try openFile(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC)
    }

    private func openFile(_ path: String, _ flags: Int32) throws(Fault) -> any FileHandle {
        while true {
            let descriptor = open(path, flags, 0o600)
            if descriptor >= 0 { return PosixFile(descriptor, path) }
            if errno != EINTR { throw .system("open", errno: errno, file: path) }
        }
    }

    package func rename(_ from: String, to: String) throws(Fault) {
        let result = from.withCString { old in to.withCString { new in libcRename(old, new) } }
        if result != 0 { throw .system("rename", errno: errno, file: from) }
    }

    package func unlink(_ path: String) throws(Fault) {
        if libcUnlink(path) != 0 { throw .system("unlink", errno: errno, file: path) }
    }

    package func makeDirectory(_ path: String) throws(Fault) {
        if mkdir(path, 0o700) != 0 { throw .system("mkdir", errno: errno, file: path) }
    }

    package func removeDirectory(_ path: String) throws(Fault) {
        if rmdir(path) != 0 { throw .system("rmdir", errno: errno, file: path) }
    }

    package func list(_ path: String) throws(Fault) -> [String] {
        guard let directory = opendir(path) else { throw .system("opendir", errno: errno, file: path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    package func status(_ path: String) throws(Fault) -> FileStatus? {
        var info = stat()
        if lstat(path, &info) != 0 {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw .system("stat", errno: errno, file: path)
        }
        return FileStatus(
            isDirectory: info.st_mode & S_IFMT == S_IFDIR, size: Int(info.st_size),
            allocatedBytes: Int(info.st_blocks) * 512, mode: UInt32(info.st_mode) & 0o7777, ownerID: info.st_uid)
    }

    package func syncDirectory(_ path: String) throws(Fault) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { throw .system("open", errno: errno, file: path) }
        defer { libcClose(descriptor) }
        if fsync(descriptor) != 0 { throw .system("fsync", errno: errno, file: path) }
    }

    package func freeBytes(_ path: String) throws(Fault) -> Int {
        var info = statvfs()
        while libcStatvfs(path, &info) != 0 {
            if errno != EINTR { throw .system("statvfs", errno: errno, file: path) }
        }
        let (bytes, overflow) = Int(clamping: info.f_bavail).multipliedReportingOverflow(
            by: Int(clamping: info.f_frsize))
        return overflow ? .max : bytes
    }

    package func tryLock(_ path: String) throws(Fault) -> (any FileLock)? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw .system("open", errno: errno, file: path) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            let reason = errno
            libcClose(descriptor)
            if reason == EWOULDBLOCK { return nil }
            throw .system("flock", errno: reason, file: path)
        }
        return PosixLock(descriptor)
    }
}

// The protocol's method names hide the C functions of the same name.
private func libcRename(_ from: UnsafePointer<CChar>, _ to: UnsafePointer<CChar>) -> Int32 { rename(from, to) }
private func libcUnlink(_ path: String) -> Int32 { unlink(path) }
private func libcStatvfs(_ path: String, _ info: inout statvfs) -> Int32 { statvfs(path, &info) }
private func libcClose(_ descriptor: Int32) { _ = close(descriptor) }

/// An open descriptor. `@unchecked Sendable`: the descriptor is set once, positional calls are
/// thread-safe, and `close` is called by the one owner.
private final class PosixFile: FileHandle, @unchecked Sendable {
    private var descriptor: Int32
    private let path: String

    init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { libcClose(descriptor) }
        descriptor = -1
    }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault) {
        var done = 0
        while done < target.count {
            let step = pread(descriptor, target.baseAddress! + done, target.count - done, off_t(offset + done))
            if step > 0 {
                done += step
            } else if step == 0 {
                throw Fault(.damaged, "file ends too early", at: .init(file: path, offset: offset + done))
            } else if errno != EINTR {
                throw .system("read", errno: errno, file: path)
            }
        }
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
        var done = 0
        while done < source.count {
            let step = pwrite(descriptor, source.baseAddress! + done, source.count - done, off_t(offset + done))
            if step >= 0 {
                done += step
            } else if errno != EINTR {
                throw .system("write", errno: errno, file: path)
            }
        }
    }

    func size() throws(Fault) -> Int {
        var info = stat()
        if fstat(descriptor, &info) != 0 { throw .system("fstat", errno: errno, file: path) }
        return Int(info.st_size)
    }

    func sync() throws(Fault) {
        #if canImport(Darwin)
            let result = fcntl(descriptor, F_FULLFSYNC)
        #else
            let result = fsync(descriptor)
        #endif
        if result == -1 { throw .system("fsync", errno: errno, file: path) }
    }

    func punch(_ range: Range<Int>) throws(Fault) {
        guard !range.isEmpty else { return }
        #if canImport(Glibc) || canImport(Musl)
            // Whole blocks are freed, the edges are zeroed.
            if eventstore_punch(descriptor, off_t(range.lowerBound), off_t(range.count)) == 0 { return }
            guard errno == EOPNOTSUPP || errno == ENOSYS else { throw .system("fallocate", errno: errno, file: path) }
        #endif
        try writeZeros(range)
    }

    func truncate(to size: Int) throws(Fault) {
        if ftruncate(descriptor, off_t(size)) != 0 { throw .system("ftruncate", errno: errno, file: path) }
    }
}

/// `@unchecked Sendable`: `release` is called by the one owner, or by `deinit` when nobody else can.
private final class PosixLock: FileLock, @unchecked Sendable {
    private var descriptor: Int32
    init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { release() }
    func release() {
        if descriptor >= 0 { libcClose(descriptor) }
        descriptor = -1
    }
}
