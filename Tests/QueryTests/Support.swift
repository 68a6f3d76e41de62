import EventStoreCore

@testable import EventStoreQuery

/// A small generator with a printed seed (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}

/// What a row says, in plain values.
struct ModelRow {
    var entity: UInt32
    var type: UInt32
    var timestamp: Int64
    var sequence: UInt64
    var values: [UInt32: ModelValue]
}

enum ModelValue: Hashable {
    case string(String), json(String), integer(Int64), double(Double), bool(Bool)
}

struct ModelCondition {
    var attribute: UInt32
    var comparison: Comparison
    var value: ModelValue

    var predicate: Predicate {
        let literal: Literal =
            switch value {
            case .string(let text): .text(Array(text.utf8))
            case .json(let text): .json(Array(text.utf8))
            case .integer(let value): .integer(value)
            case .double(let value): .double(value)
            case .bool(let value): .bool(value)
            }
        return Predicate(attribute: attribute, comparison, literal)
    }

    /// The documented meaning, written without looking at the implementation.
    func holds(_ row: ModelRow) -> Bool {
        guard let stored = row.values[attribute] else { return false }
        switch (stored, value) {
        case (.string(let a), .string(let b)), (.json(let a), .string(let b)), (.json(let a), .json(let b)):
            return textHolds(Array(a.utf8), Array(b.utf8))
        case (.integer(let a), .integer(let b)): return NumberTestTests.holds(comparison, NumberTestTests.sign(a, b))
        case (.integer(let a), .double(let b)): return NumberTestTests.holds(comparison, NumberTestTests.compare(a, b))
        case (.double(let a), .integer(let b)): return NumberTestTests.holds(comparison, -NumberTestTests.compare(b, a))
        case (.double(let a), .double(let b)): return NumberTestTests.holds(comparison, NumberTestTests.sign(a, b))
        case (.bool(let a), .bool(let b)):
            return comparison == .equal ? a == b : comparison == .notEqual ? a != b : false
        default: return false
        }
    }

    private func textHolds(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        switch comparison {
        case .contains: return b.isEmpty || a.indices.contains { a[$0...].starts(with: b) }
        case .startsWith: return a.starts(with: b)
        default:
            let sign = a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1
            return NumberTestTests.holds(comparison, sign)
        }
    }
}

/// Random rows over a few entities, types, attributes and awkward values.
struct RowMaker {
    var generator: SeededGenerator
    static let texts = ["", "a", "ab", "abc", "b", "ü", "üb", "/wp-login.php", "wp-login", "a\u{0}b", "Z"]
    static let numbers: [Int64] = [0, 1, -1, 200, 404, 500, 1 << 53, 1 << 53 + 1, .min, .max]
    static let reals: [Double] = [0, -0.0, 0.5, 1, 200, 404.5, 0x1p53, 0x1p63, -1e300]

    mutating func value() -> ModelValue {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4: .string(Self.texts.randomElement(using: &generator)!)
        case 4..<6: .integer(Self.numbers.randomElement(using: &generator)!)
        case 6..<8: .double(Self.reals.randomElement(using: &generator)!)
        case 8: .bool(Bool.random(using: &generator))
        default: .json("[" + Self.texts.randomElement(using: &generator)! + "]")
        }
    }

    mutating func row(sequence: UInt64, times: ClosedRange<Int64>) -> ModelRow {
        var values: [UInt32: ModelValue] = [:]
        for attribute in 100..<106 as Range<UInt32> where Int.random(in: 0..<3, using: &generator) > 0 {
            values[attribute] = value()
        }
        return ModelRow(
            entity: UInt32.random(in: 1...5, using: &generator), type: UInt32.random(in: 20...23, using: &generator),
            timestamp: Int64.random(in: times, using: &generator), sequence: sequence, values: values)
    }

    mutating func condition() -> ModelCondition {
        ModelCondition(
            attribute: UInt32.random(in: 100..<107, using: &generator),
            comparison: Comparison.allCases.randomElement(using: &generator)!, value: value())
    }
}

/// An admitted batch of these rows.
func makeBatch(_ rows: [ModelRow]) -> RowBatch {
    let batch = RowBatch()
    var builder = RowBatchBuilder(batch)
    func code(_ number: UInt32, _ numbers: inout [UInt32]) -> UInt32 {
        if let index = numbers.firstIndex(of: number) { return UInt32(index) }
        numbers.append(number)
        return UInt32(numbers.count - 1)
    }
    for row in rows {
        for (attribute, value) in row.values {
            let local = code(attribute, &batch.attributeNumbers)
            switch value {
            case .string(let text):
                builder.add(ColumnKey(attribute: local, kind: .string), UInt64(batch.strings.intern(text)))
            case .json(let text):
                builder.add(ColumnKey(attribute: local, kind: .json), UInt64(batch.strings.intern(text)))
            case .integer(let value):
                builder.add(ColumnKey(attribute: local, kind: .integer), UInt64(bitPattern: value))
            case .double(let value): builder.add(ColumnKey(attribute: local, kind: .double), value.bitPattern)
            case .bool(let value): builder.add(ColumnKey(attribute: local, kind: .bool), value ? 1 : 0)
            }
        }
        builder.finishRow(
            entity: code(row.entity, &batch.entityNumbers), type: code(row.type, &batch.typeNumbers),
            timestamp: row.timestamp, id: EventID(high: 0, low: row.sequence), sequence: row.sequence, received: 7)
    }
    return batch
}
