// The inner loop of a join. SQLite looks the inner table up once for each outer row and has no automatic index for
// virtual tables; so when that has taken as long as reading the inner rows once would, they are read once and kept
// in a hash table by the column compared (never worse than twice the better choice: ski rental).

import EventStoreCore

final class JoinLoop {
    private let table: VirtualTable
    private let plan: VirtualPlan
    private let positions: [Int]
    private let clock = ContinuousClock()
    private var calls = 0
    private var spent = Duration.zero
    private var last: [ScanArgument] = []
    /// Comparisons whose right side has been the same in all calls.
    private var isConstant: [Bool]
    private var kept: JoinRows?
    private var hasGivenUp = false
    private var steps = 0
    private var isFirstStep = true
    /// What reading the rows once may take, for the constants as they are.
    private var buildTime: Duration?

    init(_ table: VirtualTable, _ plan: VirtualPlan, _ positions: [Int]) {
        self.table = table
        self.plan = plan
        self.positions = positions
        isConstant = [Bool](repeating: true, count: plan.comparisons.count)
    }

    deinit { forget() }

    /// A scan of the source, its time measured from the second call on: a single one needs no hash table.
    func scan(_ conditions: [SourceCondition]) throws(Fault) -> any TableCursor {
        let start = isMeasuring ? clock.now : nil
        let cursor = try table.source.scan(
            columns: plan.columns, conditions, newestFirst: plan.newestFirst)
        if let start { spent += clock.now - start }
        isFirstStep = true
        return cursor
    }

    /// The next row of a scan. The first step of each is measured, and one of sixteen of the others for all.
    func next(_ cursor: any TableCursor) throws(Fault) -> Bool {
        guard isMeasuring else { return try cursor.next() }
        steps &+= 1
        guard isFirstStep || steps & 15 == 0 else { return try cursor.next() }
        let start = clock.now
        let hasRow = try cursor.next()
        spent += (clock.now - start) * (isFirstStep ? 1 : 16)
        isFirstStep = false
        return hasRow
    }

    private var isMeasuring: Bool { calls > 1 && kept == nil && !hasGivenUp }

    /// Kept rows among which are all that match, or `nil` when a scan is the better way.
    ///
    /// - Parameter conditions: what can be pushed down of the chosen comparisons.
    func rows(
        for arguments: [ScanArgument], _ conditions: ([Bool]) throws(Fault) -> [SourceCondition]
    ) throws(Fault) -> (any TableCursor)? {
        defer { last = arguments }
        if calls > 0 {
            for index in isConstant.indices where isConstant[index] && arguments[index] != last[index] {
                isConstant[index] = false
                buildTime = nil
            }
        }
        calls += 1
        if let kept, !kept.serves(arguments) {
            forget()
            spent = .zero
        }
        if kept == nil, !hasGivenUp, calls > 2, spent >= table.context.joinPatience {
            try build(arguments, try conditions(isConstant))
        }
        guard let kept else { return nil }
        let rows = kept.rows(for: arguments)
        return .nanoseconds(200 * rows.count) > kept.scanTime ? nil : JoinCursor(kept, rows)
    }

    private func forget() {
        if let kept { table.context.release(kept.bytes) }
        kept = nil
    }

    private func build(_ arguments: [ScanArgument], _ conditions: [SourceCondition]) throws(Fault) {
        if buildTime == nil {
            let rows = try table.source.estimatedRows(conditions)
            buildTime = .nanoseconds(Int64(min(rows * 500 * (1 + 0.2 * Double(plan.columns.count)), 1e18)))
        }
        guard let buildTime, spent >= buildTime else { return }
        let key = plan.comparisons.indices.first {
            !isConstant[$0] && plan.comparisons[$0].operation == .equal && positions[plan.comparisons[$0].column] >= 0
        }
        let rows = JoinRows(
            width: plan.columns.count, key: key, keyPosition: key.map { positions[plan.comparisons[$0].column] },
            constants: isConstant.indices.compactMap { isConstant[$0] ? ($0, arguments[$0]) : nil },
            scanTime: calls > 2 ? spent / (calls - 2) : spent)
        let cursor = try table.source.scan(columns: plan.columns, conditions, newestFirst: plan.newestFirst)
        let budget = table.context.joinBudget
        var count = 0
        while try cursor.next() {
            try rows.add(cursor)
            count += 1
            if count % 1024 == 0, table.context.stop.isSet { throw SQLiteContext.cancelled }
            if rows.bytes > budget {
                hasGivenUp = true
                return
            }
        }
        _ = table.context.reserve(rows.bytes)
        kept = rows
    }
}

/// Rows of a scan by the value of one column.
final class JoinRows {
    private let width: Int
    private let key: Int?
    private let keyPosition: Int?
    private let constants: [(index: Int, argument: ScanArgument)]
    /// What a scan took on average.
    let scanTime: Duration
    private(set) var bytes = 0
    private var values: [SQLValue] = []
    private var count = 0
    private var buckets: [JoinKey: [Int32]] = [:]

    init(
        width: Int, key: Int?, keyPosition: Int?, constants: [(index: Int, argument: ScanArgument)], scanTime: Duration
    ) {
        self.width = width
        self.key = key
        self.keyPosition = keyPosition
        self.constants = constants
        self.scanTime = scanTime
    }

    func add(_ cursor: any TableCursor) throws(Fault) {
        if let keyPosition {
            guard let key = JoinKey(try cursor.value(keyPosition)) else { return }
            buckets[key, default: []].append(Int32(count))
        }
        bytes += 48
        for column in 0..<width {
            let value = try cursor.value(column)
            bytes += value.footprint
            values.append(value)
        }
        count += 1
    }

    func serves(_ arguments: [ScanArgument]) -> Bool {
        constants.allSatisfy { arguments[$0.index] == $0.argument }
    }

    /// Row numbers; without a key all of them.
    func rows(for arguments: [ScanArgument]) -> JoinBucket {
        guard let key else { return .all(count) }
        guard case .one(let value?) = arguments[key] else { return .all(count) }
        return .some(JoinKey(value).flatMap { buckets[$0] } ?? [])
    }

    func value(_ row: Int, _ column: Int) -> SQLValue { values[row * width + column] }
}

enum JoinBucket {
    case all(Int)
    case some([Int32])

    var count: Int {
        switch self {
        case .all(let count): count
        case .some(let rows): rows.count
        }
    }

    subscript(index: Int) -> Int {
        switch self {
        case .all: index
        case .some(let rows): Int(rows[index])
        }
    }
}

private final class JoinCursor: TableCursor {
    private let rows: JoinRows
    private let bucket: JoinBucket
    private var at = -1

    init(_ rows: JoinRows, _ bucket: JoinBucket) {
        self.rows = rows
        self.bucket = bucket
    }

    func next() -> Bool {
        at += 1
        return at < bucket.count
    }

    func value(_ column: Int) -> SQLValue { rows.value(bucket[at], column) }
}
