// From rows in numbers back to names: single events as values, or lines of JSON without values in between.

import EventStoreCore
import Foundation

struct NameResolver: Sendable {
    private let names: NameTable

    init(_ names: NameTable) { self.names = names }

    func event(_ rows: RowBatch, row: Int) -> Event {
        let shape = rows.shapes[Int(rows.shape.base[row])]
        var event = Event(
            entity: entity(rows, row), type: names.typeName(rows.typeNumbers[Int(shape.type)]) ?? "",
            timestamp: rows.timestamp.base[row], id: rows.id.base[row].uuid)
        event.sequence = rows.sequence.base[row]
        event.received = rows.received.base[row]
        let cells = rows.cells(ofRow: row)
        for (index, column) in shape.columns.enumerated() {
            guard let name = names.attributeName(rows.attributeNumbers[Int(column.attribute)]) else { continue }
            event.attributes[name] = NameResolver.value(column.kind, cells[index], rows)
        }
        return event
    }

    private func entity(_ rows: RowBatch, _ row: Int) -> String {
        names.entityName(rows.entityNumbers[Int(rows.entity.base[row])]) ?? ""
    }

    private static func value(_ kind: ValueKind, _ cell: UInt64, _ rows: RowBatch) -> AttributeValue {
        switch kind {
        case .string: .string(rows.strings.string(Int(cell)))
        case .json: .json(rows.strings.string(Int(cell)))
        case .integer: .integer(Int64(bitPattern: cell))
        case .double: .double(Double(bitPattern: cell))
        case .bool: .bool(cell != 0)
        }
    }

    // MARK: Lines of JSON

    /// How the rows of one shape are written: its columns in order of name, and the text before each value.
    private struct Template {
        var type: [UInt8]
        var columns: [(cell: Int, kind: ValueKind, prefix: [UInt8])]
    }

    func writeNDJSON(_ rows: RowBatch, order: [Int32], into target: inout [UInt8]) {
        var templates: [Template?] = Array(repeating: nil, count: rows.shapes.count)
        let entities = rows.entityNumbers.map { number in
            NameResolver.quoted(names.entityName(number) ?? "", before: "{\"entity\":")
        }
        target.reserveCapacity(target.count + order.count * 400)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { scratch in
            for place in order {
                let row = Int(place)
                let shape = Int(rows.shape.base[row])
                if templates[shape] == nil { templates[shape] = template(rows, rows.shapes[shape]) }
                guard let template = templates[shape] else { continue }
                target.append(contentsOf: entities[Int(rows.entity.base[row])])
                target.append(contentsOf: template.type)
                write(rows, row, template, scratch, &target)
            }
        }
    }

    private func template(_ rows: RowBatch, _ shape: RowShape) -> Template {
        let type = names.typeName(rows.typeNumbers[Int(shape.type)]) ?? ""
        let columns = shape.columns.enumerated().map { cell, column in
            (cell, column.kind, names.attributeName(rows.attributeNumbers[Int(column.attribute)]) ?? "")
        }
        var first = true
        var template = Template(
            type: NameResolver.quoted(type, before: ",\"type\":") + Array(",\"timestamp\":".utf8), columns: [])
        for (cell, kind, name) in columns.sorted(by: { $0.2 < $1.2 }) {
            let prefix = NameResolver.quoted(name, before: first ? "" : ",") + [0x3a]
            template.columns.append((cell, kind, prefix))
            first = false
        }
        return template
    }

    private func write(
        _ rows: RowBatch, _ row: Int, _ template: Template, _ scratch: UnsafeMutableBufferPointer<UInt8>,
        _ target: inout [UInt8]
    ) {
        JSONText.append(rows.timestamp.base[row], &target)
        target.append(contentsOf: NameResolver.idPrefix)
        rows.id.base[row].write(to: scratch.baseAddress!)
        target.append(contentsOf: scratch[0..<36])
        target.append(contentsOf: NameResolver.sequencePrefix)
        JSONText.append(Int64(bitPattern: rows.sequence.base[row]), &target)
        target.append(contentsOf: NameResolver.receivedPrefix)
        JSONText.append(rows.received.base[row], &target)
        target.append(contentsOf: NameResolver.attributesPrefix)
        let cells = rows.cells(ofRow: row)
        for column in template.columns {
            target.append(contentsOf: column.prefix)
            let cell = cells[column.cell]
            switch column.kind {
            case .string: JSONText.appendQuoted(rows.strings.bytes(Int(cell)), &target)
            case .json: target.append(contentsOf: rows.strings.bytes(Int(cell)))
            case .integer: JSONText.append(Int64(bitPattern: cell), &target)
            case .double: target.append(contentsOf: "\(Double(bitPattern: cell))".utf8)
            case .bool: target.append(contentsOf: cell != 0 ? NameResolver.trueText : NameResolver.falseText)
            }
        }
        target.append(contentsOf: NameResolver.lineEnd)
    }

    private static let idPrefix = Array(",\"id\":\"".utf8)
    private static let sequencePrefix = Array("\",\"sequence\":".utf8)
    private static let receivedPrefix = Array(",\"received\":".utf8)
    private static let attributesPrefix = Array(",\"attributes\":{".utf8)
    private static let lineEnd = Array("}}\n".utf8)
    private static let trueText = Array("true".utf8)
    private static let falseText = Array("false".utf8)

    private static func quoted(_ text: String, before prefix: String) -> [UInt8] {
        var target = Array(prefix.utf8)
        Array(text.utf8).withUnsafeBytes { JSONText.appendQuoted($0, &target) }
        return target
    }
}
