// Where the rows of a virtual table come from: the snapshot's events, or one of the small tables held whole.

import EventStoreCore

/// A comparison of a column, by its number in the virtual table.
struct SourceCondition {
    let column: Int
    let test: ColumnCondition.Test
}

protocol RowSource: AnyObject {
    var name: String { get }
    var columns: [TableColumn] { get }
    /// The column that tells rows apart and stays the same from scan to scan, one number beyond the last if it is no
    /// column of the table. SQLite unites the scans of an `OR` by it and finds what a RIGHT JOIN did not match.
    var rowColumn: Int { get }
    /// Whether rows can come by (timestamp, sequence).
    var isOrdered: Bool { get }
    func scan(columns: [Int], _ conditions: [SourceCondition], newestFirst: Bool?) throws(Fault) -> any TableCursor
    func estimatedRows(_ conditions: [SourceCondition]) throws(Fault) -> Double
}

final class EventSource: RowSource {
    let name = "events"
    let columns: [TableColumn]
    let rowColumn: Int
    let isOrdered = true
    private let table: any EventTable

    init(_ table: any EventTable, attributes: [String]) {
        self.table = table
        columns = TableColumn.columns(attributes: attributes)
        rowColumn = columns.firstIndex { $0.source == .fixed(.sequence) } ?? columns.count
    }

    func scan(
        columns wanted: [Int], _ conditions: [SourceCondition], newestFirst: Bool?
    ) throws(Fault) -> any TableCursor {
        try table.scan(
            TableScanRequest(
                columns: wanted.compactMap { columns[$0].source }, conditions: known(conditions),
                newestFirst: newestFirst))
    }

    func estimatedRows(_ conditions: [SourceCondition]) -> Double {
        Double(max(1, table.estimatedRows(known(conditions))))
    }

    private func known(_ conditions: [SourceCondition]) -> [ColumnCondition] {
        conditions.compactMap { condition in
            columns[condition.column].source.map { ColumnCondition($0, condition.test) }
        }
    }
}

/// Rows fetched at the first scan; conditions are left to SQLite.
final class SmallSource: RowSource {
    let columns: [TableColumn]
    let isOrdered = false
    var rowColumn: Int { columns.count }
    var name: String { small.rawValue }
    private let small: SmallTable
    private let table: any EventTable
    private var rows: [[SQLValue]]?

    init(_ small: SmallTable, _ table: any EventTable) {
        self.small = small
        self.table = table
        columns = TableColumn.columns(small)
    }

    private func loaded() throws(Fault) -> [[SQLValue]] {
        if let rows { return rows }
        let fetched = try table.rows(of: small).enumerated().map { $1 + [.integer(Int64($0))] }
        rows = fetched
        return fetched
    }

    func scan(
        columns wanted: [Int], _ conditions: [SourceCondition], newestFirst: Bool?
    ) throws(Fault) -> any TableCursor {
        ListCursor(try loaded(), wanted)
    }

    func estimatedRows(_ conditions: [SourceCondition]) throws(Fault) -> Double {
        Double(max(1, try loaded().count))
    }
}

/// Rows of an array.
private final class ListCursor: TableCursor {
    private let rows: [[SQLValue]]
    private let wanted: [Int]
    private var at = -1

    init(_ rows: [[SQLValue]], _ wanted: [Int]) {
        self.rows = rows
        self.wanted = wanted
    }

    func next() -> Bool {
        at += 1
        return at < rows.count
    }

    func value(_ column: Int) -> SQLValue { rows[at][wanted[column]] }
}
