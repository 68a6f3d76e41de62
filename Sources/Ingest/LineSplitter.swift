// Where lines end. In CSV a line feed between quotes ends none: whether one is between quotes is told by the
// number of quotes before it in its record, odd or even, as RFC 4180 doubles quotes within quotes.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

struct LineSplitter {
    let hasQuotes: Bool

    /// Just behind the last line feed that ends a line. The bytes start with a line.
    func lastLineEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var isInQuotes = hasQuotes && LineSplitter.count(0x22, bytes) & 1 == 1
        guard let base = bytes.baseAddress else { return nil }
        var end = bytes.count
        while let found = LineSplitter.last(0x0a, base, end) {
            if hasQuotes {
                let behind = UnsafeRawBufferPointer(start: base + found, count: end - found)
                if LineSplitter.count(0x22, behind) & 1 == 1 { isInQuotes.toggle() }
            }
            if !isInQuotes { return found + 1 }
            end = found
        }
        return nil
    }

    /// Just behind the first line feed that ends a line.
    /// - Parameter inQuotes: whether the bytes start between quotes; afterwards whether what is left does.
    func firstLineEnd(_ bytes: UnsafeRawBufferPointer, inQuotes: inout Bool) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        var start = 0
        while start < bytes.count {
            let found = memchr(base + start, 0x0a, bytes.count - start)
            let end = found.map { UnsafeRawPointer($0) - base } ?? bytes.count
            if hasQuotes {
                let line = UnsafeRawBufferPointer(start: base + start, count: end - start)
                if LineSplitter.count(0x22, line) & 1 == 1 { inQuotes.toggle() }
            }
            if found == nil { return nil }
            if !inQuotes { return end + 1 }
            start = end + 1
        }
        return nil
    }

    /// The place of the last byte of this value before `end`. (`memrchr` is not everywhere.)
    private static func last(_ byte: UInt8, _ base: UnsafeRawPointer, _ end: Int) -> Int? {
        var position = end
        while position > 0 {
            position -= 1
            if base.load(fromByteOffset: position, as: UInt8.self) == byte { return position }
        }
        return nil
    }

    /// How many bytes have this value.
    static func count(_ byte: UInt8, _ bytes: UnsafeRawBufferPointer) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        var sum = 0
        var offset = 0
        while bytes.count - offset >= 8 {
            let word = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ pattern
            // The high bit of each byte that is not 0 (exact: no carry crosses a byte).
            let others = (((word & 0x7f7f_7f7f_7f7f_7f7f) &+ 0x7f7f_7f7f_7f7f_7f7f) | word) & 0x8080_8080_8080_8080
            sum &+= 8 &- others.nonzeroBitCount
            offset += 8
        }
        while offset < bytes.count {
            if base.load(fromByteOffset: offset, as: UInt8.self) == byte { sum += 1 }
            offset += 1
        }
        return sum
    }
}
