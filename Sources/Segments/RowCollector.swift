// Copies chosen rows of blocks, or of batches, into a new batch: what exports, compaction and row queries read.

import EventStoreCore

/// Collects rows. Its batch's local codes map to store numbers through `entityNumbers`, `typeNumbers` and
/// `attributeNumbers`; the string tables of entities, types and attributes stay empty.
package final class RowCollector {
    package private(set) var batch = RowBatch()
    private var entities: [UInt32: UInt32] = [:]
    private var types: [UInt32: UInt32] = [:]
    private var attributes: [UInt32: UInt32] = [:]

    package init() {}

    /// The batch collected so far; the collector starts a new one.
    package func takeBatch() -> RowBatch {
        let full = batch
        batch = RowBatch()
        entities.removeAll(keepingCapacity: true)
        types.removeAll(keepingCapacity: true)
        attributes.removeAll(keepingCapacity: true)
        return full
    }

    private func entityCode(_ number: UInt32) -> UInt32 {
        if let known = entities[number] { return known }
        batch.entityNumbers.append(number)
        entities[number] = UInt32(batch.entityNumbers.count - 1)
        return UInt32(batch.entityNumbers.count - 1)
    }

    private func typeCode(_ number: UInt32) -> UInt32 {
        if let known = types[number] { return known }
        batch.typeNumbers.append(number)
        types[number] = UInt32(batch.typeNumbers.count - 1)
        return UInt32(batch.typeNumbers.count - 1)
    }

    private func attributeCode(_ number: UInt32) -> UInt32 {
        if let known = attributes[number] { return known }
        batch.attributeNumbers.append(number)
        attributes[number] = UInt32(batch.attributeNumbers.count - 1)
        return UInt32(batch.attributeNumbers.count - 1)
    }

    /// A shape in store numbers as a shape of the batch, and the order of its cells: position i of the batch's
    /// shape takes the cell at position `order[i]` of the source.
    private func shape(type: UInt32, _ keys: [ColumnKey]) -> (number: UInt32, order: [Int]) {
        let local = keys.enumerated().map { position, key in
            (key: ColumnKey(attribute: attributeCode(key.attribute), kind: key.kind), position: position)
        }.sorted { $0.key < $1.key }
        let number = batch.internShape(RowShape(type: typeCode(type), columns: local.map(\.key)))
        return (number, local.map(\.position))
    }

    // MARK: Rows of a block

    /// How to read one column of the block, row by row.
    private enum Source {
        case words(UnsafePointer<UInt64>)
        /// Codes, and code of the batch's strings + 1 of every entry seen.
        case strings(StringColumn, UnsafeMutablePointer<UInt32>)
        case bools(UnsafePointer<Bool>)
    }

    private struct Reader {
        var source: Source
        var dense: UnsafePointer<Int32>?
    }

    /// Appends the given rows, in the given order.
    package func append(
        _ scanner: BlockScanner, block index: Int, rows: UnsafeBufferPointer<UInt32>
    ) throws(Fault) {
        guard rows.count > 0, let entry = scanner.entry else { return }
        let block = scanner.block(index)
        let times = try scanner.timestamps(index)
        let codes = try scanner.shapeCodes(index)
        let sequences = try scanner.sequences(index)
        let received = try scanner.received(index)
        let ids = try scanner.ids(index)
        let readers = try columnReaders(scanner, index, block)
        var targets: [(number: UInt32, columns: [Int])?] = Array(repeating: nil, count: block.shapes.count)
        let entity = entityCode(entry.entity)
        for row in rows {
            let row = Int(row)
            precondition(row < block.rows)
            let code = Int(codes[row])
            let target = targets[code] ?? newTarget(block.shapes[code])
            if targets[code] == nil { targets[code] = target }
            batch.cells.reserve(target.columns.count)
            for column in target.columns { batch.cells.append(cell(readers[column], row)) }
            batch.finishRow(
                entity: entity, shape: target.number, timestamp: times[row], id: ids[row], sequence: sequences[row],
                received: received[row])
        }
    }

    private func newTarget(_ shape: BlockShape) -> (number: UInt32, columns: [Int]) {
        let (number, order) = self.shape(type: shape.type, Array(shape.columns))
        return (number, order.map { Int(shape.indexes[$0]) })
    }

    private func columnReaders(
        _ scanner: BlockScanner, _ index: Int, _ block: ScannedBlock
    ) throws(Fault) -> [Reader] {
        var readers: [Reader] = []
        readers.reserveCapacity(block.columns.count)
        for number in 0..<block.columns.count {
            let column = try scanner.column(index, at: number)
            let source: Source
            switch column.values {
            case .integers(let values):
                source = .words(UnsafeRawPointer(values).assumingMemoryBound(to: UInt64.self))
            case .doubles(let values):
                source = .words(UnsafeRawPointer(values).assumingMemoryBound(to: UInt64.self))
            case .bools(let values):
                source = .bools(values)
            case .strings(let values):
                let known = scanner.arena.take(values.entryCount, of: UInt32.self)
                known.update(repeating: 0, count: values.entryCount)
                source = .strings(values, known)
            }
            readers.append(Reader(source: source, dense: column.dense))
        }
        return readers
    }

    @inline(__always)
    private func cell(_ reader: Reader, _ row: Int) -> UInt64 {
        let place = reader.dense.map { Int($0[row]) } ?? row
        switch reader.source {
        case .words(let values): return values[place]
        case .bools(let values): return values[place] ? 1 : 0
        case .strings(let column, let known):
            let code = Int(column.codes[place])
            if known[code] == 0 {
                let text = column.entries[code]
                known[code] = batch.strings.intern(text.base, count: text.count) + 1
            }
            return UInt64(known[code] - 1)
        }
    }

    // MARK: Rows of a batch

    /// Appends rows of a batch whose number maps are filled.
    package func append(_ other: RowBatch, rows: UnsafeBufferPointer<UInt32>) {
        var targets: [(number: UInt32, order: [Int], isText: [Bool])?] = Array(
            repeating: nil, count: other.shapes.count)
        var strings: [UInt64: UInt64] = [:]
        for row in rows {
            let row = Int(row)
            let shape = Int(other.shape[row])
            let target = targets[shape] ?? newTarget(other, other.shapes[shape])
            if targets[shape] == nil { targets[shape] = target }
            let cells = other.cells(ofRow: row)
            for (index, position) in target.order.enumerated() {
                var cell = cells[position]
                if target.isText[index] {
                    if let known = strings[cell] {
                        cell = known
                    } else {
                        let fresh = UInt64(batch.strings.intern(other.strings.bytes(Int(cell))))
                        strings[cell] = fresh
                        cell = fresh
                    }
                }
                batch.cells.append(cell)
            }
            batch.finishRow(
                entity: entityCode(other.entityNumbers[Int(other.entity[row])]), shape: target.number,
                timestamp: other.timestamp[row], id: other.id[row], flags: other.flags[row],
                sequence: other.sequence[row], received: other.received[row])
        }
    }

    private func newTarget(_ other: RowBatch, _ shape: RowShape) -> (number: UInt32, order: [Int], isText: [Bool]) {
        let keys = shape.columns.map {
            ColumnKey(attribute: other.attributeNumbers[Int($0.attribute)], kind: $0.kind)
        }
        let (number, order) = self.shape(type: other.typeNumbers[Int(shape.type)], keys)
        return (number, order, order.map { keys[$0].holdsText })
    }
}
