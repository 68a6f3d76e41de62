// From a public filter, in names, to a row filter, in the store's numbers.

import EventStoreCore
import EventStoreQuery

extension NameTable {
    /// The filter in numbers, or `nil` when nothing can match: an unknown name, an empty time range.
    func compile(_ filter: EventFilter) throws(Fault) -> RowFilter? {
        // No event lies outside of these bounds, and within them no arithmetic overflows.
        let since = filter.since.map { max($0, Limits.timestampMsMin) } ?? .min
        // [since, until) in whole milliseconds is since ... until - 1.
        guard filter.until != .min else { return nil }
        let last = filter.until.map { min($0 - 1, .max / 2) } ?? .max
        guard since <= last else { return nil }
        let entities = filter.entities.isEmpty ? nil : filter.entities.compactMap { number(ofEntity: $0) }
        let types = filter.types.isEmpty ? nil : filter.types.compactMap { number(ofType: $0) }
        if entities?.isEmpty == true || types?.isEmpty == true { return nil }
        var predicates: [Predicate] = []
        for condition in filter.conditions {
            guard let attribute = number(ofAttribute: condition.attribute) else { return nil }
            if case .double(let number) = condition.value, number.isNaN {
                throw Fault(.invalid, "a condition on '\(condition.attribute)' compares with what is no number")
            }
            predicates.append(
                Predicate(
                    attribute: attribute, condition.comparison.compiled, condition.value.literal,
                    orText: condition.text.map { Array($0.utf8) }))
        }
        return RowFilter(entities: entities, types: types, times: since...last, predicates: predicates)
    }
}

extension EventFilter.Comparison {
    var compiled: EventStoreQuery.Comparison {
        switch self {
        case .equal: .equal
        case .notEqual: .notEqual
        case .less: .less
        case .lessOrEqual: .lessOrEqual
        case .greater: .greater
        case .greaterOrEqual: .greaterOrEqual
        case .contains: .contains
        case .startsWith: .startsWith
        }
    }
}

extension AttributeValue {
    var literal: Literal {
        switch self {
        case .string(let text): .text(Array(text.utf8))
        case .integer(let number): .integer(number)
        case .double(let number): .double(number)
        case .bool(let flag): .bool(flag)
        case .json(let text): .json(Array(text.utf8))
        }
    }
}
