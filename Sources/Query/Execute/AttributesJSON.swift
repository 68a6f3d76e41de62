// The column `attributes`: each row's attributes as one JSON object, names in order.

import EventStoreCore

struct AttributesJSON {
    private let source: any ScanSource

    init(_ source: any ScanSource) { self.source = source }

    /// One kind of an attribute, without anything that is counted by reference.
    private struct Part: BitwiseCopyable {
        var kind: ValueKind
        var width: Int
        var data: UnsafeMutableRawPointer
        var nulls: UnsafeMutablePointer<UInt8>?
        var base: Int64
        /// Of texts.
        var arena: TextArena?

        /// `nil` for a vector without values.
        init?(_ kind: ValueKind, _ vector: Vector) {
            self.kind = kind
            (width, data, nulls, base) = (vector.width, vector.data, vector.nulls, 0)
            switch vector.form {
            case .absent, .ids: return nil
            case .integers(let least): base = least
            case .codes(let dictionary): arena = dictionary.arena
            case .doubles: break
            }
        }

        @inline(__always)
        func element(_ row: Int) -> UInt64 { Vector.element(data, width, row) }
    }

    private struct Column {
        var prefix: [UInt8]
        var parts: [Part]
    }

    func texts(_ unit: ScanUnit, _ selection: Selection, _ loader: UnitLoader) throws(Fault) -> [SQLValue] {
        let list = try loader.columns(unit, [.attributeList])[0]
        let found = try loader.columns(unit, list.attributes.map { .attribute($0) })
        let columns = list.layout(named).map { attribute in
            Column(
                prefix: attribute.prefix,
                parts: found[attribute.index].parts.compactMap { Part($0.kind, $0.vector) })
        }
        // The parts point into the vectors of `found`.
        return withExtendedLifetime(found) { objects(columns, selection) }
    }

    /// The attributes in order of name.
    private func named(_ attributes: [UInt32]) -> [NamedAttribute] {
        let names = attributes.map { Text(source.attributeName($0)) }
        return names.indices.sorted { names[$0] < names[$1] }.map { index in
            var prefix: [UInt8] = []
            names[index].withBytes { JSONText.appendQuoted($0, &prefix) }
            prefix.append(0x3a)
            return NamedAttribute(index: index, prefix: prefix)
        }
    }

    private func objects(_ columns: [Column], _ selection: Selection) -> [SQLValue] {
        var values: [SQLValue] = []
        values.reserveCapacity(selection.count)
        var line: [UInt8] = []
        line.reserveCapacity(1024)
        for index in 0..<selection.count {
            line.removeAll(keepingCapacity: true)
            line.append(0x7b)
            let row = selection.row(index)
            for column in columns.indices {
                for part in columns[column].parts.indices {
                    if append(columns[column].parts[part], columns[column].prefix, row, &line) { break }
                }
            }
            line.append(0x7d)
            values.append(line.withUnsafeBytes { .text(Text($0)) })
        }
        return values
    }

    /// False when the row has nothing of this kind.
    private func append(_ part: Part, _ prefix: [UInt8], _ row: Int, _ line: inout [UInt8]) -> Bool {
        if let arena = part.arena {
            let code = Int(part.element(row))
            if code == 0 { return false }
            begin(prefix, &line)
            if part.kind == .json {
                line.append(contentsOf: arena.bytes(code - 1))
            } else {
                JSONText.appendQuoted(arena.bytes(code - 1), &line)
            }
            return true
        }
        if let nulls = part.nulls, nulls[row] != 0 { return false }
        begin(prefix, &line)
        switch part.kind {
        case .bool: line.append(contentsOf: part.base &+ Int64(part.element(row)) != 0 ? "true".utf8 : "false".utf8)
        case .double: line.append(contentsOf: "\(part.data.load(fromByteOffset: row * 8, as: Double.self))".utf8)
        default: JSONText.append(part.base &+ Int64(bitPattern: part.element(row)), &line)
        }
        return true
    }

    private func begin(_ prefix: [UInt8], _ line: inout [UInt8]) {
        if line.count > 1 { line.append(0x2c) }
        line.append(contentsOf: prefix)
    }
}
