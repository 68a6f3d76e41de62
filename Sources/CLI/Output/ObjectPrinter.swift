/// One object, such as a report: aligned lines for people, one JSON object, or a csv of one row.

package struct ReportField: Sendable {
    package var key: String
    package var value: JSONValue
    /// What people read; `nil` leaves the field out of the table.
    package var shown: String?
    package var label: String

    package init(_ key: String, _ value: JSONValue, label: String, shown: String?) {
        self.key = key
        self.value = value
        self.label = label
        self.shown = shown
    }

    package init(_ key: String, count: Int, label: String) {
        self.init(key, .int(count), label: label, shown: TextLayout.grouped(count))
    }

    package init(_ key: String, bytes: Int, label: String) {
        self.init(key, .int(bytes), label: label, shown: TextLayout.bytes(bytes))
    }

    package init(_ key: String, seconds: Double, label: String) {
        self.init(
            key, .double((seconds * 1000).rounded() / 1000), label: label,
            shown: TextLayout.decimal(seconds, 2) + " s")
    }

    package init(_ key: String, time: Int64?, label: String, times: TimeText) {
        self.init(key, .time(time), label: label, shown: time.map { times.rfc3339($0) })
    }
}

package enum ObjectPrinter {
    package static func print(
        _ fields: [ReportField], format: RowFormat, output: Output, terminal: Terminal
    ) throws {
        switch format {
        case .json, .ndjson: try output.write(JSONValue.object(fields.map { ($0.key, $0.value) }).text + "\n")
        case .csv:
            let flat = fields.filter { !$0.value.isNested }
            try output.write(flat.map { CSVText.quoted($0.key) }.joined(separator: ",") + "\n")
            try output.write(flat.map { $0.value.csvField }.joined(separator: ",") + "\n")
        case .table: try output.write(lines(fields, terminal: terminal))
        }
    }

    package static func lines(_ fields: [ReportField], terminal: Terminal) -> String {
        let shown = fields.compactMap { field in field.shown.map { (field.label, $0) } }
        let width = shown.map { TextLayout.width($0.0) }.max() ?? 0
        return shown.map { terminal.faint(TextLayout.padded($0.0, to: width)) + "  " + $0.1 + "\n" }.joined()
    }
}

extension JSONValue {
    var isNested: Bool {
        switch self {
        case .array, .object, .raw: true
        default: false
        }
    }

    var csvField: String {
        switch self {
        case .null: ""
        case .string(let value): CSVText.quoted(value)
        default: text
        }
    }
}
