// A prepared statement in use: values are bound and read through SQLite's C API, because boxing every
// column would cost more than the look-up.

import EventStoreCore
import GRDB
import GRDBSQLite

/// One execution of a cached statement, reset when it goes away. Confined to the access of its connection.
struct SQLRun: ~Copyable {
    private let owner: Statement
    private let handle: OpaquePointer
    private var bound: Int32 = 0

    init(_ database: Database, _ sql: String) throws(Fault) {
        do {
            owner = try database.cachedStatement(sql: sql)
        } catch let error as DatabaseError {
            throw .sqlite(error.extendedResultCode.rawValue, error.message ?? "")
        } catch {
            throw Fault(.io, "a statement could not be prepared", cause: error)
        }
        handle = owner.sqliteStatement
    }

    deinit { sqlite3_reset(handle) }

    // MARK: Binding, in order

    mutating func bind(_ value: Int64) {
        bound += 1
        sqlite3_bind_int64(handle, bound, value)
    }

    mutating func bind(_ value: Int) { bind(Int64(value)) }
    mutating func bind(_ value: UInt32) { bind(Int64(value)) }
    mutating func bind(_ value: Int32) { bind(Int64(value)) }
    mutating func bind(_ value: UInt64) { bind(Int64(bitPattern: value)) }

    mutating func bind(_ value: [UInt8]) {
        bound += 1
        if value.isEmpty {
            sqlite3_bind_zeroblob(handle, bound, 0)
        } else {
            _ = value.withUnsafeBytes { bytes in
                sqlite3_bind_blob64(handle, bound, bytes.baseAddress, UInt64(bytes.count), Self.copied)
            }
        }
    }

    mutating func bind(optional value: [UInt8]?) {
        if let value { bind(value) } else { bindNull() }
    }

    mutating func bind(optional value: UInt64?) {
        if let value { bind(value) } else { bindNull() }
    }

    private mutating func bindNull() {
        bound += 1
        sqlite3_bind_null(handle, bound)
    }

    mutating func bind(_ value: String) {
        bound += 1
        var text = value
        text.withUTF8 { bytes in
            let start = UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
            _ = sqlite3_bind_text(handle, bound, start, Int32(bytes.count), Self.copied)
        }
    }

    // MARK: Running

    /// True when a row is there to be read.
    mutating func step() throws(Fault) -> Bool {
        let result = sqlite3_step(handle)
        if result == SQLITE_ROW { return true }
        if result == SQLITE_DONE { return false }
        let connection = sqlite3_db_handle(handle)
        let extended = sqlite3_extended_errcode(connection)
        throw .sqlite(extended & 0xff == result & 0xff ? extended : result, String(cString: sqlite3_errmsg(connection)))
    }

    /// Runs a statement that gives no rows and readies it for the next values.
    mutating func run() throws(Fault) {
        while try step() {}
        rewind()
    }

    mutating func rewind() {
        sqlite3_reset(handle)
        bound = 0
    }

    /// Rows the last run changed.
    var changed: Int { Int(sqlite3_changes(sqlite3_db_handle(handle))) }

    // MARK: Columns of the current row

    func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
    func uint64(_ column: Int32) -> UInt64 { UInt64(bitPattern: int64(column)) }
    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// An integer that must fit `T`: anything else is damage.
    func number<T: FixedWidthInteger>(_ column: Int32, as type: T.Type = T.self) throws(Fault) -> T {
        guard let value = T(exactly: int64(column)) else { throw Self.outOfRange }
        return value
    }

    /// A count or length: not negative.
    func count(_ column: Int32) throws(Fault) -> Int {
        guard let value = Int(exactly: int64(column)), value >= 0 else { throw Self.outOfRange }
        return value
    }

    func text(_ column: Int32) -> String {
        guard let start = sqlite3_column_text(handle, column) else { return "" }
        let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
        return String(decoding: bytes, as: UTF8.self)
    }

    func blob(_ column: Int32) -> [UInt8] {
        withBlob(column) { bytes in [UInt8](bytes) }
    }

    /// The bytes of a column, valid inside `body` alone.
    func withBlob<T, E: Error>(_ column: Int32, _ body: (UnsafeRawBufferPointer) throws(E) -> T) throws(E) -> T {
        let start = sqlite3_column_blob(handle, column)
        let length = Int(sqlite3_column_bytes(handle, column))
        return try body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : length))
    }

    private static var outOfRange: Fault { Fault(.damaged, "a number in the catalog is out of range") }

    /// SQLITE_TRANSIENT: SQLite copies the bytes before the call returns.
    private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
