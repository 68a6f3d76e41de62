// Distinct values and the most frequent of them, in bounded memory.
//
// Up to a bound every value is counted. Beyond it the number of distinct values is estimated with HyperLogLog
// (Flajolet, Fusy, Gandouet, Meunier 2007; the estimator of O. Ertl 2017), and the less frequent half of the counted values is dropped whenever
// the table is full, so that counts become lower bounds (after lossy counting: Manku, Motwani 2002).

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

struct ValueTally {
    static let valuesMax = 10_000

    private struct Entry {
        var hash: UInt64
        var count: Int
        var sample: AttributeValue
    }

    private var entries: [Entry] = []
    /// Position + 1 of an entry, or 0; a power of two, at most half full.
    private var slots = [UInt32](repeating: 0, count: 16)
    /// Empty as long as every value is counted.
    private var registers: [UInt8] = []
    /// Distinct values there were for certain when the table was full.
    private var certain = 0

    /// A standard error of 1.6 percent.
    private static let registerBits = 12
    private static let registerCount = 1 << registerBits

    /// Values counted: what the table costs memory for.
    var trackedCount: Int { entries.count }
    var isExact: Bool { registers.isEmpty }

    /// Distinct values, exact or estimated.
    var distinct: Int { isExact ? entries.count : max(estimate, certain) }

    /// Counts a value by its hash; `sample` is asked for when it is new.
    mutating func add(_ hash: UInt64, count: Int = 1, cap: Int = valuesMax, sample: () -> AttributeValue) {
        if !registers.isEmpty { sketch(hash) }
        let slot = slot(of: hash)
        if slots[slot] != 0 {
            entries[Int(slots[slot]) - 1].count += count
            return
        }
        if entries.count >= cap {
            makeRoom(cap)
            sketch(hash)
            insert(Entry(hash: hash, count: count, sample: sample()), at: self.slot(of: hash))
        } else {
            insert(Entry(hash: hash, count: count, sample: sample()), at: slot)
        }
    }

    mutating func merge(_ other: ValueTally, cap: Int) {
        if !other.isExact {
            startSketch()
            certain = max(certain, other.certain)
            for index in registers.indices { registers[index] = max(registers[index], other.registers[index]) }
        }
        for entry in other.entries { add(entry.hash, count: entry.count, cap: cap) { entry.sample } }
    }

    /// The most frequent values; ties in order of their text.
    func top(_ limit: Int) -> [AttributeSchema.ValueCount] {
        let sorted = entries.sorted {
            $0.count != $1.count ? $0.count > $1.count : ValueTally.precedes($0.sample, $1.sample)
        }
        return sorted.prefix(limit).map { AttributeSchema.ValueCount(value: $0.sample, count: $0.count) }
    }

    private static func precedes(_ a: AttributeValue, _ b: AttributeValue) -> Bool {
        switch (a, b) {
        case (.integer(let a), .integer(let b)): a < b
        case (.double(let a), .double(let b)): a < b
        case (.string(let a), .string(let b)), (.json(let a), .json(let b)): a < b
        default: "\(a)" < "\(b)"
        }
    }

    // MARK: Table

    private func slot(of hash: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0, entries[Int(slots[slot]) - 1].hash != hash { slot = (slot + 1) & mask }
        return slot
    }

    private mutating func insert(_ entry: Entry, at slot: Int) {
        entries.append(entry)
        slots[slot] = UInt32(entries.count)
        if entries.count * 2 > slots.count { rebuild(size: slots.count * 2) }
    }

    private mutating func rebuild(size: Int) {
        slots = [UInt32](repeating: 0, count: size)
        for (index, entry) in entries.enumerated() { slots[slot(of: entry.hash)] = UInt32(index + 1) }
    }

    /// Keeps the more frequent half.
    private mutating func makeRoom(_ cap: Int) {
        startSketch()
        certain = max(certain, entries.count + 1)
        entries.sort { $0.count > $1.count }
        entries.removeLast(entries.count - cap / 2)
        rebuild(size: slots.count)
    }

    // MARK: Sketch

    private mutating func startSketch() {
        guard registers.isEmpty else { return }
        registers = [UInt8](repeating: 0, count: ValueTally.registerCount)
        for entry in entries { sketch(entry.hash) }
    }

    private static let rankMax = 64 - registerBits + 1

    private mutating func sketch(_ hash: UInt64) {
        let index = Int(truncatingIfNeeded: hash >> UInt64(64 - ValueTally.registerBits))
        let rest = hash << UInt64(ValueTally.registerBits) | 1 << UInt64(ValueTally.registerBits - 1)
        registers[index] = max(registers[index], UInt8(rest.leadingZeroBitCount + 1))
    }

    /// "New cardinality estimation algorithms for HyperLogLog sketches", algorithm 6: no bias at either end.
    private var estimate: Int {
        let count = Double(ValueTally.registerCount)
        var ranks = [Double](repeating: 0, count: ValueTally.rankMax + 1)
        for register in registers { ranks[Int(register)] += 1 }
        var sum = count * ValueTally.tau(1 - ranks[ValueTally.rankMax] / count)
        for rank in stride(from: ValueTally.rankMax - 1, through: 1, by: -1) { sum = (sum + ranks[rank]) / 2 }
        sum += count * ValueTally.sigma(ranks[0] / count)
        return Int((count * count / (2 * log(2.0) * sum)).rounded())
    }

    private static func sigma(_ share: Double) -> Double {
        guard share < 1 else { return .infinity }
        var (x, y, z) = (share, 1.0, share)
        while true {
            x *= x
            let before = z
            z += x * y
            y += y
            if z == before { return z }
        }
    }

    private static func tau(_ share: Double) -> Double {
        guard share > 0, share < 1 else { return 0 }
        var (x, y, z) = (share, 1.0, 1 - share)
        while true {
            x = x.squareRoot()
            let before = z
            y /= 2
            z -= (1 - x) * (1 - x) * y
            if z == before { return z / 3 }
        }
    }
}
