import EventStoreCore

/// Applies a filter to the rows of an admitted batch in memory.
///
/// Types, columns and kinds are decided once per shape, entities once per local code, text once per
/// distinct string (remembered as long as the filter lives). Used by one thread.
package final class BatchFilter {
    private let batch: RowBatch
    private let filter: RowFilter
    private var entityMatches: [Bool]
    private var plans: [ShapePlan]
    private var verdicts: [TextVerdicts] = []

    /// What a row of one shape must pass. `checks` is a range of the shape's own list.
    private struct ShapePlan {
        var matches: Bool
        var checks: [Check]
    }

    private struct Check {
        var cell: Int
        var test: CellTest
    }

    private enum CellTest {
        case integer(NumberTest<Int64>)
        case double(NumberTest<Double>)
        /// Index into `verdicts`.
        case text(Int)
    }

    /// Per string code: 0 not asked yet, 1 no, 2 yes.
    private struct TextVerdicts {
        var test: TextTest
        var known: [UInt8]
    }

    package init(_ batch: RowBatch, _ filter: RowFilter) {
        self.batch = batch
        self.filter = filter
        entityMatches = batch.entityNumbers.map { filter.wants(entity: $0) }
        plans = []
        for shape in batch.shapes { plans.append(plan(shape)) }
    }

    /// True when no row can match, whatever its time and values.
    package var isHopeless: Bool { !entityMatches.contains(true) || !plans.contains { $0.matches } }

    private func plan(_ shape: RowShape) -> ShapePlan {
        guard filter.wants(type: batch.typeNumbers[Int(shape.type)]) else {
            return ShapePlan(matches: false, checks: [])
        }
        var checks: [Check] = []
        for predicate in filter.predicates {
            let cell = shape.columns.firstIndex { batch.attributeNumbers[Int($0.attribute)] == predicate.attribute }
            guard let cell, let test = cellTest(predicate, shape.columns[cell].kind) else {
                return ShapePlan(matches: false, checks: [])
            }
            checks.append(Check(cell: cell, test: test))
        }
        return ShapePlan(matches: true, checks: checks)
    }

    private func cellTest(_ predicate: Predicate, _ kind: ValueKind) -> CellTest? {
        switch kind {
        case .integer: return predicate.integers.map { .integer($0) }
        case .double: return predicate.doubles.map { .double($0) }
        case .bool: return predicate.bools.map { .integer($0) }
        case .string, .json:
            guard let test = predicate.text(kind) else { return nil }
            verdicts.append(TextVerdicts(test: test, known: [UInt8](repeating: 0, count: batch.strings.count)))
            return .text(verdicts.count - 1)
        }
    }

    /// Calls `body` with each matching row, in the batch's order.
    @inline(__always)
    package func forEachMatch(_ body: (Int) -> Void) {
        if isHopeless { return }
        let (low, high) = (filter.times.lowerBound, filter.times.upperBound)
        let times = batch.timestamp.base
        let shapes = batch.shape.base
        let entities = batch.entity.base
        let rowCount = batch.rowCount
        plans.withUnsafeBufferPointer { plans in
            entityMatches.withUnsafeBufferPointer { entityMatches in
                for row in 0..<rowCount {
                    let time = times[row]
                    if time < low || time > high || !entityMatches[Int(entities[row])] { continue }
                    let shape = Int(shapes[row])
                    if !plans[shape].matches { continue }
                    if plans[shape].checks.isEmpty || passes(plans[shape].checks, row) { body(row) }
                }
            }
        }
    }

    private func passes(_ checks: [Check], _ row: Int) -> Bool {
        let cells = batch.cells(ofRow: row)
        for check in checks {
            let payload = cells[check.cell]
            let holds =
                switch check.test {
                case .integer(let test): test.matches(Int64(bitPattern: payload))
                case .double(let test): test.matches(Double(bitPattern: payload))
                case .text(let index): textHolds(index, Int(payload))
                }
            if !holds { return false }
        }
        return true
    }

    private func textHolds(_ index: Int, _ code: Int) -> Bool {
        let known = verdicts[index].known[code]
        if known != 0 { return known == 2 }
        let holds = verdicts[index].test.matches(batch.strings.bytes(code))
        verdicts[index].known[code] = holds ? 2 : 1
        return holds
    }
}
