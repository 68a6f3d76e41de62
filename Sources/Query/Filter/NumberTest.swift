// A comparison of a number, compiled to an interval test.
//
// Every comparison of a column of integers or doubles with a literal of either kind is "inside a closed
// interval" or "outside of it". The bounds are computed once and exactly, so that 2^53 + 1 and 2^53 differ
// although no double tells them apart. The loops over rows then compare like with like.

/// How an attribute is compared.
package enum Comparison: Sendable, CaseIterable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, contains, startsWith
}

/// Membership in a closed interval, or in its complement.
@frozen
@usableFromInline
package struct NumberTest<Number: Comparable & Sendable & BitwiseCopyable>: Sendable, BitwiseCopyable {
    @usableFromInline package let lower: Number
    @usableFromInline package let upper: Number
    @usableFromInline package let isComplement: Bool

    @inlinable
    package init(_ lower: Number, _ upper: Number, isComplement: Bool = false) {
        self.lower = lower
        self.upper = upper
        self.isComplement = isComplement
    }

    @inlinable
    @inline(__always)
    package func matches(_ value: Number) -> Bool { (value >= lower && value <= upper) != isComplement }

    /// Whether some value of a zone `[least, greatest]` can match; `false` means none does.
    @inlinable
    package func canMatch(least: Number, greatest: Number) -> Bool {
        isComplement ? !(least >= lower && greatest <= upper) : least <= upper && greatest >= lower
    }
}

extension NumberTest where Number == Int64 {
    private static var all: NumberTest { NumberTest(.min, .max) }

    /// An integer column against an integer; `nil` when nothing matches.
    static func compile(_ comparison: Comparison, _ value: Int64) -> NumberTest? {
        switch comparison {
        case .equal: NumberTest(value, value)
        case .notEqual: NumberTest(value, value, isComplement: true)
        case .less: value == .min ? nil : NumberTest(.min, value - 1)
        case .lessOrEqual: NumberTest(.min, value)
        case .greater: value == .max ? nil : NumberTest(value + 1, .max)
        case .greaterOrEqual: NumberTest(value, .max)
        case .contains, .startsWith: nil
        }
    }

    /// An integer column against a double, exactly; `nil` when nothing matches.
    static func compile(_ comparison: Comparison, _ value: Double) -> NumberTest? {
        if value.isNaN { return nil }
        let floor = value.rounded(.down)
        // 2^63 and above, or below -2^63: every integer lies on one side.
        guard floor < 0x1p63 else { return compileBeyond(comparison, isAbove: true) }
        guard floor >= -0x1p63 else { return compileBeyond(comparison, isAbove: false) }
        let whole = Int64(floor)
        if floor == value { return compile(comparison, whole) }
        // `value` lies strictly between `whole` and `whole + 1`.
        switch comparison {
        case .equal: return nil
        case .notEqual: return all
        case .less, .lessOrEqual: return compile(.lessOrEqual, whole)
        case .greater, .greaterOrEqual: return compile(.greater, whole)
        case .contains, .startsWith: return nil
        }
    }

    private static func compileBeyond(_ comparison: Comparison, isAbove: Bool) -> NumberTest? {
        switch comparison {
        case .notEqual: all
        case .less, .lessOrEqual: isAbove ? all : nil
        case .greater, .greaterOrEqual: isAbove ? nil : all
        case .equal, .contains, .startsWith: nil
        }
    }
}

extension NumberTest where Number == Double {
    private static var all: NumberTest { NumberTest(-.infinity, .infinity) }

    /// A double column against a double; `nil` when nothing matches.
    static func compile(_ comparison: Comparison, _ value: Double) -> NumberTest? {
        if value.isNaN { return nil }
        switch comparison {
        case .equal: return NumberTest(value, value)
        case .notEqual: return NumberTest(value, value, isComplement: true)
        case .less: return value == -.infinity ? nil : NumberTest(-.infinity, value.nextDown)
        case .lessOrEqual: return NumberTest(-.infinity, value)
        case .greater: return value == .infinity ? nil : NumberTest(value.nextUp, .infinity)
        case .greaterOrEqual: return NumberTest(value, .infinity)
        case .contains, .startsWith: return nil
        }
    }

    /// A double column against an integer, exactly; `nil` when nothing matches.
    static func compile(_ comparison: Comparison, _ value: Int64) -> NumberTest? {
        let nearest = Double(value)
        let isAbove: Bool
        if let back = Int64(exactly: nearest) {
            if back == value { return compile(comparison, nearest) }
            isAbove = back > value
        } else {
            // The nearest double is 2^63.
            isAbove = true
        }
        // No double equals `value`; `nearest` is the next one above or below it.
        switch comparison {
        case .equal: return nil
        case .notEqual: return all
        case .less, .lessOrEqual: return compile(isAbove ? .less : .lessOrEqual, nearest)
        case .greater, .greaterOrEqual: return compile(isAbove ? .greaterOrEqual : .greater, nearest)
        case .contains, .startsWith: return nil
        }
    }
}
