/// Numbers of the Apache Parquet format, as its specification assigns them
/// (https://github.com/apache/parquet-format, `parquet.thrift`, release 2.12). They are shared by writer and reader.
enum ParquetFormat {
    /// `PAR1`, at both ends of a file.
    static let magic: UInt32 = 0x3152_4150
    /// `PARE` ends a file whose footer is encrypted.
    static let encryptedMagic: UInt32 = 0x4552_4150
    /// Length of the footer and the magic after it.
    static let tailBytes = 8
    /// Version 2 names the encodings of format 2.x; the pages are of the first version, which every reader knows.
    static let version: Int32 = 2
}

enum PhysicalType: Int32 {
    case boolean = 0
    case int32 = 1
    case int64 = 2
    case int96 = 3
    case float = 4
    case double = 5
    case byteArray = 6
    case fixedLengthByteArray = 7
}

enum Repetition: Int32 {
    case required = 0
    case optional = 1
    case repeated = 2
}

/// The older annotations of a column; each logical type that has one is written with it.
enum ConvertedType: Int32 {
    case utf8 = 0
    case enumeration = 4
    case decimal = 5
    case date = 6
    case timeMillis = 7
    case timeMicros = 8
    case timestampMillis = 9
    case timestampMicros = 10
    case unsigned8 = 11
    case unsigned16 = 12
    case unsigned32 = 13
    case unsigned64 = 14
    case signed8 = 15
    case signed16 = 16
    case signed32 = 17
    case signed64 = 18
    case json = 19
    case bson = 20
    case interval = 21
}

/// Field numbers of the union `LogicalType`.
enum LogicalField {
    static let string: Int16 = 1
    static let enumeration: Int16 = 4
    static let decimal: Int16 = 5
    static let date: Int16 = 6
    static let time: Int16 = 7
    static let timestamp: Int16 = 8
    static let integer: Int16 = 10
    static let unknown: Int16 = 11
    static let json: Int16 = 12
    static let bson: Int16 = 13
    static let uuid: Int16 = 14
    static let float16: Int16 = 15
}

/// Field numbers of the union `TimeUnit`.
enum TimeUnitField {
    static let millis: Int16 = 1
    static let micros: Int16 = 2
    static let nanos: Int16 = 3
}

enum Encoding: Int32, Hashable {
    case plain = 0
    case plainDictionary = 2
    case rle = 3
    case bitPacked = 4
    case deltaBinaryPacked = 5
    case deltaLengthByteArray = 6
    case deltaByteArray = 7
    case rleDictionary = 8
    case byteStreamSplit = 9

    /// As the specification spells it.
    var name: String {
        switch self {
        case .plain: "PLAIN"
        case .plainDictionary: "PLAIN_DICTIONARY"
        case .rle: "RLE"
        case .bitPacked: "BIT_PACKED"
        case .deltaBinaryPacked: "DELTA_BINARY_PACKED"
        case .deltaLengthByteArray: "DELTA_LENGTH_BYTE_ARRAY"
        case .deltaByteArray: "DELTA_BYTE_ARRAY"
        case .rleDictionary: "RLE_DICTIONARY"
        case .byteStreamSplit: "BYTE_STREAM_SPLIT"
        }
    }
}

enum Codec: Int32 {
    case uncompressed = 0
    case snappy = 1
    case gzip = 2
    case lzo = 3
    case brotli = 4
    case lz4Hadoop = 5
    case zstd = 6
    case lz4Raw = 7

    var name: String {
        switch self {
        case .uncompressed: "UNCOMPRESSED"
        case .snappy: "SNAPPY"
        case .gzip: "GZIP"
        case .lzo: "LZO"
        case .brotli: "BROTLI"
        case .lz4Hadoop: "LZ4 (Hadoop framing)"
        case .zstd: "ZSTD"
        case .lz4Raw: "LZ4_RAW"
        }
    }
}

enum PageType: Int32 {
    case data = 0
    case index = 1
    case dictionary = 2
    case dataV2 = 3
}
