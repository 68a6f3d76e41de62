// Parquet files as events: exports of a store by their list of columns, files of others by the names of their columns.

import EventStoreCore
import EventStoreIngest
import EventStoreParquet

final class ParquetTable: TableSource {
    /// What becomes of a column.
    private enum Action {
        case field(TableRows.Field)
        case attribute(UInt32, ValueKind?)
        case ignored
    }

    private let path: String
    private let size: Int
    private let reader: ParquetReader
    private var rows: TableRows
    private var actions: [Action] = []
    private var wanted: [Int] = []
    private var group: ParquetGroupReader?
    private var nextGroup = 0
    private var rowNumber = 0

    init(_ path: String, options: InputOptions, identity: any LineIdentity, _ files: any FileSystem) throws(Fault) {
        self.path = path
        let file = try files.openForReading(path)
        do throws(Fault) {
            size = try file.size()
            reader = try ParquetReader(file)
        } catch {
            throw error.at(file: path)
        }
        rows = TableRows(options: options, identity: identity)
        try settle(hasDefaultEntity: options.defaultEntity != nil)
    }

    var bytesRead: Int { reader.rowCount == 0 ? size : Int(Double(size) * Double(rowNumber) / Double(reader.rowCount)) }

    func takeReport() -> ParseReport { rows.takeReport() }

    // MARK: Columns

    private func settle(hasDefaultEntity: Bool) throws(Fault) {
        let list = reader.metadata.first { $0.key == ParquetOutput.columnsKey }.flatMap { ColumnList.columns($0.value) }
        var fields: Set<TableRows.Field> = []
        for (number, column) in reader.columns.enumerated() {
            let action = try action(column, list)
            if case .ignored = action { continue }
            if case .field(let field) = action { fields.insert(field) }
            actions.append(action)
            wanted.append(number)
        }
        let missing =
            !fields.contains(.timestamp)
            ? "timestamp"
            : !fields.contains(.type) ? "type" : !fields.contains(.entity) && !hasDefaultEntity ? "entity" : nil
        if let missing {
            throw Fault(
                .invalid,
                "the Parquet file has no column \"\(missing)\""
                    + (missing == "entity" ? ": give an entity with --entity" : ""), at: .init(file: path))
        }
    }

    private func action(
        _ column: ParquetFileColumn, _ list: [String: (attribute: String, kind: ValueKind)]?
    ) throws(Fault) -> Action {
        if let list {
            if ExportColumns.fixed.contains(column.name) {
                let field = TableRows.field(column.name) ?? .ignored
                return field == .ignored ? .ignored : .field(field)
            }
            guard let known = list[column.name] else { return .ignored }
            guard let attribute = rows.attribute(known.attribute, isForeign: false) else { return .ignored }
            return .attribute(attribute, known.kind)
        }
        if let field = TableRows.field(column.name) { return field == .ignored ? .ignored : .field(field) }
        guard let attribute = rows.attribute(column.name, isForeign: true) else {
            throw Fault(
                .invalid, "the Parquet file has a column whose name is empty or longer than an attribute's may be",
                at: .init(file: path))
        }
        return .attribute(attribute, nil)
    }

    // MARK: Rows

    func next(rows count: Int) throws(Fault) -> RowBatch? {
        do throws(Fault) {
            while true {
                if group == nil {
                    guard nextGroup < reader.rowGroupCount else { return nil }
                    group = try reader.open(group: nextGroup, columns: wanted)
                    nextGroup += 1
                }
                guard let group else { return nil }
                let found = try group.next(rowsMax: min(max(count, 1), 8192))
                if found == 0 {
                    self.group = nil
                    continue
                }
                take(group.vectors, found)
                return rows.takeBatch()
            }
        } catch {
            throw error.at(file: path)
        }
    }

    private func take(_ vectors: [ParquetVector], _ count: Int) {
        rows.exchange()
        defer { rows.exchange() }
        for row in 0..<count {
            rows.begin()
            for (place, vector) in vectors.enumerated() where !vector.isNull(row) {
                switch actions[place] {
                case .field(let field): take(field, vector, row)
                case .attribute(let attribute, let kind): take(attribute, kind, vector, row)
                case .ignored: break
                }
            }
            rowNumber += 1
            rows.end(row: rowNumber)
        }
    }

    private func take(_ field: TableRows.Field, _ vector: ParquetVector, _ row: Int) {
        switch (field, vector.kind) {
        case (.entity, .string), (.entity, .json), (.entity, .binary): rows.setEntity(vector.bytes(row))
        case (.entity, _): rows.refuse(.badEntity)
        case (.type, .string), (.type, .json), (.type, .binary): rows.setType(vector.bytes(row))
        case (.type, _): rows.refuse(.badType)
        case (.timestamp, .timestamp): rows.setTimestamp(ms: vector.integer(row))
        case (.timestamp, .integer): rows.setTimestamp(number: vector.integer(row))
        case (.timestamp, .string): rows.setTimestamp(text: vector.bytes(row))
        case (.timestamp, _): rows.refuse(.badTimestamp)
        case (.id, .uuid): rows.setID(vector.id(row))
        case (.id, .string): rows.setID(text: vector.bytes(row))
        case (.id, .integer):
            // As the text of the number, as in lines of JSON.
            rows.refuse(.badID)
        case (.id, _): rows.refuse(.badID)
        case (.ignored, _): break
        }
    }

    private func take(_ attribute: UInt32, _ kind: ValueKind?, _ vector: ParquetVector, _ row: Int) {
        switch vector.kind {
        case .bool: rows.add(attribute, bool: vector.bool(row))
        case .integer, .timestamp: rows.add(attribute, integer: vector.integer(row))
        case .unsigned:
            guard let value = Int64(exactly: vector.word(row)) else { return rows.refuse(.integerRange) }
            rows.add(attribute, integer: value)
        case .double: rows.add(attribute, double: vector.double(row))
        case .string, .binary:
            if kind == .json {
                rows.add(attribute, json: vector.bytes(row))
            } else {
                rows.add(attribute, text: vector.bytes(row))
            }
        case .json:
            let text = vector.bytes(row)
            // What is JSON and no array is kept as text.
            if kind == .json || text.first == 0x5b {
                rows.add(attribute, json: text)
            } else {
                rows.add(attribute, text: text)
            }
        case .uuid: rows.addID(attribute, vector.id(row))
        }
    }
}
