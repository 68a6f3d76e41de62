// Numbers from text, without locale: integers eight digits at a time, doubles correctly rounded.
//
// Doubles take the exact path of Clinger (W. D. Clinger, "How to read floating point numbers accurately",
// 1990) when mantissa and power of ten are both exact, that of Eisel and Lemire otherwise (DecimalToDouble), and
// the library's conversion for the few texts of more than 19 digits whose last digits matter.

import EventStoreCore

enum NumberText {
    enum Outcome: Equatable {
        case integer(Int64)
        case double(Double)
        case integerRange
        case doubleRange
        case malformed
    }

    /// How many of the 8 bytes at `word` (first byte lowest) are digits before the first that is none, and
    /// the number they make.
    @inline(__always)
    static func digits(_ word: UInt64) -> (count: Int, value: UInt64) {
        let flipped = word ^ 0x3030_3030_3030_3030
        let others = ((flipped &+ 0x7676_7676_7676_7676) | flipped) & 0x8080_8080_8080_8080
        let count = others.trailingZeroBitCount >> 3
        // A shift by 64 gives 0 here, as it must for no digits at all.
        let aligned = flipped << (64 - UInt64(count) * 8)
        let pairs = (aligned &* 10) &+ (aligned >> 8)
        let low = (pairs & 0x0000_00ff_0000_00ff) &* 0x000f_4240_0000_0064
        let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff) &* 0x0000_2710_0000_0001
        return (count, (low &+ high) >> 32)
    }

    /// 10 to the power of 0 … 8.
    @inline(__always)
    static func powerOfTen(_ exponent: Int) -> UInt64 {
        var power: UInt64 = 1
        for _ in 0..<exponent { power = power &* 10 }
        return power
    }

    /// Reads a JSON number (RFC 8259, section 6) that starts at `start` with a digit or a minus. At least
    /// `TextScan.padding` bytes behind its end can be read. Returns where it ends.
    static func parse(_ start: BytePointer, _ outcome: inout Outcome) -> BytePointer {
        var position = start
        let negative = position[0] == 0x2d
        if negative { position += 1 }
        let digitsStart = position
        var mantissa: UInt64 = 0
        var digitCount = 0
        position = readDigits(position, &mantissa, &digitCount)
        guard position > digitsStart, position == digitsStart + 1 || digitsStart[0] != 0x30 else {
            outcome = .malformed
            return position
        }
        let next = position[0]
        if next != 0x2e, next | 0x20 != 0x65 {
            outcome = integer(mantissa, digitCount: digitCount, negative: negative)
            return position
        }
        return parseFraction(start, position, mantissa, digitCount, negative, &outcome)
    }

    /// Whether the text is how this double is written: no zeros that could be left out, digits that all count.
    static func isCanonical(_ start: BytePointer, _ length: Int, _ value: Double) -> Bool {
        let text = UnsafeBufferPointer(start: start, count: length)
        return value.description.utf8.elementsEqual(text)
    }

    private static func integer(_ magnitude: UInt64, digitCount: Int, negative: Bool) -> Outcome {
        if digitCount > 19 { return .integerRange }
        // 19 digits fit a UInt64.
        if negative { return magnitude <= 1 << 63 ? .integer(0 &- Int64(bitPattern: magnitude)) : .integerRange }
        return magnitude < 1 << 63 ? .integer(Int64(bitPattern: magnitude)) : .integerRange
    }

    /// Reads digits into `value`; `significant` counts those from the first that is not zero. What comes
    /// after the 19th significant digit is counted but not added.
    private static func readDigits(
        _ start: BytePointer, _ value: inout UInt64, _ significant: inout Int
    ) -> BytePointer {
        var position = start
        while position[0] &- 0x30 < 10 {
            if significant > 0 || position[0] != 0x30 {
                if significant < 19 { value = value &* 10 &+ UInt64(position[0] &- 0x30) }
                significant &+= 1
            }
            position += 1
        }
        return position
    }

    private static func parseFraction(
        _ start: BytePointer, _ integerEnd: BytePointer, _ integerMantissa: UInt64, _ integerDigits: Int,
        _ negative: Bool, _ outcome: inout Outcome
    ) -> BytePointer {
        var position = integerEnd
        var mantissa = integerMantissa
        var significant = integerDigits
        var exponent = 0
        if position[0] == 0x2e {
            position += 1
            let fractionStart = position
            position = readDigits(position, &mantissa, &significant)
            if position == fractionStart {
                outcome = .malformed
                return position
            }
            exponent = -(position - fractionStart)
        }
        // Digits that were counted but not added shift the exponent.
        exponent += max(0, significant - 19)
        if position[0] | 0x20 == 0x65 {
            position += 1
            let minus = position[0] == 0x2d
            if minus || position[0] == 0x2b { position += 1 }
            let exponentStart = position
            var value = 0
            while position[0] &- 0x30 < 10 {
                if value < 100_000 { value = value * 10 + Int(position[0] &- 0x30) }
                position += 1
            }
            if position == exponentStart {
                outcome = .malformed
                return position
            }
            exponent += minus ? -value : value
        }
        let number = double(start, position, mantissa, exponent, exact: significant <= 19, negative)
        outcome = number.map { .double($0) } ?? .doubleRange
        return position
    }

    /// mantissa × 10^exponent; `nil` beyond the largest finite double.
    private static func double(
        _ start: BytePointer, _ end: BytePointer, _ mantissa: UInt64, _ exponent: Int, exact: Bool, _ negative: Bool
    ) -> Double? {
        if mantissa == 0 { return negative ? -0.0 : 0.0 }
        if exact, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
            let magnitude = Double(mantissa)
            let power = exactPowers[abs(exponent)]
            let value = exponent < 0 ? magnitude / power : magnitude * power
            return negative ? -value : value
        }
        var bits = DecimalToDouble.bits(mantissa, exponent: exponent)
        // Of more than 19 digits the rest lies between this mantissa and the next: where that matters, the
        // library decides.
        if !exact, bits != DecimalToDouble.bits(mantissa + 1, exponent: exponent) {
            let text = String(decoding: UnsafeBufferPointer(start: start, count: end - start), as: UTF8.self)
            guard let value = Double(text) else { return nil }
            bits = value.magnitude.bitPattern
        }
        let value = Double(bitPattern: bits)
        guard value.isFinite else { return nil }
        return negative ? -value : value
    }

    private static let exactPowers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]
}
