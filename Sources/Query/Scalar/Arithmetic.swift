// SQL's operators on numbers: 64-bit integers that turn into doubles when they overflow, NULL for what has no value.

import EventStoreCore

package enum Arithmetic {
    package static func add(_ a: SQLValue, _ b: SQLValue) -> SQLValue {
        combine(a, b, { $0.addingReportingOverflow($1) }, +)
    }

    package static func subtract(_ a: SQLValue, _ b: SQLValue) -> SQLValue {
        combine(a, b, { $0.subtractingReportingOverflow($1) }, -)
    }

    package static func multiply(_ a: SQLValue, _ b: SQLValue) -> SQLValue {
        combine(a, b, { $0.multipliedReportingOverflow(by: $1) }, *)
    }

    /// Of integers an integer, cut towards zero; NULL for a divisor of zero.
    package static func divide(_ a: SQLValue, _ b: SQLValue) -> SQLValue {
        if a.isNull || b.isNull { return .null }
        if case .integer(let dividend) = a.number, case .integer(let divisor) = b.number {
            if divisor == 0 { return .null }
            let (quotient, overflow) = dividend.dividedReportingOverflow(by: divisor)
            if !overflow { return .integer(quotient) }
        }
        let divisor = b.realValue
        return divisor == 0 ? .null : .real(a.realValue / divisor)
    }

    /// The rest of a division of integers; of doubles the rest of their whole parts, as a double.
    package static func modulo(_ a: SQLValue, _ b: SQLValue) -> SQLValue {
        if a.isNull || b.isNull { return .null }
        if case .integer(let dividend) = a.number, case .integer(let divisor) = b.number {
            return divisor == 0 ? .null : .integer(divisor == -1 ? 0 : dividend % divisor)
        }
        let divisor = b.integerValue
        if divisor == 0 { return .null }
        return .double(divisor == -1 ? 0 : Double(a.integerValue % divisor))
    }

    @inline(__always)
    private static func combine(
        _ a: SQLValue, _ b: SQLValue, _ whole: (Int64, Int64) -> (partialValue: Int64, overflow: Bool),
        _ real: (Double, Double) -> Double
    ) -> SQLValue {
        if case .integer(let x) = a, case .integer(let y) = b {
            let (result, overflow) = whole(x, y)
            return overflow ? .double(real(Double(x), Double(y))) : .integer(result)
        }
        if case .double(let x) = a, case .double(let y) = b { return .real(real(x, y)) }
        if a.isNull || b.isNull { return .null }
        if case .integer(let x) = a.number, case .integer(let y) = b.number {
            let (result, overflow) = whole(x, y)
            if !overflow { return .integer(result) }
        }
        return .real(real(a.realValue, b.realValue))
    }

    /// 0 − x, so that −(0.0) is 0.0, as in SQLite.
    package static func negate(_ value: SQLValue) -> SQLValue { subtract(.integer(0), value) }

    // MARK: Bits

    package static func bitAnd(_ a: SQLValue, _ b: SQLValue) -> SQLValue { bits(a, b, &) }
    package static func bitOr(_ a: SQLValue, _ b: SQLValue) -> SQLValue { bits(a, b, |) }
    package static func shiftLeft(_ a: SQLValue, _ b: SQLValue) -> SQLValue { bits(a, b, <<) }
    package static func shiftRight(_ a: SQLValue, _ b: SQLValue) -> SQLValue { bits(a, b, >>) }
    package static func bitNot(_ value: SQLValue) -> SQLValue { value.isNull ? .null : .integer(~value.integerValue) }

    /// Swift's shifts go the other way for negative counts and do not stop at 64, as SQLite's.
    @inline(__always)
    private static func bits(_ a: SQLValue, _ b: SQLValue, _ operation: (Int64, Int64) -> Int64) -> SQLValue {
        a.isNull || b.isNull ? .null : .integer(operation(a.integerValue, b.integerValue))
    }

    package static func concatenate(_ a: SQLValue, _ b: SQLValue) -> SQLValue {
        guard let first = a.textValue, let second = b.textValue else { return .null }
        return .text(Text(first.string + second.string))
    }
}
