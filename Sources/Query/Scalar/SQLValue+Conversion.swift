// Conversions between the types of SQL's values: affinities (sqlite.org/datatype3.html), CAST, and operands.

import EventStoreCore

extension SQLValue {
    /// Numbers as text; NULL stays.
    package var asText: SQLValue {
        switch self {
        case .integer(let number): .text(Text(String(number)))
        case .double(let number): .text(Text(DoubleText.general(number)))
        case .null, .text: self
        }
    }

    /// The text of any value but NULL.
    package var textValue: Text? {
        switch self {
        case .null: nil
        case .integer(let number): Text(String(number))
        case .double(let number): Text(DoubleText.general(number))
        case .text(let text): text
        }
    }

    /// As a double; text by its beginning; 0 for NULL.
    package var realValue: Double {
        switch self {
        case .null: 0
        case .integer(let number): Double(number)
        case .double(let number): number
        case .text(let text): text.withBytes { RealPrefix($0).value }
        }
    }

    /// As an integer, cut towards zero, the nearest that fits; text by the digits it begins with; 0 for NULL.
    package var integerValue: Int64 {
        switch self {
        case .null: 0
        case .integer(let number): number
        case .double(let number): Self.truncated(number)
        case .text(let text): text.withBytes { IntegerPrefix($0).value }
        }
    }

    @inline(__always)
    static func truncated(_ number: Double) -> Int64 {
        if number <= -0x1p63 { return .min }
        if number >= 0x1p63 { return .max }
        return Int64(number)
    }

    /// As an operand of arithmetic: text by its longest numeric beginning, 0 when there is none.
    package var number: SQLValue {
        guard case .text(let text) = self else { return self }
        return text.withBytes { bytes in
            let real = RealPrefix(bytes)
            switch real.extent {
            case .integer, .other:
                let whole = IntegerPrefix(bytes)
                if whole.extent == .whole || whole.extent != .overflow && real.extent == .other {
                    return .integer(whole.value)
                }
                return .double(real.value)
            case .real, .realPrefix: return .double(real.value)
            }
        }
    }

    /// As a column of this affinity stores it.
    package func applying(_ affinity: Affinity) -> SQLValue {
        switch affinity {
        case .none, .blob: return self
        case .text: return asText
        case .numeric, .integer: return Self.integral(comparable)
        case .real:
            if case .integer(let number) = comparable { return .double(Double(number)) }
            return comparable
        }
    }

    /// Text that is a number over its whole length as that number, for comparisons.
    package var comparable: SQLValue {
        guard case .text(let text) = self else { return self }
        return text.withBytes { bytes in
            let real = RealPrefix(bytes)
            guard real.isWhole else { return self }
            guard real.extent == .integer else { return .double(real.value) }
            if let small = Self.smallInteger(real.value) { return .integer(small) }
            let whole = IntegerPrefix(bytes)
            return whole.extent == .whole ? .integer(whole.value) : .double(real.value)
        }
    }

    /// A double that stands for an integer of at most 51 bits.
    private static func smallInteger(_ number: Double) -> Int64? {
        if number == 0 { return 0 }
        guard number >= -0x1p51, number < 0x1p51 else { return nil }
        return Int64(exactly: number)
    }

    /// A double without a fraction as an integer, short of the ends of the range.
    private static func integral(_ value: SQLValue) -> SQLValue {
        guard case .double(let number) = value, let whole = Int64(exactly: number), whole > .min, whole < .max
        else { return value }
        return .integer(whole)
    }

    /// `CAST(… AS …)`.
    package func cast(to affinity: Affinity) -> SQLValue {
        if case .null = self { return self }
        switch affinity {
        case .none, .blob: return self
        case .text: return asText
        case .integer: return .integer(integerValue)
        case .real: return .double(realValue)
        case .numeric:
            guard case .text = self else { return self }
            if case .double(let real) = number, let small = Self.smallInteger(real) { return .integer(small) }
            return number
        }
    }
}
