// The double nearest to w × 10^q, by the algorithm of Eisel and Lemire (D. Lemire, "Number parsing at a gigabyte
// per second", Software: Practice and Experience 51(8), 2021), with the proof of N. Mushtak and D. Lemire ("Fast
// number parsing without fallback", 2023) that 128 bits of the power of five always suffice.

import EventStoreCore

enum DecimalToDouble {
    private static let exponentMin = -342
    private static let exponentMax = 308

    /// The bits of the nearest double, ties to even; those of infinity beyond the range, of 0 below it.
    static func bits(_ w: UInt64, exponent q: Int) -> UInt64 {
        if w == 0 || q < exponentMin { return 0 }
        if q > exponentMax { return infinity }
        let zeros = w.leadingZeroBitCount
        let (low, high) = product(w << UInt64(zeros), q)
        let upperBit = Int(high >> 63)
        let shift = UInt64(upperBit + 64 - 52 - 3)
        var mantissa = high >> shift
        // The binary exponent of 10^q is that of 5^q and q: 217706 / 2^16 is log2(10) closely enough.
        var exponent = (217_706 &* q) >> 16 + 63 + upperBit - zeros + 1023
        if exponent <= 0 { return subnormal(mantissa, exponent) }
        // A tie, which only small powers of five can make, goes to the even neighbour.
        if low <= 1, q >= -4, q <= 23, mantissa & 3 == 1, mantissa << shift == high { mantissa &= ~1 }
        mantissa = (mantissa + (mantissa & 1)) >> 1
        if mantissa >= 2 << 52 {
            mantissa = 1 << 52
            exponent += 1
        }
        if exponent >= 0x7ff { return infinity }
        return UInt64(exponent) << 52 | mantissa & ~(1 << 52)
    }

    private static let infinity: UInt64 = 0x7ff << 52

    private static func subnormal(_ wide: UInt64, _ exponent: Int) -> UInt64 {
        if 1 - exponent >= 64 { return 0 }
        var mantissa = wide >> UInt64(1 - exponent)
        mantissa = (mantissa + (mantissa & 1)) >> 1
        // Rounding up may have reached the least normal number, whose bits are then right as they are.
        return mantissa
    }

    /// The upper 128 bits, nearly, of w × 5^q, whose highest bit or the one below is set.
    private static func product(_ w: UInt64, _ q: Int) -> (low: UInt64, high: UInt64) {
        let index = 2 * (q - exponentMin)
        let first = w.multipliedFullWidth(by: powers[index])
        var (low, high) = (first.low, first.high)
        if high & 0x1ff == 0x1ff {
            let second = w.multipliedFullWidth(by: powers[index + 1])
            let (sum, carry) = low.addingReportingOverflow(second.high)
            low = sum
            if carry { high += 1 }
        }
        return (low, high)
    }

    // MARK: Powers of five

    /// For each q the highest 128 bits of 5^q, the upper half first, its highest bit set; rounded down, but for
    /// q from −27 to −1 rounded up.
    private static let powers: [UInt64] = {
        var result = [UInt64](repeating: 0, count: 2 * (exponentMax - exponentMin + 1))
        func set(_ q: Int, _ value: (high: UInt64, low: UInt64)) {
            result[2 * (q - exponentMin)] = value.high
            result[2 * (q - exponentMin) + 1] = value.low
        }
        // Limbs of 32 bits, the lowest first. 5^308 has 716 bits.
        var power = [UInt32](repeating: 0, count: 24)
        power[0] = 1
        set(0, top(power))
        for q in 1...exponentMax {
            var carry: UInt64 = 0
            for index in power.indices {
                let limb = UInt64(power[index]) * 5 + carry
                power[index] = UInt32(truncatingIfNeeded: limb)
                carry = limb >> 32
            }
            set(q, top(power))
        }
        // 2^1055 divided by five again and again: 260 bits are left at the end.
        var quotient = [UInt32](repeating: 0, count: 33)
        quotient[32] = 1 << 31
        for q in 1 ... -exponentMin {
            var rest: UInt64 = 0
            for index in quotient.indices.reversed() {
                let limb = rest << 32 | UInt64(quotient[index])
                quotient[index] = UInt32(limb / 5)
                rest = limb % 5
            }
            var value = top(quotient)
            if q <= 27 {
                value.low &+= 1
                if value.low == 0 { value.high += 1 }
            }
            set(-q, value)
        }
        return result
    }()

    /// The highest 128 bits of a number from its highest set bit on.
    private static func top(_ limbs: [UInt32]) -> (high: UInt64, low: UInt64) {
        let first = limbs.lastIndex { $0 != 0 } ?? 0
        func limb(_ back: Int) -> UInt64 { first - back >= 0 ? UInt64(limbs[first - back]) : 0 }
        let high = limb(0) << 32 | limb(1)
        let middle = limb(2) << 32 | limb(3)
        let zeros = UInt64(high.leadingZeroBitCount)
        let shiftedIn = zeros == 0 ? 0 : middle >> (64 - zeros)
        let rest = zeros == 0 ? 0 : (limb(4) << 32) >> (64 - zeros)
        return (high << zeros | shiftedIn, middle << zeros | rest)
    }
}
