// Whether a value looks as if it could identify a person: an address of the network, a mail address, a UUID,
// a long run of hex digits or of decimal digits. Such values never join a vocabulary, whatever their attribute
// is called. Doubt counts as yes.

import EventStoreCore

enum PersonalLook {
    /// A run of this many hex digits, at least one of them a digit, is taken for a hash or token.
    static let hexRunMin = 16
    /// A run of this many decimal digits is taken for a number of a person, account or telephone.
    static let digitRunMin = 9

    static func matches(_ text: StringRef) -> Bool {
        var hexRun = 0
        var digitRun = 0
        var digitsInHexRun = 0
        var dottedNumbers = 0
        var colons = 0
        for index in 0..<text.count {
            let byte = text.base.load(fromByteOffset: index, as: UInt8.self)
            let isDigit = byte >= 0x30 && byte <= 0x39
            let letter = byte | 0x20
            if byte == 0x40 { return true }
            if isDigit || (letter >= 0x61 && letter <= 0x66) {
                hexRun += 1
                digitRun = isDigit ? digitRun + 1 : 0
                if isDigit { digitsInHexRun += 1 }
                if digitRun >= digitRunMin || (hexRun >= hexRunMin && digitsInHexRun > 0) { return true }
                continue
            }
            // Dashes inside a run do not end it: a UUID is one.
            if byte == 0x2d, hexRun >= 4 { continue }
            if byte == 0x3a { colons += hexRun > 0 || colons > 0 ? 1 : 0 } else if byte != 0x2e { colons = 0 }
            if colons >= 2 && isAddressLike(text) { return true }
            if byte == 0x2e, digitRun > 0, digitRun <= 3 { dottedNumbers += 1 }
            if byte != 0x2e { dottedNumbers = 0 }
            hexRun = 0
            digitRun = 0
            digitsInHexRun = 0
            if dottedNumbers >= 3, isWholeAddress(text) { return true }
        }
        return false
    }

    /// Only hex digits, colons and dots: an IPv6 address.
    private static func isAddressLike(_ text: StringRef) -> Bool {
        for index in 0..<text.count {
            let byte = text.base.load(fromByteOffset: index, as: UInt8.self)
            let letter = byte | 0x20
            let isHex = (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66)
            if !isHex && byte != 0x3a && byte != 0x2e && byte != 0x25 { return false }
        }
        return true
    }

    /// A dotted quad anywhere that is not part of a product's version: the text is nothing else than digits,
    /// dots, a port or a mask.
    private static func isWholeAddress(_ text: StringRef) -> Bool {
        for index in 0..<text.count {
            let byte = text.base.load(fromByteOffset: index, as: UInt8.self)
            let isAllowed = (byte >= 0x30 && byte <= 0x39) || byte == 0x2e || byte == 0x3a || byte == 0x2f
            if !isAllowed { return false }
        }
        return true
    }
}
