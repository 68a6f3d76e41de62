// Metadata of a column chunk as the footer keeps them (`ColumnMetaData` in parquet.thrift): the writing half.

import EventStoreCore

struct ChunkMetadata {
    var encodings: [Encoding] = []
    /// The physical type as a file names it; told by the column when written.
    var type: Int32?
    var codec = Codec.uncompressed
    /// Rows, with a value or without.
    var valueCount = 0
    /// Sizes of all pages with their headers.
    var plainBytes = 0
    var storedBytes = 0
    /// Places of the first pages; in a row group not written yet, counted from its beginning.
    var dictionaryOffset: Int?
    var dataOffset: Int?
    var statistics = ParquetStatistics()

    /// Writes a `ColumnChunk` whose row group begins at `base`.
    func write(_ column: ParquetColumn, at base: Int, to thrift: inout ThriftWriter) {
        thrift.element { chunk in
            chunk.int64(2, 0)
            chunk.structure(3) { data in
                data.int32(1, column.kind.physical.rawValue)
                data.list(2, of: .int32, count: encodings.count)
                for encoding in encodings { data.element(encoding.rawValue) }
                data.list(3, of: .binary, count: 1)
                data.element(Array(column.name.utf8))
                data.int32(4, codec.rawValue)
                data.int64(5, valueCount)
                data.int64(6, plainBytes)
                data.int64(7, storedBytes)
                data.int64(9, base + (dataOffset ?? 0))
                if let dictionaryOffset { data.int64(11, base + dictionaryOffset) }
                data.structure(12) { statistics.write(to: &$0) }
            }
        }
    }
}

extension ParquetStatistics {
    func write(to thrift: inout ThriftWriter) {
        if let nullCount { thrift.int64(3, nullCount) }
        if let maximum { thrift.binary(5, maximum) }
        if let minimum { thrift.binary(6, minimum) }
        if maximum != nil { thrift.bool(7, isExact) }
        if minimum != nil { thrift.bool(8, isExact) }
        if let nanCount { thrift.int64(9, nanCount) }
    }
}

extension ParquetColumn {
    /// Writes a leaf of the schema.
    func write(to thrift: inout ThriftWriter) {
        thrift.element { leaf in
            leaf.int32(1, kind.physical.rawValue)
            if kind == .uuid { leaf.int32(2, 16) }
            leaf.int32(3, (isOptional ? Repetition.optional : .required).rawValue)
            leaf.string(4, name)
            if let converted { leaf.int32(6, converted.rawValue) }
            writeLogicalType(to: &leaf)
        }
    }

    private var converted: ConvertedType? {
        switch kind {
        case .integer: .signed64
        case .unsigned: .unsigned64
        case .timestamp: .timestampMillis
        case .string: .utf8
        case .json: .json
        case .bool, .double, .uuid, .binary: nil
        }
    }

    private func writeLogicalType(to leaf: inout ThriftWriter) {
        switch kind {
        case .string: leaf.structure(10) { $0.structure(LogicalField.string) }
        case .json: leaf.structure(10) { $0.structure(LogicalField.json) }
        case .uuid: leaf.structure(10) { $0.structure(LogicalField.uuid) }
        case .integer, .unsigned:
            leaf.structure(10) { logical in
                logical.structure(LogicalField.integer) { type in
                    type.byte(1, 64)
                    type.bool(2, kind == .integer)
                }
            }
        case .timestamp:
            leaf.structure(10) { logical in
                logical.structure(LogicalField.timestamp) { type in
                    type.bool(1, true)
                    type.structure(2) { $0.structure(TimeUnitField.millis) }
                }
            }
        case .bool, .double, .binary: break
        }
    }
}
