// Fields of a CSV record become cells and fixed fields. Every function that finds a field bad returns `false`
// and leaves the reason in `failure`.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension CSVReader {
    typealias Field = CSVRecord.Field

    /// Takes a field that is not absent.
    mutating func take(_ source: Field, _ column: CSVColumn) -> Bool {
        var field = source
        if field.hasDoubledQuotes { undouble(&field) }
        switch column.action {
        case .attribute: return takeAttribute(field, column)
        case .entity: return takeEntity(field)
        case .type: return takeType(field)
        case .timestamp: return takeTimestamp(field)
        case .id: return takeID(field)
        case .sequence, .received, .end: return true
        }
    }

    // MARK: Attributes

    private mutating func takeAttribute(_ field: Field, _ column: CSVColumn) -> Bool {
        guard addCell(column.attribute) else { return false }
        switch column.kind {
        case .free: return takeFree(field, column.attribute)
        case .string: return takeText(field, column.attribute)
        case .integer, .double: return takeNumber(field, column)
        case .bool: return takeBool(field, column.attribute)
        case .json: return takeJSON(field, column.attribute)
        }
    }

    /// Makes room for a cell: one of the same attribute before it goes.
    mutating func addCell(_ attribute: UInt32) -> Bool {
        if stamps.base[Int(attribute)] == stamp {
            report.duplicateKeys += 1
            row.removeCells(of: attribute)
        }
        stamps.base[Int(attribute)] = stamp
        return row.count < RowAssembler.cellsMax || refuse(.tooManyAttributes)
    }

    private mutating func takeText(_ field: Field, _ attribute: UInt32) -> Bool {
        guard field.length <= Limits.valueBytesMax else { return refuse(.valueTooLong) }
        row.addText(attribute, .string, field.start, field.length)
        return true
    }

    /// Bare text that is the one way to write a number or a boolean is that; all else is text.
    private mutating func takeFree(_ field: Field, _ attribute: UInt32) -> Bool {
        let first = field.start[0]
        guard !field.isQuoted else { return takeText(field, attribute) }
        if first &- 0x30 < 10 || first == 0x2d {
            var outcome = NumberText.Outcome.malformed
            let end = NumberText.parse(field.start, &outcome)
            if end == field.start + field.length {
                switch outcome {
                case .integer(let value) where value != 0 || first == 0x30:
                    row.add(attribute, .integer, UInt64(bitPattern: value))
                    return true
                case .double(let value) where NumberText.isCanonical(field.start, field.length, value):
                    row.add(attribute, .double, value.bitPattern)
                    return true
                default: break
                }
            }
        } else if let value = boolean(field) {
            row.add(attribute, .bool, value ? 1 : 0)
            return true
        }
        return takeText(field, attribute)
    }

    private func boolean(_ field: Field) -> Bool? {
        if field.length == 4, memcmp(field.start, "true", 4) == 0 { return true }
        return field.length == 5 && memcmp(field.start, "false", 5) == 0 ? false : nil
    }

    private mutating func takeBool(_ field: Field, _ attribute: UInt32) -> Bool {
        guard let value = boolean(field) else { return refuse(.badValue) }
        row.add(attribute, .bool, value ? 1 : 0)
        return true
    }

    private mutating func takeNumber(_ field: Field, _ column: CSVColumn) -> Bool {
        let first = field.length > 0 && !field.hasDoubledQuotes ? field.start[0] : 0
        guard first &- 0x30 < 10 || first == 0x2d else { return refuse(.badValue) }
        var outcome = NumberText.Outcome.malformed
        let end = NumberText.parse(field.start, &outcome)
        guard end == field.start + field.length else { return refuse(.badValue) }
        switch (outcome, column.kind) {
        case (.integer(let value), .integer): row.add(column.attribute, .integer, UInt64(bitPattern: value))
        case (.integerRange, .integer): return refuse(.integerRange)
        case (.doubleRange, _): return refuse(.numberRange)
        case (.double(let value), .double): row.add(column.attribute, .double, value.bitPattern)
        case (.integer, .double), (.integerRange, .double):
            let text = String(decoding: UnsafeBufferPointer(start: field.start, count: field.length), as: UTF8.self)
            guard let value = Double(text), value.isFinite else { return refuse(.numberRange) }
            row.add(column.attribute, .double, value.bitPattern)
        default: return refuse(.badValue)
        }
        return true
    }

    /// An array, kept without the white space between its tokens; an export's as it is.
    private mutating func takeJSON(_ field: Field, _ attribute: UInt32) -> Bool {
        guard field.length > 0, field.start[0] == 0x5b else { return refuse(.badValue) }
        reserveScratch()
        let copyStart = scratch.count
        scratch.append(from: field.start, count: field.length)
        scratch.append(0x0a)
        scratch.resize(to: scratch.count + TextScan.padding, filling: 0)
        let start = BytePointer(scratch.base + copyStart)
        var checker = JSONSyntax()
        guard let end = checker.containerEnd(start, depth: 1) else {
            return refuse(checker.failure == .badJSON ? .badValue : checker.failure)
        }
        guard end == start + field.length else { return refuse(.badValue) }
        var length = field.length
        if checker.whiteSpaceSeen, !isExport {
            scratch.truncate(to: copyStart)
            // In place: what is written never passes what is read.
            JSONSyntax.minify(start, end, into: &scratch)
            length = scratch.count - copyStart
        }
        guard length <= Limits.valueBytesMax else { return refuse(.valueTooLong) }
        row.addText(attribute, .json, start, length)
        return true
    }

    // MARK: Fixed fields

    private mutating func mark(_ field: JSONLineReader.Seen) {
        if !seen.isDisjoint(with: field) { report.duplicateKeys += 1 }
        seen.formUnion(field)
    }

    private mutating func takeEntity(_ field: Field) -> Bool {
        mark(.entity)
        guard field.length >= 1, field.length <= Limits.entityNameBytesMax else { return refuse(.badEntity) }
        entity = row.entities.code(field.start, field.length)
        return true
    }

    private mutating func takeType(_ field: Field) -> Bool {
        mark(.type)
        guard field.length >= 1, field.length <= Limits.typeNameBytesMax else { return refuse(.badType) }
        type = row.types.code(field.start, field.length)
        return true
    }

    private mutating func takeTimestamp(_ field: Field) -> Bool {
        mark(.timestamp)
        let text = UnsafeRawBufferPointer(start: field.start, count: field.length)
        if isExport, let number = EventTime.wholeNumber(text) {
            time = number
            return true
        }
        do throws(EventTime.Problem) {
            time = try EventTime.parse(text, zone: zone)
            return true
        } catch {
            return refuse(error == .zoneMissing ? .timestampWithoutZone : .badTimestamp)
        }
    }

    private mutating func takeID(_ field: Field) -> Bool {
        mark(.id)
        id = field.length == 36 ? UUIDText.parse(field.start) : nil
        otherID = nil
        guard id == nil, field.length > 0 else { return true }
        guard field.length <= Limits.valueBytesMax else { return refuse(.valueTooLong) }
        otherID = (field.start, field.length)
        return true
    }

    // MARK: Scratch memory

    /// Copies the text with each doubled quote made one.
    private mutating func undouble(_ field: inout Field) {
        reserveScratch()
        let start = scratch.count
        var index = 0
        while index < field.length {
            scratch.append(field.start[index])
            index += field.start[index] == 0x22 ? 2 : 1
        }
        field.start = BytePointer(scratch.base + start)
        field.length = scratch.count - start
    }

    /// Room for every field twice, and for what stands behind a copied array.
    private mutating func reserveScratch() {
        guard scratch.count == 0 else { return }
        scratch.reserve(2 * (recordEnd - recordStart) + record.count * (TextScan.padding + 1) + 16)
    }
}
