import EventStoreCore

/// Reads Parquet files without nesting (https://github.com/apache/parquet-format): encodings PLAIN, dictionary, RLE
/// and DELTA_BINARY_PACKED, data pages of both versions, codecs UNCOMPRESSED, LZ4_RAW, SNAPPY and ZSTD.
///
/// Bytes are not trusted: what does not decode throws `damaged`, what is well-formed but not supported `invalid` with
/// a remedy, what would take too much memory `limit`. Used by one thread.
package final class ParquetReader {
    package let columns: [ParquetFileColumn]
    package let rowCount: Int
    package let metadata: [(key: String, value: String)]
    package let createdBy: String
    private let file: any FileHandle
    private let groups: [RowGroupMetadata]
    private let fileEnd: Int

    package init(_ file: any FileHandle) throws(Fault) {
        self.file = file
        let footer: Footer
        (footer, fileEnd) = try ParquetReader.readFooter(file)
        columns = try ParquetFileColumn.columns(footer.schema)
        groups = footer.groups
        rowCount = footer.rowCount
        metadata = footer.metadata
        createdBy = footer.createdBy
        var rows = 0
        for group in groups {
            guard group.chunks.count == columns.count else {
                throw Fault(.damaged, "a row group of the Parquet file lacks columns")
            }
            guard group.rowCount <= Limits.parquetRowGroupRowsMax else {
                throw Fault(.limit, "a row group of the Parquet file has \(group.rowCount) rows; write smaller ones")
            }
            rows += group.rowCount
        }
        guard rows == rowCount else { throw Fault(.damaged, "row counts of the Parquet file contradict each other") }
    }

    private static func readFooter(_ file: any FileHandle) throws(Fault) -> (Footer, Int) {
        let size = try file.size()
        let isNone = Fault(.damaged, "this is no Parquet file, or it was cut off: its magic is missing")
        guard size >= ParquetFormat.tailBytes + 4 else { throw isNone }
        let tail = try read(file, at: size - ParquetFormat.tailBytes, count: ParquetFormat.tailBytes)
        let (length, magic) = try tail.withBytes { (bytes) throws(Fault) in
            var reader = ByteReader(bytes)
            return (Int(try reader.u32()), try reader.u32())
        }
        if magic == ParquetFormat.encryptedMagic {
            throw Fault(.invalid, "the Parquet file is encrypted; write it again without encryption")
        }
        guard magic == ParquetFormat.magic else { throw isNone }
        let end = size - ParquetFormat.tailBytes
        guard length <= end - 4, length <= Limits.parquetFooterBytesMax else {
            throw Fault(.damaged, "the footer of the Parquet file has an impossible length")
        }
        let bytes = try read(file, at: end - length, count: length)
        return (try bytes.withBytes { (bytes) throws(Fault) in try Footer.read(bytes) }, end - length)
    }

    private static func read(_ file: any FileHandle, at offset: Int, count: Int) throws(Fault) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withMutableBytes { (target) throws(Fault) in try file.read(into: target, at: offset) }
        return bytes
    }

    package var rowGroupCount: Int { groups.count }
    package func rowCount(ofGroup group: Int) -> Int { groups[group].rowCount }
    package func statistics(ofGroup group: Int, column: Int) -> ParquetStatistics {
        groups[group].chunks[column].statistics
    }

    /// Starts reading a row group; `columns` are numbers of those wanted, all when `nil`.
    package func open(group: Int, columns wanted: [Int]? = nil) throws(Fault) -> ParquetGroupReader {
        let budget = MemoryBudget()
        var readers: [ColumnReader] = []
        for number in wanted ?? Array(columns.indices) {
            readers.append(
                try ColumnReader(
                    file, columns[number], groups[group].chunks[number], rows: groups[group].rowCount,
                    fileEnd: fileEnd, budget))
        }
        return ParquetGroupReader(readers, rows: groups[group].rowCount)
    }
}

/// The rows of a row group, batch by batch.
package final class ParquetGroupReader {
    /// One for each wanted column, with the rows of the last batch.
    package let vectors: [ParquetVector]
    private let readers: [ColumnReader]
    private var rowsLeft: Int
    /// Vectors of very many columns have few rows.
    private let batchRowsMax: Int

    private static let batchBytesMax = 64 << 20
    private static let bytesPerValue = 24

    init(_ readers: [ColumnReader], rows: Int) {
        self.readers = readers
        vectors = readers.map { ParquetVector($0.column.kind) }
        rowsLeft = rows
        let bytes = ParquetGroupReader.bytesPerValue * max(1, readers.count)
        batchRowsMax = max(16, ParquetGroupReader.batchBytesMax / bytes)
    }

    /// Reads up to `rowsMax` rows into the vectors and says how many; 0 at the end. Batches end where a page of any
    /// column ends, so that texts need not be copied.
    package func next(rowsMax: Int = 8192) throws(Fault) -> Int {
        precondition(rowsMax > 0)
        var rows = min(rowsMax, batchRowsMax, rowsLeft)
        if rows == 0 { return 0 }
        for reader in readers {
            try reader.prepare()
            rows = min(rows, reader.pageRows)
        }
        for (reader, vector) in zip(readers, vectors) { try reader.read(rows, into: vector) }
        rowsLeft -= rows
        return rows
    }
}
