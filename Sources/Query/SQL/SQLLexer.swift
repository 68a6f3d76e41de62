// From bytes to tokens, by the rules of SQLite's tokenizer (sqlite.org/src/file/src/tokenize.c describes them).

import EventStoreCore

struct SQLLexer {
    private let source: SQLSource
    private let bytes: [UInt8]
    private var position = 0
    private var tokens: [SQLToken] = []

    /// All tokens of a text, without white space and comments, and `finish` after them.
    static func tokens(_ source: SQLSource) throws(Fault) -> [SQLToken] {
        var lexer = SQLLexer(source: source, bytes: source.bytes)
        while try lexer.next() {}
        return lexer.tokens
    }

    private init(source: SQLSource, bytes: [UInt8]) {
        self.source = source
        self.bytes = bytes
    }

    private func byte(_ ahead: Int = 0) -> UInt8 { position + ahead < bytes.count ? bytes[position + ahead] : 0 }

    private mutating func add(_ kind: SQLToken.Kind, _ count: Int) {
        tokens.append(SQLToken(kind: kind, start: position, end: position + count))
        position += count
    }

    private mutating func next() throws(Fault) -> Bool {
        skipBlanks()
        guard position < bytes.count else {
            add(.finish, 0)
            return false
        }
        let first = byte()
        if (first | 0x20) == 0x78, byte(1) == 0x27 {
            try blob()
        } else if ASCII.isNameStart(first) {
            word()
        } else if ASCII.isDigit(first) || (first == 0x2e && ASCII.isDigit(byte(1))) {
            try number()
        } else if let (kind, count) = mark(first, byte(1)) {
            add(kind, kind == .arrow && byte(2) == 0x3e ? 3 : count)
            if tokens[tokens.count - 1].end - tokens[tokens.count - 1].start == 3 {
                tokens[tokens.count - 1].kind = .doubleArrow
            }
        } else {
            try quotedOrParameter(first)
        }
        return true
    }

    /// White space, `-- …`, `/* … */` (which may lack its end) and byte-order marks.
    private mutating func skipBlanks() {
        while position < bytes.count {
            if ASCII.isSpace(byte()) {
                position += 1
            } else if byte() == 0x2d, byte(1) == 0x2d {
                while position < bytes.count, byte() != 0x0a { position += 1 }
            } else if byte() == 0x2f, byte(1) == 0x2a {
                position += 2
                while position < bytes.count, !(byte() == 0x2a && byte(1) == 0x2f) { position += 1 }
                position = min(position + 2, bytes.count)
            } else if byte() == 0xef, byte(1) == 0xbb, byte(2) == 0xbf {
                position += 3
            } else {
                return
            }
        }
    }

    private func mark(_ first: UInt8, _ second: UInt8) -> (SQLToken.Kind, Int)? {
        switch first {
        case UInt8(ascii: "("): (.leftParen, 1)
        case UInt8(ascii: ")"): (.rightParen, 1)
        case UInt8(ascii: ","): (.comma, 1)
        case UInt8(ascii: ";"): (.semicolon, 1)
        case UInt8(ascii: "."): (.dot, 1)
        case UInt8(ascii: "*"): (.star, 1)
        case UInt8(ascii: "/"): (.slash, 1)
        case UInt8(ascii: "%"): (.percent, 1)
        case UInt8(ascii: "+"): (.plus, 1)
        case UInt8(ascii: "-"): second == UInt8(ascii: ">") ? (.arrow, 2) : (.minus, 1)
        case UInt8(ascii: "&"): (.bitAnd, 1)
        case UInt8(ascii: "~"): (.bitNot, 1)
        case UInt8(ascii: "|"): second == UInt8(ascii: "|") ? (.concatenate, 2) : (.bitOr, 1)
        case UInt8(ascii: "="): (.equal, second == UInt8(ascii: "=") ? 2 : 1)
        case UInt8(ascii: "!"): second == UInt8(ascii: "=") ? (.notEqual, 2) : nil
        case UInt8(ascii: "<"): less(second)
        case UInt8(ascii: ">"): greater(second)
        default: nil
        }
    }

    private func less(_ second: UInt8) -> (SQLToken.Kind, Int) {
        switch second {
        case UInt8(ascii: "="): (.lessOrEqual, 2)
        case UInt8(ascii: ">"): (.notEqual, 2)
        case UInt8(ascii: "<"): (.shiftLeft, 2)
        default: (.less, 1)
        }
    }

    private func greater(_ second: UInt8) -> (SQLToken.Kind, Int) {
        switch second {
        case UInt8(ascii: "="): (.greaterOrEqual, 2)
        case UInt8(ascii: ">"): (.shiftRight, 2)
        default: (.greater, 1)
        }
    }

    private mutating func word() {
        var end = position
        while end < bytes.count, ASCII.isNamePart(bytes[end]) { end += 1 }
        let keyword = SQLKeyword.of(bytes[position..<end])
        add(.word, end - position)
        tokens[tokens.count - 1].keyword = keyword
    }

    private mutating func number() throws(Fault) {
        var end = position
        func digits(_ isDigit: (UInt8) -> Bool) {
            while end < bytes.count, isDigit(bytes[end]) { end += 1 }
        }
        var kind = SQLToken.Kind.integer
        if byte() == 0x30, byte(1) | 0x20 == 0x78, ASCII.isHexDigit(byte(2)) {
            end += 2
            digits(ASCII.isHexDigit)
        } else {
            digits(ASCII.isDigit)
            if end < bytes.count, bytes[end] == 0x2e {
                kind = .real
                end += 1
                digits(ASCII.isDigit)
            }
            if let exponent = exponentDigits(at: end) {
                kind = .real
                end = exponent
                digits(ASCII.isDigit)
            }
        }
        if end < bytes.count, ASCII.isNamePart(bytes[end]) {
            digits(ASCII.isNamePart)
            throw source.fault(position, "'\(source.text(position, end))' is neither a number nor a name")
        }
        add(kind, end - position)
    }

    /// Where the digits of an exponent begin, if one stands here.
    private func exponentDigits(at start: Int) -> Int? {
        guard start < bytes.count, bytes[start] | 0x20 == 0x65 else { return nil }
        var index = start + 1
        if index < bytes.count, bytes[index] == 0x2b || bytes[index] == 0x2d { index += 1 }
        return index < bytes.count && ASCII.isDigit(bytes[index]) ? index : nil
    }

    private mutating func blob() throws(Fault) {
        var end = position + 2
        while end < bytes.count, ASCII.isHexDigit(bytes[end]) { end += 1 }
        guard end < bytes.count, bytes[end] == 0x27, (end - position) % 2 == 0 else {
            throw source.fault(position, "a blob is written x'…' with an even number of hexadecimal digits")
        }
        add(.blob, end + 1 - position)
    }

    private mutating func quotedOrParameter(_ first: UInt8) throws(Fault) {
        switch first {
        case 0x27: try quoted(.string, until: 0x27, "a text that begins with ' has no end")
        case 0x22: try quoted(.quotedName, until: 0x22, "a name that begins with \" has no end")
        case 0x60: try quoted(.quotedName, until: 0x60, "a name that begins with ` has no end")
        case 0x5b: try quoted(.quotedName, until: 0x5d, "a name that begins with [ has no end")
        case UInt8(ascii: "?"):
            throw source.fault(position, "parameters have names here: write :name instead of ?")
        case UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "$"):
            var end = position + 1
            while end < bytes.count, ASCII.isNamePart(bytes[end]) { end += 1 }
            guard end > position + 1 else {
                throw source.fault(
                    position, "'\(Character(UnicodeScalar(first)))' must be followed by a parameter's name")
            }
            add(.parameter, end - position)
        default:
            let shown = first > 0x20 && first < 0x7f ? "'\(Character(UnicodeScalar(first)))'" : "byte \(first)"
            throw source.fault(position, "\(shown) has no meaning in SQL")
        }
    }

    private mutating func quoted(_ kind: SQLToken.Kind, until quote: UInt8, _ unfinished: String) throws(Fault) {
        var end = position + 1
        while end < bytes.count {
            if bytes[end] == quote {
                guard quote != 0x5d, end + 1 < bytes.count, bytes[end + 1] == quote else {
                    add(kind, end + 1 - position)
                    return
                }
                end += 1
            }
            end += 1
        }
        throw source.fault(position, unfinished)
    }
}
