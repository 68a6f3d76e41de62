/// A Swift source taken apart into its code and its comments, so that rules can look at one without
/// being misled by the other. Both are as long as the source, byte for byte, line for line: what does not
/// belong is replaced by spaces. The text of string literals is in neither; code interpolated into a
/// string is code.
///
/// It knows line comments, nested block comments, strings (single-line, multi-line, raw, with nested
/// interpolation) and extended regex literals (`#/…/#`). It does not know bare regex literals (`/…/`). An
/// unterminated single-line string ends at its line, so that one surprise cannot spoil a whole file.
struct SwiftText {
    private(set) var code: [UInt8]
    private(set) var comments: [UInt8]
    /// Offset of the first byte of each line.
    let lineStarts: [Int]

    private let source: [UInt8]
    private var position = 0
    private var modes: [Mode] = [.code(parentheses: nil)]

    private enum Mode {
        /// `parentheses` counts the open ones inside an interpolation; `nil` outside of strings.
        case code(parentheses: Int?)
        case string(hashes: Int, multiline: Bool)
    }

    init(_ text: String) {
        source = Array(text.utf8)
        code = source.map { $0 == Ascii.newline ? $0 : Ascii.space }
        comments = code
        var starts = [0]
        for (offset, byte) in source.enumerated() where byte == Ascii.newline { starts.append(offset + 1) }
        lineStarts = starts
        while position < source.count { step() }
    }

    /// Lines as an editor counts them: a newline at the very end starts no further one.
    var lineCount: Int { source.last == Ascii.newline ? lineStarts.count - 1 : lineStarts.count }

    /// The 1-based line of an offset.
    func line(at offset: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while low + 1 < high {
            let middle = (low + high) / 2
            if lineStarts[middle] <= offset { low = middle } else { high = middle }
        }
        return low + 1
    }

    func codeLine(_ line: Int) -> String { text(of: code, line: line) }
    func commentLine(_ line: Int) -> String { text(of: comments, line: line) }

    private func text(of bytes: [UInt8], line: Int) -> String {
        let start = lineStarts[line - 1]
        let end = line < lineStarts.count ? lineStarts[line] - 1 : bytes.count
        return String(decoding: bytes[start..<max(start, end)], as: UTF8.self).trimmed
    }

    // MARK: Scanning

    private mutating func step() {
        switch modes[modes.count - 1] {
        case .code(let parentheses): stepCode(parentheses)
        case .string(let hashes, let multiline): stepString(hashes, multiline)
        }
    }

    private mutating func stepCode(_ parentheses: Int?) {
        if matches("//") { return takeLineComment() }
        if matches("/*") { return takeBlockComment() }
        let hashes = run(of: Ascii.hash, from: position)
        switch peek(hashes) {
        case Ascii.quote?: return openString(hashes)
        case Ascii.slash? where hashes > 0: return takeRegex(hashes)
        default: break
        }
        let byte = source[position]
        code[position] = byte
        position += 1
        guard let open = parentheses else { return }
        if byte == Ascii.openParenthesis { modes[modes.count - 1] = .code(parentheses: open + 1) }
        if byte == Ascii.closeParenthesis {
            if open == 1 { modes.removeLast() } else { modes[modes.count - 1] = .code(parentheses: open - 1) }
        }
    }

    private mutating func stepString(_ hashes: Int, _ multiline: Bool) {
        let byte = source[position]
        if byte == Ascii.backslash, run(of: Ascii.hash, from: position + 1) >= hashes {
            if peek(1 + hashes) == Ascii.openParenthesis {
                code[position + 1 + hashes] = Ascii.openParenthesis
                modes.append(.code(parentheses: 1))
            }
            position += 2 + hashes
        } else if byte == Ascii.quote, matches(multiline ? "\"\"\"" : "\""),
            run(of: Ascii.hash, from: position + (multiline ? 3 : 1)) >= hashes
        {
            code[position] = byte
            position += (multiline ? 3 : 1) + hashes
            modes.removeLast()
        } else {
            if byte == Ascii.newline, !multiline { modes.removeLast() }
            position += 1
        }
    }

    private mutating func openString(_ hashes: Int) {
        code[position] = Ascii.quote
        position += hashes
        // Three quotes open a multi-line string only at the end of a line; `#"""#` is one quote in a raw string.
        var end = position + 3
        while end < source.count, source[end] == Ascii.space { end += 1 }
        let multiline = matches("\"\"\"") && (end >= source.count || source[end] == Ascii.newline)
        position += multiline ? 3 : 1
        modes.append(.string(hashes: hashes, multiline: multiline))
    }

    private mutating func takeLineComment() {
        while position < source.count, source[position] != Ascii.newline { takeCommentByte() }
    }

    private mutating func takeBlockComment() {
        var depth = 0
        repeat {
            if matches("/*") {
                depth += 1
                takeCommentByte()
            } else if matches("*/") {
                depth -= 1
                takeCommentByte()
            }
            takeCommentByte()
        } while depth > 0 && position < source.count
    }

    private mutating func takeCommentByte() {
        guard position < source.count else { return }
        comments[position] = source[position]
        position += 1
    }

    private mutating func takeRegex(_ hashes: Int) {
        position += hashes + 1
        while position < source.count {
            let byte = source[position]
            position += byte == Ascii.backslash ? 2 : 1
            if byte == Ascii.slash, run(of: Ascii.hash, from: position) >= hashes {
                position += hashes
                return
            }
        }
    }

    // MARK: Looking ahead

    private func peek(_ distance: Int) -> UInt8? {
        position + distance < source.count ? source[position + distance] : nil
    }

    private func matches(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + count <= source.count else { return false }
        return (0..<count).allSatisfy { source[position + $0] == text.utf8Start[$0] }
    }

    private func run(of byte: UInt8, from start: Int) -> Int {
        var end = start
        while end < source.count, source[end] == byte { end += 1 }
        return end - start
    }
}

enum Ascii {
    static let newline = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let hash = UInt8(ascii: "#")
    static let quote = UInt8(ascii: "\"")
    static let slash = UInt8(ascii: "/")
    static let backslash = UInt8(ascii: "\\")
    static let openParenthesis = UInt8(ascii: "(")
    static let closeParenthesis = UInt8(ascii: ")")
}

extension String {
    var trimmed: String {
        var view = self[...]
        while let first = view.first, first.isWhitespace { view.removeFirst() }
        while let last = view.last, last.isWhitespace { view.removeLast() }
        return String(view)
    }
}
