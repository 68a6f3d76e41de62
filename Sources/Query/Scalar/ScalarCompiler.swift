// From expressions to the nodes of a program.

import EventStoreCore

struct ScalarCompiler {
    let zones: any ZoneSource

    func compile(_ expression: Expression) throws(Fault) -> any ScalarNode {
        switch expression.node {
        case .literal(let value): return LiteralNode(value)
        case .slot(let index, _): return SlotNode(index)
        case .column(let name): throw Fault(.invalid, "a column stands where only its value can: \(name)")
        case .aggregate(let call): throw Fault(.invalid, "\(call.kind) stands where no aggregate can")
        case .unary(let operation, let operand): return try unary(operation, operand)
        case .binary(let operation, let left, let right): return try binary(operation, left, right)
        case .isNull(let operand, let isNegated): return IsNullNode(try compile(operand), isNegated)
        case .between(let value, let low, let high, let isNegated):
            return BetweenNode(
                try compile(value), try compile(low), try compile(high), isNegated: isNegated,
                lowAffinity: .ofComparison(value.affinity, low.affinity),
                highAffinity: .ofComparison(value.affinity, high.affinity))
        case .inList(let value, let list, let isNegated): return try inList(value, list, isNegated)
        case .pattern(let kind, let value, let pattern, let escape, let isNegated):
            return try self.pattern(kind, value, pattern, escape, isNegated)
        case .conditional(let operand, let clauses, let otherwise): return try conditional(operand, clauses, otherwise)
        case .cast(let operand, let affinity): return CastNode(try compile(operand), affinity)
        case .function(let function, let arguments): return try self.function(function, arguments)
        }
    }

    private func all(_ expressions: [Expression]) throws(Fault) -> [any ScalarNode] {
        var nodes: [any ScalarNode] = []
        for expression in expressions { nodes.append(try compile(expression)) }
        return nodes
    }

    private func unary(_ operation: UnaryOperator, _ operand: Expression) throws(Fault) -> any ScalarNode {
        switch (operation, operand.node) {
        // A sign before a number is part of it: −0.0 keeps its sign, which 0 − 0.0 loses.
        case (.negate, .literal(.double(let number))): LiteralNode(.double(-number))
        case (.plus, _): try compile(operand)
        case (.negate, _): NegateNode(try compile(operand))
        case (.not, _): NotNode(try compile(operand))
        case (.bitNot, _): BitNotNode(try compile(operand))
        }
    }

    private func binary(
        _ operation: BinaryOperator, _ left: Expression, _ right: Expression
    ) throws(Fault) -> any ScalarNode {
        let first = try compile(left)
        let second = try compile(right)
        let affinity = Affinity.ofComparison(left.affinity, right.affinity)
        switch operation {
        case .and: return AndNode(first, second)
        case .or: return OrNode(first, second)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            if affinity == .none || affinity == .numeric, case .literal(.integer(let number)) = right.node {
                return CompareIntegerNode(operation, first, number, affinity)
            }
            return CompareNode(operation, first, second, affinity)
        case .isSame, .isNotSame: return SameNode(first, second, affinity, isNegated: operation == .isNotSame)
        case .jsonText, .jsonValue: return JSONNode(first, second, asJSON: operation == .jsonText)
        case .add, .subtract, .multiply, .divide, .modulo, .concatenate, .bitAnd, .bitOr, .shiftLeft, .shiftRight:
            return ArithmeticNode(operation, first, second)
        }
    }

    /// The value's affinity is applied to both sides; that of the list's members does not count.
    private func inList(_ value: Expression, _ list: [Expression], _ isNegated: Bool) throws(Fault) -> any ScalarNode {
        let affinity = Affinity.ofComparison(value.affinity, .none)
        let node = try compile(value)
        var literals: [SQLValue] = []
        for member in list {
            guard case .literal(let literal) = member.node else {
                return InListNode(node, try all(list), affinity, isNegated)
            }
            literals.append(literal)
        }
        return InSetNode(node, literals, affinity, isNegated)
    }

    private func pattern(
        _ kind: PatternKind, _ value: Expression, _ pattern: Expression, _ escape: Expression?, _ isNegated: Bool
    ) throws(Fault) -> any ScalarNode {
        if kind == .glob, escape != nil { throw Fault(.invalid, "GLOB takes no ESCAPE") }
        let node = try compile(value)
        var mark: SQLValue?
        if let escape, case .literal(let literal) = escape.node { mark = literal }
        // A pattern that makes no sense is an error only where it is reached.
        if case .literal(let literal) = pattern.node, (mark == nil) == (escape == nil),
            let compiled = try? Matching.compile(kind, literal, mark)
        {
            return MatchNode(node, compiled, isNegated)
        }
        let escapeNode = try escape.map { expression throws(Fault) in try compile(expression) }
        return DynamicMatchNode(kind, node, try compile(pattern), escapeNode, isNegated)
    }

    private func conditional(
        _ operand: Expression?, _ clauses: [WhenClause], _ otherwise: Expression?
    ) throws(Fault) -> any ScalarNode {
        let results = try all(clauses.map(\.result))
        let conditions = try all(clauses.map(\.condition))
        let last = try otherwise.map { expression throws(Fault) in try compile(expression) }
        guard let operand else { return CaseNode(conditions, results, last) }
        let affinities = clauses.map { Affinity.ofComparison(operand.affinity, $0.condition.affinity) }
        return CaseOperandNode(try compile(operand), conditions, affinities, results, last)
    }

    private func function(_ function: ScalarFunction, _ arguments: [Expression]) throws(Fault) -> any ScalarNode {
        try function.checkArity(arguments.count)
        switch function {
        case .coalesce, .ifnull: return CoalesceNode(try all(arguments))
        case .iif: return CaseNode([try compile(arguments[0])], [try compile(arguments[1])], try compile(arguments[2]))
        case .timeBucket, .dateTrunc, .iso: return try time(function, arguments)
        case .abs, .length, .lower, .upper, .sign, .typeof, .hex, .unicode:
            return FunctionNode1(function, try compile(arguments[0]))
        default: return FunctionNode(function, try all(arguments), zones)
        }
    }

    /// Literal widths and zones are looked up once.
    private func time(_ function: ScalarFunction, _ arguments: [Expression]) throws(Fault) -> any ScalarNode {
        func literal(_ index: Int) -> SQLValue? {
            guard index < arguments.count, case .literal(let value) = arguments[index].node else { return nil }
            return value
        }
        let zoneIndex = function == .iso ? 1 : 2
        let hasZone = arguments.count > zoneIndex
        let zone = literal(zoneIndex)
        guard !hasZone || zone != nil else { return FunctionNode(function, try all(arguments), zones) }
        if function == .iso {
            let rules = try zone.map { value throws(Fault) in try TimeFunctions.zone(value, zones) }
            if rules == .some(nil) { return LiteralNode(.null) }
            return ISONode(try compile(arguments[0]), rules ?? nil)
        }
        guard let width = literal(0) else { return FunctionNode(function, try all(arguments), zones) }
        guard let plan = try TimeFunctions.plan(function, width: width, zone: zone, zones) else {
            return LiteralNode(.null)
        }
        return BucketNode(try compile(arguments[1]), plan)
    }
}
