// Opening the connection of a statement, preparing and binding it.

import EventStoreCore
import GRDBSQLite

extension SQLiteRun {
    /// SQLite stops at 2,000 columns; ten are left to the fixed ones.
    static let attributesMax = 1990

    /// The attributes that can be columns: once each, and not those hidden by a fixed column of the same name.
    static func declarable(_ attributes: [String]) throws(Fault) -> [String] {
        var names: [String] = []
        var known: [String: String] = [:]
        let fixed = Set(FixedColumn.allCases.map(\.rawValue))
        for name in attributes {
            let key = String(decoding: name.utf8.map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 }, as: UTF8.self)
            if fixed.contains(key) || known[key] == name { continue }
            if let other = known[key] {
                throw Fault(
                    .invalid,
                    "the attributes \(other) and \(name) differ in case alone, which SQL's names do not tell apart; "
                        + "write attributes->>'\(name)' for one of them")
            }
            known[key] = name
            names.append(name)
        }
        guard names.count <= attributesMax else {
            throw Fault(
                .limit,
                "the statement mentions \(names.count) attributes; SQLite takes \(attributesMax), use attributes->>'name'"
            )
        }
        return names
    }

    static func open(_ context: SQLiteContext) throws(Fault) -> OpaquePointer {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(":memory:", &handle, flags, nil)
        guard code == SQLITE_OK, let connection = handle else {
            sqlite3_close_v2(handle)
            throw Fault(.limit, "SQLite could not open a database in memory (code \(code))")
        }
        do throws(Fault) {
            try SQLiteSandbox.close(connection, context)
            var result = SQLiteFunctions.register(on: connection, context)
            let events = EventSource(context.table, attributes: context.attributes)
            let sources: [any RowSource] = [events] + SmallTable.allCases.map { SmallSource($0, context.table) }
            for source in sources where result == SQLITE_OK {
                result = SQLiteModule.register(source, context, on: connection)
            }
            guard result == SQLITE_OK else { throw SQLiteFault.of(connection, context, text: "") }
            try SQLiteSandbox.lock(connection, context)
            return connection
        } catch {
            sqlite3_close_v2(connection)
            throw error
        }
    }

    /// The one statement of the text.
    static func prepare(
        _ text: String, on connection: OpaquePointer, _ context: SQLiteContext, isPlan: Bool = false
    ) throws(Fault) -> OpaquePointer {
        guard !text.utf8.contains(0) else { throw Fault(.invalid, "the statement holds a NUL character") }
        var text = text
        var statement: OpaquePointer?
        var isAlone = true
        let code = text.withUTF8 { bytes in
            let start = UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
            var tail: UnsafePointer<CChar>?
            let code = sqlite3_prepare_v3(connection, start, Int32(clamping: bytes.count), 0, &statement, &tail)
            if code == SQLITE_OK, let start, let tail {
                isAlone = isEmpty(tail, bytes.count - (tail - start), connection)
            }
            return code
        }
        guard code == SQLITE_OK else { throw SQLiteFault.of(connection, context, text: text) }
        guard let statement else { throw Fault(.invalid, "there is no statement in the text") }
        guard isAlone else {
            sqlite3_finalize(statement)
            throw Fault(.invalid, "a query is one statement; after its end there is another")
        }
        guard isPlan || sqlite3_stmt_isexplain(statement) == 0, sqlite3_column_count(statement) > 0 else {
            sqlite3_finalize(statement)
            throw Fault(.invalid, "a query is a SELECT over events, entities and segments")
        }
        return statement
    }

    /// Whether nothing but blanks, comments and semicolons is left.
    private static func isEmpty(_ tail: UnsafePointer<CChar>, _ count: Int, _ connection: OpaquePointer) -> Bool {
        var rest: UnsafePointer<CChar>? = tail
        var left = count
        while left > 0, let start = rest {
            var statement: OpaquePointer?
            var end: UnsafePointer<CChar>?
            let code = sqlite3_prepare_v3(connection, start, Int32(clamping: left), 0, &statement, &end)
            sqlite3_finalize(statement)
            guard code == SQLITE_OK, statement == nil, let end, end > start else {
                return code == SQLITE_OK && statement == nil
            }
            left -= end - start
            rest = end
        }
        return true
    }

    static func bind(_ parameters: [String: SQLValue], to statement: OpaquePointer) throws(Fault) {
        for index in 0..<sqlite3_bind_parameter_count(statement) {
            guard let chars = sqlite3_bind_parameter_name(statement, index + 1) else {
                throw Fault(.invalid, "parameters have names: write :name in place of ?")
            }
            let name = String(cString: chars)
            guard !name.hasPrefix("?") else {
                throw Fault(.invalid, "parameters have names: write :name in place of \(name)")
            }
            guard let value = parameters[String(name.dropFirst())] ?? parameters[name] else {
                throw Fault(.invalid, "the parameter \(name) has no value")
            }
            guard value.bind(to: statement, index + 1) == SQLITE_OK else {
                throw Fault(.limit, "the value of the parameter \(name) is too long")
            }
        }
    }

    static func columns(of statement: OpaquePointer, _ traits: StatementTraits) -> [(name: String, isTime: Bool)] {
        (0..<sqlite3_column_count(statement)).map { index in
            let name = sqlite3_column_name(statement, index).map { String(cString: $0) } ?? ""
            let table = sqlite3_column_table_name(statement, index).map { String(cString: $0) } ?? ""
            let origin = sqlite3_column_origin_name(statement, index).map { String(cString: $0) } ?? ""
            guard origin.isEmpty else { return (name, timeColumns[table]?.contains(origin) ?? false) }
            return (name, traits.timeNames.contains(name.lowercased()) || StatementTraits.isTime(expression: name))
        }
    }

    private static let timeColumns: [String: Set<String>] = [
        "events": ["timestamp", "received"], "entities": ["first", "last"],
        "segments": ["first", "last", "partition_start"],
    ]
}
