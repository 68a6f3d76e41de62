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

    private func texts(_ list: [String]) -> UnitColumn {
        let builder = DictionaryBuilder()
        let codes = list.map { text in text.withBytes { builder.intern($0) } }
        let dictionary = builder.finish()
        return codes.withUnsafeBufferPointer {
            UnitColumn(.codes($0.baseAddress!, dictionary, count: list.count))
        }
    }

    private func dictionary(_ column: UnitColumn?) throws -> VectorDictionary {
        guard case .codes(let dictionary) = column?.vector.form else { throw CacheFailure() }
        return dictionary
    }

    private struct CacheFailure: Error {}

    @Test func unitsOfAColumnShareCodesFromTheSecondUseOn() throws {
        let cache = ColumnCache(budget: 1 << 20)
        let columns = [texts(["a", "b", "c"]), texts(["c", "d", "a"]), texts(["a"])]
        cache.add(key(1), .attribute(1), columns[0])
        cache.add(key(2), .attribute(1), columns[1])
        cache.add(key(1), .attribute(2), columns[2])
        let dictionaries = try columns.map { try dictionary($0) }
        let before = cache.byteCount
        for dictionary in dictionaries { #expect(dictionary.shared == nil) }
        let shared = try dictionaries.map { try #require($0.shared) }
        #expect((0...3).map { shared[0].codes[$0] } == [0, 1, 2, 3])
        #expect((0...3).map { shared[1].codes[$0] } == [0, 3, 4, 1])
        #expect(shared[0].texts === shared[1].texts && shared[0].texts !== shared[2].texts)
        #expect(shared[1].texts.text(4) == "d" && cache.byteCount > before)
        // What was forgotten is known anew, and those who hold the old texts keep them.
        cache.purge(segments: [2])
        let again = try #require(dictionaries[0].shared)
        #expect(again.texts !== shared[0].texts && shared[0].texts.text(1) == "a")
        cache.purge()
        #expect(cache.byteCount == 0)
    }

    @Test func sharedTextsKeepToABudget() throws {
        let cache = ColumnCache(budget: 800_000)
        var shared = 0
        for unit in 0..<20 {
            let column = texts((0..<400).map { "text \(unit) \($0) of a unit" })
            cache.add(key(1, UInt64(unit)), .attribute(1), column)
            _ = try dictionary(column).shared
            shared += try dictionary(column).shared == nil ? 0 : 1
        }
        #expect(shared > 2 && shared < 20)
        for unit in 0..<200 { cache.add(key(2, UInt64(unit)), .sequence, column(10_000)) }
        _ = cache.find(key(2), [.sequence])
        #expect(cache.byteCount <= 800_000)
    }

    /// Whether shared or not, before or after: a text has one code.
    @Test func textsHaveOneCodeHoweverTheyCome() throws {
        let first = try dictionary(texts(["a", "b"]))
        let second = try dictionary(texts(["b", "c"]))
        let ledger = TextLedger(budget: 1 << 20)
        for dictionary in [first, second] {
            dictionary.share(ledger, .type)
            _ = dictionary.shared
        }
        let interner = ValueInterner()
        let own = interner.code(.text("b"))
        let codes = try #require(first.shared)
        #expect(interner.takes(codes))
        #expect(interner.code(shared: codes.codes[2]) == own)
        let a = interner.code(shared: codes.codes[1])
        #expect(interner.code(.text("a")) == a && a != own)
        let early = interner.code(.text("c"))
        let more = try #require(second.shared)
        #expect(interner.takes(more) && interner.code(shared: more.codes[2]) == early)
        #expect(interner.value(a) == .text("a") && interner.value(early) == .text("c"))
        // Of another generation.
        ledger.reset()
        let fresh = try #require(second.shared)
        #expect(!interner.takes(fresh) && interner.code(.text("b")) == own)
        let other = ValueInterner()
        #expect(other.takes(fresh))
        #expect(interner.code(other, other.code(shared: fresh.codes[1])) == own)
        let empty = ValueInterner()
        #expect(empty.value(empty.code(interner, a)) == .text("a"))
    }
}
