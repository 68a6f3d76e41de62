// Random numbers that a printed seed replays: everything random in this suite comes from here.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A generator of its own for each purpose, so that one more draw in one does not change the other.
    init(seed: UInt64, purpose: UInt64) {
        state = seed &* 0x2545_f491_4f6c_dd1d &+ purpose &* 0x9e37_79b9_7f4a_7c15
        _ = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }

    /// True this often.
    mutating func percent(_ share: Int) -> Bool { below(100) < share }

    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }

    mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    /// 0 up to, not including, 1.
    mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }

    mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

    /// One of the choices, each as likely as its weight says.
    mutating func pick<T>(weighted choices: [(Int, T)]) -> T {
        var rest = below(choices.reduce(0) { $0 + $1.0 })
        for (weight, choice) in choices {
            if rest < weight { return choice }
            rest -= weight
        }
        return choices[0].1
    }

    mutating func shuffle<T>(_ items: inout [T]) {
        for index in stride(from: items.count - 1, to: 0, by: -1) { items.swapAt(index, below(index + 1)) }
    }
}
