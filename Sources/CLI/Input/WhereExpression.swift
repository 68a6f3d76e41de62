/// `NAME OP VALUE`, as `events --where` takes it.
///
/// NAME reaches to the first operator character and may stand in double quotes. VALUE: JSON's numbers are
/// integers or doubles, `true` and `false` are booleans, the rest is text; quotes force text. A bare value also
/// matches an attribute that is stored as text and reads so: the attribute's type decides. For `~` and
/// `^=` every value is text.

import EventStore

package struct WhereExpression: Sendable, Equatable {
    package var name: String
    package var comparison: EventFilter.Comparison
    package var value: AttributeValue
    /// A bare number or boolean as it was written: what an attribute stored as text is compared with.
    package var bareText: String?

    package static func == (a: WhereExpression, b: WhereExpression) -> Bool {
        (a.name, a.comparison, a.value) == (b.name, b.comparison, b.value)
    }

    package struct Problem: Error, Equatable {
        package let message: String
    }

    /// Longest first, so that `<=` is not read as `<`; `==` is forgiven.
    private static let operators: [(String, EventFilter.Comparison)] = [
        ("==", .equal), ("!=", .notEqual), ("<=", .lessOrEqual), (">=", .greaterOrEqual), ("^=", .startsWith),
        ("=", .equal), ("<", .less), (">", .greater), ("~", .contains),
    ]
    private static let operatorCharacters: Set<Character> = ["=", "!", "<", ">", "~", "^"]

    package init(name: String, comparison: EventFilter.Comparison, value: AttributeValue) {
        self.name = name
        self.comparison = comparison
        self.value = value
    }

    package init(parsing text: String) throws(Problem) {
        var rest = text[...]
        let name = try WhereExpression.name(&rest, in: text)
        rest = rest.drop { $0 == " " }
        guard let (spelling, comparison) = WhereExpression.operators.first(where: { rest.hasPrefix($0.0) }) else {
            throw Problem(message: "'\(text)': expected NAME OP VALUE with OP one of = != < <= > >= ~ ^=")
        }
        rest = rest.dropFirst(spelling.count)
        if let next = rest.first, WhereExpression.operatorCharacters.contains(next) {
            throw Problem(
                message: "'\(text)': no operator '\(spelling)\(next)'; put a value that starts so in quotes")
        }
        let value = trim(rest)
        guard !value.isEmpty else {
            throw Problem(message: "'\(text)': the value is missing; \"\" is the empty text")
        }
        self.init(
            name: name, comparison: comparison,
            value: try WhereExpression.value(value, comparison: comparison, in: text))
        if case .string = self.value { return }
        bareText = String(value)
    }

    private static func name(_ rest: inout Substring, in text: String) throws(Problem) -> String {
        rest = rest.drop { $0 == " " }
        if rest.first == "\"" {
            let body = rest.dropFirst()
            guard let end = body.firstIndex(of: "\"") else {
                throw Problem(message: "'\(text)': the name's closing quote is missing")
            }
            rest = body[body.index(after: end)...]
            return String(body[..<end])
        }
        let name = trim(rest.prefix { !operatorCharacters.contains($0) })
        rest = rest.drop { !operatorCharacters.contains($0) }
        guard !name.isEmpty else { throw Problem(message: "'\(text)': the name is missing") }
        return String(name)
    }

    private static func value(
        _ text: Substring, comparison: EventFilter.Comparison, in whole: String
    ) throws(Problem) -> AttributeValue {
        if let quote = text.first, quote == "\"" || quote == "'" {
            guard let inner = unquoted(text, quote: quote) else {
                throw Problem(message: "'\(whole)': the value's closing quote is missing or text follows it")
            }
            return .string(inner)
        }
        if comparison == .contains || comparison == .startsWith { return .string(String(text)) }
        return typed(String(text))
    }

    /// The text between the quotes; a backslash takes the next character as it is.
    static func unquoted(_ text: Substring, quote: Character) -> String? {
        var result = ""
        var escaped = false
        var rest = text.dropFirst()
        while let character = rest.popFirst() {
            if escaped {
                result.append(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == quote {
                return rest.isEmpty ? result : nil
            } else {
                result.append(character)
            }
        }
        return nil
    }

    /// A bare value by JSON's grammar.
    package static func typed(_ text: String) -> AttributeValue {
        if text == "true" { return .bool(true) }
        if text == "false" { return .bool(false) }
        guard isJSONNumber(text) else { return .string(text) }
        if let integer = Int64(text) { return .integer(integer) }
        if let double = Double(text), double.isFinite { return .double(double) }
        return .string(text)
    }

    private static func isJSONNumber(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
        func skipDigits() -> Int {
            let before = rest.count
            rest = rest.drop { isDigit($0) }
            return before - rest.count
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let leadingZero = rest.first == UInt8(ascii: "0")
        let whole = skipDigits()
        guard whole > 0, !(leadingZero && whole > 1) else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard skipDigits() > 0 else { return false }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard skipDigits() > 0 else { return false }
        }
        return rest.isEmpty
    }
}

private func trim(_ text: Substring) -> Substring {
    var result = text.drop { $0 == " " }
    while result.last == " " { result.removeLast() }
    return result
}
