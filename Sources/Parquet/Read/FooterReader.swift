// The footer of a Parquet file: schema, row groups, and where their column chunks lie (`FileMetaData` in
// parquet.thrift). What is missing although required, or contradicts itself, is damage.

import EventStoreCore

/// A leaf or group of the schema as it is stored.
struct SchemaElement {
    var type: Int32?
    var typeLength: Int32?
    var repetition: Int32?
    var name = ""
    var childCount = 0
    var converted: Int32?
    var logical: LogicalType?
}

/// A member of the union `LogicalType`, as much of it as matters here.
struct LogicalType {
    var field: Int16
    /// Of INTEGER: whether it is signed. Of TIMESTAMP: whether it is adjusted to UTC.
    var flag = true
    /// Of TIMESTAMP and TIME: a number of `TimeUnitField`.
    var unit: Int16 = 0
    /// Of INTEGER.
    var bits: Int32 = 64
}

struct RowGroupMetadata {
    var rowCount = 0
    var chunks: [ChunkMetadata] = []
}

struct Footer {
    var schema: [SchemaElement] = []
    var rowCount = 0
    var groups: [RowGroupMetadata] = []
    var metadata: [(key: String, value: String)] = []
    var createdBy = ""

    static func read(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> Footer {
        var footer = Footer()
        var reader = ThriftReader(bytes)
        try reader.structure { (thrift, field) throws(Fault) in
            switch field.id {
            case 2: try thrift.list(field, of: .structure) { (r) throws(Fault) in try footer.readSchemaElement(&r) }
            case 3: footer.rowCount = try thrift.size(field)
            case 4: try thrift.list(field, of: .structure) { (r) throws(Fault) in try footer.readRowGroup(&r) }
            case 5: try thrift.list(field, of: .structure) { (r) throws(Fault) in try footer.readKeyValue(&r) }
            case 6: footer.createdBy = try thrift.string(field)
            default: try thrift.skip(field)
            }
        }
        return footer
    }

    private mutating func readKeyValue(_ reader: inout ThriftReader) throws(Fault) {
        var pair = (key: "", value: "")
        try reader.structure { (thrift, field) throws(Fault) in
            switch field.id {
            case 1: pair.key = try thrift.string(field)
            case 2: pair.value = try thrift.string(field)
            default: try thrift.skip(field)
            }
        }
        metadata.append(pair)
    }

    private mutating func readSchemaElement(_ reader: inout ThriftReader) throws(Fault) {
        var element = SchemaElement()
        try reader.structure { (thrift, field) throws(Fault) in
            switch field.id {
            case 1: element.type = try thrift.int32(field)
            case 2: element.typeLength = try thrift.int32(field)
            case 3: element.repetition = try thrift.int32(field)
            case 4: element.name = try thrift.string(field)
            case 5: element.childCount = try thrift.size(field)
            case 6: element.converted = try thrift.int32(field)
            case 10: element.logical = try LogicalType.read(&thrift, field)
            default: try thrift.skip(field)
            }
        }
        schema.append(element)
    }

    private mutating func readRowGroup(_ reader: inout ThriftReader) throws(Fault) {
        var group = RowGroupMetadata()
        try reader.structure { (thrift, field) throws(Fault) in
            switch field.id {
            case 1:
                try thrift.list(field, of: .structure) { (r) throws(Fault) in
                    group.chunks.append(try ChunkMetadata.read(&r))
                }
            case 3: group.rowCount = try thrift.size(field)
            default: try thrift.skip(field)
            }
        }
        groups.append(group)
    }
}

extension LogicalType {
    static func read(_ reader: inout ThriftReader, _ field: ThriftReader.Field) throws(Fault) -> LogicalType? {
        guard field.type == .structure else {
            try reader.skip(field)
            return nil
        }
        var found: LogicalType?
        try reader.structure { (thrift, member) throws(Fault) in
            var type = LogicalType(field: member.id)
            switch (member.id, member.type) {
            case (LogicalField.timestamp, .structure), (LogicalField.time, .structure):
                try type.readTime(&thrift)
            case (LogicalField.integer, .structure):
                try thrift.structure { (t, f) throws(Fault) in
                    switch f.id {
                    case 1: type.bits = try t.int32(f)
                    case 2: type.flag = try t.bool(f)
                    default: try t.skip(f)
                    }
                }
            default: try thrift.skip(member)
            }
            found = type
        }
        return found
    }

    private mutating func readTime(_ reader: inout ThriftReader) throws(Fault) {
        try reader.structure { (thrift, field) throws(Fault) in
            switch (field.id, field.type) {
            case (1, _): flag = try thrift.bool(field)
            case (2, .structure):
                try thrift.structure { (t, f) throws(Fault) in
                    unit = f.id
                    try t.skip(f)
                }
            default: try thrift.skip(field)
            }
        }
    }
}

extension ChunkMetadata {
    static func read(_ reader: inout ThriftReader) throws(Fault) -> ChunkMetadata {
        var chunk = ChunkMetadata()
        var isThere = false
        try reader.structure { (thrift, field) throws(Fault) in
            switch (field.id, field.type) {
            case (1, _):
                throw Fault(
                    .invalid, "the Parquet file keeps columns in other files; write it again as one file")
            case (3, .structure):
                isThere = true
                try chunk.readData(&thrift)
            case (8, _), (9, _):
                throw Fault(.invalid, "a column of the Parquet file is encrypted; write it again without encryption")
            default: try thrift.skip(field)
            }
        }
        guard isThere, chunk.dataOffset != nil else {
            throw Fault(.damaged, "a column chunk of the Parquet file has no metadata")
        }
        return chunk
    }

    private mutating func readData(_ reader: inout ThriftReader) throws(Fault) {
        try reader.structure { (thrift, field) throws(Fault) in
            switch (field.id, field.type) {
            case (1, _): type = try thrift.int32(field)
            case (4, _):
                let number = try thrift.int32(field)
                guard let known = Codec(rawValue: number) else {
                    throw Fault(.damaged, "the Parquet file uses an unknown compression (\(number))")
                }
                codec = known
            case (5, _): valueCount = try thrift.size(field)
            case (6, _): plainBytes = try thrift.size(field)
            case (7, _): storedBytes = try thrift.size(field)
            case (9, _): dataOffset = try thrift.size(field)
            case (11, _): dictionaryOffset = try thrift.size(field)
            case (12, .structure): statistics = try ParquetStatistics.read(&thrift)
            default: try thrift.skip(field)
            }
        }
    }
}

extension ParquetStatistics {
    /// The older bounds without a defined order (fields 1 and 2) are ignored.
    static func read(_ reader: inout ThriftReader) throws(Fault) -> ParquetStatistics {
        var found = ParquetStatistics()
        try reader.structure { (thrift, field) throws(Fault) in
            switch field.id {
            case 3: found.nullCount = try thrift.size(field)
            case 5: found.maximum = try thrift.binary(field)
            case 6: found.minimum = try thrift.binary(field)
            case 7: found.isExact = try thrift.bool(field) && found.isExact
            case 8: found.isExact = try thrift.bool(field) && found.isExact
            case 9: found.nanCount = try thrift.size(field)
            default: try thrift.skip(field)
            }
        }
        return found
    }
}
