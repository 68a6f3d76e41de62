// The first record of a CSV file: which column is which field or attribute, and of which kind.

import EventStoreCore

/// How the fields of a column become values.
enum CSVKind: UInt8, Sendable {
    /// No type in the header: text in quotes is text, bare text may be a number or a boolean.
    case free
    case string
    case integer
    case double
    case bool
    case json

    /// The words of a typed header, as an export writes them.
    init?(word: Substring) {
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

struct CSVHeader: Sendable {
    struct Column: Sendable {
        var action: JSONAction
        var kind: CSVKind
        /// The attribute's name; empty for fixed fields.
        var name: [UInt8]
    }

    private(set) var columns: [Column] = []
    /// Type, sequence and received as an export of a store writes them.
    private(set) var isExport = false

    private static let columnsMax = 65_536

    /// - Parameter header: the first record; none at all stands for an empty file.
    /// - Throws: `invalid` when it cannot be the header of events.
    init(_ header: [UInt8], hasDefaultEntity: Bool) throws(Fault) {
        guard !header.isEmpty else { return }
        let names = try CSVHeader.split(header)
        guard names.count <= CSVHeader.columnsMax else { throw CSVHeader.fault("has more than 65536 columns") }
        let isWhole = CSVHeader.exportFields.isSubset(of: names)
        for name in names { columns.append(try CSVHeader.column(name, isExport: isWhole)) }
        guard has(.timestamp) else { throw CSVHeader.fault("names no \"timestamp\"") }
        guard has(.type) else { throw CSVHeader.fault("names no \"event_type\" or \"type\"") }
        guard hasDefaultEntity || has(.entity) else {
            throw CSVHeader.fault("names no \"entity\": give one with --entity")
        }
        settleStoreColumns(names.contains("type"))
    }

    private static func fault(_ what: String) -> Fault { Fault(.invalid, "the CSV header (the first line) \(what)") }

    private func has(_ action: JSONAction) -> Bool { columns.contains { $0.action == action } }

    /// The fields whose columns an export has, without a kind.
    private static let exportFields: Set<String> = ["id", "entity", "type", "timestamp", "sequence", "received"]

    /// - Parameter isExport: a column with a kind is an attribute, whatever it is called.
    private static func column(_ text: String, isExport: Bool) throws(Fault) -> Column {
        var name = text[...]
        var kind = CSVKind.free
        if let colon = text.lastIndex(of: ":"), let known = CSVKind(word: text[text.index(after: colon)...]) {
            name = text[..<colon]
            kind = known
        }
        let bytes = Array(name.utf8)
        if isExport, kind != .free, !bytes.isEmpty, bytes.count <= Limits.attributeNameBytesMax {
            return Column(action: .attribute, kind: kind, name: bytes)
        }
        if let field = EventFields.field(bytes) { return Column(action: field, kind: kind, name: bytes) }
        let full = EventFields.attributeName(bytes)
        guard !bytes.isEmpty, full.count <= Limits.attributeNameBytesMax else {
            throw fault("has a column whose name is empty or longer than \(Limits.attributeNameBytesMax) bytes")
        }
        return Column(action: .attribute, kind: kind, name: full)
    }

    /// `sequence` and `received` are an export's, which a store gives anew, or attributes.
    private mutating func settleStoreColumns(_ hasOwnTypeName: Bool) {
        isExport = hasOwnTypeName && has(.sequence) && has(.received)
        guard !hasOwnTypeName else { return }
        for index in columns.indices where columns[index].action == .sequence || columns[index].action == .received {
            columns[index].action = .attribute
            columns[index].name = EventFields.attributeName(columns[index].name)
        }
    }

    private static func split(_ header: [UInt8]) throws(Fault) -> [String] {
        var record = CSVRecord(fieldsMax: columnsMax + 1)
        return try header.withUnsafeBufferPointer { buffer throws(Fault) in
            guard let base = buffer.baseAddress else { return [] }
            let whole = record.split(base, base + buffer.count)
            guard !record.isMalformed, whole == base + buffer.count else {
                throw fault("is not quoted as RFC 4180 says")
            }
            return (0..<record.count).map { index in
                let field = record.fields[index]
                let text = UnsafeBufferPointer(start: field.start, count: field.length)
                let name = String(decoding: text, as: UTF8.self)
                return field.hasDoubledQuotes ? name.replacing("\"\"", with: "\"") : name
            }
        }
    }
}
