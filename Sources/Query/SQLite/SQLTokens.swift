// The words of an SQL text, as far as they matter to what may be pushed down: no parser, SQLite has one.

import EventStoreCore

/// A text cut into tokens as sqlite.org/lang.html does: words and quoted names in lower case, `'` for any string,
/// digits for numbers, symbols of one character. Comments and white space are gone.
struct SQLTokens {
    private(set) var tokens: [String] = []

    init(_ text: String) {
        let bytes = Array(text.utf8)
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            let following = at + 1 < bytes.count ? bytes[at + 1] : 0
            if byte == UInt8(ascii: "-"), following == byte {
                at = Self.end(of: [UInt8(ascii: "\n")], in: bytes, from: at + 2)
            } else if byte == UInt8(ascii: "/"), following == UInt8(ascii: "*") {
                at = Self.end(of: Array("*/".utf8), in: bytes, from: at + 2)
            } else if let close = Self.closing(byte) {
                let (content, next) = Self.quoted(bytes, from: at + 1, close: close)
                tokens.append(byte == UInt8(ascii: "'") ? "'" : content.lowercased())
                at = next
            } else if Self.isWord(byte) {
                let start = at
                while at < bytes.count, Self.isWord(bytes[at]) { at += 1 }
                tokens.append(String(decoding: bytes[start..<at], as: UTF8.self).lowercased())
            } else {
                if byte > 0x20 { tokens.append(String(UnicodeScalar(byte))) }
                at += 1
            }
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...: true
        default: false
        }
    }

    private static func closing(_ open: UInt8) -> UInt8? {
        switch open {
        case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"): open
        case UInt8(ascii: "["): UInt8(ascii: "]")
        default: nil
        }
    }

    private static func end(of mark: [UInt8], in bytes: [UInt8], from start: Int) -> Int {
        var at = start
        while at + mark.count <= bytes.count {
            if bytes[at] == mark[0], mark.count == 1 || bytes[at + 1] == mark[1] { return at + mark.count }
            at += 1
        }
        return bytes.count
    }

    /// What stands up to the closing quote (a doubled one stands for itself), and where to go on.
    private static func quoted(_ bytes: [UInt8], from start: Int, close: UInt8) -> (String, Int) {
        var content: [UInt8] = []
        var at = start
        while at < bytes.count {
            if bytes[at] == close {
                guard close != UInt8(ascii: "]"), at + 1 < bytes.count, bytes[at + 1] == close else {
                    return (String(decoding: content, as: UTF8.self), at + 1)
                }
                at += 1
            }
            content.append(bytes[at])
            at += 1
        }
        return (String(decoding: content, as: UTF8.self), at)
    }
}

/// What a statement's text says about the affinities its comparisons may have (sqlite.org/datatype3.html).
struct StatementTraits {
    /// No `CAST`: a literal is then without affinity, and SQLite tells which right sides are literals.
    let hasCast: Bool
    /// Compound SELECTs give columns whose values need not fit their affinity.
    let isCompound: Bool
    /// The list of some `IN` comes from a SELECT, whose column may have an affinity.
    let selectsLists: Bool
    /// A comparison may have another order of text. SQLite makes `a = x COLLATE NOCASE OR a = y` a plain `a IN (x, y)`.
    let hasCollation: Bool
    /// Rows may be told apart by their rowid: scans of an `OR`, outer joins to the right, a mention of it.
    let needsRowNumbers: Bool
    /// Names given to results that are times: `time_bucket(…) AS day`.
    let timeNames: Set<String>

    init(_ text: String) {
        let tokens = SQLTokens(text).tokens
        hasCast = tokens.contains("cast")
        isCompound = !Set(tokens).isDisjoint(with: ["union", "intersect", "except", "values"])
        hasCollation = tokens.contains("collate")
        needsRowNumbers = !Set(tokens).isDisjoint(with: ["or", "right", "full", "rowid", "oid", "_rowid_"])
        selectsLists = tokens.indices.contains { index in
            guard tokens[index] == "in" else { return false }
            var after = index + 1
            guard after < tokens.count, tokens[after] == "(" else { return true }
            while after < tokens.count, tokens[after] == "(" { after += 1 }
            return after < tokens.count && ["select", "with", "values"].contains(tokens[after])
        }
        timeNames = Self.timeNames(tokens)
    }

    /// Whether an expression without a name of its own gives a time.
    static func isTime(expression: String) -> Bool {
        let tokens = SQLTokens(expression).tokens
        return endOfTime(tokens, 0) == tokens.count
    }

    private static func timeNames(_ tokens: [String]) -> Set<String> {
        var names: Set<String> = []
        for index in tokens.indices {
            guard var after = endOfTime(tokens, index), after < tokens.count else { continue }
            let isNamed = tokens[after] == "as"
            if isNamed { after += 1 }
            guard after < tokens.count else { continue }
            let next = after + 1 < tokens.count ? tokens[after + 1] : ""
            if isNamed || next == "," || next == "from" { names.insert(tokens[after]) }
        }
        return names
    }

    /// The index after a call that gives a time and begins at `index`.
    private static func endOfTime(_ tokens: [String], _ index: Int) -> Int? {
        guard index + 2 < tokens.count, tokens[index + 1] == "(" else { return nil }
        var depth = 0
        var close = index + 1
        while close < tokens.count {
            if tokens[close] == "(" { depth += 1 }
            if tokens[close] == ")" { depth -= 1 }
            if depth == 0 { break }
            close += 1
        }
        guard close < tokens.count else { return nil }
        switch tokens[index] {
        case "time_bucket", "date_trunc": return close + 1
        case "min", "max", "first", "last":
            var inside = tokens[(index + 2)..<close]
            if inside.count > 2, inside[inside.startIndex + 1] == "." { inside = inside.dropFirst(2) }
            guard let name = inside.first, name == "timestamp" || name == "received" else { return nil }
            let next = inside.dropFirst().first
            return next == nil || next == "," ? close + 1 : nil
        default: return nil
        }
    }
}
