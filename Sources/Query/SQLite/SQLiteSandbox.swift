// What a statement may do: read three tables, and call functions of a list. Everything else is refused.
//
// The database is in memory and empty; SQLite asks before each action (sqlite.org/c3ref/set_authorizer.html) and is
// told no, but for SELECT. Virtual tables of others are dropped from the connection. Text in double quotes is a name,
// never a string. Bounded: the length of a text, value and program, the depth of expressions and compound SELECTs by
// `sqlite3_limit`; memory by the progress handler (`SQLiteContext.mayGoOn`), about every thousand steps. Temporary
// tables and sorters stay in memory, so that nothing of the events reaches the disk in the clear.

import EventStoreCore
import GRDBSQLite

enum SQLiteSandbox {
    static func close(_ connection: OpaquePointer, _ context: SQLiteContext) throws(Fault) {
        _disableDoubleQuotedStringLiterals(connection)
        let settings = "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON"
        guard sqlite3_exec(connection, settings, nil, nil, nil) == SQLITE_OK else {
            throw SQLiteFault.of(connection, context, text: "")
        }
        limit(connection, memoryLimit: context.memoryLimit)
        dropModules(connection)
    }

    /// From here on only what is allowed is done. The tables are connected before, because a module declares its
    /// columns by what looks like a change of the schema.
    static func lock(_ connection: OpaquePointer, _ context: SQLiteContext) throws(Fault) {
        context.isConnecting = true
        for table in tables {
            var statement: OpaquePointer?
            let code = sqlite3_prepare_v2(connection, "SELECT 1 FROM \(table)", -1, &statement, nil)
            sqlite3_finalize(statement)
            guard code == SQLITE_OK else { throw SQLiteFault.of(connection, context, text: "") }
        }
        context.isConnecting = false
        let pointer = Unmanaged.passUnretained(context).toOpaque()
        sqlite3_set_authorizer(connection, authorize, pointer)
        sqlite3_progress_handler(connection, 1000, goOn, pointer)
    }

    private static func limit(_ connection: OpaquePointer, memoryLimit: Int) {
        let limits: [(Int32, Int32)] = [
            (SQLITE_LIMIT_LENGTH, Int32(clamping: min(max(memoryLimit, 1 << 20), 1_000_000_000))),
            (SQLITE_LIMIT_SQL_LENGTH, 1 << 20), (SQLITE_LIMIT_COLUMN, 2000), (SQLITE_LIMIT_EXPR_DEPTH, 500),
            (SQLITE_LIMIT_COMPOUND_SELECT, 100), (SQLITE_LIMIT_VDBE_OP, 1_000_000), (SQLITE_LIMIT_FUNCTION_ARG, 100),
            (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50_000),
            (SQLITE_LIMIT_VARIABLE_NUMBER, 10_000), (SQLITE_LIMIT_TRIGGER_DEPTH, 1), (SQLITE_LIMIT_WORKER_THREADS, 0),
        ]
        for (kind, value) in limits { sqlite3_limit(connection, kind, value) }
    }

    /// Full-text search, R-trees and what else the library brings: only the JSON tables stay.
    private static func dropModules(_ connection: OpaquePointer) {
        "json_each".withCString { each in
            "json_tree".withCString { tree in
                var kept: [UnsafePointer<CChar>?] = [each, tree, nil]
                _ = kept.withUnsafeMutableBufferPointer { sqlite3_drop_modules(connection, $0.baseAddress) }
            }
        }
    }

    static let tables: Set<String> = ["events", "entities", "segments", "json_each", "json_tree"]

    /// SQLite's functions that neither reach outside nor tell of the library, and this store's.
    static let functions: Set<String> = Set(
        """
        abs avg changes char coalesce concat concat_ws count cume_dist date datetime dense_rank first first_value format
        glob group_concat hex ifnull iif instr iso json json_array json_array_length json_extract json_group_array
        json_group_object json_insert json_object json_patch json_quote json_remove json_replace json_set json_type
        json_valid julianday lag last last_value lead length like likelihood likely lower ltrim max min nth_value ntile
        nullif percent_rank printf quantile quote random rank replace round row_number rtrim sign strftime string_agg
        substr substring sum time time_bucket date_trunc timediff total trim typeof unhex unicode unixepoch unlikely upper
        acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow
        power radians sin sinh sqrt tan tanh trunc -> ->>
        """.split(whereSeparator: \.isWhitespace).map(String.init))

    // MARK: Decisions

    /// `nil` when the action is allowed, else why not.
    fileprivate static func refusal(_ action: Int32, _ first: String, _ second: String) -> String? {
        switch action {
        case SQLITE_SELECT, SQLITE_RECURSIVE: return nil
        case SQLITE_READ:
            let name = first.lowercased()
            if tables.contains(name) { return nil }
            // Without a column the name may be that of a common table expression, of which no rows are read.
            if second.isEmpty, !name.hasPrefix("sqlite_"), !name.hasPrefix("pragma_") { return nil }
            return "there is no table \(first) to read; there are events, entities and segments"
        case SQLITE_FUNCTION:
            return functions.contains(second.lowercased()) ? nil : "the function \(second) is not available"
        case SQLITE_ATTACH, SQLITE_DETACH: return refused("ATTACH and DETACH")
        case SQLITE_PRAGMA: return refused("PRAGMA \(first)")
        case SQLITE_TRANSACTION, SQLITE_SAVEPOINT: return refused("a transaction")
        case SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE: return refused("a change")
        case SQLITE_ANALYZE, SQLITE_REINDEX: return refused("maintenance")
        default: return refused("CREATE, ALTER and DROP")
        }
    }

    private static func refused(_ what: String) -> String {
        "\(what) is refused: a query is one SELECT over events, entities and segments"
    }
}

private let authorize:
    @convention(c) (
        UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, UnsafePointer<CChar>?, UnsafePointer<CChar>?,
        UnsafePointer<CChar>?
    ) -> Int32 = { pointer, action, first, second, _, _ in
        guard let pointer else { return SQLITE_DENY }
        let context = Unmanaged<SQLiteContext>.fromOpaque(pointer).takeUnretainedValue()
        let (first, second) = (first.map { String(cString: $0) } ?? "", second.map { String(cString: $0) } ?? "")
        if let refusal = SQLiteSandbox.refusal(action, first, second) {
            if context.refusal == nil { context.refusal = refusal }
            return SQLITE_DENY
        }
        if action == SQLITE_READ, first.lowercased() == "events" { context.attributesRead.insert(second.lowercased()) }
        return SQLITE_OK
    }

private let goOn: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { pointer in
    guard let pointer else { return 1 }
    return Unmanaged<SQLiteContext>.fromOpaque(pointer)._withUnsafeGuaranteedRef { $0.mayGoOn() ? 0 : 1 }
}
