// What a column of a file is to its reader: which kind of values it gives, and how its stored numbers become them.

import EventStoreCore

/// A column of a file that is read.
package struct ParquetFileColumn: Sendable, Hashable {
    package let name: String
    /// Smaller integers are given as `integer` or `unsigned`, FLOAT as `double`, DATE and all units of TIMESTAMP as
    /// `timestamp` in milliseconds, fixed-length bytes of another length than 16 as `binary`.
    package let kind: ParquetKind
    package let isOptional: Bool
    /// Times of the file that count neither milliseconds nor days: their fractions of a millisecond are cut off.
    package let cutsFractions: Bool

    let physical: PhysicalType
    let fixedLength: Int
    /// Of a time: stored units in a millisecond, or milliseconds in a stored unit.
    let divisor: Int64
    let factor: Int64
}

extension ParquetFileColumn {
    /// - Throws: `invalid` for a type that cannot be read, naming the column.
    init(_ element: SchemaElement) throws(Fault) {
        name = element.name
        guard let number = element.type, let physical = PhysicalType(rawValue: number) else {
            throw Fault(.damaged, "Parquet column \"\(element.name)\" has no type")
        }
        self.physical = physical
        isOptional = element.repetition == Repetition.optional.rawValue
        fixedLength = physical == .fixedLengthByteArray ? Int(element.typeLength ?? 0) : 0
        let scale = try ParquetFileColumn.scale(element)
        divisor = scale.divisor
        factor = scale.factor
        cutsFractions = divisor > 1
        kind = try ParquetFileColumn.kind(element, physical, isTime: scale.isTime)
        if physical == .fixedLengthByteArray, fixedLength <= 0 || fixedLength > Limits.valueBytesMax {
            throw Fault(.damaged, "Parquet column \"\(name)\" has values of \(fixedLength) bytes")
        }
    }

    private static func refusal(_ element: SchemaElement, _ type: String, _ remedy: String) -> Fault {
        Fault(.invalid, "Parquet column \"\(element.name)\" is of type \(type), which cannot be read; \(remedy)")
    }

    private static func kind(
        _ element: SchemaElement, _ physical: PhysicalType, isTime: Bool
    ) throws(Fault) -> ParquetKind {
        let logical = element.logical?.field
        let converted = element.converted.flatMap { ConvertedType(rawValue: $0) }
        if logical == LogicalField.decimal || converted == .decimal {
            throw refusal(element, "DECIMAL", "cast it to DOUBLE or to text")
        }
        if logical == LogicalField.time || converted == .timeMillis || converted == .timeMicros {
            throw refusal(element, "TIME", "cast it to text")
        }
        if logical == LogicalField.float16 { throw refusal(element, "FLOAT16", "cast it to DOUBLE") }
        if converted == .interval { throw refusal(element, "INTERVAL", "cast it to text") }
        switch physical {
        case .boolean: return .bool
        case .int96: throw refusal(element, "INT96", "write its times as TIMESTAMP")
        case .float, .double: return .double
        case .int32, .int64:
            if isTime { return .timestamp }
            let unsigned: [ConvertedType] = [.unsigned8, .unsigned16, .unsigned32, .unsigned64]
            let isUnsigned =
                logical == LogicalField.integer ? element.logical?.flag == false : unsigned.contains { $0 == converted }
            return isUnsigned ? .unsigned : .integer
        case .fixedLengthByteArray:
            return logical == LogicalField.uuid && element.typeLength == 16 ? .uuid : .binary
        case .byteArray:
            if logical == LogicalField.json || converted == .json { return .json }
            let isText = logical == LogicalField.string || logical == LogicalField.enumeration
            return isText || converted == .utf8 || converted == .enumeration ? .string : .binary
        }
    }

    /// How many stored units make a millisecond, or how many milliseconds a stored unit.
    private static func scale(_ element: SchemaElement) throws(Fault) -> (isTime: Bool, divisor: Int64, factor: Int64) {
        if let logical = element.logical {
            if logical.field == LogicalField.date { return (true, 1, Limits.msPerDay) }
            if logical.field == LogicalField.timestamp {
                switch logical.unit {
                case TimeUnitField.millis: return (true, 1, 1)
                case TimeUnitField.micros: return (true, 1_000, 1)
                case TimeUnitField.nanos: return (true, 1_000_000, 1)
                default: throw refusal(element, "TIMESTAMP of an unknown unit", "use MILLIS, MICROS or NANOS")
                }
            }
        }
        switch element.converted {
        case ConvertedType.date.rawValue: return (true, 1, Limits.msPerDay)
        case ConvertedType.timestampMillis.rawValue: return (true, 1, 1)
        case ConvertedType.timestampMicros.rawValue: return (true, 1_000, 1)
        default: return (false, 1, 1)
        }
    }

    /// The leaves of a schema without groups.
    static func columns(_ schema: [SchemaElement]) throws(Fault) -> [ParquetFileColumn] {
        guard let root = schema.first, root.type == nil else {
            throw Fault(.damaged, "the Parquet file has no schema")
        }
        var columns: [ParquetFileColumn] = []
        columns.reserveCapacity(schema.count - 1)
        for element in schema.dropFirst() {
            if element.childCount > 0 || element.type == nil {
                throw Fault(
                    .invalid,
                    "Parquet column \"\(element.name)\" is nested (a list, map or structure), which cannot be read; "
                        + "turn it into single columns or into JSON text")
            }
            if element.repetition != Repetition.required.rawValue, element.repetition != Repetition.optional.rawValue {
                throw Fault(
                    .invalid,
                    "Parquet column \"\(element.name)\" is repeated, which cannot be read; turn it into JSON text")
            }
            columns.append(try ParquetFileColumn(element))
        }
        guard root.childCount == columns.count, columns.count <= Limits.parquetColumnsMax else {
            throw Fault(.damaged, "the schema of the Parquet file contradicts itself")
        }
        return columns
    }
}
