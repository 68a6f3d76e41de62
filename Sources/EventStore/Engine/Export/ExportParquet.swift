// Parquet: a directory with a file for each UTC day. An item becomes a row group, filled and encoded by its thread, and
// goes into its day's file when its turn comes.

import EventStoreCore
import EventStoreParquet

/// `@unchecked Sendable`: what changes is touched by whoever's turn it is.
final class ParquetOutput: ExportOutput, @unchecked Sendable {
    /// Rows of an item, and so of a row group.
    static let itemRows = 131_072

    private let target: ExportTarget
    private let columns: ExportColumns
    private let names: NameTable
    private let schema: ParquetSchema
    private let metadata: [(key: String, value: String)]
    private var current: DayFile?
    private var done: [ExportManifest.File] = []
    private var bytesBefore = 0

    /// What `eventstore` reads back: which column is which attribute.
    static let columnsKey = "eventstore.columns"

    private struct Sink: ParquetSink {
        let file: ExportFile
        mutating func append(_ bytes: UnsafeRawBufferPointer) throws(Fault) { try file.write(bytes) }
    }

    private final class DayFile {
        let start: Int64
        let file: ExportFile
        var writer: ParquetWriter<Sink>

        init(_ start: Int64, _ file: ExportFile, _ schema: ParquetSchema) throws(Fault) {
            self.start = start
            self.file = file
            writer = try ParquetWriter(schema, to: Sink(file: file))
        }
    }

    init(_ target: ExportTarget, _ columns: ExportColumns, _ names: NameTable) throws(Fault) {
        self.target = target
        self.columns = columns
        self.names = names
        var list = [
            ParquetColumn("id", .uuid, isOptional: false), ParquetColumn("entity", .string, isOptional: false),
            ParquetColumn("type", .string, isOptional: false),
            ParquetColumn("timestamp", .timestamp, isOptional: false),
            ParquetColumn("sequence", .unsigned, isOptional: false),
            ParquetColumn("received", .timestamp, isOptional: false),
        ]
        for column in columns.columns { list.append(ParquetColumn(column.name, column.kind.parquet)) }
        schema = try ParquetSchema(list)
        metadata = [(ParquetOutput.columnsKey, ColumnList.text(columns.columns))]
    }

    var byteCount: Int { bytesBefore + (current?.file.byteCount ?? 0) }

    func makeWorker() -> any ExportWorker { ParquetWorker(self, schema, columns, names) }

    /// In turn.
    fileprivate func append(_ group: ParquetRowGroup, day: Int64) throws(Fault) {
        if let current, current.start != day { try close(current) }
        let file: DayFile
        if let current {
            file = current
        } else {
            let name = "day=\(CivilDate(ms: day).text)/part-0.parquet"
            file = try DayFile(day, ExportFile(try target.create(name), name: name), schema)
            current = file
        }
        file.file.events += group.rowCount
        try file.writer.append(group)
    }

    private func close(_ file: DayFile) throws(Fault) {
        try file.writer.finish(createdBy: "eventstore version 0.1.0", metadata: metadata)
        bytesBefore += file.file.byteCount
        done.append(try file.file.finish())
        current = nil
    }

    func finish() throws(Fault) -> [ExportManifest.File] {
        if let current { try close(current) }
        return done
    }

    func abandon() { current?.file.abandon() }
}

private final class ParquetWorker: ExportWorker {
    private let output: ParquetOutput
    private let group: ParquetRowGroup
    private let columns: ExportColumns
    private let names: NameTable

    init(_ output: ParquetOutput, _ schema: ParquetSchema, _ columns: ExportColumns, _ names: NameTable) {
        self.output = output
        self.columns = columns
        self.names = names
        group = ParquetRowGroup(schema)
    }

    func take(_ rows: RowBatch, _ turn: ExportTurn) throws(Fault) {
        appendFixed(rows)
        appendAttributes(rows)
        group.endRows(rows.rowCount)
        if group.isFull { try flush(turn) }
    }

    func end(_ turn: ExportTurn) throws(Fault) {
        if group.rowCount > 0 { try flush(turn) }
    }

    private func flush(_ turn: ExportTurn) throws(Fault) {
        group.encode()
        try turn.wait()
        try output.append(group, day: turn.item.span.start)
    }

    private func appendFixed(_ rows: RowBatch) {
        var texts = StringTable()
        let entities = rows.entityNumbers.map { Int(texts.intern(names.entityName($0) ?? "")) }
        let types = rows.typeNumbers.map { Int(texts.intern(names.typeName($0) ?? "")) }
        let shapeTypes = rows.shapes.map { types[Int($0.type)] }
        let builders = group.columns
        builders[1].startCodes(count: texts.count)
        builders[2].startCodes(count: texts.count)
        for row in 0..<rows.rowCount { builders[0].append(rows.id.base[row]) }
        for row in 0..<rows.rowCount {
            builders[1].append(code: entities[Int(rows.entity.base[row])]) { texts.bytes($0) }
        }
        for row in 0..<rows.rowCount {
            builders[2].append(code: shapeTypes[Int(rows.shape.base[row])]) { texts.bytes($0) }
        }
        for row in 0..<rows.rowCount { builders[3].append(rows.timestamp.base[row]) }
        for row in 0..<rows.rowCount { builders[4].append(rows.sequence.base[row]) }
        for row in 0..<rows.rowCount { builders[5].append(rows.received.base[row]) }
    }

    /// Where a cell of a shape goes.
    private struct Target: BitwiseCopyable {
        var builder: ParquetColumnBuilder
        var cell: Int
        var isText: Bool
        /// By its code in the batch: a column that has values in few rows does better without.
        var isCoded: Bool
    }

    private func appendAttributes(_ rows: RowBatch) {
        let (targets, starts) = makeTargets(rows)
        let base = group.rowCount
        targets.withUnsafeBufferPointer { targets in
            starts.withUnsafeBufferPointer { starts in
                for row in 0..<rows.rowCount {
                    let shape = Int(rows.shape.base[row])
                    let cells = rows.cells(ofRow: row)
                    for place in starts[shape]..<starts[shape + 1] {
                        let target = targets[place]
                        let value = cells[target.cell]
                        target.builder.skip(toRow: base &+ row)
                        if !target.isText {
                            target.builder.append(word: value)
                        } else if target.isCoded {
                            target.builder.append(code: Int(value)) { rows.strings.bytes($0) }
                        } else {
                            target.builder.append(bytes: rows.strings.bytes(Int(value)))
                        }
                    }
                }
            }
        }
    }

    private func makeTargets(_ rows: RowBatch) -> (targets: [Target], starts: [Int]) {
        var rowsOfShape = [Int](repeating: 0, count: rows.shapes.count)
        for row in 0..<rows.rowCount { rowsOfShape[Int(rows.shape.base[row])] += 1 }
        let places = rows.shapes.map { columns.places(rows, $0) }
        var values: [Int: Int] = [:]
        for (shape, places) in places.enumerated() {
            for place in places where place >= 0 { values[place, default: 0] += rowsOfShape[shape] }
        }
        let fixed = ExportColumns.fixed.count
        for place in values.keys where columns.columns[place].kind.isText {
            group.columns[fixed + place].startCodes(count: rows.strings.count)
        }
        var targets: [Target] = []
        var starts = [0]
        for (shape, places) in places.enumerated() {
            for (cell, place) in places.enumerated() where place >= 0 {
                let isText = rows.shapes[shape].columns[cell].kind.isText
                targets.append(
                    Target(
                        builder: group.columns[fixed + place], cell: cell, isText: isText,
                        isCoded: (values[place] ?? 0) * 8 >= rows.strings.count))
            }
            starts.append(targets.count)
        }
        return (targets, starts)
    }
}

extension ValueKind {
    var isText: Bool { self == .string || self == .json }

    var parquet: ParquetKind {
        switch self {
        case .string: .string
        case .integer: .integer
        case .double: .double
        case .bool: .bool
        case .json: .json
        }
    }
}
