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
        sharedCodes.removeAll(keepingCapacity: true)
        sharedSegment = nil
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

    /// Appends the given rows, in the given order. Works column by column: a value costs a load and a store, a
    /// dictionary entry is interned when the block first uses it, a shared one when the segment does.
    package func append(
        _ scanner: BlockScanner, block index: Int, rows: UnsafeBufferPointer<UInt32>
    ) throws(Fault) {
        guard rows.count > 0 else { return }
        let block = scanner.block(index)
        for row in rows { precondition(Int(row) < block.rows) }
        let codes = try scanner.shapeCodes(index)
        let times = try scanner.timestamps(index)
        let sequences = try scanner.sequences(index)
        let received = try scanner.received(index)
        let ids = try scanner.ids(index)
        // All columns decode before the batch changes: a fault leaves it as it was.
        var columns: [BlockColumn] = []
        columns.reserveCapacity(block.columns.count)
        for number in 0..<block.columns.count { columns.append(try scanner.column(index, at: number)) }
        let targets = makeTargets(block, scanner.arena)
        let entity = entityCode(scanner.entity)
        let starts = scanner.arena.take(rows.count, of: Int.self)
        var end = batch.cells.count
        for position in 0..<rows.count {
            let row = Int(rows[position])
            let shape = Int(codes[row])
            starts[position] = end
            end += block.shapes[shape].columns.count
            batch.entity.append(entity)
            batch.shape.append(targets.numbers[shape])
            batch.timestamp.append(times[row])
            batch.id.append(ids[row])
            batch.flags.append([])
            batch.sequence.append(sequences[row])
            batch.received.append(received[row])
            batch.cellStart.append(UInt32(truncatingIfNeeded: end))
        }
        batch.cells.resize(to: end, filling: 0)
        for (number, column) in columns.enumerated() {
            let cells = CellTarget(
                rows: rows, codes: codes, starts: starts, positions: targets.positions + number,
                stride: columns.count, cells: batch.cells.base)
            copy(column, block.columns[number], scanner, cells)
        }
    }

    /// Where the cells of one column go.
    private struct CellTarget {
        var rows: UnsafeBufferPointer<UInt32>
        var codes: UnsafePointer<UInt32>
        var starts: UnsafePointer<Int>
        /// Position of the column's cell in rows of shape s at `s * stride`, -1 when they lack it.
        var positions: UnsafePointer<Int32>
        var stride: Int
        var cells: UnsafeMutablePointer<UInt64>

        @inline(__always)
        func fill(_ dense: UnsafePointer<Int32>?, _ value: (Int) -> UInt64) {
            for index in 0..<rows.count {
                let row = Int(rows[index])
                let position = Int(positions[Int(codes[row]) &* stride])
                if position < 0 { continue }
                cells[starts[index] &+ position] = value(dense.map { Int($0[row]) } ?? row)
            }
        }
    }

    /// The block's shapes as shapes of the batch.
    private func makeTargets(
        _ block: ScannedBlock, _ arena: Arena
    ) -> (numbers: UnsafePointer<UInt32>, positions: UnsafePointer<Int32>) {
        let width = block.columns.count
        let numbers = arena.take(block.shapes.count, of: UInt32.self)
        let positions = arena.take(max(block.shapes.count * width, 1), of: Int32.self)
        positions.update(repeating: -1, count: block.shapes.count * width)
        for (code, shape) in block.shapes.enumerated() {
            let columns = block.columns.indices.filter { shape.hasColumn($0) }
            let (number, order) = self.shape(type: shape.type, columns.map { block.columns[$0] })
            numbers[code] = number
            for (position, source) in order.enumerated() {
                positions[code * width + columns[source]] = Int32(truncatingIfNeeded: position)
            }
        }
        return (UnsafePointer(numbers), UnsafePointer(positions))
    }

    private func copy(_ column: BlockColumn, _ key: ColumnKey, _ scanner: BlockScanner, _ target: CellTarget) {
        switch column.values {
        case .integers(let values):
            target.fill(column.dense) { UInt64(bitPattern: values[$0]) }
        case .doubles(let values):
            target.fill(column.dense) { values[$0].bitPattern }
        case .bools(let values):
            target.fill(column.dense) { values[$0] ? 1 : 0 }
        case .strings(let strings):
            // Code of the batch's strings + 1 of every entry seen.
            let known = scanner.arena.take(strings.entryCount, of: UInt32.self)
            known.update(repeating: 0, count: strings.entryCount)
            target.fill(column.dense) { place in
                let code = Int(strings.codes[place])
                if known[code] == 0 { known[code] = self.intern(strings, code, key.attribute, scanner) + 1 }
                return UInt64(known[code] - 1)
            }
        }
    }

    /// Codes + 1 of shared values, per attribute, of the segment whose rows were appended last.
    private var sharedCodes: [UInt32: [UInt32]] = [:]
    private var sharedSegment: SegmentReader?

    @inline(never)
    private func intern(
        _ strings: StringColumn, _ code: Int, _ attribute: UInt32, _ scanner: BlockScanner
    ) -> UInt32 {
        let text = strings.entries[code]
        guard code < strings.sharedCount, let numbers = strings.sharedNumbers else {
            return batch.strings.intern(text.base, count: text.count)
        }
        if sharedSegment !== scanner.segment {
            sharedCodes.removeAll(keepingCapacity: true)
            sharedSegment = scanner.segment
        }
        let number = Int(numbers[code])
        if let list = sharedCodes[attribute], number < list.count, list[number] != 0 { return list[number] - 1 }
        let fresh = batch.strings.intern(text.base, count: text.count)
        var list = sharedCodes.removeValue(forKey: attribute) ?? []
        while list.count <= number { list.append(0) }
        list[number] = fresh + 1
        sharedCodes[attribute] = list
        return fresh
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
