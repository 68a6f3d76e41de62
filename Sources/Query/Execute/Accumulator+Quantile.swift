// Quantiles: all numbers are kept as they come, and brought together for the groups that are returned.

import EventStoreCore

/// `quantile(x, p)` for any number of p of one x: keeps all numbers of a group, selects when asked.
final class QuantileAccumulator: Accumulator {
    @exclusivity(unchecked) private var runs = GroupRuns()
    private var numbers = NumberList()
    private var groupCount = 0
    /// Of workers merged into this one, and the group here of each group there.
    private var others: [(part: QuantileAccumulator, map: [UInt32])] = []
    /// Once brought together: the place of each group among those asked for, -1 for the others.
    private var places: [Int32]?
    /// Of the numbers brought together, where each place begins.
    private var starts: [Int] = []
    private var sorted = NumberList()
    /// The numbers of the group asked for last, partly in order.
    private var selection: (group: Int, numbers: QuantileSelection)?
    /// Quantiles of groups, by share, found ahead.
    private var prepared: [Int: [Double: Double]] = [:]

    func grow(to groups: Int) { groupCount = max(groupCount, groups) }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let arguments = arguments.first else { return }
        if case .integers(let list) = arguments.form {
            numbers.append(list, nulls: arguments.nulls, count: count)
            runs.append(groups, nulls: arguments.nulls, count: count)
        } else {
            for index in 0..<count {
                guard let number = arguments.value(index).asDouble else { continue }
                numbers.append(number)
                runs.append(groups[index])
            }
        }
    }

    func merge(_ other: any Accumulator, _ map: [UInt32]) { others.append((same(other), map)) }

    // MARK: Bringing together

    /// Calls a body for 0 ..< count, each on some thread.
    typealias Parallel = (Int, @escaping @Sendable (Int) throws(Fault) -> Void) throws(Fault) -> Void

    /// Brings the numbers of these groups together, by counting. No others can be asked for afterwards.
    private func gather(_ chosen: [Int], _ parallel: Parallel) throws(Fault) {
        var places = [Int32](repeating: -1, count: groupCount)
        for (place, group) in chosen.enumerated() { places[group] = Int32(place) }
        let theirs = others.map { other in (part: other.part, places: other.map.map { places[Int($0)] }) }
        let parts = QuantileParts([(part: self, places: places)] + theirs)
        try parallel(parts.all.count) { (number) throws(Fault) in
            parts.all[number].part.scatter(parts.all[number].places, chosen.count)
        }
        self.places = places
    }

    private func gatherAll() throws(Fault) {
        try gather(Array(0..<groupCount)) { (count, body) throws(Fault) in
            for number in 0..<count { try body(number) }
        }
    }

    fileprivate func scatter(_ places: [Int32], _ placeCount: Int) {
        var starts = [Int](repeating: 0, count: placeCount + 1)
        runs.forEach { group, _, length in
            let place = Int(places[Int(group)])
            if place >= 0 { starts[place + 1] += length }
        }
        for place in 0..<placeCount { starts[place + 1] += starts[place] }
        sorted = numbers.scattered(by: runs, places, starts)
        self.starts = starts
        // What was brought together is not needed apart.
        numbers = NumberList()
        runs = GroupRuns()
    }

    // MARK: Results

    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue {
        guard case .literal(let literal) = call.arguments[1].node, let p = literal.asDouble, p >= 0, p <= 1 else {
            throw Fault(.invalid, "quantile(x, p) takes a constant p from 0 to 1")
        }
        if let known = prepared[group]?[p] { return .real(known) }
        if places == nil { try gatherAll() }
        if selection?.group != group { selection = (group, numbers(of: group)) }
        return selection?.numbers.select(p).map { .real($0) } ?? .null
    }

    /// Selects for several groups at once, in parallel, unless all groups were asked for before. No other group can be
    /// asked for afterwards.
    func prepare(_ chosen: [Int], _ shares: [Double], _ parallel: Parallel) throws(Fault) {
        guard places == nil else { return }
        let isLarge = numbers.count + others.reduce(0) { $0 + $1.part.numbers.count } > QuantileAccumulator.parallelMin
        try gather(chosen) { (count, body) throws(Fault) in
            if isLarge { return try parallel(count, body) }
            for number in 0..<count { try body(number) }
        }
        guard isLarge, chosen.count > 1, chosen.count <= QuantileAccumulator.preparedMax else { return }
        let found = Guarded<[Int: [Double: Double]]>([:])
        let parts = QuantileParts([(self, [])])
        try parallel(chosen.count) { (number) throws(Fault) in
            var selection = parts.all[0].part.numbers(of: chosen[number])
            var results: [Double: Double] = [:]
            for share in shares.sorted() { results[share] = selection.select(share) }
            let ready = results
            found.withLock { $0[chosen[number]] = ready }
        }
        prepared = found.value
    }

    private static let parallelMin = 50_000
    /// Results of more groups are not kept beside their numbers.
    private static let preparedMax = 1000

    /// All numbers of a group, in all parts.
    private func numbers(of group: Int) -> QuantileSelection {
        guard let places, places[group] >= 0 else { preconditionFailure("a group that was asked for") }
        let place = Int(places[group])
        let parts = [self] + others.map(\.part)
        let ranges = parts.map { $0.starts[place]..<$0.starts[place + 1] }
        let small = zip(parts, ranges).compactMap { part, range in part.sorted.small(range) }
        if small.count == parts.count, let counted = CountedNumbers(small) { return QuantileSelection(counted) }
        var all: [Double] = []
        all.reserveCapacity(ranges.reduce(0) { $0 + $1.count })
        for (part, range) in zip(parts, ranges) { part.sorted.add(range, to: &all) }
        return QuantileSelection(all)
    }

    var byteCount: Int {
        // Bringing together makes a second copy.
        numbers.byteCount * 2 + runs.byteCount + sorted.byteCount
            + others.reduce(0) { $0 + $1.part.byteCount }
    }
}

/// Accumulators that several threads read, and the places of their groups. `@unchecked Sendable`: each thread brings
/// together the numbers of a part of its own, or only reads numbers brought together.
private final class QuantileParts: @unchecked Sendable {
    let all: [(part: QuantileAccumulator, places: [Int32])]
    init(_ all: [(part: QuantileAccumulator, places: [Int32])]) { self.all = all }
}

/// The groups of numbers in a row. A run of one takes 4 bytes, a longer one 8.
struct GroupRuns: ~Copyable {
    /// A group, marked where the length of its run follows.
    private var list = GrowableBuffer<UInt32>()
    private var last: UInt32 = .max
    private var length: UInt32 = 0

    private static let mark: UInt32 = 1 << 31

    var byteCount: Int { list.count * 4 }

    @inline(__always)
    mutating func append(_ group: UInt32) {
        if group == last, length < .max {
            length &+= 1
        } else {
            close()
            last = group
            length = 1
        }
    }

    mutating func append(_ groups: UnsafePointer<UInt32>, nulls: UnsafePointer<UInt8>?, count: Int) {
        if let nulls {
            for index in 0..<count where nulls[index] == 0 { append(groups[index]) }
            return
        }
        var index = 0
        while index < count {
            // Most runs are long where rows lie by entity.
            if index &+ 8 <= count, length < .max - 8, GroupRuns.areAll(groups + index, last) {
                length &+= 8
                index &+= 8
            } else {
                append(groups[index])
                index &+= 1
            }
        }
    }

    /// Whether eight rows are of one group.
    @inline(__always)
    static func areAll(_ groups: UnsafePointer<UInt32>, _ group: UInt32) -> Bool {
        var differs: UInt32 = 0
        for offset in 0..<8 { differs |= groups[offset] ^ group }
        return differs == 0
    }

    /// Groups are fewer than 2^31: each takes more than two bytes of the budget.
    @inline(__always)
    private mutating func close() {
        if length == 0 { return }
        if length == 1 { return list.append(last) }
        list.append(last | GroupRuns.mark)
        list.append(length)
    }

    /// Group, place of the first number, count of numbers.
    @inline(__always)
    func forEach(_ body: (UInt32, Int, Int) -> Void) {
        var (index, place) = (0, 0)
        while index < list.count {
            let word = list.base[index]
            let run = word & GroupRuns.mark == 0 ? 1 : Int(list.base[index &+ 1])
            body(word & ~GroupRuns.mark, place, run)
            place &+= run
            index &+= word & GroupRuns.mark == 0 ? 1 : 2
        }
        if length > 0 { body(last, place, Int(length)) }
    }
}

/// Numbers in as little memory as they allow: 4 bytes each as long as all are integers of 32 bits.
struct NumberList: ~Copyable {
    private var small = GrowableBuffer<Int32>()
    private var large = GrowableBuffer<Double>()
    private var isSmall = true

    var count: Int { isSmall ? small.count : large.count }
    /// What is used; as much again may be reserved.
    var byteCount: Int { small.count * 4 + large.count * 8 }

    mutating func append(_ number: Double) {
        if isSmall { widen() }
        large.append(number)
    }

    mutating func append(_ list: UnsafePointer<Int64>, nulls: UnsafePointer<UInt8>?, count: Int) {
        if isSmall, appendSmall(list, nulls, count) { return }
        if isSmall { widen() }
        large.reserve(count)
        for index in 0..<count {
            if let nulls, nulls[index] != 0 { continue }
            large.append(Double(list[index]))
        }
    }

    /// False, and nothing appended, when a number does not fit.
    private mutating func appendSmall(
        _ list: UnsafePointer<Int64>, _ nulls: UnsafePointer<UInt8>?, _ count: Int
    ) -> Bool {
        small.reserve(count)
        let start = small.count
        let target = small.base
        var place = start
        var fits = true
        for index in 0..<count {
            let number = Int32(truncatingIfNeeded: list[index])
            let isNull = nulls.map { $0[index] != 0 } ?? false
            target[place] = number
            fits = fits && (isNull || Int64(number) == list[index])
            place &+= isNull ? 0 : 1
        }
        if fits { small.truncate(to: place) }
        return fits
    }

    private mutating func widen() {
        isSmall = false
        large.reserve(small.count)
        for index in 0..<small.count { large.append(Double(small.base[index])) }
        small = GrowableBuffer<Int32>()
    }

    /// The numbers whose group has a place, those of place p from `starts[p]` on, in their order.
    func scattered(by runs: borrowing GroupRuns, _ places: [Int32], _ starts: [Int]) -> NumberList {
        var list = NumberList()
        list.isSmall = isSmall
        let total = starts.last ?? 0
        if isSmall {
            list.small.resize(to: total, filling: 0)
            NumberList.scatter(small.base, list.small.base, runs, places, starts)
        } else {
            list.large.resize(to: total, filling: 0)
            NumberList.scatter(large.base, list.large.base, runs, places, starts)
        }
        return list
    }

    private static func scatter<T: BitwiseCopyable>(
        _ source: UnsafePointer<T>, _ target: UnsafeMutablePointer<T>, _ runs: borrowing GroupRuns, _ places: [Int32],
        _ starts: [Int]
    ) {
        var next = starts
        runs.forEach { group, first, length in
            let place = Int(places[Int(group)])
            if place < 0 { return }
            (target + next[place]).update(from: source + first, count: length)
            next[place] &+= length
        }
    }

    /// The numbers as they are kept while all are small; `nil` when they are not.
    func small(_ range: Range<Int>) -> UnsafeBufferPointer<Int32>? {
        isSmall ? UnsafeBufferPointer(start: small.base + range.lowerBound, count: range.count) : nil
    }

    func add(_ range: Range<Int>, to all: inout [Double]) {
        if isSmall {
            for index in range { all.append(Double(small.base[index])) }
        } else {
            all += UnsafeBufferPointer(start: large.base + range.lowerBound, count: range.count)
        }
    }
}

/// How often each number occurs, for many integers of a small range: any rank is found without sorting.
struct CountedNumbers {
    private let least: Int
    /// Of each number from the least on, how many are not greater.
    private var upTo: [UInt32]
    let count: Int

    /// Fewer numbers are selected from directly.
    private static let countMin = 256

    /// `nil` when the numbers are too few for their range.
    init?(_ lists: [UnsafeBufferPointer<Int32>]) {
        count = lists.reduce(0) { $0 + $1.count }
        guard count >= CountedNumbers.countMin, count < Int(UInt32.max) else { return nil }
        var (least, greatest) = (Int32.max, Int32.min)
        for list in lists {
            for number in list {
                least = min(least, number)
                greatest = max(greatest, number)
            }
        }
        let range = Int(greatest) - Int(least) + 1
        guard range <= 4 * count else { return nil }
        self.least = Int(least)
        upTo = [UInt32](repeating: 0, count: range)
        upTo.withUnsafeMutableBufferPointer { counts in
            for list in lists { for number in list { counts[Int(number) &- Int(least)] &+= 1 } }
            for place in 1..<max(range, 1) { counts[place] &+= counts[place &- 1] }
        }
    }

    /// The n-th in ascending order, from 0.
    func nth(_ n: Int) -> Double {
        var (low, high) = (0, upTo.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if Int(upTo[middle]) > n { high = middle } else { low = middle + 1 }
        }
        return Double(least + low)
    }
}

/// Linear interpolation between the two nearest ranks: rank p (n - 1), counted from 0. Numbers found before bound the
/// search for the next.
struct QuantileSelection {
    private var values: [Double] = []
    private var counted: CountedNumbers?
    private let count: Int
    /// Places whose number is the one that sorting would put there; ascending. Numbers between two of them are too.
    private var placed: [Int] = []

    init(_ values: [Double]) {
        self.values = values
        count = values.count
    }

    init(_ counted: CountedNumbers) {
        self.counted = counted
        count = counted.count
    }

    mutating func select(_ p: Double) -> Double? {
        if count == 0 { return nil }
        let position = p * Double(count - 1)
        let lower = Int(position.rounded(.down))
        let low = nth(lower)
        let fraction = position - Double(lower)
        if fraction == 0 || lower + 1 >= count { return low }
        return QuantileSelection.between(low, nth(lower + 1), fraction)
    }

    /// The number at this fraction of the way.
    static func between(_ low: Double, _ high: Double, _ fraction: Double) -> Double {
        // Between equal infinities there is nothing to interpolate.
        if low == high { return low }
        let distance = high - low
        // The distance of two finite numbers can be beyond all doubles, what lies between them is not.
        return distance.isFinite ? low + distance * fraction : low * (1 - fraction) + high * fraction
    }

    private mutating func nth(_ n: Int) -> Double {
        if let counted { return counted.nth(n) }
        let above = placed.firstIndex { $0 >= n } ?? placed.count
        if above < placed.count, placed[above] == n { return values[n] }
        let left = above > 0 ? placed[above - 1] + 1 : 0
        let right = above < placed.count ? placed[above] - 1 : values.count - 1
        placed.insert(n, at: above)
        return values.withUnsafeMutableBufferPointer { Selecting.nth($0, n, left, right) }
    }
}
