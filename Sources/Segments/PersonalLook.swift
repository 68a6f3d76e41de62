// Whether a value looks as if it could identify a person: an address of the network, a mail address, a UUID,
// a long run of hex digits or of decimal digits. Such values never join a vocabulary, whatever their attribute
// is called. Doubt counts as yes.

import EventStoreCore

enum PersonalLook {
    /// This many hex digits in a row (dashes between them do not count), one of them a digit at least, are
    /// taken for a hash, token or UUID.
    static let hexRunMin = 16
    /// A run of this many decimal digits is taken for a number of a person, account or telephone.
    static let digitRunMin = 9

    static func matches(_ text: StringRef) -> Bool {
        let bytes = text.bytes
        return hasRunOrMailSign(bytes) || hasDottedQuad(bytes) || hasColonAddress(bytes)
    }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    @inline(__always)
    private static func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 6 }

    @inline(__always)
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 26 }

    private static func hasRunOrMailSign(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var hexRun = 0
        var digitsAmongHex = 0
        var digitRun = 0
        for byte in bytes {
            if byte == UInt8(ascii: "@") { return true }
            digitRun = isDigit(byte) ? digitRun + 1 : 0
            if isHex(byte) {
                hexRun += 1
                if isDigit(byte) { digitsAmongHex += 1 }
            } else if byte != UInt8(ascii: "-") {
                hexRun = 0
                digitsAmongHex = 0
            }
            if digitRun >= digitRunMin || (hexRun >= hexRunMin && digitsAmongHex > 0) { return true }
        }
        return false
    }

    /// Four numbers up to 255 with dots between, unless they stand where a product's version does: behind a
    /// letter or behind a letter and a slash (`Chrome/118.0.0.0`).
    private static func hasDottedQuad(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 7 else { return false }
        for start in 0...bytes.count - 7 where isDigit(bytes[start]) {
            if start > 0, isAlphanumeric(bytes[start - 1]) || bytes[start - 1] == UInt8(ascii: ".") { continue }
            if start > 1, bytes[start - 1] == UInt8(ascii: "/"), isAlphanumeric(bytes[start - 2]) { continue }
            if isDottedQuad(bytes, from: start) { return true }
        }
        return false
    }

    private static func isDottedQuad(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Bool {
        var place = start
        for part in 0..<4 {
            var number = 0
            let first = place
            while place < bytes.count, isDigit(bytes[place]), place - first < 4 {
                number = number * 10 + Int(bytes[place] - 0x30)
                place += 1
            }
            guard place > first, number <= 255 else { return false }
            if part == 3 { return true }
            guard place < bytes.count, bytes[place] == UInt8(ascii: ".") else { return false }
            place += 1
        }
        return false
    }

    /// A word of hex digits, dots and at least two colons, as IPv6 addresses are.
    private static func hasColonAddress(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        while start < bytes.count {
            guard isHex(bytes[start]) || bytes[start] == UInt8(ascii: ":") else {
                start += 1
                continue
            }
            var end = start
            var colons = 0
            var digits = 0
            while end < bytes.count {
                let byte = bytes[end]
                if byte == UInt8(ascii: ":") { colons += 1 } else if isHex(byte) { digits += 1 } else { break }
                end += 1
            }
            let isFree =
                (start == 0 || !isAlphanumeric(bytes[start - 1])) && (end == bytes.count || !isAlphanumeric(bytes[end]))
            if colons >= 2, digits > 0, isFree { return true }
            start = end
        }
        return false
    }
}
