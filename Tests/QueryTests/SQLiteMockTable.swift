// Events in an array, for the tests of the virtual tables: gives more rows than asked for and notes what it was asked.

import EventStoreCore
import Synchronization

@testable import EventStoreQuery

struct NoZones: ZoneSource {
    func rules(_ name: String) -> ZoneRules? { nil }
}

final class MockTable: EventTable {
    typealias Row = [ColumnName: SQLValue]

    let rows: [Row]
    /// Each row that does not match is given all the same with this probability.
    let surplus: Double
    /// The scan fails after so many rows.
    let failure: (after: Int, Fault)?
    let estimate: Int
    let entities: [[SQLValue]]
    private let requests = Mutex<[TableScanRequest]>([])

    init(
        _ rows: [Row], surplus: Double = 0, failure: (after: Int, Fault)? = nil, estimate: Int? = nil,
        entities: [[SQLValue]] = []
    ) {
        self.rows = rows
        self.surplus = surplus
        self.failure = failure
        self.estimate = estimate ?? rows.count
        self.entities = entities
    }

    var scans: [TableScanRequest] { requests.withLock { $0 } }
    func forget() { requests.withLock { $0 = [] } }

    func scan(_ request: TableScanRequest) throws(Fault) -> any TableCursor {
        let number = requests.withLock {
            $0.append(request)
            return $0.count
        }
        var generator = SeededGenerator(seed: UInt64(number))
        var chosen = rows.filter { row in
            request.conditions.allSatisfy { Self.holds(row[$0.column] ?? .null, $0.test) }
                || surplus > 0 && Double.random(in: 0..<1, using: &generator) < surplus
        }
        if let newestFirst = request.newestFirst {
            chosen.sort { Self.isBefore($0, $1) }
            if newestFirst { chosen.reverse() }
        }
        return Cursor(chosen.map { row in request.columns.map { row[$0] ?? .null } }, failure)
    }

    func estimatedRows(_ conditions: [ColumnCondition]) -> Int { max(1, estimate >> conditions.count) }

    func rows(of table: SmallTable) throws(Fault) -> [[SQLValue]] { table == .entities ? entities : [] }

    private static func isBefore(_ a: Row, _ b: Row) -> Bool {
        for column in [ColumnName.fixed(.timestamp), .fixed(.sequence)] {
            let order = order(a[column] ?? .null, b[column] ?? .null)
            if order != 0 { return order < 0 }
        }
        return false
    }

    final class Cursor: TableCursor {
        private let rows: [[SQLValue]]
        private let failure: (after: Int, Fault)?
        private var at = -1
        init(_ rows: [[SQLValue]], _ failure: (after: Int, Fault)?) {
            self.rows = rows
            self.failure = failure
        }
        func next() throws(Fault) -> Bool {
            at += 1
            if let failure, at >= failure.after { throw failure.1 }
            return at < rows.count
        }
        func value(_ column: Int) throws(Fault) -> SQLValue { rows[at][column] }
    }

    // MARK: What a condition means: values compared as they are, without any conversion

    static func holds(_ value: SQLValue, _ test: ColumnCondition.Test) -> Bool {
        if value.isNull { if case .isNull = test { return true } else { return false } }
        switch test {
        case .isNull: return false
        case .isNotNull: return true
        case .equal(let other): return order(value, other) == 0
        case .less(let other): return order(value, other) < 0
        case .lessOrEqual(let other): return order(value, other) <= 0
        case .greater(let other): return order(value, other) > 0
        case .greaterOrEqual(let other): return order(value, other) >= 0
        case .oneOf(let others): return others.contains { order(value, $0) == 0 }
        case .like(let pattern):
            guard case .text(let text) = value else { return true }
            return matches(
                text.string.unicodeScalars.map(\.value), pattern.string.unicodeScalars.map(\.value), any: 0x25,
                one: 0x5f, folds: true)
        case .glob(let pattern):
            guard case .text(let text) = value, !pattern.string.contains("[") else { return true }
            return matches(
                text.string.unicodeScalars.map(\.value), pattern.string.unicodeScalars.map(\.value), any: 0x2a,
                one: 0x3f, folds: false)
        }
    }

    static func order(_ a: SQLValue, _ b: SQLValue) -> Int {
        switch (a, b) {
        case (.integer(let a), .integer(let b)): return a < b ? -1 : a > b ? 1 : 0
        case (.text(let a), .text(let b)): return Text.order(a, b)
        case (.text, _): return 1
        case (_, .text): return -1
        case (.integer(let a), .double(let b)):
            if b >= 0x1p63 || b < -0x1p63 { return b > 0 ? -1 : 1 }
            let whole = Int64(b)
            return a != whole ? (a < whole ? -1 : 1) : b == Double(whole) ? 0 : b > Double(whole) ? -1 : 1
        case (.double(let a), .integer(let b)): return -order(.integer(b), .double(a))
        case (.double(let a), .double(let b)): return a < b ? -1 : a > b ? 1 : 0
        default: return 0
        }
    }

    private static func matches(_ text: [UInt32], _ pattern: [UInt32], any: UInt32, one: UInt32, folds: Bool) -> Bool {
        func fold(_ byte: UInt32) -> UInt32 { folds && byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte }
        func match(_ t: Int, _ p: Int) -> Bool {
            guard p < pattern.count else { return t == text.count }
            if pattern[p] == any { return (t...text.count).contains { match($0, p + 1) } }
            guard t < text.count else { return false }
            return (pattern[p] == one || fold(pattern[p]) == fold(text[t])) && match(t + 1, p + 1)
        }
        return match(0, 0)
    }
}

extension MockTable {
    /// A few events of two sites with ties in time.
    static func small(_ count: Int = 40, surplus: Double = 0, failure: (after: Int, Fault)? = nil) -> MockTable {
        let rows = (0..<count).map { index in
            let row: Row = [
                .fixed(.id): .text("id-\(index)"), .fixed(.entity): .text(index % 3 == 0 ? "a.example" : "b.example"),
                .fixed(.type): .text(index % 4 == 0 ? "auth.attempt" : "http.request"),
                .fixed(.timestamp): .integer(Int64(1000 + index / 2)), .fixed(.sequence): .integer(Int64(index)),
                .fixed(.received): .integer(Int64(5000)), .fixed(.attributes): .text("{\"status\":\(200 + index % 5)}"),
                .attribute("status"): .integer(Int64(200 + index % 5)),
                .attribute("req.path"): index % 7 == 0 ? .null : .text("/page/\(index % 6)"),
                .attribute("ms"): .double(Double(index) / 2),
            ]
            return row
        }
        return MockTable(
            rows, surplus: surplus, failure: failure,
            entities: [
                [.text("a.example"), .text("starter"), .integer(14), .integer(1000), .integer(1020)],
                [.text("b.example"), .text("professional"), .integer(26), .integer(1000), .integer(1020)],
            ])
    }

    static let attributes = ["status", "req.path", "ms"]
}

/// Runs a statement to its end.
func ask(
    _ text: String, _ table: MockTable, _ parameters: [String: SQLValue] = [:],
    attributes: [String] = MockTable.attributes, memoryLimit: Int = 64 << 20, keepsRows: Bool = false
) throws -> [[SQLValue]] {
    let run = try SQLiteRun(
        text: text, attributes: attributes, parameters: parameters, table: table, zones: NoZones(),
        memoryLimit: memoryLimit)
    if keepsRows { run.context.joinPatience = .zero }
    return try rows(of: run)
}

func rows(of run: SQLiteRun, batch: Int = 7) throws -> [[SQLValue]] {
    var rows: [[SQLValue]] = []
    while let columns = try run.next(max: batch) {
        for row in 0..<columns[0].count { rows.append(columns.map { $0[row] }) }
    }
    return rows
}
