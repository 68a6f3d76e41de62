// Keys of a join's hash table: values that SQL may call equal, whatever affinities convert them, have one key.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Numbers, and text that looks like one, by their 15 significant digits (what SQLite prints of a double); other
/// text by its bytes. Different values may share a key; SQLite compares them again.
enum JoinKey: Hashable {
    case number(UInt64)
    case decimal(Bool, UInt64, Int)
    case text(Text)

    /// `nil` for NULL, which equals nothing.
    init?(_ value: SQLValue) {
        switch value {
        case .null: return nil
        case .integer(let number):
            self = number.magnitude < 1_000_000_000_000_000 ? Self.exact(Double(number)) : Self.rounded(Double(number))
        case .double(let number): self = Self.rounded(number)
        case .text(let text):
            let number = text.withBytes { RealPrefix($0) }
            self = number.isWhole ? Self.rounded(number.value) : .text(text)
        }
    }

    private static func exact(_ number: Double) -> JoinKey { .number((number + 0).bitPattern) }

    private static func rounded(_ number: Double) -> JoinKey {
        if number.magnitude < 1e15, number == number.rounded(.towardZero) { return exact(number) }
        guard number.isFinite else { return .text(number > 0 ? "Inf" : "-Inf") }
        // d.dddddddddddddde±xx; the point is the locale's.
        var digits: UInt64 = 0
        var exponent = 0
        var isExponent = false
        var isSmall = false
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 48) { buffer in
            let count = withVaList([number.magnitude]) { vsnprintf(buffer.baseAddress, 48, "%.14e", $0) }
            for char in buffer.prefix(max(0, Int(count))) {
                switch UInt8(bitPattern: char) {
                case UInt8(ascii: "e"): isExponent = true
                case UInt8(ascii: "-"): isSmall = true
                case let digit where digit >= 0x30 && digit <= 0x39:
                    if isExponent {
                        exponent = exponent * 10 + Int(digit - 0x30)
                    } else {
                        digits = digits * 10 + UInt64(digit - 0x30)
                    }
                default: break
                }
            }
        }
        if isSmall { exponent = -exponent }
        if (0..<15).contains(exponent) {
            let unit = (0..<(14 - exponent)).reduce(UInt64(1)) { power, _ in power * 10 }
            if digits % unit == 0 {
                return exact(Double(digits / unit) * (number < 0 ? -1 : 1))
            }
        }
        return .decimal(number < 0, digits, exponent)
    }
}
