/// Short files, short functions. What is longer today stands in ratchet.txt with its length: it may shrink,
/// it may not grow, and a line that is no longer needed has to go.
enum LengthRules {
    static let fileLinesMax = 600
    static let functionLinesMax = 70
    static let ratchetPath = "Tests/TidyTests/ratchet.txt"

    /// What is measured: a file, or a function of a file.
    struct Subject: Hashable, CustomStringConvertible {
        let path: String
        /// `nil` for the file itself.
        let function: String?

        var description: String { function.map { "function \(path) \($0)" } ?? "file \(path)" }
        var limit: Int { function == nil ? fileLinesMax : functionLinesMax }
    }

    struct Measure: Equatable {
        let lines: Int
        /// Where it starts; 0 for a file.
        let line: Int
    }

    static func measure(_ file: SwiftFile) -> [Subject: Measure] {
        var measures = [Subject(path: file.path, function: nil): Measure(lines: file.text.lineCount, line: 0)]
        for body in FunctionScanner.functions(in: file.text) {
            let subject = Subject(path: file.path, function: body.name)
            // Two functions of one name in a file share an entry: the longer one counts.
            if body.lineCount > measures[subject]?.lines ?? 0 {
                measures[subject] = Measure(lines: body.lineCount, line: body.line)
            }
        }
        return measures
    }

    /// Lines of the ratchet: `file PATH LINES` or `function PATH NAME LINES`; `#` starts a comment.
    static func parseRatchet(_ content: String) -> (entries: [Subject: Int], findings: [Finding]) {
        var entries: [Subject: Int] = [:]
        var findings: [Finding] = []
        for (index, line) in content.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(separator: " ").map(String.init)
            if words.isEmpty || line.hasPrefix("#") { continue }
            let isFile = words[0] == "file" && words.count == 3
            let isFunction = words[0] == "function" && words.count == 4
            if isFile || isFunction, let lines = Int(words[words.count - 1]) {
                entries[Subject(path: words[1], function: isFunction ? words[2] : nil)] = lines
            } else {
                findings.append(Finding(path: ratchetPath, line: index + 1, message: "not understood: \(line)"))
            }
        }
        return (entries, findings)
    }

    static func check(_ measures: [Subject: Measure], ratchet: [Subject: Int]) -> [Finding] {
        var findings: [Finding] = []
        for (subject, measure) in measures where measure.lines > max(subject.limit, ratchet[subject] ?? 0) {
            let name = subject.function.map { "\($0) has" } ?? "has"
            let limit = ratchet[subject].map { "\($0), its length so far" } ?? "\(subject.limit)"
            findings.append(
                Finding(
                    path: subject.path, line: measure.line,
                    message: "\(name) \(measure.lines) lines, over \(limit); split it"))
        }
        for (subject, _) in ratchet {
            let lines = measures[subject]?.lines
            if let lines, lines > subject.limit { continue }
            let reason = lines.map { "is down to \($0) lines" } ?? "is gone"
            findings.append(
                Finding(path: ratchetPath, line: 0, message: "`\(subject)` \(reason): remove its line from the ratchet")
            )
        }
        return findings.sorted { $0.description < $1.description }
    }
}
