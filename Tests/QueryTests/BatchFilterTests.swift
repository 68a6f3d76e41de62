// Filters over batches in memory, against a row-by-row evaluation.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct BatchFilterTests {
    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func agreesWithTheModel(seed: UInt64) {
        print("seed \(seed)")
        var maker = RowMaker(generator: SeededGenerator(seed: seed))
        let rows = (0..<800).map { maker.row(sequence: UInt64($0), times: 1000...2000) }
        let batch = makeBatch(rows)
        var found = 0
        for _ in 0..<400 {
            let conditions = (0..<Int.random(in: 0...2, using: &maker.generator)).map { _ in maker.condition() }
            let low = Int64.random(in: 900...2100, using: &maker.generator)
            let high = Int64.random(in: low...2200, using: &maker.generator)
            let entities: [UInt32]? = Bool.random(using: &maker.generator) ? [5, 2, 9] : nil
            let types: [UInt32]? = Bool.random(using: &maker.generator) ? [23, 20] : nil
            let filter = RowFilter(
                entities: entities, types: types, times: low...high, predicates: conditions.map(\.predicate))
            var matches: [Int] = []
            BatchFilter(batch, filter).forEachMatch { matches.append($0) }
            let expected = rows.indices.filter { index in
                let row = rows[index]
                return row.timestamp >= low && row.timestamp <= high && entities?.contains(row.entity) ?? true
                    && types?.contains(row.type) ?? true && conditions.allSatisfy { $0.holds(row) }
            }
            #expect(matches == expected, "seed \(seed): \(conditions)")
            found += expected.count
        }
        #expect(found > 1000)
    }

    @Test func textTests() {
        func matches(_ text: String, _ comparison: Comparison, _ pattern: String) -> Bool {
            Array(text.utf8).withUnsafeBytes { TextTest(comparison, Array(pattern.utf8)).matches($0) }
        }
        #expect(matches("/blog/wp-login.php", .contains, "wp-login"))
        #expect(matches("wwp-login", .contains, "wp-login"))
        #expect(!matches("wp-logi", .contains, "wp-login"))
        #expect(matches("aaab", .contains, "aab"))
        #expect(matches("anything", .contains, ""))
        #expect(matches("", .contains, ""))
        #expect(matches("", .startsWith, ""))
        #expect(!matches("", .startsWith, "a"))
        #expect(matches("é", .greater, "z"))
        #expect(matches("Z", .less, "a"))
        #expect(matches("ab", .greater, "a"))
        #expect(!matches("a", .notEqual, "a"))
    }
}
