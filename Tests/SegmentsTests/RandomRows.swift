// Random events for tests, and a plain form of rows in which what was written and what was read compare.

import EventStoreCore
import EventStoreSegments

/// SplitMix64: small, fast, replayable from its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

/// A cell as a value that compares bit for bit.
enum PlainValue: Hashable {
    case text(ValueKind, [UInt8])
    case word(ValueKind, UInt64)
}

/// A row in store numbers.
struct PlainRow: Hashable {
    var entity: UInt32
    var type: UInt32
    var timestamp: Int64
    var sequence: UInt64
    var received: Int64
    var id: EventID
    var values: [UInt32: PlainValue]
}

extension RowBatch {
    func plain(_ row: Int) -> PlainRow {
        let shape = shapes[Int(self.shape[row])]
        var values: [UInt32: PlainValue] = [:]
        for (key, cell) in zip(shape.columns, cells(ofRow: row)) {
            let number = attributeNumbers[Int(key.attribute)]
            switch key.kind {
            case .string, .json: values[number] = .text(key.kind, Array(strings.bytes(Int(cell))))
            case .integer, .double, .bool: values[number] = .word(key.kind, cell)
            }
        }
        return PlainRow(
            entity: entityNumbers[Int(entity[row])], type: typeNumbers[Int(shape.type)], timestamp: timestamp[row],
            sequence: sequence[row], received: received[row], id: id[row], values: values)
    }

    var plainRows: [PlainRow] { (0..<rowCount).map { plain($0) } }
}

/// What `RandomRows.batch` makes.
struct RandomShape {
    var rows = 500
    var entities = 7
    var types = 4
    var attributes = 12
    var partitionStart: Int64 = 1_756_684_800_000
    var partitionMs: Int64 = Limits.msPerDay
    var firstSequence: UInt64 = 1
    var received: Int64 = 1_756_771_200_123
    /// Rows of an entity with the most; the others share the rest.
    var bigEntityShare = 0.0
    var texts: [String] = [
        "", "GET", "POST", "/wp-login.php", "/a/b", "Mozilla/5.0 (X11; Linux x86_64)", "ünïcödé ✓ 日本語", "0",
        "203.0.113.9", "10.0.0.255", "someone@example.org", "6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4",
        "deadbeefdeadbeef0123", "/wp-admin/admin-ajax.php?action=heartbeat",
    ]
}

struct RandomRows {
    var generator: SeededGenerator
    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func batch(_ form: RandomShape, batchNumber: Int = 0) -> RowBatch {
        let batch = RowBatch(rowCapacity: form.rows)
        // Local codes stand in another order than store numbers, as they do in practice.
        batch.entityNumbers = (0..<form.entities).map { UInt32($0 * 3 + 1) }.shuffled(using: &generator)
        batch.typeNumbers = (0..<form.types).map { UInt32($0 * 2) }.shuffled(using: &generator)
        batch.attributeNumbers = (0..<form.attributes).map { UInt32($0 * 5 + 2) }.shuffled(using: &generator)
        let patterns = (0..<form.types).map { _ in
            (0..<form.attributes).filter { _ in Bool.random(using: &generator) }
        }
        var builder = RowBatchBuilder(batch)
        for row in 0..<form.rows {
            let type = Int.random(in: 0..<form.types, using: &generator)
            for attribute in patterns[type] where Int.random(in: 0..<20, using: &generator) > 0 {
                let (kind, payload) = cell(attribute, form, batch)
                builder.add(ColumnKey(attribute: UInt32(attribute), kind: kind), payload)
            }
            let isBig = Double.random(in: 0..<1, using: &generator) < form.bigEntityShare
            let entity = isBig ? 0 : Int.random(in: 0..<form.entities, using: &generator)
            builder.finishRow(
                entity: UInt32(entity), type: UInt32(type),
                timestamp: form.partitionStart + Int64.random(in: 0..<form.partitionMs, using: &generator),
                id: EventID(high: generator.next(), low: generator.next()),
                sequence: form.firstSequence + UInt64(row), received: form.received + Int64(batchNumber))
        }
        return batch
    }

    /// Each attribute has its manner; some vary their kind.
    private mutating func cell(_ attribute: Int, _ form: RandomShape, _ batch: RowBatch) -> (ValueKind, UInt64) {
        switch attribute % 8 {
        case 0, 1: return (.string, UInt64(batch.strings.intern(form.texts.randomElement(using: &generator)!)))
        case 2:
            let kind: ValueKind = Bool.random(using: &generator) ? .integer : .string
            if kind == .string { return (kind, UInt64(batch.strings.intern("code \(generator.next() % 50)"))) }
            return (kind, UInt64(bitPattern: Int64.random(in: -5...600, using: &generator)))
        case 3: return (.double, (Double(Int.random(in: 0...1000, using: &generator)) / 8).bitPattern)
        case 4: return (.bool, generator.next() & 1)
        case 5: return (.json, UInt64(batch.strings.intern("[\(generator.next() % 9),\"x\"]")))
        case 6: return (.string, UInt64(batch.strings.intern("v\(generator.next())")))
        default: return (.integer, generator.next())
        }
    }
}
