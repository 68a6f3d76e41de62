// The rows a writer was handed, made quick to walk: raw columns of every batch, shapes in store numbers, and
// one number for every distinct string of the segment.

import EventStoreCore

/// A type and its columns in store numbers, ascending by key.
struct WriterShape: Hashable {
    var type: UInt32
    var keys: [ColumnKey]
}

/// Raw columns of one batch. Valid as long as the `SegmentRows` that made it.
struct BatchView: BitwiseCopyable {
    var timestamp: UnsafePointer<Int64>
    var sequence: UnsafePointer<UInt64>
    var received: UnsafePointer<Int64>
    var id: UnsafePointer<EventID>
    var shape: UnsafePointer<UInt32>
    var cellStart: UnsafePointer<UInt32>
    var cells: UnsafePointer<UInt64>
    var entity: UnsafePointer<UInt32>
    /// Batch shape → writer shape.
    var shapes: UnsafeMutablePointer<UInt32>
    /// Batch shape → place of its cell positions in `SegmentRows.positions`.
    var positionStart: UnsafeMutablePointer<Int>
    /// Batch string → number + 1, 0 when none was given yet; nil when numbers are the batch's codes.
    var numbers: UnsafeMutablePointer<UInt32>?
}

final class SegmentRows {
    let batches: [RowBatch]
    private(set) var shapes: [WriterShape] = []
    private var shapeIndex: [WriterShape: UInt32] = [:]
    /// Uninitialised at the places of batches without rows.
    private let storage: UnsafeMutablePointer<BatchView>
    private var isUsed: [Bool] = []
    /// For every batch shape: at which position of the row's cells each key of the writer shape stands.
    private(set) var positions: [UInt16] = []
    private var strings = StringTable()
    /// The one batch whose codes are the numbers.
    private let single: RowBatch?
    private let singleOffsets: UnsafePointer<Int>?
    private let singleArena: UnsafeRawPointer?

    init(_ rows: UnsafeBufferPointer<RowRef>, _ batches: [RowBatch]) {
        self.batches = batches
        storage = .allocate(capacity: max(batches.count, 1))
        var used = [Bool](repeating: false, count: batches.count)
        for ref in rows { used[Int(ref.batch)] = true }
        let usedCount = used.count { $0 }
        single = usedCount == 1 ? used.firstIndex(of: true).map { batches[$0] } : nil
        singleOffsets = single.map { UnsafePointer($0.strings.offsets.base) }
        singleArena = single.map { UnsafeRawPointer($0.strings.arena.base) }
        for index in batches.indices where used[index] { addView(index, ownNumbers: usedCount > 1) }
        isUsed = used
    }

    deinit {
        for index in batches.indices where isUsed[index] {
            let view = storage[index]
            view.shapes.deallocate()
            view.positionStart.deallocate()
            view.numbers?.deallocate()
        }
        storage.deallocate()
    }

    private func addView(_ index: Int, ownNumbers: Bool) {
        let batch = batches[index]
        var view = BatchView(
            timestamp: batch.timestamp.base, sequence: batch.sequence.base, received: batch.received.base,
            id: batch.id.base, shape: batch.shape.base, cellStart: batch.cellStart.base, cells: batch.cells.base,
            entity: batch.entity.base, shapes: .allocate(capacity: max(batch.shapes.count, 1)),
            positionStart: .allocate(capacity: max(batch.shapes.count, 1)), numbers: nil)
        for (number, shape) in batch.shapes.enumerated() {
            let keyed = shape.columns.enumerated().map { position, key in
                let attribute = batch.attributeNumbers[Int(key.attribute)]
                return (key: ColumnKey(attribute: attribute, kind: key.kind), position: UInt16(position))
            }.sorted { $0.key < $1.key }
            let type = batch.typeNumbers[Int(shape.type)]
            view.shapes[number] = intern(WriterShape(type: type, keys: keyed.map(\.key)))
            view.positionStart[number] = positions.count
            positions.append(contentsOf: keyed.map(\.position))
        }
        if ownNumbers {
            let numbers = UnsafeMutablePointer<UInt32>.allocate(capacity: max(batch.strings.count, 1))
            numbers.update(repeating: 0, count: batch.strings.count)
            view.numbers = numbers
        }
        storage[index] = view
    }

    private func intern(_ shape: WriterShape) -> UInt32 {
        if let known = shapeIndex[shape] { return known }
        shapes.append(shape)
        shapeIndex[shape] = UInt32(shapes.count - 1)
        return UInt32(shapes.count - 1)
    }

    @inline(__always)
    func view(_ ref: RowRef) -> BatchView { storage[Int(ref.batch)] }

    func entityNumber(_ ref: RowRef) -> UInt32 {
        batches[Int(ref.batch)].entityNumbers[Int(view(ref).entity[Int(ref.row)])]
    }

    /// How many string numbers there may be.
    var stringCapacity: Int { single?.strings.count ?? batches.reduce(0) { $0 + $1.strings.count } }

    /// The segment's number of a string whose batch has numbers of its own.
    @inline(__always)
    func number(_ code: UInt64, _ numbers: UnsafeMutablePointer<UInt32>, batch: UInt32) -> UInt64 {
        let known = numbers[Int(code)]
        return known != 0 ? UInt64(known &- 1) : newNumber(Int(code), numbers, batch)
    }

    private func newNumber(_ code: Int, _ numbers: UnsafeMutablePointer<UInt32>, _ batch: UInt32) -> UInt64 {
        let number = strings.intern(batches[Int(batch)].strings.bytes(code))
        numbers[code] = number + 1
        return UInt64(number)
    }

    /// Valid until the next new number.
    @inline(__always)
    func string(_ number: UInt32) -> StringRef {
        if let singleOffsets, let singleArena {
            let start = singleOffsets[Int(number)]
            return StringRef(base: singleArena + start, count: singleOffsets[Int(number) + 1] - start)
        }
        let bytes = strings.bytes(Int(number))
        return StringRef(base: bytes.baseAddress ?? UnsafeRawPointer(storage), count: bytes.count)
    }
}
