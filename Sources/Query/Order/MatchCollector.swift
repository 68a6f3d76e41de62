// Gathering: the first phase of an ordered read finds where the matching rows are, not what they hold.

import EventStoreCore

/// Where a matching row is and where it stands in the order.
package struct MatchKey: Sendable, BitwiseCopyable, Hashable {
    /// What is ordered by first: the timestamp in ms, or in a tail the sequence.
    package var major: Int64
    package var sequence: UInt64
    /// Index into the list of sources being read, and the row inside it.
    package var source: UInt32
    package var row: UInt32

    package init(major: Int64, sequence: UInt64, source: UInt32, row: UInt32) {
        self.major = major
        self.sequence = sequence
        self.source = source
        self.row = row
    }
}

/// The direction of (major, sequence). No two rows of a store have the same sequence, so the order is total.
package enum MatchOrder: Sendable {
    case ascending, descending

    @inline(__always)
    package func precedes(_ a: MatchKey, _ b: MatchKey) -> Bool {
        switch self {
        case .ascending: a.major != b.major ? a.major < b.major : a.sequence < b.sequence
        case .descending: a.major != b.major ? a.major > b.major : a.sequence > b.sequence
        }
    }
}

/// Collects keys of matching rows; with a limit it keeps the best that many, in memory for twice as many.
/// Used by one thread at a time.
package final class MatchCollector {
    package let order: MatchOrder
    package let limit: Int?
    /// Only rows after this key in the order are wanted: where an interrupted read goes on.
    package let after: MatchKey?
    private var keys: GrowableBuffer<MatchKey>
    private let capacityMax: Int
    /// The worst of the best `limit` keys so far, once there are that many.
    package private(set) var worst: MatchKey?

    package init(order: MatchOrder, limit: Int? = nil, after: MatchKey? = nil) {
        self.order = order
        self.limit = limit
        self.after = after
        capacityMax = limit.map { $0 > .max / 2 ? .max : max(2 * $0, 1024) } ?? .max
        keys = GrowableBuffer(capacity: min(capacityMax, 1024))
    }

    package var count: Int { keys.count }

    /// Whether rows whose major lies in this range can still get among the best.
    package func canTake(_ range: ClosedRange<Int64>) -> Bool {
        guard let worst else { return true }
        return order == .descending ? range.upperBound >= worst.major : range.lowerBound <= worst.major
    }

    /// The part of a range of majors that can still get among the best, `nil` when none can.
    package func narrow(_ range: ClosedRange<Int64>) -> ClosedRange<Int64>? {
        var low = range.lowerBound
        var high = range.upperBound
        if order == .descending {
            if let worst { low = max(low, worst.major) }
            if let after { high = min(high, after.major) }
        } else {
            if let worst { high = min(high, worst.major) }
            if let after { low = max(low, after.major) }
        }
        return low <= high ? low...high : nil
    }

    @inline(__always)
    package func add(_ key: MatchKey) {
        if let after, !order.precedes(after, key) { return }
        if let worst, !order.precedes(key, worst) { return }
        keys.append(key)
        if keys.count >= capacityMax { prune() }
    }

    /// Takes over what another collector of the same order found.
    package func add(contentsOf other: MatchCollector) {
        for index in 0..<other.keys.count { add(other.keys.base[index]) }
    }

    private func prune() {
        guard let limit, limit > 0, keys.count > limit else { return }
        MatchSorter.sort(&keys, order)
        keys.truncate(to: limit)
        worst = keys.base[limit - 1]
    }

    /// Sorts and cuts to the limit. Afterwards `sorted` holds the result.
    package func finish() {
        if limit == 0 { keys.truncate(to: 0) }
        MatchSorter.sort(&keys, order)
        if let limit, keys.count > limit { keys.truncate(to: limit) }
        if let limit, limit > 0, keys.count == limit { worst = keys.base[limit - 1] }
    }

    /// The keys, best first after `finish`. Valid until the collector is used again or goes.
    package var sorted: UnsafeBufferPointer<MatchKey> { keys.buffer }
}

/// Sorts keys: least-significant-digit radix passes over the major's offset from the least, then each run of
/// equal majors by sequence. About 10 ns a key; few keys are sorted by comparison.
package enum MatchSorter {
    private static let digitBits = 11
    private static let radixMin = 512

    package static func sort(_ keys: inout GrowableBuffer<MatchKey>, _ order: MatchOrder) {
        let count = keys.count
        var list = UnsafeMutableBufferPointer(start: keys.base, count: count)
        if count < radixMin { return list.sort { order.precedes($0, $1) } }
        var least = list[0].major
        var greatest = least
        for key in list {
            least = min(least, key.major)
            greatest = max(greatest, key.major)
        }
        let span = UInt64(bitPattern: greatest &- least)
        let spare = UnsafeMutableBufferPointer<MatchKey>.allocate(capacity: count)
        defer { spare.deallocate() }
        // `span &- offset` runs the other way.
        let flip: UInt64 = order == .ascending ? 0 : span
        passes(list, spare, least: least, flip: flip, isFlipped: order == .descending, span: span)
        settleTies(&list, order)
    }

    private static func passes(
        _ list: UnsafeMutableBufferPointer<MatchKey>, _ spare: UnsafeMutableBufferPointer<MatchKey>, least: Int64,
        flip: UInt64, isFlipped: Bool, span: UInt64
    ) {
        let bits = 64 - span.leadingZeroBitCount
        let mask = UInt64(1 << digitBits) - 1
        var source = list
        var target = spare
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 1 << digitBits) { starts in
            var shift: UInt64 = 0
            while shift < bits {
                starts.update(repeating: 0)
                for key in source { starts[digit(key, least, flip, isFlipped, shift, mask)] += 1 }
                var total = 0
                for index in starts.indices {
                    let size = starts[index]
                    starts[index] = total
                    total += size
                }
                for key in source {
                    let slot = digit(key, least, flip, isFlipped, shift, mask)
                    target[starts[slot]] = key
                    starts[slot] += 1
                }
                swap(&source, &target)
                shift += UInt64(digitBits)
            }
        }
        if source.baseAddress != list.baseAddress { _ = list.update(fromContentsOf: source) }
    }

    @inline(__always)
    private static func digit(
        _ key: MatchKey, _ least: Int64, _ flip: UInt64, _ isFlipped: Bool, _ shift: UInt64, _ mask: UInt64
    ) -> Int {
        let offset = UInt64(bitPattern: key.major &- least)
        return Int(truncatingIfNeeded: (isFlipped ? flip &- offset : offset) >> shift & mask)
    }

    private static func settleTies(_ list: inout UnsafeMutableBufferPointer<MatchKey>, _ order: MatchOrder) {
        var start = 0
        while start < list.count {
            var end = start + 1
            while end < list.count, list[end].major == list[start].major { end += 1 }
            if end - start > 1 { list[start..<end].sort { order.precedes($0, $1) } }
            start = end
        }
    }
}
