// What SQLite's planner and a scan of a virtual table agreed on: columns, comparisons, order.

import EventStoreCore
import GRDBSQLite

/// The comparisons that can be pushed down.
enum PushedOperator {
    case equal, same, less, lessOrEqual, greater, greaterOrEqual, oneOf, like, glob, isNull, isNotNull

    init?(_ code: UInt8) {
        switch Int32(code) {
        case SQLITE_INDEX_CONSTRAINT_EQ: self = .equal
        case SQLITE_INDEX_CONSTRAINT_IS: self = .same
        case SQLITE_INDEX_CONSTRAINT_LT: self = .less
        case SQLITE_INDEX_CONSTRAINT_LE: self = .lessOrEqual
        case SQLITE_INDEX_CONSTRAINT_GT: self = .greater
        case SQLITE_INDEX_CONSTRAINT_GE: self = .greaterOrEqual
        case SQLITE_INDEX_CONSTRAINT_LIKE: self = .like
        case SQLITE_INDEX_CONSTRAINT_GLOB: self = .glob
        case SQLITE_INDEX_CONSTRAINT_ISNULL: self = .isNull
        case SQLITE_INDEX_CONSTRAINT_ISNOTNULL: self = .isNotNull
        default: return nil
        }
    }

    var symbol: String {
        switch self {
        case .equal: "="
        case .same: "IS"
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        case .oneOf: "IN"
        case .like: "LIKE"
        case .glob: "GLOB"
        case .isNull: "IS NULL"
        case .isNotNull: "IS NOT NULL"
        }
    }
}

/// A comparison whose right side `xFilter` gets as an argument, in order.
struct PlannedComparison {
    let column: Int
    let operation: PushedOperator
    /// The right side is a literal of the text, and so without affinity.
    let isLiteral: Bool
}

struct VirtualPlan {
    var columns: [Int] = []
    var comparisons: [PlannedComparison] = []
    /// `IS NULL` and `IS NOT NULL`: they need no value.
    var nullTests: [(column: Int, isNull: Bool)] = []
    var newestFirst: Bool?
}

/// A column of a virtual table.
struct TableColumn {
    let name: String
    let affinity: Affinity
    /// What the snapshot calls it; `nil` in the small tables.
    let source: ColumnName?
    /// Comparisons of it with text that is no number are mistakes.
    let isTime: Bool

    static func columns(attributes: [String]) -> [TableColumn] {
        FixedColumn.allCases.map { column in
            switch column {
            case .timestamp, .received:
                TableColumn(name: column.rawValue, affinity: .integer, source: .fixed(column), isTime: true)
            case .sequence:
                TableColumn(name: column.rawValue, affinity: .integer, source: .fixed(column), isTime: false)
            case .id, .entity, .type, .attributes:
                TableColumn(name: column.rawValue, affinity: .text, source: .fixed(column), isTime: false)
            }
        } + attributes.map { TableColumn(name: $0, affinity: .none, source: .attribute($0), isTime: false) }
    }

    static func columns(_ table: SmallTable) -> [TableColumn] {
        table.columns.map {
            TableColumn(name: $0.name, affinity: $0.type == "TEXT" ? .text : .integer, source: nil, isTime: false)
        }
    }

    /// The statement that tells SQLite of the columns (`sqlite3_declare_vtab`): attributes are hidden, so that `*`
    /// gives the fixed columns alone. `BLOB` is how a hidden column comes to have no affinity: `HIDDEN` alone would be
    /// taken for a type, a numeric one.
    static func declaration(_ columns: [TableColumn]) -> String {
        let list = columns.map { column in
            let name =
                "\"" + column.name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
                + "\""
            switch column.affinity {
            case .none, .blob: return name + " BLOB HIDDEN"
            case .text: return name + " TEXT"
            case .numeric, .integer, .real: return name + " INTEGER"
            }
        }
        return "CREATE TABLE x(" + list.joined(separator: ", ") + ")"
    }
}
