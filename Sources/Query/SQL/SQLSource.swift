// The text of a statement: its bytes, what stands where, and errors that say where.

import EventStoreCore

/// Why a statement is not native: it is wrong, or it is beyond the native subset and SQLite runs it.
enum ParseStop: Error {
    case fault(Fault)
    /// What it is that only SQLite does: "a join".
    case general(String)
}

struct SQLSource {
    let bytes: [UInt8]

    init(_ text: String) { bytes = Array(text.utf8) }

    func text(_ start: Int, _ end: Int) -> String { String(decoding: bytes[start..<end], as: UTF8.self) }
    func text(_ token: SQLToken) -> String { text(token.start, token.end) }

    /// The source of an expression without the white space around it.
    func trimmed(_ start: Int, _ end: Int) -> String {
        var first = start
        var last = end
        while first < last, ASCII.isSpace(bytes[first]) { first += 1 }
        while last > first, ASCII.isSpace(bytes[last - 1]) { last -= 1 }
        return text(first, last)
    }

    /// Name or text of a token without its quotes; doubled quotes become one.
    func content(_ token: SQLToken) -> String {
        switch token.kind {
        case .string, .quotedName:
            let quote = bytes[token.end - 1]
            var content: [UInt8] = []
            var index = token.start + 1
            while index < token.end - 1 {
                content.append(bytes[index])
                index += bytes[index] == quote && quote != 0x5d ? 2 : 1
            }
            return String(decoding: content, as: UTF8.self)
        case .parameter: return text(token.start + 1, token.end)
        default: return text(token)
        }
    }

    /// Line and column, both from 1; columns count characters.
    func position(_ offset: Int) -> (line: Int, column: Int) {
        let before = bytes[0..<min(max(offset, 0), bytes.count)]
        let line = before.reduce(1) { $1 == 0x0a ? $0 + 1 : $0 }
        let start = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
        return (line, String(decoding: before[start...], as: UTF8.self).count + 1)
    }

    /// An error at a byte of the text.
    func fault(_ offset: Int, _ message: String, code: Fault.Code = .invalid) -> Fault {
        let (line, column) = position(offset)
        return Fault(code, "line \(line), column \(column): \(message)", at: Fault.Place(offset: offset))
    }

    func stop(_ offset: Int, _ message: String, code: Fault.Code = .invalid) -> ParseStop {
        .fault(fault(offset, message, code: code))
    }

    /// What a message calls a token: its text in quotes, shortened.
    func name(of token: SQLToken) -> String {
        if token.kind == .finish { return "the end" }
        if token.kind == .string { return "the text " + shortened(text(token)) }
        return "'" + shortened(text(token)) + "'"
    }

    private func shortened(_ text: String) -> String {
        let first = text.prefix { !$0.isNewline }
        return first.count > 40 ? String(first.prefix(37)) + "…" : String(first)
    }
}
