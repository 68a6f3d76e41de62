/// Rows of a query in the four formats, as they come.
///
/// json and ndjson: keys in the order of the SELECT, absent values are `null`, times integer milliseconds, doubles
/// keep a decimal point, numbers JSON has not (infinities) are `null`; a name that occurs again gets `_2`, `_3` …,
/// since keys of an object should differ. table and csv keep names as they are and show times as RFC 3339; a table
/// rounds doubles to twelve digits.

import EventStore
import Foundation

package final class QueryWriter {
    private let columns: [QueryColumn]
    private let format: RowFormat
    private let output: Output
    private let times: TimeText
    private var table: TableLayout
    /// What stands before each value: `{"name":`, `,"name":`.
    private let keys: [[UInt8]]
    private var rows = 0

    package init(
        columns: [QueryColumn], format: RowFormat, output: Output, times: TimeText, terminal: Terminal
    ) throws {
        self.columns = columns
        self.format = format
        self.output = output
        self.times = times
        table = TableLayout(
            columns: columns.map { TextLayout.harmless($0.name) }, terminal: terminal, recordsWhenNarrow: true)
        keys = QueryWriter.unique(columns.map(\.name)).enumerated().map { index, name in
            Array(((index == 0 ? "{" : ",") + JSONValue.string(name).text + ":").utf8)
        }
        if format == .csv { try output.write(columns.map { CSVText.quoted($0.name) }.joined(separator: ",") + "\n") }
        if format == .json { try output.write("[") }
    }

    /// Names made different: the second `a` becomes `a_2`, unless there is one.
    package static func unique(_ names: [String]) -> [String] {
        var taken = Set(names)
        var seen = Set<String>()
        return names.map { name in
            if seen.insert(name).inserted { return name }
            var number = 2
            while !taken.insert("\(name)_\(number)").inserted { number += 1 }
            return "\(name)_\(number)"
        }
    }

    package func write(_ batch: QueryBatch, rows range: Range<Int>) throws {
        for row in range {
            switch format {
            case .table:
                let cells = columns.indices.map { cell(batch[row, $0], columns[$0]) }
                if let text = table.add(cells) { try output.write(text) }
            case .csv: try output.write { writeCSV(batch, row, into: &$0) }
            case .json, .ndjson:
                try output.write {
                    if format == .json { $0.append(contentsOf: rows == 0 ? [0x0A] : [0x2C, 0x0A]) }
                    writeObject(batch, row, into: &$0)
                    if format == .ndjson { $0.append(0x0A) }
                }
            }
            rows += 1
        }
    }

    package func finish() throws {
        if format == .table { try output.write(table.finish()) }
        if format == .json { try output.write(rows == 0 ? "]\n" : "\n]\n") }
        try output.flush()
    }

    private func cell(_ value: QueryValue, _ column: QueryColumn) -> TableCell {
        switch value {
        case .null: .null
        case .text(let text): TableCell(.text(text), times: times)
        case .integer(let number): TableCell(column.isTime ? .time(number) : .integer(number), times: times)
        case .double(let number): TableCell(text: QueryWriter.short(number), right: true)
        }
    }

    /// Twelve digits: what people read, without the noise of the last ones.
    static func short(_ number: Double) -> String {
        let text = String(format: "%.12g", number)
        return text.allSatisfy { $0.isNumber || $0 == "-" } ? text + ".0" : text
    }

    private func writeObject(_ batch: QueryBatch, _ row: Int, into target: inout [UInt8]) {
        for index in columns.indices {
            target.append(contentsOf: keys[index])
            switch batch[row, index] {
            case .null: target.append(contentsOf: QueryWriter.null)
            case .integer(let number): target.append(contentsOf: String(number).utf8)
            case .double(let number):
                target.append(contentsOf: JSONValue.double(number).text.utf8)
            case .text(let text): QueryWriter.quote(text, into: &target)
            }
        }
        target.append(UInt8(ascii: "}"))
    }

    private static let null = Array("null".utf8)

    private func writeCSV(_ batch: QueryBatch, _ row: Int, into target: inout [UInt8]) {
        for (index, column) in columns.enumerated() {
            if index > 0 { target.append(UInt8(ascii: ",")) }
            let field: String
            switch batch[row, index] {
            case .null: continue
            case .text(let text): field = CSVText.quoted(text)
            case .integer(let number):
                field = CSVText.field(column.isTime ? .time(number) : .integer(number), times: times)
            case .double(let number): field = CSVText.field(.double(number), times: times)
            }
            target.append(contentsOf: field.utf8)
        }
        target.append(0x0A)
    }

    /// A JSON string; text without anything to escape is copied as it is.
    private static func quote(_ text: String, into target: inout [UInt8]) {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C }) {
            target.append(0x22)
            target.append(contentsOf: text.utf8)
            target.append(0x22)
        } else {
            target.append(contentsOf: JSONValue.string(text).text.utf8)
        }
    }
}

/// What a query cost, in one line.
package enum QueryTiming {
    package static func line(_ statistics: QueryStatistics) -> String {
        func count(_ number: Int, _ one: String, _ many: String) -> String {
            TextLayout.grouped(number) + " " + (number == 1 ? one : many)
        }
        return [
            count(statistics.rowsScanned, "row scanned", "rows scanned"),
            count(statistics.blocksRead, "block read", "blocks read"),
            "\(TextLayout.grouped(statistics.blocksPruned)) pruned", "\(TextLayout.bytes(statistics.bytesRead)) read",
            count(statistics.rowsReturned, "row returned", "rows returned"),
            "\(TextLayout.decimal(statistics.milliseconds, statistics.milliseconds < 100 ? 2 : 0)) ms",
            statistics.isNative ? "native" : "SQLite",
        ].joined(separator: ", ")
    }
}
