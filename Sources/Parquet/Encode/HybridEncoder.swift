// The RLE / bit-packing hybrid of the Parquet specification (Encodings.md, "RLE = 3"): runs of one value, or groups
// of eight values packed from the least significant bit on.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum HybridEncoder {
    /// A run shorter than this is packed: a change of mode costs about as much.
    private static let runMin = 16

    /// Bits that hold every number up to `largest`.
    static func width(_ largest: Int) -> Int { Int.bitWidth - largest.leadingZeroBitCount }

    // MARK: Codes

    /// Codes of `width` bits each, 0 to 32.
    static func encode(_ codes: UnsafeBufferPointer<UInt32>, width: Int, into sink: inout ByteSink) {
        var literal = 0
        var position = 0
        while position < codes.count {
            let value = codes[position]
            var end = position + 1
            while end < codes.count, codes[end] == value { end += 1 }
            // Packed groups are of eight, so a run gives the last group what it lacks.
            let lacking = -(position - literal) & 7
            if end - position - lacking >= runMin {
                pack(codes, literal..<position + lacking, width: width, into: &sink)
                run(value, end - position - lacking, width: width, into: &sink)
                literal = end
            }
            position = end
        }
        pack(codes, literal..<codes.count, width: width, into: &sink)
    }

    private static func run(_ value: UInt32, _ count: Int, width: Int, into sink: inout ByteSink) {
        sink.varint(count << 1)
        for byte in 0..<(width + 7) / 8 { sink.u8(UInt8(truncatingIfNeeded: value >> UInt32(byte * 8))) }
    }

    private static func pack(
        _ codes: UnsafeBufferPointer<UInt32>, _ range: Range<Int>, width: Int, into sink: inout ByteSink
    ) {
        if range.isEmpty { return }
        let groups = (range.count + 7) / 8
        sink.varint(groups << 1 | 1)
        BitPacker.pack(count: range.count, paddedTo: groups * 8, width: width, into: &sink) {
            UInt64(codes[range.lowerBound + $0])
        }
    }

    // MARK: Levels

    /// Definition levels of a flat column are one bit each: the presence of the rows, 64 to a word. `range` is of
    /// rows and starts at a word. Words past the end of `presence` are zero.
    static func encodeLevels(
        _ presence: UnsafeBufferPointer<UInt64>, rows range: Range<Int>, into sink: inout ByteSink
    ) {
        assert(range.lowerBound & 63 == 0)
        let first = range.lowerBound >> 6
        let whole = range.count >> 6
        var literal = 0
        var position = 0
        func word(_ index: Int) -> UInt64 { first + index < presence.count ? presence[first + index] : 0 }
        while position < whole {
            let value = word(position)
            guard value == 0 || value == .max else {
                position += 1
                continue
            }
            var end = position + 1
            while end < whole, word(end) == value { end += 1 }
            packLevels(literal..<position, word, into: &sink)
            // A run may take the rows of the last, partial word with it.
            let rest = range.count & 63
            let isTail = end == whole && rest > 0 && word(whole) & mask(rest) == value & mask(rest)
            run(UInt32(value & 1), (end - position) * 64 + (isTail ? rest : 0), width: 1, into: &sink)
            if isTail { return }
            position = end
            literal = end
        }
        packLevels(literal..<whole, word, into: &sink)
        let rest = range.count & 63
        if rest == 0 { return }
        let groups = (rest + 7) / 8
        sink.varint(groups << 1 | 1)
        let tail = word(whole) & mask(rest)
        for group in 0..<groups { sink.u8(UInt8(truncatingIfNeeded: tail >> UInt64(group * 8))) }
    }

    private static func mask(_ bits: Int) -> UInt64 { (1 << UInt64(bits)) - 1 }

    private static func packLevels(_ range: Range<Int>, _ word: (Int) -> UInt64, into sink: inout ByteSink) {
        if range.isEmpty { return }
        sink.varint(range.count * 8 << 1 | 1)
        for index in range { sink.integer(word(index)) }
    }

    /// A run of one level, for a column without any value or without any null.
    static func encodeLevels(all level: UInt32, count: Int, into sink: inout ByteSink) {
        run(level, count, width: 1, into: &sink)
    }
}

/// Packs numbers of a fixed width one after the other, least significant bit first.
enum BitPacker {
    @inline(__always)
    static func pack(
        count: Int, paddedTo padded: Int, width: Int, into sink: inout ByteSink, _ value: (Int) -> UInt64
    ) {
        let byteCount = padded * width / 8
        let place = UnsafeMutableRawPointer(sink.extend(byteCount))
        // Whole words may be stored past the end: a sink has spare bytes there.
        var word: UInt64 = 0
        var filled = 0
        var offset = 0
        for index in 0..<count {
            let bits = value(index)
            word |= bits &<< UInt64(filled)
            filled += width
            if filled < 64 { continue }
            place.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
            offset += 8
            filled -= 64
            let used = width - filled
            word = used < 64 ? bits &>> UInt64(used) : 0
        }
        if filled > 0 {
            place.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        if offset < byteCount { memset(place + offset, 0, byteCount - offset) }
    }
}
