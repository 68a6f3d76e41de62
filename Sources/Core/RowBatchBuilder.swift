/// Builds rows from keys in whatever order they come, and puts each row's cells into canonical order.
///
/// A row: `add` each cell, then `finishRow`, or `abandonRow` to drop what was added. A key may come once a
/// row only (the caller resolves duplicates with `replace`). Column keys use the batch's local attribute
/// codes. The last shape of each type is remembered, so that a stream of like events costs one comparison
/// a row instead of a hash.
@usableFromInline
package struct RowBatchBuilder: ~Copyable {
    package let batch: RowBatch
    @usableFromInline var keys = GrowableBuffer<ColumnKey>(capacity: Limits.attributesPerEventMax)
    @usableFromInline var values = GrowableBuffer<UInt64>(capacity: Limits.attributesPerEventMax)

    /// A sequence of keys as they arrive, the canonical shape it stands for, and how to get there.
    private struct Arrival {
        var type: UInt32
        var keys: [ColumnKey]
        var shape: UInt32
        /// Position in arrival order of each canonical cell; empty when the order is canonical already.
        var permutation: [Int]
    }
    private var arrivals: [Arrival] = []
    private var arrivalIndex: [RowShape: Int] = [:]
    /// Per local type code: the arrival last seen, or -1.
    private var lastOfType: [Int] = []

    package init(_ batch: RowBatch) { self.batch = batch }

    /// Cells added to the row being built.
    @inlinable package var cellCount: Int { keys.count }

    @inlinable
    package mutating func add(_ key: ColumnKey, _ payload: UInt64) {
        keys.append(key)
        values.append(payload)
    }

    /// Position of the attribute in the row being built, if it was added already (any kind).
    @inlinable
    package func position(ofAttribute attribute: UInt32) -> Int? {
        for index in 0..<keys.count where keys.base[index].attribute == attribute { return index }
        return nil
    }

    @inlinable
    package mutating func replace(at position: Int, _ key: ColumnKey, _ payload: UInt64) {
        keys[position] = key
        values[position] = payload
    }

    /// Removes a cell added before.
    package mutating func remove(at position: Int) {
        for index in position..<keys.count - 1 {
            keys[index] = keys[index + 1]
            values[index] = values[index + 1]
        }
        keys.truncate(to: keys.count - 1)
        values.truncate(to: values.count - 1)
    }

    @inlinable
    package mutating func abandonRow() {
        keys.truncate(to: 0)
        values.truncate(to: 0)
    }

    package mutating func finishRow(
        entity: UInt32, type: UInt32, timestamp: Int64, id: EventID, flags: RowFlags = [],
        sequence: UInt64 = 0, received: Int64 = 0
    ) {
        let arrival = findArrival(type: type)
        let count = keys.count
        batch.cells.reserve(count)
        let shape = arrivals.withUnsafeBufferPointer { known -> UInt32 in
            let permutation = known[arrival].permutation
            if permutation.isEmpty {
                batch.cells.append(from: values.base, count: count)
            } else {
                for index in 0..<count { batch.cells.append(values.base[permutation[index]]) }
            }
            return known[arrival].shape
        }
        batch.finishRow(
            entity: entity, shape: shape, timestamp: timestamp, id: id, flags: flags, sequence: sequence,
            received: received)
        abandonRow()
    }

    private mutating func findArrival(type: UInt32) -> Int {
        while lastOfType.count <= Int(type) { lastOfType.append(-1) }
        let last = lastOfType[Int(type)]
        if last >= 0, matches(arrivals[last].keys) { return last }
        let sequence = RowShape(type: type, columns: Array(keys.buffer))
        if let known = arrivalIndex[sequence] {
            lastOfType[Int(type)] = known
            return known
        }
        let order = sequence.columns.indices.sorted { sequence.columns[$0] < sequence.columns[$1] }
        let canonical = RowShape(type: type, columns: order.map { sequence.columns[$0] })
        let isCanonical = order.elementsEqual(sequence.columns.indices)
        arrivals.append(
            Arrival(
                type: type, keys: sequence.columns, shape: batch.internShape(canonical),
                permutation: isCanonical ? [] : order))
        arrivalIndex[sequence] = arrivals.count - 1
        lastOfType[Int(type)] = arrivals.count - 1
        return arrivals.count - 1
    }

    private func matches(_ known: [ColumnKey]) -> Bool {
        guard known.count == keys.count else { return false }
        return known.withUnsafeBufferPointer { pointer in
            for index in 0..<pointer.count where pointer[index].raw != keys.base[index].raw { return false }
            return true
        }
    }
}
