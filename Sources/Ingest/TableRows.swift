// Rows of typed tables (Parquet, SQLite) as events: the same limits and refusals as for lines, for values that need no
// parsing. Whoever reads the table says for each row what its fields are; the text handed over must stay where it is
// until the row ends.

import EventStoreCore

/// One thread's own.
package struct TableRows: ~Copyable {
    private var row = RowAssembler()
    private var report = ParseReport()
    private let zone: InputTimeZone?
    private let timestampMsMax: Int64
    private let defaultEntity: [UInt8]?
    private let identity: any LineIdentity
    private let otherIDAttribute: UInt32

    // The row being read.
    private var failure: RefusalReason?
    private var entity: UInt32?
    private var type: UInt32?
    private var time: Int64?
    private var id: EventID?
    private var idText: UnsafeRawBufferPointer?
    private var idTexts = GrowableBuffer<UInt8>(capacity: RowAssembler.cellsMax * 37)
    private var arrays = GrowableBuffer<UInt8>()
    private var content: [UInt8] = []
    /// By attribute: how many columns of the table are values of it. A row has at most one value of each.
    private var columnCounts: [UInt32: Int] = [:]
    private var sharesAttributes = false

    package init(options: InputOptions, identity: any LineIdentity) {
        zone = options.inputTimeZone
        timestampMsMax = options.timestampMsMax
        defaultEntity = options.defaultEntity.map { Array($0.utf8) }
        self.identity = identity
        otherIDAttribute = row.attributes.code(EventFields.otherIDAttribute)
    }

    package mutating func takeBatch() -> RowBatch { row.takeBatch() }
    package mutating func takeReport() -> ParseReport {
        defer { report = ParseReport() }
        return report
    }

    /// Which fixed field a column of a foreign table is; `nil` for an attribute.
    package enum Field: Sendable { case entity, type, timestamp, id, ignored }

    package static func field(_ name: String) -> Field? {
        switch EventFields.field(Array(name.utf8)) {
        case .entity: .entity
        case .type: .type
        case .timestamp: .timestamp
        case .id: .id
        case .sequence, .received: .ignored
        default: nil
        }
    }

    /// A number for an attribute, as long as this lives; `nil` for a name that is none.
    /// - Parameter isForeign: a name of a fixed field becomes `labels.NAME`.
    package mutating func attribute(_ name: String, isForeign: Bool) -> UInt32? {
        let bytes = Array(name.utf8)
        let full = isForeign ? EventFields.attributeName(bytes) : bytes
        guard (1...Limits.attributeNameBytesMax).contains(full.count) else { return nil }
        let code = row.attributes.code(full)
        columnCounts[code, default: 0] += 1
        if columnCounts[code] == 2 { sharesAttributes = true }
        return code
    }

    // MARK: A row

    /// Before the first row of a batch and after its last: in between the batch's columns are held here.
    package mutating func exchange() { row.exchangeColumns() }

    package mutating func begin() {
        row.begin()
        failure = nil
        entity = nil
        type = nil
        time = nil
        id = nil
        idText = nil
        idTexts.truncate(to: 0)
        row.forgetManyNames()
    }

    package mutating func refuse(_ reason: RefusalReason) { failure = failure ?? reason }

    package mutating func setEntity(_ text: UnsafeRawBufferPointer) {
        guard (1...Limits.entityNameBytesMax).contains(text.count), TextScan.isUTF8(text) else {
            return refuse(.badEntity)
        }
        if let start = text.baseAddress { entity = row.entities.code(start, text.count) }
    }

    package mutating func setType(_ text: UnsafeRawBufferPointer) {
        guard (1...Limits.typeNameBytesMax).contains(text.count), TextScan.isUTF8(text) else {
            return refuse(.badType)
        }
        if let start = text.baseAddress { type = row.types.code(start, text.count) }
    }

    package mutating func setTimestamp(ms: Int64) { time = ms }

    /// A number whose magnitude tells its unit, as in lines.
    package mutating func setTimestamp(number: Int64) { time = EventTime.ms(integer: number) }

    package mutating func setTimestamp(text: UnsafeRawBufferPointer) {
        do throws(EventTime.Problem) {
            time = try EventTime.parse(text, zone: zone)
        } catch {
            refuse(error == .zoneMissing ? .timestampWithoutZone : .badTimestamp)
        }
    }

    package mutating func setID(_ id: EventID) { self.id = id }

    package mutating func setID(text: UnsafeRawBufferPointer) {
        if let known = EventID(text: text) {
            id = known
        } else if text.count > Limits.valueBytesMax {
            refuse(.valueTooLong)
        } else if !TextScan.isUTF8(text) {
            refuse(.badUTF8)
        } else if text.count > 0 {
            idText = text
        }
    }

    private mutating func hasRoom(_ attribute: UInt32) -> Bool {
        if sharesAttributes { makeOnly(attribute) }
        if row.count < RowAssembler.cellsMax { return true }
        refuse(.tooManyAttributes)
        return false
    }

    /// Of an attribute with a value in two columns the last one counts.
    private mutating func makeOnly(_ attribute: UInt32) {
        guard columnCounts[attribute] ?? 0 > 1 else { return }
        let count = row.count
        row.removeCells(of: attribute)
        if row.count < count { report.duplicateKeys += 1 }
    }

    package mutating func add(_ attribute: UInt32, integer: Int64) {
        if hasRoom(attribute) { row.add(attribute, .integer, UInt64(bitPattern: integer)) }
    }

    package mutating func add(_ attribute: UInt32, double: Double) {
        guard double.isFinite else { return refuse(.numberRange) }
        if hasRoom(attribute) { row.add(attribute, .double, double.bitPattern) }
    }

    package mutating func add(_ attribute: UInt32, bool: Bool) {
        if hasRoom(attribute) { row.add(attribute, .bool, bool ? 1 : 0) }
    }

    package mutating func add(_ attribute: UInt32, text: UnsafeRawBufferPointer) {
        guard text.count <= Limits.valueBytesMax else { return refuse(.valueTooLong) }
        guard TextScan.isUTF8(text) else { return refuse(.badUTF8) }
        if hasRoom(attribute) {
            row.addText(attribute, .string, text.baseAddress ?? UnsafeRawPointer(arrays.base), text.count)
        }
    }

    /// The text of a UUID.
    package mutating func addID(_ attribute: UInt32, _ id: EventID) {
        guard hasRoom(attribute) else { return }
        // Never moved: there is room for all ids a row can have, and for one more of an attribute that came twice.
        guard idTexts.count + 36 <= RowAssembler.cellsMax * 37 else { return refuse(.tooManyAttributes) }
        let start = idTexts.count
        idTexts.resize(to: start + 36, filling: 0)
        id.write(to: idTexts.base + start)
        row.addText(attribute, .string, UnsafeRawPointer(idTexts.base + start), 36)
    }

    /// The text of a JSON array, kept as it is.
    package mutating func add(_ attribute: UInt32, json text: UnsafeRawBufferPointer) {
        guard text.count <= Limits.valueBytesMax else { return refuse(.valueTooLong) }
        guard text.first == 0x5b, TextScan.isUTF8(text) else { return refuse(.badValue) }
        var checker = JSONSyntax()
        // A copy with a line feed behind it, which stops every loop of the checker.
        arrays.truncate(to: 0)
        guard let source = text.baseAddress else { return refuse(.badValue) }
        arrays.append(from: source.assumingMemoryBound(to: UInt8.self), count: text.count)
        arrays.append(0x0a)
        arrays.resize(to: arrays.count + TextScan.padding, filling: 0)
        let start = BytePointer(arrays.base)
        guard let end = checker.containerEnd(start, depth: 1), end == start + text.count else {
            return refuse(.badValue)
        }
        if hasRoom(attribute) { row.addText(attribute, .json, source, text.count) }
    }

    /// Ends the row: it is in the batch, or refused.
    package mutating func end(row number: Int) {
        report.read += 1
        if failure == nil { finish() }
        if let failure { report.refuse(line: number, failure, failure.sentence) }
    }

    private mutating func finish() {
        let code = entity ?? defaultEntity.map { row.entities.code($0) }
        guard let code else { return refuse(.noEntity) }
        guard let type else { return refuse(.noType) }
        guard let time else { return refuse(.noTimestamp) }
        guard time <= timestampMsMax else { return refuse(.futureTimestamp) }
        guard time >= Limits.timestampMsMin else { return refuse(.badTimestamp) }
        var flags: RowFlags = []
        var known = id
        if known == nil, let text = idText {
            guard let start = text.baseAddress else { return }
            row.removeCells(of: otherIDAttribute)
            guard hasRoom(otherIDAttribute) else { return }
            row.addText(otherIDAttribute, .string, start, text.count)
            known = .version8(hash: identity.textID(text))
        }
        if known == nil {
            known = .version8(hash: contentID(code, type, time))
            flags = .idFromLine
        }
        guard row.eventBytes() <= Limits.eventBytesMax else { return refuse(.eventTooLarge) }
        guard let known else { return }
        row.finish(entity: code, type: type, timestamp: time, id: known, flags: flags)
    }

    /// Of a row without an id: a keyed hash of all it says, so that the same table gives the same ids again.
    private mutating func contentID(_ entity: UInt32, _ type: UInt32, _ time: Int64) -> EventID {
        content.removeAll(keepingCapacity: true)
        content.append(contentsOf: row.types.table.bytes(Int(type)))
        withUnsafeBytes(of: time.littleEndian) { content.append(contentsOf: $0) }
        for index in 0..<row.count {
            let key = ColumnKey(raw: row.keys[index])
            content.append(0)
            content.append(contentsOf: row.attributes.table.bytes(Int(key.attribute)))
            content.append(key.kind.rawValue)
            if key.kind == .string || key.kind == .json {
                content.append(contentsOf: UnsafeRawBufferPointer(start: row.texts[index], count: row.lengths[index]))
            } else {
                withUnsafeBytes(of: row.values[index].littleEndian) { content.append(contentsOf: $0) }
            }
        }
        let name = row.entities.table.bytes(Int(entity))
        return content.withBytes { identity.lineID(entity: name, line: $0) }
    }
}
