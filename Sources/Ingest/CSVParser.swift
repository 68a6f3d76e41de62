// The parser of CSV: one event a record, columns named by the header.
//
// This file goes from record to record; CSVReader+Values.swift turns fields into cells.

import EventStoreCore

/// Reads CSV. One thread's own; see `EventParser`. docs/input-formats.md says what it accepts.
package final class CSVParser: EventParser {
    private var reader: CSVReader
    private let identity: any LineIdentity

    /// - Parameter header: the file's first record; chunks start behind it.
    /// - Throws: `invalid` when the header names no timestamp, no type, or neither an entity nor the options do.
    package init(header: [UInt8], options: InputOptions, identity: any LineIdentity) throws(Fault) {
        let columns = try CSVHeader(header, hasDefaultEntity: options.defaultEntity != nil)
        reader = CSVReader(header: columns, options: options)
        self.identity = identity
    }

    package var rowCount: Int { reader.row.batch.rowCount }
    package var batchByteCount: Int { reader.row.batch.byteCount }
    package func takeBatch() -> RowBatch { reader.row.takeBatch() }
    package func takeReport() -> ParseReport { reader.takeReport() }

    @discardableResult
    package func parse(_ bytes: UnsafeRawBufferPointer, firstLine: Int, rowLimit: Int) -> ParseProgress {
        reader.row.exchangeColumns()
        defer { reader.row.exchangeColumns() }
        return reader.parse(bytes, firstLine: firstLine, rowLimit: rowLimit, identity: identity)
    }
}

struct CSVColumn: BitwiseCopyable {
    var action: JSONAction
    var kind: CSVKind
    var attribute: UInt32
}

struct CSVReader: ~Copyable {
    var row = RowAssembler()
    var report = ParseReport()
    var record: CSVRecord
    private var recordCopy = LineCopy()
    let columns: UnsafeMutablePointer<CSVColumn>
    private let columnCount: Int
    let isExport: Bool
    let zone: InputTimeZone?
    private let timestampMsMax: Int64
    private let defaultEntity: [UInt8]?
    let otherIDAttribute: UInt32

    // The record being read.
    var recordStart: BytePointer
    var recordEnd: BytePointer
    /// Text without its doubled quotes; never moved while a record is read.
    var scratch = GrowableBuffer<UInt8>()
    var stamps = GrowableBuffer<UInt32>()
    var stamp: UInt32 = 0
    var failure = RefusalReason.badCSV
    var failedColumn: Int?
    var entity: UInt32?
    var type: UInt32?
    var time: Int64?
    var id: EventID?
    var otherID: (start: BytePointer, length: Int)?
    var seen: JSONLineReader.Seen = []

    init(header: CSVHeader, options: InputOptions) {
        columnCount = header.columns.count
        isExport = header.isExport
        zone = options.inputTimeZone
        timestampMsMax = options.timestampMsMax
        defaultEntity = options.defaultEntity.map { Array($0.utf8) }
        record = CSVRecord(fieldsMax: columnCount + 1)
        columns = .allocate(capacity: max(columnCount, 1))
        for (index, column) in header.columns.enumerated() {
            let attribute = column.action == .attribute ? row.attributes.code(column.name) : 0
            (columns + index).initialize(
                to: CSVColumn(action: column.action, kind: column.kind, attribute: attribute))
        }
        otherIDAttribute = row.attributes.code(EventFields.otherIDAttribute)
        stamps.resize(to: row.attributes.inBatch.count, filling: 0)
        recordStart = BytePointer(scratch.base)
        recordEnd = recordStart
    }

    deinit { columns.deallocate() }

    mutating func takeReport() -> ParseReport {
        defer { report = ParseReport() }
        return report
    }

    mutating func parse(
        _ bytes: UnsafeRawBufferPointer, firstLine: Int, rowLimit: Int, identity: any LineIdentity
    ) -> ParseProgress {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            return ParseProgress(bytes: 0, lines: 0)
        }
        let end = start + bytes.count
        var position = start
        var line = firstLine
        while position < end, row.rowCount < rowLimit {
            let found = record.split(position, end)
            let lineFeeds = record.lineFeeds
            readRecord(position, found, isPadded: end - found > TextScan.padding, line: line, identity: identity)
            line += lineFeeds
            position = found
            if position < end {
                position += 1
                line += 1
            }
        }
        return ParseProgress(bytes: position - start, lines: line - firstLine)
    }

    private mutating func readRecord(
        _ start: BytePointer, _ end: BytePointer, isPadded: Bool, line: Int, identity: any LineIdentity
    ) {
        let content = TextScan.trimmedEnd(start, end)
        if content == start { return }
        report.read &+= 1
        recordStart = start
        recordEnd = content
        failedColumn = nil
        if end - start > Limits.lineBytesMax {
            failure = .lineTooLong
        } else {
            if !isPadded { copyRecord(start, end) }
            if readFields(), finishRecord(identity: identity) { return }
        }
        let place = failedColumn.map { " in column \($0 + 1)" } ?? ""
        report.refuse(line: line, failure, failure.sentence + place)
    }

    private mutating func copyRecord(_ start: BytePointer, _ end: BytePointer) {
        let copy = recordCopy.padded(start, end)
        _ = record.split(copy, copy + (end - start))
        recordEnd = copy + (recordEnd - recordStart)
        recordStart = copy
    }

    private mutating func readFields() -> Bool {
        guard !record.isMalformed, record.count == columnCount else { return refuse(.badCSV) }
        guard TextScan.isUTF8(UnsafeRawBufferPointer(start: recordStart, count: recordEnd - recordStart)) else {
            return refuse(.badUTF8)
        }
        row.forgetManyNames()
        row.begin()
        scratch.truncate(to: 0)
        nextStamp()
        entity = nil
        type = nil
        time = nil
        id = nil
        otherID = nil
        seen = []
        for index in 0..<columnCount {
            let field = record.fields[index]
            if field.length == 0, !field.isQuoted { continue }
            guard take(field, columns[index]) else {
                failedColumn = index
                return false
            }
        }
        return true
    }

    private mutating func nextStamp() {
        stamp &+= 1
        guard stamp == .max else { return }
        stamp = 1
        for index in 0..<stamps.count { stamps.base[index] = 0 }
    }

    mutating func refuse(_ reason: RefusalReason) -> Bool {
        failure = reason
        return false
    }

    private mutating func finishRecord(identity: any LineIdentity) -> Bool {
        let entityCode: UInt32
        if let entity {
            entityCode = entity
        } else if let defaultEntity {
            entityCode = row.entities.code(defaultEntity)
        } else {
            return refuse(.noEntity)
        }
        guard let type else { return refuse(.noType) }
        guard let time else { return refuse(.noTimestamp) }
        guard time <= timestampMsMax else { return refuse(.futureTimestamp) }
        guard time >= Limits.timestampMsMin else { return refuse(.badTimestamp) }
        var flags: RowFlags = []
        let known: EventID
        if let id {
            known = id
        } else if let otherID {
            guard addCell(otherIDAttribute) else { return false }
            row.addText(otherIDAttribute, .string, otherID.start, otherID.length)
            let text = UnsafeRawBufferPointer(start: otherID.start, count: otherID.length)
            known = .version8(hash: identity.textID(text))
        } else {
            let line = UnsafeRawBufferPointer(start: recordStart, count: recordEnd - recordStart)
            let name = row.entities.table.bytes(Int(entityCode))
            known = .version8(hash: identity.lineID(entity: name, line: line))
            flags = .idFromLine
        }
        if recordEnd - recordStart > Limits.eventBytesMax / 8, row.eventBytes() > Limits.eventBytesMax {
            return refuse(.eventTooLarge)
        }
        row.finish(entity: entityCode, type: type, timestamp: time, id: known, flags: flags)
        return true
    }
}
