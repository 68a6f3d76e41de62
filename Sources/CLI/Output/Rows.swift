/// Rows of typed cells in the four formats: table, json (one array), ndjson, csv.
///
/// csv: strings always quoted, numbers and booleans bare, `""` an empty string, nothing an absent value.
/// json and ndjson: timestamps are integer milliseconds; table and csv show RFC 3339.

package enum Cell: Sendable, Equatable {
    case absent
    case text(String)
    case integer(Int64)
    case double(Double)
    case bool(Bool)
    /// Milliseconds since 1970 UTC.
    case time(Int64)
    /// JSON text as it is stored.
    case json(String)
}

package enum RowFormat: String, Sendable, CaseIterable {
    case table, json, ndjson, csv
}

/// Writes rows one after another; `finish` ends the document.
package final class RowWriter {
    private let columns: [String]
    private let format: RowFormat
    private let output: Output
    private let times: TimeText
    private var table: TableLayout
    private var rows = 0

    package init(
        columns: [String], format: RowFormat, output: Output, times: TimeText, terminal: Terminal
    ) throws {
        self.columns = columns
        self.format = format
        self.output = output
        self.times = times
        table = TableLayout(columns: columns, terminal: terminal)
        if format == .csv { try output.write(columns.map { CSVText.quoted($0) }.joined(separator: ",") + "\n") }
        if format == .json { try output.write("[") }
    }

    package func write(_ cells: [Cell]) throws {
        switch format {
        case .table:
            if let text = table.add(cells.map { TableCell($0, times: times) }) { try output.write(text) }
        case .csv:
            try output.write(cells.map { CSVText.field($0, times: times) }.joined(separator: ",") + "\n")
        case .json:
            try output.write((rows == 0 ? "\n" : ",\n") + object(cells).text)
        case .ndjson:
            try output.write(object(cells).text + "\n")
        }
        rows += 1
    }

    package func finish() throws {
        if format == .table { try output.write(table.finish()) }
        if format == .json { try output.write(rows == 0 ? "]\n" : "\n]\n") }
        try output.flush()
    }

    /// Absent values are left out.
    private func object(_ cells: [Cell]) -> JSONValue {
        .object(
            zip(columns, cells).compactMap { name, cell in
                JSONValue(cell).map { (name, $0) }
            })
    }
}

extension JSONValue {
    /// `nil` for an absent cell.
    package init?(_ cell: Cell) {
        switch cell {
        case .absent: return nil
        case .text(let value): self = .string(value)
        case .integer(let value), .time(let value): self = .integer(value)
        case .double(let value): self = .double(value)
        case .bool(let value): self = .bool(value)
        case .json(let value): self = .raw(value)
        }
    }
}

/// Fields of RFC 4180 with the contract's typing by quotes.
package enum CSVText {
    package static func field(_ cell: Cell, times: TimeText) -> String {
        switch cell {
        case .absent: ""
        case .text(let value), .json(let value): quoted(value)
        case .time(let value): quoted(times.rfc3339(value))
        case .integer(let value): String(value)
        case .double(let value): "\(value)"
        case .bool(let value): value ? "true" : "false"
        }
    }

    package static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" { result += "\"" }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }
}
