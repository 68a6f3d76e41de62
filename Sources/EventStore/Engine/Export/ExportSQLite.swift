// SQLite: rows are decoded by all threads and inserted in turn.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto

/// `@unchecked Sendable`: the file is used by whoever's turn it is.
final class SQLiteOutput: ExportOutput, @unchecked Sendable {
    private let target: ExportTarget
    private let files: any FileSystem
    private let writer: ExchangeFileWriter
    private let columns: ExportColumns
    private let names: NameTable
    fileprivate var events = 0

    init(
        _ target: ExportTarget, _ columns: ExportColumns, _ context: ReadContext, info: [(name: String, value: String)]
    ) throws(Fault) {
        self.target = target
        self.columns = columns
        files = context.environment.files
        names = context.names
        // Made here, so that nobody else can read it.
        try target.create(nil).close()
        writer = try ExchangeFileWriter(
            target.temporary,
            columns.columns.map { ExchangeColumn(name: $0.name, attribute: $0.attribute, kind: $0.kind) }, info: info)
    }

    var byteCount: Int { ((try? files.status(target.temporary)) ?? nil)?.size ?? 0 }
    func makeWorker() -> any ExportWorker { Worker(self) }
    func abandon() { writer.close() }

    func finish() throws(Fault) -> [ExportManifest.File] {
        try writer.finish()
        let file = try files.openForUpdate(target.temporary)
        defer { file.close() }
        try file.sync()
        let size = try file.size()
        let hash = SHA256Stream()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var place = 0
        while place < size {
            let count = min(buffer.count, size - place)
            try buffer.withMutableBytes { (bytes) throws(Fault) in
                let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
                try file.read(into: part, at: place)
                hash.add(UnsafeRawBufferPointer(part))
            }
            place += count
        }
        return [
            ExportManifest.File(
                path: Path.name(target.path), bytes: size, sha256: hash.finish().hexText, events: events)
        ]
    }

    private final class Worker: ExportWorker {
        private let output: SQLiteOutput

        init(_ output: SQLiteOutput) { self.output = output }

        func take(_ rows: RowBatch, _ turn: ExportTurn) throws(Fault) {
            let names = output.names
            let entities = rows.entityNumbers.map { Array((names.entityName($0) ?? "").utf8) }
            let types = rows.typeNumbers.map { Array((names.typeName($0) ?? "").utf8) }
            let places = rows.shapes.map { output.columns.places(rows, $0) }
            try turn.wait()
            try output.writer.append(rows, entities: entities, types: types, places: places)
            output.events += rows.rowCount
        }

        func end(_ turn: ExportTurn) throws(Fault) {}
    }
}
