// The cache of columns: keeps to its budget, throws out what was not used, forgets segments.

import Testing

@testable import EventStoreQuery

struct ColumnCacheTests {
    private func column(_ rows: Int) -> UnitColumn {
        let values = [Int64](repeating: 7, count: rows)
        return values.withUnsafeBufferPointer { UnitColumn(.integers($0.baseAddress!, nulls: nil, count: rows)) }
    }

    private func key(_ segment: Int64, _ part: UInt64 = 0) -> UnitKey { UnitKey(segment: segment, part: part) }

    @Test func findsWhatWasAdded() {
        let cache = ColumnCache(budget: 1 << 20)
        cache.add(key(1), .timestamp, column(10))
        cache.add(key(1, 2), .timestamp, column(20))
        let found = cache.find(key(1), [.timestamp, .type])
        #expect(found[0]?.vector.count == 10 && found[1] == nil)
        #expect(cache.find(key(1, 2), [.timestamp])[0]?.vector.count == 20)
        #expect(cache.find(key(2), [.timestamp])[0] == nil)
    }

    @Test func keepsToItsBudget() {
        let cache = ColumnCache(budget: 20_000)
        for segment in 0..<200 { cache.add(key(Int64(segment)), .sequence, column(1000)) }
        #expect(cache.byteCount <= 20_000 && cache.byteCount > 10_000)
        // Too large a part of it.
        cache.add(key(900), .sequence, column(10_000))
        #expect(cache.find(key(900), [.sequence])[0] == nil)
    }

    @Test func keepsWhatIsUsed() {
        let cache = ColumnCache(budget: 20_000)
        cache.add(key(0), .sequence, column(1000))
        var misses = 0
        for segment in 1..<100 {
            if cache.find(key(0), [.sequence])[0] == nil {
                misses += 1
                cache.add(key(0), .sequence, column(1000))
            }
            cache.add(key(Int64(segment)), .sequence, column(1000))
        }
        #expect(misses < 12, "\(misses) of 99")
        cache.purge(segments: [0])
        #expect(cache.find(key(0), [.sequence])[0] == nil)
        cache.purge()
        #expect(cache.byteCount == 0)
    }

    @Test func longTextsOfMixedColumnsCount() {
        let texts = (0..<100).map { SQLValue.text(String(repeating: "x", count: 10_000 + $0)) }
        #expect(VectorDictionary(values: texts + [.integer(1)]).byteCount > 1_000_000)
    }
}
