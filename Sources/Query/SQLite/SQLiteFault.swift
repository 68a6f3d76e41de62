// SQLite's errors as faults: its message in plain words, with line and column where SQLite knows them.

import EventStoreCore
import GRDBSQLite

enum SQLiteFault {
    /// The error the connection is in. What a callback met comes first: SQLite has only its text.
    static func of(_ connection: OpaquePointer, _ context: SQLiteContext?, text: String) -> Fault {
        if let fault = context?.fault { return fault }
        let code = sqlite3_errcode(connection)
        let message = sqlite3_errmsg(connection).map { String(cString: $0) } ?? "an error of SQLite"
        switch code {
        case SQLITE_INTERRUPT: return SQLiteContext.cancelled
        case SQLITE_NOMEM, SQLITE_TOOBIG:
            return context?.beyondBudget ?? Fault(.limit, "SQLite is out of memory")
        case SQLITE_AUTH:
            return Fault(.invalid, context?.refusal ?? "the statement is refused: only SELECT is allowed")
        default:
            // A refused column makes a plain error, too.
            let plain = message.hasSuffix("is prohibited") ? context?.refusal ?? message : explained(message)
            return Fault(.invalid, place(Int(sqlite3_error_offset(connection)), in: text) + plain)
        }
    }

    private static func explained(_ message: String) -> String {
        if message.hasPrefix("no such table: ") { return message + "; there are events, entities and segments" }
        for name in ["first", "last"] where message == "wrong number of arguments to function \(name)()" {
            return "in a statement with joins, windows or sub-queries write \(name)(x, timestamp, sequence)"
        }
        if message.contains("not authorized to use function") { return message.replacingPrefix }
        return message
    }

    /// `line 2, column 14: `, counted in characters from 1.
    static func place(_ offset: Int, in text: String) -> String {
        let bytes = text.utf8
        guard offset >= 0, offset <= bytes.count else { return "" }
        let before = String(decoding: bytes.prefix(offset), as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        return "line \(before.count), column \((before.last?.count ?? 0) + 1): "
    }
}

extension String {
    fileprivate var replacingPrefix: String {
        let prefix = "not authorized to use function: "
        return hasPrefix(prefix) ? "the function \(dropFirst(prefix.count)) is not available" : self
    }
}
