/// Links in the documentation lead somewhere: to a file that exists, and to a heading it has.
enum DocumentRules {
    /// Files by path, to look link targets up; directories count as files without content.
    struct Library {
        let content: (String) -> String?
        let exists: (String) -> Bool
    }

    static func checkLinks(path: String, content: String, library: Library) -> [Finding] {
        var findings: [Finding] = []
        for (line, target) in links(content) where !isExternal(target) {
            let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let file = parts[0].isEmpty ? path : resolve(parts[0], from: path)
            if !library.exists(file) {
                findings.append(Finding(path: path, line: line, message: "link to \(target): there is no \(file)"))
            } else if parts.count > 1, file.hasSuffix(".md"), let text = library.content(file),
                !anchors(text).contains(parts[1])
            {
                findings.append(Finding(path: path, line: line, message: "link to \(target): no such heading"))
            }
        }
        return findings
    }

    /// Comments in code that send the reader to a page, as in `docs/architecture.md`.
    static func checkMentions(_ file: SwiftFile, exists: (String) -> Bool) -> [Finding] {
        (1...max(1, file.text.lineCount)).flatMap { line in
            pages(in: file.text.commentLine(line)).filter { !exists($0) }
                .map { Finding(path: file.path, line: line, message: "names \($0), which does not exist") }
        }
    }

    // MARK: Parts

    private static func pages(in comment: String) -> [String] {
        comment.split { !($0.isLetter || $0.isNumber || "/._-".contains($0)) }
            .map { $0.hasSuffix(".") ? String($0.dropLast()) : String($0) }
            .filter { $0.hasPrefix("docs/") && $0.hasSuffix(".md") }
    }

    private static func isExternal(_ target: String) -> Bool {
        ["http://", "https://", "mailto:"].contains { target.hasPrefix($0) }
    }

    /// The targets of `[text](target)` outside of code, with their lines.
    static func links(_ content: String) -> [(line: Int, target: String)] {
        var found: [(line: Int, target: String)] = []
        for (line, text) in prose(content) {
            var rest = text[...]
            while let start = rest.firstRange(of: "](") {
                rest = rest[start.upperBound...]
                guard let end = rest.firstIndex(of: ")") else { break }
                // A title may follow the target: `(page.md "Title")`.
                found.append((line, String(rest[..<end].prefix { $0 != " " })))
                rest = rest[end...]
            }
        }
        return found
    }

    /// Lines outside of fenced blocks, with `inline code` cut out.
    private static func prose(_ content: String) -> [(line: Int, text: String)] {
        var isFenced = false
        var lines: [(line: Int, text: String)] = []
        for (index, line) in content.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.drop(while: { $0 == " " }).hasPrefix("```") {
                isFenced.toggle()
            } else if !isFenced {
                let parts = line.split(separator: "`", omittingEmptySubsequences: false)
                lines.append((index + 1, parts.enumerated().filter { $0.offset % 2 == 0 }.map(\.element).joined()))
            }
        }
        return lines
    }

    /// The anchors GitHub gives the headings of a page.
    static func anchors(_ content: String) -> Set<String> {
        var seen: [String: Int] = [:]
        var anchors: Set<String> = []
        var isFenced = false
        for line in content.split(separator: "\n") {
            if line.hasPrefix("```") { isFenced.toggle() }
            guard !isFenced, line.hasPrefix("#") else { continue }
            let title = line.drop { $0 == "#" }.drop { $0 == " " }
            let slug = title.lowercased().filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
                .map { $0 == " " ? "-" : String($0) }.joined()
            let count = seen[slug, default: 0]
            seen[slug] = count + 1
            anchors.insert(count == 0 ? slug : "\(slug)-\(count)")
        }
        return anchors
    }

    /// A relative link seen from the folder of `path`.
    static func resolve(_ target: String, from path: String) -> String {
        var parts = path.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") {
            if part == ".." {
                if !parts.isEmpty { parts.removeLast() }
            } else if part != "." {
                parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }
}
