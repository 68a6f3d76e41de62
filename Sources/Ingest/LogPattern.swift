// The formats of access logs: Apache's LogFormat directives and nginx's log_format variables, turned into the
// list of fields a line has and the text between them.

import EventStoreCore

/// Which fields a log line has, in order.
package struct LogPattern: Sendable {
    struct Step: Sendable, Equatable {
        var field: LogField
        /// What stands behind the field; empty only at the end of the line.
        var literal: [UInt8]
        /// Quotes stand around the field, so that a quote within it is escaped.
        var isQuoted: Bool
    }

    /// What stands before the first field.
    private(set) var prefix: [UInt8] = []
    private(set) var steps: [Step] = []

    /// Some field names the site.
    package var namesHost: Bool { steps.contains { $0.field.role == .host } }

    package static let clfText = #"%h %l %u %t "%r" %>s %b"#
    package static let combinedText = clfText + #" "%{Referer}i" "%{User-agent}i""#
    package static let vhostCombinedText = "%v:%p " + combinedText

    /// - Parameter text: a format as it stands in the server's configuration, or the name of a usual one.
    /// - Throws: `invalid` for a directive that is not known, fields nothing separates, or no time.
    package init(_ text: String) throws(Fault) {
        let named = [
            "common": LogPattern.clfText, "clf": LogPattern.clfText, "combined": LogPattern.combinedText,
            "vhost_combined": LogPattern.vhostCombinedText,
        ]
        var scanner = PatternScanner(named[text] ?? text)
        try scanner.scan()
        try self.init(scanner.tokens)
    }

    private init(_ tokens: [PatternScanner.Token]) throws(Fault) {
        let fields = tokens.compactMap { token in
            if case .field(let field, _) = token { field } else { nil }
        }
        var names: Set<String> = fields.contains { $0.role == .request } ? ["method", "path", "protocol"] : []
        let hasFineDuration = fields.contains { $0.role == .microseconds || $0.role == .milliseconds }
        let hasCanonicalHost = fields.contains(where: \.isCanonicalHost)
        for token in tokens {
            switch token {
            case .literal(let bytes):
                if steps.isEmpty { prefix += bytes } else { steps[steps.count - 1].literal += bytes }
            case .field(var field, let text):
                if let last = steps.last, last.literal.isEmpty {
                    throw Fault(.invalid, "log format: nothing separates \(text) from the field before it")
                }
                // Of several directives for one attribute the first counts; whole seconds and a host that was only
                // asked for give way.
                let isSecond =
                    hasFineDuration && field.role == .seconds
                    || hasCanonicalHost && field.role == .host && !field.isCanonicalHost
                if isSecond || (!field.name.isEmpty && !names.insert(field.name).inserted) { field = .ignored }
                let before = steps.last?.literal ?? prefix
                steps.append(Step(field: field, literal: [], isQuoted: before.last == 0x22))
            }
        }
        for index in steps.indices where steps[index].literal.first != 0x22 { steps[index].isQuoted = false }
        guard steps.contains(where: { $0.field.isTime }) else {
            throw Fault(.invalid, "log format: no time in it (%t, $time_local, $time_iso8601 or $msec)")
        }
    }
}

/// Splits a format's text into fields and the text between them.
private struct PatternScanner {
    enum Token {
        case literal([UInt8])
        case field(LogField, text: String)
    }

    private let characters: [Character]
    private var position = 0
    private let isNginx: Bool
    private(set) var tokens: [Token] = []

    init(_ text: String) {
        characters = Array(text)
        isNginx = text.contains("$") && !text.contains("%")
    }

    mutating func scan() throws(Fault) {
        while position < characters.count {
            let character = characters[position]
            if character == "%", !isNginx {
                try scanDirective()
            } else if character == "$", isNginx {
                try scanVariable()
            } else if character == "\\", position + 1 < characters.count {
                appendLiteral(escaped(characters[position + 1]))
                position += 2
            } else {
                appendLiteral(character)
                position += 1
            }
        }
    }

    private func escaped(_ character: Character) -> Character {
        character == "t" ? "\t" : character
    }

    private mutating func appendLiteral(_ character: Character) { appendLiteral(Array(String(character).utf8)) }

    private mutating func appendLiteral(_ bytes: [UInt8]) {
        if case .literal(let before) = tokens.last {
            tokens[tokens.count - 1] = .literal(before + bytes)
        } else {
            tokens.append(.literal(bytes))
        }
    }

    /// `%`, conditions and `<` or `>`, `{argument}`, a letter.
    private mutating func scanDirective() throws(Fault) {
        let start = position
        position += 1
        while position < characters.count, "!<>,0123456789".contains(characters[position]) { position += 1 }
        var argument: String?
        if position < characters.count, characters[position] == "{" {
            guard let close = characters[position...].firstIndex(of: "}") else {
                throw Fault(.invalid, "log format: a { is never closed")
            }
            argument = String(characters[position + 1..<close])
            position = close + 1
        }
        // Trailers: ^ti and ^to.
        if position + 2 < characters.count, characters[position] == "^", characters[position + 1] == "t" {
            position += 2
        }
        guard position < characters.count else { throw Fault(.invalid, "log format: it ends within a directive") }
        let letter = characters[position]
        position += 1
        if letter == "%" { return appendLiteral(letter) }
        let text = String(characters[start..<position])
        guard let field = LogField.apache(letter, argument: argument) else {
            throw Fault(.invalid, "log format: the directive \(text) is not known")
        }
        append(field, text)
    }

    private mutating func scanVariable() throws(Fault) {
        let start = position
        position += 1
        let isBraced = position < characters.count && characters[position] == "{"
        if isBraced { position += 1 }
        let nameStart = position
        while position < characters.count, characters[position].isASCII,
            characters[position].isLetter || characters[position].isNumber || characters[position] == "_"
        {
            position += 1
        }
        let name = String(characters[nameStart..<position])
        guard !name.isEmpty else { throw Fault(.invalid, "log format: a $ without a variable's name") }
        if isBraced {
            guard position < characters.count, characters[position] == "}" else {
                throw Fault(.invalid, "log format: a { is never closed")
            }
            position += 1
        }
        append(LogField.nginx(name), String(characters[start..<position]))
    }

    private mutating func append(_ field: LogField, _ text: String) {
        if field.isBracketed { appendLiteral("[") }
        tokens.append(.field(field, text: text))
        if field.isBracketed { appendLiteral("]") }
    }
}
