import EventStoreCore

/// Distinct 64-bit words and the number of each value among them, to find out whether a dictionary pays.
struct WordDictionary: ~Copyable {
    private(set) var distinct = GrowableBuffer<UInt64>()
    private(set) var codes = GrowableBuffer<UInt32>()
    /// Number + 1, 0 for a free slot; at most half full.
    private var slots = GrowableBuffer<UInt32>()
    private let seed = Hash.seed

    /// Takes all words, or gives up (`false`) once more than `limit` are distinct.
    mutating func build(_ words: UnsafeBufferPointer<UInt64>, distinctMax limit: Int) -> Bool {
        distinct.truncate(to: 0)
        codes.truncate(to: 0)
        codes.reserve(words.count)
        var size = 64
        while size < limit * 2 + 2 { size *= 2 }
        slots.truncate(to: 0)
        slots.resize(to: size, filling: 0)
        let table = slots.base
        let mask = size - 1
        for index in 0..<words.count {
            let word = words[index]
            var slot = Int(truncatingIfNeeded: Hash.mix(word, seed)) & mask
            while table[slot] != 0, distinct.base[Int(table[slot]) - 1] != word { slot = (slot + 1) & mask }
            if table[slot] == 0 {
                if distinct.count == limit { return false }
                // A sample that hardly repeats is enough to see that the rest will not either.
                if index == 4096, distinct.count > 3072 { return false }
                distinct.append(word)
                table[slot] = UInt32(distinct.count)
            }
            codes.append(table[slot] - 1)
        }
        return true
    }
}
