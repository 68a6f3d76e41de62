// The columns of a table of events: the fixed fields, then one for each attribute and kind there are values of.
//
// An attribute NAME is the column NAME, with the kind most of its values have; values of other kinds are in columns
// NAME:string, NAME:integer, NAME:double, NAME:bool and NAME:json. An attribute with the name of a fixed column is
// called attributes.NAME. Where two columns would have one name the later one gets ~2, ~3 …; the list of columns that
// every file carries says what each is.

import EventStoreCore

struct ExportColumn: Sendable {
    /// In the table.
    var name: String
    /// Of the attribute.
    var attribute: String
    var key: ColumnKey

    var kind: ValueKind { key.kind }
}

struct ExportColumns: Sendable {
    static let fixed = ["id", "entity", "type", "timestamp", "sequence", "received"]
    /// The directories of days are a column to many readers.
    static let dayColumn = "day"

    /// By attribute's name, the most frequent kind first.
    let columns: [ExportColumn]
    private let places: [UInt32: Int]

    /// - Parameters:
    ///   - counts: values by column key.
    ///   - ignoresCase: names that differ only in the case of ASCII letters count as one name, as in SQL.
    init(_ counts: [UInt32: Int], names: NameTable, reserved: Set<String>, ignoresCase: Bool) {
        var byName: [(name: String, key: ColumnKey, count: Int)] = []
        for (raw, count) in counts {
            let key = ColumnKey(raw: raw)
            guard let name = names.attributeName(key.attribute) else { continue }
            byName.append((name, key, count))
        }
        byName.sort { a, b in
            if a.name != b.name { return a.name < b.name }
            return a.count != b.count ? a.count > b.count : a.key < b.key
        }
        func folded(_ name: String) -> [UInt8] {
            name.utf8.map { ignoresCase && $0 >= 0x41 && $0 <= 0x5a ? $0 + 32 : $0 }
        }
        var taken = Set(ExportColumns.fixed.map(folded))
        let reserved = Set(reserved.map(folded))
        var columns: [ExportColumn] = []
        var last: String?
        for (name, key, _) in byName {
            var title = reserved.contains(folded(name)) ? "attributes." + name : name
            if name == last { title += ":" + key.kind.word }
            last = name
            var unique = title
            var number = 2
            while !taken.insert(folded(unique)).inserted {
                unique = "\(title)~\(number)"
                number += 1
            }
            columns.append(ExportColumn(name: unique, attribute: name, key: key))
        }
        self.columns = columns
        places = Dictionary(uniqueKeysWithValues: columns.enumerated().map { ($0.element.key.raw, $0.offset) })
    }

    /// The column of each cell of a batch's shape; -1 for one without a column.
    func places(_ rows: RowBatch, _ shape: RowShape) -> [Int] {
        shape.columns.map { column in
            let key = ColumnKey(attribute: rows.attributeNumbers[Int(column.attribute)], kind: column.kind)
            return places[key.raw] ?? -1
        }
    }
}

extension ValueKind {
    /// As headers and lists of columns say it.
    var word: String {
        switch self {
        case .string: "string"
        case .integer: "integer"
        case .double: "double"
        case .bool: "bool"
        case .json: "json"
        }
    }

    init?(word: String) {
        switch word {
        case "string": self = .string
        case "integer": self = .integer
        case "double": self = .double
        case "bool": self = .bool
        case "json": self = .json
        default: return nil
        }
    }
}
