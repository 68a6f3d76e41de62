import EventStoreCore

/// What the values of a column are. It fixes the physical and the logical type.
@frozen
@usableFromInline
package enum ParquetKind: UInt8, Sendable, CaseIterable {
    /// BOOLEAN.
    case bool
    /// INT64, INTEGER(64, signed).
    case integer
    /// INT64, INTEGER(64, unsigned).
    case unsigned
    /// DOUBLE.
    case double
    /// INT64, TIMESTAMP(MILLIS, adjusted to UTC): milliseconds since 1970.
    case timestamp
    /// BYTE_ARRAY, STRING: UTF-8.
    case string
    /// BYTE_ARRAY, JSON: UTF-8.
    case json
    /// FIXED_LEN_BYTE_ARRAY(16), UUID.
    case uuid
    /// BYTE_ARRAY without a logical type.
    case binary

    /// Values are byte strings of any length.
    @inlinable package var isText: Bool { self == .string || self == .json || self == .binary }
    /// Values are one 64-bit word each.
    @inlinable package var isWord: Bool { !isText && self != .uuid }

    var physical: PhysicalType {
        switch self {
        case .bool: .boolean
        case .integer, .unsigned, .timestamp: .int64
        case .double: .double
        case .string, .json, .binary: .byteArray
        case .uuid: .fixedLengthByteArray
        }
    }
}

/// A column to be written.
@usableFromInline
package struct ParquetColumn: Sendable, Hashable {
    package var name: String
    @usableFromInline package var kind: ParquetKind
    /// Whether rows may lack a value.
    package var isOptional: Bool

    package init(_ name: String, _ kind: ParquetKind, isOptional: Bool = true) {
        self.name = name
        self.kind = kind
        self.isOptional = isOptional
    }
}

/// The columns of a file, all of them on the top level.
package struct ParquetSchema: Sendable {
    package let columns: [ParquetColumn]

    /// Refuses columns of one name and more columns than a file may have.
    package init(_ columns: [ParquetColumn]) throws(Fault) {
        guard columns.count <= Limits.parquetColumnsMax else {
            throw Fault(.limit, "a Parquet file has at most \(Limits.parquetColumnsMax) columns, not \(columns.count)")
        }
        var names: Set<String> = []
        for column in columns where !names.insert(column.name).inserted {
            throw Fault(.invalid, "two Parquet columns are called \"\(column.name)\"")
        }
        self.columns = columns
    }
}
