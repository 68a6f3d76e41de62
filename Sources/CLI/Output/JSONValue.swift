/// JSON for reports: ordered objects, 64-bit integers as numbers.

package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([(String, JSONValue)])
    /// Text that is JSON already.
    case raw(String)

    package static func int(_ value: Int) -> JSONValue { .integer(Int64(value)) }
    package static func int(_ value: Int?) -> JSONValue { value.map { .integer(Int64($0)) } ?? .null }
    package static func time(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }
    package static func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }

    package var text: String {
        var result = ""
        write(into: &result)
        return result
    }

    package func write(into target: inout String) {
        switch self {
        case .null: target += "null"
        case .bool(let value): target += value ? "true" : "false"
        case .integer(let value): target += String(value)
        case .double(let value): target += value.isFinite ? JSONValue.number(value) : "null"
        case .string(let value): JSONValue.quote(value, into: &target)
        case .raw(let value): target += value
        case .array(let values): JSONValue.list(values, "[", "]", into: &target) { $0.write(into: &$1) }
        case .object(let members):
            JSONValue.list(members, "{", "}", into: &target) { member, target in
                JSONValue.quote(member.0, into: &target)
                target += ":"
                member.1.write(into: &target)
            }
        }
    }

    private static func list<T>(
        _ items: [T], _ open: String, _ close: String, into target: inout String, item: (T, inout String) -> Void
    ) {
        target += open
        for (index, value) in items.enumerated() {
            if index > 0 { target += "," }
            item(value, &target)
        }
        target += close
    }

    /// The shortest digits that read back as the same number; `5.0` stays a double for readers that care.
    static func number(_ value: Double) -> String { "\(value)" }

    static func quote(_ text: String, into target: inout String) {
        target += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": target += "\\\""
            case "\\": target += "\\\\"
            case "\n": target += "\\n"
            case "\r": target += "\\r"
            case "\t": target += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    target += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    target.unicodeScalars.append(scalar)
                }
            }
        }
        target += "\""
    }
}
