// Doubles as text, as SQLite 3.40 prints them: `%!.15g` for values, `%.nf` for `round`.
//
// SQLite takes digits off an 80-bit number from the front, so its last digit can differ from the correctly rounded
// one. Where there is such a type the same steps are taken; elsewhere the C library prints.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum DoubleText {
    /// With at most 15 significant digits, always with a point or an exponent: `1.0`, `1.0e+100`, `-Inf`.
    static func general(_ value: Double) -> String {
        if value == 0 { return "0.0" }
        if value.isInfinite { return value < 0 ? "-Inf" : "Inf" }
        if let short = shortInteger(value) { return short }
        #if arch(x86_64) && !os(Windows) && !os(Android)
            var digits = ExtendedDigits(value, digitsAfterFirst: 14)
            return layout(negative: value < 0, exponent: digits.exponent) { _ in digits.next() }
        #else
            return portableGeneral(value)
        #endif
    }

    /// Whole numbers of up to 14 digits, the most common of doubles.
    private static func shortInteger(_ value: Double) -> String? {
        guard value.magnitude < 1e14, value.rounded(.towardZero) == value else { return nil }
        return String(Int64(value)) + ".0"
    }

    /// The same by the C library: correctly rounded.
    static func portableGeneral(_ value: Double) -> String {
        let text = formatted("%.14e", value.magnitude)
        guard let mark = text.lastIndex(of: 0x65),
            let exponent = Int(String(decoding: text[(mark + 1)...], as: UTF8.self))
        else { return String(value) }
        let digits = text[..<mark].filter { $0 != 0x2e }
        return layout(negative: value < 0, exponent: exponent) { digits[$0] }
    }

    /// Digits laid out as `%!.15g` does: trailing zeros dropped but for one after the point.
    private static func layout(negative: Bool, exponent: Int, digit: (Int) -> UInt8) -> String {
        var bytes: [UInt8] = negative ? [0x2d] : []
        let isScientific = exponent < -4 || exponent > 14
        var taken = 0
        func next() -> UInt8 {
            defer { taken += 1 }
            return digit(taken)
        }
        let whole = isScientific ? 0 : exponent
        let decimals = isScientific ? 14 : 14 - exponent
        if whole < 0 { bytes.append(0x30) } else { for _ in 0...whole { bytes.append(next()) } }
        bytes.append(0x2e)
        let zeros = max(0, -whole - 1)
        for _ in 0..<zeros { bytes.append(0x30) }
        for _ in 0..<max(0, decimals - zeros) { bytes.append(next()) }
        while bytes.last == 0x30 { bytes.removeLast() }
        if bytes.last == 0x2e { bytes.append(0x30) }
        if isScientific {
            let power = abs(exponent)
            bytes += [0x65, exponent < 0 ? 0x2d : 0x2b]
            bytes += (power < 10 ? "0" : "").utf8
            bytes += String(power).utf8
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Rounded to so many decimals by way of text; |value| ≤ 2^52.
    static func rounded(_ value: Double, decimals: Int) -> Double {
        #if arch(x86_64) && !os(Windows) && !os(Android)
            let bytes = fixed(value, decimals: decimals)
        #else
            let bytes = formatted("%.\(decimals)f", value)
        #endif
        return bytes.withUnsafeBytes { RealPrefix($0).value }
    }

    #if arch(x86_64) && !os(Windows) && !os(Android)
        private static func fixed(_ value: Double, decimals: Int) -> [UInt8] {
            var bytes: [UInt8] = value < 0 ? [0x2d] : []
            var digits = ExtendedDigits(value, decimals: decimals)
            var place = digits.exponent
            if place < 0 { bytes.append(0x30) }
            while place >= 0 {
                bytes.append(digits.next())
                place -= 1
            }
            bytes.append(0x2e)
            var left = decimals
            place += 1
            while place < 0, left > 0 {
                bytes.append(0x30)
                place += 1
                left -= 1
            }
            for _ in 0..<left { bytes.append(digits.next()) }
            return bytes
        }
    #endif

    private static func formatted(_ format: String, _ value: Double) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 400)
        let count = withVaList([value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return buffer.prefix(Int(max(0, count))).map { UInt8(bitPattern: $0) }
    }
}

#if arch(x86_64) && !os(Windows) && !os(Android)
    /// The decimal digits of a finite double from the front, after SQLite's rounding.
    private struct ExtendedDigits {
        private var value: Extended
        private(set) var exponent = 0
        private var left: Int

        /// For so many digits behind the first.
        init(_ number: Double, digitsAfterFirst: Int) {
            value = Extended(number.magnitude)
            left = 26
            normalize()
            value += Extended(Self.half(digitsAfterFirst))
            if value >= 10 {
                value *= Extended(0.1 as Double)
                exponent += 1
            }
        }

        /// For so many digits behind the point. SQLite leans a little upwards while the double's 15 digits allow it.
        init(_ number: Double, decimals: Int) {
            value = Extended(number.magnitude)
            left = 16
            var rounder = Self.half(decimals)
            let binary = Int(number.bitPattern >> 52 & 0x7ff) - 1023
            if decimals + binary / 3 < 15 { rounder = Double(Extended(rounder) + value * Extended(3e-16 as Double)) }
            value += Extended(rounder)
            normalize()
        }

        /// Half a unit of a decimal place.
        private static func half(_ place: Int) -> Double {
            let units = [5.0e-01, 5.0e-02, 5.0e-03, 5.0e-04, 5.0e-05, 5.0e-06, 5.0e-07, 5.0e-08, 5.0e-09, 5.0e-10]
            var result = units[place % 10]
            for _ in 0..<place / 10 { result *= 1.0e-10 }
            return result
        }

        /// Scales to one digit before the point.
        private mutating func normalize() {
            guard value > 0 else { return }
            var scale: Extended = 1
            while value >= Extended(1e100 as Double) * scale {
                scale *= Extended(1e100 as Double)
                exponent += 100
            }
            while value >= Extended(1e10 as Double) * scale {
                scale *= Extended(1e10 as Double)
                exponent += 10
            }
            while value >= 10 * scale {
                scale *= 10
                exponent += 1
            }
            value /= scale
            while value < Extended(1e-8 as Double) {
                value *= Extended(1e8 as Double)
                exponent -= 8
            }
            while value < 1 {
                value *= 10
                exponent -= 1
            }
        }

        mutating func next() -> UInt8 {
            guard left > 0 else { return 0x30 }
            left -= 1
            let digit = Int(value)
            value = (value - Extended(digit)) * 10
            return UInt8(truncatingIfNeeded: 0x30 + digit)
        }
    }
#endif
