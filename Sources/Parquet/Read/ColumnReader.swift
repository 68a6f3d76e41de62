import EventStoreCore

/// Reads a column chunk page by page: one page and the dictionary are in memory.
final class ColumnReader {
    let column: ParquetFileColumn
    private let file: any FileHandle
    private let codec: Codec
    private let budget: MemoryBudget
    /// Where the next page begins, and where the chunk ends.
    private var position: Int
    private let end: Int
    /// Rows of pages that were not read yet.
    private var rowsLeft: Int
    /// Rows of the page that were not read yet.
    private(set) var pageRows = 0

    private var stored = PageBuffer()
    private var page = PageBuffer()
    private var dictionaryPage = PageBuffer()
    private var dictionary = PageDictionary()
    private var levels: HybridDecoder?
    private var values: ValueDecoder?
    private var scratch = GrowableBuffer<UInt32>()

    /// `fileEnd` is where the footer begins.
    init(
        _ file: any FileHandle, _ column: ParquetFileColumn, _ chunk: ChunkMetadata, rows: Int, fileEnd: Int,
        _ budget: MemoryBudget
    ) throws(Fault) {
        self.file = file
        self.column = column
        self.budget = budget
        codec = chunk.codec
        rowsLeft = rows
        guard let dataOffset = chunk.dataOffset, chunk.valueCount == rows,
            chunk.type == nil || chunk.type == column.physical.rawValue
        else { throw Fault(.damaged, "metadata of Parquet column \"\(column.name)\" contradict themselves") }
        try PageDecompressor.check(codec, column: column.name)
        // Some writers put 0 where there is no dictionary.
        let dictionaryOffset = chunk.dictionaryOffset ?? 0
        position = dictionaryOffset > 0 ? min(dictionaryOffset, dataOffset) : dataOffset
        guard position <= fileEnd, chunk.storedBytes <= fileEnd - position else {
            throw Fault(.damaged, "Parquet column \"\(column.name)\" lies outside of its file")
        }
        end = position + chunk.storedBytes
    }

    private func damaged(_ what: String) -> Fault {
        Fault(.damaged, "Parquet column \"\(column.name)\": \(what)", at: .init(offset: position))
    }

    // MARK: Rows

    /// Makes sure that the page has rows, as long as the column chunk has any.
    func prepare() throws(Fault) {
        while pageRows == 0, rowsLeft > 0 { try nextPage() }
    }

    /// The next rows, at most as many as the page has.
    func read(_ rows: Int, into vector: ParquetVector) throws(Fault) {
        precondition(rows <= pageRows)
        vector.prepare(rows)
        var count = rows
        if levels != nil {
            try levels?.decode(rows, into: vector.levels.base)
            count = 0
            for row in 0..<rows { count += vector.levels.base[row] != 0 ? 1 : 0 }
        } else {
            vector.levels.base.update(repeating: 1, count: rows)
        }
        try values?.decode(count, dictionary, &scratch, into: vector)
        vector.spread(count)
        pageRows -= rows
    }

    // MARK: Pages

    private func nextPage() throws(Fault) {
        let header = try readHeader()
        guard header.storedBytes <= end - position else { throw damaged("a page ends behind its column") }
        guard header.plainBytes <= Limits.parquetPageBytesMax, header.storedBytes <= Limits.parquetPageBytesMax else {
            throw Fault(
                .limit,
                "Parquet column \"\(column.name)\" has a page of \(max(header.plainBytes, header.storedBytes)) bytes; "
                    + "write the file again with pages below \(Limits.parquetPageBytesMax)")
        }
        switch header.type {
        case .dictionary: try readDictionary(header)
        case .data: try readData(header)
        case .dataV2: try readDataV2(header)
        case .index, nil: break
        }
        position += header.storedBytes
    }

    /// Reads more and more of the chunk until the header is whole: statistics make some of them long.
    private func readHeader() throws(Fault) -> PageHeader {
        var length = min(512, end - position)
        while true {
            guard length > 0 else { throw damaged("its pages have fewer rows than its row group") }
            let target = try stored.resize(to: length, budget)
            try file.read(into: target, at: position)
            do throws(Fault) {
                let (header, used) = try PageHeader.read(stored.bytes)
                position += used
                return header
            } catch {
                let more = min(length * 16, Limits.parquetPageHeaderBytesMax, end - position)
                guard more > length else { throw error }
                length = more
            }
        }
    }

    /// Reads and decompresses a page whose first `plainPrefix` bytes are stored as they are.
    private func load(
        _ header: PageHeader, plainPrefix: Int, into target: inout PageBuffer
    ) throws(Fault) {
        let codec = header.isCompressed ? codec : .uncompressed
        guard plainPrefix <= header.storedBytes, plainPrefix <= header.plainBytes,
            PageDecompressor.isPossible(
                codec, stored: header.storedBytes - plainPrefix, plain: header.plainBytes - plainPrefix)
        else { throw damaged("a page whose sizes contradict themselves") }
        if codec == .uncompressed {
            try file.read(into: try target.resize(to: header.plainBytes, budget), at: position)
            return
        }
        try file.read(into: try stored.resize(to: header.storedBytes, budget), at: position)
        let plain = try target.resize(to: header.plainBytes, budget)
        plain.copyBytes(from: stored.bytes[0..<plainPrefix])
        try PageDecompressor.decompress(
            UnsafeRawBufferPointer(rebasing: stored.bytes[plainPrefix...]), codec,
            into: UnsafeMutableRawBufferPointer(rebasing: plain[plainPrefix...]))
    }

    private func readDictionary(_ header: PageHeader) throws(Fault) {
        guard dictionary.count == 0, values == nil else { throw damaged("a second or late dictionary") }
        guard header.encoding == Encoding.plain.rawValue || header.encoding == Encoding.plainDictionary.rawValue else {
            throw damaged("a dictionary of encoding \(header.encoding)")
        }
        try load(header, plainPrefix: 0, into: &dictionaryPage)
        var reader = ByteReader(dictionaryPage.bytes)
        let count = header.valueCount
        let bytesEach = column.physical == .fixedLengthByteArray ? column.fixedLength : 4
        guard count <= dictionaryPage.bytes.count / bytesEach else { throw damaged("a dictionary cut short") }
        try budget.take(PageDictionary.byteCount(count, column))
        if column.kind.isWord {
            dictionary.words.resize(to: count, filling: 0)
        } else {
            dictionary.texts.resize(to: count, filling: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        try ValueDecoder.plain(count, column, &reader, dictionary.words.base, dictionary.texts.base)
        dictionary.count = count
    }

    private func readData(_ header: PageHeader) throws(Fault) {
        try checkRows(header)
        try load(header, plainPrefix: 0, into: &page)
        var reader = ByteReader(page.bytes)
        levels = nil
        if column.isOptional {
            guard header.levelEncoding == Encoding.rle.rawValue else {
                throw Fault(
                    .invalid,
                    "Parquet column \"\(column.name)\" has levels of an outdated encoding; write the file again")
            }
            levels = try HybridDecoder(try reader.raw(Int(try reader.u32())), width: 1)
        }
        try start(header, try reader.raw(reader.remaining))
    }

    private func readDataV2(_ header: PageHeader) throws(Fault) {
        try checkRows(header)
        guard header.repetitionBytes == 0, header.definitionBytes <= header.storedBytes else {
            throw damaged("levels of a nested column")
        }
        try load(header, plainPrefix: header.definitionBytes, into: &page)
        var reader = ByteReader(page.bytes)
        let bytes = try reader.raw(header.definitionBytes)
        levels = column.isOptional ? try HybridDecoder(bytes, width: 1) : nil
        try start(header, try reader.raw(reader.remaining))
    }

    private func checkRows(_ header: PageHeader) throws(Fault) {
        guard header.valueCount <= rowsLeft else { throw damaged("its pages have more rows than its row group") }
    }

    /// A page of nulls only may have no bytes at all, whatever its encoding needs otherwise.
    private func start(_ header: PageHeader, _ bytes: UnsafeRawBufferPointer) throws(Fault) {
        let encoding = bytes.isEmpty ? Encoding.plain.rawValue : header.encoding
        values = try ValueDecoder(bytes, encoding, column)
        rowsLeft -= header.valueCount
        pageRows = header.valueCount
    }
}
