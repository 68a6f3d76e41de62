// An SQLite database that carries events to other programs and back: a table `events` with a typed column for each
// attribute and kind, a table `event_columns` that says which column is which attribute, a table `export_info`.
//
// SQLite keeps no sign of a zero in a column of type DOUBLE: -0.0 stands there as the 8 bytes of its IEEE 754 form, which
// no affinity touches.

import EventStoreCore
import GRDBSQLite

/// A column of an attribute.
package struct ExchangeColumn: Sendable {
    package var name: String
    package var attribute: String
    package var kind: ValueKind

    package init(name: String, attribute: String, kind: ValueKind) {
        self.name = name
        self.attribute = attribute
        self.kind = kind
    }
}

enum ExchangeFile {
    static let fixed = ["id", "entity", "type", "timestamp", "sequence", "received"]
    /// SQLite's own limit, as it is compiled everywhere.
    static let columnsMax = 2000
    /// "EvSx": tells such files from other databases.
    static let applicationID = 0x4576_5378

    static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    static func open(_ path: String, _ flags: Int32) throws(Fault) -> OpaquePointer {
        var connection: OpaquePointer?
        let result = sqlite3_open_v2(path, &connection, flags | SQLITE_OPEN_EXRESCODE, nil)
        guard result == SQLITE_OK, let connection else {
            let text = connection.map { String(cString: sqlite3_errmsg($0)) } ?? "not enough memory"
            sqlite3_close_v2(connection)
            throw fault(result, text, path)
        }
        return connection
    }

    static func run(_ connection: OpaquePointer, _ sql: String, _ path: String) throws(Fault) {
        let result = sqlite3_exec(connection, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw fault(result, String(cString: sqlite3_errmsg(connection)), path) }
    }

    static func prepare(_ connection: OpaquePointer, _ sql: String, _ path: String) throws(Fault) -> OpaquePointer {
        var statement: OpaquePointer?
        let result = sqlite3_prepare_v2(connection, sql, -1, &statement, nil)
        guard result == SQLITE_OK, let statement else {
            throw fault(result, String(cString: sqlite3_errmsg(connection)), path)
        }
        return statement
    }

    static func fault(_ result: Int32, _ text: String, _ path: String) -> Fault {
        var fault = Fault(
            Fault.code(ofResult: result), "the SQLite file cannot be read or written", at: .init(file: path))
        fault.cause = "SQLite \(result): \(text)"
        return fault
    }
}

/// Writes such a file. One user at a time.
///
/// `@unchecked Sendable`: whoever hands it to another thread does so through a lock.
package final class ExchangeFileWriter: @unchecked Sendable {
    private let path: String
    private let connection: OpaquePointer
    private var insert: OpaquePointer?

    /// - Parameter path: an empty file.
    /// - Throws: `limit` for more columns than SQLite has.
    package init(_ path: String, _ columns: [ExchangeColumn], info: [(name: String, value: String)]) throws(Fault) {
        guard columns.count + ExchangeFile.fixed.count <= ExchangeFile.columnsMax else {
            throw Fault(
                .limit,
                "a table of SQLite has at most \(ExchangeFile.columnsMax) columns, and these events have "
                    + "\(columns.count) attributes; export to ndjson or parquet, or filter by entity or type")
        }
        self.path = path
        connection = try ExchangeFile.open(path, SQLITE_OPEN_READWRITE)
        do throws(Fault) {
            try create(columns, info)
        } catch {
            close()
            throw error
        }
    }

    deinit { close() }

    private func create(_ columns: [ExchangeColumn], _ info: [(name: String, value: String)]) throws(Fault) {
        // A file that is not whole is thrown away: it needs no journal. The caller syncs it at the end.
        try run(
            """
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
            PRAGMA application_id = \(ExchangeFile.applicationID); PRAGMA user_version = 1;
            BEGIN;
            CREATE TABLE export_info (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
            CREATE TABLE event_columns (place INTEGER PRIMARY KEY, name TEXT, attribute TEXT, kind TEXT);
            """)
        try fill("INSERT INTO export_info VALUES (?1, ?2)", info.map { [$0.name, $0.value] })
        try fill(
            "INSERT INTO event_columns (name, attribute, kind) VALUES (?1, ?2, ?3)",
            columns.map { [$0.name, $0.attribute, $0.kind.exchangeWord] })
        let attributes = columns.map { ExchangeFile.quoted($0.name) + " " + $0.kind.declared }
        let fixed = [
            "id TEXT NOT NULL", "entity TEXT NOT NULL", "type TEXT NOT NULL", "timestamp INTEGER NOT NULL",
            "sequence INTEGER NOT NULL", "received INTEGER NOT NULL",
        ]
        try run("CREATE TABLE events (\((fixed + attributes).joined(separator: ", ")))")
        let marks = Array(repeating: "?", count: fixed.count + columns.count).joined(separator: ",")
        insert = try ExchangeFile.prepare(connection, "INSERT INTO events VALUES (\(marks))", path)
    }

    private func run(_ sql: String) throws(Fault) { try ExchangeFile.run(connection, sql, path) }

    private func fill(_ sql: String, _ rows: [[String]]) throws(Fault) {
        let statement = try ExchangeFile.prepare(connection, sql, path)
        defer { sqlite3_finalize(statement) }
        for row in rows {
            for (place, text) in row.enumerated() {
                Array(text.utf8).withUnsafeBytes {
                    ExchangeFileWriter.bind(statement, Int32(place + 1), $0, copies: true)
                }
            }
            try step(statement)
        }
    }

    private func step(_ statement: OpaquePointer) throws(Fault) {
        let result = sqlite3_step(statement)
        guard result == SQLITE_DONE else {
            throw ExchangeFile.fault(result, String(cString: sqlite3_errmsg(connection)), path)
        }
        sqlite3_reset(statement)
    }

    private static func bind(
        _ statement: OpaquePointer, _ place: Int32, _ text: UnsafeRawBufferPointer, copies: Bool = false
    ) {
        let destructor = copies ? unsafeBitCast(-1, to: sqlite3_destructor_type.self) : nil
        guard let start = text.baseAddress, text.count > 0 else {
            sqlite3_bind_text(statement, place, "", 0, unsafeBitCast(-1, to: sqlite3_destructor_type.self))
            return
        }
        sqlite3_bind_text(
            statement, place, start.assumingMemoryBound(to: CChar.self), Int32(text.count), destructor)
    }

    /// - Parameters:
    ///   - entities, types: texts by the batch's codes.
    ///   - places: for each shape, the column of each cell; -1 for none.
    package func append(
        _ rows: RowBatch, entities: [[UInt8]], types: [[UInt8]], places: [[Int]]
    ) throws(Fault) {
        guard let insert else { return }
        var id = [UInt8](repeating: 0, count: 36)
        for row in 0..<rows.rowCount {
            sqlite3_clear_bindings(insert)
            let shape = Int(rows.shape[row])
            id.withUnsafeMutableBufferPointer { rows.id[row].write(to: $0.baseAddress!) }
            sqlite3_bind_int64(insert, 4, rows.timestamp[row])
            sqlite3_bind_int64(insert, 5, Int64(bitPattern: rows.sequence[row]))
            sqlite3_bind_int64(insert, 6, rows.received[row])
            let cells = rows.cells(ofRow: row)
            let columns = rows.shapes[shape].columns
            for (cell, place) in places[shape].enumerated() where place >= 0 {
                bind(insert, Int32(place + 7), columns[cell].kind, cells[cell], rows)
            }
            // The texts of a row stay where they are until it is inserted.
            try id.withBytes { (id) throws(Fault) in
                try entities[Int(rows.entity[row])].withBytes { (entity) throws(Fault) in
                    try types[Int(rows.shapes[shape].type)].withBytes { (type) throws(Fault) in
                        ExchangeFileWriter.bind(insert, 1, id)
                        ExchangeFileWriter.bind(insert, 2, entity)
                        ExchangeFileWriter.bind(insert, 3, type)
                        try step(insert)
                    }
                }
            }
        }
    }

    private func bind(_ insert: OpaquePointer, _ place: Int32, _ kind: ValueKind, _ cell: UInt64, _ rows: RowBatch) {
        switch kind {
        case .string, .json: ExchangeFileWriter.bind(insert, place, rows.strings.bytes(Int(cell)))
        case .integer, .bool: sqlite3_bind_int64(insert, place, Int64(bitPattern: cell))
        case .double:
            let value = Double(bitPattern: cell)
            guard value == 0, value.sign == .minus else {
                sqlite3_bind_double(insert, place, value)
                return
            }
            withUnsafeBytes(of: cell.bigEndian) { bytes in
                _ = sqlite3_bind_blob(
                    insert, place, bytes.baseAddress, 8, unsafeBitCast(-1, to: sqlite3_destructor_type.self))
            }
        }
    }

    /// Writes what is left and closes the file.
    package func finish() throws(Fault) {
        try run("COMMIT")
        close()
    }

    private var isClosed = false

    /// Without `finish` the file is of no use.
    package func close() {
        if isClosed { return }
        isClosed = true
        sqlite3_finalize(insert)
        sqlite3_close_v2(connection)
    }
}

/// Reads such a file row by row. Used by one thread. Nothing it says is trusted.
package final class ExchangeFileReader {
    package let columns: [ExchangeColumn]
    package let rowCount: Int
    private let path: String
    private let connection: OpaquePointer
    private let statement: OpaquePointer

    /// - Throws: `invalid` for a database that is no export.
    package init(_ path: String) throws(Fault) {
        self.path = path
        let connection = try ExchangeFile.open(path, SQLITE_OPEN_READONLY)
        do throws(Fault) {
            try ExchangeFile.run(connection, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", path)
            columns = try ExchangeFileReader.readColumns(connection, path)
            rowCount = try ExchangeFileReader.count(connection, path)
            let names = ExchangeFile.fixed + columns.map(\.name)
            // With the table before it a name can only be a column, never a text.
            let list = names.map { "events." + ExchangeFile.quoted($0) }.joined(separator: ", ")
            statement = try ExchangeFile.prepare(connection, "SELECT \(list) FROM events", path)
        } catch {
            sqlite3_close_v2(connection)
            throw error
        }
        self.connection = connection
    }

    deinit {
        sqlite3_finalize(statement)
        sqlite3_close_v2(connection)
    }

    private static func count(_ connection: OpaquePointer, _ path: String) throws(Fault) -> Int {
        let statement = try ExchangeFile.prepare(connection, "SELECT max(rowid) FROM events", path)
        defer { sqlite3_finalize(statement) }
        return sqlite3_step(statement) == SQLITE_ROW ? max(0, Int(sqlite3_column_int64(statement, 0))) : 0
    }

    private static func readColumns(_ connection: OpaquePointer, _ path: String) throws(Fault) -> [ExchangeColumn] {
        let isNone = Fault(
            .invalid, "this database is no export of events: it needs the tables events and event_columns",
            at: .init(file: path))
        let statement: OpaquePointer
        do throws(Fault) {
            statement = try ExchangeFile.prepare(
                connection, "SELECT name, attribute, kind FROM event_columns ORDER BY place", path)
        } catch {
            // SQLITE_ERROR: there is no such table.
            throw error.cause?.hasPrefix("SQLite \(SQLITE_ERROR):") == true ? isNone : error
        }
        defer { sqlite3_finalize(statement) }
        var columns: [ExchangeColumn] = []
        while true {
            let result = sqlite3_step(statement)
            guard result == SQLITE_ROW else {
                if result == SQLITE_DONE { return columns }
                throw ExchangeFile.fault(result, String(cString: sqlite3_errmsg(connection)), path)
            }
            let texts = (0..<3).map { String(decoding: bytes(statement, $0), as: UTF8.self) }
            guard let kind = ValueKind(exchangeWord: texts[2]) else { throw isNone }
            columns.append(ExchangeColumn(name: texts[0], attribute: texts[1], kind: kind))
            guard columns.count <= ExchangeFile.columnsMax else { throw isNone }
        }
    }

    // MARK: Rows

    /// Moves to the next row; false at the end.
    package func next() throws(Fault) -> Bool {
        let result = sqlite3_step(statement)
        if result == SQLITE_ROW { return true }
        if result == SQLITE_DONE { return false }
        throw ExchangeFile.fault(result, String(cString: sqlite3_errmsg(connection)), path)
    }

    package enum Storage: Sendable { case null, integer, double, text, blob }

    /// How the current row's value is stored. Columns 0 to 5 are the fixed ones, attributes follow.
    package func storage(_ column: Int) -> Storage {
        switch sqlite3_column_type(statement, Int32(column)) {
        case SQLITE_INTEGER: .integer
        case SQLITE_FLOAT: .double
        case SQLITE_TEXT: .text
        case SQLITE_BLOB: .blob
        default: .null
        }
    }

    package func integer(_ column: Int) -> Int64 { sqlite3_column_int64(statement, Int32(column)) }
    package func double(_ column: Int) -> Double { sqlite3_column_double(statement, Int32(column)) }
    /// Valid until the next row.
    package func bytes(_ column: Int) -> UnsafeRawBufferPointer { ExchangeFileReader.bytes(statement, Int32(column)) }

    private static func bytes(_ statement: OpaquePointer, _ column: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(statement, column)
        let count = Int(sqlite3_column_bytes(statement, column))
        return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)
    }
}

extension ValueKind {
    fileprivate var declared: String {
        switch self {
        case .string: "TEXT"
        case .integer: "INTEGER"
        case .double: "DOUBLE"
        case .bool: "BOOLEAN"
        case .json: "TEXT"
        }
    }

    fileprivate var exchangeWord: String {
        switch self {
        case .string: "string"
        case .integer: "integer"
        case .double: "double"
        case .bool: "bool"
        case .json: "json"
        }
    }

    fileprivate init?(exchangeWord word: String) {
        guard let kind = [ValueKind.string, .integer, .double, .bool, .json].first(where: { $0.exchangeWord == word })
        else { return nil }
        self = kind
    }
}
