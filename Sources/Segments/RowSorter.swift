// Puts rows into the order of a segment: (entity, type, timestamp, sequence), by store numbers.
//
// Least-significant-digit radix sort (Knuth, The Art of Computer Programming 3, 5.2.5). Entity and type become
// one dense rank, times and sequences offsets from their least, so that the key of a row is as many bits as
// differ; bits above 64 are sorted in a second round. Sequences that already ascend are left to stability.

import EventStoreCore

package enum RowSorter {
    /// Sorts `refs`, whose batches must have their number maps filled.
    package static func sort(_ refs: inout GrowableBuffer<RowRef>, _ batches: [RowBatch]) {
        guard refs.count > 1 else { return }
        var sorter = RadixSorter(refs.buffer)
        let ranks = RowRanks(batches)
        let ranges = RowRanges(refs.buffer, batches)
        if !ranges.sequencesAscend {
            sorter.sort(batches, span: ranges.sequenceSpan) { batch, row in batch.sequence[row] &- ranges.leastSequence
            }
        }
        let timeBits = UInt64(64 - ranges.timeSpan.leadingZeroBitCount)
        let rankSpan = UInt64(max(ranks.count - 1, 0))
        let rankBits = UInt64(64 - rankSpan.leadingZeroBitCount)
        if timeBits + rankBits <= 64 {
            let span = timeBits == 64 ? ranges.timeSpan : rankSpan << timeBits | ranges.timeSpan
            sorter.sort(batches, span: span, ranks: ranks) { batch, row, rank in
                let time = UInt64(bitPattern: batch.timestamp[row] &- ranges.leastTime)
                return timeBits == 64 ? time : rank << timeBits | time
            }
        } else {
            sorter.sort(batches, span: ranges.timeSpan) { batch, row in
                UInt64(bitPattern: batch.timestamp[row] &- ranges.leastTime)
            }
            sorter.sort(batches, span: rankSpan, ranks: ranks) { _, _, rank in rank }
        }
        sorter.write(into: refs.base)
    }
}

/// The store's entity and type numbers of all batches, ranked together: their order is the rows' order.
private struct RowRanks {
    /// Per batch: rank of each local entity times the number of types, and rank of each shape's type.
    private(set) var entities: [[UInt64]] = []
    private(set) var shapes: [[UInt64]] = []
    private(set) var count = 0

    init(_ batches: [RowBatch]) {
        let types = RowRanks.rank(batches.map(\.typeNumbers))
        let numbers = RowRanks.rank(batches.map(\.entityNumbers))
        let typeCount = UInt64(max(types.count, 1))
        for index in batches.indices {
            entities.append(numbers.ranks[index].map { $0 * typeCount })
            shapes.append(batches[index].shapes.map { types.ranks[index][Int($0.type)] })
        }
        count = numbers.count * Int(typeCount)
    }

    private static func rank(_ lists: [[UInt32]]) -> (ranks: [[UInt64]], count: Int) {
        let distinct = Array(Set(lists.joined())).sorted()
        var rank: [UInt32: UInt64] = [:]
        for (index, number) in distinct.enumerated() { rank[number] = UInt64(index) }
        return (lists.map { $0.map { rank[$0] ?? 0 } }, distinct.count)
    }
}

/// Least and greatest of what is sorted by.
private struct RowRanges {
    private(set) var leastTime = Int64.max
    private var greatestTime = Int64.min
    private(set) var leastSequence = UInt64.max
    private var greatestSequence: UInt64 = 0
    private(set) var sequencesAscend = true

    var timeSpan: UInt64 { UInt64(bitPattern: greatestTime &- leastTime) }
    var sequenceSpan: UInt64 { greatestSequence &- leastSequence }

    init(_ refs: UnsafeBufferPointer<RowRef>, _ batches: [RowBatch]) {
        var last: UInt64 = 0
        eachRun(of: refs, batches) { batch, _, range in
            let times = batch.timestamp.base
            let sequences = batch.sequence.base
            for index in range {
                let row = Int(refs[index].row)
                leastTime = min(leastTime, times[row])
                greatestTime = max(greatestTime, times[row])
                let sequence = sequences[row]
                if sequence < last { sequencesAscend = false }
                last = sequence
                leastSequence = min(leastSequence, sequence)
                greatestSequence = max(greatestSequence, sequence)
            }
        }
    }
}

/// Calls `body` for every run of rows of one batch.
@inline(__always)
private func eachRun(
    of refs: UnsafeBufferPointer<RowRef>, _ batches: [RowBatch], _ body: (RowBatch, Int, Range<Int>) -> Void
) {
    var start = 0
    while start < refs.count {
        let number = refs[start].batch
        var end = start + 1
        while end < refs.count, refs[end].batch == number { end += 1 }
        body(batches[Int(number)], Int(number), start..<end)
        start = end
    }
}

/// Sorts rows by keys of up to 64 bits, stably, as often as asked.
private struct RadixSorter: ~Copyable {
    private struct Item: BitwiseCopyable {
        var key: UInt64
        var ref: RowRef
    }

    private var items: UnsafeMutablePointer<Item>
    private var other: UnsafeMutablePointer<Item>
    private let count: Int
    private static let digitBits: UInt64 = 11
    private static let digitCount = 1 << 11

    init(_ refs: UnsafeBufferPointer<RowRef>) {
        count = refs.count
        items = .allocate(capacity: count)
        other = .allocate(capacity: count)
        for index in 0..<count { items[index] = Item(key: 0, ref: refs[index]) }
    }

    deinit {
        items.deallocate()
        other.deallocate()
    }

    @inline(__always)
    mutating func sort(_ batches: [RowBatch], span: UInt64, _ key: (borrowing RowBatch, Int) -> UInt64) {
        var index = 0
        while index < count {
            let number = items[index].ref.batch
            let batch = batches[Int(number)]
            while index < count, items[index].ref.batch == number {
                items[index].key = key(batch, Int(items[index].ref.row))
                index += 1
            }
        }
        sortByKey(span)
    }

    @inline(__always)
    mutating func sort(
        _ batches: [RowBatch], span: UInt64, ranks: RowRanks, _ key: (borrowing RowBatch, Int, UInt64) -> UInt64
    ) {
        var index = 0
        while index < count {
            let number = items[index].ref.batch
            let batch = batches[Int(number)]
            ranks.entities[Int(number)].withUnsafeBufferPointer { entities in
                ranks.shapes[Int(number)].withUnsafeBufferPointer { shapes in
                    while index < count, items[index].ref.batch == number {
                        let row = Int(items[index].ref.row)
                        let rank = entities[Int(batch.entity[row])] &+ shapes[Int(batch.shape[row])]
                        items[index].key = key(batch, row, rank)
                        index += 1
                    }
                }
            }
        }
        sortByKey(span)
    }

    /// One pass for every digit below the span's highest bit; few rows are sorted by comparing.
    private mutating func sortByKey(_ span: UInt64) {
        if span == 0 || isAscending() { return }
        if count < 512 { return sortFew() }
        var shift: UInt64 = 0
        while shift < 64, span >> shift != 0 {
            pass(shift)
            shift += RadixSorter.digitBits
        }
    }

    private func isAscending() -> Bool {
        for index in 1..<count where items[index].key < items[index - 1].key { return false }
        return true
    }

    /// Insertion by halves: stable, which the library's sort does not promise.
    private mutating func sortFew() {
        for index in 1..<count where items[index].key < items[index - 1].key {
            let item = items[index]
            var low = 0
            var high = index
            while low < high {
                let middle = (low + high) / 2
                if items[middle].key <= item.key { low = middle + 1 } else { high = middle }
            }
            (items + low + 1).update(from: items + low, count: index - low)
            items[low] = item
        }
    }

    private mutating func pass(_ shift: UInt64) {
        let from = items
        let to = other
        let count = count
        let mask = UInt64(RadixSorter.digitCount - 1)
        withUnsafeTemporaryAllocation(of: Int.self, capacity: RadixSorter.digitCount) { places in
            places.update(repeating: 0)
            guard let place = places.baseAddress else { return }
            for index in 0..<count { place[Int(truncatingIfNeeded: from[index].key >> shift & mask)] &+= 1 }
            var next = 0
            for digit in 0..<RadixSorter.digitCount { (place[digit], next) = (next, next &+ place[digit]) }
            for index in 0..<count {
                let digit = Int(truncatingIfNeeded: from[index].key >> shift & mask)
                to[place[digit]] = from[index]
                place[digit] &+= 1
            }
        }
        swap(&items, &other)
    }

    func write(into refs: UnsafeMutablePointer<RowRef>) {
        for index in 0..<count { refs[index] = items[index].ref }
    }
}
