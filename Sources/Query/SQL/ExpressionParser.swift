// Expressions, by operator precedence (V. Pratt, "Top Down Operator Precedence", 1973) with the levels of SQLite's
// grammar (sqlite.org/lang_expr.html, "Operators"). Names become slots that number `SyntaxParser.names`.

import EventStoreCore

/// A name as written: its parts between the dots.
struct NameReference {
    var parts: [String]
    /// Whether any part stands in quotes.
    var isQuoted: Bool
    var range: SourceRange

    var joined: String { parts.joined(separator: ".") }
}

/// An expression with the height of its tree.
struct Term {
    var expression: Expression
    var height: Int

    init(_ expression: Expression, height: Int = 1) {
        self.expression = expression
        self.height = height
    }
}

/// How tightly operators bind, loosest first.
enum Precedence: Int {
    case or = 1, and, not, equality, comparison, bits, sum, product, concatenation, unary

    static func binary(_ kind: SQLToken.Kind) -> (BinaryOperator, Precedence)? {
        switch kind {
        case .equal: (.equal, .equality)
        case .notEqual: (.notEqual, .equality)
        case .less: (.less, .comparison)
        case .lessOrEqual: (.lessOrEqual, .comparison)
        case .greater: (.greater, .comparison)
        case .greaterOrEqual: (.greaterOrEqual, .comparison)
        case .bitAnd: (.bitAnd, .bits)
        case .bitOr: (.bitOr, .bits)
        case .shiftLeft: (.shiftLeft, .bits)
        case .shiftRight: (.shiftRight, .bits)
        case .plus: (.add, .sum)
        case .minus: (.subtract, .sum)
        case .star: (.multiply, .product)
        case .slash: (.divide, .product)
        case .percent: (.modulo, .product)
        case .concatenate: (.concatenate, .concatenation)
        case .arrow: (.jsonText, .concatenation)
        case .doubleArrow: (.jsonValue, .concatenation)
        default: nil
        }
    }
}

/// Bounds that keep hostile texts from exhausting the stack or the patience of their readers.
enum SQLLimits {
    static let textBytesMax = 1_000_000
    /// Levels of brackets, calls and prefixes.
    static let nestingMax = 200
    /// Height of an expression's tree, as in SQLite.
    static let heightMax = 1000
    /// Nodes after aliases have been replaced by what they stand for.
    static let nodesMax = 500_000
    /// Columns of a result, as in SQLite.
    static let columnsMax = 2000
}

struct SyntaxParser {
    let source: SQLSource
    let tokens: [SQLToken]
    let parameters: [String: SQLValue]
    var position = 0
    /// The first token after EXPLAIN.
    var firstToken = 0
    var names: [NameReference] = []
    private var nesting = 0

    init(source: SQLSource, tokens: [SQLToken], parameters: [String: SQLValue]) {
        self.source = source
        self.tokens = tokens
        self.parameters = parameters
    }

    // MARK: Tokens

    var token: SQLToken { tokens[position] }
    func ahead(_ count: Int = 1) -> SQLToken { tokens[min(position + count, tokens.count - 1)] }

    mutating func advance() { if position < tokens.count - 1 { position += 1 } }

    mutating func take(_ kind: SQLToken.Kind) -> Bool {
        guard token.kind == kind else { return false }
        advance()
        return true
    }

    mutating func take(_ keyword: SQLKeyword) -> Bool {
        guard token.keyword == keyword else { return false }
        advance()
        return true
    }

    func unexpected(_ wanted: String) -> ParseStop {
        var message = "expected \(wanted), found \(source.name(of: token))"
        if let keyword = token.keyword, keyword.isReserved, wanted.contains("column") || wanted.contains("name") {
            message += "; a name that is a keyword stands in double quotes: \"\(source.text(token))\""
        }
        return source.stop(token.start, message)
    }

    mutating func expect(_ kind: SQLToken.Kind, _ wanted: String) throws(ParseStop) {
        guard take(kind) else { throw unexpected(wanted) }
    }

    mutating func expect(_ keyword: SQLKeyword) throws(ParseStop) {
        guard take(keyword) else { throw unexpected(keyword.rawValue.uppercased()) }
    }

    // MARK: Nodes

    /// A node over `children` that spans from `start` to the last token read.
    func term(_ node: Expression.Node, from start: Int, over children: Term...) throws(ParseStop) -> Term {
        try term(node, from: start, over: children)
    }

    func term(_ node: Expression.Node, from start: Int, over children: [Term]) throws(ParseStop) -> Term {
        let height = children.reduce(0) { max($0, $1.height) } + 1
        guard height <= SQLLimits.heightMax else {
            throw source.stop(
                start, "the expression is too large (its tree is more than \(SQLLimits.heightMax) levels high)",
                code: .limit)
        }
        let end = position > 0 ? tokens[position - 1].end : start
        return Term(Expression(node, SourceRange(start, end)), height: height)
    }

    // MARK: Operators

    mutating func expression() throws(ParseStop) -> Term { try expression(.or) }

    private mutating func expression(above precedence: Precedence) throws(ParseStop) -> Term {
        try expression(Precedence(rawValue: precedence.rawValue + 1) ?? .unary)
    }

    /// An expression of operators that bind at least as tightly as `least`.
    mutating func expression(_ least: Precedence) throws(ParseStop) -> Term {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= SQLLimits.nestingMax else {
            throw source.stop(
                token.start, "nested too deeply (more than \(SQLLimits.nestingMax) levels)", code: .limit)
        }
        let start = token.start
        var left = try prefix()
        while let next = try infix(left, start, least) { left = next }
        return left
    }

    /// The expression that goes on after `left`, or `nil` where it ends.
    private mutating func infix(_ left: Term, _ start: Int, _ least: Precedence) throws(ParseStop) -> Term? {
        if let (operation, level) = Precedence.binary(token.kind) {
            guard level.rawValue >= least.rawValue else { return nil }
            advance()
            let right = try expression(above: level)
            return try term(.binary(operation, left.expression, right.expression), from: start, over: left, right)
        }
        guard let keyword = token.keyword else { return nil }
        switch keyword {
        case .or, .and:
            let level: Precedence = keyword == .or ? .or : .and
            guard level.rawValue >= least.rawValue else { return nil }
            advance()
            let right = try expression(above: level)
            let operation: BinaryOperator = keyword == .or ? .or : .and
            return try term(.binary(operation, left.expression, right.expression), from: start, over: left, right)
        case .not:
            guard Precedence.not.rawValue >= least.rawValue, isNegatable(ahead()) else { return nil }
            advance()
            if take(.null) { return try term(.isNull(left.expression, isNegated: true), from: start, over: left) }
            return try wordOperator(left, start, isNegated: true)
        case .is, .isnull, .notnull, .between, .in, .like, .glob, .match, .regexp:
            guard Precedence.equality.rawValue >= least.rawValue else { return nil }
            return try wordOperator(left, start, isNegated: false)
        case .collate: throw .general("a collation")
        default: return nil
        }
    }

    private func isNegatable(_ token: SQLToken) -> Bool {
        switch token.keyword {
        case .null, .between, .in, .like, .glob, .match, .regexp: true
        default: false
        }
    }

    private mutating func wordOperator(_ left: Term, _ start: Int, isNegated: Bool) throws(ParseStop) -> Term {
        let keyword = token.keyword
        advance()
        switch keyword {
        case .is: return try identity(left, start)
        case .isnull: return try term(.isNull(left.expression, isNegated: false), from: start, over: left)
        case .notnull: return try term(.isNull(left.expression, isNegated: true), from: start, over: left)
        case .between:
            let low = try expression(above: .and)
            try expect(.and)
            let high = try expression(above: .equality)
            return try term(
                .between(left.expression, low.expression, high.expression, isNegated: isNegated), from: start,
                over: left, low, high)
        case .in: return try membership(left, start, isNegated: isNegated)
        case .like, .glob: return try pattern(left, start, keyword == .like ? .like : .glob, isNegated: isNegated)
        case .match: throw .general("the operator MATCH")
        default: throw .general("the operator REGEXP")
        }
    }

    /// After IS: `[NOT] NULL`, `[NOT] TRUE`, `[NOT] DISTINCT FROM x`, `[NOT] x`.
    private mutating func identity(_ left: Term, _ start: Int) throws(ParseStop) -> Term {
        var isNegated = take(.not)
        if take(.distinct) {
            try expect(.from)
            isNegated.toggle()
        }
        let truth = token.keyword
        let isAlone = ahead().kind != .dot
        let right = try expression(above: .equality)
        if case .literal(.null) = right.expression.node, truth == .null {
            return try term(.isNull(left.expression, isNegated: isNegated), from: start, over: left)
        }
        if truth == .true || truth == .false, isAlone, case .literal = right.expression.node {
            // Whether it counts as true: NOT x and NOT NOT x are 0 or 1.
            var tested = try term(.unary(.not, left.expression), from: start, over: left)
            if truth == .true { tested = try term(.unary(.not, tested.expression), from: start, over: tested) }
            let one = Expression(.literal(.integer(1)), right.expression.range)
            return try term(
                .binary(isNegated ? .isNotSame : .isSame, tested.expression, one), from: start, over: tested)
        }
        return try term(
            .binary(isNegated ? .isNotSame : .isSame, left.expression, right.expression), from: start,
            over: left, right)
    }

    private mutating func membership(_ left: Term, _ start: Int, isNegated: Bool) throws(ParseStop) -> Term {
        guard token.kind == .leftParen else {
            if token.isName { throw .general("IN with a table") }
            throw unexpected("a list in brackets after IN")
        }
        advance()
        try refuseSubquery()
        var list: [Term] = []
        if !take(.rightParen) {
            repeat { list.append(try expression()) } while take(.comma)
            try expect(.rightParen, "',' or ')' in the list after IN")
        }
        return try term(
            .inList(left.expression, list.map(\.expression), isNegated: isNegated), from: start, over: [left] + list)
    }

    private mutating func pattern(
        _ left: Term, _ start: Int, _ kind: PatternKind, isNegated: Bool
    ) throws(ParseStop) -> Term {
        let pattern = try expression(above: .equality)
        guard token.keyword == .escape else {
            return try term(
                .pattern(
                    kind, left.expression, pattern: pattern.expression, escape: nil, isNegated: isNegated),
                from: start, over: left, pattern)
        }
        if kind == .glob { throw source.stop(token.start, "ESCAPE goes with LIKE; GLOB has none") }
        advance()
        let escape = try expression(above: .equality)
        try checkEscape(escape.expression)
        return try term(
            .pattern(
                kind, left.expression, pattern: pattern.expression, escape: escape.expression, isNegated: isNegated),
            from: start, over: left, pattern, escape)
    }

    /// SQLite fails at the first row when it is not one character.
    private func checkEscape(_ escape: Expression) throws(ParseStop) {
        switch escape.node {
        case .literal(.null): return
        case .literal(.text(let text)):
            guard text.string.unicodeScalars.count != 1 else { return }
            throw source.stop(escape.range.lowerBound, "ESCAPE takes one character, such as '!'")
        default: throw .general("a computed ESCAPE")
        }
    }

    /// Where an expression may begin: SELECT, VALUES and WITH begin a sub-query instead.
    func refuseSubquery() throws(ParseStop) {
        switch token.keyword {
        case .select, .values: throw .general("a sub-query")
        case .with where ahead().isName: throw .general("a sub-query")
        default: return
        }
    }
}
