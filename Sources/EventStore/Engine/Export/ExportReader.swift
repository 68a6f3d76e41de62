// Reads the items of an export: as batches of rows, or only which columns their rows have.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments

/// One per thread.
final class ExportReader {
    private let context: ReadContext
    private let sequences: Range<UInt64>
    private var span: ExportSpan?
    private var scan: PartitionScan?
    private let collector = RowCollector()
    private var chosen: [UInt32] = []

    /// A batch is handed on when it has so many rows, or so many bytes.
    private static let batchRows = 16_384
    private static let batchBytes = 8 << 20

    init(_ context: ReadContext, _ sequences: Range<UInt64>) {
        self.context = context
        self.sequences = sequences
    }

    /// Hands the rows of an item on in batches, in stored order.
    /// - Throws: what could not be read; an export is whole or fails.
    func read(_ item: ExportItem, _ body: (RowBatch) throws(Fault) -> Void) throws(Fault) {
        try visit(
            item,
            memory: { (batch, rows) throws(Fault) in
                var start = 0
                while start < rows.count {
                    let part = rows[start..<min(rows.count, start + ExportReader.batchRows)]
                    part.withUnsafeBufferPointer { collector.append(batch, rows: $0) }
                    start += part.count
                    try handOn(isLast: false, body)
                }
            },
            block: { (scanner, block, rows) throws(Fault) in
                try collector.append(scanner, block: block, rows: rows)
                try handOn(isLast: false, body)
            })
        try handOn(isLast: true, body)
    }

    private func handOn(isLast: Bool, _ body: (RowBatch) throws(Fault) -> Void) throws(Fault) {
        let batch = collector.batch
        guard batch.rowCount > 0 else { return }
        let bytes = batch.cells.count * 8 + batch.strings.arena.count
        guard isLast || batch.rowCount >= ExportReader.batchRows || bytes >= ExportReader.batchBytes else { return }
        try body(collector.takeBatch())
    }

    /// Counts the values of an item by attribute and kind.
    func count(_ item: ExportItem, into counts: inout [UInt32: Int]) throws(Fault) {
        var found = counts
        counts = [:]
        defer { counts = found }
        try visit(
            item,
            memory: { (batch, rows) throws(Fault) in
                var shapes = [Int](repeating: 0, count: batch.shapes.count)
                for row in rows { shapes[Int(batch.shape.base[Int(row)])] += 1 }
                for (shape, count) in shapes.enumerated() where count > 0 {
                    for column in batch.shapes[shape].columns {
                        let number = batch.attributeNumbers[Int(column.attribute)]
                        found[ColumnKey(attribute: number, kind: column.kind).raw, default: 0] += count
                    }
                }
            },
            block: { (scanner, block, rows) throws(Fault) in
                let info = scanner.block(block)
                let codes = try scanner.shapeCodes(block)
                var shapes = [Int](repeating: 0, count: info.shapes.count)
                for row in rows { shapes[Int(codes[Int(row)])] += 1 }
                for (shape, count) in shapes.enumerated() where count > 0 {
                    for column in info.columns.indices where info.shapes[shape].hasColumn(column) {
                        found[info.columns[column].raw, default: 0] += count
                    }
                }
            })
    }

    private func visit(
        _ item: ExportItem, memory: (RowBatch, [UInt32]) throws(Fault) -> Void,
        block visitBlock: (BlockScanner, Int, UnsafeBufferPointer<UInt32>) throws(Fault) -> Void
    ) throws(Fault) {
        let scan = scan(item.span)
        switch item.rows {
        case .memory(let batches):
            for batch in batches {
                var rows: [UInt32] = []
                BatchFilter(batch, scan.filter).forEachMatch { row in
                    if sequences.contains(batch.sequence.base[row]) { rows.append(UInt32(row)) }
                }
                if !rows.isEmpty { try memory(batch, rows) }
            }
        case .segment(let handle, let entries, let slice):
            let isWhole =
                handle.info.minSequence >= sequences.lowerBound
                && handle.info.maxSequence < sequences.upperBound
            var failure: Fault?
            try scan.forEachBlock(handle, entries, slice: slice, times: { $0 }) { (source, rows) throws(Fault) in
                guard failure == nil else { return }
                do throws(Fault) {
                    guard !isWhole else { return try visitBlock(scan.scanner, source.block, rows) }
                    let numbers = try scan.scanner.sequences(source.block)
                    chosen.removeAll(keepingCapacity: true)
                    for row in rows where sequences.contains(numbers[Int(row)]) { chosen.append(row) }
                    guard !chosen.isEmpty else { return }
                    try chosen.withUnsafeBufferPointer { (rows) throws(Fault) in
                        try visitBlock(scan.scanner, source.block, rows)
                    }
                } catch {
                    failure = error
                }
            }
            if let fault = failure ?? scan.damage.first { throw fault }
        }
    }

    private func scan(_ span: ExportSpan) -> PartitionScan {
        if let scan, self.span === span { return scan }
        let fresh = PartitionScan(context, span.filter)
        fresh.readers = span.readers
        self.span = span
        scan = fresh
        return fresh
    }
}
