// Nodes of programs: values, operators on values, functions.

import EventStoreCore

final class LiteralNode: ScalarNode {
    private let literal: SQLValue
    init(_ literal: SQLValue) { self.literal = literal }
    func value(_ slots: UnsafePointer<SQLValue>) -> SQLValue { literal }
}

final class SlotNode: ScalarNode {
    private let index: Int
    init(_ index: Int) { self.index = index }
    func value(_ slots: UnsafePointer<SQLValue>) -> SQLValue { slots[index] }
}

final class ArithmeticNode: ScalarNode {
    private let operation: BinaryOperator
    private let left: any ScalarNode
    private let right: any ScalarNode

    init(_ operation: BinaryOperator, _ left: any ScalarNode, _ right: any ScalarNode) {
        self.operation = operation
        self.left = left
        self.right = right
    }

    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        let a = try left.value(slots)
        let b = try right.value(slots)
        return switch operation {
        case .add: Arithmetic.add(a, b)
        case .subtract: Arithmetic.subtract(a, b)
        case .multiply: Arithmetic.multiply(a, b)
        case .divide: Arithmetic.divide(a, b)
        case .modulo: Arithmetic.modulo(a, b)
        case .concatenate: Arithmetic.concatenate(a, b)
        case .bitAnd: Arithmetic.bitAnd(a, b)
        case .bitOr: Arithmetic.bitOr(a, b)
        case .shiftLeft: Arithmetic.shiftLeft(a, b)
        case .shiftRight: Arithmetic.shiftRight(a, b)
        default: .null
        }
    }
}

final class NegateNode: ScalarNode {
    private let operand: any ScalarNode
    init(_ operand: any ScalarNode) { self.operand = operand }
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        Arithmetic.negate(try operand.value(slots))
    }
}

final class BitNotNode: ScalarNode {
    private let operand: any ScalarNode
    init(_ operand: any ScalarNode) { self.operand = operand }
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        Arithmetic.bitNot(try operand.value(slots))
    }
}

final class CastNode: ScalarNode {
    private let operand: any ScalarNode
    private let affinity: Affinity
    init(_ operand: any ScalarNode, _ affinity: Affinity) {
        self.operand = operand
        self.affinity = affinity
    }
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        try operand.value(slots).cast(to: affinity)
    }
}

/// `CASE WHEN … THEN … ELSE … END` and `iif`: only what is chosen is evaluated.
final class CaseNode: ScalarNode {
    private let conditions: [any ScalarNode]
    private let results: [any ScalarNode]
    private let otherwise: (any ScalarNode)?

    init(_ conditions: [any ScalarNode], _ results: [any ScalarNode], _ otherwise: (any ScalarNode)?) {
        self.conditions = conditions
        self.results = results
        self.otherwise = otherwise
    }

    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        for index in conditions.indices where try conditions[index].truth(slots) == true {
            return try results[index].value(slots)
        }
        return try otherwise?.value(slots) ?? .null
    }
}

/// `CASE x WHEN y THEN …`: x is evaluated once.
final class CaseOperandNode: ScalarNode {
    private let operand: any ScalarNode
    private let candidates: [any ScalarNode]
    private let affinities: [Affinity]
    private let results: [any ScalarNode]
    private let otherwise: (any ScalarNode)?

    init(
        _ operand: any ScalarNode, _ candidates: [any ScalarNode], _ affinities: [Affinity],
        _ results: [any ScalarNode], _ otherwise: (any ScalarNode)?
    ) {
        self.operand = operand
        self.candidates = candidates
        self.affinities = affinities
        self.results = results
        self.otherwise = otherwise
    }

    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        let wanted = try operand.value(slots)
        for index in candidates.indices {
            let order = ValueComparison.order(wanted, try candidates[index].value(slots), affinities[index])
            if order == 0 { return try results[index].value(slots) }
        }
        return try otherwise?.value(slots) ?? .null
    }
}

/// `coalesce` and `ifnull`: up to the first that is not NULL.
final class CoalesceNode: ScalarNode {
    private let operands: [any ScalarNode]
    init(_ operands: [any ScalarNode]) { self.operands = operands }

    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        for operand in operands {
            let value = try operand.value(slots)
            if !value.isNull { return value }
        }
        return .null
    }
}

final class FunctionNode1: ScalarNode {
    private let function: ScalarFunction
    private let operand: any ScalarNode
    init(_ function: ScalarFunction, _ operand: any ScalarNode) {
        self.function = function
        self.operand = operand
    }
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        try function.call(try operand.value(slots))
    }
}

final class FunctionNode: ScalarNode {
    private let function: ScalarFunction
    private let arguments: [any ScalarNode]
    private let zones: any ZoneSource

    init(_ function: ScalarFunction, _ arguments: [any ScalarNode], _ zones: any ZoneSource) {
        self.function = function
        self.arguments = arguments
        self.zones = zones
    }

    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        var values: [SQLValue] = []
        values.reserveCapacity(arguments.count)
        for argument in arguments { values.append(try argument.value(slots)) }
        return try ScalarFunction.call(function, values, zones: zones)
    }
}

/// `time_bucket` and `date_trunc` with a plan made before.
final class BucketNode: ScalarNode {
    private let time: any ScalarNode
    private let plan: BucketPlan
    init(_ time: any ScalarNode, _ plan: BucketPlan) {
        self.time = time
        self.plan = plan
    }
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        guard let ms = try TimeFunctions.time(try time.value(slots)) else { return .null }
        return .integer(plan.bucket(ms))
    }
}

final class ISONode: ScalarNode {
    private let time: any ScalarNode
    private let zone: ZoneRules?
    init(_ time: any ScalarNode, _ zone: ZoneRules?) {
        self.time = time
        self.zone = zone
    }
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        guard let ms = try TimeFunctions.time(try time.value(slots)) else { return .null }
        return .text(Text(TimeText.iso(ms, zone: zone)))
    }
}

/// `->` and `->>`.
final class JSONNode: ScalarNode {
    private let document: any ScalarNode
    private let path: any ScalarNode
    private let asJSON: Bool
    init(_ document: any ScalarNode, _ path: any ScalarNode, asJSON: Bool) {
        self.document = document
        self.path = path
        self.asJSON = asJSON
    }
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue {
        throw Fault(.invalid, "-> and ->> are evaluated by SQLite only")
    }
}
