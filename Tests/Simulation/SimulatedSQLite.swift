// SQLite on simulated disks: a VFS (https://sqlite.org/vfs.html) that serves paths below `/simulated/` and hands all
// others to the one that was the default before. The paths choose, so that whoever opens a database need not know.
//
// It does on the disk what SQLite's own unix VFS does in system calls: the same writes, the same syncs, the directory
// synced with the first sync of a new journal or log, and power-safe overwrite assumed, as unix does by default: a
// write that power failure cuts short changes no byte outside its range. The shared memory of a log lives in memory
// and ends with the disk; SQLite builds it anew from the log.

import EventStoreCore
import GRDBSQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What connections to one database share: locks on the file, and the index of its log.
struct SQLiteSharing: Sendable {
    var readers = 0
    /// The connection that is about to write, that waits for readers to end, and that has the file to itself.
    var reserved: UInt?
    var pending: UInt?
    var exclusive: UInt?
    /// Pieces of shared memory, as addresses.
    var regions: [UInt] = []
    var mappers = 0
    /// By slot: connections that share it, and the one that has it alone.
    var sharedSlots = [Int](repeating: 0, count: 8)
    var exclusiveSlots = [UInt?](repeating: nil, count: 8)
}

package enum SimulatedSQLite {
    private static let isRegistered = Mutex(false)

    /// Makes the VFS the default. All it does for other paths is to ask the default of before.
    static func register() {
        isRegistered.withLock { done in
            guard !done else { return }
            done = true
            guard let real = sqlite3_vfs_find(nil) else { preconditionFailure("SQLite has no VFS") }
            let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
            vfs.initialize(to: real.pointee)
            vfs.pointee.szOsFile = max(real.pointee.szOsFile, Int32(MemoryLayout<OpenFile>.size))
            vfs.pointee.pNext = nil
            vfs.pointee.zName = UnsafePointer(strdup("simulated"))
            vfs.pointee.pAppData = UnsafeMutableRawPointer(real)
            vfs.pointee.xOpen = { VFSCalls.open($0, $1, $2, $3, $4) }
            vfs.pointee.xDelete = { VFSCalls.delete($0, $1, $2) }
            vfs.pointee.xAccess = { VFSCalls.access($0, $1, $2, $3) }
            vfs.pointee.xFullPathname = { VFSCalls.fullPathname($0, $1, $2, $3) }
            sqlite3_vfs_register(vfs, 1)
        }
    }

    /// Taking and releasing a lock orders memory.
    static func barrier() { isRegistered.withLock { _ in } }

    static func real(_ vfs: UnsafeMutablePointer<sqlite3_vfs>?) -> UnsafeMutablePointer<sqlite3_vfs>? {
        vfs?.pointee.pAppData?.assumingMemoryBound(to: sqlite3_vfs.self)
    }
}

/// SQLite's view of an open file: its method table, then ours.
struct OpenFile {
    var base: sqlite3_file
    /// A retained `SQLiteFile`.
    var object: UnsafeMutableRawPointer?
}

private enum VFSCalls {
    typealias VFS = UnsafeMutablePointer<sqlite3_vfs>?

    static func path(_ name: UnsafePointer<CChar>?) -> String? {
        guard let name, strncmp(name, SimulatedDisk.prefix, SimulatedDisk.prefix.utf8.count) == 0 else { return nil }
        return String(cString: name)
    }

    static func open(
        _ vfs: VFS, _ name: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let path = path(name) else {
            let real = SimulatedSQLite.real(vfs)
            return real?.pointee.xOpen?(real, name, file, flags, outFlags) ?? SQLITE_CANTOPEN
        }
        guard let file else { return SQLITE_CANTOPEN }
        file.pointee.pMethods = nil
        guard let disk = SimulatedDisk.disk(of: path) else { return SQLITE_CANTOPEN }
        var node = disk.nodeOfFile(path)
        if node == nil, flags & SQLITE_OPEN_CREATE != 0 {
            node = try? disk.createNode(path)
        } else if node != nil, flags & SQLITE_OPEN_EXCLUSIVE != 0 {
            return SQLITE_CANTOPEN
        }
        guard let node else { return SQLITE_CANTOPEN }
        // By the flag, whether or not the file was there: as the unix VFS has it.
        let kinds = SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL
        let object = SQLiteFile(disk, node, path, syncsDirectory: flags & SQLITE_OPEN_CREATE != 0 && flags & kinds != 0)
        object.removesOnClose = flags & SQLITE_OPEN_DELETEONCLOSE != 0
        file.withMemoryRebound(to: OpenFile.self, capacity: 1) { open in
            open.pointee.object = Unmanaged.passRetained(object).toOpaque()
            open.pointee.base.pMethods = UnsafePointer(SQLiteMethods.table)
        }
        outFlags?.pointee = flags
        return SQLITE_OK
    }

    static func delete(_ vfs: VFS, _ name: UnsafePointer<CChar>?, _ syncsDirectory: Int32) -> Int32 {
        guard let path = path(name) else {
            let real = SimulatedSQLite.real(vfs)
            return real?.pointee.xDelete?(real, name, syncsDirectory) ?? SQLITE_IOERR
        }
        guard let disk = SimulatedDisk.disk(of: path), disk.nodeOfFile(path) != nil else {
            return SQLITE_IOERR | (23 << 8)  // SQLITE_IOERR_DELETE_NOENT
        }
        do throws(Fault) {
            try disk.unlink(path)
            if syncsDirectory & 1 != 0 { try disk.syncDirectory(Path.parent(path)) }
            return SQLITE_OK
        } catch {
            return SQLITE_IOERR | (10 << 8)  // SQLITE_IOERR_DELETE
        }
    }

    /// As the unix VFS has it, an empty file does not exist.
    static func access(
        _ vfs: VFS, _ name: UnsafePointer<CChar>?, _ flags: Int32, _ result: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let path = path(name) else {
            let real = SimulatedSQLite.real(vfs)
            return real?.pointee.xAccess?(real, name, flags, result) ?? SQLITE_IOERR
        }
        let disk = SimulatedDisk.disk(of: path)
        let size = disk?.nodeOfFile(path).flatMap { disk?.size($0) }
        let isThere = flags == SQLITE_ACCESS_EXISTS ? (size ?? 0) > 0 : size != nil
        result?.pointee = isThere ? 1 : 0
        return SQLITE_OK
    }

    static func fullPathname(
        _ vfs: VFS, _ name: UnsafePointer<CChar>?, _ capacity: Int32, _ result: UnsafeMutablePointer<CChar>?
    ) -> Int32 {
        guard path(name) != nil, let name, let result else {
            let real = SimulatedSQLite.real(vfs)
            return real?.pointee.xFullPathname?(real, name, capacity, result) ?? SQLITE_CANTOPEN
        }
        guard strlen(name) < Int(capacity) else { return SQLITE_CANTOPEN }
        strcpy(result, name)
        return SQLITE_OK
    }
}
