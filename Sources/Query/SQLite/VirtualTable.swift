// The planner's side of a virtual table (sqlite.org/vtab.html, "The xBestIndex Method"): which comparisons, columns
// and order a scan takes over, and what it would cost.

import EventStoreCore
import GRDBSQLite

final class VirtualTable {
    let context: SQLiteContext
    let source: any RowSource
    let rules: PushRules

    init(_ context: SQLiteContext, _ source: any RowSource) {
        self.context = context
        self.source = source
        rules = PushRules(traits: context.traits)
    }

    func plan(_ info: UnsafeMutablePointer<sqlite3_index_info>) throws(Fault) {
        guard !context.isConnecting else { return }
        var plan = VirtualPlan()
        var known: [SourceCondition] = []
        var unknown: [PlannedComparison] = []
        for index in 0..<Int(info.pointee.nConstraint) {
            let constraint = info.pointee.aConstraint[index]
            let column = Int(constraint.iColumn)
            guard column >= 0 else { continue }
            let literal = literal(info, index)
            try refuseText(literal, comparedBy: constraint.op, with: source.columns[column])
            guard constraint.usable != 0, let operation = operation(info, index) else { continue }
            if operation == .isNull || operation == .isNotNull {
                plan.nullTests.append((column, operation == .isNull))
                known.append(SourceCondition(column: column, test: operation == .isNull ? .isNull : .isNotNull))
                continue
            }
            let comparison = PlannedComparison(column: column, operation: operation, isLiteral: literal != nil)
            plan.comparisons.append(comparison)
            info.pointee.aConstraintUsage[index].argvIndex = Int32(plan.comparisons.count)
            info.pointee.aConstraintUsage[index].omit = 0
            if let literal, case .push(let test) = rules.decide(comparison, on: source.columns[column], literal) {
                known.append(SourceCondition(column: column, test: test))
            } else {
                unknown.append(comparison)
            }
        }
        plan.columns = usedColumns(info.pointee.colUsed)
        if context.traits.needsRowNumbers, !plan.columns.contains(source.rowColumn) {
            plan.columns.append(source.rowColumn)
        }
        plan.newestFirst = consumeOrder(info)
        let cost = CostModel(source).cost(try source.estimatedRows(known), unknown, columns: plan.columns.count)
        info.pointee.estimatedRows = Int64(min(max(1, cost.rows), 1e15))
        info.pointee.estimatedCost = cost.cost
        info.pointee.idxStr = sqliteText(describe(plan))
        info.pointee.needToFreeIdxStr = 1
        info.pointee.idxNum = Int32(context.add(plan))
    }

    // MARK: Comparisons

    /// The comparison at `index` if it can be pushed down.
    private func operation(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int) -> PushedOperator? {
        let constraint = info.pointee.aConstraint[index]
        let column = source.columns[Int(constraint.iColumn)]
        guard let operation = PushedOperator(constraint.op) else { return nil }
        let isSmall = column.source == nil
        switch operation {
        case .isNull, .isNotNull: return isSmall ? nil : operation
        case .like, .glob: return isSmall || column.affinity == .integer ? nil : operation
        default: break
        }
        guard !isSmall || operation == .equal, column.source != .fixed(.attributes), isBinary(info, index) else {
            return nil
        }
        guard operation == .equal, sqlite3_vtab_in(info, Int32(index), -1) != 0 else { return operation }
        guard !context.traits.hasCollation else { return nil }
        _ = sqlite3_vtab_in(info, Int32(index), 1)
        return .oneOf
    }

    private func isBinary(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int) -> Bool {
        guard let name = sqlite3_vtab_collation(info, Int32(index)) else { return false }
        return String(cString: name).uppercased() == "BINARY"
    }

    /// The right side, if it is a literal of the text that has no affinity.
    private func literal(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int) -> SQLValue? {
        var value: OpaquePointer?
        guard !context.traits.hasCast, sqlite3_vtab_rhs_value(info, Int32(index), &value) == SQLITE_OK, value != nil
        else { return nil }
        return source.columns[Int(info.pointee.aConstraint[index].iColumn)].affinity == .integer
            ? SQLValue(numeric: value) : SQLValue(bound: value)
    }

    private func refuseText(_ literal: SQLValue?, comparedBy code: UInt8, with column: TableColumn) throws(Fault) {
        let comparisons = [
            SQLITE_INDEX_CONSTRAINT_EQ, SQLITE_INDEX_CONSTRAINT_NE, SQLITE_INDEX_CONSTRAINT_LT,
            SQLITE_INDEX_CONSTRAINT_LE, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE,
            SQLITE_INDEX_CONSTRAINT_IS, SQLITE_INDEX_CONSTRAINT_ISNOT,
        ]
        guard column.isTime, case .text(let text) = literal, comparisons.contains(Int32(code)) else { return }
        throw Self.noTime(text, column)
    }

    static func noTime(_ text: Text, _ column: TableColumn) -> Fault {
        Fault(
            .invalid,
            "'\(text.string.prefix(64))' is no time: compare \(column.name) with milliseconds since 1970, or with a "
                + "literal such as '2026-11-23' or '2026-11-23T10:00:00Z'")
    }

    // MARK: Columns and order

    private func usedColumns(_ mask: UInt64) -> [Int] {
        source.columns.indices.filter { index in
            if index < 63 { return mask >> UInt64(index) & 1 != 0 }
            return mask >> 63 != 0 && context.attributesRead.contains(source.columns[index].name.lowercased())
        }
    }

    /// `timestamp`, or `timestamp, sequence` in one direction, as the order of the rows.
    private func consumeOrder(_ info: UnsafeMutablePointer<sqlite3_index_info>) -> Bool? {
        let count = Int(info.pointee.nOrderBy)
        guard source.isOrdered, count > 0, let terms = info.pointee.aOrderBy else { return nil }
        let wanted: [FixedColumn] = [.timestamp, .sequence]
        guard count <= wanted.count else { return nil }
        for index in 0..<count {
            let column = Int(terms[index].iColumn)
            guard column >= 0, source.columns[column].source == .fixed(wanted[index]),
                terms[index].desc == terms[0].desc
            else { return nil }
        }
        info.pointee.orderByConsumed = 1
        return terms[0].desc != 0
    }

    /// What `EXPLAIN QUERY PLAN` shows of a scan.
    private func describe(_ plan: VirtualPlan) -> String {
        let names = source.columns.map(\.name)
        var parts: [String] = []
        let tests =
            plan.comparisons.map { "\(names[$0.column]) \($0.operation.symbol) ?" }
            + plan.nullTests.map { names[$0.column] + ($0.isNull ? " IS NULL" : " IS NOT NULL") }
        if !tests.isEmpty { parts.append("pushed down: " + tests.joined(separator: " AND ")) }
        let columns = plan.columns.filter { $0 < names.count }.map { names[$0] }
        parts.append("columns: " + (columns.isEmpty ? "none" : columns.joined(separator: ", ")))
        if let newestFirst = plan.newestFirst { parts.append(newestFirst ? "newest first" : "oldest first") }
        return parts.joined(separator: "; ")
    }
}

/// Guesses for the planner, so that the orders of joins are sane. Values known beforehand are weighed by the table.
private struct CostModel {
    let source: any RowSource
    init(_ source: any RowSource) { self.source = source }

    /// - Parameter unknown: comparisons with values that only a run knows.
    func cost(_ rows: Double, _ unknown: [PlannedComparison], columns: Int) -> (rows: Double, cost: Double) {
        var matching = rows
        var visited = rows
        for comparison in unknown {
            let column = source.columns[comparison.column]
            let share = share(comparison.operation, column, of: rows)
            matching *= share
            visited *= isIndexed(column) ? share : max(share, 0.25)
        }
        return (max(1, matching), 10 + max(1, visited) * (1 + 0.1 * Double(columns)))
    }

    /// Columns by which a scan passes over most rows; in the small tables a hash table finds the rows.
    private func isIndexed(_ column: TableColumn) -> Bool {
        switch column.source {
        case .none: true
        case .fixed(let fixed): fixed != .received && fixed != .attributes
        case .attribute: false
        }
    }

    private func share(_ operation: PushedOperator, _ column: TableColumn, of rows: Double) -> Double {
        switch operation {
        case .equal, .same: return equalShare(column, of: rows)
        case .oneOf: return min(0.5, equalShare(column, of: rows) * 5)
        case .less, .lessOrEqual, .greater, .greaterOrEqual: return 0.3
        case .like, .glob: return 0.2
        case .isNull, .isNotNull: return 0.5
        }
    }

    private func equalShare(_ column: TableColumn, of rows: Double) -> Double {
        switch column.source {
        case .none: return 1 / max(1, rows)
        case .fixed(.id), .fixed(.sequence): return 1 / max(1, rows)
        case .fixed(.timestamp), .fixed(.received): return 0.0001
        case .fixed(.entity): return 0.02
        case .fixed(.type): return 0.1
        case .fixed(.attributes), .attribute: return 0.05
        }
    }
}
