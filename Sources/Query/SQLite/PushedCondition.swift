// Which rows a comparison can be pushed down for without losing any.
//
// SQLite hands `xFilter` the right side as it is; what it compares with later depends on the affinities of both
// sides (sqlite.org/datatype3.html, section 4.2), and that of the right side is not told. An attribute has none: a
// right side of TEXT affinity turns its numbers into text, one of numeric affinity its text into numbers. So what
// is pushed must hold for every affinity the right side might have; SQLite checks each row again.

import EventStoreCore
import GRDBSQLite

enum PushDecision: Equatable {
    /// All rows must be looked at.
    case drop
    /// No row can match: a comparison with NULL.
    case nothing
    case push(ColumnCondition.Test)
    /// The rows of the first test, and beside them those of the second, which are of another type and may match
    /// after a conversion. No row passes both.
    case split(ColumnCondition.Test, others: ColumnCondition.Test)
}

extension ColumnCondition.Test: Equatable {
    package static func == (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.equal(let x), .equal(let y)), (.less(let x), .less(let y)), (.greater(let x), .greater(let y)),
            (.lessOrEqual(let x), .lessOrEqual(let y)), (.greaterOrEqual(let x), .greaterOrEqual(let y)):
            return x == y
        case (.oneOf(let x), .oneOf(let y)): return x == y
        case (.like(let x), .like(let y)), (.glob(let x), .glob(let y)): return x == y
        case (.isNull, .isNull), (.isNotNull, .isNotNull): return true
        default: return false
        }
    }
}

extension ColumnCondition.Test {
    /// In SQL's order numbers come before all text.
    static var isText: Self { .greaterOrEqual(.text("")) }
    static var isNumber: Self { .less(.text("")) }
}

/// Decides for the columns of one statement.
struct PushRules {
    let traits: StatementTraits

    /// - Parameter value: the right side; `nil` for a BLOB.
    func decide(_ comparison: PlannedComparison, on column: TableColumn, _ value: SQLValue?) -> PushDecision {
        guard let value else { return .drop }
        let operation = comparison.operation
        if value.isNull { return operation == .same ? .push(.isNull) : .nothing }
        guard column.source != .fixed(.attributes) else { return .drop }
        if operation == .like || operation == .glob {
            guard case .text(let pattern) = value, column.affinity != .integer else { return .drop }
            return .push(operation == .like ? .like(pattern) : .glob(pattern))
        }
        let test = Self.test(operation, value)
        switch column.affinity {
        case .text:
            guard case .text(let text) = value else { return .drop }
            if comparison.isLiteral || !traits.isCompound { return .push(test) }
            return operation.isEquality && !NumberLikeText.isNumeric(text) ? .push(test) : .drop
        case .integer, .numeric, .real:
            // Any other side is turned into a number where it looks like one, before it comes here.
            if case .text = value { return .drop }
            return .push(test)
        case .none, .blob:
            if comparison.isLiteral { return .push(test) }
            return traits.isCompound ? .drop : attribute(operation, value, test)
        }
    }

    /// An attribute against a value that may come from an expression with an affinity.
    private func attribute(
        _ operation: PushedOperator, _ value: SQLValue, _ test: ColumnCondition.Test
    ) -> PushDecision {
        let isUpward = operation == .greater || operation == .greaterOrEqual
        guard case .text(let text) = value else {
            // All text is above all numbers, so that upward it is among the rows anyway.
            return isUpward ? .push(test) : .split(test, others: .isText)
        }
        if isUpward { return .split(test, others: .isNumber) }
        guard operation.isEquality, NumberLikeText.isNumeric(text) else { return .push(test) }
        return .split(test, others: .isNumber)
    }

    /// `IN` with all its values at once.
    func decide(_ comparison: PlannedComparison, on column: TableColumn, list: [SQLValue?]) -> PushDecision {
        var values: [SQLValue] = []
        for value in list {
            guard let value else { return .drop }
            if !value.isNull { values.append(value) }
        }
        guard !values.isEmpty else { return .nothing }
        guard column.source != .fixed(.attributes) else { return .drop }
        let test = ColumnCondition.Test.oneOf(values)
        let texts = values.compactMap { if case .text(let text) = $0 { text } else { nil } }
        switch column.affinity {
        case .text:
            guard texts.count == values.count else { return .drop }
            return traits.isCompound && texts.contains(where: NumberLikeText.isNumeric) ? .drop : .push(test)
        case .integer, .numeric, .real: return texts.isEmpty ? .push(test) : .drop
        case .none, .blob:
            // A written list has no affinity (sqlite.org/datatype3.html: "a IN (x)" is "a = +x").
            guard traits.selectsLists else { return .push(test) }
            if traits.isCompound { return .drop }
            let numbers = values.filter { if case .text = $0 { false } else { true } }
            guard texts.contains(where: NumberLikeText.isNumeric) else {
                return numbers.isEmpty ? .push(test) : .split(.oneOf(numbers), others: .isText)
            }
            return numbers.isEmpty ? .split(test, others: .isNumber) : .drop
        }
    }

    private static func test(_ operation: PushedOperator, _ value: SQLValue) -> ColumnCondition.Test {
        switch operation {
        case .less: .less(value)
        case .lessOrEqual: .lessOrEqual(value)
        case .greater: .greater(value)
        case .greaterOrEqual: .greaterOrEqual(value)
        default: .equal(value)
        }
    }
}

extension PushedOperator {
    var isEquality: Bool { self == .equal || self == .same }
}

/// Text that numeric affinity turns into a number. Infinities count, because their text is `Inf`.
enum NumberLikeText {
    static func isNumeric(_ text: Text) -> Bool {
        text.string == "Inf" || text.string == "-Inf" || text.withBytes { RealPrefix($0).isWhole }
    }
}
