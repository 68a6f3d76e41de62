// A checksum for every page of catalog.db, in the layout of SQLite's own checksum extension
// (https://sqlite.org/cksumvfs.html): each page reserves its last 8 bytes for a sum over the others, and the
// sum is the one SQLite's write-ahead log uses (https://sqlite.org/fileformat2.html#checksum_algorithm).
//
// The extension is a VFS that must be compiled in; here the two functions that read and write pages are
// replaced in the method table of the one open file instead. Every page that reaches the file gets its sum,
// every page read from it is checked, and a page that does not match is an error, never data. Any single
// flipped bit changes the sum: it is a chain of additions modulo 2^32 that no later word can undo.

import EventStoreCore
import GRDB
import GRDBSQLite
import Synchronization

enum PageChecksums {
    static let bytes = 8
    static let pageBytes = CatalogSchema.pageBytes

    /// Makes room for the sums; before the first page is written.
    static func reserve(_ database: Database) throws(Fault) {
        var reserved = Int32(bytes)
        let result = sqlite3_file_control(database.sqliteConnection, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved)
        guard result == SQLITE_OK else { throw .sqlite(result, "reserve bytes") }
    }

    /// Puts the checking functions into the connection's file; before its first page is read.
    static func protect(_ database: Database) throws(Fault) {
        let file = try openFile(of: database)
        guard let original = file.pointee.pMethods else { throw Fault(.io, "the catalog's file is not open") }
        file.pointee.pMethods = UnsafePointer(CheckedMethods.table(over: original))
    }

    /// The file behind a connection. Opening it a second time would lose SQLite's POSIX locks on close.
    static func openFile(of database: Database) throws(Fault) -> UnsafeMutablePointer<sqlite3_file> {
        var file: UnsafeMutablePointer<sqlite3_file>?
        let result = sqlite3_file_control(database.sqliteConnection, "main", SQLITE_FCNTL_FILE_POINTER, &file)
        guard result == SQLITE_OK, let file else { throw .sqlite(result, "file pointer") }
        return file
    }

    /// Two running sums over the little-endian words of a page, without its last 8 bytes.
    static func sum(_ page: UnsafeRawBufferPointer) -> UInt64 {
        var first: UInt32 = 0
        var second: UInt32 = 0
        var offset = 0
        while offset < page.count - bytes {
            first &+= UInt32(littleEndian: page.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) &+ second
            second &+= UInt32(littleEndian: page.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)) &+ first
            offset += 8
        }
        return UInt64(second) << 32 | UInt64(first)
    }

    static func stored(_ page: UnsafeRawBufferPointer) -> UInt64 {
        UInt64(littleEndian: page.loadUnaligned(fromByteOffset: page.count - bytes, as: UInt64.self))
    }

    static func matches(_ page: UnsafeRawBufferPointer) -> Bool { sum(page) == stored(page) }

    /// Writes the sum into the last 8 bytes.
    static func seal(_ page: UnsafeMutableRawBufferPointer) {
        page.storeBytes(
            of: sum(UnsafeRawBufferPointer(page)).littleEndian, toByteOffset: page.count - bytes, as: UInt64.self)
    }
}

/// Copies of SQLite's method tables with two functions replaced. The pointer to the original table stands
/// right behind the copy, so that the replaced functions find it from the file they are called with. There is
/// one copy for each table SQLite has (a handful at most); they live as long as the process, as the originals do.
private enum CheckedMethods {
    private static let size = MemoryLayout<sqlite3_io_methods>.stride
    /// Address of an original table → address of its copy.
    private static let copies = Mutex<[UInt: UInt]>([:])

    static func table(over original: UnsafePointer<sqlite3_io_methods>) -> UnsafeMutablePointer<sqlite3_io_methods> {
        let address = copies.withLock { copies in
            let key = UInt(bitPattern: original)
            if copies.values.contains(key) { return key }
            if let known = copies[key] { return known }
            let made = UInt(bitPattern: copy(original))
            copies[key] = made
            return made
        }
        // Addresses of tables made below: never nil.
        return UnsafeMutablePointer(bitPattern: address)!
    }

    private static func copy(_ original: UnsafePointer<sqlite3_io_methods>) -> UnsafeMutableRawPointer {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: size + MemoryLayout<UInt>.size, alignment: MemoryLayout<sqlite3_io_methods>.alignment)
        var methods = original.pointee
        // Version 3 added memory mapping, which would read pages past these functions.
        methods.iVersion = min(methods.iVersion, 2)
        methods.xRead = { file, target, count, offset in
            CheckedMethods.read(file, target, Int(count), Int(offset))
        }
        methods.xWrite = { file, source, count, offset in
            CheckedMethods.write(file, source, Int(count), Int(offset))
        }
        memory.initializeMemory(as: sqlite3_io_methods.self, to: methods)
        memory.storeBytes(of: UInt(bitPattern: original), toByteOffset: size, as: UInt.self)
        return memory
    }

    private static func original(of file: UnsafeMutablePointer<sqlite3_file>) -> UnsafePointer<sqlite3_io_methods>? {
        guard let table = UnsafeRawPointer(file.pointee.pMethods) else { return nil }
        return UnsafePointer(bitPattern: table.load(fromByteOffset: size, as: UInt.self))
    }

    /// Reads of less than 512 bytes are glances at the header, which is checked with the rest of page 1.
    private static func read(
        _ file: UnsafeMutablePointer<sqlite3_file>?, _ target: UnsafeMutableRawPointer?, _ count: Int, _ offset: Int
    ) -> Int32 {
        guard let file, let target, let next = original(of: file)?.pointee.xRead else { return SQLITE_IOERR_READ }
        let pageBytes = PageChecksums.pageBytes
        if count < 512 { return next(file, target, Int32(count), Int64(offset)) }
        let start = offset / pageBytes * pageBytes
        guard offset + count <= start + pageBytes else { return Fault.checksumResult }
        if count == pageBytes {
            let result = next(file, target, Int32(count), Int64(offset))
            guard result == SQLITE_OK else { return result }
            return PageChecksums.matches(UnsafeRawBufferPointer(start: target, count: count))
                ? SQLITE_OK : Fault.checksumResult
        }
        // A part of a page: the whole of it is read and checked.
        return withUnsafeTemporaryAllocation(byteCount: pageBytes, alignment: 8) { page in
            let result = next(file, page.baseAddress, Int32(pageBytes), Int64(start))
            guard result == SQLITE_OK else { return result }
            guard PageChecksums.matches(UnsafeRawBufferPointer(page)) else { return Fault.checksumResult }
            target.copyMemory(from: page.baseAddress! + (offset - start), byteCount: count)
            return SQLITE_OK
        }
    }

    private static func write(
        _ file: UnsafeMutablePointer<sqlite3_file>?, _ source: UnsafeRawPointer?, _ count: Int, _ offset: Int
    ) -> Int32 {
        guard let file, let source, let next = original(of: file)?.pointee.xWrite else { return SQLITE_IOERR_WRITE }
        let pageBytes = PageChecksums.pageBytes
        guard count == pageBytes, offset % pageBytes == 0 else {
            return next(file, source, Int32(count), Int64(offset))
        }
        // A copy: the page belongs to SQLite, and in the log it has no sum.
        return withUnsafeTemporaryAllocation(byteCount: pageBytes, alignment: 8) { page in
            page.copyMemory(from: UnsafeRawBufferPointer(start: source, count: count))
            PageChecksums.seal(page)
            return next(file, page.baseAddress, Int32(count), Int64(offset))
        }
    }
}

/// SQLite's extended result codes are expressions in C that Swift does not import.
private let SQLITE_IOERR_READ: Int32 = SQLITE_IOERR | (1 << 8)
private let SQLITE_IOERR_WRITE: Int32 = SQLITE_IOERR | (3 << 8)
