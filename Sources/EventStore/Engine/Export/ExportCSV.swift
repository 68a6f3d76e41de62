// CSV (RFC 4180) with a header that carries kinds: the fixed fields by their names, attributes as "NAME:kind". Texts
// are always in quotes, numbers and booleans never; nothing between two commas is no value.

import EventStoreCore

struct CSVRows: TextRows {
    private let columns: ExportColumns
    private let names: NameTable
    private var scratch = [UInt8](repeating: 0, count: 36)

    init(_ columns: ExportColumns, _ names: NameTable) {
        self.columns = columns
        self.names = names
    }

    /// - Throws: `limit` when an import would not take so many columns.
    static func header(_ columns: ExportColumns) throws(Fault) -> [UInt8] {
        var bytes = Array(ExportColumns.fixed.joined(separator: ",").utf8)
        for column in columns.columns {
            bytes.append(0x2c)
            appendQuoted(Array("\(column.attribute):\(column.kind.word)".utf8), &bytes)
        }
        bytes.append(0x0a)
        guard bytes.count <= Limits.lineBytesMax else {
            throw Fault(
                .limit,
                "a CSV header of \(columns.columns.count) attributes is longer than a line may be; "
                    + "export to ndjson or parquet, or filter by entity or type")
        }
        return bytes
    }

    private static func appendQuoted(_ text: [UInt8], _ target: inout [UInt8]) {
        text.withUnsafeBytes { appendQuoted($0, &target) }
    }

    private static func appendQuoted(_ text: UnsafeRawBufferPointer, _ target: inout [UInt8]) {
        target.append(0x22)
        var start = 0
        for index in 0..<text.count where text[index] == 0x22 {
            target.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start...index]))
            target.append(0x22)
            start = index + 1
        }
        target.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start...]))
        target.append(0x22)
    }

    private static func quoted(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        appendQuoted(Array(text.utf8), &bytes)
        return bytes
    }

    /// The cells of rows of one shape in the order of columns, and the commas before each and after the last.
    private struct Template {
        var type: [UInt8]
        var cells: [(cell: Int, kind: ValueKind, commas: Int)] = []
        var commasAfter = 0
    }

    private func template(_ rows: RowBatch, _ shape: RowShape) -> Template {
        let type = names.typeName(rows.typeNumbers[Int(shape.type)]) ?? ""
        var template = Template(type: CSVRows.quoted(type))
        var last = -1
        let places = columns.places(rows, shape).enumerated().filter { $0.element >= 0 }
        for (cell, place) in places.sorted(by: { $0.element < $1.element }) {
            template.cells.append((cell, shape.columns[cell].kind, place - last))
            last = place
        }
        template.commasAfter = columns.columns.count - 1 - last
        return template
    }

    mutating func append(_ rows: RowBatch, _ target: inout [UInt8]) {
        let templates = rows.shapes.map { template(rows, $0) }
        let entities = rows.entityNumbers.map { CSVRows.quoted(names.entityName($0) ?? "") }
        target.reserveCapacity(target.count + rows.rowCount * 400)
        for row in 0..<rows.rowCount {
            scratch.withUnsafeMutableBufferPointer { rows.id.base[row].write(to: $0.baseAddress!) }
            target.append(contentsOf: scratch)
            target.append(0x2c)
            target.append(contentsOf: entities[Int(rows.entity.base[row])])
            target.append(0x2c)
            let template = templates[Int(rows.shape.base[row])]
            target.append(contentsOf: template.type)
            target.append(0x2c)
            JSONText.append(rows.timestamp.base[row], &target)
            target.append(0x2c)
            JSONText.append(Int64(bitPattern: rows.sequence.base[row]), &target)
            target.append(0x2c)
            JSONText.append(rows.received.base[row], &target)
            append(rows, rows.cells(ofRow: row), template, &target)
        }
    }

    private func append(
        _ rows: RowBatch, _ cells: UnsafeBufferPointer<UInt64>, _ template: Template, _ target: inout [UInt8]
    ) {
        for (cell, kind, commas) in template.cells {
            for _ in 0..<commas { target.append(0x2c) }
            let value = cells[cell]
            switch kind {
            case .string, .json: CSVRows.appendQuoted(rows.strings.bytes(Int(value)), &target)
            case .integer: JSONText.append(Int64(bitPattern: value), &target)
            case .double: target.append(contentsOf: "\(Double(bitPattern: value))".utf8)
            case .bool: target.append(contentsOf: value != 0 ? CSVRows.trueText : CSVRows.falseText)
            }
        }
        for _ in 0..<template.commasAfter { target.append(0x2c) }
        target.append(0x0a)
    }

    private static let trueText = Array("true".utf8)
    private static let falseText = Array("false".utf8)
}
