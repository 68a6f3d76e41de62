// Raw columns of batches, taken once for loops over millions of rows: a class's stored properties are checked
// for exclusive access at every use, which here would cost more than the work.

import EventStoreCore

/// What a loop needs of one batch. Valid as long as the `BatchColumns` that made it.
struct ColumnView: BitwiseCopyable {
    var timestamp: UnsafeMutablePointer<Int64>
    var id: UnsafeMutablePointer<EventID>
    var sequence: UnsafeMutablePointer<UInt64>
    var entity: UnsafeMutablePointer<UInt32>
    var shape: UnsafeMutablePointer<UInt32>
    /// Local entity code → store number.
    var entityNumbers: UnsafeMutablePointer<UInt32>
    /// Shape → store number of its type.
    var shapeTypes: UnsafeMutablePointer<UInt32>

    @inline(__always)
    func entityNumber(_ row: Int) -> UInt32 { entityNumbers[Int(entity[row])] }
    @inline(__always)
    func type(_ row: Int) -> UInt32 { shapeTypes[Int(shape[row])] }
    @inline(__always)
    func day(_ row: Int) -> Int64 { CivilDate.day(ms: timestamp[row]) }
}

/// `@unchecked Sendable`: nothing here changes after `init`; what stands behind the pointers is the batches'
/// own, and threads that write there write different rows.
final class BatchColumns: @unchecked Sendable {
    let batches: [RowBatch]
    let views: UnsafeMutablePointer<ColumnView>

    /// The batches are admitted and no rows are added to them any more.
    init(_ batches: [RowBatch]) {
        self.batches = batches
        views = .allocate(capacity: max(batches.count, 1))
        for (index, batch) in batches.enumerated() {
            let numbers = UnsafeMutablePointer<UInt32>.allocate(capacity: max(batch.entityNumbers.count, 1))
            for (code, number) in batch.entityNumbers.enumerated() { numbers[code] = number }
            let types = UnsafeMutablePointer<UInt32>.allocate(capacity: max(batch.shapes.count, 1))
            for (number, shape) in batch.shapes.enumerated() { types[number] = batch.typeNumbers[Int(shape.type)] }
            views[index] = ColumnView(
                timestamp: batch.timestamp.base, id: batch.id.base, sequence: batch.sequence.base,
                entity: batch.entity.base, shape: batch.shape.base, entityNumbers: numbers, shapeTypes: types)
        }
    }

    deinit {
        for index in batches.indices {
            views[index].entityNumbers.deallocate()
            views[index].shapeTypes.deallocate()
        }
        views.deallocate()
    }
}
