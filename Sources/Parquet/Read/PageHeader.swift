import EventStoreCore

/// The header of a page (`PageHeader` in parquet.thrift), of both versions of data pages.
struct PageHeader {
    var type: PageType?
    var plainBytes = 0
    var storedBytes = 0
    /// Of a data page its rows, of a dictionary its entries.
    var valueCount = 0
    var encoding: Int32 = 0
    /// V1 only: how definition levels are encoded.
    var levelEncoding = Encoding.rle.rawValue
    /// V2 only: bytes of the levels, which are never compressed.
    var definitionBytes = 0
    var repetitionBytes = 0
    var isCompressed = true

    /// The header at the beginning of the bytes, and how many of them it takes.
    static func read(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> (header: PageHeader, length: Int) {
        var header = PageHeader()
        var number: Int32?
        var kinds: Set<Int16> = []
        var reader = ThriftReader(bytes)
        try reader.structure { (thrift, field) throws(Fault) in
            switch (field.id, field.type) {
            case (1, _): number = try thrift.int32(field)
            case (2, _): header.plainBytes = try thrift.size(field)
            case (3, _): header.storedBytes = try thrift.size(field)
            case (5, .structure), (7, .structure), (8, .structure):
                kinds.insert(field.id)
                try header.readDetails(&thrift, isV2: field.id == 8)
            default: try thrift.skip(field)
            }
        }
        guard let number else { throw Fault(.damaged, "a page of the Parquet file has no type") }
        header.type = PageType(rawValue: number)
        let needed: Int16? =
            switch header.type {
            case .data: 5
            case .dictionary: 7
            case .dataV2: 8
            case .index, nil: nil
            }
        if let needed, !kinds.contains(needed) || kinds.count != 1 {
            throw Fault(.damaged, "a page header of the Parquet file contradicts itself")
        }
        return (header, reader.offset)
    }

    /// The three kinds of pages agree in fields 1 and, but for V2, 2 and 3.
    private mutating func readDetails(_ reader: inout ThriftReader, isV2: Bool) throws(Fault) {
        try reader.structure { (thrift, field) throws(Fault) in
            switch field.id {
            case 1: valueCount = try thrift.size(field)
            case 2 where !isV2, 4 where isV2: encoding = try thrift.int32(field)
            case 3 where !isV2 && field.type == .int32: levelEncoding = try thrift.int32(field)
            case 5 where isV2: definitionBytes = try thrift.size(field)
            case 6 where isV2: repetitionBytes = try thrift.size(field)
            case 7 where isV2: isCompressed = try thrift.bool(field)
            default: try thrift.skip(field)
            }
        }
    }
}
