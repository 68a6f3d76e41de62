import EventStoreCore

/// A literal a condition compares with.
package enum Literal: Sendable {
    case text([UInt8])
    case integer(Int64)
    case double(Double)
    case bool(Bool)
    /// Compares as text, with values stored as JSON only.
    case json([UInt8])
}

/// A comparison of one attribute, compiled for each kind its values may have. A kind without a test never
/// matches, which is how values of different kinds never do.
package struct Predicate: Sendable {
    /// The store's number of the attribute.
    package let attribute: UInt32
    package let integers: NumberTest<Int64>?
    package let doubles: NumberTest<Double>?
    /// Booleans as numbers 0 and 1.
    package let bools: NumberTest<Int64>?
    package let strings: TextTest?
    package let json: TextTest?

    /// - Parameter text: what the literal is for values that are text, when it came without saying its kind.
    package init(attribute: UInt32, _ comparison: Comparison, _ literal: Literal, orText text: [UInt8]? = nil) {
        self.attribute = attribute
        var integers: NumberTest<Int64>?
        var doubles: NumberTest<Double>?
        var bools: NumberTest<Int64>?
        var strings: TextTest?
        var json: TextTest?
        switch literal {
        case .integer(let value):
            integers = .compile(comparison, value)
            doubles = .compile(comparison, value)
        case .double(let value):
            integers = .compile(comparison, value)
            doubles = .compile(comparison, value)
        case .bool(let value):
            if comparison == .equal || comparison == .notEqual { bools = .compile(comparison, Int64(value ? 1 : 0)) }
        case .text(let bytes):
            strings = TextTest(comparison, bytes)
            json = strings
        case .json(let bytes):
            json = TextTest(comparison, bytes)
        }
        if let text, strings == nil {
            strings = TextTest(comparison, text)
            json = json ?? strings
        }
        self.integers = integers
        self.doubles = doubles
        self.bools = bools
        self.strings = strings
        self.json = json
    }

    /// What tests a column of this kind; `nil` when none of its values matches.
    package func text(_ kind: ValueKind) -> TextTest? { kind == .json ? json : strings }

    package func canMatch(_ kind: ValueKind) -> Bool {
        switch kind {
        case .string: strings != nil
        case .json: json != nil
        case .integer: integers != nil
        case .double: doubles != nil
        case .bool: bools != nil
        }
    }
}

/// Which rows: everything in the store's numbers, names looked up before. Immutable.
package struct RowFilter: Sendable {
    /// Entity numbers, ascending and distinct; `nil` is all.
    package var entities: [UInt32]?
    /// Type numbers, ascending and distinct; `nil` is all.
    package var types: [UInt32]?
    /// Milliseconds, both ends included.
    package var times: ClosedRange<Int64>
    /// All must hold.
    package var predicates: [Predicate]

    package init(
        entities: [UInt32]? = nil, types: [UInt32]? = nil, times: ClosedRange<Int64> = .min ... .max,
        predicates: [Predicate] = []
    ) {
        self.entities = entities.map { Array(Set($0)).sorted() }
        self.types = types.map { Array(Set($0)).sorted() }
        self.times = times
        self.predicates = predicates
    }

    package func wants(entity: UInt32) -> Bool { entities.map { RowFilter.contains($0, entity) } ?? true }
    package func wants(type: UInt32) -> Bool { types.map { RowFilter.contains($0, type) } ?? true }

    /// The same filter over a part of its time range; `nil` when nothing is left.
    package func narrowed(to slice: ClosedRange<Int64>) -> RowFilter? {
        guard slice.overlaps(times) else { return nil }
        var copy = self
        copy.times = times.clamped(to: slice)
        return copy
    }

    static func contains(_ sorted: [UInt32], _ value: UInt32) -> Bool {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low] == value
    }
}
