// Bloom filters (Bloom 1970) of a block's ids and of its string columns with many values.
//
// A filter is an array of 64-bit words of a power of two or any number of bits m; key hash h sets bits
// (h1 + i·h2) mod-free as in Kirsch and Mitzenmacher, "Less hashing, same performance" (2006): bit i is the
// high half of (h1 + i·h2 mod 2^32) · m. The hash is FNV-1a over the bytes, finished with a 64-bit mixer
// (splitmix64's), so that it is the same on every machine and for ever.

import EventStoreCore

enum BloomFilter {
    /// String columns with fewer distinct values have no filter.
    static let entriesMin = 1024
    static let bitsPerKey = 6
    static let hashCount = 4

    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return mix(state)
    }

    static func hash(_ id: EventID) -> UInt64 { mix(mix(id.high) ^ id.low) }

    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        var state = value &+ 0x9e37_79b9_7f4a_7c15
        state = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
        state = (state ^ state >> 27) &* 0x94d0_49bb_1331_11eb
        return state ^ state >> 31
    }

    /// Bytes of a filter of `bits` bits, a multiple of 8.
    static func byteCount(bits: Int) -> Int { bits / 8 }

    /// Appends a filter of `count` keys to `sink`; returns its bits.
    static func make(count: Int, into sink: inout ByteSink, hash: (Int) -> UInt64) -> Int {
        let bits = (count * bitsPerKey + 7) & ~7
        let target = sink.extend(bits / 8)
        for index in 0..<bits / 8 { target[index] = 0 }
        for key in 0..<count {
            let value = hash(key)
            for round in 0..<hashCount {
                let bit = place(value, round, bits)
                target[bit >> 3] |= 1 << UInt8(bit & 7)
            }
        }
        return bits
    }

    static func mightContain(_ hash: UInt64, in filter: UnsafeRawBufferPointer) -> Bool {
        let bits = filter.count * 8
        for round in 0..<hashCount {
            let bit = place(hash, round, bits)
            if filter[bit >> 3] & 1 << UInt8(bit & 7) == 0 { return false }
        }
        return true
    }

    @inline(__always)
    private static func place(_ hash: UInt64, _ round: Int, _ bits: Int) -> Int {
        let first = UInt32(truncatingIfNeeded: hash)
        let second = UInt32(truncatingIfNeeded: hash >> 32) | 1
        let mixed = first &+ UInt32(round) &* second
        return Int((UInt64(mixed) &* UInt64(bits)) >> 32)
    }
}
