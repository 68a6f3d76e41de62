// Values to and from SQLite's C API.

import EventStoreCore
import GRDBSQLite

extension SQLValue {
    /// A value SQLite passed; `nil` for a BLOB, which this store does not have.
    init?(_ value: OpaquePointer?) {
        switch sqlite3_value_type(value) {
        case SQLITE_NULL: self = .null
        case SQLITE_INTEGER: self = .integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: self = .double(sqlite3_value_double(value))
        case SQLITE_TEXT:
            let start = sqlite3_value_text(value)
            let count = Int(sqlite3_value_bytes(value))
            self = .text(Text(UnsafeRawBufferPointer(start: start, count: count)))
        default: return nil
        }
    }

    /// The right side of a constraint; `nil` also for text that is no UTF-8. SQLite makes such bounds itself: for
    /// `x GLOB 'a*'` it asks for text below 'b', the last byte counted up, whatever that byte is part of.
    init?(bound value: OpaquePointer?) {
        self.init(value)
        guard case .text(let text) = self, let start = sqlite3_value_text(value) else { return }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_value_bytes(value)))
        if text.withBytes({ Text.order($0, bytes) }) != 0 { return nil }
    }

    /// The same after numeric affinity: text that is a number becomes one. The value itself is left alone.
    init?(numeric value: OpaquePointer?) {
        guard sqlite3_value_type(value) == SQLITE_TEXT, let copy = sqlite3_value_dup(value) else {
            self.init(value)
            return
        }
        defer { sqlite3_value_free(copy) }
        _ = sqlite3_value_numeric_type(copy)
        self.init(copy)
    }

    /// A column of the current row of a statement; `nil` for a BLOB.
    init?(column: Int32, of statement: OpaquePointer) {
        switch sqlite3_column_type(statement, column) {
        case SQLITE_NULL: self = .null
        case SQLITE_INTEGER: self = .integer(sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: self = .double(sqlite3_column_double(statement, column))
        case SQLITE_TEXT:
            let start = sqlite3_column_text(statement, column)
            let count = Int(sqlite3_column_bytes(statement, column))
            self = .text(Text(UnsafeRawBufferPointer(start: start, count: count)))
        default: return nil
        }
    }

    /// Gives the value as a function's or a column's result. Text is copied by SQLite.
    func give(to context: OpaquePointer?) {
        switch self {
        case .null: sqlite3_result_null(context)
        case .integer(let number): sqlite3_result_int64(context, number)
        case .double(let number): sqlite3_result_double(context, number)
        case .text(let text):
            text.withBytes { bytes in
                sqlite3_result_text64(
                    context, bytes.chars, UInt64(bytes.count), SQLiteCopy.transient, UInt8(SQLITE_UTF8))
            }
        }
    }

    /// Binds the value to a parameter of a statement.
    func bind(to statement: OpaquePointer, _ index: Int32) -> Int32 {
        switch self {
        case .null: sqlite3_bind_null(statement, index)
        case .integer(let number): sqlite3_bind_int64(statement, index, number)
        case .double(let number): sqlite3_bind_double(statement, index, number)
        case .text(let text):
            text.withBytes { bytes in
                sqlite3_bind_text64(
                    statement, index, bytes.chars, UInt64(bytes.count), SQLiteCopy.transient, UInt8(SQLITE_UTF8))
            }
        }
    }

    /// About what the value takes in memory.
    var footprint: Int {
        if case .text(let text) = self, text.string.utf8.count > 15 {
            return MemoryLayout<SQLValue>.stride + 32 + text.string.utf8.count
        }
        return MemoryLayout<SQLValue>.stride
    }
}

enum SQLiteCopy {
    /// `SQLITE_TRANSIENT`, a macro that Swift does not see: SQLite copies the bytes.
    static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}

extension UnsafeRawBufferPointer {
    /// The bytes as C text; never `nil`, which SQLite would take for NULL.
    fileprivate var chars: UnsafePointer<CChar> {
        baseAddress?.assumingMemoryBound(to: CChar.self) ?? Self.empty
    }

    /// One zero byte, never written after this.
    private nonisolated(unsafe) static let empty: UnsafePointer<CChar> = {
        let byte = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        byte.initialize(to: 0)
        return UnsafePointer(byte)
    }()
}

/// A copy of a text that SQLite frees.
func sqliteText(_ text: String) -> UnsafeMutablePointer<CChar>? {
    let chars = text.utf8CString
    guard let memory = sqlite3_malloc64(UInt64(chars.count)) else { return nil }
    chars.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    return memory.assumingMemoryBound(to: CChar.self)
}
