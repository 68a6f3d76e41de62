// Tokens that are recognised where they begin: keys of providers, `Bearer`, `Basic`, PEM, SQL verbs.
// Each is looked at over a bounded length; an SQL statement is scanned to its end once a value.

import EventStoreCore

enum TokenLook {
    /// Looks at what begins at `index`. The byte before it is no letter and no digit.
    @inline(never)
    static func look(
        _ value: UnsafeRawBufferPointer, _ index: Int, _ found: inout Looks, _ hasStatement: inout Bool
    ) {
        switch value[index] {
        case UInt8(ascii: "-"):
            if value.has("-----BEGIN ", at: index), index == 0 || value[index - 1] != UInt8(ascii: "-") {
                found.insert(.pem)
            }
        case UInt8(ascii: "B"), UInt8(ascii: "b"):
            if value.hasAnyCase("bearer ", at: index) {
                if isBearer(value, index + 7) { found.insert(.bearer) }
            } else if value.hasAnyCase("basic ", at: index), isBasic(value, index + 6) {
                found.insert(.basic)
            }
        case UInt8(ascii: "S"), UInt8(ascii: "I"), UInt8(ascii: "U"), UInt8(ascii: "D"):
            if !hasStatement, StatementLook.isVerb(value, index) {
                hasStatement = true
                if StatementLook.hasValues(value, from: index) { found.insert(.sql) }
            } else if isProviderKey(value, index) {
                found.insert(.providerKey)
            }
        default:
            if isProviderKey(value, index) { found.insert(.providerKey) }
        }
    }

    // MARK: Keys of providers

    private static let keyScanMax = 64

    private static func isKey(
        _ value: UnsafeRawBufferPointer, _ index: Int, _ prefix: StaticString, min: Int, _ isKind: (UInt8) -> Bool
    ) -> Bool {
        guard value.has(prefix, at: index) else { return false }
        return value.run(from: index + prefix.utf8CodeUnitCount, max: keyScanMax, isKind) >= min
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool { ByteKind.isLetter(byte) || ByteKind.isDigit(byte) }

    private static func isHex(_ byte: UInt8) -> Bool { ByteKind.isDigit(byte) || byte &- 0x61 < 6 }

    private static func isProviderKey(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        func key(_ prefix: StaticString, _ min: Int) -> Bool {
            isKey(value, index, prefix, min: min, ByteKind.isBase64URL)
        }
        func plain(_ prefix: StaticString, _ min: Int) -> Bool { isKey(value, index, prefix, min: min, isAlphanumeric) }
        switch value[index] {
        case UInt8(ascii: "A"): return isAmazonKey(value, index) || key("AIza", 30) || key("AGE-SECRET-KEY-1", 20)
        case UInt8(ascii: "g"):
            return plain("ghp_", 20) || plain("gho_", 20) || plain("ghu_", 20) || plain("ghs_", 20) || plain("ghr_", 20)
                || key("github_pat_", 20) || key("glpat-", 16)
        case UInt8(ascii: "x"): return isSlackKey(value, index)
        case UInt8(ascii: "s"):
            return plain("sk_live_", 10) || plain("sk_test_", 10) || key("shpat_", 20) || isSecretKey(value, index)
        case UInt8(ascii: "r"): return plain("rk_live_", 10) || plain("rk_test_", 10)
        case UInt8(ascii: "w"):
            return isKey(value, index, "whsec_", min: 8) { isAlphanumeric($0) || "+/=_-".utf8.contains($0) }
        case UInt8(ascii: "c"): return isStoreKey(value, index)
        case UInt8(ascii: "n"): return plain("npm_", 30)
        case UInt8(ascii: "h"): return plain("hf_", 30)
        case UInt8(ascii: "d"): return plain("dop_v1_", 40)
        case UInt8(ascii: "S"):
            return isKey(value, index, "SG.", min: 30) { ByteKind.isBase64URL($0) || $0 == UInt8(ascii: ".") }
        default: return false
        }
    }

    /// An access key id of AWS: a prefix of four and sixteen more capitals and digits.
    private static func isAmazonKey(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        guard
            value.has("AKIA", at: index) || value.has("ASIA", at: index) || value.has("ABIA", at: index)
                || value.has("ACCA", at: index)
        else { return false }
        let length = value.run(from: index + 4, max: 17) { $0 &- 0x41 < 26 || ByteKind.isDigit($0) }
        let end = index + 4 + length
        return length == 16 && (end == value.count || !isAlphanumeric(value[end]))
    }

    private static func isSlackKey(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        guard value.has("xox", at: index), value.count > index + 5, value[index + 4] == UInt8(ascii: "-") else {
            return false
        }
        return value.run(from: index + 5, max: keyScanMax, ByteKind.isBase64URL) >= 10
    }

    /// `sk-…`: long, with letters of both cases or digits, unlike words joined by hyphens.
    private static func isSecretKey(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        guard value.has("sk-", at: index) else { return false }
        let length = value.run(from: index + 3, max: keyScanMax, ByteKind.isBase64URL)
        guard length >= 20 else { return false }
        return isMixed(UnsafeRawBufferPointer(rebasing: value[(index + 3)..<(index + 3 + length)]))
    }

    /// Keys of WooCommerce: `ck_` or `cs_` and forty hex digits.
    private static func isStoreKey(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        isKey(value, index, "ck_", min: 40, isHex) || isKey(value, index, "cs_", min: 40, isHex)
    }

    // MARK: Headers

    /// Whether a word looks made by a machine: digits and letters, or capitals after small letters.
    private static func isMixed(_ word: UnsafeRawBufferPointer) -> Bool {
        var hasDigit = false
        var hasLetter = false
        var hasInnerCapital = false
        for (place, byte) in word.enumerated() {
            if ByteKind.isDigit(byte) { hasDigit = true }
            if ByteKind.isLetter(byte) { hasLetter = true }
            if place > 0, byte &- 0x41 < 26, word[place - 1] &- 0x61 < 26 { hasInnerCapital = true }
        }
        return hasDigit && hasLetter || hasInnerCapital
    }

    private static func isBearer(_ value: UnsafeRawBufferPointer, _ start: Int) -> Bool {
        let length = value.run(from: start, max: 256) {
            ByteKind.isBase64URL($0) || ".~+/".utf8.contains($0)
        }
        guard length >= 8 else { return false }
        // `Bearer error="…"`: what a server answers.
        if value.has("=\"", at: start + length) { return false }
        let word = UnsafeRawBufferPointer(rebasing: value[start..<(start + length)])
        return isMixed(word) || length >= 32
    }

    /// Whether base64 follows that decodes to text with a colon.
    private static func isBasic(_ value: UnsafeRawBufferPointer, _ start: Int) -> Bool {
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        var hasColon = false
        var decoded = 0
        for index in start..<min(value.count, start + 256) {
            guard let digit = base64(value[index]) else { break }
            bits = bits << 6 | digit
            bitCount += 6
            guard bitCount >= 8 else { continue }
            bitCount -= 8
            let byte = UInt8(truncatingIfNeeded: bits >> bitCount)
            guard byte >= 0x20, byte != 0x7f else { return false }
            if byte == UInt8(ascii: ":") { hasColon = true }
            decoded += 1
        }
        return hasColon && decoded >= 3
    }

    private static func base64(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - 0x41)
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - 0x61 + 26)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - 0x30 + 52)
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

/// Looks that begin with a byte that is rare anywhere: JSON Web Tokens at the `J` of `eyJ`, hashes at `$`.
enum RareLook {
    static func look(_ value: UnsafeRawBufferPointer) -> Looks {
        var found = Looks()
        // No token begins before this place: every run of its characters is walked once.
        var dead = 0
        for index in 0..<value.count {
            if value[index] == UInt8(ascii: "$"), isPasswordHash(value, index) { found.insert(.passwordHash) }
            guard value[index] == UInt8(ascii: "J"), index >= dead, value.has("eyJ", at: index - 2) else { continue }
            let header = value.run(from: index, max: .max, ByteKind.isBase64URL)
            dead = index + header
            guard header >= 8, dead < value.count, value[dead] == UInt8(ascii: ".") else { continue }
            let payload = value.run(from: dead + 1, max: .max, ByteKind.isBase64URL)
            if payload >= 4, value.has(".", at: dead + 1 + payload) || payload >= 16 { found.insert(.jwt) }
            dead += 1
        }
        return found
    }

    /// The hashes of crypt(3), phpass (WordPress), Drupal and argon2.
    private static func isPasswordHash(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        func isHash(_ byte: UInt8) -> Bool {
            ByteKind.isLetter(byte) || ByteKind.isDigit(byte) || "./$+=,-".utf8.contains(byte)
        }
        func has(_ prefix: StaticString, _ min: Int) -> Bool {
            value.has(prefix, at: index)
                && value.run(from: index + prefix.utf8CodeUnitCount, max: 64, isHash) >= min
        }
        return has("$2y$", 50) || has("$2a$", 50) || has("$2b$", 50) || has("$P$", 28) || has("$H$", 28)
            || has("$S$", 40) || has("$argon2", 30) || has("$wp$2y$", 50) || has("$6$", 50) || has("$5$", 40)
            || has("$1$", 24)
    }
}
