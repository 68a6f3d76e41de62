// What is counted for a schema: per type and attribute, kinds, ranges and values, from blocks and from memory.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments

/// One attribute of one type.
final class AttributeTally {
    /// Of the store, so that estimates are the same whenever they are made.
    private let seed: UInt64
    /// By raw value of the kind.
    var kinds = [Int](repeating: 0, count: 5)
    var integers: ClosedRange<Int64>?
    var doubles: ClosedRange<Double>?
    var values = ValueTally()

    init(seed: UInt64) { self.seed = seed }

    func merge(_ other: AttributeTally, cap: Int) {
        for kind in kinds.indices { kinds[kind] += other.kinds[kind] }
        if let range = other.integers { integers = AttributeTally.union(integers, range) }
        if let range = other.doubles { doubles = AttributeTally.union(doubles, range) }
        values.merge(other.values, cap: cap)
    }

    static func union<Bound>(_ a: ClosedRange<Bound>?, _ b: ClosedRange<Bound>) -> ClosedRange<Bound> {
        guard let a else { return b }
        return min(a.lowerBound, b.lowerBound)...max(a.upperBound, b.upperBound)
    }

    // MARK: Values

    static let sampleBytesMax = 120

    func add(text: UnsafeRawBufferPointer, _ kind: ValueKind, count: Int, cap: Int) {
        kinds[Int(kind.rawValue)] += count
        // An empty buffer may have no address.
        var zero: UInt64 = 0
        let hash =
            text.baseAddress.map { Hash.bytes($0, count: text.count, seed: salt(kind)) }
            ?? Hash.bytes(&zero, count: 0, seed: salt(kind))
        values.add(hash, count: count, cap: cap) {
            let sample = AttributeTally.sample(text)
            return kind == .json ? .json(sample) : .string(sample)
        }
    }

    func add(integer: Int64, cap: Int) {
        kinds[Int(ValueKind.integer.rawValue)] += 1
        integers = AttributeTally.union(integers, integer...integer)
        values.add(hashed(integer), cap: cap) { .integer(integer) }
    }

    func add(double: Double, cap: Int) {
        kinds[Int(ValueKind.double.rawValue)] += 1
        if !double.isNaN { doubles = AttributeTally.union(doubles, double...double) }
        // 5 and 5.0 are one value, as in SQL.
        let hash =
            Int64(exactly: double).map { hashed($0) }
            ?? hashed(double.bitPattern, .double)
        values.add(hash, cap: cap) { .double(double) }
    }

    func add(bool: Bool, count: Int, cap: Int) {
        kinds[Int(ValueKind.bool.rawValue)] += count
        values.add(hashed(bool ? 1 : 0, .bool), count: count, cap: cap) { .bool(bool) }
    }

    private func salt(_ kind: ValueKind) -> UInt64 { seed &+ UInt64(kind.rawValue) }
    private func hashed(_ integer: Int64) -> UInt64 { hashed(UInt64(bitPattern: integer), .integer) }

    /// Twice, since the estimate wants every bit of small numbers to reach every bit of the hash.
    private func hashed(_ bits: UInt64, _ kind: ValueKind) -> UInt64 {
        Hash.mix(Hash.mix(bits, salt(kind)), 0x9e37_79b9_7f4a_7c15)
    }

    /// The beginning of a text, whole characters of UTF-8.
    private static func sample(_ text: UnsafeRawBufferPointer) -> String {
        guard text.count > sampleBytesMax else { return String(decoding: text, as: UTF8.self) }
        var end = sampleBytesMax
        while end > 0, text[end] & 0xc0 == 0x80 { end -= 1 }
        return String(decoding: text[..<end], as: UTF8.self)
    }
}

/// One type.
final class TypeTally {
    var events = 0
    var times: ClosedRange<Int64>?
    var entities = Set<UInt32>()
    /// By number.
    var attributes: [UInt32: AttributeTally] = [:]
    private let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    func attribute(_ number: UInt32) -> AttributeTally {
        if let known = attributes[number] { return known }
        let fresh = AttributeTally(seed: seed)
        attributes[number] = fresh
        return fresh
    }
}

/// Everything counted by one thread.
final class SchemaTally {
    private(set) var types: [UInt32: TypeTally] = [:]
    private let seed: UInt64
    private let trackedMax: Int
    private var tracked = 0

    /// Memory a counted value takes, its sample included: bytes.
    private static let trackedBytes = 640

    /// - Parameters:
    ///   - seed: of hashes; tallies that are merged have the same.
    ///   - budget: bytes for counted values, all attributes together; beyond it each attribute gets a few.
    init(seed: UInt64, budget: Int) {
        self.seed = seed
        trackedMax = budget / SchemaTally.trackedBytes
    }

    /// When memory is used up, attributes with a handful of values are still counted exactly.
    private static let valuesMin = 64
    private var cap: Int { tracked < trackedMax ? ValueTally.valuesMax : SchemaTally.valuesMin }

    private func type(_ number: UInt32) -> TypeTally {
        if let known = types[number] { return known }
        let fresh = TypeTally(seed: seed)
        types[number] = fresh
        return fresh
    }

    private func counting(_ tally: AttributeTally, _ body: (AttributeTally, _ cap: Int) -> Void) {
        let before = tally.values.trackedCount
        body(tally, cap)
        tracked += tally.values.trackedCount - before
    }

    func merge(_ other: SchemaTally) {
        for (number, theirs) in other.types {
            let ours = type(number)
            ours.events += theirs.events
            if let times = theirs.times { ours.times = AttributeTally.union(ours.times, times) }
            ours.entities.formUnion(theirs.entities)
            for (attribute, tally) in theirs.attributes {
                counting(ours.attribute(attribute)) { $0.merge(tally, cap: $1) }
            }
        }
    }

    // MARK: Rows in memory

    func add(_ rows: RowBatch, _ filter: RowFilter) {
        var plans: [(type: TypeTally, columns: [AttributeTally])?] = rows.shapes.map { _ in nil }
        BatchFilter(rows, filter).forEachMatch { row in
            let number = Int(rows.shape.base[row])
            let shape = rows.shapes[number]
            let plan =
                plans[number]
                ?? {
                    let type = self.type(rows.typeNumbers[Int(shape.type)])
                    return (type, shape.columns.map { type.attribute(rows.attributeNumbers[Int($0.attribute)]) })
                }()
            plans[number] = plan
            let time = rows.timestamp.base[row]
            plan.type.events += 1
            plan.type.times = AttributeTally.union(plan.type.times, time...time)
            plan.type.entities.insert(rows.entityNumbers[Int(rows.entity.base[row])])
            let cells = rows.cells(ofRow: row)
            for (index, column) in shape.columns.enumerated() {
                counting(plan.columns[index]) { SchemaTally.add(column.kind, cells[index], rows, to: $0, cap: $1) }
            }
        }
    }

    private static func add(
        _ kind: ValueKind, _ cell: UInt64, _ rows: RowBatch, to tally: AttributeTally, cap: Int
    ) {
        switch kind {
        case .string, .json: tally.add(text: rows.strings.bytes(Int(cell)), kind, count: 1, cap: cap)
        case .integer: tally.add(integer: Int64(bitPattern: cell), cap: cap)
        case .double: tally.add(double: Double(bitPattern: cell), cap: cap)
        case .bool: tally.add(bool: cell != 0, count: 1, cap: cap)
        }
    }

    // MARK: Blocks

    /// All columns are decoded before anything is counted: a block counts as a whole or not at all.
    func add(
        _ scanner: BlockScanner, _ source: BlockSource, _ rows: UnsafeBufferPointer<UInt32>
    ) throws(Fault) {
        let info = scanner.block(source.block)
        let times = try scanner.timestamps(source.block)
        let groups = try byType(scanner, source, rows)
        var columns: [BlockColumn] = []
        for index in info.columns.indices { columns.append(try scanner.column(source.block, at: index)) }
        for (number, rows) in groups {
            let type = type(number)
            type.events += rows.count
            type.entities.insert(source.entry.entity)
            for row in rows { type.times = AttributeTally.union(type.times, times[Int(row)]...times[Int(row)]) }
            for (index, key) in info.columns.enumerated() { add(columns[index], key, rows, to: type) }
        }
    }

    private func byType(
        _ scanner: BlockScanner, _ source: BlockSource, _ rows: UnsafeBufferPointer<UInt32>
    ) throws(Fault) -> [UInt32: [UInt32]] {
        let shapes = scanner.block(source.block).shapes
        if let first = shapes.first, shapes.allSatisfy({ $0.type == first.type }) { return [first.type: Array(rows)] }
        let codes = try scanner.shapeCodes(source.block)
        var groups: [UInt32: [UInt32]] = [:]
        for row in rows { groups[shapes[Int(codes[Int(row)])].type, default: []].append(row) }
        return groups
    }

    private func add(_ column: BlockColumn, _ key: ColumnKey, _ rows: [UInt32], to type: TypeTally) {
        var places: [Int] = []
        places.reserveCapacity(rows.count)
        for row in rows {
            let place = column.dense.map { Int($0[Int(row)]) } ?? Int(row)
            if place >= 0 { places.append(place) }
        }
        guard !places.isEmpty else { return }
        counting(type.attribute(key.attribute)) { tally, cap in
            switch column.values {
            case .strings(let strings): SchemaTally.add(strings, places, key.kind, to: tally, cap: cap)
            case .integers(let values): for place in places { tally.add(integer: values[place], cap: cap) }
            case .doubles(let values): for place in places { tally.add(double: values[place], cap: cap) }
            case .bools(let values):
                let trues = places.count { values[$0] }
                if trues > 0 { tally.add(bool: true, count: trues, cap: cap) }
                if trues < places.count { tally.add(bool: false, count: places.count - trues, cap: cap) }
            }
        }
    }

    /// Values once an entry of the dictionary.
    private static func add(
        _ strings: StringColumn, _ places: [Int], _ kind: ValueKind, to tally: AttributeTally, cap: Int
    ) {
        if strings.isDistinct {
            for place in places {
                tally.add(text: strings.entries[Int(strings.codes[place])].bytes, kind, count: 1, cap: cap)
            }
            return
        }
        var counts = [Int](repeating: 0, count: strings.entryCount)
        for place in places { counts[Int(strings.codes[place])] += 1 }
        for (entry, count) in counts.enumerated() where count > 0 {
            tally.add(text: strings.entries[entry].bytes, kind, count: count, cap: cap)
        }
    }
}
