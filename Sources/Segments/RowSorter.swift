// Puts rows into the order of a segment: (entity, type, timestamp, sequence), by store numbers.
//
// Least-significant-digit radix sort over packed keys. Entity and type become one dense rank, timestamps and
// sequences offsets from their least; digits that no key uses cost nothing.

import EventStoreCore

package enum RowSorter {
    /// Sorts `refs`, whose batches must have their number maps filled.
    package static func sort(_ refs: inout GrowableBuffer<RowRef>, _ batches: [RowBatch]) {
        let count = refs.count
        guard count > 1 else { return }
        var keys = SortKeys(refs.buffer, batches)
        keys.sort()
        keys.writeOrder(into: refs.base)
    }
}

/// 128 bits of key a row: high = rank of (entity, type), then time; low = sequence.
private struct SortKeys: ~Copyable {
    struct Key: BitwiseCopyable {
        var time: UInt64
        var sequence: UInt64
        var rank: UInt32
        var batch: UInt32
        var row: UInt32
        var spare: UInt32 = 0
    }

    private var keys: UnsafeMutablePointer<Key>
    private var other: UnsafeMutablePointer<Key>
    private let count: Int
    private var spanTime: UInt64 = 0
    private var spanSequence: UInt64 = 0
    private var rankCount = 0

    init(_ refs: UnsafeBufferPointer<RowRef>, _ batches: [RowBatch]) {
        count = refs.count
        keys = .allocate(capacity: count)
        other = .allocate(capacity: count)
        let ranks = SortKeys.ranks(batches)
        rankCount = ranks.count
        fill(refs, batches, ranks.ofBatch)
    }

    deinit {
        keys.deallocate()
        other.deallocate()
    }

    /// The store's entity numbers and type numbers of all batches, ranked.
    private static func ranks(_ batches: [RowBatch]) -> (ofBatch: [(entity: [UInt32], type: [UInt32])], count: Int) {
        let types = rankTable(batches.map(\.typeNumbers))
        let entities = rankTable(batches.map(\.entityNumbers))
        let typeCount = UInt32(max(types.count, 1))
        let perBatch = batches.indices.map { index in
            (
                entity: entities.ranks[index].map { $0 * typeCount },
                type: batches[index].shapes.map { types.ranks[index][Int($0.type)] }
            )
        }
        return (perBatch, entities.count * Int(typeCount))
    }

    private static func rankTable(_ lists: [[UInt32]]) -> (ranks: [[UInt32]], count: Int) {
        let distinct = Array(Set(lists.joined())).sorted()
        var rank: [UInt32: UInt32] = [:]
        for (index, number) in distinct.enumerated() { rank[number] = UInt32(index) }
        return (lists.map { $0.map { rank[$0] ?? 0 } }, distinct.count)
    }

    private mutating func fill(
        _ refs: UnsafeBufferPointer<RowRef>, _ batches: [RowBatch], _ ranks: [(entity: [UInt32], type: [UInt32])]
    ) {
        var leastTime = Int64.max
        var greatestTime = Int64.min
        var leastSequence = UInt64.max
        var greatestSequence: UInt64 = 0
        var index = 0
        while index < count {
            let number = refs[index].batch
            let batch = batches[Int(number)]
            let (entityRank, typeRank) = ranks[Int(number)]
            // Rows of one batch usually come together.
            while index < count, refs[index].batch == number {
                let row = Int(refs[index].row)
                let time = batch.timestamp[row]
                let sequence = batch.sequence[row]
                leastTime = min(leastTime, time)
                greatestTime = max(greatestTime, time)
                leastSequence = min(leastSequence, sequence)
                greatestSequence = max(greatestSequence, sequence)
                let rank = entityRank[Int(batch.entity[row])] &+ typeRank[Int(batch.shape[row])]
                keys[index] = Key(
                    time: UInt64(bitPattern: time), sequence: sequence, rank: rank, batch: number,
                    row: UInt32(truncatingIfNeeded: row))
                index += 1
            }
        }
        spanTime = UInt64(bitPattern: greatestTime &- leastTime)
        spanSequence = greatestSequence &- leastSequence
        for index in 0..<count {
            keys[index].time = keys[index].time &- UInt64(bitPattern: leastTime)
            keys[index].sequence = keys[index].sequence &- leastSequence
        }
    }

    mutating func sort() {
        if count < 256 { return sortSmall() }
        if !isAscending({ $0.sequence }) { digits(of: spanSequence) { $0.sequence } }
        digits(of: spanTime) { $0.time }
        digits(of: UInt64(max(rankCount - 1, 0))) { UInt64($0.rank) }
    }

    private func sortSmall() {
        var buffer = UnsafeMutableBufferPointer(start: keys, count: count)
        buffer.sort { a, b in
            if a.rank != b.rank { return a.rank < b.rank }
            if a.time != b.time { return a.time < b.time }
            return a.sequence < b.sequence
        }
    }

    @inline(__always)
    private func isAscending(_ key: (Key) -> UInt64) -> Bool {
        for index in 1..<count where key(keys[index]) < key(keys[index - 1]) { return false }
        return true
    }

    /// One stable pass for every 11 bits of the key in use.
    @inline(__always)
    private mutating func digits(of span: UInt64, _ key: (Key) -> UInt64) {
        if span == 0 || isAscending(key) { return }
        var shift: UInt64 = 0
        while shift < 64, span >> shift != 0 {
            pass(shift, key)
            shift += 11
        }
    }

    @inline(__always)
    private mutating func pass(_ shift: UInt64, _ key: (Key) -> UInt64) {
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 2048) { places in
            places.update(repeating: 0)
            for index in 0..<count { places[Int(truncatingIfNeeded: key(keys[index]) >> shift & 2047)] &+= 1 }
            var next = 0
            for digit in 0..<2048 { (places[digit], next) = (next, next &+ places[digit]) }
            for index in 0..<count {
                let digit = Int(truncatingIfNeeded: key(keys[index]) >> shift & 2047)
                other[places[digit]] = keys[index]
                places[digit] &+= 1
            }
        }
        swap(&keys, &other)
    }

    func writeOrder(into refs: UnsafeMutablePointer<RowRef>) {
        for index in 0..<count { refs[index] = RowRef(batch: keys[index].batch, row: keys[index].row) }
    }
}
