/// The text of a query: from the command line, a file or standard input; and what can be told of it by its words alone.

import EventStore
import Foundation

package struct SQLText: Sendable, Equatable {
    /// More than anybody writes; keeps a mistaken pipe from filling memory.
    private static let bytesMax = 1 << 20

    /// As it was given.
    package let text: String
    /// Bytes put in front of it for the engine.
    package private(set) var prefix = ""

    package init(_ text: String) { self.text = text }

    /// What the engine is asked.
    package var query: String { prefix + text }

    /// The argument, else the file, else standard input.
    static func read(argument: String?, file: String?) throws -> SQLText {
        if let argument {
            // Put there so that a comment in front is not taken for an option.
            let isComment = argument.hasPrefix(PreparedArguments.guardBlank + "--")
            return try checked(isComment ? String(argument.dropFirst()) : argument, "the SELECT is empty")
        }
        if let file, file != "-" {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw CLIFailure(code: "not-found", message: "cannot read \(file)")
            }
            return try decoded(data, "\(file) is empty")
        }
        guard file == "-" || isatty(0) == 0 else {
            throw CLIFailure.usage("no query; give 'SELECT …', --file F, or the text on standard input")
        }
        let data = try FileHandle.standardInput.read(upToCount: bytesMax + 1) ?? Data()
        return try decoded(data, "standard input is empty; give 'SELECT …' or --file F")
    }

    package static func decoded(_ data: Data, _ empty: String) throws -> SQLText {
        guard data.count <= bytesMax else { throw CLIFailure.usage("a query has at most 1 MiB") }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw CLIFailure.usage("the query is not UTF-8")
        }
        return try checked(text, empty)
    }

    private static func checked(_ text: String, _ empty: String) throws -> SQLText {
        guard text.contains(where: { !$0.isWhitespace }) else { throw CLIFailure.usage(empty) }
        return SQLText(text)
    }

    /// With `EXPLAIN` in front, unless it is there.
    package func explained() -> SQLText {
        var copy = self
        if SQLWords(text).first?.isWord("explain") != true { copy.prefix = "EXPLAIN " }
        return copy
    }

    package var isExplain: Bool { !prefix.isEmpty || SQLWords(text).first?.isWord("explain") == true }

    /// The failure of a query, with the line meant and a caret below the place when the error knows it.
    package func failure(_ error: EventStoreError, width: Int, unicode: Bool) -> CLIFailure {
        guard let offset = error.offset else { return CLIFailure(error) }
        let caret = SourceCaret(text, offset: offset - prefix.utf8.count, width: width, unicode: unicode)
        return CLIFailure(error, context: caret.lines)
    }
}

/// The words of a SQL text: enough to find names that are compared, not a parser.
package struct SQLWords: Sequence {
    package enum Word: Equatable, Sendable {
        /// A name or keyword, unquoted or in double quotes.
        case name(String)
        case string(String)
        /// `:name`.
        case parameter(String)
        case other(Character)

        func isWord(_ text: String) -> Bool {
            if case .name(let name) = self { name.lowercased() == text } else { false }
        }
    }

    private let text: String
    package init(_ text: String) { self.text = text }
    package var first: Word? { self.first { _ in true } }
    package func makeIterator() -> Iterator { Iterator(rest: text[...]) }

    package struct Iterator: IteratorProtocol {
        var rest: Substring

        package mutating func next() -> Word? {
            skipBlanks()
            guard let first = rest.first else { return nil }
            if first == "'" { return .string(quoted("'")) }
            if first == "\"" { return .name(quoted("\"")) }
            if first == ":" {
                rest.removeFirst()
                return .parameter(take { $0.isLetter || $0.isNumber || $0 == "_" })
            }
            if first.isLetter || first.isNumber || first == "_" {
                return .name(take { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." })
            }
            rest.removeFirst()
            return .other(first)
        }

        private mutating func skipBlanks() {
            while let first = rest.first {
                if first.isWhitespace {
                    rest.removeFirst()
                } else if rest.hasPrefix("--") {
                    rest = rest.drop { !$0.isNewline }
                } else if rest.hasPrefix("/*") {
                    rest = rest.range(of: "*/").map { rest[$0.upperBound...] } ?? ""
                } else {
                    return
                }
            }
        }

        private mutating func take(_ isPart: (Character) -> Bool) -> String {
            let word = rest.prefix(while: isPart)
            rest = rest[word.endIndex...]
            return String(word)
        }

        /// A quote inside is doubled.
        private mutating func quoted(_ quote: Character) -> String {
            rest.removeFirst()
            var result = ""
            while let next = rest.popFirst() {
                if next == quote {
                    guard rest.first == quote else { return result }
                    rest.removeFirst()
                }
                result.append(next)
            }
            return result
        }
    }
}

extension SQLWords {
    /// The texts that the column `entity` or `type` is compared with: `type = 'x'`, `type IN ('x', :y)`.
    package func compared(with column: String, _ parameters: [String: QueryValue]) -> [String] {
        var found: [String] = []
        let words = Array(self)
        for (index, word) in words.enumerated() where word.isWord(column) {
            var rest = words[(index + 1)...]
            if rest.first?.isWord("in") == true {
                rest = rest.dropFirst()
                guard rest.first == .other("(") else { continue }
                rest = rest.dropFirst().prefix { $0 != .other(")") }
            } else {
                let signs = rest.prefix { $0 == .other("=") }
                guard !signs.isEmpty else { continue }
                rest = rest.dropFirst(signs.count).prefix(1)
            }
            for value in rest {
                if case .string(let text) = value { found.append(text) }
                if case .parameter(let name) = value, case .text(let text)? = parameters[name] { found.append(text) }
            }
        }
        return found
    }
}
