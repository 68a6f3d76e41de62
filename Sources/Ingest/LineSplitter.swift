// Where lines end. In CSV a line feed between quotes ends none; only a quote at a field's start opens quotes,
// and a doubled one within does not close them (RFC 4180). `CSVRecord` follows the same rules.

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
        guard let base = bytes.baseAddress else { return nil }
        guard hasQuotes else { return LineSplitter.lastLineFeed(base, 0, bytes.count).map { $0 + 1 } }
        var lineEnd: Int?
        var position = 0
        while position < bytes.count {
            // From here to the next quoted field no line feed stands between quotes.
            let quote = LineSplitter.nextQuotedField(base, position, bytes.count) ?? bytes.count
            if let found = LineSplitter.lastLineFeed(base, position, quote) { lineEnd = found + 1 }
            guard quote < bytes.count, let close = LineSplitter.closingQuote(base, quote + 1, bytes.count) else {
                break
            }
            position = close + 1
        }
        return lineEnd
    }

    /// A quote at the start of a field.
    private static func nextQuotedField(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int? {
        var position = start
        while let found = memchr(base + position, 0x22, end - position) {
            let quote = UnsafeRawPointer(found) - base
            let before = quote == 0 ? 0x0a : base.load(fromByteOffset: quote - 1, as: UInt8.self)
            if before == 0x0a || before == 0x2c { return quote }
            position = quote + 1
        }
        return nil
    }

    /// The quote that closes a field: the first that is not doubled.
    private static func closingQuote(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int? {
        var position = start
        while position < end, let found = memchr(base + position, 0x22, end - position) {
            let quote = UnsafeRawPointer(found) - base
            guard quote + 1 < end, base.load(fromByteOffset: quote + 1, as: UInt8.self) == 0x22 else { return quote }
            position = quote + 2
        }
        return nil
    }

    /// Where in a record a walk stands that sees it in pieces.
    enum Place {
        case fieldStart
        case bare
        case quoted
        /// Behind a quote within quotes: the field's end or half of a doubled quote.
        case quote
    }

    /// Just behind the first line feed that ends a line.
    /// - Parameter place: where the bytes start; afterwards where what is left does.
    func firstLineEnd(_ bytes: UnsafeRawBufferPointer, _ place: inout Place) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        guard hasQuotes else {
            return memchr(base, 0x0a, bytes.count).map { UnsafeRawPointer($0) - base + 1 }
        }
        for (index, byte) in bytes.enumerated() {
            switch (place, byte) {
            case (.quoted, 0x22): place = .quote
            case (.quoted, _): break
            case (.quote, 0x22), (.fieldStart, 0x22): place = .quoted
            case (_, 0x0a):
                place = .fieldStart
                return index + 1
            case (_, 0x2c): place = .fieldStart
            default: place = .bare
            }
        }
        return nil
    }

    /// The place of the last line feed in a range. (`memrchr` is not everywhere.)
    private static func lastLineFeed(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int? {
        var position = end
        while position > start {
            position -= 1
            if base.load(fromByteOffset: position, as: UInt8.self) == 0x0a { return position }
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
