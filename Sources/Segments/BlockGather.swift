// Turns rows of one entity into columns: one pass over the rows scatters their cells to the columns of the
// block. Memory is reused from block to block.

import EventStoreCore

/// One column of the block being built. Cells of string kinds are the segment's string numbers.
struct GatheredColumn: BitwiseCopyable {
    var key: ColumnKey
    var count: Int
    var start: Int
}

/// One shape of the block being built.
struct GatheredShape: BitwiseCopyable {
    var writerShape: UInt32
    var rows: Int
    /// Its columns in the block, in `BlockGather.moves`.
    var moveStart: Int
    var moveCount: Int
}

/// Where a cell of a row goes.
struct CellMove: BitwiseCopyable {
    /// Index of the column in the block.
    var column: Int32
    /// Index of the key in the writer shape.
    var key: UInt16
    var isText: Bool
}

final class BlockGather {
    private(set) var columns: [GatheredColumn] = []
    private(set) var shapes: [GatheredShape] = []
    private(set) var moves: [CellMove] = []
    /// Shape of every row, an index of `shapes`.
    private(set) var shapeCodes = GrowableBuffer<UInt32>()
    private(set) var cells = GrowableBuffer<UInt64>()
    /// Writer shape → block shape + 1.
    private var blockShape: [Int32] = []
    private var cursors = GrowableBuffer<Int>()

    /// Collects shapes, columns and cells of the rows, of all columns or only of those wanted.
    func gather(
        _ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows, only isWanted: ((ColumnKey) -> Bool)? = nil
    ) {
        findShapes(rows, source)
        findColumns(source, isWanted)
        if !moves.isEmpty { scatter(rows, source) }
    }

    private func findShapes(_ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows) {
        for shape in shapes where Int(shape.writerShape) < blockShape.count { blockShape[Int(shape.writerShape)] = 0 }
        shapes.removeAll(keepingCapacity: true)
        while blockShape.count < source.shapes.count { blockShape.append(0) }
        shapeCodes.truncate(to: 0)
        shapeCodes.resize(to: rows.count, filling: 0)
        let codes = shapeCodes.base
        var fresh: [GatheredShape] = []
        swap(&fresh, &shapes)
        blockShape.withUnsafeMutableBufferPointer { known in
            for row in 0..<rows.count {
                let ref = rows[row]
                let view = source.view(ref)
                let shape = view.shapes[Int(view.shape[Int(ref.row)])]
                if known[Int(shape)] == 0 {
                    fresh.append(GatheredShape(writerShape: shape, rows: 0, moveStart: 0, moveCount: 0))
                    known[Int(shape)] = Int32(fresh.count)
                }
                let code = Int(known[Int(shape)]) - 1
                fresh[code].rows &+= 1
                codes[row] = UInt32(truncatingIfNeeded: code)
            }
        }
        swap(&fresh, &shapes)
    }

    private func findColumns(_ source: SegmentRows, _ isWanted: ((ColumnKey) -> Bool)?) {
        // Locals, because every touch of a stored property is checked for exclusive access.
        var found: [GatheredColumn] = []
        var plan: [CellMove] = []
        var ofBlock: [GatheredShape] = []
        swap(&found, &columns)
        swap(&plan, &moves)
        swap(&ofBlock, &shapes)
        found.removeAll(keepingCapacity: true)
        plan.removeAll(keepingCapacity: true)
        let known = source.shapes
        var keys: [ColumnKey] = []
        for shape in ofBlock { keys.append(contentsOf: known[Int(shape.writerShape)].keys) }
        if ofBlock.count > 1 { keys.sort() }
        for key in keys where found.last?.key != key {
            if let isWanted, !isWanted(key) { continue }
            found.append(GatheredColumn(key: key, count: 0, start: 0))
        }
        for index in ofBlock.indices {
            ofBlock[index].moveStart = plan.count
            var column = 0
            for (position, key) in known[Int(ofBlock[index].writerShape)].keys.enumerated() {
                while column < found.count, found[column].key < key { column += 1 }
                if column == found.count { break }
                if found[column].key != key { continue }
                found[column].count += ofBlock[index].rows
                plan.append(CellMove(column: Int32(column), key: UInt16(position), isText: key.holdsText))
            }
            ofBlock[index].moveCount = plan.count - ofBlock[index].moveStart
        }
        var total = 0
        for index in found.indices {
            found[index].start = total
            total += found[index].count
        }
        swap(&found, &columns)
        swap(&plan, &moves)
        swap(&ofBlock, &shapes)
        cells.truncate(to: 0)
        cells.reserve(total)
    }

    private func scatter(_ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows) {
        cursors.truncate(to: 0)
        for column in columns { cursors.append(column.start) }
        let target = cells.base
        let cursor = cursors.base
        let codes = shapeCodes.base
        moves.withUnsafeBufferPointer { moves in
            source.positions.withUnsafeBufferPointer { positions in
                shapes.withUnsafeBufferPointer { shapes in
                    for row in 0..<rows.count {
                        let ref = rows[row]
                        let view = source.view(ref)
                        let shape = shapes[Int(codes[row])]
                        let from = view.cells + Int(view.cellStart[Int(ref.row)])
                        let position = view.positionStart[Int(view.shape[Int(ref.row)])]
                        for index in shape.moveStart..<shape.moveStart &+ shape.moveCount {
                            let move = moves[index]
                            var cell = from[Int(positions[position &+ Int(move.key)])]
                            if move.isText, let numbers = view.numbers {
                                cell = source.number(cell, numbers, batch: ref.batch)
                            }
                            let column = Int(move.column)
                            target[cursor[column]] = cell
                            cursor[column] &+= 1
                        }
                    }
                }
            }
        }
    }

    /// The cells of a column.
    func cells(_ column: GatheredColumn) -> UnsafeMutablePointer<UInt64> { cells.base + column.start }
}

extension ColumnKey {
    /// Kinds `string` and `json`.
    @inline(__always) var holdsText: Bool { raw & 7 == 0 || raw & 7 == 4 }
}

/// Finds the distinct numbers of a column. One array element a string of the segment, never cleared: a slot
/// counts only when it carries the current generation.
final class DistinctFinder {
    /// Generation << 32 | code.
    private var marks = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
    private var capacity = 0
    private var generation: UInt64 = 0
    /// A code below `entries.count` for every cell, in order of first appearance.
    private(set) var codes = GrowableBuffer<UInt32>()
    /// String number of each code.
    private(set) var entries = GrowableBuffer<UInt32>()

    deinit { marks.deallocate() }

    func reserve(strings count: Int) {
        guard count > capacity else { return }
        marks.deallocate()
        marks = .allocate(capacity: count)
        marks.update(repeating: 0, count: count)
        capacity = count
    }

    func find(_ cells: UnsafePointer<UInt64>, count: Int) {
        if generation == UInt64(UInt32.max) {
            marks.update(repeating: 0, count: capacity)
            generation = 0
        }
        generation += 1
        codes.truncate(to: 0)
        codes.resize(to: count, filling: 0)
        entries.truncate(to: 0)
        entries.resize(to: count, filling: 0)
        let code = codes.base
        let entry = entries.base
        let marks = marks
        let current = generation
        var distinct = 0
        for index in 0..<count {
            let number = Int(truncatingIfNeeded: cells[index])
            assert(number < capacity)
            if marks[number] >> 32 != current {
                marks[number] = current << 32 | UInt64(distinct)
                entry[distinct] = UInt32(truncatingIfNeeded: number)
                distinct &+= 1
            }
            code[index] = UInt32(truncatingIfNeeded: marks[number])
        }
        entries.truncate(to: distinct)
    }
}
