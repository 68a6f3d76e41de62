// The query tree: what both front ends, the Swift builder and SQL, produce, and all that the engines read.
//
// Names are resolved and parameters are values by the time a tree exists. Equality ignores where in the text a
// node came from, so that `GROUP BY a + 1` and `SELECT a + 1` find each other.

/// Where in the SQL text something stands, in bytes of UTF-8. All positions are equal to one another.
package struct SourceRange: Hashable, Sendable {
    package var lowerBound: Int
    package var upperBound: Int

    package init(_ lowerBound: Int, _ upperBound: Int) {
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    /// Of trees that come from no text.
    package static let none = SourceRange(-1, -1)

    package static func == (a: SourceRange, b: SourceRange) -> Bool { true }
    package func hash(into hasher: inout Hasher) {}
}

/// The columns every event has. Raw values are their names.
package enum FixedColumn: String, CaseIterable, Sendable {
    case id, entity, type, timestamp, sequence, received
    /// All attributes as one JSON object.
    case attributes
}

package enum ColumnName: Hashable, Sendable {
    case fixed(FixedColumn)
    /// An attribute the store knows, by its full (dotted) name.
    case attribute(String)
}

/// SQLite's column affinities, as far as expressions here can have them (sqlite.org/datatype3.html, section 3).
package enum Affinity: Hashable, Sendable {
    /// None at all: literals, results of operators and functions. In a comparison the other side's affinity decides.
    case none
    /// Columns without a declared type, which are the attributes: no conversion, yet an affinity, so that beside a
    /// TEXT column nothing is converted either. SQLite calls it BLOB.
    case blob
    case text, numeric, integer, real
}

package enum UnaryOperator: Hashable, Sendable { case plus, negate, not, bitNot }

package enum BinaryOperator: Hashable, Sendable {
    case add, subtract, multiply, divide, modulo, concatenate
    case bitAnd, bitOr, shiftLeft, shiftRight
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    /// `IS` and `IS NOT` between any two values; `IS NULL` is `isNull`.
    case isSame, isNotSame
    case and, or
    /// `attributes -> 'name'` and `->>`: only with a right side that is a literal; the parser turns
    /// `attributes->>'name'` into a column where it can.
    case jsonText, jsonValue
}

package enum PatternKind: Hashable, Sendable { case like, glob }

package struct WhenClause: Hashable, Sendable {
    package var condition: Expression
    package var result: Expression
    package init(condition: Expression, result: Expression) {
        self.condition = condition
        self.result = result
    }
}

package enum AggregateKind: Hashable, Sendable {
    /// `count(*)` has no argument.
    case count
    case sum, total, average, minimum, maximum
    /// `quantile(x, p)`: linear interpolation between the two nearest ranks; arguments: x, p.
    case quantile
    /// Value of the row with the least or greatest (timestamp, sequence) among those where x is not NULL; arguments:
    /// x, or x and what to order by.
    case first, last
}

package struct AggregateCall: Hashable, Sendable {
    package var kind: AggregateKind
    package var arguments: [Expression]
    package var isDistinct: Bool
    /// `FILTER (WHERE …)`.
    package var filter: Expression?
    package init(_ kind: AggregateKind, _ arguments: [Expression], isDistinct: Bool = false, filter: Expression? = nil)
    {
        self.kind = kind
        self.arguments = arguments
        self.isDistinct = isDistinct
        self.filter = filter
    }
}

package struct Expression: Hashable, Sendable {
    package indirect enum Node: Hashable, Sendable {
        case literal(SQLValue)
        case column(ColumnName)
        case unary(UnaryOperator, Expression)
        case binary(BinaryOperator, Expression, Expression)
        case isNull(Expression, isNegated: Bool)
        case between(Expression, Expression, Expression, isNegated: Bool)
        case inList(Expression, [Expression], isNegated: Bool)
        case pattern(PatternKind, Expression, pattern: Expression, escape: Expression?, isNegated: Bool)
        case conditional(operand: Expression?, [WhenClause], otherwise: Expression?)
        case cast(Expression, Affinity)
        case function(ScalarFunction, [Expression])
        case aggregate(AggregateCall)
        /// A value computed before, by number: what planners put in place of columns and aggregates.
        case slot(Int, Affinity)
    }

    package var node: Node
    package var range: SourceRange

    package init(_ node: Node, _ range: SourceRange = .none) {
        self.node = node
        self.range = range
    }

    package static func literal(_ value: SQLValue) -> Expression { Expression(.literal(value)) }
    package static func fixed(_ column: FixedColumn) -> Expression { Expression(.column(.fixed(column))) }
    package static func attribute(_ name: String) -> Expression { Expression(.column(.attribute(name))) }
}

extension Expression {
    /// The expressions right below this one.
    package var children: [Expression] {
        switch node {
        case .literal, .column, .slot: return []
        case .unary(_, let operand), .cast(let operand, _), .isNull(let operand, _): return [operand]
        case .binary(_, let left, let right): return [left, right]
        case .between(let value, let low, let high, _): return [value, low, high]
        case .inList(let value, let list, _): return [value] + list
        case .pattern(_, let value, let pattern, let escape, _):
            return [value, pattern] + (escape.map { [$0] } ?? [])
        case .conditional(let operand, let clauses, let otherwise):
            return (operand.map { [$0] } ?? []) + clauses.flatMap { [$0.condition, $0.result] }
                + (otherwise.map { [$0] } ?? [])
        case .function(_, let arguments): return arguments
        case .aggregate(let call): return call.arguments + (call.filter.map { [$0] } ?? [])
        }
    }

    /// The same expression with each node replaced where `replacement` gives one; it is asked from the top down and
    /// does not go below what it replaced.
    package func replacing(_ replacement: (Expression) -> Expression?) -> Expression {
        if let replaced = replacement(self) { return replaced }
        func inside(_ expression: Expression) -> Expression { expression.replacing(replacement) }
        let changed: Node
        switch node {
        case .literal, .column, .slot: changed = node
        case .unary(let operation, let operand): changed = .unary(operation, inside(operand))
        case .cast(let operand, let affinity): changed = .cast(inside(operand), affinity)
        case .isNull(let operand, let isNegated): changed = .isNull(inside(operand), isNegated: isNegated)
        case .binary(let operation, let left, let right): changed = .binary(operation, inside(left), inside(right))
        case .between(let value, let low, let high, let isNegated):
            changed = .between(inside(value), inside(low), inside(high), isNegated: isNegated)
        case .inList(let value, let list, let isNegated):
            changed = .inList(inside(value), list.map(inside), isNegated: isNegated)
        case .pattern(let kind, let value, let pattern, let escape, let isNegated):
            changed = .pattern(
                kind, inside(value), pattern: inside(pattern), escape: escape.map(inside), isNegated: isNegated)
        case .conditional(let operand, let clauses, let otherwise):
            changed = .conditional(
                operand: operand.map(inside),
                clauses.map { WhenClause(condition: inside($0.condition), result: inside($0.result)) },
                otherwise: otherwise.map(inside))
        case .function(let function, let arguments): changed = .function(function, arguments.map(inside))
        case .aggregate(let call):
            var copy = call
            copy.arguments = call.arguments.map(inside)
            copy.filter = call.filter.map(inside)
            changed = .aggregate(copy)
        }
        return Expression(changed, range)
    }

    /// Visits this node and all below it.
    package func visit(_ body: (Expression) -> Void) {
        body(self)
        for child in children { child.visit(body) }
    }

    package var hasColumn: Bool {
        if case .column = node { return true }
        return children.contains { $0.hasColumn }
    }

    package var hasAggregate: Bool {
        if case .aggregate = node { return true }
        return children.contains { $0.hasAggregate }
    }
}
