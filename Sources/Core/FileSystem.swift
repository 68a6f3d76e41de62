// All file input and output goes through this protocol, so that tests can count, fail, tear and lose
// every operation. Calls are synchronous and take whole paths.

/// An open file. Reads and writes are positional and complete: a short transfer is retried until done,
/// end of file in a read is an error (`damaged`), so callers never see a partial result.
package protocol FileHandle: AnyObject, Sendable {
    func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(Fault)
    func write(_ source: UnsafeRawBufferPointer, at offset: Int) throws(Fault)
    func size() throws(Fault) -> Int
    /// Durable when it returns: data and the metadata needed to read it back. Never retried on failure.
    func sync() throws(Fault)
    func truncate(to size: Int) throws(Fault)
    /// Gives a range back to the file system; it reads as zeros afterwards. Where holes cannot be made, zeros are
    /// written.
    func punch(_ range: Range<Int>) throws(Fault)
    func close()
}

extension FileHandle {
    package func punch(_ range: Range<Int>) throws(Fault) { try writeZeros(range) }

    package func writeZeros(_ range: Range<Int>) throws(Fault) {
        let zeros = [UInt8](repeating: 0, count: min(range.count, 1 << 20))
        var place = range.lowerBound
        while place < range.upperBound {
            let count = min(zeros.count, range.upperBound - place)
            try zeros.withBytes { (zeros) throws(Fault) in
                try write(UnsafeRawBufferPointer(rebasing: zeros[..<count]), at: place)
            }
            place += count
        }
    }
}

package struct FileStatus: Sendable, Equatable {
    package var isDirectory: Bool
    package var size: Int
    /// Bytes the file takes on disk.
    package var allocatedBytes: Int
    package var mode: UInt32
    package var ownerID: UInt32
    package init(isDirectory: Bool, size: Int, allocatedBytes: Int, mode: UInt32, ownerID: UInt32) {
        self.isDirectory = isDirectory
        self.size = size
        self.allocatedBytes = allocatedBytes
        self.mode = mode
        self.ownerID = ownerID
    }
}

/// An exclusive advisory lock; released when `release` is called or the process ends.
package protocol FileLock: AnyObject, Sendable {
    func release()
}

package protocol FileSystem: Sendable {
    /// Whether its paths are the operating system's. What does its own input and output, SQLite and sockets, works on
    /// these; a file system in memory says false, has no sockets, and serves SQLite by itself.
    var isSystem: Bool { get }
    /// Opens an existing file for reading.
    func openForReading(_ path: String) throws(Fault) -> any FileHandle
    /// Opens an existing file for reading and writing.
    func openForUpdate(_ path: String) throws(Fault) -> any FileHandle
    /// Creates a file (mode 0600) that must not exist yet.
    func create(_ path: String) throws(Fault) -> any FileHandle
    func rename(_ from: String, to: String) throws(Fault)
    func unlink(_ path: String) throws(Fault)
    /// Creates one directory, mode 0700. Its parent must exist.
    func makeDirectory(_ path: String) throws(Fault)
    func removeDirectory(_ path: String) throws(Fault)
    /// Names in a directory, without "." and "..", in no particular order.
    func list(_ path: String) throws(Fault) -> [String]
    /// `nil` when nothing is there.
    func status(_ path: String) throws(Fault) -> FileStatus?
    func syncDirectory(_ path: String) throws(Fault)
    /// Bytes that this user may still write to the file system of a path; `Int.max` where nobody knows.
    func freeBytes(_ path: String) throws(Fault) -> Int
    /// Takes an exclusive lock on a file (created when missing), or `nil` when another process has it.
    func tryLock(_ path: String) throws(Fault) -> (any FileLock)?
}

extension FileSystem {
    package func freeBytes(_ path: String) throws(Fault) -> Int { .max }
    package var isSystem: Bool { true }

    /// Where SQLite's files are: those of the operating system, unless this file system serves SQLite itself.
    package var ofSQLite: any FileSystem { isSystem ? PosixFileSystem() : self }

    /// Reads a whole small file.
    package func readAll(_ path: String, max limit: Int = 64 << 20) throws(Fault) -> [UInt8] {
        let handle = try openForReading(path)
        defer { handle.close() }
        let size = try handle.size()
        guard size <= limit else {
            throw Fault(.limit, "file is larger than \(limit) bytes", at: .init(file: path))
        }
        var bytes = [UInt8](repeating: 0, count: size)
        var failure: Fault?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(Fault) { try handle.read(into: buffer, at: 0) } catch { failure = error }
        }
        if let failure { throw failure.at(file: path) }
        return bytes
    }

    /// Replaces a small file as a whole, durably: temporary file, sync, rename, sync of the directory.
    /// After a crash the old or the new content is there, never a mix.
    package func replace(_ path: String, with bytes: [UInt8]) throws(Fault) {
        let temporary = path + ".tmp"
        if try status(temporary) != nil { try unlink(temporary) }
        let handle = try create(temporary)
        defer { handle.close() }
        var failure: Fault?
        bytes.withUnsafeBytes { buffer in
            do throws(Fault) { try handle.write(buffer, at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        try handle.sync()
        try rename(temporary, to: path)
        try syncDirectory(Path.parent(path))
    }
}

/// Path arithmetic on plain strings.
package enum Path {
    package static func join(_ directory: String, _ name: String) -> String {
        directory.hasSuffix("/") ? directory + name : directory + "/" + name
    }
    package static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
    package static func name(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return path }
        return String(path[path.index(after: slash)...])
    }
}
