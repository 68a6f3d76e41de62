// Random values and expressions for comparisons with SQLite: edges of every type, every operator and function.

import EventStoreCore

@testable import EventStoreQuery

struct ExpressionMaker {
    var generator: SeededGenerator

    static let integers: [Int64] = [
        0, 1, -1, 2, 3, 5, 7, 10, -10, 63, 64, 65, -64, 100, 255, 1000, 65535, 1 << 31, -(1 << 31), 1 << 32, 1 << 51,
        1 << 53, 1 << 53 - 1, 1 << 53 + 1, .max, .max - 1, .min, .min + 1, 922_337_203_685_477_580, 0x10ffff, 0xe9,
    ]
    static let doubles: [Double] = [
        0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 0.1, 0.3, 1.0 / 3, 2.0 / 3, 1e15, 1e16, 123456789012345.6, 1e-5,
        1e-4, 0.00012345, 1e100, -1e100, 1e308, 1.7976931348623157e308, .leastNonzeroMagnitude, 2.2250738585072014e-308,
        1e-300,
        .infinity, -.infinity, 0x1p53, 0x1p63, -0x1p63, 9.223372036854775e18, 0x1p52, 0x1p52 + 0.5, 4503599627370495.5,
        2251799813685248, -2251799813685248, 999999999999999.9, 99999.95, 1.005, 2.675, 12.345678901234567, 1e22, 1e23,
    ]
    static let texts: [String] = [
        "", " ", "a", "A", "abc", "ABC", "aBc", "b", "é", "É", "ü", "\u{1F600}", "x\u{1F600}y", "日本語", " 12 ", "12",
        "012", "+5", "-7", "- 7", "1.0", "1.5", ".5", "5.", ".", "1e3", "1e3abc", "1e", "1.5e", "1e+", "1e-2", "0x10",
        "12abc", "abc12", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
        "99999999999999999999", "1e400", "-1e400", "1e-400", "Inf", "nan", "true", "0", "0.0", "-0", "-0.0", "\t5\n",
        "5 x", "a%b", "a_b", "%", "_", "[a-c]", "a*", "?", "*", "a\u{0}b", "\u{0}", "5\u{0}6", "%a%", "a%", "%c",
        "[^a]",
        "[]]", "[a", "\\", "\\%", "a\\", "ab ab ab", "  pad  ", "xxabcxx", "0.1", "123456789012345678",
        "2251799813685248",
        "1234567890123456789012", "0.000001234567890123456789", "1e307", "1e308", "12345678901234567e300", "1e-320",
        "/wp-login.php", "wp-%", "%.php", "%login%", "\u{fffd}", "\u{ffff}", "e", "E5", "1E5", "1e05", "2026-11-23",
    ]

    mutating func pick<T>(_ list: [T]) -> T { list[Int.random(in: 0..<list.count, using: &generator)] }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }

    mutating func value() -> SQLValue {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<10: .null
        case 10..<30: .integer(pick(Self.integers))
        case 30..<40: .integer(Int64.random(in: -20...20, using: &generator))
        case 40..<42: .integer(Int64(bitPattern: generator.next()))
        case 42..<55: .double(pick(Self.doubles))
        case 55..<60: .double(randomDouble())
        case 60..<94: .text(pick(Self.texts))
        case 94..<97: .text("\(randomDouble())")
        case 97..<99: .text(pick(Self.texts) + pick(Self.texts))
        default: .text(String(repeating: pick(["ab", "é", "x1", "%"]), count: 200))
        }
    }

    private mutating func randomDouble() -> Double {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: Double.random(in: -1000...1000, using: &generator)
        case 1: Double(Int64.random(in: -100_000...100_000, using: &generator)) / 100
        case 2: Double.random(in: -1...1, using: &generator) * 1e-7
        default:
            if case let number = Double(bitPattern: generator.next()), !number.isNaN { number } else { 0.25 }
        }
    }

    // MARK: Expressions

    mutating func expression(_ depth: Int) -> Expression {
        if depth <= 0 || chance(12) { return leaf() }
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<20: return arithmetic(depth)
        case 20..<36: return comparison(depth)
        case 36..<44: return logic(depth)
        case 44..<52: return unary(depth)
        case 52..<57: return cast(depth)
        case 57..<62: return inList(depth)
        case 62..<66:
            return Expression(
                .between(expression(depth - 1), expression(depth - 1), expression(depth - 1), isNegated: chance(30)))
        case 66..<73: return pattern(depth)
        case 73..<79: return conditional(depth)
        default: return function(depth)
        }
    }

    mutating func leaf() -> Expression {
        if chance(45) { return .literal(value()) }
        let index = Int.random(in: 0..<SQLiteOracle.columns.count, using: &generator)
        return Expression(.slot(index, SQLiteOracle.columns[index].affinity))
    }

    private mutating func arithmetic(_ depth: Int) -> Expression {
        let operation: BinaryOperator = pick([
            .add, .subtract, .multiply, .divide, .modulo, .concatenate, .bitAnd, .bitOr, .shiftLeft, .shiftRight, .add,
            .subtract, .multiply, .divide, .modulo, .concatenate,
        ])
        return Expression(.binary(operation, expression(depth - 1), expression(depth - 1)))
    }

    private mutating func comparison(_ depth: Int) -> Expression {
        let operation: BinaryOperator = pick([
            .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .isSame, .isNotSame,
        ])
        var right = expression(depth - 1)
        // SQLite's parser makes FALSE of `x IN ()`, and `IS FALSE` is another operator.
        let isSame = operation == .isSame || operation == .isNotSame
        if isSame, case .inList = right.node { right = Expression(.unary(.plus, right)) }
        return Expression(.binary(operation, expression(depth - 1), right))
    }

    private mutating func logic(_ depth: Int) -> Expression {
        if chance(20) { return Expression(.isNull(expression(depth - 1), isNegated: chance(50))) }
        let operation: BinaryOperator = pick([.and, .or])
        return Expression(.binary(operation, expression(depth - 1), expression(depth - 1)))
    }

    private mutating func unary(_ depth: Int) -> Expression {
        let operation: UnaryOperator = pick([.plus, .negate, .not, .bitNot])
        var operand = expression(depth - 1)
        // Written with a parameter, a sign is no part of the number.
        if operation == .negate, case .literal = operand.node { operand = Expression(.unary(.plus, operand)) }
        return Expression(.unary(operation, operand))
    }

    private mutating func cast(_ depth: Int) -> Expression {
        Expression(.cast(expression(depth - 1), pick([.text, .integer, .real, .numeric])))
    }

    private mutating func inList(_ depth: Int) -> Expression {
        let count = Int.random(in: 0...5, using: &generator)
        let onlyLiterals = chance(60)
        let list = (0..<count).map { _ in onlyLiterals ? Expression.literal(value()) : expression(depth - 2) }
        return Expression(.inList(expression(depth - 1), list, isNegated: chance(40)))
    }

    private mutating func pattern(_ depth: Int) -> Expression {
        let kind: PatternKind = pick([.like, .glob])
        let alphabet =
            kind == .like
            ? ["a", "B", "c", "é", "%", "_", "\\", "x", "%", "1", "!"]
            : ["a", "b", "c", "é", "*", "?", "[a-c]", "[^b]", "[", "]", "-", "1"]
        let text = (0..<Int.random(in: 0...6, using: &generator)).map { _ in pick(alphabet) }.joined()
        let pattern = chance(70) ? Expression.literal(.text(text)) : expression(depth - 1)
        var escape: Expression?
        if kind == .like, chance(25) {
            escape = chance(90) ? .literal(.text(pick(["\\", "!", "%", "_", "é", "a"]))) : leaf()
        }
        var value = expression(depth - 1)
        if chance(40) {
            let letters = ["a", "b", "C", "é", "1", "\\", "%", "_", "x", "!"]
            value = .literal(.text((0..<Int.random(in: 0...8, using: &generator)).map { _ in pick(letters) }.joined()))
        }
        return Expression(.pattern(kind, value, pattern: pattern, escape: escape, isNegated: chance(30)))
    }

    private mutating func conditional(_ depth: Int) -> Expression {
        let clauses = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
            WhenClause(condition: expression(depth - 1), result: expression(depth - 2))
        }
        return Expression(
            .conditional(
                operand: chance(50) ? expression(depth - 1) : nil, clauses,
                otherwise: chance(60) ? expression(depth - 2) : nil))
    }

    private mutating func function(_ depth: Int) -> Expression {
        let own: Set<ScalarFunction> = [.timeBucket, .dateTrunc, .iso]
        let function = pick(ScalarFunction.allCases.filter { !own.contains($0) })
        let count = Int.random(in: function.arity.lowerBound...min(function.arity.upperBound, 4), using: &generator)
        var arguments = (0..<count).map { _ in expression(depth - 1) }
        if function == .substr || function == .round, chance(70) {
            for index in 1..<arguments.count {
                arguments[index] = .literal(.integer(Int64.random(in: -6...8, using: &generator)))
            }
        }
        if function == .char {
            arguments = arguments.map { _ in .literal(.integer(Int64.random(in: -1...0xd000, using: &generator))) }
        }
        return Expression(.function(function, arguments))
    }
}
