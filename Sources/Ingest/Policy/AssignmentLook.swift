// Credentials that are given a value within a text: `password=…`, `"token":"…"`, `Cookie: …`.
//
// At each `=` and `:` the name before it is looked at, at most 64 bytes back. Only names whose letters can be
// those of a credential are split into words, and a name that comes again and again is judged once.

import EventStoreCore

enum AssignmentLook {
    private static let nameBytesMax = 64

    static func isIn(_ value: UnsafeRawBufferPointer) -> Bool {
        var judged = Range(uncheckedBounds: (0, 0))
        for index in 1..<max(value.count, 1) {
            let byte = value[index]
            if byte == UInt8(ascii: "=") {
                guard let name = name(value, endingAt: index), isGiven(value, name, index + 1) else { continue }
                if judged.count == name.count, isSame(value, judged, name) { continue }
                if isCredential(value, name) { return true }
                judged = name
            } else if byte == UInt8(ascii: ":") {
                if isQuotedKey(value, index) || isHeader(value, index) { return true }
            }
        }
        return false
    }

    private static func isSame(_ value: UnsafeRawBufferPointer, _ a: Range<Int>, _ b: Range<Int>) -> Bool {
        value[a].elementsEqual(value[b])
    }

    /// The name that ends at a place; brackets of PHP's arrays (`user[password]`) belong to it.
    private static func name(_ value: UnsafeRawBufferPointer, endingAt end: Int) -> Range<Int>? {
        var start = end
        while start > 0, end - start < nameBytesMax {
            let byte = value[start - 1]
            guard ByteKind.isWord(byte) || "_-.[]".utf8.contains(byte) else { break }
            start -= 1
        }
        return end - start >= 3 ? start..<end : nil
    }

    /// Whether a value follows that could be a secret.
    private static func isGiven(_ value: UnsafeRawBufferPointer, _ name: Range<Int>, _ index: Int) -> Bool {
        guard index < value.count else { return false }
        switch value[index] {
        case 0...0x20, UInt8(ascii: "&"), UInt8(ascii: ";"), UInt8(ascii: ","), UInt8(ascii: ")"), UInt8(ascii: "="),
            UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "<"), UInt8(ascii: "{"):
            return false
        case UInt8(ascii: "/"), UInt8(ascii: "~"):
            // The shell's working directory.
            return !value.hasAnyCase("pwd", at: name.lowerBound) || name.count > 3
        default: return true
        }
    }

    private static func isCredential(_ value: UnsafeRawBufferPointer, _ name: Range<Int>) -> Bool {
        let bytes = UnsafeRawBufferPointer(rebasing: value[name])
        guard mayBe(bytes) else { return false }
        var text = Array(bytes)
        for index in text.indices where text[index] == UInt8(ascii: "[") || text[index] == UInt8(ascii: "]") {
            text[index] = UInt8(ascii: ".")
        }
        // Words that mean too much on their own.
        let word = String(decoding: text, as: UTF8.self).lowercased()
        if ["session", "sid", "pin", "salt", "token_type"].contains(word) { return false }
        let meaning = text.withUnsafeBytes { NameMeaning($0) }
        return meaning.text == .credential
    }

    /// Whether the letters of a credential's name are in it: cheap, and often no.
    private static func mayBe(_ name: UnsafeRawBufferPointer) -> Bool {
        guard name.count >= 3 else { return false }
        for index in 0..<(name.count - 2) {
            let a = UInt32(name[index] | 0x20)
            let b = UInt32(name[index + 1] | 0x20)
            let c = UInt32(name[index + 2] | 0x20)
            if signs.contains(a << 16 | b << 8 | c) { return true }
        }
        return false
    }

    private static let signs: Set<UInt32> = Set(
        [
            "pas", "pwd", "sec", "tok", "key", "aut", "coo", "ses", "non", "csr", "xsr", "jwt", "otp", "cod", "cre",
            "ken",
            "sen", "con", "bea", "cvv", "cvc", "sal", "mot", "num", "pan", "ver",
        ]
        .map { $0.utf8.reduce(0) { $0 << 8 | UInt32($1) } })

    // MARK: JSON and headers

    /// `"name":"value"`, quotes escaped or not.
    private static func isQuotedKey(_ value: UnsafeRawBufferPointer, _ colon: Int) -> Bool {
        var end = colon
        while end > 0, colon - end < 4, value[end - 1] == 0x20 { end -= 1 }
        guard end > 1, value[end - 1] == UInt8(ascii: "\"") else { return false }
        end -= 1
        if value[end - 1] == UInt8(ascii: "\\") { end -= 1 }
        var start = end
        while start > 0, end - start < nameBytesMax, value[start - 1] != UInt8(ascii: "\"") { start -= 1 }
        guard end - start >= 3, start > 0, value[start - 1] == UInt8(ascii: "\"") else { return false }
        var next = colon + 1 + value.run(from: colon + 1, max: 4) { $0 == 0x20 }
        guard next < value.count else { return false }
        if ByteKind.isDigit(value[next]) { return isCredential(value, start..<end) }
        if value[next] == UInt8(ascii: "\\") { next += 1 }
        guard value.has("\"", at: next), next + 1 < value.count, value[next + 1] != UInt8(ascii: "\""),
            value[next + 1] != UInt8(ascii: "*")
        else { return false }
        return isCredential(value, start..<end)
    }

    private static let headers: [StaticString] = [
        "cookie", "set-cookie", "authorization", "proxy-authorization", "x-api-key", "x-auth-token", "x-csrf-token",
        "x-wp-nonce",
    ]

    /// A header that carries a credential, at the start of a line.
    private static func isHeader(_ value: UnsafeRawBufferPointer, _ colon: Int) -> Bool {
        guard colon + 2 < value.count, value[colon + 1] == 0x20, value[colon + 2] > 0x20 else { return false }
        return headers.contains { header in
            let start = colon - header.utf8CodeUnitCount
            guard value.hasAnyCase(header, at: start) else { return false }
            return start == 0 || value[start - 1] <= 0x20 || "'\"[(,".utf8.contains(value[start - 1])
        }
    }
}
