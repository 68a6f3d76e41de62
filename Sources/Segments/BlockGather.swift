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
    /// Its columns' indexes in the block, in the memory of `BlockGather.columnIndexes`.
    var indexStart: Int
    var indexCount: Int
}

final class BlockGather {
    private(set) var columns: [GatheredColumn] = []
    private(set) var shapes: [GatheredShape] = []
    private(set) var columnIndexes: [Int32] = []
    /// Shape of every row, an index of `shapes`.
    private(set) var shapeCodes = GrowableBuffer<UInt32>()
    private(set) var cells = GrowableBuffer<UInt64>()
    private var rowCount = 0
    /// Writer shape → block shape + 1.
    private var blockShape: [Int32] = []
    private var cursors = GrowableBuffer<Int>()

    /// Collects shapes and columns of the rows. `cellsToo` also scatters the cells.
    func gather(_ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows) {
        rowCount = rows.count
        findShapes(rows, source)
        findColumns(source)
        scatter(rows, source)
    }

    private func findShapes(_ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows) {
        for shape in shapes where Int(shape.writerShape) < blockShape.count { blockShape[Int(shape.writerShape)] = 0 }
        shapes.removeAll(keepingCapacity: true)
        while blockShape.count < source.shapes.count { blockShape.append(0) }
        shapeCodes.resize(to: 0, filling: 0)
        shapeCodes.reserve(rows.count)
        blockShape.withUnsafeMutableBufferPointer { known in
            for ref in rows {
                let view = source.view(ref)
                let shape = view.shapes[Int(view.shape[Int(ref.row)])]
                if known[Int(shape)] == 0 {
                    shapes.append(GatheredShape(writerShape: shape, rows: 0, indexStart: 0, indexCount: 0))
                    known[Int(shape)] = Int32(shapes.count)
                }
                let code = Int(known[Int(shape)]) - 1
                shapes[code].rows &+= 1
                shapeCodes.append(UInt32(truncatingIfNeeded: code))
            }
        }
    }

    private func findColumns(_ source: SegmentRows) {
        columns.removeAll(keepingCapacity: true)
        columnIndexes.removeAll(keepingCapacity: true)
        if shapes.count == 1 {
            for key in source.shapes[Int(shapes[0].writerShape)].keys {
                columns.append(GatheredColumn(key: key, count: 0, start: 0))
            }
        } else {
            var keys: [ColumnKey] = []
            for shape in shapes { keys.append(contentsOf: source.shapes[Int(shape.writerShape)].keys) }
            keys.sort()
            for key in keys where columns.last?.key != key {
                columns.append(GatheredColumn(key: key, count: 0, start: 0))
            }
        }
        for index in shapes.indices {
            shapes[index].indexStart = columnIndexes.count
            var column = 0
            for key in source.shapes[Int(shapes[index].writerShape)].keys {
                while columns[column].key != key { column += 1 }
                columns[column].count += shapes[index].rows
                columnIndexes.append(Int32(column))
            }
            shapes[index].indexCount = columnIndexes.count - shapes[index].indexStart
        }
        var total = 0
        for index in columns.indices {
            columns[index].start = total
            total += columns[index].count
        }
        cells.truncate(to: 0)
        cells.resize(to: total, filling: 0)
    }

    private func scatter(_ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows) {
        cursors.truncate(to: 0)
        for column in columns { cursors.append(column.start) }
        let target = cells.base
        let cursor = cursors.base
        columnIndexes.withUnsafeBufferPointer { indexes in
            source.positions.withUnsafeBufferPointer { positions in
                shapes.withUnsafeBufferPointer { shapes in
                    columns.withUnsafeBufferPointer { columns in
                        for row in 0..<rows.count {
                            let ref = rows[row]
                            let view = source.view(ref)
                            let shape = shapes[Int(shapeCodes.base[row])]
                            let from = view.cells + Int(view.cellStart[Int(ref.row)])
                            let position = view.positionStart[Int(view.shape[Int(ref.row)])]
                            for index in 0..<shape.indexCount {
                                let column = Int(indexes[shape.indexStart &+ index])
                                var cell = from[Int(positions[position &+ index])]
                                if let numbers = view.numbers, columns[column].key.holdsText {
                                    cell = source.number(cell, numbers, batch: ref.batch)
                                }
                                target[cursor[column]] = cell
                                cursor[column] &+= 1
                            }
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
        let code = codes.base
        for index in 0..<count {
            let number = Int(truncatingIfNeeded: cells[index])
            assert(number < capacity)
            if marks[number] >> 32 != generation {
                marks[number] = generation << 32 | UInt64(entries.count)
                entries.append(UInt32(truncatingIfNeeded: number))
            }
            code[index] = UInt32(truncatingIfNeeded: marks[number])
        }
    }
}
