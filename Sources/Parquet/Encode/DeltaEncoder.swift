// DELTA_BINARY_PACKED of the Parquet specification (Encodings.md), after Lemire and Boytsov, "Decoding billions of
// integers per second through vectorization": differences to the value before, less their smallest, bit-packed.

import EventStoreCore

enum DeltaEncoder {
    static let blockValues = 128
    static let miniblocks = 4
    static let miniblockValues = 32

    /// Bytes the encoding takes, without its few bytes of header.
    static func byteCount(_ words: UnsafeBufferPointer<UInt64>) -> Int {
        var total = 0
        eachBlock(words) { start, count in
            let smallest = smallestDelta(words, start, count)
            total += ByteSink.varintBytes(UInt64(bitPattern: smallest << 1 ^ smallest >> 63)) + miniblocks
            for mini in stride(from: 0, to: count, by: miniblockValues) {
                let length = min(miniblockValues, count - mini)
                total += width(words, start + mini, length, less: smallest) * miniblockValues / 8
            }
        }
        return total
    }

    static func encode(_ words: UnsafeBufferPointer<UInt64>, into sink: inout ByteSink) {
        sink.varint(blockValues)
        sink.varint(miniblocks)
        sink.varint(words.count)
        sink.zigzag(words.isEmpty ? 0 : Int64(bitPattern: words[0]))
        eachBlock(words) { start, count in
            let smallest = smallestDelta(words, start, count)
            sink.zigzag(smallest)
            let widths = sink.count
            sink.integer(UInt32(0))
            for mini in stride(from: 0, to: count, by: miniblockValues) {
                let first = start + mini
                let length = min(miniblockValues, count - mini)
                let width = width(words, first, length, less: smallest)
                sink.base[widths + mini / miniblockValues] = UInt8(width)
                BitPacker.pack(count: length, paddedTo: miniblockValues, width: width, into: &sink) {
                    words[first + $0] &- words[first + $0 - 1] &- UInt64(bitPattern: smallest)
                }
            }
        }
    }

    /// Blocks of the values after the first one.
    @inline(__always)
    private static func eachBlock(_ words: UnsafeBufferPointer<UInt64>, _ body: (Int, Int) -> Void) {
        var start = 1
        while start < words.count {
            let count = min(blockValues, words.count - start)
            body(start, count)
            start += count
        }
    }

    @inline(__always)
    private static func smallestDelta(_ words: UnsafeBufferPointer<UInt64>, _ start: Int, _ count: Int) -> Int64 {
        var smallest = Int64.max
        for index in start..<start + count {
            smallest = min(smallest, Int64(bitPattern: words[index] &- words[index - 1]))
        }
        return smallest
    }

    /// Differences wrap around, and so do those of the reader.
    @inline(__always)
    private static func width(
        _ words: UnsafeBufferPointer<UInt64>, _ start: Int, _ count: Int, less smallest: Int64
    ) -> Int {
        var bits: UInt64 = 0
        for index in start..<start + count {
            bits |= words[index] &- words[index - 1] &- UInt64(bitPattern: smallest)
        }
        return 64 - bits.leadingZeroBitCount
    }
}
