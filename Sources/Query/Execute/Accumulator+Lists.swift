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
    private var values = GrowableBuffer<Double>()
    private var groupCount = 0
    /// Of workers merged into this one: their numbers, and their group of each group here.
    private var others: [(part: QuantileAccumulator, group: [Int: UInt32])] = []
    /// Once brought together by group: where each begins.
    private var starts: [Int] = []
    private var sorted = GrowableBuffer<Double>()
    /// The numbers of a group that was asked for, partly in order.
    private var selections: [Int: QuantileSelection] = [:]
    /// Quantiles of groups, by share, found ahead.
    private var prepared: [Int: [Double: Double]] = [:]

    func grow(to groups: Int) { groupCount = max(groupCount, groups) }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let numbers = arguments.first else { return }
        let start = values.count
        values.reserve(count)
        self.groups.reserve(count)
        let target = values.base
        let targetGroups = self.groups.base
        var place = start
        for index in 0..<count {
            if numbers.isNull(index) { continue }
            switch numbers.form {
            case .integers(let list): target[place] = Double(list[index])
            case .doubles(let list): target[place] = list[index]
            default:
                guard let number = numbers.value(index).asDouble else { continue }
                target[place] = number
            }
            targetGroups[place] = groups[index]
            place &+= 1
        }
        values.truncate(to: place)
        self.groups.truncate(to: place)
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
        let count = values.count
        var starts = [Int](repeating: 0, count: groupCount + 1)
        var next = [Int](repeating: 0, count: groupCount)
        let numbers = values.base
        let groups = groups.base
        sorted.resize(to: count, filling: 0)
        let target = sorted.base
        for index in 0..<count { starts[Int(groups[index]) + 1] += 1 }
        for group in 0..<groupCount {
            starts[group + 1] += starts[group]
            next[group] = starts[group]
        }
        next.withUnsafeMutableBufferPointer { next in
            for index in 0..<count {
                let group = Int(groups[index])
                target[next[group]] = numbers[index]
                next[group] &+= 1
            }
        }
        self.starts = starts
    }

    private func numbers(_ group: Int) -> UnsafeBufferPointer<Double> {
        seal()
        guard group + 1 < starts.count else { return UnsafeBufferPointer(start: nil, count: 0) }
        return UnsafeBufferPointer(start: sorted.base + starts[group], count: starts[group + 1] - starts[group])
    }

    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue {
        guard case .literal(let literal) = call.arguments[1].node, let p = literal.asDouble, p >= 0, p <= 1 else {
            throw Fault(.invalid, "quantile(x, p) takes a constant p from 0 to 1")
        }
        if let known = prepared[group]?[p] { return .double(known) }
        var selection = selections[group] ?? QuantileSelection(all(group))
        defer { selections[group] = selection }
        return selection.select(p).map { .double($0) } ?? .null
    }

    /// Selects for several groups at once, in parallel.
    func prepare(
        _ chosen: [Int], _ shares: [Double],
        _ parallel: (Int, @escaping @Sendable (Int) throws(Fault) -> Void) throws(Fault) -> Void
    ) throws(Fault) {
        guard chosen.count > 1, values.count > QuantileAccumulator.parallelMin else { return }
        let lists = chosen.map { all($0) }
        let found = Guardedly<[Int: [Double: Double]]>([:])
        try parallel(chosen.count) { (number) throws(Fault) in
            var selection = QuantileSelection(lists[number])
            var results: [Double: Double] = [:]
            for share in shares.sorted() { results[share] = selection.select(share) }
            let ready = results
            found.change { $0[chosen[number]] = ready }
        }
        prepared = found.value
    }

    private static let parallelMin = 50_000

    private func all(_ group: Int) -> [Double] {
        var all = Array(numbers(group))
        for (part, groups) in others {
            if let there = groups[group] { all += part.numbers(Int(there)) }
        }
        return all
    }

    var byteCount: Int { values.byteCount * 2 + groups.byteCount }
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
        return low + (nth(lower + 1) - low) * fraction
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
