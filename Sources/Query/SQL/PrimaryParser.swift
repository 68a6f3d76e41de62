// What operators stand between: literals, parameters, names, brackets, prefixes, CASE and CAST.

import EventStoreCore

extension SyntaxParser {
    mutating func prefix() throws(ParseStop) -> Term {
        let start = token.start
        switch token.kind {
        case .integer, .real, .string:
            let value = try literal(token)
            advance()
            return try term(.literal(value), from: start)
        case .parameter:
            let value = parameters[source.content(token)] ?? .null
            advance()
            return try term(.literal(value), from: start)
        case .blob: throw .general("a blob")
        case .leftParen: return try bracket()
        case .minus: return try negation()
        case .plus: return try unary(.plus, .unary)
        case .bitNot: return try unary(.bitNot, .unary)
        case .quotedName: return try nameOrCall()
        case .word: return try word()
        default: throw unexpected("a column or a value")
        }
    }

    /// NaN is NULL, as SQLite has it.
    static func bound(_ value: SQLValue) -> SQLValue {
        if case .double(let number) = value, number.isNaN { return .null }
        return value
    }

    private func literal(_ token: SQLToken) throws(ParseStop) -> SQLValue {
        let text = source.content(token)
        switch token.kind {
        case .string: return .text(text)
        case .integer where text.count > 2 && (text.hasPrefix("0x") || text.hasPrefix("0X")):
            let digits = text.dropFirst(2).drop { $0 == "0" }
            guard digits.count <= 16 else { throw source.stop(token.start, "\(text) does not fit in 64 bits") }
            return .integer(Int64(bitPattern: UInt64(digits, radix: 16) ?? 0))
        case .integer:
            if let number = Int64(text) { return .integer(number) }
            return .double(Double(text) ?? .infinity)
        default: return .double(Double(text) ?? .infinity)
        }
    }

    private mutating func bracket() throws(ParseStop) -> Term {
        let start = token.start
        advance()
        try refuseSubquery()
        let inner = try expression()
        if token.kind == .comma { throw .general("a row value") }
        guard take(.rightParen) else { throw unexpected("an operator or ')' for the '(' at \(place(start))") }
        return inner
    }

    func place(_ offset: Int) -> String {
        let (line, column) = source.position(offset)
        return line == 1 ? "column \(column)" : "line \(line), column \(column)"
    }

    private mutating func unary(_ operation: UnaryOperator, _ level: Precedence) throws(ParseStop) -> Term {
        let start = token.start
        advance()
        let operand = try expression(level)
        return try term(.unary(operation, operand.expression), from: start, over: operand)
    }

    /// A minus; one before a number is part of the number.
    private mutating func negation() throws(ParseStop) -> Term {
        let start = token.start
        let number = ahead()
        if number.kind == .integer || number.kind == .real {
            advance()
            advance()
            if source.text(number) == "9223372036854775808" { return try term(.literal(.integer(.min)), from: start) }
            switch try literal(number) {
            case .integer(let value) where value != .min: return try term(.literal(.integer(-value)), from: start)
            case .double(let value): return try term(.literal(.double(-value)), from: start)
            default: throw source.stop(start, "-\(source.text(number)) does not fit in 64 bits")
            }
        }
        return try unary(.negate, .unary)
    }

    private mutating func word() throws(ParseStop) -> Term {
        guard let keyword = token.keyword, !isDottedName else { return try nameOrCall() }
        let start = token.start
        switch keyword {
        case .not:
            if ahead().keyword == .exists { throw .general("a sub-query") }
            return try unary(.not, .not)
        case .null:
            advance()
            return try term(.literal(.null), from: start)
        case .true, .false:
            advance()
            return try term(.literal(.integer(keyword == .true ? 1 : 0)), from: start)
        case .case: return try conditional()
        case .cast: return try cast()
        case .exists: throw .general("a sub-query")
        case .currentDate, .currentTime, .currentTimestamp:
            throw .general("\(keyword.rawValue.uppercased())")
        case .raise where ahead().kind == .leftParen: throw .general("RAISE")
        default:
            if keyword.isReserved { throw unexpected("a column or a value") }
            return try nameOrCall()
        }
    }

    /// Whether the word here goes on with `.name` right behind it: then it is a name, be it a keyword or not.
    private var isDottedName: Bool {
        let (dot, part) = (ahead(1), ahead(2))
        return dot.kind == .dot && dot.start == token.end && part.isName && part.start == dot.end
    }

    private mutating func nameOrCall() throws(ParseStop) -> Term {
        if ahead().kind == .leftParen { return try call() }
        let start = token.start
        let reference = try name()
        names.append(reference)
        return try term(.slot(names.count - 1, .none), from: start)
    }

    /// `a`, `a.b`, `a."b c".d`.
    mutating func name() throws(ParseStop) -> NameReference {
        let start = token.start
        var parts: [String] = []
        var isQuoted = false
        repeat {
            guard token.isName else { throw unexpected("a column's name after '.'") }
            parts.append(source.content(token))
            isQuoted = isQuoted || token.kind == .quotedName
            advance()
        } while token.kind == .dot && ahead().kind != .star && take(.dot)
        return NameReference(
            parts: parts, isQuoted: isQuoted, range: SourceRange(start, tokens[position - 1].end))
    }

    // MARK: CASE and CAST

    private mutating func conditional() throws(ParseStop) -> Term {
        let start = token.start
        advance()
        var children: [Term] = []
        var operand: Expression?
        if token.keyword != .when {
            children.append(try expression())
            operand = children[0].expression
        }
        guard token.keyword == .when else { throw unexpected("WHEN") }
        var clauses: [WhenClause] = []
        while take(.when) {
            let condition = try expression()
            try expect(.then)
            let result = try expression()
            clauses.append(WhenClause(condition: condition.expression, result: result.expression))
            children += [condition, result]
        }
        var otherwise: Expression?
        if take(.else) {
            children.append(try expression())
            otherwise = children[children.count - 1].expression
        }
        guard take(.end) else { throw unexpected("WHEN, ELSE or END") }
        return try term(.conditional(operand: operand, clauses, otherwise: otherwise), from: start, over: children)
    }

    private mutating func cast() throws(ParseStop) -> Term {
        let start = token.start
        advance()
        try expect(.leftParen, "'(' after CAST")
        try refuseSubquery()
        let value = try expression()
        try expect(.as)
        let affinity = try castAffinity()
        try expect(.rightParen, "')' after the type")
        return try term(.cast(value.expression, affinity), from: start, over: value)
    }

    /// The affinity of a type's name (sqlite.org/datatype3.html, section 3.1); `CAST AS BLOB` is SQLite's.
    private mutating func castAffinity() throws(ParseStop) -> Affinity {
        var name = ""
        while token.isName || token.kind == .string {
            name += ASCII.lowercased(source.content(token)) + " "
            advance()
        }
        if !name.isEmpty, take(.leftParen) {
            repeat {
                if token.kind == .plus || token.kind == .minus { advance() }
                guard token.kind == .integer || token.kind == .real else { throw unexpected("a number") }
                advance()
            } while take(.comma)
            try expect(.rightParen, "')'")
        }
        if name.contains("int") { return .integer }
        if ["char", "clob", "text"].contains(where: name.contains) { return .text }
        if name.isEmpty || name.contains("blob") { throw .general("CAST to BLOB") }
        if ["real", "floa", "doub"].contains(where: name.contains) { return .real }
        return .numeric
    }
}
