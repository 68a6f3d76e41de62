// The total order of SQL's values and what follows from it: equality of groups, hashing, truth.

import EventStoreCore

extension SQLValue {
    /// SQLite's order: NULL, then numbers, then text by bytes. Integers and doubles compare by their exact values.
    /// Below, at or above zero.
    package static func order(_ a: SQLValue, _ b: SQLValue) -> Int {
        switch (a, b) {
        case (.integer(let a), .integer(let b)): a < b ? -1 : a == b ? 0 : 1
        case (.double(let a), .double(let b)): a < b ? -1 : a == b ? 0 : 1
        case (.integer(let a), .double(let b)): order(a, b)
        case (.double(let a), .integer(let b)): -order(b, a)
        case (.text(let a), .text(let b)): Text.order(a, b)
        default: a.rank - b.rank
        }
    }

    /// An integer against a double, neither rounded.
    @inline(__always)
    package static func order(_ a: Int64, _ b: Double) -> Int {
        if b < -0x1p63 { return 1 }
        if b >= 0x1p63 { return -1 }
        let whole = Int64(b)
        if a != whole { return a < whole ? -1 : 1 }
        let rest = b - Double(whole)
        return rest > 0 ? -1 : rest < 0 ? 1 : 0
    }

    private var rank: Int {
        switch self {
        case .null: 0
        case .integer, .double: 1
        case .text: 2
        }
    }

    /// Whether both fall in one group: 1 and 1.0 do, and NULL with NULL.
    @inline(__always)
    package func isSame(as other: SQLValue) -> Bool { SQLValue.order(self, other) == 0 }

    /// Feeds equal bits for values that are the same.
    package func groupHash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0 as UInt8)
        case .integer(let number): Self.hash(number, into: &hasher)
        case .double(let number):
            if let whole = Int64(exactly: number) { return Self.hash(whole, into: &hasher) }
            hasher.combine(2 as UInt8)
            hasher.combine(number.bitPattern)
        case .text(let text):
            hasher.combine(3 as UInt8)
            text.hash(into: &hasher)
        }
    }

    private static func hash(_ number: Int64, into hasher: inout Hasher) {
        hasher.combine(1 as UInt8)
        hasher.combine(number)
    }

    /// As a condition: `nil` for NULL, text by the number it begins with.
    package var truth: Bool? {
        switch self {
        case .null: nil
        case .integer(let number): number != 0
        case .double(let number): number != 0
        case .text(let text): text.withBytes { RealPrefix($0).value != 0 }
        }
    }

    /// 0, 1 or NULL.
    @inline(__always)
    package init(truth: Bool?) {
        guard let truth else {
            self = .null
            return
        }
        self = .integer(truth ? 1 : 0)
    }

    @inline(__always)
    package init(_ truth: Bool) { self = .integer(truth ? 1 : 0) }

    /// A double that came out of a calculation: SQLite has no NaN.
    @inline(__always)
    static func real(_ number: Double) -> SQLValue { number.isNaN ? .null : .double(number) }
}

/// A value as a key of sets and dictionaries: 1 and 1.0 are one key.
package struct GroupKey: Hashable, Sendable {
    package let value: SQLValue
    package init(_ value: SQLValue) { self.value = value }
    package static func == (a: GroupKey, b: GroupKey) -> Bool { a.value.isSame(as: b.value) }
    package func hash(into hasher: inout Hasher) { value.groupHash(into: &hasher) }
}
