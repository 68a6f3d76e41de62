// JSON objects of attributes as text: written plainly, and brought into one order for comparison.

import EventStore

enum JSONMembers {
    /// An event's attributes as one object.
    static func object(_ attributes: [String: AttributeValue]) -> String {
        let members = attributes.map { name, value in
            let text =
                switch value {
                case .string(let text): quoted(text)
                case .integer(let number): String(number)
                case .double(let number): "\(number)"
                case .bool(let flag): String(flag)
                case .json(let text): text
                }
            return quoted(name) + ":" + text
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    /// RFC 8259 with the short escapes, and nothing escaped that need not be.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// The object with its members sorted and its doubles in one form.
    static func sorted(_ cell: Cell) -> Cell {
        guard case .text(let text) = cell, let members = members(Array(text.utf8)) else { return cell }
        return .text("{" + members.sorted { Cell.order($0, $1) < 0 }.joined(separator: ",") + "}")
    }

    /// The members of an object, each as text; `nil` of anything else.
    private static func members(_ bytes: [UInt8]) -> [String]? {
        guard bytes.first == UInt8(ascii: "{"), bytes.last == UInt8(ascii: "}") else { return nil }
        var members: [String] = []
        var start = 1
        var value = 1
        var depth = 0
        var position = 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
                    position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
                }
            case UInt8(ascii: ":") where depth == 0: value = position + 1
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: ",") where depth == 0, UInt8(ascii: "}") where depth == 0:
                if position > start { members.append(member(bytes, start, value, position)) }
                start = position + 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
            position += 1
        }
        return members
    }

    private static func member(_ bytes: [UInt8], _ start: Int, _ value: Int, _ end: Int) -> String {
        let name = String(decoding: bytes[start..<value], as: UTF8.self)
        let text = String(decoding: bytes[value..<end], as: UTF8.self)
        if Int64(text) == nil, let number = Double(text) { return name + "\(number)" }
        return name + text
    }
}
