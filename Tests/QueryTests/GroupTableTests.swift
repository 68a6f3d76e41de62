// Groups, order and selection against plain models of them, over random values.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct GroupTableTests {
    private func seeded(_ test: String) -> SeededGenerator {
        let seed = UInt64.random(in: 0 ... .max)
        print("\(test): seed \(seed)")
        return SeededGenerator(seed: seed)
    }

    private func value(_ generator: inout some RandomNumberGenerator, _ range: Int64) -> SQLValue {
        let number = Int64.random(in: 0..<range, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: return .null
        case 1: return .double(Double(number))
        case 2: return .double(Double(number) + 0.5)
        case 3: return .text("\(number)")
        case 4: return .double(-0.0)
        default: return .integer(number)
        }
    }

    private func dense(_ values: [SQLValue], _ scratch: Scratch, _ form: Int) -> Dense {
        if form == 0 { return Dense(.values(values), count: values.count) }
        if form == 1 {
            let interner = ValueInterner()
            let codes = scratch.take(values.count, of: UInt32.self)
            for (row, value) in values.enumerated() { codes[row] = interner.codeOfIdentical(value) }
            return Dense(.codes(codes, VectorDictionary(values: interner.allValues)), count: values.count)
        }
        let numbers = scratch.take(values.count, of: Int64.self)
        let nulls = scratch.take(values.count, of: UInt8.self)
        for (row, value) in values.enumerated() {
            numbers[row] = 0
            nulls[row] = 1
            if case .integer(let number) = value {
                numbers[row] = number
                nulls[row] = 0
            }
        }
        return Dense(.integers(numbers), nulls: nulls, count: values.count)
    }

    /// Few and many distinct values, so that codes are combined in a table, condensed and hashed.
    @Test(arguments: [2, 40, 3000, 1_000_000] as [Int64])
    func rowsFindTheirGroups(_ range: Int64) {
        var generator = seeded("groups of \(range)")
        let scratch = Scratch()
        let counters = [CountAccumulator(), CountAccumulator()]
        let tables = counters.map { GroupTable(keyCount: 3, accumulators: [$0]) }
        let table = tables[0]
        var model: [[GroupKey]: Int64] = [:]
        for round in 0..<6 {
            scratch.reset()
            let count = Int.random(in: 1..<3000, using: &generator)
            var columns: [[SQLValue]] = []
            for form in 0..<3 {
                columns.append(
                    (0..<count).map { _ in
                        let found = value(&generator, range)
                        if form < 2 { return found }
                        if case .integer = found { return found }
                        return .null
                    })
            }
            let keys = columns.enumerated().map { dense($0.element, scratch, $0.offset) }
            let used = (0..<count).map { row in keys.map { $0.value(row) } }
            let groups = tables[round % 2].assign(keys, count: count, scratch)
            counters[round % 2].update(groups, count, [])
            for row in used { model[row.map { GroupKey($0) }, default: 0] += 1 }
        }
        table.merge(tables[1])
        #expect(table.count == model.count)
        for group in 0..<table.count {
            let key = (0..<3).map { GroupKey(table.key(group, $0)) }
            let found = counters[0].result(group, AggregateCall(.count, []))
            #expect(found == .integer(model[key] ?? -1))
        }
    }

    @Test func theFirstRowsAreThoseOfASort() {
        var generator = seeded("top rows")
        for _ in 0..<200 {
            let ordering = RowOrdering([
                OrderTerm(.fixed(.timestamp), isDescending: Bool.random(using: &generator)),
                OrderTerm(
                    .fixed(.id), isDescending: Bool.random(using: &generator),
                    nullsFirst: Bool.random(using: &generator)),
            ])
            let rows = (0..<Int.random(in: 0..<60, using: &generator)).map { row in
                SortedRow(keys: [value(&generator, 4), value(&generator, 3)], unit: row / 7, row: row % 7)
            }
            let size = Int.random(in: 0..<20, using: &generator)
            let top = TopRows(size, ordering)
            for row in rows.shuffled(using: &generator) where !top.excludes(firstKey: row.keys[0]) { top.add(row) }
            let expected = rows.sorted { ordering.precedes($0, $1) }.prefix(size)
            #expect(top.sorted().map { [$0.unit, $0.row] } == expected.map { [$0.unit, $0.row] })
        }
    }

    @Test func selectionFindsTheNth() {
        var generator = seeded("selection")
        for _ in 0..<300 {
            let count = Int.random(in: 1..<200, using: &generator)
            let range = [1, 3, 1000].randomElement(using: &generator) ?? 1
            var numbers = (0..<count).map { _ in Int.random(in: 0..<range, using: &generator) }
            let n = Int.random(in: 0..<count, using: &generator)
            let expected = numbers.sorted()[n]
            let found = numbers.withUnsafeMutableBufferPointer { Selecting.nth($0, n, 0, count - 1) }
            #expect(found == expected)
            var quantiles = QuantileSelection(numbers.map(Double.init))
            let sorted = numbers.sorted()
            for _ in 0..<4 {
                let share = Double(Int.random(in: 0...20, using: &generator)) / 20
                let rank = share * Double(count - 1)
                let low = Double(sorted[Int(rank)])
                let high = Double(sorted[min(count - 1, Int(rank) + 1)])
                let value = quantiles.select(share) ?? .nan
                #expect(abs(value - (low + (high - low) * (rank - rank.rounded(.down)))) < 1e-9)
            }
        }
    }

    /// Runs and single rows, of few or all groups, in one worker or two, of small and large numbers.
    @Test func quantilesOfChosenGroups() throws {
        var generator = seeded("quantiles")
        for _ in 0..<60 {
            let groupCount = Int.random(in: 1..<6, using: &generator)
            let range: Int64 = [40, 100_000, 1 << 40].randomElement(using: &generator) ?? 1
            let parts = [QuantileAccumulator(), QuantileAccumulator()]
            let maps = [(0..<groupCount).map { UInt32($0) }, (0..<groupCount).map { UInt32(groupCount - 1 - $0) }]
            var model = [[Double]](repeating: [], count: groupCount)
            for (part, map) in zip(parts, maps) {
                part.grow(to: groupCount)
                let scratch = Scratch()
                let count = Int.random(in: 0..<2000, using: &generator)
                let groups = scratch.take(count, of: UInt32.self)
                let numbers = (0..<count).map { _ in value(&generator, range) }
                var group = 0
                for row in 0..<count {
                    if Int.random(in: 0..<4, using: &generator) == 0 {
                        group = Int.random(in: 0..<groupCount, using: &generator)
                    }
                    groups[row] = UInt32(group)
                }
                let column = dense(numbers, scratch, 2)
                part.update(groups, count, [column])
                for row in 0..<count {
                    if case .integer(let number) = column.value(row) {
                        model[Int(map[Int(groups[row])])].append(Double(number))
                    }
                }
            }
            parts[0].merge(parts[1], maps[1])
            let chosen = Array((0..<groupCount).shuffled(using: &generator).prefix(2))
            if Bool.random(using: &generator) {
                try parts[0].prepare(chosen, [0.25]) { (count, body) throws(Fault) in
                    for number in 0..<count { try body(number) }
                }
            }
            for group in chosen {
                let sorted = model[group].sorted()
                for share in [0, 0.25, 1] {
                    let call = AggregateCall(.quantile, [.literal(.integer(1)), .literal(.double(share))])
                    let found = try parts[0].result(group, call)
                    guard !sorted.isEmpty else {
                        #expect(found == .null)
                        continue
                    }
                    let rank = share * Double(sorted.count - 1)
                    let low = sorted[Int(rank)]
                    let high = sorted[min(sorted.count - 1, Int(rank) + 1)]
                    #expect(abs((found.asDouble ?? .nan) - (low + (high - low) * (rank - rank.rounded(.down)))) < 1e-3)
                }
            }
        }
    }

    @Test func marksAreGathered() {
        var generator = seeded("marks")
        for _ in 0..<300 {
            let scratch = Scratch()
            let count = Int.random(in: 0..<400, using: &generator)
            let share = [1, 2, 20, 100].randomElement(using: &generator) ?? 1
            let marks = scratch.take(count + 64, of: UInt8.self)
            marks.update(repeating: 0, count: count + 64)
            for row in 0..<count { marks[row] = Int.random(in: 0..<share, using: &generator) == 0 ? 1 : 0 }
            let target = scratch.take(count, of: UInt32.self)
            let found = Marks.gather(marks, count, target)
            #expect((0..<found).map { Int(target[$0]) } == (0..<count).filter { marks[$0] == 1 })
        }
    }
}
