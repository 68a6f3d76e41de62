// Calling functions of one row with values: what programs fall back to and what is registered in SQLite.

import EventStoreCore

extension ScalarFunction {
    /// How many arguments there may be.
    package var arity: ClosedRange<Int> {
        switch self {
        case .abs, .length, .lower, .upper, .sign, .typeof, .hex, .unicode: 1...1
        case .ifnull, .nullif, .instr: 2...2
        case .iif, .replace: 3...3
        case .ltrim, .rtrim, .trim, .round, .iso: 1...2
        case .substr, .timeBucket, .dateTrunc: 2...3
        case .coalesce, .least, .greatest: 2...127
        case .char: 0...127
        }
    }

    func checkArity(_ count: Int) throws(Fault) {
        if arity.contains(count) { return }
        let expected =
            arity.count == 1
            ? "\(arity.lowerBound)"
            : arity.upperBound == 127
                ? "at least \(arity.lowerBound)"
                : "\(arity.lowerBound) or \(arity.upperBound)"
        throw Fault(.invalid, "wrong number of arguments to \(rawValue)(): \(count), expected \(expected)")
    }

    /// The value of a call. All arguments are there: laziness of `coalesce` and `iif` is the caller's.
    package static func call(
        _ function: ScalarFunction, _ arguments: [SQLValue], zones: any ZoneSource
    ) throws(Fault) -> SQLValue {
        try function.checkArity(arguments.count)
        let first = arguments.first ?? .null
        switch function {
        case .coalesce, .ifnull: return arguments.first { !$0.isNull } ?? .null
        case .iif: return first.truth == true ? arguments[1] : arguments[2]
        case .nullif: return NumberFunctions.nullIf(first, arguments[1])
        case .least: return NumberFunctions.extreme(arguments, greatest: false)
        case .greatest: return NumberFunctions.extreme(arguments, greatest: true)
        case .round: return NumberFunctions.round(first, arguments.count > 1 ? arguments[1] : nil)
        case .char: return TextFunctions.char(arguments)
        case .instr: return TextFunctions.instr(first, arguments[1])
        case .replace: return TextFunctions.replace(first, arguments[1], arguments[2])
        case .substr: return TextFunctions.substr(first, arguments[1], arguments.count > 2 ? arguments[2] : nil)
        case .trim, .ltrim, .rtrim:
            return TextFunctions.trim(
                first, arguments.count > 1 ? arguments[1] : nil, left: function != .rtrim, right: function != .ltrim)
        case .timeBucket, .dateTrunc:
            return try TimeFunctions.bucket(
                function, first, arguments[1], arguments.count > 2 ? arguments[2] : nil, zones)
        case .iso: return try TimeFunctions.iso(first, arguments.count > 1 ? arguments[1] : nil, zones)
        case .abs, .length, .lower, .upper, .sign, .typeof, .hex, .unicode: return try function.call(first)
        }
    }

    /// Those of one argument.
    func call(_ value: SQLValue) throws(Fault) -> SQLValue {
        switch self {
        case .abs: try NumberFunctions.abs(value)
        case .length: TextFunctions.length(value)
        case .lower: TextFunctions.lower(value)
        case .upper: TextFunctions.upper(value)
        case .sign: NumberFunctions.sign(value)
        case .typeof: NumberFunctions.typeName(value)
        case .hex: TextFunctions.hex(value)
        case .unicode: TextFunctions.unicode(value)
        default: .null
        }
    }
}
