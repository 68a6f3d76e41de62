/// What may not be written, and what must be: calls that trap on data, unproven claims about threads, files
/// without a purpose, leftovers, paths of somebody's machine.
enum TextRules {
    static func checkSwift(_ file: SwiftFile) -> [Finding] {
        bannedCalls(file) + uncheckedSendable(file) + purpose(file)
    }

    // MARK: Banned calls

    private static func bannedCalls(_ file: SwiftFile) -> [Finding] {
        let isLibrary = !file.room.isEmpty && file.room != "CLI"
        return file.tokens.indices.compactMap { index in
            let token = file.tokens[index]
            let next = file.tokens.text(index + 1)
            let isMember = file.tokens.text(index - 1) == "."
            let touchesNext =
                file.tokens.indices.contains(index + 1)
                && file.tokens[index + 1].offset == token.offset + token.text.utf8.count
            switch token.text {
            case "try" where next == "!" && touchesNext:
                return file.finding(at: token, "`try!` traps on an error; handle it or pass it on")
            case "as" where next == "!" && touchesNext:
                return file.finding(at: token, "`as!` traps on another type; use `as?` and say what happens otherwise")
            case "unsafelyUnwrapped" where isMember:
                return file.finding(
                    at: token, "`unsafelyUnwrapped` is undefined behaviour when wrong; use `!` or `guard`")
            case "fatalError" where next == "(" && isLibrary && !isMember:
                return file.finding(at: token, "bad data throws a Fault; broken code traps with `preconditionFailure`")
            case "print" where next == "(" && isLibrary && !isMember:
                return file.finding(at: token, "a library does not print; log, or return it to the caller")
            default: return nil
            }
        }
    }

    // MARK: Proofs

    private static func uncheckedSendable(_ file: SwiftFile) -> [Finding] {
        file.tokens.indices.compactMap { index in
            let token = file.tokens[index]
            guard token.text == "unchecked", file.tokens.text(index - 1) == "@",
                file.tokens.text(index + 1) == "Sendable"
            else { return nil }
            if hasProof(file.text, line: file.text.line(at: token.offset)) { return nil }
            return file.finding(
                at: token, "`@unchecked Sendable` needs a comment beside it that says `Sendable` and why it is safe")
        }
    }

    /// A comment naming `Sendable` on the line, in the block above the declaration, or in the one below.
    private static func hasProof(_ text: SwiftText, line: Int) -> Bool {
        var comments = [text.commentLine(line)]
        var above = line - 1
        while above > 0, !text.commentLine(above).isEmpty || isDeclarationHead(text.codeLine(above)) {
            comments.append(text.commentLine(above))
            above -= 1
        }
        var below = line + 1
        while below <= text.lineCount, !text.commentLine(below).isEmpty, text.codeLine(below).isEmpty {
            comments.append(text.commentLine(below))
            below += 1
        }
        let proof = comments.joined(separator: " ")
        return proof.contains("Sendable") && proof.count >= 40
    }

    /// An attribute line, or the first line of a declaration that goes on.
    private static func isDeclarationHead(_ code: String) -> Bool {
        code.hasPrefix("@") || !code.isEmpty && !code.hasSuffix("}") && !code.hasSuffix("{") && code.contains("class ")
    }

    // MARK: Purpose

    /// The first thing in a file, imports aside, is a comment of at least five words.
    private static func purpose(_ file: SwiftFile) -> [Finding] {
        var line = 1
        while line <= file.text.lineCount {
            let code = file.text.codeLine(line)
            let isBlank = code.isEmpty && file.text.commentLine(line).isEmpty
            if !isBlank, !isImport(code), !code.hasPrefix("#if"), !code.hasPrefix("#el"), !code.hasPrefix("#end") {
                break
            }
            line += 1
        }
        var words = 0
        while line <= file.text.lineCount, file.text.codeLine(line).isEmpty {
            words += file.text.commentLine(line).split(separator: " ").filter { $0.contains(where: \.isLetter) }.count
            line += 1
        }
        if words >= 5 { return [] }
        return [Finding(path: file.path, line: 0, message: "opens without a comment that says its purpose")]
    }

    private static func isImport(_ code: String) -> Bool {
        code.split(separator: " ").prefix { $0 == "import" || $0.hasPrefix("@") || visibilities.contains(String($0)) }
            .contains("import")
    }

    private static let visibilities: Set<String> = ["package", "internal", "private", "fileprivate", "public"]

    // MARK: Any text

    // Put together here, so that this file passes its own rule.
    private static let leftovers: Set<String> = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
    private static let machinePaths = ["/ho" + "me/", "/Us" + "ers/", "/ro" + "ot/", "/wo" + "rk/"]

    static func checkText(path: String, content: String) -> [Finding] {
        if path == "LICENSE" { return [] }
        var findings: [Finding] = []
        for (index, line) in content.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if let word = words(line).first(where: { leftovers.contains(String($0)) }) {
                findings.append(Finding(path: path, line: index + 1, message: "\(word): do it, or open an issue"))
            }
            if let place = machinePaths.first(where: { startsPath(line, $0) }) {
                findings.append(Finding(path: path, line: index + 1, message: "a path of one machine (\(place)…)"))
            }
        }
        return findings
    }

    private static func words(_ line: Substring) -> [Substring] {
        line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
    }

    /// Whether `place` stands in the line as the start of a path, with a name after it; not `/a/home/b`, a
    /// web address or a lone "/home/".
    private static func startsPath(_ line: Substring, _ place: String) -> Bool {
        var rest = line
        while let range = rest.firstRange(of: place) {
            let before = range.lowerBound > line.startIndex ? line[line.index(before: range.lowerBound)] : " "
            let after = range.upperBound < line.endIndex ? line[range.upperBound] : " "
            if !(before.isLetter || before.isNumber || "/.}*-_$".contains(before)), after.isLetter || after == "." {
                return true
            }
            rest = rest[range.upperBound...]
        }
        return false
    }
}
