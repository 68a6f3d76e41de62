/// One word or one punctuation mark of Swift code, in the order of the source. Enough to recognise
/// declarations and calls; no attempt at a grammar.
struct Token: Equatable {
    let text: String
    let offset: Int
    /// True for the first token of its line.
    let startsLine: Bool

    var isWord: Bool { text.utf8.first.map(Token.isWordByte) ?? false }

    static func all(in code: [UInt8]) -> [Token] {
        var tokens: [Token] = []
        var position = 0
        var startsLine = true
        while position < code.count {
            let start = position
            position += 1
            if code[start] == Ascii.newline { startsLine = true }
            if code[start] <= Ascii.space { continue }
            if isWordByte(code[start]) {
                while position < code.count, isWordByte(code[position]) { position += 1 }
            }
            let text = String(decoding: code[start..<position], as: UTF8.self)
            tokens.append(Token(text: text, offset: start, startsLine: startsLine))
            startsLine = false
        }
        return tokens
    }

    /// Letters, digits, underscore, backtick (of an escaped name) and everything beyond ASCII.
    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "`"): true
        default: byte >= 0x80
        }
    }
}

extension [Token] {
    /// The text of a token, or an empty one beyond either end.
    func text(_ index: Int) -> String { indices.contains(index) ? self[index].text : "" }
}
