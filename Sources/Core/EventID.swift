/// A 16-byte event id (RFC 9562 UUID), kept as two big-endian halves so that comparing halves is
/// comparing bytes.
@frozen
@usableFromInline
package struct EventID: Hashable, Sendable, Comparable, BitwiseCopyable {
    @usableFromInline package var high: UInt64
    @usableFromInline package var low: UInt64

    @inlinable
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    @inlinable
    package static func < (a: EventID, b: EventID) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }

    /// Parses the 36-character form, upper or lower case; `nil` for anything else.
    package init?(text: UnsafeRawBufferPointer) {
        guard text.count == 36 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        var bad: UInt8 = 0
        var position = 0
        while position < 36 {
            let byte = text[position]
            if position == 8 || position == 13 || position == 18 || position == 23 {
                if byte != 0x2d { return nil }
                position += 1
                continue
            }
            let digit = EventID.hexDigit[Int(byte)]
            bad |= digit
            if position < 18 { high = high << 4 | UInt64(digit & 15) } else { low = low << 4 | UInt64(digit & 15) }
            position += 1
        }
        if bad & 0xf0 != 0 { return nil }
        self.init(high: high, low: low)
    }

    package init?(_ text: String) {
        var text = text
        guard let parsed = text.withUTF8({ EventID(text: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = parsed
    }

    /// Makes a UUIDv8 of 16 bytes of a hash (version and variant bits are set, the rest kept).
    package static func version8(hash: EventID) -> EventID {
        EventID(
            high: hash.high & 0xffff_ffff_ffff_0fff | 0x8000,
            low: hash.low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000)
    }

    /// Writes the 36 lower-case characters at `target`.
    package func write(to target: UnsafeMutablePointer<UInt8>) {
        var position = 0
        for nibble in 0..<32 {
            if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
                target[position] = 0x2d
                position += 1
            }
            let word = nibble < 16 ? high : low
            let digit = UInt8(truncatingIfNeeded: word >> UInt64((15 - nibble & 15) * 4)) & 15
            target[position] = digit < 10 ? 0x30 + digit : 0x57 + digit
            position += 1
        }
    }

    package var text: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            write(to: buffer.baseAddress!)
            return 36
        }
    }

    /// 0–15 for a hex digit, 0xff otherwise.
    private static let hexDigit: [UInt8] = (0..<256).map { code in
        switch UInt8(code) {
        case 0x30...0x39: UInt8(code) - 0x30
        case 0x41...0x46: UInt8(code) - 0x41 + 10
        case 0x61...0x66: UInt8(code) - 0x61 + 10
        default: 0xff
        }
    }
}
