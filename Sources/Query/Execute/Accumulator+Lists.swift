// Aggregates that keep more than a few numbers a group: distinct values, quantiles, first and last.

import EventStoreCore

/// Aggregates of distinct values: `count(DISTINCT x)` and the like.
final class DistinctAccumulator: Accumulator {
    private let interner = ValueInterner()
    private var seen = PairSet()
    private var groupCount = 0

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
                seen.insert(groups[index], table[code])
            }
        case .integers(let numbers):
            for index in 0..<count {
                if let nulls = values.nulls, nulls[index] != 0 { continue }
                seen.insert(groups[index], interner.code(integer: numbers[index]))
            }
        case .doubles, .values, .constant:
            for index in 0..<count {
                let code = interner.code(values.value(index))
                if code != 0 { seen.insert(groups[index], code) }
            }
        }
    }

    private func interned(_ dictionary: VectorDictionary, _ code: UInt32) -> UInt32 {
        dictionary.isText ? interner.code(text: dictionary.bytes(code)) : interner.code(dictionary.value(code))
    }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        var codes = [UInt32](repeating: 0, count: other.interner.count + 1)
        other.seen.forEach { group, code in
            if codes[Int(code)] == 0 { codes[Int(code)] = interner.code(other.interner, code) }
            seen.insert(map[Int(group)], codes[Int(code)])
        }
    }

    /// Distinct values by group, made once when the first result is asked for.
    private lazy var lists: [[UInt32]] = {
        var lists = [[UInt32]](repeating: [], count: groupCount)
        seen.forEach { group, code in lists[Int(group)].append(code) }
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

    var byteCount: Int { interner.byteCount + seen.byteCount }
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
    /// Once sorted by group: where each begins.
    private var starts: [Int]?
    private var sorted = GrowableBuffer<Double>()

    func grow(to groups: Int) { groupCount = max(groupCount, groups) }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let numbers = arguments.first else { return }
        values.reserve(count)
        self.groups.reserve(count)
        for index in 0..<count {
            let value: Double
            if numbers.isNull(index) { continue }
            switch numbers.form {
            case .integers(let list): value = Double(list[index])
            case .doubles(let list): value = list[index]
            default:
                switch numbers.value(index) {
                case .integer(let number): value = Double(number)
                case .double(let number): value = number
                case .null, .text: continue
                }
            }
            values.append(value)
            self.groups.append(groups[index])
        }
    }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        values.append(from: UnsafePointer(other.values.base), count: other.values.count)
        groups.reserve(other.groups.count)
        for index in 0..<other.groups.count { groups.append(map[Int(other.groups.base[index])]) }
    }

    /// Brings the numbers of each group together, by counting.
    private func arrange() -> [Int] {
        if let starts { return starts }
        var starts = [Int](repeating: 0, count: groupCount + 1)
        for index in 0..<groups.count { starts[Int(groups.base[index]) + 1] += 1 }
        for group in 0..<groupCount { starts[group + 1] += starts[group] }
        var next = starts
        sorted.resize(to: values.count, filling: 0)
        for index in 0..<groups.count {
            let group = Int(groups.base[index])
            sorted.base[next[group]] = values.base[index]
            next[group] += 1
        }
        self.starts = starts
        return starts
    }

    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue {
        guard case .literal(let literal) = call.arguments[1].node, let p = literal.asDouble, p >= 0, p <= 1 else {
            throw Fault(.invalid, "quantile(x, p) takes a constant p from 0 to 1")
        }
        let starts = arrange()
        guard group < groupCount, starts[group] < starts[group + 1] else { return .null }
        let list = UnsafeMutableBufferPointer(
            start: sorted.base + starts[group], count: starts[group + 1] - starts[group])
        return .double(QuantileSelection.select(list, p))
    }

    var byteCount: Int { values.byteCount * 2 + groups.byteCount }
}

/// Linear interpolation between the two nearest ranks: rank p (n - 1), counted from 0.
enum QuantileSelection {
    static func select(_ values: UnsafeMutableBufferPointer<Double>, _ p: Double) -> Double {
        let position = p * Double(values.count - 1)
        let lower = Int(position.rounded(.down))
        let low = nth(values, lower)
        let fraction = position - Double(lower)
        if fraction == 0 || lower + 1 >= values.count { return low }
        // After the selection everything behind the n-th is no less than it.
        var high = Double.infinity
        for index in (lower + 1)..<values.count { high = min(high, values[index]) }
        return low + (high - low) * fraction
    }

    /// Hoare's selection (Algorithm 65, 1961) with a median of three; the n-th ends up in its place.
    private static func nth(_ values: UnsafeMutableBufferPointer<Double>, _ n: Int) -> Double {
        var left = 0
        var right = values.count - 1
        var rounds = 0
        while left < right {
            rounds += 1
            if rounds > 200 {
                // Input that defeats the pivots.
                var all = values
                all.sort()
                return values[n]
            }
            let pivot = median(values[left], values[(left + right) / 2], values[right])
            var i = left
            var j = right
            while i <= j {
                while values[i] < pivot { i += 1 }
                while values[j] > pivot { j -= 1 }
                if i <= j {
                    values.swapAt(i, j)
                    i += 1
                    j -= 1
                }
            }
            if n <= j {
                right = j
            } else if n >= i {
                left = i
            } else {
                return values[n]
            }
        }
        return values[n]
    }

    private static func median(_ a: Double, _ b: Double, _ c: Double) -> Double {
        max(min(a, b), min(max(a, b), c))
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
