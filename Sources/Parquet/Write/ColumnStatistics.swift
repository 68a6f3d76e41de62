// Least and greatest value of a column chunk in the order that `TypeDefinedOrder` gives its type: signed for
// integers and times, unsigned for unsigned ones, byte by byte for texts and ids.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What a file says of a column chunk's values. Bounds are in PLAIN encoding, texts without their length.
package struct ParquetStatistics: Sendable, Equatable {
    package var minimum: [UInt8]?
    package var maximum: [UInt8]?
    package var nullCount: Int?
    /// Of doubles only.
    package var nanCount: Int?
    package var isExact = true

    package init(
        minimum: [UInt8]? = nil, maximum: [UInt8]? = nil, nullCount: Int? = nil, nanCount: Int? = nil
    ) {
        self.minimum = minimum
        self.maximum = maximum
        self.nullCount = nullCount
        self.nanCount = nanCount
    }
}

enum ColumnStatistics {
    /// Longer texts are no bounds: a file with many row groups would be all footer.
    static let textBytesMax = 64

    static func words(_ words: UnsafeBufferPointer<UInt64>, kind: ParquetKind) -> ParquetStatistics {
        var found = ParquetStatistics()
        switch kind {
        case .double: return doubles(words)
        case .bool, .unsigned:
            guard let (low, high) = bounds(words, { $0 }) else { return found }
            found.minimum = kind == .bool ? [UInt8(low)] : bytes(low)
            found.maximum = kind == .bool ? [UInt8(high)] : bytes(high)
        default:
            guard let (low, high) = bounds(words, { Int64(bitPattern: $0) }) else { return found }
            found.minimum = bytes(UInt64(bitPattern: low))
            found.maximum = bytes(UInt64(bitPattern: high))
        }
        return found
    }

    @inline(__always)
    private static func bounds<T: Comparable>(
        _ words: UnsafeBufferPointer<UInt64>, _ value: (UInt64) -> T
    ) -> (T, T)? {
        guard let first = words.first else { return nil }
        var low = value(first)
        var high = low
        for word in words {
            let next = value(word)
            low = min(low, next)
            high = max(high, next)
        }
        return (low, high)
    }

    /// Readers that do not know of `nan_count` would leave out row groups for what their bounds say, so a chunk with
    /// a NaN has none. Zeros widen to both signs, as the specification asks.
    private static func doubles(_ words: UnsafeBufferPointer<UInt64>) -> ParquetStatistics {
        var found = ParquetStatistics()
        var nans = 0
        var low = Double.infinity
        var high = -Double.infinity
        for word in words {
            let value = Double(bitPattern: word)
            if value.isNaN { nans += 1 }
            if value < low { low = value }
            if value > high { high = value }
        }
        found.nanCount = nans
        if nans > 0 || words.isEmpty { return found }
        // Of infinities alone nothing was less or greater than where the search began.
        found.minimum = bytes((low == 0 ? -0.0 : low).bitPattern)
        found.maximum = bytes((high == 0 ? 0.0 : high).bitPattern)
        return found
    }

    private static func bytes(_ word: UInt64) -> [UInt8] {
        withUnsafeBytes(of: word.littleEndian) { Array($0) }
    }

    /// Bounds of byte strings that `each` hands over.
    static func texts(_ each: ((UnsafeRawBufferPointer) -> Void) -> Void) -> ParquetStatistics {
        var low: UnsafeRawBufferPointer?
        var high: UnsafeRawBufferPointer?
        each { text in
            guard let least = low, let most = high else {
                low = text
                high = text
                return
            }
            if isLess(text, least) { low = text } else if isLess(most, text) { high = text }
        }
        guard let low, let high, low.count <= textBytesMax, high.count <= textBytesMax else {
            return ParquetStatistics()
        }
        return ParquetStatistics(minimum: Array(low), maximum: Array(high))
    }

    @inline(__always)
    private static func isLess(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        let common = min(a.count, b.count)
        if common > 0, let one = a.baseAddress, let other = b.baseAddress {
            let order = memcmp(one, other, common)
            if order != 0 { return order < 0 }
        }
        return a.count < b.count
    }
}
