// The few calls of SQLite's C interface that the reference needs.

import EventStore
import GRDBSQLite

struct SQLiteError: Error, CustomStringConvertible {
    let description: String
}

/// A private database in memory. One thread at a time.
final class SQLiteConnection {
    let handle: OpaquePointer

    init() throws {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2(":memory:", &handle, flags, nil) == SQLITE_OK, let handle else {
            throw SQLiteError(description: "no database in memory")
        }
        self.handle = handle
        // A name nobody knows is an error, not text.
        _disableDoubleQuotedStringLiterals(handle)
    }

    deinit { sqlite3_close_v2(handle) }

    func execute(_ sql: String) throws {
        if sqlite3_exec(handle, sql, nil, nil, nil) != SQLITE_OK { throw lastError }
    }

    func prepare(_ sql: String) throws -> SQLiteStatement {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, let statement else { throw lastError }
        return SQLiteStatement(statement, of: self)
    }

    /// All rows of a query.
    func rows(_ sql: String) throws -> [[Cell]] {
        let statement = try prepare(sql)
        var rows: [[Cell]] = []
        while try statement.step() { rows.append(statement.row()) }
        return rows
    }

    var lastError: SQLiteError { SQLiteError(description: String(cString: sqlite3_errmsg(handle))) }
}

/// A prepared statement; finalised when let go.
final class SQLiteStatement {
    private let handle: OpaquePointer
    private let connection: SQLiteConnection
    let columnCount: Int

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
        columnCount = Int(sqlite3_column_count(handle))
    }

    deinit { sqlite3_finalize(handle) }

    func step() throws -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw connection.lastError
        }
    }

    func reset() { sqlite3_reset(handle) }

    func bind(_ cell: Cell, at index: Int) {
        let index = Int32(index + 1)
        switch cell {
        case .null: sqlite3_bind_null(handle, index)
        case .integer(let number): sqlite3_bind_int64(handle, index, number)
        case .real(let number): sqlite3_bind_double(handle, index, number)
        case .text(var text):
            text.withUTF8 {
                $0.withMemoryRebound(to: CChar.self) {
                    guard let start = $0.baseAddress else {
                        sqlite3_bind_text(handle, index, "", 0, copied)
                        return
                    }
                    sqlite3_bind_text(handle, index, start, Int32($0.count), copied)
                }
            }
        }
    }

    func row() -> [Cell] { (0..<columnCount).map(value) }

    func value(_ column: Int) -> Cell {
        let column = Int32(column)
        switch sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, column))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, column))
        case SQLITE_TEXT:
            let bytes = UnsafeBufferPointer(
                start: sqlite3_column_text(handle, column), count: Int(sqlite3_column_bytes(handle, column)))
            return .text(String(decoding: bytes, as: UTF8.self))
        default: return .null
        }
    }

    func columnName(_ column: Int) -> String {
        sqlite3_column_name(handle, Int32(column)).map(String.init(cString:)) ?? ""
    }
}

/// SQLite's way of saying that it is to copy the bytes.
let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
