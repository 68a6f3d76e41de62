// Events as a table of rows: what the virtual table of SQLite reads, whatever lies beneath.

import EventStoreCore

/// A comparison of a column with values, pushed down to the scan. A scan may give rows beyond those that match,
/// never fewer: SQLite checks again.
package struct ColumnCondition: Sendable {
    package enum Test: Sendable {
        case equal(SQLValue)
        case less(SQLValue), lessOrEqual(SQLValue), greater(SQLValue), greaterOrEqual(SQLValue)
        case oneOf([SQLValue])
        case isNull, isNotNull
        /// Case-insensitive for ASCII letters, as `LIKE`; no escape.
        case like(Text)
        case glob(Text)
    }
    package var column: ColumnName
    package var test: Test
    package init(_ column: ColumnName, _ test: Test) {
        self.column = column
        self.test = test
    }
}

package struct TableScanRequest: Sendable {
    /// The columns that will be asked for, by position.
    package var columns: [ColumnName]
    /// All must hold.
    package var conditions: [ColumnCondition]
    /// Rows are wanted by (timestamp, sequence): `true` newest first; `nil` in any order.
    package var newestFirst: Bool?
    package init(columns: [ColumnName], conditions: [ColumnCondition], newestFirst: Bool? = nil) {
        self.columns = columns
        self.conditions = conditions
        self.newestFirst = newestFirst
    }
}

/// Rows one after the other. One thread at a time.
package protocol TableCursor: AnyObject {
    /// Moves to the next row, the first at the beginning; false at the end.
    func next() throws(Fault) -> Bool
    /// A value of the current row, by position in the request's columns.
    func value(_ column: Int) throws(Fault) -> SQLValue
}

/// A snapshot of the events, and the small tables beside it.
package protocol EventTable: Sendable {
    func scan(_ request: TableScanRequest) throws(Fault) -> any TableCursor
    /// A guess at the rows a scan with these conditions gives: what the planner of SQLite weighs joins by.
    func estimatedRows(_ conditions: [ColumnCondition]) -> Int
    /// Rows of the tables `entities` and `segments`.
    func rows(of table: SmallTable) throws(Fault) -> [[SQLValue]]
}

/// Tables small enough to hand over whole.
package enum SmallTable: String, CaseIterable, Sendable {
    case entities, segments

    /// Names and declared types, in order.
    package var columns: [(name: String, type: String)] {
        switch self {
        case .entities:
            [("name", "TEXT"), ("plan", "TEXT"), ("events", "INTEGER"), ("first", "INTEGER"), ("last", "INTEGER")]
        case .segments:
            [
                ("id", "TEXT"), ("partition_start", "INTEGER"), ("rows", "INTEGER"), ("bytes", "INTEGER"),
                ("entities", "INTEGER"), ("first", "INTEGER"), ("last", "INTEGER"),
            ]
        }
    }
}
