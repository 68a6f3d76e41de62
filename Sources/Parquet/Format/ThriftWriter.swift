// Writing of the Thrift compact protocol (Apache Thrift, doc/specs/thrift-compact-protocol.md), as much of it as
// Parquet's metadata needs.

import EventStoreCore

/// Types in field and list headers.
enum ThriftType: UInt8 {
    case isTrue = 1
    case isFalse = 2
    case byte = 3
    case int16 = 4
    case int32 = 5
    case int64 = 6
    case double = 7
    case binary = 8
    case list = 9
    case set = 10
    case map = 11
    case structure = 12
}

/// Appends structures field by field. Fields of a structure are written in ascending order of their numbers.
struct ThriftWriter: ~Copyable {
    var sink = ByteSink()
    private var previous: Int16 = 0

    private mutating func header(_ field: Int16, _ type: ThriftType) {
        let step = field - previous
        if step > 0, step <= 15 {
            sink.u8(UInt8(step) << 4 | type.rawValue)
        } else {
            sink.u8(type.rawValue)
            sink.zigzag(Int64(field))
        }
        previous = field
    }

    mutating func bool(_ field: Int16, _ value: Bool) { header(field, value ? .isTrue : .isFalse) }

    mutating func byte(_ field: Int16, _ value: UInt8) {
        header(field, .byte)
        sink.u8(value)
    }

    mutating func int32(_ field: Int16, _ value: Int32) {
        header(field, .int32)
        sink.zigzag(Int64(value))
    }

    mutating func int64(_ field: Int16, _ value: Int) {
        header(field, .int64)
        sink.zigzag(Int64(value))
    }

    mutating func binary(_ field: Int16, _ value: [UInt8]) {
        header(field, .binary)
        element(value)
    }

    mutating func string(_ field: Int16, _ value: String) { binary(field, Array(value.utf8)) }

    /// A field that is a structure; `body` writes its fields.
    mutating func structure(_ field: Int16, _ body: (inout ThriftWriter) -> Void = { _ in }) {
        header(field, .structure)
        element(body)
    }

    /// The head of a list; its elements follow.
    mutating func list(_ field: Int16, of type: ThriftType, count: Int) {
        header(field, .list)
        if count < 15 {
            sink.u8(UInt8(count) << 4 | type.rawValue)
        } else {
            sink.u8(0xf0 | type.rawValue)
            sink.varint(count)
        }
    }

    /// A structure as an element of a list, or the outermost one.
    mutating func element(_ body: (inout ThriftWriter) -> Void) {
        let outer = previous
        previous = 0
        body(&self)
        sink.u8(0)
        previous = outer
    }

    mutating func element(_ value: Int32) { sink.zigzag(Int64(value)) }

    mutating func element(_ value: [UInt8]) {
        sink.varint(value.count)
        value.withBytes { sink.raw($0) }
    }
}
