// SQLite's functions on numbers and on values of any type.

import EventStoreCore

enum NumberFunctions {
    static func abs(_ value: SQLValue) throws(Fault) -> SQLValue {
        switch value {
        case .null: return .null
        case .integer(.min): throw Fault(.invalid, "integer overflow: abs(\(Int64.min)) has no 64-bit value")
        case .integer(let number): return .integer(Swift.abs(number))
        case .double, .text:
            let number = value.realValue
            return .double(number < 0 ? -number : number)
        }
    }

    /// To so many decimals, 0 to 30, halves away from zero; always a double.
    static func round(_ value: SQLValue, _ digits: SQLValue?) -> SQLValue {
        if value.isNull || digits?.isNull == true { return .null }
        let decimals = Int(min(30, max(0, digits.map(TextFunctions.short) ?? 0)))
        let number = value.realValue
        if number < -0x1p52 || number > 0x1p52 { return .double(number) }
        if decimals == 0 { return .double(Double(Int64(number + (number < 0 ? -0.5 : 0.5)))) }
        return .double(DoubleText.rounded(number, decimals: decimals))
    }

    /// −1, 0 or 1; NULL for what is no number.
    static func sign(_ value: SQLValue) -> SQLValue {
        switch value.comparable {
        case .integer(let number): .integer(number.signum())
        case .double(let number): .integer(number < 0 ? -1 : number > 0 ? 1 : 0)
        case .null, .text: .null
        }
    }

    static func typeName(_ value: SQLValue) -> SQLValue {
        switch value {
        case .null: .text("null")
        case .integer: .text("integer")
        case .double: .text("real")
        case .text: .text("text")
        }
    }

    static func nullIf(_ a: SQLValue, _ b: SQLValue) -> SQLValue { a.isSame(as: b) ? .null : a }

    /// The least (of equals the last) or the greatest (of equals the first); NULL when any is.
    static func extreme(_ values: [SQLValue], greatest: Bool) -> SQLValue {
        guard var best = values.first, !best.isNull else { return .null }
        for value in values.dropFirst() {
            if value.isNull { return .null }
            let order = SQLValue.order(best, value)
            if greatest ? order < 0 : order >= 0 { best = value }
        }
        return best
    }
}
