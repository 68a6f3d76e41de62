// The best rows of many, against sorting all of them.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct MatchCollectorTests {
    static func keys(_ count: Int, spread: Int64, _ generator: inout SeededGenerator) -> [MatchKey] {
        (0..<count).map { index in
            MatchKey(
                major: Int64.random(in: -spread...spread, using: &generator), sequence: UInt64(index), source: 0,
                row: UInt32(index))
        }.shuffled(using: &generator)
    }

    @Test(arguments: [MatchOrder.ascending, .descending])
    func sortsLikeAComparison(order: MatchOrder) {
        var generator = SeededGenerator(seed: 7)
        for (count, spread) in [(0, 1), (1, 1), (100, 50), (5000, 3), (5000, 1 << 40), (5000, 1 << 20)]
            as [(Int, Int64)]
        {
            let keys = Self.keys(count, spread: spread, &generator)
            let collector = MatchCollector(order: order)
            for key in keys { collector.add(key) }
            collector.finish()
            #expect(Array(collector.sorted) == keys.sorted { order.precedes($0, $1) })
        }
    }

    @Test func sortsTheWholeRangeOfMajors() {
        var generator = SeededGenerator(seed: 9)
        let keys = (0..<2000).map {
            MatchKey(
                major: Int64.random(in: .min ... .max, using: &generator), sequence: UInt64($0), source: 0, row: 0)
        }
        let collector = MatchCollector(order: .descending)
        for key in keys { collector.add(key) }
        collector.finish()
        #expect(Array(collector.sorted) == keys.sorted { MatchOrder.descending.precedes($0, $1) })
    }

    @Test(arguments: [MatchOrder.ascending, .descending], [0, 1, 50, 700, 5000, 20_000])
    func keepsTheBest(order: MatchOrder, limit: Int) {
        var generator = SeededGenerator(seed: 11)
        let keys = Self.keys(10_000, spread: 2000, &generator)
        let collector = MatchCollector(order: order, limit: limit)
        let other = MatchCollector(order: order, limit: limit)
        for (index, key) in keys.enumerated() { (index % 3 == 0 ? other : collector).add(key) }
        collector.add(contentsOf: other)
        collector.finish()
        #expect(Array(collector.sorted) == Array(keys.sorted { order.precedes($0, $1) }.prefix(limit)))
    }

    @Test(arguments: [MatchOrder.ascending, .descending])
    func goesOnAfterAKey(order: MatchOrder) {
        var generator = SeededGenerator(seed: 13)
        let keys = Self.keys(3000, spread: 40, &generator)
        let sorted = keys.sorted { order.precedes($0, $1) }
        let collector = MatchCollector(order: order, after: sorted[1234])
        for key in keys { collector.add(key) }
        collector.finish()
        #expect(Array(collector.sorted) == Array(sorted[1235...]))
    }

    @Test func narrowsWhatCanStillContribute() {
        let collector = MatchCollector(order: .descending, limit: 600)
        for index in 0..<1300 { collector.add(MatchKey(major: Int64(index), sequence: 0, source: 0, row: 0)) }
        let worst = collector.worst
        #expect(worst != nil)
        #expect(!collector.canTake(0...10))
        #expect(collector.narrow(0...5000) == (worst?.major ?? 0)...5000)
    }
}
