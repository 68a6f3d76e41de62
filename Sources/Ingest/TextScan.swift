// Finding the end of text quickly, and telling whether it is UTF-8.
//
// The scans read 8 bytes at a time (compares of SIMD vectors do not become vector code in every compiler
// this has to build with) from where they stand, without an end: the caller makes sure that a byte that stops them (a line feed at the latest) is ahead and that `padding` bytes behind it may be read.

import EventStoreCore

typealias BytePointer = UnsafePointer<UInt8>

enum TextScan {
    /// Bytes that must be readable behind the line feed that ends a line.
    static let padding = 64

    /// The first byte from `start` that is a quote, a backslash, a control character or not ASCII.
    @inline(__always)
    static func plainEnd(_ start: BytePointer) -> BytePointer {
        var position = UnsafeRawPointer(start)
        while true {
            let first = stops(position.loadUnaligned(as: UInt64.self))
            if first != 0 { return pointer(position, first) }
            let second = stops(position.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            if second != 0 { return pointer(position + 8, second) }
            position += 16
        }
    }

    /// The first byte from `start` that is `stop`, a backslash or not ASCII, at most `end`.
    @inline(__always)
    static func tokenEnd(_ start: BytePointer, _ stop: UInt8, _ end: BytePointer) -> BytePointer {
        let pattern = UInt64(stop) &* 0x0101_0101_0101_0101
        var position = UnsafeRawPointer(start)
        while position < UnsafeRawPointer(end) {
            let word = position.loadUnaligned(as: UInt64.self)
            let other = word ^ pattern
            let backslash = word ^ 0x5c5c_5c5c_5c5c_5c5c
            let stops = (other &- 0x0101_0101_0101_0101) & ~other | (backslash &- 0x0101_0101_0101_0101) & ~backslash
            let mask = (stops | word) & 0x8080_8080_8080_8080
            if mask != 0 { return min(pointer(position, mask), end) }
            position += 8
        }
        return end
    }

    /// The high bit of each byte of `word` that stops a scan; above the lowest such bit others may be set too.
    @inline(__always)
    private static func stops(_ word: UInt64) -> UInt64 {
        let quote = word ^ 0x2222_2222_2222_2222
        let backslash = word ^ 0x5c5c_5c5c_5c5c_5c5c
        let quotes = (quote &- 0x0101_0101_0101_0101) & ~quote
        let backslashes = (backslash &- 0x0101_0101_0101_0101) & ~backslash
        let controls = (word &- 0x2020_2020_2020_2020) & ~word
        return (quotes | backslashes | controls | word) & 0x8080_8080_8080_8080
    }

    @inline(__always)
    private static func pointer(_ position: UnsafeRawPointer, _ mask: UInt64) -> BytePointer {
        (position + mask.littleEndian.trailingZeroBitCount >> 3).assumingMemoryBound(to: UInt8.self)
    }

    /// The length of the UTF-8 sequence at `position` (RFC 3629: no overlong forms, no surrogates, nothing
    /// above U+10FFFF), 0 when it is none. Reads no byte behind the first that does not fit.
    @inline(__always)
    static func sequenceLength(_ position: BytePointer) -> Int {
        let lead = position[0]
        if lead < 0x80 { return 1 }
        if lead < 0xc2 { return 0 }
        let second = position[1]
        if lead < 0xe0 { return second & 0xc0 == 0x80 ? 2 : 0 }
        if lead < 0xf0 {
            let low: UInt8 = lead == 0xe0 ? 0xa0 : 0x80
            let high: UInt8 = lead == 0xed ? 0x9f : 0xbf
            guard second >= low, second <= high, position[2] & 0xc0 == 0x80 else { return 0 }
            return 3
        }
        guard lead < 0xf5 else { return 0 }
        let low: UInt8 = lead == 0xf0 ? 0x90 : 0x80
        let high: UInt8 = lead == 0xf4 ? 0x8f : 0xbf
        guard second >= low, second <= high, position[2] & 0xc0 == 0x80, position[3] & 0xc0 == 0x80 else { return 0 }
        return 4
    }

    /// Whether bytes with a known end are UTF-8.
    static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        var offset = 0
        while bytes.count - offset >= 8 {
            if base.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { break }
            offset += 8
        }
        while offset < bytes.count {
            let position = base.assumingMemoryBound(to: UInt8.self) + offset
            if position[0] < 0x80 {
                offset += 1
                continue
            }
            let needed = position[0] < 0xe0 ? 2 : position[0] < 0xf0 ? 3 : 4
            guard bytes.count - offset >= needed else { return false }
            let length = sequenceLength(position)
            if length == 0 { return false }
            offset += length
        }
        return true
    }

    /// The range without white space at its end (space, tab, carriage return).
    @inline(__always)
    static func trimmedEnd(_ start: BytePointer, _ end: BytePointer) -> BytePointer {
        var last = end
        while last > start, last[-1] == 0x20 || last[-1] == 0x09 || last[-1] == 0x0d { last -= 1 }
        return last
    }
}
