/// A function, initializer, subscript or computed property with a body.
struct FunctionBody: Equatable {
    /// As Swift writes it: `append(_:at:)`, `init(_:)`, `deinit`, `count`.
    let name: String
    let line: Int
    /// Lines from the declaration to the closing brace.
    let lineCount: Int
}

/// Finds the functions of a file by matching braces over code from which strings and comments are gone.
/// A function inside another is found too, and counts in both.
struct FunctionScanner {
    private let text: SwiftText
    private let tokens: [Token]

    static func functions(in text: SwiftText) -> [FunctionBody] {
        FunctionScanner(text: text, tokens: Token.all(in: text.code)).scan()
    }

    private init(text: SwiftText, tokens: [Token]) {
        self.text = text
        self.tokens = tokens
    }

    private func scan() -> [FunctionBody] {
        tokens.indices.compactMap { index in
            guard let afterName = nameEnd(at: index), let open = bodyStart(from: afterName, keyword: index),
                let close = matchingBrace(open)
            else { return nil }
            let first = text.line(at: tokens[index].offset)
            let last = text.line(at: tokens[close].offset)
            return FunctionBody(name: name(at: index), line: first, lineCount: last - first + 1)
        }
    }

    /// The index after the keyword and the name of a declaration at `index`, or `nil` when none starts there.
    private func nameEnd(at index: Int) -> Int? {
        if tokens.text(index - 1) == "." { return nil }
        switch tokens[index].text {
        case "func":
            // An operator's name is punctuation: take all of it up to the parameters.
            var end = index + 1
            while end < tokens.count, tokens[end].text != "(", tokens.text(end + 1) != "<" { end += 1 }
            return tokens.text(end) == "(" ? end : end + 1
        case "init": return ["(", "<", "?", "!"].contains(tokens.text(index + 1)) ? index + 1 : nil
        case "subscript": return ["(", "<"].contains(tokens.text(index + 1)) ? index + 1 : nil
        case "deinit": return tokens.text(index + 1) == "{" ? index + 1 : nil
        case "var": return tokens.text(index + 2) == ":" ? index + 2 : nil
        default: return nil
        }
    }

    /// The brace that opens the body. `nil` for a requirement of a protocol, and for a stored property.
    private func bodyStart(from start: Int, keyword: Int) -> Int? {
        var depth = 0
        var index = start
        while index < tokens.count {
            let token = tokens[index]
            switch token.text {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "{" where depth == 0: return index
            case "}" where depth == 0, "=" where depth == 0 && tokens[keyword].text == "var": return nil
            default: break
            }
            if depth < 0 { return nil }
            if depth == 0, index > start, token.startsLine, endsHeader(token.text, keyword: tokens[keyword].text) {
                return nil
            }
            index += 1
        }
        return nil
    }

    /// Whether a line that begins with this word cannot belong to the declaration before it. The type of a
    /// property stands on one line, so after a `var` everything does.
    private func endsHeader(_ word: String, keyword: String) -> Bool {
        keyword == "var" || Self.headerEnds.contains(word)
    }

    private static let headerEnds: Set<String> = [
        "func", "init", "deinit", "subscript", "var", "let", "case", "static", "class", "struct", "enum", "extension",
        "protocol", "associatedtype", "typealias", "mutating", "nonmutating", "package", "public", "private",
        "fileprivate", "internal", "override", "final", "return", "@", "#",
    ]

    private func matchingBrace(_ open: Int) -> Int? {
        var depth = 0
        for index in open..<tokens.count {
            if tokens[index].text == "{" { depth += 1 }
            if tokens[index].text == "}" {
                depth -= 1
                if depth == 0 { return index }
            }
        }
        return nil
    }

    // MARK: Names

    private func name(at index: Int) -> String {
        switch tokens[index].text {
        case "func":
            let end = nameEnd(at: index) ?? index + 1
            let words = tokens[index + 1].isWord ? tokens[(index + 1)...(index + 1)] : tokens[(index + 1)..<end]
            return words.map(\.text).joined() + labels(from: end)
        case "var": return tokens.text(index + 1)
        case "deinit": return "deinit"
        default: return tokens[index].text + labels(from: index + 1)
        }
    }

    /// The argument labels of the parameter list that begins at or after `start`: `(_:at:)`.
    private func labels(from start: Int) -> String {
        guard var index = tokens[start...].firstIndex(where: { $0.text == "(" }) else { return "" }
        var labels = ""
        var depth = 0
        var expectsLabel = true
        repeat {
            let word = tokens[index].text
            switch word {
            case "(", "[", "{", "<": depth += 1
            case ")", "]", "}": depth -= 1
            // The second half of `->` closes nothing.
            case ">" where tokens.text(index - 1) != "-": depth -= 1
            case "," where depth == 1: expectsLabel = true
            case _ where depth == 1 && expectsLabel && tokens[index].isWord:
                labels += word + ":"
                expectsLabel = false
            default: break
            }
            index += 1
        } while depth > 0 && index < tokens.count
        return "(" + labels + ")"
    }
}
