// Finding the segments a row may be in, for rows that come in runs of one partition.

/// The segments of the partition a row lies in, looked up once for rows in a row.
struct PartitionLookup {
    private let partition: Partition
    private let set: SegmentSet
    private var bounds: (start: Int64, length: Int64) = (.max, 0)
    private var handles: [SegmentHandle] = []

    init(_ partition: Partition, _ set: SegmentSet) {
        self.partition = partition
        self.set = set
    }

    @inline(__always)
    mutating func segments(at time: Int64) -> [SegmentHandle] {
        if time < bounds.start || time - bounds.start >= bounds.length { move(to: time) }
        return handles
    }

    private mutating func move(to time: Int64) {
        bounds = partition.bounds(of: time)
        handles = set.inPartition(bounds.start)
    }
}
