// Aggregates that keep more than a few numbers a group: distinct values, quantiles, first and last.

import EventStoreCore

/// Aggregates of distinct values: `count(DISTINCT x)` and the like.
final class DistinctAccumulator: Accumulator {
    private let interner = ValueInterner()
    /// Behind a pointer: a class's own stored values would be guarded at every access.
    private let seen = UnsafeMutablePointer<PairSet>.allocate(capacity: 1)
    private var groupCount = 0

    init() { seen.initialize(to: PairSet()) }

    deinit {
        seen.deinitialize(count: 1)
        seen.deallocate()
    }

    func grow(to groups: Int) { groupCount = max(groupCount, groups) }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let values = arguments.first else { return }
        switch values.form {
        case .codes(let codes, let dictionary):
            let table = UnsafeMutablePointer<UInt32>.allocate(capacity: dictionary.count + 1)
            defer { table.deallocate() }
            table.update(repeating: 0, count: dictionary.count + 1)
            for index in 0..<count where codes[index] != 0 {
                let code = Int(codes[index])
                if table[code] == 0 { table[code] = interned(dictionary, UInt32(code)) }
                seen.pointee.insert(groups[index], table[code])
            }
        case .integers(let numbers):
            for index in 0..<count {
                if let nulls = values.nulls, nulls[index] != 0 { continue }
                seen.pointee.insert(groups[index], interner.code(integer: numbers[index]))
            }
        case .doubles, .values, .constant:
            for index in 0..<count {
                let code = interner.code(values.value(index))
                if code != 0 { seen.pointee.insert(groups[index], code) }
            }
        }
    }

    private func interned(_ dictionary: VectorDictionary, _ code: UInt32) -> UInt32 {
        dictionary.isText ? interner.code(text: dictionary.bytes(code)) : interner.code(dictionary.value(code))
    }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        var codes = [UInt32](repeating: 0, count: other.interner.count + 1)
        other.seen.pointee.forEach { group, code in
            if codes[Int(code)] == 0 { codes[Int(code)] = interner.code(other.interner, code) }
            seen.pointee.insert(map[Int(group)], codes[Int(code)])
        }
    }

    /// Distinct values by group, made once when the first result is asked for.
    private lazy var lists: [[UInt32]] = {
        var lists = [[UInt32]](repeating: [], count: groupCount)
        seen.pointee.forEach { group, code in lists[Int(group)].append(code) }
        return lists
    }()

    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue {
        let codes = group < lists.count ? lists[group] : []
        switch call.kind {
        case .count: return .integer(Int64(codes.count))
        case .minimum, .maximum:
            let best = ExtremeAccumulator(isMaximum: call.kind == .maximum)
            best.grow(to: 1)
            for code in codes { best.add(interner.value(code), to: 0) }
            return best.result(0, call)
        default:
            let sum = SumAccumulator()
            sum.grow(to: 1)
            for code in codes.sorted() { sum.add(interner.value(code), to: 0) }
            return try sum.result(0, call)
        }
    }

    var byteCount: Int { interner.byteCount + seen.pointee.byteCount }
}

/// A set of pairs of numbers, by open addressing. The second of a pair is never 0.
struct PairSet: ~Copyable {
    private var slots = GrowableBuffer<UInt64>()
    private var mask = 0
    private(set) var count = 0
    private var last: UInt64 = 0

    init() {
        slots.resize(to: 64, filling: 0)
        mask = 63
    }

    var byteCount: Int { slots.byteCount }

    @inline(__always)
    mutating func insert(_ first: UInt32, _ second: UInt32) {
        let pair = UInt64(first) << 32 | UInt64(second)
        if pair == last { return }
        last = pair
        var slot = Int(truncatingIfNeeded: Hash.mix(pair, 0x9e37_79b9_7f4a_7c15)) & mask
        while slots.base[slot] != 0 {
            if slots.base[slot] == pair { return }
            slot = (slot &+ 1) & mask
        }
        slots.base[slot] = pair
        count += 1
        if count * 2 > mask { grow() }
    }

    @inline(never)
    private mutating func grow() {
        var fresh = GrowableBuffer<UInt64>(capacity: (mask + 1) * 4)
        fresh.resize(to: (mask + 1) * 4, filling: 0)
        mask = (mask + 1) * 4 - 1
        for index in 0..<slots.count where slots.base[index] != 0 {
            var slot = Int(truncatingIfNeeded: Hash.mix(slots.base[index], 0x9e37_79b9_7f4a_7c15)) & mask
            while fresh.base[slot] != 0 { slot = (slot &+ 1) & mask }
            fresh.base[slot] = slots.base[index]
        }
        slots = fresh
    }

    func forEach(_ body: (UInt32, UInt32) -> Void) {
        for index in 0..<slots.count where slots.base[index] != 0 {
            body(UInt32(truncatingIfNeeded: slots.base[index] >> 32), UInt32(truncatingIfNeeded: slots.base[index]))
        }
    }
}

/// `quantile(x, p)` for any number of p of one x: keeps all numbers of a group, selects when asked.
final class QuantileAccumulator: Accumulator {
    private var groups = GrowableBuffer<UInt32>()
    private var numbers = NumberList()
    private var groupCount = 0
    /// Of workers merged into this one: their numbers, and their group of each group here.
    private var others: [(part: QuantileAccumulator, group: [Int: UInt32])] = []
    /// Once brought together by group: where each begins.
    private var starts: [Int] = []
    private var sorted = NumberList()
    /// The numbers of a group that was asked for, partly in order.
    private var selections: [Int: QuantileSelection] = [:]
    /// Quantiles of groups, by share, found ahead.
    private var prepared: [Int: [Double: Double]] = [:]

    func grow(to groups: Int) { groupCount = max(groupCount, groups) }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let arguments = arguments.first else { return }
        self.groups.reserve(count)
        let start = numbers.count
        let target = self.groups.base + start
        var place = 0
        if case .integers(let list) = arguments.form {
            numbers.append(list, nulls: arguments.nulls, count: count)
            for index in 0..<count {
                target[place] = groups[index]
                place &+= arguments.isNull(index) ? 0 : 1
            }
        } else {
            for index in 0..<count {
                guard let number = arguments.value(index).asDouble else { continue }
                numbers.append(number)
                target[place] = groups[index]
                place &+= 1
            }
        }
        self.groups.truncate(to: start + place)
    }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        var groups: [Int: UInt32] = [:]
        for (there, here) in map.enumerated() { groups[Int(here)] = UInt32(there) }
        others.append((other, groups))
    }

    /// Brings the numbers of each group together, by counting.
    func seal() {
        guard starts.isEmpty else { return }
        let count = groups.count
        var starts = [Int](repeating: 0, count: groupCount + 1)
        var next = [Int](repeating: 0, count: groupCount)
        let list = groups.base
        for index in 0..<count { starts[Int(list[index]) + 1] += 1 }
        for group in 0..<groupCount {
            starts[group + 1] += starts[group]
            next[group] = starts[group]
        }
        sorted = numbers.scattered(by: list, count: count, next: &next)
        self.starts = starts
        // What is sorted is not needed unsorted.
        numbers = NumberList()
        groups = GrowableBuffer<UInt32>()
    }

    private func add(_ group: Int, to all: inout [Double]) {
        seal()
        guard group + 1 < starts.count else { return }
        sorted.add(starts[group]..<starts[group + 1], to: &all)
    }

    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue {
        guard case .literal(let literal) = call.arguments[1].node, let p = literal.asDouble, p >= 0, p <= 1 else {
            throw Fault(.invalid, "quantile(x, p) takes a constant p from 0 to 1")
        }
        if let known = prepared[group]?[p] { return .real(known) }
        var selection = selections[group] ?? QuantileSelection(all(group))
        defer { selections[group] = selection }
        return selection.select(p).map { .real($0) } ?? .null
    }

    /// Selects for several groups at once, in parallel.
    func prepare(
        _ chosen: [Int], _ shares: [Double],
        _ parallel: (Int, @escaping @Sendable (Int) throws(Fault) -> Void) throws(Fault) -> Void
    ) throws(Fault) {
        seal()
        guard chosen.count > 1, sorted.count > QuantileAccumulator.parallelMin else { return }
        let lists = chosen.map { all($0) }
        let found = Guarded<[Int: [Double: Double]]>([:])
        try parallel(chosen.count) { (number) throws(Fault) in
            var selection = QuantileSelection(lists[number])
            var results: [Double: Double] = [:]
            for share in shares.sorted() { results[share] = selection.select(share) }
            let ready = results
            found.withLock { $0[chosen[number]] = ready }
        }
        prepared = found.value
    }

    private static let parallelMin = 50_000

    private func all(_ group: Int) -> [Double] {
        var all: [Double] = []
        add(group, to: &all)
        for (part, groups) in others {
            if let there = groups[group] { part.add(Int(there), to: &all) }
        }
        return all
    }

    var byteCount: Int {
        // Sorting makes a second copy.
        numbers.byteCount * 2 + groups.count * 4 + sorted.byteCount
            + others.reduce(0) { $0 + $1.part.byteCount }
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

    /// The same numbers, number i at `next[groups[i]]`, which then moves on.
    func scattered(by groups: UnsafePointer<UInt32>, count: Int, next: inout [Int]) -> NumberList {
        var list = NumberList()
        list.isSmall = isSmall
        func scatter<T: BitwiseCopyable>(_ source: UnsafePointer<T>, _ target: UnsafeMutablePointer<T>) {
            next.withUnsafeMutableBufferPointer { next in
                for index in 0..<count {
                    let group = Int(groups[index])
                    target[next[group]] = source[index]
                    next[group] &+= 1
                }
            }
        }
        if isSmall {
            list.small.resize(to: count, filling: 0)
            scatter(small.base, list.small.base)
        } else {
            list.large.resize(to: count, filling: 0)
            scatter(large.base, list.large.base)
        }
        return list
    }

    func add(_ range: Range<Int>, to all: inout [Double]) {
        all.reserveCapacity(all.count + range.count)
        if isSmall {
            for index in range { all.append(Double(small.base[index])) }
        } else {
            all += UnsafeBufferPointer(start: large.base + range.lowerBound, count: range.count)
        }
    }
}

/// Linear interpolation between the two nearest ranks: rank p (n - 1), counted from 0. Numbers found before bound the
/// search for the next.
struct QuantileSelection {
    private var values: [Double]
    /// Places whose number is the one that sorting would put there; ascending. Numbers between two of them are too.
    private var placed: [Int] = []

    init(_ values: [Double]) { self.values = values }

    mutating func select(_ p: Double) -> Double? {
        if values.isEmpty { return nil }
        let position = p * Double(values.count - 1)
        let lower = Int(position.rounded(.down))
        let low = nth(lower)
        let fraction = position - Double(lower)
        if fraction == 0 || lower + 1 >= values.count { return low }
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
        let above = placed.firstIndex { $0 >= n } ?? placed.count
        if above < placed.count, placed[above] == n { return values[n] }
        let left = above > 0 ? placed[above - 1] + 1 : 0
        let right = above < placed.count ? placed[above] - 1 : values.count - 1
        placed.insert(n, at: above)
        return values.withUnsafeMutableBufferPointer { Selecting.nth($0, n, left, right) }
    }
}

/// `first(x)` and `last(x)`: the value of the row with the least or greatest place in time.
final class EndAccumulator: Accumulator {
    private let isLast: Bool
    private var values: [SQLValue] = []
    private var times: [SQLValue] = []
    private var sequences: [SQLValue] = []

    init(isLast: Bool) { self.isLast = isLast }

    func grow(to groups: Int) {
        guard groups > values.count else { return }
        let extra = groups - values.count
        values.append(contentsOf: repeatElement(.null, count: extra))
        times.append(contentsOf: repeatElement(.null, count: extra))
        sequences.append(contentsOf: repeatElement(.null, count: extra))
    }

    /// Arguments: x, its time, its sequence.
    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        for index in 0..<count {
            let value = arguments[0].value(index)
            let time = arguments[1].value(index)
            if value.isNull || time.isNull { continue }
            add(value, time, arguments[2].value(index), to: Int(groups[index]))
        }
    }

    private func add(_ value: SQLValue, _ time: SQLValue, _ sequence: SQLValue, to group: Int) {
        if !values[group].isNull {
            var order = SQLValue.order(time, times[group])
            if order == 0 { order = SQLValue.order(sequence, sequences[group]) }
            guard isLast ? order > 0 : order < 0 else { return }
        }
        values[group] = value
        times[group] = time
        sequences[group] = sequence
    }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        for group in other.values.indices where !other.values[group].isNull {
            add(other.values[group], other.times[group], other.sequences[group], to: Int(map[group]))
        }
    }

    func result(_ group: Int, _ call: AggregateCall) -> SQLValue { values[group] }
    var byteCount: Int { values.count * 144 }
}

extension SQLValue {
    /// The number as a double; `nil` of NULL and text.
    var asDouble: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .double(let number): number
        case .null, .text: nil
        }
    }
}
