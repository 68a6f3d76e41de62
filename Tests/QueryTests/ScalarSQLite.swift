// The real SQLite, for tests that compare with it: a table of awkward rows, and expressions as SQL with bound values.

import EventStoreCore
import GRDBSQLite

@testable import EventStoreQuery

struct SQLiteProblem: Error { var message: String }

/// An SQLite database in memory. One thread.
final class SQLiteOracle {
    /// The columns of table t: one of each affinity, two without a type as attributes are.
    static let columns: [(name: String, type: String, affinity: Affinity)] = [
        ("a", "", .blob), ("b", "", .blob), ("t", "TEXT", .text), ("i", "INTEGER", .integer),
        ("n", "NUMERIC", .numeric), ("r", "REAL", .real),
    ]
    private var database: OpaquePointer?

    init() throws {
        guard sqlite3_open(":memory:", &database) == SQLITE_OK else { throw problem() }
        let columns = Self.columns.map { "\($0.name) \($0.type)" }.joined(separator: ", ")
        _ = try rows("CREATE TABLE t(\(columns))", [])
    }

    deinit { sqlite3_close(database) }

    private func problem() -> SQLiteProblem { SQLiteProblem(message: String(cString: sqlite3_errmsg(database))) }

    func insert(_ values: [SQLValue]) throws {
        let marks = values.map { _ in "?" }.joined(separator: ", ")
        _ = try rows("INSERT INTO t VALUES(\(marks))", values)
    }

    /// All rows of a statement.
    func rows(_ sql: String, _ parameters: [SQLValue]) throws -> [[SQLValue]] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK else { throw problem() }
        defer { sqlite3_finalize(statement) }
        for (index, value) in parameters.enumerated() { bind(statement, Int32(index + 1), value) }
        var rows: [[SQLValue]] = []
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: rows.append((0..<sqlite3_column_count(statement)).map { column(statement, $0) })
            case SQLITE_DONE: return rows
            default: throw problem()
            }
        }
    }

    private func bind(_ statement: OpaquePointer?, _ index: Int32, _ value: SQLValue) {
        switch value {
        case .null: sqlite3_bind_null(statement, index)
        case .integer(let number): sqlite3_bind_int64(statement, index, number)
        case .double(let number): sqlite3_bind_double(statement, index, number)
        case .text(let text):
            let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
            text.withBytes { bytes in
                let characters = bytes.bindMemory(to: CChar.self).baseAddress
                if bytes.isEmpty {
                    sqlite3_bind_text(statement, index, "", 0, transient)
                } else {
                    sqlite3_bind_text(statement, index, characters, Int32(bytes.count), transient)
                }
            }
        }
    }

    private func column(_ statement: OpaquePointer?, _ index: Int32) -> SQLValue {
        switch sqlite3_column_type(statement, index) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, index))
        case SQLITE_FLOAT: return .double(sqlite3_column_double(statement, index))
        case SQLITE_NULL: return .null
        default:
            let bytes = sqlite3_column_text(statement, index)
            let count = Int(sqlite3_column_bytes(statement, index))
            return .text(Text(UnsafeRawBufferPointer(start: bytes, count: count)))
        }
    }
}

/// Writes expressions as SQL; literals become parameters.
struct SQLWriter {
    private(set) var parameters: [SQLValue] = []

    mutating func sql(_ expression: Expression) -> String {
        switch expression.node {
        case .literal(let value):
            parameters.append(value)
            return "?\(parameters.count)"
        case .slot(let index, _): return SQLiteOracle.columns[index].name
        case .column(let name): return "\(name)"
        case .aggregate: return "aggregate"
        case .unary(let operation, let operand):
            let sign =
                switch operation {
                case .plus: "+"
                case .negate: "- "
                case .not: "NOT "
                case .bitNot: "~"
                }
            return "(\(sign)\(sql(operand)))"
        case .binary(let operation, let left, let right):
            return "(\(sql(left)) \(Self.symbol(operation)) \(sql(right)))"
        case .isNull(let operand, let isNegated): return "(\(sql(operand)) IS \(isNegated ? "NOT " : "")NULL)"
        case .between(let value, let low, let high, let isNegated):
            return "(\(sql(value)) \(isNegated ? "NOT " : "")BETWEEN \(sql(low)) AND \(sql(high)))"
        case .inList(let value, let list, let isNegated):
            return "(\(sql(value)) \(isNegated ? "NOT " : "")IN (\(self.list(list))))"
        case .pattern(let kind, let value, let pattern, let escape, let isNegated):
            let name = kind == .like ? "LIKE" : "GLOB"
            let start = "(\(sql(value)) \(isNegated ? "NOT " : "")\(name) \(sql(pattern))"
            return start + (escape.map { " ESCAPE \(sql($0))" } ?? "") + ")"
        case .conditional(let operand, let clauses, let otherwise): return conditional(operand, clauses, otherwise)
        case .cast(let operand, let affinity): return "CAST(\(sql(operand)) AS \(affinity))"
        case .function(let function, let arguments): return "\(function.rawValue)(\(list(arguments)))"
        }
    }

    private mutating func list(_ expressions: [Expression]) -> String {
        var parts: [String] = []
        for expression in expressions { parts.append(sql(expression)) }
        return parts.joined(separator: ", ")
    }

    private mutating func conditional(
        _ operand: Expression?, _ clauses: [WhenClause], _ otherwise: Expression?
    ) -> String {
        var text = "CASE"
        if let operand { text += " " + sql(operand) }
        for clause in clauses { text += " WHEN \(sql(clause.condition)) THEN \(sql(clause.result))" }
        if let otherwise { text += " ELSE " + sql(otherwise) }
        return text + " END"
    }

    private static func symbol(_ operation: BinaryOperator) -> String {
        switch operation {
        case .add: "+"
        case .subtract: "-"
        case .multiply: "*"
        case .divide: "/"
        case .modulo: "%"
        case .concatenate: "||"
        case .bitAnd: "&"
        case .bitOr: "|"
        case .shiftLeft: "<<"
        case .shiftRight: ">>"
        case .equal: "="
        case .notEqual: "<>"
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        case .isSame: "IS"
        case .isNotSame: "IS NOT"
        case .and: "AND"
        case .or: "OR"
        case .jsonText: "->"
        case .jsonValue: "->>"
        }
    }
}

/// Values in failures, short.
func shown(_ value: SQLValue) -> String {
    switch value {
    case .null: "NULL"
    case .integer(let number): "\(number)"
    case .double(let number): "\(number)(real)"
    case .text(let text): "'\(text.string.count > 60 ? text.string.prefix(60) + "…" : text.string[...])'"
    }
}
