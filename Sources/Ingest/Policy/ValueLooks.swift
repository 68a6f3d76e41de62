// What a value looks like, whatever its name: one pass over its bytes, and more only where that pass saw a sign.
//
// Every scan is linear in the value's length: a token is looked at where it begins and over a bounded length, or
// with a bound that moves forward only. Formats of keys are those their makers publish.

import EventStoreCore

/// What was seen in a value.
struct Looks: OptionSet, Hashable, Sendable {
    let rawValue: UInt32

    /// JSON Web Token (RFC 7519), or a signed part of one.
    static let jwt = Looks(rawValue: 1 << 0)
    /// `Bearer …` (RFC 6750).
    static let bearer = Looks(rawValue: 1 << 1)
    /// `Basic …` with user and password (RFC 7617).
    static let basic = Looks(rawValue: 1 << 2)
    /// A key as cloud and payment providers form them.
    static let providerKey = Looks(rawValue: 1 << 3)
    /// `-----BEGIN …`
    static let pem = Looks(rawValue: 1 << 4)
    /// The hash of a password, as crypt(3), WordPress and Drupal write them.
    static let passwordHash = Looks(rawValue: 1 << 5)
    /// `scheme://user:password@host`.
    static let userinfo = Looks(rawValue: 1 << 6)
    /// `password=…`, `"token":"…"`, `Cookie: …` within a text.
    static let assignment = Looks(rawValue: 1 << 7)
    static let email = Looks(rawValue: 1 << 8)
    static let html = Looks(rawValue: 1 << 9)
    /// Many lines, long, and no stack trace.
    static let longText = Looks(rawValue: 1 << 10)
    /// A part of a form sent as `multipart/form-data`.
    static let formPart = Looks(rawValue: 1 << 11)
    /// An SQL statement with values in it.
    static let sql = Looks(rawValue: 1 << 12)
    /// Serialised by PHP, as WordPress keeps its options.
    static let serialized = Looks(rawValue: 1 << 13)
    /// There is a `?` or a `#`.
    static let query = Looks(rawValue: 1 << 14)
    /// In every value: for columns whose values have to be looked at one by one.
    static let any = Looks(rawValue: 1 << 15)

    static let credentials: Looks = [.jwt, .bearer, .basic, .providerKey, .pem, .passwordHash, .userinfo, .assignment]
    static let bodies: Looks = [.html, .longText, .formPart]
    static let databases: Looks = [.sql, .serialized]

    /// Stable words for reports, in order of their bits.
    private static let words = [
        "jwt", "bearer", "basic", "provider-key", "pem", "password-hash", "userinfo", "assignment", "email", "html",
        "long-text", "form-part", "sql", "serialized",
    ]

    /// The word of the first look; `nil` when nothing was seen.
    var word: String? {
        let seen = rawValue & 0x3fff
        return seen == 0 ? nil : Looks.words[seen.trailingZeroBitCount]
    }
}

/// Looks at values. Belongs to one thread: it keeps a table, not a state.
struct ValueScanner: ~Copyable {
    // What a byte may be the sign of.
    private static let word: UInt8 = 1
    private static let start: UInt8 = 2
    private static let at: UInt8 = 4
    private static let mark: UInt8 = 8
    private static let pair: UInt8 = 16
    private static let query: UInt8 = 32
    private static let rare: UInt8 = 64
    private static let escape: UInt8 = 128

    private var flags = GrowableBuffer<UInt8>(capacity: 256)

    init() {
        flags.resize(to: 256, filling: 0)
        for byte in 0..<256 where ByteKind.isWord(UInt8(byte)) { flags[byte] = ValueScanner.word }
        add("ABbSsgxwrcIUDnhd-", ValueScanner.start)
        add("@%", ValueScanner.at)
        add("<\n", ValueScanner.mark)
        add("=:", ValueScanner.pair)
        add("?#", ValueScanner.query)
        add("J$", ValueScanner.rare)
        add("\\", ValueScanner.escape)
    }

    private mutating func add(_ bytes: StaticString, _ flag: UInt8) {
        for index in 0..<bytes.utf8CodeUnitCount { flags[Int(bytes.utf8Start[index])] |= flag }
    }

    /// What the value looks like.
    func looks(_ value: UnsafeRawBufferPointer) -> Looks {
        var (found, seen) = scan(value)
        if seen & ~(ValueScanner.word | ValueScanner.start) != 0 { found.formUnion(lookAgain(value, seen)) }
        if seen & ValueScanner.escape != 0, let plain = JSONEscapes.resolved(value) {
            let (inside, seen) = plain.withUnsafeBytes { scan($0) }
            found.formUnion(inside)
            plain.withUnsafeBytes { found.formUnion(lookAgain($0, seen)) }
        }
        if value.count > 3, value[1] == UInt8(ascii: ":"), Serialized.begins(value) { found.insert(.serialized) }
        return found
    }

    /// The pass over every byte.
    @inline(__always)
    private func scan(_ value: UnsafeRawBufferPointer) -> (found: Looks, seen: UInt8) {
        guard let base = value.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return ([.any], 0) }
        let table = flags.base
        var found: Looks = .any
        var seen: UInt8 = 0
        var previous: UInt8 = 0
        var hasStatement = false
        for index in 0..<value.count {
            let flag = table[Int(base[index])]
            seen |= flag
            if flag & ValueScanner.start != 0, previous & ValueScanner.word == 0 {
                TokenLook.look(value, index, &found, &hasStatement)
            }
            previous = flag
        }
        if seen & ValueScanner.query != 0 { found.insert(.query) }
        return (found, seen)
    }

    @inline(never)
    private func lookAgain(_ value: UnsafeRawBufferPointer, _ seen: UInt8) -> Looks {
        var found = Looks()
        if seen & ValueScanner.at != 0, EmailLook.next(in: value, from: 0) != nil { found.insert(.email) }
        if seen & ValueScanner.rare != 0 { found.formUnion(RareLook.look(value)) }
        if seen & ValueScanner.pair != 0 {
            if AssignmentLook.isIn(value) { found.insert(.assignment) }
            if seen & ValueScanner.at != 0, UserinfoLook.isIn(value) { found.insert(.userinfo) }
        }
        if seen & ValueScanner.mark != 0 { found.formUnion(TextLook.look(value)) }
        return found
    }
}

/// Kinds of bytes.
enum ByteKind {
    @inline(__always)
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    @inline(__always)
    static func isWord(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) || byte >= 0x80 }
    @inline(__always)
    static func isBase64URL(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}

extension UnsafeRawBufferPointer {
    /// Whether a text stands at a place.
    @inline(__always)
    func has(_ text: StaticString, at index: Int) -> Bool {
        guard index >= 0, count - index >= text.utf8CodeUnitCount else { return false }
        for offset in 0..<text.utf8CodeUnitCount where self[index + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// The same, whatever the case; `text` is in lower case.
    func hasAnyCase(_ text: StaticString, at index: Int) -> Bool {
        guard index >= 0, count - index >= text.utf8CodeUnitCount else { return false }
        for offset in 0..<text.utf8CodeUnitCount {
            let byte = self[index + offset]
            let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
            if lower != text.utf8Start[offset] { return false }
        }
        return true
    }

    /// How many bytes from a place on are of a kind, at most `max`.
    @inline(__always)
    func run(from index: Int, max: Int, _ isKind: (UInt8) -> Bool) -> Int {
        var length = 0
        while length < max, index + length < count, isKind(self[index + length]) { length += 1 }
        return length
    }
}
