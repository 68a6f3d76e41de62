// The look of strings that pack into fewer bytes, and back. A form is used only when every value of a list
// has it and the text comes back byte for byte.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Borrowed bytes of one string. The memory belongs to a batch, a pack or an arena that outlives it.
@frozen
@usableFromInline
package struct StringRef: BitwiseCopyable {
    @usableFromInline package var base: UnsafeRawPointer
    @usableFromInline package var count: Int
    @inlinable
    package init(base: UnsafeRawPointer, count: Int) {
        self.base = base
        self.count = count
    }
    @inlinable package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}

// The tables are set once and never written again, hence `nonisolated(unsafe)`.
enum StringForms {
    /// 0–15 for a lower-case hex digit, 0xff otherwise.
    private nonisolated(unsafe) static let hexTable: UnsafePointer<UInt8> = {
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        table.update(repeating: 0xff, count: 256)
        for digit in 0..<10 { table[0x30 + digit] = UInt8(digit) }
        for digit in 0..<6 { table[0x61 + digit] = UInt8(10 + digit) }
        return UnsafePointer(table)
    }()

    // MARK: Lower-case hex of even length

    static func isHex(_ text: StringRef) -> Bool {
        guard text.count >= 2, text.count & 1 == 0 else { return false }
        let table = hexTable
        var bad: UInt8 = 0
        for index in 0..<text.count { bad |= table[Int(text.base.load(fromByteOffset: index, as: UInt8.self))] }
        return bad & 0xf0 == 0
    }

    /// Writes `text.count / 2` bytes.
    static func packHex(_ text: StringRef, into target: UnsafeMutablePointer<UInt8>) {
        let table = hexTable
        for index in 0..<text.count / 2 {
            let high = table[Int(text.base.load(fromByteOffset: index * 2, as: UInt8.self))]
            let low = table[Int(text.base.load(fromByteOffset: index * 2 + 1, as: UInt8.self))]
            target[index] = high << 4 | low
        }
    }

    /// Two digits of each byte, as they stand in memory.
    private nonisolated(unsafe) static let digitPairs: UnsafePointer<UInt16> = {
        let table = UnsafeMutablePointer<UInt16>.allocate(capacity: 256)
        for byte in 0..<256 { table[byte] = UInt16(digit(byte >> 4)) | UInt16(digit(byte & 15)) << 8 }
        return UnsafePointer(table)
    }()

    private static func digit(_ value: Int) -> UInt8 { UInt8(value < 10 ? 0x30 + value : 0x57 + value) }

    /// Writes `count * 2` characters.
    static func unpackHex(_ source: UnsafeRawPointer, count: Int, into target: UnsafeMutableRawPointer) {
        let pairs = digitPairs
        for index in 0..<count {
            let pair = pairs[Int(source.load(fromByteOffset: index, as: UInt8.self))]
            target.storeBytes(of: pair.littleEndian, toByteOffset: index * 2, as: UInt16.self)
        }
    }

    // MARK: IPv4

    static let ipv4BytesMax = 15

    /// The address of a canonical dotted quad (no leading zeros), or nil.
    static func ipv4(_ text: StringRef) -> UInt32? {
        guard text.count >= 7, text.count <= ipv4BytesMax else { return nil }
        var address: UInt32 = 0
        var octet: UInt32 = 0
        var digits = 0
        var dots = 0
        for index in 0..<text.count {
            let byte = text.base.load(fromByteOffset: index, as: UInt8.self)
            if byte == 0x2e {
                guard digits > 0, dots < 3 else { return nil }
                address = address << 8 | octet
                octet = 0
                digits = 0
                dots += 1
                continue
            }
            guard byte >= 0x30, byte <= 0x39, !(digits > 0 && octet == 0) else { return nil }
            octet = octet * 10 + UInt32(byte - 0x30)
            digits += 1
            guard octet <= 255, digits <= 3 else { return nil }
        }
        guard dots == 3, digits > 0 else { return nil }
        return address << 8 | octet
    }

    /// Text of each octet, four bytes each: up to three digits, then their number.
    private nonisolated(unsafe) static let octetText: UnsafePointer<UInt32> = {
        let table = UnsafeMutablePointer<UInt32>.allocate(capacity: 256)
        for octet in 0..<256 {
            let text = Array(String(octet).utf8)
            var word = UInt32(text.count) << 24
            for (index, byte) in text.enumerated() { word |= UInt32(byte) << UInt32(index * 8) }
            table[octet] = word
        }
        return UnsafePointer(table)
    }()

    /// Writes the dotted quad; `target` has 16 bytes. Returns its length.
    @inline(__always)
    static func writeIPv4(_ address: UInt32, into target: UnsafeMutableRawPointer) -> Int {
        let table = octetText
        var length = 0
        for shift: UInt32 in [24, 16, 8, 0] {
            let word = table[Int(address >> shift & 255)]
            let digits = Int(word >> 24)
            // Three bytes at most matter; the fourth is overwritten by the dot or lies past the end.
            for index in 0..<digits {
                target.storeBytes(
                    of: UInt8(truncatingIfNeeded: word >> UInt32(index * 8)), toByteOffset: length + index,
                    as: UInt8.self)
            }
            length += digits
            if shift != 0 {
                target.storeBytes(of: 0x2e, toByteOffset: length, as: UInt8.self)
                length += 1
            }
        }
        return length
    }

    // MARK: UUID

    static let uuidTextBytes = 36

    static func isUUID(_ text: StringRef) -> Bool {
        guard text.count == uuidTextBytes else { return false }
        let table = hexTable
        var bad: UInt8 = 0
        for index in 0..<uuidTextBytes {
            let byte = text.base.load(fromByteOffset: index, as: UInt8.self)
            if isDash(index) {
                if byte != 0x2d { return false }
            } else {
                bad |= table[Int(byte)]
            }
        }
        return bad & 0xf0 == 0
    }

    @inline(__always)
    private static func isDash(_ index: Int) -> Bool { index == 8 || index == 13 || index == 18 || index == 23 }

    /// Writes 16 bytes.
    static func packUUID(_ text: StringRef, into target: UnsafeMutablePointer<UInt8>) {
        let table = hexTable
        var nibbles = 0
        var byte: UInt8 = 0
        for index in 0..<uuidTextBytes where !isDash(index) {
            byte = byte << 4 | table[Int(text.base.load(fromByteOffset: index, as: UInt8.self))]
            nibbles += 1
            if nibbles & 1 == 0 { target[nibbles / 2 - 1] = byte }
        }
    }

    /// Writes 36 characters.
    static func unpackUUID(_ source: UnsafeRawPointer, into target: UnsafeMutableRawPointer) {
        var place = 0
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                target.storeBytes(of: 0x2d, toByteOffset: place, as: UInt8.self)
                place += 1
            }
            unpackHex(source + index, count: 1, into: target + place)
            place += 2
        }
    }
}
