// UUIDs from their 36 characters (RFC 9562), eight digits at a time: no table, no branch a digit.

import EventStoreCore

enum UUIDText {
    /// The id that stands at `start`, upper or lower case; `nil` for anything else. Reads 36 bytes.
    @inline(__always)
    static func parse(_ start: BytePointer) -> EventID? {
        guard start[8] == 0x2d, start[13] == 0x2d, start[18] == 0x2d, start[23] == 0x2d else { return nil }
        let first = word(start, 0, 4)
        let second = word(start, 9, 14)
        let third = word(start, 19, 24)
        let fourth = word(start, 28, 32)
        guard areDigits(first) & areDigits(second) & areDigits(third) & areDigits(fourth) == highBits else {
            return nil
        }
        return EventID(high: value(first) << 32 | value(second), low: value(third) << 32 | value(fourth))
    }

    private static var highBits: UInt64 { 0x8080_8080_8080_8080 }

    /// Four bytes from one place and four from another, the first lowest.
    @inline(__always)
    private static func word(_ start: BytePointer, _ low: Int, _ high: Int) -> UInt64 {
        let bytes = UnsafeRawPointer(start)
        return UInt64(bytes.loadUnaligned(fromByteOffset: low, as: UInt32.self).littleEndian)
            | UInt64(bytes.loadUnaligned(fromByteOffset: high, as: UInt32.self).littleEndian) << 32
    }

    /// The high bit of each byte that is a hexadecimal digit. No byte carries into the next.
    @inline(__always)
    private static func areDigits(_ word: UInt64) -> UInt64 {
        let ascii = word & 0x7f7f_7f7f_7f7f_7f7f
        let lower = ascii | 0x2020_2020_2020_2020
        // Adding 0x80 − c sets the high bit of every byte from c on.
        let digits = (ascii &+ 0x5050_5050_5050_5050) & ~(ascii &+ 0x4646_4646_4646_4646)
        let letters = (lower &+ 0x1f1f_1f1f_1f1f_1f1f) & ~(lower &+ 0x1919_1919_1919_1919)
        return (digits | letters) & ~word & highBits
    }

    /// The number eight digits make, the lowest byte's digit first.
    @inline(__always)
    private static func value(_ word: UInt64) -> UInt64 {
        let nibbles = (word & 0x0f0f_0f0f_0f0f_0f0f) &+ 9 &* ((word >> 6) & 0x0101_0101_0101_0101)
        let bytes = (nibbles << 4 | nibbles >> 8) & 0x00ff_00ff_00ff_00ff
        let pairs = (bytes << 8 | bytes >> 16) & 0x0000_ffff_0000_ffff
        return (pairs << 16 | pairs >> 32) & 0xffff_ffff
    }
}
