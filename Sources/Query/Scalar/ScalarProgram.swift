// Expressions compiled for one row at a time: the reference meaning of every expression, which faster paths must equal.
//
// A program is an immutable tree of nodes. All that does not depend on a row is made when it is compiled: patterns,
// sets of IN, zones, widths of time.

import EventStoreCore

/// What is evaluated for a row. Nodes never change, so that workers share them.
protocol ScalarNode: AnyObject, Sendable {
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue
    /// The value as a condition.
    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool?
}

extension ScalarNode {
    func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? { try value(slots).truth }
}

/// Nodes that decide: their value is 0, 1 or NULL.
protocol ScalarCondition: ScalarNode {}

extension ScalarCondition {
    func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue { SQLValue(truth: try truth(slots)) }
}

package final class ScalarProgram: Sendable {
    private let root: any ScalarNode

    /// - Throws: `invalid` for columns and aggregates, which planners replace by slots, for wrong numbers of arguments,
    ///   and for literal widths, units, zones and patterns that do not make sense.
    package init(_ expression: Expression, zones: any ZoneSource) throws(Fault) {
        root = try ScalarCompiler(zones: zones).compile(expression)
    }

    /// The value for a row, whose slots are numbered from 0.
    @inline(__always)
    package func value(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> SQLValue { try root.value(slots) }

    /// The same as a condition: `nil` is unknown.
    @inline(__always)
    package func truth(_ slots: UnsafePointer<SQLValue>) throws(Fault) -> Bool? { try root.truth(slots) }

    package func value(_ slots: [SQLValue]) throws(Fault) -> SQLValue {
        let result = slots.withUnsafeBufferPointer { buffer -> Result<SQLValue, Fault> in
            guard let base = buffer.baseAddress else { return evaluateWithoutSlots() }
            return Result { () throws(Fault) in try value(base) }
        }
        return try result.get()
    }

    private func evaluateWithoutSlots() -> Result<SQLValue, Fault> {
        var empty = SQLValue.null
        return withUnsafePointer(to: &empty) { base in Result { () throws(Fault) in try value(base) } }
    }
}
