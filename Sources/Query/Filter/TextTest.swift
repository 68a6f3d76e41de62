#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A comparison of text with a literal, byte by byte. Used once per distinct value of a dictionary.
package struct TextTest: Sendable {
    package let comparison: Comparison
    package let pattern: [UInt8]

    package init(_ comparison: Comparison, _ pattern: [UInt8]) {
        self.comparison = comparison
        self.pattern = pattern
    }

    package func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        pattern.withUnsafeBytes { pattern in
            switch comparison {
            case .equal: text.count == pattern.count && TextTest.order(text, pattern) == 0
            case .notEqual: text.count != pattern.count || TextTest.order(text, pattern) != 0
            case .less: TextTest.order(text, pattern) < 0
            case .lessOrEqual: TextTest.order(text, pattern) <= 0
            case .greater: TextTest.order(text, pattern) > 0
            case .greaterOrEqual: TextTest.order(text, pattern) >= 0
            case .contains: TextTest.contains(text, pattern)
            case .startsWith: TextTest.hasPrefix(text, pattern)
            }
        }
    }

    /// Negative, zero or positive as `a` sorts before, with or after `b` by bytes.
    package static func order(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let common = min(a.count, b.count)
        if common > 0 {
            let result = memcmp(a.baseAddress!, b.baseAddress!, common)
            if result != 0 { return Int(result) }
        }
        return a.count - b.count
    }

    private static func hasPrefix(_ text: UnsafeRawBufferPointer, _ prefix: UnsafeRawBufferPointer) -> Bool {
        if prefix.isEmpty { return true }
        return text.count >= prefix.count && memcmp(text.baseAddress!, prefix.baseAddress!, prefix.count) == 0
    }

    private static func contains(_ text: UnsafeRawBufferPointer, _ part: UnsafeRawBufferPointer) -> Bool {
        if part.isEmpty { return true }
        guard text.count >= part.count, let base = text.baseAddress, let wanted = part.baseAddress else { return false }
        let first = Int32(part[0])
        var position = 0
        let last = text.count - part.count
        while position <= last {
            guard let hit = memchr(base + position, first, last - position + 1) else { return false }
            position = UnsafeRawPointer(hit) - base
            if memcmp(base + position, wanted, part.count) == 0 { return true }
            position += 1
        }
        return false
    }
}
