// Aggregates that keep more than a few numbers a group: distinct values, first and last.

import EventStoreCore

/// Aggregates of distinct values: `count(DISTINCT x)` and the like.
final class DistinctAccumulator: Accumulator {
    private let interner = ValueInterner()
    /// Behind a pointer: a class's own stored values would be guarded at every access.
    private let seen = UnsafeMutablePointer<PairSet>.allocate(capacity: 1)
    /// Distinct values of each group.
    @exclusivity(unchecked) private var counts = GrowableBuffer<Int>()

    init() { seen.initialize(to: PairSet()) }

    deinit {
        seen.deinitialize(count: 1)
        seen.deallocate()
    }

    func grow(to groups: Int) { if groups > counts.count { counts.resize(to: groups, filling: 0) } }

    @inline(__always)
    private func insert(_ group: UInt32, _ code: UInt32) {
        if seen.pointee.insert(group, code) { counts.base[Int(group)] &+= 1 }
    }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let values = arguments.first else { return }
        switch values.form {
        case .codes(let codes, let dictionary):
            if let shared = dictionary.shared, interner.takes(shared) {
                for index in 0..<count where codes[index] != 0 {
                    insert(groups[index], interner.code(shared: shared.codes[Int(codes[index])]))
                }
                return
            }
            let table = UnsafeMutablePointer<UInt32>.allocate(capacity: dictionary.count + 1)
            defer { table.deallocate() }
            table.update(repeating: 0, count: dictionary.count + 1)
            for index in 0..<count where codes[index] != 0 {
                let code = Int(codes[index])
                if table[code] == 0 { table[code] = interned(dictionary, UInt32(code)) }
                insert(groups[index], table[code])
            }
        case .integers(let numbers):
            for index in 0..<count {
                if let nulls = values.nulls, nulls[index] != 0 { continue }
                insert(groups[index], interner.code(integer: numbers[index]))
            }
        case .doubles, .values, .constant:
            for index in 0..<count {
                let code = interner.code(values.value(index))
                if code != 0 { insert(groups[index], code) }
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
            insert(map[Int(group)], codes[Int(code)])
        }
    }

    /// Distinct values by group, made once when the first result is asked for.
    private lazy var lists: [[UInt32]] = {
        var lists = [[UInt32]](repeating: [], count: counts.count)
        seen.pointee.forEach { group, code in lists[Int(group)].append(code) }
        return lists
    }()

    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue {
        if call.kind == .count { return .integer(Int64(counts.base[group])) }
        let codes = lists[group]
        switch call.kind {
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

    var byteCount: Int { interner.byteCount + seen.pointee.byteCount + counts.byteCount }
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

    /// Whether it is new.
    @inline(__always)
    mutating func insert(_ first: UInt32, _ second: UInt32) -> Bool {
        let pair = UInt64(first) << 32 | UInt64(second)
        if pair == last { return false }
        last = pair
        var slot = Int(truncatingIfNeeded: Hash.mix(pair, 0x9e37_79b9_7f4a_7c15)) & mask
        while slots.base[slot] != 0 {
            if slots.base[slot] == pair { return false }
            slot = (slot &+ 1) & mask
        }
        slots.base[slot] = pair
        count += 1
        if count * 2 > mask { grow() }
        return true
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
