// A strict, small reader of JSON (RFC 8259) for documents: keys that come twice are an error, depth and size are
// bounded, and every error says where.

import EventStoreCore

/// A value of a document. Numbers are whole: no document has others.
indirect enum PolicyJSON: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case string(String)
    case array([PolicyJSON])
    /// In the order of the text.
    case object([(key: String, value: PolicyJSON)])
}

struct PolicyJSONReader {
    private let bytes: [UInt8]
    private var position = 0
    private static let depthMax = 16

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func read(_ text: [UInt8]) throws(Fault) -> PolicyJSON {
        guard text.count <= Limits.policyBytesMax else {
            throw Fault(.invalid, "a policy has at most \(Limits.policyBytesMax) bytes")
        }
        guard String(validating: text, as: UTF8.self) != nil else { throw Fault(.invalid, "the policy is not UTF-8") }
        var reader = PolicyJSONReader(text)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.position == text.count else { throw reader.failure("nothing more was expected") }
        return value
    }

    private func failure(_ what: String) -> Fault {
        let before = bytes[..<min(position, bytes.count)]
        let line = before.count { $0 == 0x0a } + 1
        return Fault(.invalid, "the policy is no JSON document: \(what) in line \(line)")
    }

    private var byte: UInt8 { position < bytes.count ? bytes[position] : 0 }

    private mutating func skipSpace() {
        while [0x20, 0x09, 0x0a, 0x0d].contains(byte) { position += 1 }
    }

    private mutating func take(_ expected: UInt8) -> Bool {
        skipSpace()
        guard byte == expected else { return false }
        position += 1
        return true
    }

    private mutating func word(_ text: String) -> Bool {
        guard bytes[position...].starts(with: text.utf8) else { return false }
        position += text.utf8.count
        return true
    }

    private mutating func value(depth: Int) throws(Fault) -> PolicyJSON {
        guard depth < PolicyJSONReader.depthMax else { throw failure("it is nested too deep") }
        skipSpace()
        switch byte {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default:
            if word("true") { return .bool(true) }
            if word("false") { return .bool(false) }
            if word("null") { return .null }
            throw failure("a value was expected")
        }
    }

    private mutating func object(_ depth: Int) throws(Fault) -> PolicyJSON {
        position += 1
        var members: [(key: String, value: PolicyJSON)] = []
        var keys: Set<String> = []
        if take(UInt8(ascii: "}")) { return .object([]) }
        repeat {
            skipSpace()
            guard byte == UInt8(ascii: "\"") else { throw failure("a key was expected") }
            let key = try string()
            guard keys.insert(key).inserted else { throw failure("the key \"\(key)\" came twice") }
            guard take(UInt8(ascii: ":")) else { throw failure("a colon was expected") }
            members.append((key, try value(depth: depth + 1)))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw failure("a comma or } was expected") }
        return .object(members)
    }

    private mutating func array(_ depth: Int) throws(Fault) -> PolicyJSON {
        position += 1
        var values: [PolicyJSON] = []
        if take(UInt8(ascii: "]")) { return .array([]) }
        repeat { values.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw failure("a comma or ] was expected") }
        return .array(values)
    }

    private mutating func number() throws(Fault) -> PolicyJSON {
        let start = position
        if byte == UInt8(ascii: "-") { position += 1 }
        let first = position
        while byte &- 0x30 < 10 { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard position > first, bytes[first] != 0x30 || position == first + 1, let number = Int64(text),
            ![UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(byte)
        else { throw failure("a whole number was expected") }
        return .integer(number)
    }

    private mutating func string() throws(Fault) -> String {
        position += 1
        var text: [UInt8] = []
        while position < bytes.count {
            let next = byte
            position += 1
            if next == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
            guard next >= 0x20 else { throw failure("a control character stands in a text") }
            if next == UInt8(ascii: "\\") { try escape(&text) } else { text.append(next) }
        }
        throw failure("a text does not end")
    }

    private mutating func escape(_ text: inout [UInt8]) throws(Fault) {
        let kind = byte
        position += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "u"):
            var code = try hex()
            if code & 0xfc00 == 0xd800, bytes[position...].starts(with: [0x5c, 0x75]) {
                position += 2
                let low = try hex()
                guard low & 0xfc00 == 0xdc00 else { throw failure("half a character") }
                code = 0x10000 + (code & 0x3ff) << 10 + (low & 0x3ff)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half a character") }
            text.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw failure("an unknown escape")
        }
    }

    private mutating func hex() throws(Fault) -> UInt32 {
        guard position + 4 <= bytes.count,
            let value = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16),
            bytes[position] != UInt8(ascii: "+")
        else { throw failure("four hexadecimal digits were expected") }
        position += 4
        return value
    }
}
