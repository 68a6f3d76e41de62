// Numbers at the beginning of text, read as SQLite 3.40 reads them: its rules, its limits and its rounding.

import EventStoreCore

#if arch(x86_64) && !os(Windows) && !os(Android)
    /// What C's `long double` is here: SQLite scales in it, and its last bit shows in results.
    typealias Extended = Float80
#else
    /// No type of 80 bits: SQLite itself scales in what the platform has.
    typealias Extended = Double
#endif

/// A real number read from the beginning of text.
struct RealPrefix {
    enum Extent {
        /// Digits alone, over all of the text but spaces.
        case integer
        /// A point or an exponent too, over all of the text but spaces.
        case real
        /// A real number with other text behind it.
        case realPrefix
        /// Digits with other text behind them, or no number.
        case other
    }

    var value: Double
    var extent: Extent

    var isWhole: Bool { extent == .integer || extent == .real }

    init(_ bytes: UnsafeRawBufferPointer) {
        var scan = DecimalScan(bytes)
        scan.run()
        value = scan.value
        extent = scan.extent
    }
}

/// A whole number read from the beginning of text.
struct IntegerPrefix {
    enum Extent {
        /// Over all of the text but spaces.
        case whole
        /// With other text behind it.
        case prefix
        /// Beyond 64 bits; the value is the nearest that fits.
        case overflow
        case none
    }

    var value: Int64 = 0
    var extent = Extent.none

    init(_ bytes: UnsafeRawBufferPointer) {
        var position = bytes.firstIndex { !isSQLSpace($0) } ?? bytes.count
        var isNegative = false
        if position < bytes.count, bytes[position] == 0x2d || bytes[position] == 0x2b {
            isNegative = bytes[position] == 0x2d
            position += 1
        }
        let start = position
        var magnitude: UInt64 = 0
        var overflows = false
        while position < bytes.count, bytes[position] &- 0x30 < 10 {
            let (product, first) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, second) = product.addingReportingOverflow(UInt64(bytes[position] &- 0x30))
            overflows = overflows || first || second
            magnitude = sum
            position += 1
        }
        guard position > start else { return }
        let limit = UInt64(Int64.max) + (isNegative ? 1 : 0)
        if overflows || magnitude > limit {
            value = isNegative ? .min : .max
            extent = .overflow
            return
        }
        value = isNegative ? Int64(truncatingIfNeeded: 0 &- magnitude) : Int64(magnitude)
        extent = bytes[position...].allSatisfy(isSQLSpace) ? .whole : .prefix
    }
}

/// SQLite's white space: that of C's `isspace` in the C locale.
@inline(__always)
func isSQLSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

/// Sign, significand of up to 19 digits, and a power of ten.
private struct DecimalScan {
    private static let significandMax = (Int64.max - 9) / 10

    let bytes: UnsafeRawBufferPointer
    var position = 0
    var isNegative = false
    var significand: Int64 = 0
    var exponent = 0
    var digits = 0
    var hasPoint = false
    var hasExponentMark = false
    var isExponentValid = true

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private var digit: Int64? {
        guard position < bytes.count, bytes[position] &- 0x30 < 10 else { return nil }
        return Int64(bytes[position] &- 0x30)
    }

    mutating func run() {
        skipSpaces()
        guard position < bytes.count else { return }
        if bytes[position] == 0x2d || bytes[position] == 0x2b {
            isNegative = bytes[position] == 0x2d
            position += 1
        }
        wholeDigits()
        if position < bytes.count, bytes[position] == 0x2e { fraction() }
        if position < bytes.count, bytes[position] | 0x20 == 0x65 { exponentPart() }
        skipSpaces()
    }

    private mutating func skipSpaces() {
        while position < bytes.count, isSQLSpace(bytes[position]) { position += 1 }
    }

    /// Digits beyond what the significand holds only count.
    private mutating func wholeDigits() {
        while let next = digit {
            significand = significand * 10 + next
            digits += 1
            position += 1
            guard significand >= Self.significandMax else { continue }
            while digit != nil {
                position += 1
                exponent += 1
            }
        }
    }

    private mutating func fraction() {
        position += 1
        hasPoint = true
        while let next = digit {
            if significand < Self.significandMax {
                significand = significand * 10 + next
                exponent -= 1
                digits += 1
            }
            position += 1
        }
    }

    private mutating func exponentPart() {
        position += 1
        hasExponentMark = true
        isExponentValid = false
        guard position < bytes.count else { return }
        var isDown = false
        if bytes[position] == 0x2d || bytes[position] == 0x2b {
            isDown = bytes[position] == 0x2d
            position += 1
        }
        var power = 0
        while let next = digit {
            power = power < 10_000 ? power * 10 + Int(next) : 10_000
            position += 1
            isExponentValid = true
        }
        exponent += isDown ? -power : power
    }

    var extent: RealPrefix.Extent {
        let isReal = hasPoint || hasExponentMark
        if position == bytes.count, digits > 0, isExponentValid { return isReal ? .real : .integer }
        if isReal, digits > 0, isExponentValid || hasPoint && hasExponentMark { return .realPrefix }
        return .other
    }

    var value: Double {
        if significand == 0 { return isNegative ? -0.0 : 0 }
        var whole = significand
        var power = exponent
        while power > 0, whole < Int64.max / 10 {
            whole *= 10
            power -= 1
        }
        while power < 0, whole % 10 == 0 {
            whole /= 10
            power += 1
        }
        if isNegative { whole = -whole }
        return Self.scaled(whole, power)
    }

    /// whole × 10^power, in the steps of SQLite.
    private static func scaled(_ whole: Int64, _ power: Int) -> Double {
        if power == 0 { return Double(whole) }
        let magnitude = abs(power)
        if magnitude > 341 { return power < 0 ? 0.0 * Double(whole) : .infinity * Double(whole) }
        let outer = magnitude > 307 ? 1e308 : 1
        let scale = tenToThe(magnitude > 307 ? magnitude - 308 : magnitude)
        if power < 0 { return Double(Extended(whole) / scale) / outer }
        return Double(Extended(whole) * scale) * outer
    }

    /// By repeated squaring.
    private static func tenToThe(_ exponent: Int) -> Extended {
        var rest = exponent
        var square: Extended = 10
        var result: Extended = 1
        while true {
            if rest & 1 != 0 { result *= square }
            rest >>= 1
            if rest == 0 { return result }
            square *= square
        }
    }
}
