// The column `attributes`: each row's attributes as one JSON object, names in order.

import EventStoreCore

struct AttributesJSON {
    private let source: any ScanSource

    init(_ source: any ScanSource) { self.source = source }

    private struct Column {
        var prefix: [UInt8]
        var parts: [(kind: ValueKind, vector: Vector)]
    }

    func texts(_ unit: ScanUnit, _ selection: Selection, _ loader: UnitLoader) throws(Fault) -> [SQLValue] {
        let list = try loader.columns(unit, [.attributeList])[0].attributes
        let found = try loader.columns(unit, list.map { .attribute($0) })
        var columns: [Column] = []
        let named = list.enumerated().map { (name: source.attributeName($0.element), index: $0.offset) }
        for (name, index) in named.sorted(by: { Text($0.name) < Text($1.name) }) {
            var prefix: [UInt8] = []
            name.withBytes { JSONText.appendQuoted($0, &prefix) }
            prefix.append(0x3a)
            columns.append(Column(prefix: prefix, parts: found[index].parts))
        }
        var values: [SQLValue] = []
        values.reserveCapacity(selection.count)
        var line: [UInt8] = []
        for index in 0..<selection.count {
            line.removeAll(keepingCapacity: true)
            line.append(0x7b)
            for column in columns { append(column, selection.row(index), &line) }
            line.append(0x7d)
            values.append(line.withUnsafeBytes { .text(Text($0)) })
        }
        return values
    }

    private func append(_ column: Column, _ row: Int, _ line: inout [UInt8]) {
        for (kind, vector) in column.parts {
            if kind == .string || kind == .json {
                guard case .codes(let dictionary) = vector.form else { continue }
                let code = UInt32(truncatingIfNeeded: vector.element(row))
                if code == 0 { continue }
                begin(column, &line)
                if kind == .json {
                    line.append(contentsOf: dictionary.bytes(code))
                } else {
                    JSONText.appendQuoted(dictionary.bytes(code), &line)
                }
                return
            }
            let value = vector.value(row)
            if value.isNull { continue }
            begin(column, &line)
            switch value {
            case .integer(let number) where kind == .bool:
                line.append(contentsOf: (number != 0 ? "true" : "false").utf8)
            case .integer(let number): JSONText.append(number, &line)
            case .double(let number): line.append(contentsOf: "\(number)".utf8)
            case .text, .null: break
            }
            return
        }
    }

    private func begin(_ column: Column, _ line: inout [UInt8]) {
        if line.count > 1 { line.append(0x2c) }
        line.append(contentsOf: column.prefix)
    }
}
