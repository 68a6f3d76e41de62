// Ruling out entities of a segment by zone maps and Bloom filters, before any column of theirs is read.

import EventStoreCore
import EventStoreSegments

/// What the conditions of a query ask of blocks. Worth a look at their heads only when a condition asks for one value
/// or a few: a range of numbers is in almost every block.
struct BlockPruning: Sendable {
    /// A condition on one attribute that must be true.
    fileprivate struct AttributeTest: Sendable {
        var attribute: UInt32
        var integers: NumberTest<Int64>?
        var doubles: NumberTest<Double>?
        /// The texts that pass; `nil` when other texts can.
        var texts: [[UInt8]]?
    }

    private var tests: [AttributeTest] = []
    private var id: EventID?
    /// The columns that decide without this, once they are in memory.
    private(set) var columns: [UnitColumnID] = []

    /// `nil` when no condition asks for single values.
    init?(_ plan: NativePlan, _ source: any ScanSource) {
        for conjunct in plan.conjuncts {
            if let id = TestAnalysis(conjunct.expression).id {
                self.id = id
                columns.append(.idHash)
            } else if let test = BlockPruning.test(conjunct.expression, source) {
                tests.append(test)
                columns.append(.attribute(test.attribute))
            }
        }
        if columns.isEmpty { return nil }
    }

    /// `attribute = value` and `attribute IN (values)`.
    private static func test(_ expression: Expression, _ source: any ScanSource) -> AttributeTest? {
        let name: String
        var values: [SQLValue] = []
        switch expression.node {
        case .binary(let operation, let left, let right) where operation == .equal || operation == .isSame:
            if case .column(.attribute(let column)) = left.node, case .literal(let value) = right.node {
                (name, values) = (column, [value])
            } else if case .literal(let value) = left.node, case .column(.attribute(let column)) = right.node {
                (name, values) = (column, [value])
            } else {
                return nil
            }
        case .inList(let operand, let list, isNegated: false):
            guard case .column(.attribute(let column)) = operand.node else { return nil }
            for item in list {
                guard case .literal(let value) = item.node else { return nil }
                values.append(value)
            }
            name = column
        default: return nil
        }
        guard let attribute = source.attributeNumber(name), !values.isEmpty, values.count <= 16,
            !values.contains(where: \.isNull)
        else { return nil }
        return AttributeTest(values, of: attribute)
    }

    /// Whether a block can have a row that passes; true when it does not say.
    func canMatch(_ scanner: BlockScanner, _ block: Int) throws(Fault) -> Bool {
        if let id, !(try scanner.mightContainID(block, id)) { return false }
        for test in tests where !(try canMatch(test, scanner, block)) { return false }
        return true
    }

    private func canMatch(_ test: AttributeTest, _ scanner: BlockScanner, _ block: Int) throws(Fault) -> Bool {
        let info = scanner.block(block)
        for index in 0..<info.columns.count {
            let key = info.columns[index]
            guard key.attribute == test.attribute else { continue }
            switch key.kind {
            case .string, .json:
                guard let texts = test.texts else { return true }
                for text in texts {
                    let mightBe = try text.withBytes { (bytes) throws(Fault) in
                        try scanner.mightContain(block, key, bytes)
                    }
                    if mightBe { return true }
                }
            case .integer, .bool, .double:
                if test.allows(key.kind, scanner.zone(block, key)) { return true }
            }
        }
        return false
    }
}

extension BlockPruning.AttributeTest {
    fileprivate init(_ values: [SQLValue], of attribute: UInt32) {
        self.attribute = attribute
        var texts: [[UInt8]] = []
        var numbers: [Double] = []
        for value in values {
            switch value {
            case .text(let text): texts.append(Array(text.string.utf8))
            case .integer(let number): numbers.append(Double(number))
            case .double(let number): numbers.append(number)
            case .null: break
            }
        }
        self.texts = texts
        guard let least = numbers.min(), let greatest = numbers.max() else { return }
        // One step outwards: integers beyond 2^53 were rounded.
        let low = least.nextDown
        let high = greatest.nextUp
        doubles = NumberTest(low, high)
        integers = NumberTest(Self.whole(low.rounded(.down)), Self.whole(high.rounded(.up)))
    }

    /// The integer, or the one next to it that there is.
    private static func whole(_ number: Double) -> Int64 {
        number >= 0x1p63 ? .max : number < -0x1p63 ? .min : Int64(number)
    }

    fileprivate func allows(_ kind: ValueKind, _ zone: BlockZone?) -> Bool {
        guard integers != nil || doubles != nil else { return false }
        switch zone {
        case nil: return true
        case .integers(let least, let greatest): return integers?.canMatch(least: least, greatest: greatest) ?? true
        case .doubles(let least, let greatest): return doubles?.canMatch(least: least, greatest: greatest) ?? true
        }
    }
}

extension UnitLoader {
    /// The unit without the entities that cannot have a row that passes: itself where that is not worth it.
    func pruned(_ unit: ScanUnit, by pruning: BlockPruning) throws(Fault) -> [ScanUnit] {
        guard case .segment(let entries, let slice) = unit.rows, slice.count == 1 else { return [unit] }
        // Small blocks say nothing that is worth opening them for.
        let telling = entries.reduce(0) { $0 + ($1.rows >= BlockScanner.zoneRowsMin ? $1.rows : 0) }
        guard telling * 2 > unit.rowCount, !isCached(unit, pruning.columns) else { return [unit] }
        let reader = try source.reader(segment: unit.key.segment)
        var kept: [SegmentEntityEntry] = []
        var blocks = 0
        for entry in entries {
            guard entry.rows >= BlockScanner.zoneRowsMin else {
                kept.append(entry)
                continue
            }
            try scanner.open(reader, entry)
            var canMatch = false
            for block in 0..<scanner.blockCount where !canMatch { canMatch = try pruning.canMatch(scanner, block) }
            if canMatch { kept.append(entry) } else { blocks += scanner.blockCount }
        }
        if kept.count == entries.count || kept.count * 4 > entries.count, entries.count > 1 { return [unit] }
        counts.blocksPruned += blocks
        return kept.map { entry in
            ScanUnit(
                key: .entity(segment: unit.key.segment, entry.entity), rows: .segment(entries: [entry], slice: slice),
                times: entry.minTime...entry.maxTime, rowCount: entry.rows)
        }
    }
}
