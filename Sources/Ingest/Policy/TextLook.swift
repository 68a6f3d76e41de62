// Looks of longer text: pages, forms, mails, SQL statements, what PHP serialised; and escapes of JSON.

import EventStoreCore

enum TextLook {
    static let longBytesMin = 1000
    static let linesMin = 5

    static func look(_ value: UnsafeRawBufferPointer) -> Looks {
        var found = Looks()
        var lines = 0
        var traceLines = 0
        for index in 0..<value.count {
            if value[index] == 0x0a {
                lines += 1
                if isTraceLine(value, index + 1) { traceLines += 1 }
                if value.hasAnyCase("content-disposition: form-data", at: index + 1) { found.insert(.formPart) }
            } else if value[index] == UInt8(ascii: "<"), isPage(value, index + 1) {
                found.insert(.html)
            }
        }
        // A stack trace is long too; its lines say so.
        if value.count >= longBytesMin, lines >= linesMin, traceLines * 2 < lines { found.insert(.longText) }
        return found
    }

    private static func isPage(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        func tag(_ name: StaticString) -> Bool {
            let end = index + name.utf8CodeUnitCount
            guard value.hasAnyCase(name, at: index) else { return false }
            return end == value.count || " >\t\r\n/".utf8.contains(value[end])
        }
        return tag("html") || tag("body") || tag("form") || value.hasAnyCase("!doctype html", at: index)
    }

    /// `#0 file.php(12): call()`, `    at call (file:1)`, `  File "x", line 1`, `PHP   1. {main}()`.
    private static func isTraceLine(_ value: UnsafeRawBufferPointer, _ start: Int) -> Bool {
        let index = start + value.run(from: start, max: 16) { $0 == 0x20 || $0 == 0x09 }
        guard index + 1 < value.count else { return false }
        if value[index] == UInt8(ascii: "#"), ByteKind.isDigit(value[index + 1]) { return true }
        return value.has("at ", at: index) || value.has("File \"", at: index) || value.has("in ", at: index)
            || value.has("thrown in ", at: index) || value.has("Stack trace:", at: index)
            || value.has("PHP ", at: index)
            || value.has("Caused by: ", at: index) || value.has("... ", at: index) || value.has("from ", at: index)
    }
}

enum StatementLook {
    /// Whether one of SQL's verbs stands here in capitals, as programs write them.
    static func isVerb(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        value.has("SELECT ", at: index) || value.has("INSERT ", at: index) || value.has("UPDATE ", at: index)
            || value.has("DELETE ", at: index)
    }

    private static let verbs: [StaticString] = [
        "select", "insert", "update", "delete", "replace", "with", "create", "alter", "drop", "truncate", "set", "call",
        "explain", "merge", "grant", "load",
    ]

    /// Whether the whole value is a statement with values in it: for names that say so.
    static func isStatement(_ value: UnsafeRawBufferPointer) -> Bool {
        let start = value.run(from: 0, max: .max) { [0x20, 0x09, 0x0a, 0x0d, UInt8(ascii: "(")].contains($0) }
        let isVerb = verbs.contains { verb in
            let end = start + verb.utf8CodeUnitCount
            return value.hasAnyCase(verb, at: start) && end < value.count
                && [0x20, 0x09, 0x0a, 0x0d].contains(value[end])
        }
        return isVerb && hasLiteral(value, from: start)
    }

    /// Whether what follows a verb is a statement (it names a table) with values in it.
    static func hasValues(_ value: UnsafeRawBufferPointer, from start: Int) -> Bool {
        var isStatement = false
        var index = start
        while index < value.count, !isStatement {
            if value[index] == 0x20 || value[index] == 0x0a || value[index] == 0x09 {
                isStatement =
                    value.hasAnyCase("from ", at: index + 1) || value.hasAnyCase("into ", at: index + 1)
                    || value.hasAnyCase("set ", at: index + 1)
            }
            index += 1
        }
        return isStatement && hasLiteral(value, from: start)
    }

    /// A quoted text or a number where SQL has values. `?`, `$1`, `:name` and `%s` are places for values, not values.
    private static func hasLiteral(_ value: UnsafeRawBufferPointer, from start: Int) -> Bool {
        var last: UInt8 = 0
        var isInWord = false
        for index in start..<value.count {
            let byte = value[index]
            let follows = "=<>(,!".utf8.contains(last)
            if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                if follows || isPattern(value, index) { return true }
            } else if ByteKind.isDigit(byte), !isInWord, "=<>".utf8.contains(last) {
                return true
            }
            isInWord = ByteKind.isWord(byte) || byte == UInt8(ascii: "$") || byte == UInt8(ascii: ":")
            if byte > 0x20 { last = byte }
        }
        return false
    }

    /// Whether `LIKE` stands before a place.
    private static func isPattern(_ value: UnsafeRawBufferPointer, _ index: Int) -> Bool {
        var end = index
        while end > 0, index - end < 4, value[end - 1] == 0x20 { end -= 1 }
        return end < index && value.hasAnyCase("like", at: end - 4)
    }
}

/// What PHP's `serialize` writes for arrays and objects: how WordPress keeps options and metadata.
enum Serialized {
    static func begins(_ value: UnsafeRawBufferPointer) -> Bool {
        guard value[0] == UInt8(ascii: "a") || value[0] == UInt8(ascii: "O") else { return false }
        let digits = value.run(from: 2, max: 10, ByteKind.isDigit)
        return digits > 0 && (value.has(":{", at: 2 + digits) || value.has(":\"", at: 2 + digits))
    }
}

/// Text of JSON arrays keeps its escapes; what they hide is looked at as well.
enum JSONEscapes {
    /// The text with `\uXXXX` of ASCII and `\/` resolved, or `nil` when it has none.
    static func resolved(_ value: UnsafeRawBufferPointer) -> [UInt8]? {
        var plain: [UInt8]?
        var start = 0
        var index = 0
        while index + 1 < value.count {
            guard value[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            guard let (byte, length) = escape(value, index) else {
                index += 2
                continue
            }
            if plain == nil { plain = [] }
            plain?.append(contentsOf: UnsafeRawBufferPointer(rebasing: value[start..<index]))
            plain?.append(byte)
            index += length
            start = index
        }
        plain?.append(contentsOf: UnsafeRawBufferPointer(rebasing: value[start...]))
        return plain
    }

    private static func escape(_ value: UnsafeRawBufferPointer, _ index: Int) -> (UInt8, Int)? {
        switch value[index + 1] {
        case UInt8(ascii: "/"): return (UInt8(ascii: "/"), 2)
        case UInt8(ascii: "n"): return (0x0a, 2)
        case UInt8(ascii: "\""): return (UInt8(ascii: "\""), 2)
        case UInt8(ascii: "u"):
            guard index + 6 <= value.count, value.has("00", at: index + 2), let high = hex(value[index + 4]), high < 8,
                let low = hex(value[index + 5])
            else { return nil }
            return (high << 4 | low, 6)
        default: return nil
        }
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 0x30
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 0x61 + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 0x41 + 10
        default: nil
        }
    }
}
