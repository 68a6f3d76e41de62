// The events of a snapshot as a table for SQLite: scans are queries of the native engine.

import EventStoreCore

package final class NativeTable: EventTable {
    private let source: any ScanSource
    private let environment: QueryEnvironment
    private let small: @Sendable (SmallTable) throws(Fault) -> [[SQLValue]]
    private let sums = Guarded(NativeCounts())

    /// What the scans have cost so far.
    package var counts: NativeCounts { sums.value }

    /// - Parameter small: the rows of the tables beside `events`.
    package init(
        _ source: any ScanSource, _ environment: QueryEnvironment,
        small: @escaping @Sendable (SmallTable) throws(Fault) -> [[SQLValue]]
    ) {
        self.source = source
        self.environment = environment
        self.small = small
    }

    package func rows(of table: SmallTable) throws(Fault) -> [[SQLValue]] { try small(table) }

    package func scan(_ request: TableScanRequest) throws(Fault) -> any TableCursor {
        NativeTableCursor(
            try NativeQuery(NativeTable.query(request), source: source, environment: environment),
            width: request.columns.count, sums: sums)
    }

    private static func query(_ request: TableScanRequest) -> SelectQuery {
        // A scan that reads no column still counts rows.
        let columns = request.columns.isEmpty ? [ColumnName.fixed(.timestamp)] : request.columns
        var query = SelectQuery(items: columns.map { SelectItem(Expression(.column($0)), name: "") })
        query.condition = condition(request.conditions)
        if let newestFirst = request.newestFirst {
            query.orderBy = [
                OrderTerm(.fixed(.timestamp), isDescending: newestFirst),
                OrderTerm(.fixed(.sequence), isDescending: newestFirst),
            ]
        }
        return query
    }

    private static func condition(_ conditions: [ColumnCondition]) -> Expression? {
        guard let first = conditions.first else { return nil }
        return conditions.dropFirst().reduce(expression(first)) { Expression(.binary(.and, $0, expression($1))) }
    }

    private static func expression(_ condition: ColumnCondition) -> Expression {
        let column = Expression(.column(condition.column))
        func compare(_ operation: BinaryOperator, _ value: SQLValue) -> Expression {
            Expression(.binary(operation, column, .literal(value)))
        }
        switch condition.test {
        case .equal(let value): return compare(.equal, value)
        case .less(let value): return compare(.less, value)
        case .lessOrEqual(let value): return compare(.lessOrEqual, value)
        case .greater(let value): return compare(.greater, value)
        case .greaterOrEqual(let value): return compare(.greaterOrEqual, value)
        case .oneOf(let values):
            return Expression(.inList(column, values.map { .literal($0) }, isNegated: false))
        case .isNull: return Expression(.isNull(column, isNegated: false))
        case .isNotNull: return Expression(.isNull(column, isNegated: true))
        case .like(let pattern):
            return Expression(
                .pattern(.like, column, pattern: .literal(.text(pattern)), escape: nil, isNegated: false))
        case .glob(let pattern):
            return Expression(
                .pattern(.glob, column, pattern: .literal(.text(pattern)), escape: nil, isNegated: false))
        }
    }

    /// By the index; conditions on attributes are taken to keep a tenth each, an id to keep one row.
    package func estimatedRows(_ conditions: [ColumnCondition]) -> Int {
        if conditions.contains(where: { $0.column == .fixed(.id) || $0.column == .fixed(.sequence) }) {
            if conditions.contains(where: { if case .equal = $0.test { true } else { false } }) { return 1 }
        }
        let query = NativeTable.query(TableScanRequest(columns: [], conditions: conditions))
        guard let plan = try? NativePlan(query, source, environment.zones), !plan.scope.isEmpty,
            let scan = try? source.plan(plan.scope)
        else { return 1 }
        var rows = Double(scan.units.reduce(0) { $0 + $1.rowCount })
        for condition in conditions {
            switch condition.column {
            case .attribute: rows /= 10
            case .fixed(.type): rows /= 3
            default: break
            }
        }
        return max(1, Int(rows))
    }
}

private final class NativeTableCursor: TableCursor {
    private let query: NativeQuery
    private let width: Int
    private let sums: Guarded<NativeCounts>
    private var batch: [[SQLValue]] = []
    private var row = 0
    private var count = 0

    init(_ query: NativeQuery, width: Int, sums: Guarded<NativeCounts>) {
        self.query = query
        self.width = width
        self.sums = sums
    }

    deinit {
        let counts = query.counts
        sums.withLock { $0.add(counts) }
    }

    func next() throws(Fault) -> Bool {
        row += 1
        while row >= count {
            guard let rows = try query.next() else { return false }
            batch = rows
            count = rows.first?.count ?? 0
            row = 0
        }
        return true
    }

    func value(_ column: Int) throws(Fault) -> SQLValue { column < width ? batch[column][row] : .null }
}
