// Reading of the Thrift compact protocol from bytes nobody vouches for. Every length is held against what is left
// before anything is made of it; unknown fields are skipped.

import EventStoreCore

struct ThriftReader {
    struct Field {
        let id: Int16
        let type: ThriftType
    }

    /// Structures and lists within one another, deeper than any in the specification.
    static let depthMax = 24

    private(set) var bytes: ByteReader
    private var previous: Int16 = 0
    private var depth = 0

    init(_ source: UnsafeRawBufferPointer) { bytes = ByteReader(source) }

    /// Bytes read so far.
    var offset: Int { bytes.offset }

    private func damaged(_ what: String) -> Fault {
        Fault(.damaged, "Parquet metadata do not decode: \(what)", at: .init(offset: bytes.offset))
    }

    /// Reads a structure: `take` gets each field and reads or skips its value.
    mutating func structure(_ take: (inout ThriftReader, Field) throws(Fault) -> Void) throws(Fault) {
        guard depth < ThriftReader.depthMax else { throw damaged("nested too deeply") }
        let outer = previous
        previous = 0
        depth += 1
        while let field = try nextField() { try take(&self, field) }
        depth -= 1
        previous = outer
    }

    private mutating func nextField() throws(Fault) -> Field? {
        let head = try bytes.u8()
        if head == 0 { return nil }
        guard let type = ThriftType(rawValue: head & 15) else { throw damaged("unknown type \(head & 15)") }
        let step = Int16(head >> 4)
        let next = step == 0 ? Int16(exactly: try bytes.zigzag()) : previous.addingReportingOverflow(step).partialValue
        guard let next else { throw damaged("field number") }
        previous = next
        return Field(id: next, type: type)
    }

    mutating func integer(_ field: Field) throws(Fault) -> Int64 {
        switch field.type {
        case .byte: return Int64(Int8(bitPattern: try bytes.u8()))
        case .int16, .int32, .int64: return try bytes.zigzag()
        default: throw damaged("field \(field.id) is no integer")
        }
    }

    mutating func int32(_ field: Field) throws(Fault) -> Int32 {
        guard let value = Int32(exactly: try integer(field)) else { throw damaged("field \(field.id) has no 32 bits") }
        return value
    }

    /// A count, length or place: never negative.
    mutating func size(_ field: Field) throws(Fault) -> Int {
        let value = try integer(field)
        guard value >= 0 else { throw damaged("field \(field.id) is negative") }
        return Int(value)
    }

    func bool(_ field: Field) throws(Fault) -> Bool {
        switch field.type {
        case .isTrue: return true
        case .isFalse: return false
        default: throw damaged("field \(field.id) is no boolean")
        }
    }

    mutating func binary(_ field: Field) throws(Fault) -> [UInt8] {
        guard field.type == .binary else { throw damaged("field \(field.id) is no text") }
        return Array(try binaryElement())
    }

    mutating func string(_ field: Field) throws(Fault) -> String {
        String(decoding: try binary(field), as: UTF8.self)
    }

    mutating func binaryElement() throws(Fault) -> UnsafeRawBufferPointer {
        try bytes.lengthPrefixed(max: bytes.remaining)
    }

    /// Reads a list whose elements are of a type; `take` reads one of them.
    mutating func list(
        _ field: Field, of wanted: ThriftType, _ take: (inout ThriftReader) throws(Fault) -> Void
    ) throws(Fault) {
        guard field.type == .list else { throw damaged("field \(field.id) is no list") }
        let (type, count) = try listHead()
        guard count == 0 || type == wanted else { throw damaged("field \(field.id) is a list of another type") }
        for _ in 0..<count { try take(&self) }
    }

    /// Every element takes a byte at least, so a count beyond the bytes left is damage.
    private mutating func listHead() throws(Fault) -> (type: ThriftType, count: Int) {
        let head = try bytes.u8()
        guard let type = ThriftType(rawValue: head & 15) else { throw damaged("unknown type \(head & 15)") }
        let count = head >> 4 == 15 ? try bytes.count(max: bytes.remaining) : Int(head >> 4)
        guard count <= bytes.remaining else { throw damaged("list is longer than the bytes") }
        return (type, count)
    }

    mutating func skip(_ field: Field) throws(Fault) {
        // A boolean field is its header.
        if field.type != .isTrue, field.type != .isFalse { try skip(field.type) }
    }

    private mutating func skip(_ type: ThriftType) throws(Fault) {
        switch type {
        case .isTrue, .isFalse, .byte: _ = try bytes.u8()
        case .int16, .int32, .int64: _ = try bytes.varint()
        case .double: _ = try bytes.u64()
        case .binary: _ = try binaryElement()
        case .structure: try structure { (reader, field) throws(Fault) in try reader.skip(field) }
        case .list, .set: try skipList()
        case .map: try skipMap()
        }
    }

    private mutating func skipList() throws(Fault) {
        try deeper { (reader) throws(Fault) in
            let (type, count) = try reader.listHead()
            for _ in 0..<count { try reader.skip(type) }
        }
    }

    private mutating func skipMap() throws(Fault) {
        try deeper { (reader) throws(Fault) in
            let count = try reader.bytes.count(max: reader.bytes.remaining)
            if count == 0 { return }
            let head = try reader.bytes.u8()
            guard let key = ThriftType(rawValue: head >> 4), let value = ThriftType(rawValue: head & 15) else {
                throw reader.damaged("unknown type in a map")
            }
            for _ in 0..<count {
                try reader.skip(key)
                try reader.skip(value)
            }
        }
    }

    private mutating func deeper(_ body: (inout ThriftReader) throws(Fault) -> Void) throws(Fault) {
        guard depth < ThriftReader.depthMax else { throw damaged("nested too deeply") }
        depth += 1
        try body(&self)
        depth -= 1
    }
}
