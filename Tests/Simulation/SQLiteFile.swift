// A file of SQLite on a simulated disk: reading and writing, the locks of the database file, and the shared memory of
// a write-ahead log, as https://sqlite.org/c3ref/io_methods.html asks for them.

import GRDBSQLite

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// `@unchecked Sendable`: SQLite uses a file from one thread at a time; what connections share is behind the disk's lock.
final class SQLiteFile: @unchecked Sendable {
    let disk: SimulatedDisk
    let node: Int
    let path: String
    var removesOnClose = false
    /// As in the unix VFS: a new journal's directory is synced with its first sync.
    private var syncsDirectory: Bool
    private var level: Int32 = SQLITE_LOCK_NONE
    private var isMapped = false
    /// Slots of the shared memory that this connection holds: shared, alone.
    private var sharedSlots: Set<Int> = []

    init(_ disk: SimulatedDisk, _ node: Int, _ path: String, syncsDirectory: Bool) {
        self.disk = disk
        self.node = node
        self.path = path
        self.syncsDirectory = syncsDirectory
    }

    private var identity: UInt { UInt(bitPattern: ObjectIdentifier(self).hashValue) }

    func close() {
        _ = unlock(SQLITE_LOCK_NONE)
        if isMapped { _ = unmap(removes: false) }
        if removesOnClose { try? disk.unlink(path) }
    }

    // MARK: Bytes

    func read(_ target: UnsafeMutableRawPointer, _ count: Int, _ offset: Int) -> Int32 {
        let buffer = UnsafeMutableRawBufferPointer(start: target, count: count)
        let done = disk.read(node, into: buffer, at: offset)
        if done == count { return SQLITE_OK }
        memset(target + done, 0, count - done)
        return SQLITE_IOERR | (2 << 8)  // SQLITE_IOERR_SHORT_READ
    }

    func write(_ source: UnsafeRawPointer, _ count: Int, _ offset: Int) -> Int32 {
        let bytes = Array(UnsafeRawBufferPointer(start: source, count: count))
        disk.perform(.write(file: node, offset: offset, bytes: bytes))
        return SQLITE_OK
    }

    func truncate(_ size: Int) -> Int32 {
        if disk.size(node) != size { disk.perform(.truncate(file: node, size: size)) }
        return SQLITE_OK
    }

    func sync() -> Int32 {
        disk.sync(node, path)
        if syncsDirectory {
            try? disk.syncDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
            syncsDirectory = false
        }
        return SQLITE_OK
    }

    // MARK: Locks of the database file

    func lock(_ wanted: Int32) -> Int32 {
        if wanted <= level { return SQLITE_OK }
        let own = identity
        let result = shared { (sharing: inout SQLiteSharing) -> Int32 in
            func isOthers(_ holder: UInt?) -> Bool { holder != nil && holder != own }
            switch wanted {
            case SQLITE_LOCK_SHARED:
                if isOthers(sharing.pending) || isOthers(sharing.exclusive) { return SQLITE_BUSY }
                sharing.readers += 1
            case SQLITE_LOCK_RESERVED:
                if isOthers(sharing.reserved) || isOthers(sharing.pending) { return SQLITE_BUSY }
                sharing.reserved = own
            default:
                if isOthers(sharing.reserved) || isOthers(sharing.pending) { return SQLITE_BUSY }
                sharing.pending = own
                if sharing.readers > 1 { return SQLITE_BUSY }
                sharing.exclusive = own
            }
            return SQLITE_OK
        }
        if result == SQLITE_OK {
            level = wanted
        } else if wanted == SQLITE_LOCK_EXCLUSIVE, shared({ $0.pending == own }) {
            level = SQLITE_LOCK_PENDING
        }
        return result
    }

    func unlock(_ wanted: Int32) -> Int32 {
        guard level > wanted else { return SQLITE_OK }
        let own = identity
        let held = level
        shared { sharing in
            if sharing.reserved == own { sharing.reserved = nil }
            if sharing.pending == own { sharing.pending = nil }
            if sharing.exclusive == own { sharing.exclusive = nil }
            if wanted == SQLITE_LOCK_NONE, held >= SQLITE_LOCK_SHARED { sharing.readers -= 1 }
        }
        level = wanted
        return SQLITE_OK
    }

    func isReserved() -> Bool { shared { $0.reserved != nil || $0.pending != nil || $0.exclusive != nil } }

    private func shared<T>(_ body: (inout SQLiteSharing) -> T) -> T {
        let node = node
        return disk.sharing.withLock { all in body(&all[node, default: SQLiteSharing()]) }
    }

    // MARK: Shared memory

    func map(_ region: Int, _ bytes: Int, extends: Bool) -> (result: Int32, address: UnsafeMutableRawPointer?) {
        let isFirst = !isMapped
        isMapped = true
        let address = shared { sharing -> UInt in
            if isFirst { sharing.mappers += 1 }
            while extends, sharing.regions.count <= region {
                let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
                memset(memory, 0, bytes)
                sharing.regions.append(UInt(bitPattern: memory))
            }
            return region < sharing.regions.count ? sharing.regions[region] : 0
        }
        return (SQLITE_OK, UnsafeMutableRawPointer(bitPattern: address))
    }

    func unmap(removes: Bool) -> Int32 {
        guard isMapped else { return SQLITE_OK }
        isMapped = false
        let own = identity
        let slots = sharedSlots
        sharedSlots = []
        shared { sharing in
            for slot in slots { sharing.sharedSlots[slot] -= 1 }
            for slot in 0..<8 where sharing.exclusiveSlots[slot] == own { sharing.exclusiveSlots[slot] = nil }
            sharing.mappers -= 1
            guard sharing.mappers == 0 else { return }
            for region in sharing.regions { UnsafeMutableRawPointer(bitPattern: region)?.deallocate() }
            sharing.regions = []
        }
        return SQLITE_OK
    }

    func lockSlots(_ first: Int, _ count: Int, _ flags: Int32) -> Int32 {
        let own = identity
        let slots = first..<first + count
        let held = sharedSlots
        if flags & SQLITE_SHM_UNLOCK != 0 {
            sharedSlots.subtract(slots)
            shared { sharing in
                for slot in slots {
                    if held.contains(slot) { sharing.sharedSlots[slot] -= 1 }
                    if sharing.exclusiveSlots[slot] == own { sharing.exclusiveSlots[slot] = nil }
                }
            }
            return SQLITE_OK
        }
        let isShared = flags & SQLITE_SHM_SHARED != 0
        let result = shared { sharing -> Int32 in
            for slot in slots {
                if let holder = sharing.exclusiveSlots[slot], holder != own { return SQLITE_BUSY }
                let others = sharing.sharedSlots[slot] - (held.contains(slot) ? 1 : 0)
                if !isShared, others > 0 { return SQLITE_BUSY }
            }
            for slot in slots {
                if !isShared {
                    sharing.exclusiveSlots[slot] = own
                } else if !held.contains(slot) {
                    sharing.sharedSlots[slot] += 1
                }
            }
            return SQLITE_OK
        }
        if result == SQLITE_OK, isShared { sharedSlots.formUnion(slots) }
        return result
    }
}

/// The method table of simulated files. One for the process; never freed.
enum SQLiteMethods {
    nonisolated(unsafe) static let table: UnsafeMutablePointer<sqlite3_io_methods> = {
        let table = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        var methods = sqlite3_io_methods()
        methods.iVersion = 2
        addFileMethods(&methods)
        addLockMethods(&methods)
        table.initialize(to: methods)
        return table
    }()

    private static func object(_ file: UnsafeMutablePointer<sqlite3_file>?) -> SQLiteFile? {
        guard let file else { return nil }
        return file.withMemoryRebound(to: OpenFile.self, capacity: 1) { open in
            open.pointee.object.map { Unmanaged<SQLiteFile>.fromOpaque($0).takeUnretainedValue() }
        }
    }

    private static func close(_ file: UnsafeMutablePointer<sqlite3_file>?) {
        guard let file else { return }
        file.withMemoryRebound(to: OpenFile.self, capacity: 1) { open in
            guard let object = open.pointee.object else { return }
            open.pointee.object = nil
            let known = Unmanaged<SQLiteFile>.fromOpaque(object).takeRetainedValue()
            known.close()
        }
        file.pointee.pMethods = nil
    }

    private static func addFileMethods(_ methods: inout sqlite3_io_methods) {
        methods.xClose = { file in
            SQLiteMethods.close(file)
            return SQLITE_OK
        }
        methods.xRead = { file, target, count, offset in
            guard let target else { return SQLITE_IOERR }
            return SQLiteMethods.object(file)?.read(target, Int(count), Int(offset)) ?? SQLITE_IOERR
        }
        methods.xWrite = { file, source, count, offset in
            guard let source else { return SQLITE_IOERR }
            return SQLiteMethods.object(file)?.write(source, Int(count), Int(offset)) ?? SQLITE_IOERR
        }
        methods.xTruncate = { file, size in SQLiteMethods.object(file)?.truncate(Int(size)) ?? SQLITE_IOERR }
        methods.xSync = { file, _ in SQLiteMethods.object(file)?.sync() ?? SQLITE_IOERR }
        methods.xFileSize = { file, size in
            guard let object = SQLiteMethods.object(file) else { return SQLITE_IOERR }
            size?.pointee = Int64(object.disk.size(object.node))
            return SQLITE_OK
        }
        methods.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
        methods.xSectorSize = { _ in 4096 }
        methods.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
    }

    private static func addLockMethods(_ methods: inout sqlite3_io_methods) {
        methods.xLock = { file, level in SQLiteMethods.object(file)?.lock(level) ?? SQLITE_IOERR }
        methods.xUnlock = { file, level in SQLiteMethods.object(file)?.unlock(level) ?? SQLITE_IOERR }
        methods.xCheckReservedLock = { file, result in
            result?.pointee = SQLiteMethods.object(file)?.isReserved() == true ? 1 : 0
            return SQLITE_OK
        }
        methods.xShmMap = { file, region, bytes, extends, result in
            guard let object = SQLiteMethods.object(file) else { return SQLITE_IOERR }
            let (code, address) = object.map(Int(region), Int(bytes), extends: extends != 0)
            // SQLite's type says `volatile`, which Swift leaves out.
            result?.pointee = address
            return code
        }
        methods.xShmLock = { file, first, count, flags in
            SQLiteMethods.object(file)?.lockSlots(Int(first), Int(count), flags) ?? SQLITE_IOERR
        }
        methods.xShmBarrier = { _ in SimulatedSQLite.barrier() }
        methods.xShmUnmap = { file, removes in
            SQLiteMethods.object(file)?.unmap(removes: removes != 0) ?? SQLITE_OK
        }
    }
}
