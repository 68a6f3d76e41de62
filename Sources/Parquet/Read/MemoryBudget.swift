import EventStoreCore

/// What the pages of a row group may take together. Asked before memory is taken, so that sizes that a damaged file
/// claims end in an error. Used by one thread.
final class MemoryBudget {
    private var left = Limits.parquetReaderBytesMax

    func take(_ bytes: Int) throws(Fault) {
        guard bytes <= left else {
            throw Fault(
                .limit,
                "pages of the Parquet file need more than \(Limits.parquetReaderBytesMax) bytes at a time; "
                    + "write it again with smaller row groups or pages")
        }
        left -= bytes
    }

    func give(_ bytes: Int) { left += bytes }
}

/// A buffer for one page after the other, charged to the budget. Behind its bytes are the spare ones of a sink.
struct PageBuffer: ~Copyable {
    private var sink = ByteSink(capacity: 0)
    private var capacity = 0

    var bytes: UnsafeRawBufferPointer { sink.bytes }

    /// Room for exactly so many bytes; what was there is gone.
    mutating func resize(to count: Int, _ budget: MemoryBudget) throws(Fault) -> UnsafeMutableRawBufferPointer {
        sink.removeAll()
        if count > capacity {
            try budget.take(count - capacity)
            sink = ByteSink(capacity: count)
            capacity = count
        }
        return UnsafeMutableRawBufferPointer(start: sink.extend(count), count: count)
    }

    mutating func swap(with other: inout PageBuffer) {
        Swift.swap(&sink, &other.sink)
        Swift.swap(&capacity, &other.capacity)
    }
}
