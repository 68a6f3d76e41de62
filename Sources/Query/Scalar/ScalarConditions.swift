// Nodes of programs that decide: comparisons, sets, patterns and three-valued logic.

import EventStoreCore

/// Comparisons between values with the conversions their expressions call for.
package enum ValueComparison {
    /// Below, at or above zero; `nil` when a side is NULL.
    @inline(__always)
    package static func order(_ a: SQLValue, _ b: SQLValue, _ affinity: Affinity) -> Int? {
        if case .integer(let x) = a, case .integer(let y) = b { return x < y ? -1 : x == y ? 0 : 1 }
        return general(a, b, affinity)
    }

    private static func general(_ a: SQLValue, _ b: SQLValue, _ affinity: Affinity) -> Int? {
        if a.isNull || b.isNull { return nil }
        return total(a, b, affinity)
    }

    /// The same with NULL below all else and equal to itself.
    package static func total(_ a: SQLValue, _ b: SQLValue, _ affinity: Affinity) -> Int {
        switch affinity {
        case .none, .blob: SQLValue.order(a, b)
        // Numbers among themselves stay numbers.
        case .text: a.isText || b.isText ? SQLValue.order(a.asText, b.asText) : SQLValue.order(a, b)
        case .numeric, .integer, .real: SQLValue.order(a.comparable, b.comparable)
        }
    }

    @inline(__always)
    package static func holds(_ operation: BinaryOperator, _ order: Int) -> Bool {
        switch operation {
        case .equal: order == 0
        case .notEqual: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        case .greaterOrEqual: order >= 0
        default: false
        }
    }
}

extension SQLValue {
    var isText: Bool { if case .text = self { true } else { false } }
}

final class CompareNode: ScalarCondition {
    private let operation: BinaryOperator
    private let left: any ScalarNode
    private let right: any ScalarNode
    private let affinity: Affinity

    init(_ operation: BinaryOperator, _ left: any ScalarNode, _ right: any ScalarNode, _ affinity: Affinity) {
        self.operation = operation
        self.left = left
        self.right = right
        self.affinity = affinity
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let a = try left.value(slots)
        let order = ValueComparison.order(a, try right.value(slots), affinity)
        return order.map { ValueComparison.holds(operation, $0) }
    }
}

/// A comparison with an integer that is known before.
final class CompareIntegerNode: ScalarCondition {
    private let operation: BinaryOperator
    private let left: any ScalarNode
    private let right: Int64
    private let affinity: Affinity

    init(_ operation: BinaryOperator, _ left: any ScalarNode, _ right: Int64, _ affinity: Affinity) {
        self.operation = operation
        self.left = left
        self.right = right
        self.affinity = affinity
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let order = ValueComparison.order(try left.value(slots), .integer(right), affinity)
        return order.map { ValueComparison.holds(operation, $0) }
    }
}

/// `IS` and `IS NOT`: never unknown.
final class SameNode: ScalarCondition {
    private let left: any ScalarNode
    private let right: any ScalarNode
    private let affinity: Affinity
    private let isNegated: Bool

    init(_ left: any ScalarNode, _ right: any ScalarNode, _ affinity: Affinity, isNegated: Bool) {
        self.left = left
        self.right = right
        self.affinity = affinity
        self.isNegated = isNegated
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let a = try left.value(slots)
        return (ValueComparison.total(a, try right.value(slots), affinity) == 0) != isNegated
    }
}

final class AndNode: ScalarCondition {
    private let left: any ScalarNode
    private let right: any ScalarNode
    init(_ left: any ScalarNode, _ right: any ScalarNode) {
        self.left = left
        self.right = right
    }
    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let a = try left.truth(slots)
        if a == false { return false }
        let b = try right.truth(slots)
        return b == false ? false : a == nil ? nil : b
    }
}

final class OrNode: ScalarCondition {
    private let left: any ScalarNode
    private let right: any ScalarNode
    init(_ left: any ScalarNode, _ right: any ScalarNode) {
        self.left = left
        self.right = right
    }
    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let a = try left.truth(slots)
        if a == true { return true }
        let b = try right.truth(slots)
        return b == true ? true : a == nil ? nil : b
    }
}

final class NotNode: ScalarCondition {
    private let operand: any ScalarNode
    init(_ operand: any ScalarNode) { self.operand = operand }
    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? { try operand.truth(slots).map { !$0 } }
}

final class IsNullNode: ScalarCondition {
    private let operand: any ScalarNode
    private let isNegated: Bool
    init(_ operand: any ScalarNode, _ isNegated: Bool) {
        self.operand = operand
        self.isNegated = isNegated
    }
    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        try operand.value(slots).isNull != isNegated
    }
}

/// Two comparisons of one value.
final class BetweenNode: ScalarCondition {
    private let operand: any ScalarNode
    private let low: any ScalarNode
    private let high: any ScalarNode
    private let isNegated: Bool
    private let lowAffinity: Affinity
    private let highAffinity: Affinity

    init(
        _ operand: any ScalarNode, _ low: any ScalarNode, _ high: any ScalarNode, isNegated: Bool,
        lowAffinity: Affinity, highAffinity: Affinity
    ) {
        self.operand = operand
        self.low = low
        self.high = high
        self.isNegated = isNegated
        self.lowAffinity = lowAffinity
        self.highAffinity = highAffinity
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let value = try operand.value(slots)
        let above = ValueComparison.order(value, try low.value(slots), lowAffinity).map { $0 >= 0 }
        if above == false { return isNegated }
        let below = ValueComparison.order(value, try high.value(slots), highAffinity).map { $0 <= 0 }
        if below == false { return isNegated }
        return above == nil || below == nil ? nil : !isNegated
    }
}

/// `IN` a list of literals.
final class InSetNode: ScalarCondition {
    private let operand: any ScalarNode
    private let set: Set<GroupKey>
    private let hasNull: Bool
    private let isEmpty: Bool
    private let affinity: Affinity
    private let isNegated: Bool

    init(_ operand: any ScalarNode, _ list: [SQLValue], _ affinity: Affinity, _ isNegated: Bool) {
        self.operand = operand
        self.affinity = affinity
        self.isNegated = isNegated
        isEmpty = list.isEmpty
        hasNull = list.contains { $0.isNull }
        set = Set(list.filter { !$0.isNull }.map { GroupKey($0.applying(affinity)) })
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        if isEmpty { return isNegated }
        let value = try operand.value(slots)
        if value.isNull { return nil }
        if set.contains(GroupKey(value.applying(affinity))) { return !isNegated }
        return hasNull ? nil : isNegated
    }
}

/// `IN` a list of any expressions.
final class InListNode: ScalarCondition {
    private let operand: any ScalarNode
    private let list: [any ScalarNode]
    private let affinity: Affinity
    private let isNegated: Bool

    init(_ operand: any ScalarNode, _ list: [any ScalarNode], _ affinity: Affinity, _ isNegated: Bool) {
        self.operand = operand
        self.list = list
        self.affinity = affinity
        self.isNegated = isNegated
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let value = try operand.value(slots)
        if value.isNull { return nil }
        var isUnknown = false
        for member in list {
            guard let order = ValueComparison.order(value, try member.value(slots), affinity) else {
                isUnknown = true
                continue
            }
            if order == 0 { return !isNegated }
        }
        return isUnknown ? nil : isNegated
    }
}

/// LIKE or GLOB with a pattern known before; without one it was NULL.
final class MatchNode: ScalarCondition {
    private let operand: any ScalarNode
    private let pattern: LikePattern?
    private let isNegated: Bool

    init(_ operand: any ScalarNode, _ pattern: LikePattern?, _ isNegated: Bool) {
        self.operand = operand
        self.pattern = pattern
        self.isNegated = isNegated
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        guard let pattern, let text = try operand.value(slots).textValue else { return nil }
        return pattern.matches(text) != isNegated
    }
}

/// LIKE or GLOB with a pattern of each row.
final class DynamicMatchNode: ScalarCondition {
    private let kind: PatternKind
    private let operand: any ScalarNode
    private let pattern: any ScalarNode
    private let escape: (any ScalarNode)?
    private let isNegated: Bool

    init(
        _ kind: PatternKind, _ operand: any ScalarNode, _ pattern: any ScalarNode, _ escape: (any ScalarNode)?,
        _ isNegated: Bool
    ) {
        self.kind = kind
        self.operand = operand
        self.pattern = pattern
        self.escape = escape
        self.isNegated = isNegated
    }

    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? {
        let text = try operand.value(slots)
        let source = try pattern.value(slots)
        let mark = try escape?.value(slots)
        guard let compiled = try Matching.compile(kind, source, mark), let text = text.textValue else { return nil }
        return compiled.matches(text) != isNegated
    }
}
