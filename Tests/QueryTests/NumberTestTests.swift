import EventStoreCore
import Testing

@testable import EventStoreQuery

/// Compiled comparisons against exact comparison in 128-bit integers.
struct NumberTestTests {
    static let comparisons: [Comparison] = [.equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual]

    static let integers: [Int64] = {
        var list: [Int64] = [.min, .min + 1, .max, .max - 1, 0, 1, -1, 2, 500]
        for power in [52, 53, 54, 60, 62] as [Int64] {
            for delta in -2...2 as ClosedRange<Int64> {
                list.append(1 << power + delta)
                list.append(-(1 << power) + delta)
            }
        }
        return list
    }()

    static let doubles: [Double] = {
        var list: [Double] = [0, -0.0, 0.5, -0.5, 1, 1.5, 500, 499.99, 1e308, -1e308, 0x1p63, -0x1p63]
        list += [.leastNonzeroMagnitude, -.leastNonzeroMagnitude]
        list += [0x1p63.nextDown, 0x1p63.nextUp, (-0x1p63).nextDown, (-0x1p63).nextUp, 0x1p64, -0x1p64]
        list += [Double.greatestFiniteMagnitude, -Double.greatestFiniteMagnitude]
        for power in [52, 53, 54, 60, 62] {
            list += [-1, 1].flatMap { sign in
                let value = sign * Double(sign: .plus, exponent: power, significand: 1)
                return [value, value.nextDown, value.nextUp]
            }
        }
        return list
    }()

    /// -1, 0 or 1, exactly.
    static func compare(_ a: Int64, _ b: Double) -> Int {
        if b >= 0x1p100 { return -1 }
        if b <= -0x1p100 { return 1 }
        let floor = b.rounded(.down)
        let whole = Int128(floor)
        if Int128(a) < whole { return -1 }
        if Int128(a) > whole { return 1 }
        return floor == b ? 0 : -1
    }

    static func holds(_ comparison: Comparison, _ sign: Int) -> Bool {
        switch comparison {
        case .equal: sign == 0
        case .notEqual: sign != 0
        case .less: sign < 0
        case .lessOrEqual: sign <= 0
        case .greater: sign > 0
        case .greaterOrEqual: sign >= 0
        case .contains, .startsWith: false
        }
    }

    static func sign<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : a > b ? 1 : 0 }

    @Test func integerColumnAgainstInteger() {
        for comparison in Self.comparisons {
            for literal in Self.integers {
                let test = NumberTest<Int64>.compile(comparison, literal)
                for value in Self.integers {
                    #expect((test?.matches(value) ?? false) == Self.holds(comparison, Self.sign(value, literal)))
                }
            }
        }
    }

    @Test func integerColumnAgainstDouble() {
        for comparison in Self.comparisons {
            for literal in Self.doubles {
                let test = NumberTest<Int64>.compile(comparison, literal)
                for value in Self.integers {
                    let expected = Self.holds(comparison, Self.compare(value, literal))
                    #expect((test?.matches(value) ?? false) == expected, "\(value) \(comparison) \(literal)")
                }
            }
        }
    }

    @Test func doubleColumnAgainstInteger() {
        for comparison in Self.comparisons {
            for literal in Self.integers {
                let test = NumberTest<Double>.compile(comparison, literal)
                for value in Self.doubles {
                    let expected = Self.holds(comparison, -Self.compare(literal, value))
                    #expect((test?.matches(value) ?? false) == expected, "\(value) \(comparison) \(literal)")
                }
            }
        }
    }

    @Test func doubleColumnAgainstDouble() {
        for comparison in Self.comparisons {
            for literal in Self.doubles {
                let test = NumberTest<Double>.compile(comparison, literal)
                for value in Self.doubles {
                    #expect((test?.matches(value) ?? false) == Self.holds(comparison, Self.sign(value, literal)))
                }
            }
        }
    }

    @Test func notANumberMatchesNothing() {
        for comparison in Self.comparisons {
            #expect(NumberTest<Int64>.compile(comparison, Double.nan) == nil)
            #expect(NumberTest<Double>.compile(comparison, Double.nan) == nil)
        }
    }

    @Test func zonesNeverHideAMatch() {
        for comparison in Self.comparisons {
            for literal in Self.integers {
                guard let test = NumberTest<Int64>.compile(comparison, literal) else { continue }
                for least in Self.integers {
                    for greatest in Self.integers where least <= greatest {
                        let some = Self.integers.contains { $0 >= least && $0 <= greatest && test.matches($0) }
                        if some { #expect(test.canMatch(least: least, greatest: greatest)) }
                    }
                }
                #expect(!test.canMatch(least: literal, greatest: literal) || test.matches(literal))
            }
        }
    }
}

extension NumberTest: Equatable {
    public static func == (a: NumberTest, b: NumberTest) -> Bool {
        a.lower == b.lower && a.upper == b.upper && a.isComplement == b.isComplement
    }
}
