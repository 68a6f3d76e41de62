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
        NameResolver.append(rows.timestamp.base[row], scratch, &target)
        target.append(contentsOf: NameResolver.idPrefix)
        rows.id.base[row].write(to: scratch.baseAddress!)
        target.append(contentsOf: scratch[0..<36])
        target.append(contentsOf: NameResolver.sequencePrefix)
        NameResolver.append(Int64(bitPattern: rows.sequence.base[row]), scratch, &target)
        target.append(contentsOf: NameResolver.receivedPrefix)
        NameResolver.append(rows.received.base[row], scratch, &target)
        target.append(contentsOf: NameResolver.attributesPrefix)
        let cells = rows.cells(ofRow: row)
        for column in template.columns {
            target.append(contentsOf: column.prefix)
            let cell = cells[column.cell]
            switch column.kind {
            case .string: NameResolver.appendQuoted(rows.strings.bytes(Int(cell)), &target)
            case .json: target.append(contentsOf: rows.strings.bytes(Int(cell)))
            case .integer: NameResolver.append(Int64(bitPattern: cell), scratch, &target)
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
        Array(text.utf8).withUnsafeBytes { appendQuoted($0, &target) }
        return target
    }

    /// A JSON string (RFC 8259): quotes, backslashes and control characters escaped, all else as it is.
    private static func appendQuoted(_ text: UnsafeRawBufferPointer, _ target: inout [UInt8]) {
        target.append(0x22)
        var start = 0
        for index in 0..<text.count {
            let byte = text[index]
            if byte >= 0x20, byte != 0x22, byte != 0x5c { continue }
            target.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start..<index]))
            appendEscape(byte, &target)
            start = index + 1
        }
        target.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start...]))
        target.append(0x22)
    }

    private static func appendEscape(_ byte: UInt8, _ target: inout [UInt8]) {
        target.append(0x5c)
        switch byte {
        case 0x22, 0x5c: target.append(byte)
        case 0x0a: target.append(0x6e)
        case 0x0d: target.append(0x72)
        case 0x09: target.append(0x74)
        case 0x08: target.append(0x62)
        case 0x0c: target.append(0x66)
        default:
            let digits = Array("0123456789abcdef".utf8)
            target.append(contentsOf: [0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
    }

    private static func append(
        _ number: Int64, _ scratch: UnsafeMutableBufferPointer<UInt8>, _ target: inout [UInt8]
    ) {
        var rest = number.magnitude
        var place = 64
        repeat {
            place -= 1
            scratch[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if number < 0 {
            place -= 1
            scratch[place] = 0x2d
        }
        target.append(contentsOf: scratch[place..<64])
    }
}
