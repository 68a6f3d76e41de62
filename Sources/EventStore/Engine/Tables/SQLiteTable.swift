// Databases of SQLite that an export wrote, as events again.

import EventStoreCatalog
import EventStoreCore
import EventStoreIngest

final class SQLiteTable: TableSource {
    private let size: Int
    private let reader: ExchangeFileReader
    private var rows: TableRows
    /// By column of the reader behind the fixed ones.
    private var attributes: [(number: UInt32, kind: ValueKind)?] = []
    private var rowNumber = 0
    private var isAtEnd = false

    private static let batchRows = 8192
    private static let fixedCount = ExportColumns.fixed.count

    init(_ path: String, options: InputOptions, identity: any LineIdentity, _ files: any FileSystem) throws(Fault) {
        size = try files.status(path)?.size ?? 0
        reader = try ExchangeFileReader(path)
        rows = TableRows(options: options, identity: identity)
        for column in reader.columns {
            guard let number = rows.attribute(column.attribute, isForeign: false) else {
                throw Fault(
                    .invalid, "a column of the database is no attribute: its name is empty or too long",
                    at: .init(file: path))
            }
            attributes.append((number, column.kind))
        }
    }

    var bytesRead: Int { Int(Double(size) * min(1, Double(rowNumber) / Double(max(1, reader.rowCount)))) }
    func takeReport() -> ParseReport { rows.takeReport() }

    func next(rows count: Int) throws(Fault) -> RowBatch? {
        if isAtEnd { return nil }
        try take(min(max(count, 1), SQLiteTable.batchRows))
        return rows.takeBatch()
    }

    private func take(_ count: Int) throws(Fault) {
        rows.exchange()
        defer { rows.exchange() }
        for _ in 0..<count {
            guard try reader.next() else {
                isAtEnd = true
                return
            }
            rows.begin()
            takeFixed()
            for place in attributes.indices {
                guard let (number, kind) = attributes[place] else { continue }
                take(number, kind, SQLiteTable.fixedCount + place)
            }
            rowNumber += 1
            rows.end(row: rowNumber)
        }
    }

    private func takeFixed() {
        if reader.storage(0) == .text { rows.setID(text: reader.bytes(0)) }
        if reader.storage(1) == .text { rows.setEntity(reader.bytes(1)) }
        if reader.storage(2) == .text { rows.setType(reader.bytes(2)) }
        if reader.storage(3) == .integer { rows.setTimestamp(ms: reader.integer(3)) }
    }

    private func take(_ attribute: UInt32, _ kind: ValueKind, _ column: Int) {
        switch (kind, reader.storage(column)) {
        case (_, .null): break
        case (.string, .text): rows.add(attribute, text: reader.bytes(column))
        case (.json, .text): rows.add(attribute, json: reader.bytes(column))
        case (.integer, .integer): rows.add(attribute, integer: reader.integer(column))
        case (.double, .double), (.double, .integer): rows.add(attribute, double: reader.double(column))
        case (.double, .blob):
            let bytes = reader.bytes(column)
            guard bytes.count == 8 else { return rows.refuse(.badValue) }
            rows.add(
                attribute, double: Double(bitPattern: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))))
        case (.bool, .integer):
            let value = reader.integer(column)
            guard value == 0 || value == 1 else { return rows.refuse(.badValue) }
            rows.add(attribute, bool: value == 1)
        default: rows.refuse(.badValue)
        }
    }
}
