/// Rows of a query as a chart: `bucket, value` or `bucket, series, value`.

import EventStore

package struct ChartRows {
    /// More than an aggregate for a chart has.
    private static let rowsMax = 1_000_000

    private let valueColumn: Int
    package let valueName: String
    private var values: [String: [Int64: Double]] = [:]
    private var count = 0

    package init(columns: [String]) throws {
        guard columns.count == 2 || columns.count == 3 else {
            throw CLIFailure.usage("--sql draws two columns (bucket, value) or three (bucket, series, value)")
        }
        valueColumn = columns.count - 1
        valueName = columns[valueColumn]
    }

    package mutating func add(_ row: [QueryValue]) throws {
        count += 1
        guard count <= ChartRows.rowsMax else { throw CLIFailure.usage("--sql gives too many rows to draw") }
        if row[0] == .null { return }
        // No time of the calendar is greater, and within it no arithmetic overflows.
        guard case .integer(let start) = row[0], start.magnitude < 1 << 50 else {
            throw CLIFailure.usage("--sql: the first column is no time; begin with time_bucket('1 hour', timestamp)")
        }
        let value: Double
        switch row[valueColumn] {
        case .null: return
        case .integer(let number): value = Double(number)
        case .double(let number): value = number
        case .text: throw CLIFailure.usage("--sql: the last column is no number")
        }
        guard value >= 0, value < 1e15 else { throw CLIFailure.usage("--sql: a value cannot be drawn: \(value)") }
        values[valueColumn == 1 ? valueName : ChartRows.name(row[1]), default: [:]][start, default: 0] += value
    }

    private static func name(_ value: QueryValue) -> String {
        switch value {
        case .null: "(absent)"
        case .integer(let number): String(number)
        case .double(let number): "\(number)"
        case .text(let text): text
        }
    }

    /// `nil` without rows.
    package func data() throws -> ChartData? {
        let starts = values.values.flatMap(\.keys)
        guard !starts.isEmpty else { return nil }
        guard let grid = ChartGrid(starts: starts) else {
            throw CLIFailure.usage("--sql gives too many buckets to draw; take a longer time_bucket")
        }
        let most = values.values.flatMap(\.values).max() ?? 0
        let isWhole = values.values.allSatisfy { $0.values.allSatisfy { $0 == $0.rounded() } }
        // Fractions keep six digits of the largest value, whatever its size.
        var scale = 1.0
        if !isWhole { while most * scale < 1e6, scale < 1e12 { scale *= 10 } }
        let series = values.map { name, found in
            var counts = [Int](repeating: 0, count: grid.starts.count)
            for (start, value) in found {
                if let bar = grid.bar(of: start) { counts[bar] += Int((value * scale).rounded()) }
            }
            return ChartSeries(name: name, counts: counts)
        }
        var data = ChartData(grid: grid, series: series)
        data.scale = scale
        return data
    }
}
