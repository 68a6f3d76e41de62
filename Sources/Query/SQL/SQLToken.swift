// Tokens of a SQL text and the words that mean something to the grammar (sqlite.org/lang_keywords.html).

struct SQLToken {
    enum Kind {
        /// A name or keyword without quotes.
        case word
        /// A name in "…", `…` or […].
        case quotedName
        case string, integer, real, blob
        /// `:name`, `@name` or `$name`.
        case parameter
        case leftParen, rightParen, comma, semicolon, dot
        case star, slash, percent, plus, minus, concatenate
        case bitAnd, bitOr, bitNot, shiftLeft, shiftRight
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
        case arrow, doubleArrow
        case finish
    }

    var kind: Kind
    /// Of words alone.
    var keyword: SQLKeyword?
    /// Bytes of the text.
    var start: Int
    var end: Int

    var range: SourceRange { SourceRange(start, end) }
    var isName: Bool { kind == .word || kind == .quotedName }
}

/// Keywords with a place in the grammar of SELECT, and those that SQLite keeps for itself. Other keywords of SQLite
/// are names here as they are there ("fallback").
enum SQLKeyword: String, CaseIterable {
    case all, and, `as`, asc, between, by, `case`, cast, collate, cross, desc, distinct, `else`, end, escape, except
    case exists, explain, `false`, filter, first, from, full, glob, group, having, `in`, indexed, inner, insert
    case intersect, into, `is`, isnull, join, last, left, like, limit, match, natural, not, notnull, null, nulls
    case offset, on, or, order, outer, over, plan, query, raise, recursive, regexp, replace, right, select, then
    case `true`, union, using, values, when, `where`, window, with, delete, update
    case currentDate = "current_date"
    case currentTime = "current_time"
    case currentTimestamp = "current_timestamp"
    // Kept, and of no use in a SELECT.
    case add, alter, autoincrement, check, commit, constraint, create, `default`, deferrable, drop, foreign, index
    case nothing, primary, references, returning, set, table, to, transaction, unique

    /// Words that are a name wherever the grammar wants no keyword.
    private static let names: Set<SQLKeyword> = [
        .asc, .by, .desc, .end, .explain, .`false`, .filter, .first, .glob, .indexed, .last, .like, .match, .nulls,
        .offset, .over, .plan, .query, .recursive, .regexp, .replace, .`true`, .window, .with,
    ]
    /// Words that begin a join, and are names inside expressions.
    static let joins: Set<SQLKeyword> = [.cross, .full, .inner, .left, .natural, .outer, .right]

    /// Whether it cannot be a name in an expression.
    var isReserved: Bool { !SQLKeyword.names.contains(self) && !SQLKeyword.joins.contains(self) }
    /// Whether it can be an alias without AS.
    var isPlainName: Bool { SQLKeyword.names.contains(self) }

    private static let byText = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue, $0) })
    private static let longest = 17

    /// The keyword a word is, whatever its case.
    static func of(_ bytes: ArraySlice<UInt8>) -> SQLKeyword? {
        guard bytes.count <= longest else { return nil }
        return byText[String(decoding: bytes.map(ASCII.lowercased), as: UTF8.self)]
    }
}

/// Letters as SQLite sees them: case exists for A to Z alone.
enum ASCII {
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
    static func lowercased(_ text: String) -> String { String(decoding: text.utf8.map(lowercased), as: UTF8.self) }
    static func equal(_ a: String, _ b: String) -> Bool {
        a.utf8.count == b.utf8.count && a.utf8.elementsEqual(b.utf8) { lowercased($0) == lowercased($1) }
    }
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    static func isHexDigit(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 6 }
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte &- 9 < 5 && byte != 0x0b) }
    /// May begin a name: a letter, `_`, anything beyond ASCII.
    static func isNameStart(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 || byte == 0x5f || byte >= 0x80 }
    static func isNamePart(_ byte: UInt8) -> Bool { isNameStart(byte) || isDigit(byte) || byte == 0x24 }
}
