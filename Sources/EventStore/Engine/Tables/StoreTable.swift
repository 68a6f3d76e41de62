// Another store as the source of an import: its events as batches that name their entities, types and attributes.

import EventStoreCatalog
import EventStoreCore
import EventStoreIngest
import EventStoreQuery

final class StoreTable: TableSource {
    private let engine: StoreEngine
    private let plan: ExportPlan
    private let reader: ExportReader
    private let size: Int
    private let rowsExpected: Int
    private var batches: [RowBatch] = []
    private var rowsRead = 0
    private var report = ParseReport()

    private static let itemRows = 16_384

    /// Whether a path is that of a store.
    static func isStore(_ path: String, _ files: any FileSystem) throws(Fault) -> Bool {
        guard path != "-", try files.status(path)?.isDirectory == true else { return false }
        let place = StoreFiles(root: path)
        guard try files.status(place.catalog) != nil else { return false }
        return try files.status(place.keyring) != nil
    }

    /// Bytes of its segments.
    static func size(_ path: String, _ files: any FileSystem) throws(Fault) -> Int {
        let root = StoreFiles(root: path).segments
        var bytes = 0
        for day in try files.list(root) {
            let directory = Path.join(root, day)
            guard try files.status(directory)?.isDirectory == true else { continue }
            for name in try files.list(directory) { bytes += (try files.status(Path.join(directory, name)))?.size ?? 0 }
        }
        return bytes
    }

    /// - Parameter key: opens the source; without one the file PATH.key beside it does.
    init(_ path: String, key: KeySource?, environment: Environment, threads: Int) throws(Fault) {
        var root = path
        while root.count > 1, root.hasSuffix("/") { root.removeLast() }
        let beside = root + ".key"
        if key == nil, try environment.files.status(beside) == nil {
            throw Fault(
                .notFound, "no key for the store to import from: \(beside) is not there; name its key",
                at: .init(file: path))
        }
        var options = OpenOptions(mode: .readOnly)
        options.threads = threads
        engine = try StoreEngine.open(
            at: root, key: key ?? .keyFile(beside), open: options, environment: environment)
        let snapshot = try engine.snapshot()
        let sequences = 0..<snapshot.nextSequence
        plan = ExportPlan(
            engine, RowFilter(), snapshot, sequences: sequences,
            ExportPlan.Shape(itemRows: StoreTable.itemRows, isByDay: false))
        reader = ExportReader(engine.context, sequences)
        rowsExpected = plan.rowsExpected
        size = try StoreTable.size(root, environment.files)
    }

    deinit { try? engine.close() }

    var bytesRead: Int { Int(Double(size) * min(1, Double(rowsRead) / Double(max(1, rowsExpected)))) }

    func takeReport() -> ParseReport {
        defer { report = ParseReport() }
        return report
    }

    func next(rows: Int) throws(Fault) -> RowBatch? {
        while batches.isEmpty {
            guard let item = try plan.next() else { return nil }
            var found: [RowBatch] = []
            try reader.read(item) { (batch) throws(Fault) in found.append(batch) }
            for batch in found { try name(batch) }
            batches = found.reversed()
        }
        let batch = batches.removeLast()
        rowsRead += batch.rowCount
        report.read += batch.rowCount
        return batch
    }

    /// Gives local codes the names of this store's numbers. Numbers and names are distinct, so codes stay.
    private func name(_ batch: RowBatch) throws(Fault) {
        let names = engine.context.names
        for number in batch.entityNumbers { _ = batch.entities.intern(try known(names.entityName(number))) }
        for number in batch.typeNumbers { _ = batch.types.intern(try known(names.typeName(number))) }
        for number in batch.attributeNumbers { _ = batch.attributes.intern(try known(names.attributeName(number))) }
        batch.entityNumbers = []
        batch.typeNumbers = []
        batch.attributeNumbers = []
    }

    private func known(_ name: String?) throws(Fault) -> String {
        guard let name else { throw Fault(.damaged, "the source store lacks a name of its events") }
        return name
    }
}
