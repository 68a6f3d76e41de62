// What a format does with rows: each thread has a worker that prepares its items and writes them when their turn comes.

import EventStoreCore

/// One of a thread.
protocol ExportWorker: AnyObject {
    /// Takes rows of an item.
    func take(_ rows: RowBatch, _ turn: ExportTurn) throws(Fault)
    /// Ends the item: what is not written yet is written now.
    func end(_ turn: ExportTurn) throws(Fault)
}

/// What all workers of an export write to.
protocol ExportOutput: AnyObject, Sendable {
    func makeWorker() throws(Fault) -> any ExportWorker
    /// After the last item: ends all files and says what they are.
    func finish() throws(Fault) -> [ExportManifest.File]
    func abandon()
    var byteCount: Int { get }
}

/// An item and its place in the order.
struct ExportTurn {
    let item: ExportItem
    let turns: ExportTurns

    /// Returns when the item's output is next.
    func wait() throws(Fault) { try turns.wait(for: item.number) }
}

/// NDJSON and CSV: bytes one after the other.
///
/// `@unchecked Sendable`: the file is used by whoever's turn it is.
final class TextOutput: ExportOutput, @unchecked Sendable {
    private let file: ExportFile
    private let makeRows: @Sendable () -> any TextRows

    init(_ file: ExportFile, _ makeRows: @escaping @Sendable () -> any TextRows) {
        self.file = file
        self.makeRows = makeRows
    }

    var byteCount: Int { file.byteCount }
    func makeWorker() -> any ExportWorker { TextWorker(file, makeRows()) }
    func finish() throws(Fault) -> [ExportManifest.File] { [try file.finish()] }
    func abandon() { file.abandon() }
}

/// Rows as text.
protocol TextRows {
    mutating func append(_ rows: RowBatch, _ target: inout [UInt8])
}

struct NDJSONRows: TextRows {
    let names: NameResolver

    mutating func append(_ rows: RowBatch, _ target: inout [UInt8]) {
        names.writeNDJSON(rows, order: Array(0..<Int32(rows.rowCount)), into: &target)
    }
}

private final class TextWorker: ExportWorker {
    private let file: ExportFile
    private var rows: any TextRows
    private var buffer: [UInt8] = []
    private var events = 0
    private static let bufferBytes = 8 << 20

    init(_ file: ExportFile, _ rows: any TextRows) {
        self.file = file
        self.rows = rows
    }

    func take(_ batch: RowBatch, _ turn: ExportTurn) throws(Fault) {
        rows.append(batch, &buffer)
        events += batch.rowCount
        if buffer.count >= TextWorker.bufferBytes { try flush(turn) }
    }

    func end(_ turn: ExportTurn) throws(Fault) { try flush(turn) }

    private func flush(_ turn: ExportTurn) throws(Fault) {
        try turn.wait()
        try buffer.withBytes { (bytes) throws(Fault) in try file.write(bytes) }
        file.events += events
        events = 0
        buffer.removeAll(keepingCapacity: true)
    }
}
