// The list of columns that a Parquet export carries: which column is which attribute, of which kind. JSON, an array of
// [column, attribute, kind].

import EventStoreCore
import Foundation

enum ColumnList {
    static func text(_ columns: [ExportColumn]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        let rows = columns.map { [$0.name, $0.attribute, $0.kind.word] }
        return (try? encoder.encode(rows)).map { String(decoding: $0, as: UTF8.self) } ?? "[]"
    }

    /// By name of the column; `nil` for what is no such list.
    static func columns(_ text: String) -> [String: (attribute: String, kind: ValueKind)]? {
        guard let rows = try? JSONDecoder().decode([[String]].self, from: Data(text.utf8)) else { return nil }
        var columns: [String: (attribute: String, kind: ValueKind)] = [:]
        for row in rows {
            guard row.count == 3, let kind = ValueKind(word: row[2]) else { return nil }
            columns[row[0]] = (row[1], kind)
        }
        return columns
    }
}
