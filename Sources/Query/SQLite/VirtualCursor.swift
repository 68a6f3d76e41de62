// The running side of a virtual table: one scan after the other, as the loops of a join ask for them.

import EventStoreCore
import GRDBSQLite

/// A value SQLite compares with; `nil` stands for a BLOB.
enum ScanArgument: Hashable {
    case one(SQLValue?)
    case list([SQLValue?])
}

final class VirtualCursor {
    private let table: VirtualTable
    private var plan = VirtualPlan()
    private var planNumber = -1
    /// Where the plan's columns stand in a row, by their number in the table; -1 for those not asked for.
    private var positions: [Int] = []
    private var current: (any TableCursor)?
    /// The second half of a scan that was split.
    private var waiting: [SourceCondition]?
    /// Of a split scan: the column by whose type the halves differ, and whether this half is that of text.
    private var half: (position: Int, isText: Bool)?
    private var loop: JoinLoop?
    private(set) var isAtEnd = true

    init(_ table: VirtualTable) { self.table = table }

    // MARK: Scans

    func filter(_ number: Int, _ values: UnsafeBufferPointer<OpaquePointer?>) throws(Fault) {
        if number != planNumber { begin(number) }
        (current, waiting, half) = (nil, nil, nil)
        isAtEnd = true
        let arguments = try arguments(values)
        guard let scan = try conditions(arguments) else { return }
        guard let loop else { return }
        let kept = try loop.rows(for: arguments) { constant throws(Fault) in
            try self.conditions(arguments, only: constant)?.first ?? []
        }
        if let kept {
            current = kept
        } else {
            waiting = scan.second
            half = scan.half
            current = try loop.scan(scan.first)
        }
        isAtEnd = false
        try advance()
    }

    private func begin(_ number: Int) {
        planNumber = number
        plan = table.context.plans[number]
        positions = [Int](repeating: -1, count: table.source.columns.count + 1)
        for (position, column) in plan.columns.enumerated() { positions[column] = position }
        loop = JoinLoop(table, plan, positions)
    }

    func advance() throws(Fault) {
        while true {
            if table.context.stop.isSet { throw SQLiteContext.cancelled }
            guard let cursor = current, let loop else { break }
            if try loop.next(cursor) {
                if let half, try !belongs(cursor, half) { continue }
                return
            }
            guard let second = waiting, let first = half else { break }
            waiting = nil
            half = (first.position, !first.isText)
            current = try loop.scan(second)
        }
        current = nil
        isAtEnd = true
    }

    /// A scan may give more rows than asked for, and then both halves the same ones.
    private func belongs(_ cursor: any TableCursor, _ half: (position: Int, isText: Bool)) throws(Fault) -> Bool {
        switch try cursor.value(half.position) {
        case .null: false
        case .text: half.isText
        case .integer, .double: !half.isText
        }
    }

    func value(_ column: Int) throws(Fault) -> SQLValue {
        guard let current else { return .null }
        let position = positions[column]
        guard position >= 0 else {
            throw Fault(.invalid, "the column \(table.source.columns[column].name) is read but was not planned for")
        }
        return try current.value(position)
    }

    /// Rows are numbered by what tells them apart in all scans, not by a count.
    func rowNumber() throws(Fault) -> Int64 {
        let position = positions[table.source.rowColumn]
        guard let current, position >= 0, case .integer(let number) = try current.value(position) else {
            throw Fault(.invalid, "SQLite asks for the rowid of \(table.source.name), which was not planned for")
        }
        return number
    }

    // MARK: Comparisons

    private func arguments(_ values: UnsafeBufferPointer<OpaquePointer?>) throws(Fault) -> [ScanArgument] {
        var result: [ScanArgument] = []
        for (comparison, value) in zip(plan.comparisons, values) {
            let column = table.source.columns[comparison.column]
            let isNumber = column.affinity == .integer
            if comparison.operation == .oneOf {
                result.append(.list(try list(value, column, isNumber: isNumber)))
            } else {
                let right = isNumber ? SQLValue(numeric: value) : SQLValue(bound: value)
                if case .text(let text) = right, column.isTime { throw VirtualTable.noTime(text, column) }
                result.append(.one(right))
            }
        }
        return result
    }

    private func list(_ value: OpaquePointer?, _ column: TableColumn, isNumber: Bool) throws(Fault) -> [SQLValue?] {
        var values: [SQLValue?] = []
        var item: OpaquePointer?
        var result = sqlite3_vtab_in_first(value, &item)
        while result == SQLITE_OK, item != nil {
            let right = isNumber ? SQLValue(numeric: item) : SQLValue(bound: item)
            if case .text(let text) = right, column.isTime { throw VirtualTable.noTime(text, column) }
            values.append(right)
            // Long lists are left to SQLite: a BLOB among them, nothing is pushed down.
            if values.count > Self.longestList { return [nil] }
            result = sqlite3_vtab_in_next(value, &item)
        }
        return values
    }

    private static let longestList = 10_000

    private struct Scan {
        var first: [SourceCondition]
        var second: [SourceCondition]?
        var half: (position: Int, isText: Bool)?
    }

    /// What is pushed down; `nil` when no row can match. A scan in order is not split.
    private func conditions(_ arguments: [ScanArgument], only chosen: [Bool]? = nil) throws(Fault) -> Scan? {
        var common = plan.nullTests.map { SourceCondition(column: $0.column, test: $0.isNull ? .isNull : .isNotNull) }
        var split: (column: Int, test: ColumnCondition.Test, others: ColumnCondition.Test)?
        for (index, comparison) in plan.comparisons.enumerated() where chosen?[index] ?? true {
            switch decide(comparison, arguments[index]) {
            case .drop: break
            case .nothing: return nil
            case .push(let test): common.append(SourceCondition(column: comparison.column, test: test))
            case .split(let test, let others):
                if split == nil, plan.newestFirst == nil, chosen == nil, positions[comparison.column] >= 0 {
                    split = (comparison.column, test, others)
                }
            }
        }
        guard let split else { return Scan(first: common) }
        return Scan(
            first: common + [SourceCondition(column: split.column, test: split.test)],
            second: common + [SourceCondition(column: split.column, test: split.others)],
            half: (positions[split.column], split.others == .isNumber))
    }

    private func decide(_ comparison: PlannedComparison, _ argument: ScanArgument) -> PushDecision {
        let column = table.source.columns[comparison.column]
        switch argument {
        case .one(let value): return table.rules.decide(comparison, on: column, value)
        case .list(let values): return table.rules.decide(comparison, on: column, list: values)
        }
    }
}
