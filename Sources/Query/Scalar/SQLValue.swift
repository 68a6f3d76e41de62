// Values of SQL: NULL, 64-bit integers, doubles and text, as SQLite has them. Booleans are 0 and 1.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Text that compares, hashes and sorts by its UTF-8 bytes, where `String` goes by Unicode equivalence.
package struct Text: Hashable, Comparable, Sendable, ExpressibleByStringLiteral {
    package let string: String

    @inline(__always)
    package init(_ string: String) {
        var native = string
        native.makeContiguousUTF8()
        self.string = native
    }

    package init(stringLiteral value: String) { self.init(value) }

    package init(_ bytes: UnsafeRawBufferPointer) {
        string = String(decoding: bytes, as: UTF8.self)
    }

    package var isEmpty: Bool { string.isEmpty }

    /// The bytes, for the time of the call.
    @inline(__always)
    package func withBytes<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
        var copy = string
        return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }

    /// Below, at or above zero, by bytes.
    package static func order(_ a: Text, _ b: Text) -> Int {
        a.withBytes { a in b.withBytes { b in Text.order(a, b) } }
    }

    package static func order(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        if let first = a.baseAddress, let second = b.baseAddress {
            let order = memcmp(first, second, min(a.count, b.count))
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }

    package static func == (a: Text, b: Text) -> Bool {
        a.string.utf8.count == b.string.utf8.count && order(a, b) == 0
    }
    package static func < (a: Text, b: Text) -> Bool { order(a, b) < 0 }
    package func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }
}

/// Equality is identity: `integer(1)` and `double(1)` differ here and are equal in SQL (`SQLValue.order`).
package enum SQLValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    case text(Text)

    package static func text(_ string: String) -> SQLValue { .text(Text(string)) }
    package var isNull: Bool { if case .null = self { true } else { false } }
}
