// A value of a result as this suite compares it: by kind, by bits and by bytes.

import EventStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One value. `==` is identity: an integer is no real, text goes by its bytes (`String` would find composed and
/// decomposed letters equal), reals by their bits.
enum Cell: Hashable, Sendable, CustomStringConvertible {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)

    init(_ value: QueryValue) {
        switch value {
        case .null: self = .null
        case .integer(let number): self = .integer(number)
        case .double(let number): self = .real(number)
        case .text(let text): self = .text(text)
        }
    }

    /// As SQL sees the value of an attribute.
    init(_ value: AttributeValue?) {
        switch value {
        case nil: self = .null
        case .string(let text), .json(let text): self = .text(text)
        case .integer(let number): self = .integer(number)
        case .double(let number): self = .real(number)
        case .bool(let flag): self = .integer(flag ? 1 : 0)
        }
    }

    var queryValue: QueryValue {
        switch self {
        case .null: .null
        case .integer(let number): .integer(number)
        case .real(let number): .double(number)
        case .text(let text): .text(text)
        }
    }

    static func == (a: Cell, b: Cell) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.integer(let a), .integer(let b)): a == b
        case (.real(let a), .real(let b)): a.bitPattern == b.bitPattern
        case (.text(let a), .text(let b)): order(a, b) == 0
        default: false
        }
    }

    func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .integer(let number): hasher.combine(number)
        case .real(let number): hasher.combine(number.bitPattern ^ 1)
        case .text(var text): text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    var description: String {
        switch self {
        case .null: "NULL"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)r"
        case .text(let text): text.utf8.count > 80 ? "'\(text.prefix(60))…'(\(text.utf8.count) bytes)" : "'\(text)'"
        }
    }
}

extension Cell {
    /// A form in which numbers that SQL finds equal are identical: what a group of 1 and 1.0 is called is open.
    var canonical: Cell {
        guard case .real(let number) = self, let whole = Int64(exactly: number) else { return self }
        return .integer(whole)
    }

    /// The number, if it is one.
    var number: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .real(let number): number
        default: nil
        }
    }

    /// SQLite's order of values: NULL, numbers, text by bytes. Below, at or above zero.
    static func sqlOrder(_ a: Cell, _ b: Cell) -> Int {
        switch (a, b) {
        case (.text(let a), .text(let b)): return order(a, b)
        case (.integer(let a), .integer(let b)): return a < b ? -1 : a > b ? 1 : 0
        default: break
        }
        if a.rank != b.rank { return a.rank - b.rank }
        guard let left = a.number, let right = b.number else { return 0 }
        if left != right { return left < right ? -1 : 1 }
        // Beyond 2^53 two different numbers can share a double.
        if case .integer(let whole) = a, let other = Int64(exactly: right) {
            return whole < other ? -1 : whole > other ? 1 : 0
        }
        if case .integer(let whole) = b, let other = Int64(exactly: left) {
            return other < whole ? -1 : other > whole ? 1 : 0
        }
        if case .integer = a { return -1 }
        if case .integer = b { return 1 }
        return 0
    }

    private var rank: Int {
        switch self {
        case .null: 0
        case .integer, .real: 1
        case .text: 2
        }
    }

    /// Order of two strings by their bytes.
    static func order(_ a: String, _ b: String) -> Int {
        var a = a
        var b = b
        return a.withUTF8 { a in
            b.withUTF8 { b in
                if let left = a.baseAddress, let right = b.baseAddress {
                    let order = memcmp(left, right, min(a.count, b.count))
                    if order != 0 { return Int(order) }
                }
                return a.count - b.count
            }
        }
    }
}
