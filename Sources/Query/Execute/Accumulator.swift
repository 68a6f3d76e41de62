// Aggregates: one accumulator keeps the states of all groups of a worker.

import EventStoreCore

/// The states of one aggregate, by number of group. Belongs to one worker until workers are merged.
protocol Accumulator: AnyObject {
    /// Makes room for groups up to this count.
    func grow(to groups: Int)
    /// Adds rows: the group of each, and its argument values (none for `count(*)`).
    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) throws(Fault)
    /// Adds the states of another worker; `map` gives the group here of each group there.
    func merge(_ other: any Accumulator, _ map: [UInt32])
    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue
    /// Memory held, in bytes, roughly.
    var byteCount: Int { get }
}

extension Accumulator {
    /// The accumulator of the same aggregate in another worker.
    func same(_ other: any Accumulator) -> Self {
        guard let other = other as? Self else { preconditionFailure("workers have the same aggregates") }
        return other
    }
}

/// `count(*)` and `count(x)`.
final class CountAccumulator: Accumulator {
    private var counts = GrowableBuffer<Int>()

    func grow(to groups: Int) { if groups > counts.count { counts.resize(to: groups, filling: 0) } }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        let target = counts.base
        guard let values = arguments.first else { return countAll(groups, count) }
        switch values.form {
        case .constant(let value):
            if !value.isNull { countAll(groups, count) }
        case .integers, .doubles:
            if let nulls = values.nulls {
                for index in 0..<count { target[Int(groups[index])] &+= Int(1 &- nulls[index]) }
            } else {
                countAll(groups, count)
            }
        case .codes(let codes, let dictionary):
            // Entries of computed dictionaries are never NULL either: NULL has code 0 everywhere.
            _ = dictionary
            for index in 0..<count { target[Int(groups[index])] &+= codes[index] == 0 ? 0 : 1 }
        case .values(let list):
            for index in 0..<count where !list[index].isNull { target[Int(groups[index])] &+= 1 }
        }
    }

    /// Eight rows at a time where they are of one group: adding to one place again and again waits for itself.
    private func countAll(_ groups: UnsafePointer<UInt32>, _ count: Int) {
        let target = counts.base
        var index = 0
        while index &+ 8 <= count {
            if GroupRuns.areAll(groups + index, groups[index]) {
                target[Int(groups[index])] &+= 8
            } else {
                for offset in 0..<8 { target[Int(groups[index &+ offset])] &+= 1 }
            }
            index &+= 8
        }
        while index < count {
            target[Int(groups[index])] &+= 1
            index &+= 1
        }
    }

    func add(_ count: Int, to group: Int) { counts.base[group] += count }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        for group in 0..<other.counts.count { counts.base[Int(map[group])] += other.counts.base[group] }
    }

    func result(_ group: Int, _ call: AggregateCall) -> SQLValue { .integer(Int64(counts.base[group])) }
    var byteCount: Int { counts.byteCount }
}

/// `sum`, `total` and `avg` of one argument.
final class SumAccumulator: Accumulator {
    /// Integers add up exactly; doubles with Neumaier's compensation (Z. Angew. Math. Mech. 54, 1974).
    private struct State: BitwiseCopyable {
        var whole: Int128 = 0
        var sum = 0.0
        var compensation = 0.0
        var count = 0
        var reals = 0

        @inline(__always)
        mutating func add(_ value: Double) {
            let total = sum + value
            if total.isFinite {
                compensation += sum.magnitude >= value.magnitude ? (sum - total) + value : (value - total) + sum
            }
            sum = total
            count &+= 1
            reals &+= 1
        }

        mutating func add(_ value: SQLValue) {
            switch value.comparable {
            case .null: return
            case .integer(let number):
                whole += Int128(number)
                count += 1
            case .double(let number): add(number)
            case .text(let text):
                // No number as a whole: its numeric prefix, as a real.
                switch SQLValue.text(text).number {
                case .integer(let number): add(Double(number))
                case .double(let number): add(number)
                default: add(0)
                }
            }
        }

        var real: Double {
            let reals = sum.isFinite ? sum + compensation : sum
            return whole == 0 ? reals : reals + Double(whole)
        }
    }

    private var states = GrowableBuffer<State>()

    func grow(to groups: Int) { if groups > states.count { states.resize(to: groups, filling: State()) } }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let values = arguments.first else { return }
        let target = states.base
        switch values.form {
        case .integers(let numbers):
            for index in 0..<count {
                if let nulls = values.nulls, nulls[index] != 0 { continue }
                let group = Int(groups[index])
                target[group].whole &+= Int128(numbers[index])
                target[group].count &+= 1
            }
        case .doubles(let numbers):
            for index in 0..<count {
                if let nulls = values.nulls, nulls[index] != 0 { continue }
                target[Int(groups[index])].add(numbers[index])
            }
        case .codes(let codes, let dictionary):
            var known: [UInt32: SQLValue] = [:]
            for index in 0..<count where codes[index] != 0 {
                let code = codes[index]
                let value = known[code] ?? dictionary.value(code)
                known[code] = value
                target[Int(groups[index])].add(value)
            }
        case .constant(let value):
            for index in 0..<count { target[Int(groups[index])].add(value) }
        case .values(let list):
            for index in 0..<count { target[Int(groups[index])].add(list[index]) }
        }
    }

    func add(_ value: SQLValue, to group: Int) { states.base[group].add(value) }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        for group in 0..<other.states.count {
            let from = other.states.base[group]
            let place = Int(map[group])
            states.base[place].whole += from.whole
            states.base[place].count += from.count - from.reals
            if from.reals > 0 {
                states.base[place].add(from.sum)
                states.base[place].compensation += from.compensation
                states.base[place].count += from.reals - 1
                states.base[place].reals += from.reals - 1
            }
        }
    }

    func result(_ group: Int, _ call: AggregateCall) throws(Fault) -> SQLValue {
        let state = states.base[group]
        switch call.kind {
        case .total: return .double(state.real)
        case .average: return state.count == 0 ? .null : SumAccumulator.number(state.real / Double(state.count))
        default:
            if state.count == 0 { return .null }
            if state.reals > 0 { return SumAccumulator.number(state.real) }
            guard let whole = Int64(exactly: state.whole) else {
                throw Fault(.invalid, "integer overflow in sum(); total() gives a double")
            }
            return .integer(whole)
        }
    }

    /// SQL knows no NaN: infinities of both signs add up to NULL.
    private static func number(_ value: Double) -> SQLValue { value.isNaN ? .null : .double(value) }

    var byteCount: Int { states.byteCount }
}

/// `min` and `max`.
final class ExtremeAccumulator: Accumulator {
    private let isMaximum: Bool
    /// Integers are kept apart, so that the common case compares like with like.
    private var integers = GrowableBuffer<Int64>()
    private var hasInteger = GrowableBuffer<UInt8>()
    private var others: [SQLValue] = []

    init(isMaximum: Bool) { self.isMaximum = isMaximum }

    func grow(to groups: Int) {
        guard groups > others.count else { return }
        integers.resize(to: groups, filling: isMaximum ? .min : .max)
        hasInteger.resize(to: groups, filling: 0)
        others.append(contentsOf: repeatElement(.null, count: groups - others.count))
    }

    func update(_ groups: UnsafePointer<UInt32>, _ count: Int, _ arguments: [Dense]) {
        guard let values = arguments.first else { return }
        switch values.form {
        case .integers(let numbers):
            let target = integers.base
            let has = hasInteger.base
            for index in 0..<count {
                if let nulls = values.nulls, nulls[index] != 0 { continue }
                let group = Int(groups[index])
                target[group] = isMaximum ? max(target[group], numbers[index]) : min(target[group], numbers[index])
                has[group] = 1
            }
        case .codes(let codes, let dictionary):
            var known: [UInt32: SQLValue] = [:]
            var last = [UInt32](repeating: 0, count: others.count)
            for index in 0..<count where codes[index] != 0 {
                let group = Int(groups[index])
                let code = codes[index]
                if last[group] == code { continue }
                last[group] = code
                let value = known[code] ?? dictionary.value(code)
                known[code] = value
                add(value, to: group)
            }
        case .constant(let value):
            for index in 0..<count { add(value, to: Int(groups[index])) }
        case .doubles, .values:
            for index in 0..<count { add(values.value(index), to: Int(groups[index])) }
        }
    }

    func add(_ value: SQLValue, to group: Int) {
        if value.isNull { return }
        let best = others[group]
        if best.isNull {
            others[group] = value
            return
        }
        let order = SQLValue.order(value, best)
        if isMaximum ? order > 0 : order < 0 { others[group] = value }
    }

    func merge(_ other: any Accumulator, _ map: [UInt32]) {
        let other = same(other)
        for group in 0..<other.others.count {
            let place = Int(map[group])
            add(other.others[group], to: place)
            if other.hasInteger.base[group] != 0 {
                let number = other.integers.base[group]
                let known = integers.base[place]
                integers.base[place] = isMaximum ? max(known, number) : min(known, number)
                hasInteger.base[place] = 1
            }
        }
    }

    func result(_ group: Int, _ call: AggregateCall) -> SQLValue {
        if hasInteger.base[group] != 0 { add(.integer(integers.base[group]), to: group) }
        return others[group]
    }

    var byteCount: Int { others.count * 57 }
}
