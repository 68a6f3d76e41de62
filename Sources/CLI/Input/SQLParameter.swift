/// `NAME=VALUE`, as `sql --param` takes it: the value of `:NAME` in the text.
///
/// A bare VALUE: JSON's numbers are integers or doubles, `true` and `false` are 1 and 0, `null` is NULL, anything
/// else is text. Quotes force text, as in `--where`. For scripts `NAME:text=VALUE` takes the value as it is, whatever
/// it looks like, and `NAME:time=VALUE` takes a time as `--since` does.

import EventStore

package struct SQLParameter: Sendable, Equatable {
    package struct Problem: Error, Equatable {
        package let message: String
    }

    package var name: String
    package var value: QueryValue

    /// - Parameter time: milliseconds of a time as `--since` takes it, or `nil`.
    package init(parsing text: String, time: (String) -> Int64?) throws(Problem) {
        guard let equals = text.firstIndex(of: "=") else {
            throw Problem(message: "'\(text)': expected NAME=VALUE")
        }
        let parts = text[..<equals].split(separator: ":", omittingEmptySubsequences: false)
        // `:NAME`, `@NAME` and `$NAME` are how the text spells it: forgiven here.
        var left = parts[...]
        if left.count > 1, left.first == "" { left = left.dropFirst() }
        var name = left.first ?? ""
        if let first = name.first, first == "@" || first == "$" { name = name.dropFirst() }
        guard SQLParameter.isName(name) else {
            throw Problem(message: "'\(text)': a parameter's name is letters, digits and _, no digit first")
        }
        self.name = String(name)
        let value = String(text[text.index(after: equals)...])
        let form = left.dropFirst().joined(separator: ":")
        switch form {
        case "": self.value = try SQLParameter.bare(value, in: text)
        case "text": self.value = .text(value)
        case "time":
            guard let ms = time(value) else {
                throw Problem(message: "'\(text)': '\(value)' is no time; examples: 2026-11-23, -24h, 7d, today")
            }
            self.value = .integer(ms)
        default: throw Problem(message: "'\(text)': no form ':\(form)'; there are :text and :time")
        }
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte & 0xdf)
        }
    }

    private static func bare(_ value: String, in whole: String) throws(Problem) -> QueryValue {
        if let quote = value.first, quote == "\"" || quote == "'" {
            guard let inner = WhereExpression.unquoted(value[...], quote: quote) else {
                throw Problem(
                    message: "'\(whole)': the closing quote is missing or text follows it; NAME:text=VALUE takes "
                        + "a value as it is")
            }
            return .text(inner)
        }
        if value == "null" { return .null }
        switch WhereExpression.typed(value) {
        case .bool(let flag): return .integer(flag ? 1 : 0)
        case .integer(let number): return .integer(number)
        case .double(let number): return .double(number)
        default: return .text(value)
        }
    }
}
