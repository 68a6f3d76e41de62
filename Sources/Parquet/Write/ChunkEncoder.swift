import EventStoreCore

/// Makes the pages of a column chunk: chooses the encoding, cuts pages, and compresses them where that saves
/// something. Keeps its buffers from one chunk to the next.
final class ChunkEncoder {
    private struct Page {
        let type: PageType
        let start: Int
        let length: Int
        let valueCount: Int
        let encoding: Encoding
    }

    /// Where the values of the pages come from.
    private enum Source {
        case words(UnsafeBufferPointer<UInt64>)
        case deltas(UnsafeBufferPointer<UInt64>)
        case bools(UnsafeBufferPointer<UInt64>)
        case codes(UnsafeBufferPointer<UInt32>, width: Int)
        case ids(UnsafeRawBufferPointer)
        case texts(UnsafeRawBufferPointer)

        var encoding: Encoding {
            switch self {
            case .words, .bools, .ids, .texts: .plain
            case .deltas: .deltaBinaryPacked
            case .codes: .rleDictionary
            }
        }
    }

    private let options: ParquetRowGroup.Options
    private let rows: Int
    private var compressor: PageCompressor
    private var dictionary = WordDictionary()
    /// Pages before compression, one after the other.
    private var raw = ByteSink()
    private var levels = ByteSink()
    private var pages: [Page] = []

    /// Compression has to save a twentieth.
    private static let savedMin = 20

    init(_ options: ParquetRowGroup.Options, rows: Int) {
        self.options = options
        self.rows = rows
        compressor = PageCompressor(isCompact: options.isCompact)
    }

    func encode(_ builder: ParquetColumnBuilder, into output: inout ByteSink) -> ChunkMetadata {
        precondition(builder.rowCount <= rows, "a column has more rows than its row group")
        precondition(builder.isOptional || builder.valueCount == rows, "a required column lacks values")
        raw.removeAll()
        pages.removeAll(keepingCapacity: true)
        var metadata = ChunkMetadata()
        metadata.valueCount = rows
        let source = choose(builder, &metadata)
        addPages(builder, source)
        metadata.encodings = [source.encoding, .rle]
        if source.encoding == .rleDictionary { metadata.encodings.append(.plain) }
        metadata.statistics.nullCount = rows - builder.valueCount
        metadata.codec = compressionPays() ? .lz4Raw : .uncompressed
        for page in pages { emit(page, &metadata, into: &output) }
        return metadata
    }

    // MARK: Encodings

    private func choose(_ builder: ParquetColumnBuilder, _ metadata: inout ChunkMetadata) -> Source {
        let state = builder.state
        switch builder.kind {
        case .string, .json, .binary:
            return chooseForTexts(builder, &metadata)
        case .uuid:
            let ids = state.pointee.plain.bytes
            metadata.statistics = ColumnStatistics.texts { take in
                for start in stride(from: 0, to: ids.count, by: 16) { take(.init(rebasing: ids[start..<start + 16])) }
            }
            return .ids(ids)
        case .bool:
            let words = state.pointee.words.buffer
            metadata.statistics = ColumnStatistics.words(words, kind: .bool)
            return .bools(words)
        case .integer, .unsigned, .timestamp, .double:
            let words = state.pointee.words.buffer
            metadata.statistics = ColumnStatistics.words(words, kind: builder.kind)
            return chooseForWords(words, isInteger: builder.kind != .double)
        }
    }

    private func chooseForWords(_ words: UnsafeBufferPointer<UInt64>, isInteger: Bool) -> Source {
        if words.count < 8 { return .words(words) }
        let plain = words.count * 8
        let deltas = isInteger ? DeltaEncoder.byteCount(words) : plain
        // With so many distinct words their list alone would be as long as the best there is.
        let limit = min(65_536, min(plain, deltas) / 9)
        if limit > 0, dictionary.build(words, distinctMax: limit) {
            let width = HybridEncoder.width(dictionary.distinct.count - 1)
            let coded = dictionary.distinct.count * 8 + words.count * width / 8
            if coded < min(plain, deltas) {
                let start = raw.count
                for word in dictionary.distinct.buffer { raw.integer(word) }
                addDictionary(start, dictionary.distinct.count)
                return .codes(dictionary.codes.buffer, width: width)
            }
        }
        return deltas < plain / 8 * 7 ? .deltas(words) : .words(words)
    }

    private func chooseForTexts(_ builder: ParquetColumnBuilder, _ metadata: inout ChunkMetadata) -> Source {
        let state = builder.state
        if !state.pointee.isPlain {
            let distinct = state.pointee.texts.count
            let width = HybridEncoder.width(max(0, distinct - 1))
            let coded = state.pointee.texts.arena.count + distinct * 4 + builder.valueCount * width / 8
            let plain = state.pointee.textBytes + builder.valueCount * 4
            if distinct > 0, coded < plain / 10 * 9 {
                metadata.statistics = ColumnStatistics.texts { take in
                    for code in 0..<distinct { take(state.pointee.texts.bytes(code)) }
                }
                let start = raw.count
                for code in 0..<distinct {
                    let bytes = state.pointee.texts.bytes(code)
                    raw.integer(UInt32(bytes.count))
                    raw.raw(bytes)
                }
                addDictionary(start, distinct)
                return .codes(state.pointee.codes.buffer, width: width)
            }
            builder.giveUpDictionary()
        }
        let plain = state.pointee.plain.bytes
        metadata.statistics = ColumnStatistics.texts { take in
            var offset = 0
            while offset < plain.count {
                let end = ChunkEncoder.textEnd(plain, offset)
                take(UnsafeRawBufferPointer(rebasing: plain[offset + 4..<end]))
                offset = end
            }
        }
        return .texts(plain)
    }

    private static func textEnd(_ plain: UnsafeRawBufferPointer, _ offset: Int) -> Int {
        offset + 4 + Int(UInt32(littleEndian: plain.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    }

    private func addDictionary(_ start: Int, _ count: Int) {
        pages.append(
            Page(type: .dictionary, start: start, length: raw.count - start, valueCount: count, encoding: .plain))
    }

    // MARK: Pages

    private func addPages(_ builder: ParquetColumnBuilder, _ source: Source) {
        let presence = builder.state.pointee.presence.buffer
        var row = 0
        var value = 0
        var textOffset = 0
        while row < rows {
            var end = row
            var values = 0
            let textStart = textOffset
            let valuesMax = options.pageBytes / 8
            // Pages end at words of the presence bits.
            while end < rows, values < valuesMax, end - row < valuesMax * 8, textOffset - textStart < options.pageBytes
            {
                let more = end >> 6 < presence.count ? presence[end >> 6].nonzeroBitCount : 0
                if case .texts(let plain) = source {
                    for _ in 0..<more { textOffset = ChunkEncoder.textEnd(plain, textOffset) }
                }
                values += more
                end = min(rows, end + 64)
            }
            let start = raw.count
            if builder.isOptional { addLevels(presence, row..<end, values: values) }
            addValues(source, value..<value + values, texts: textStart..<textOffset)
            pages.append(
                Page(
                    type: .data, start: start, length: raw.count - start, valueCount: end - row,
                    encoding: source.encoding))
            row = end
            value += values
        }
    }

    private func addLevels(_ presence: UnsafeBufferPointer<UInt64>, _ range: Range<Int>, values: Int) {
        levels.removeAll()
        if values == 0 || values == range.count {
            HybridEncoder.encodeLevels(all: values == 0 ? 0 : 1, count: range.count, into: &levels)
        } else {
            HybridEncoder.encodeLevels(presence, rows: range, into: &levels)
        }
        raw.integer(UInt32(levels.count))
        raw.raw(levels.bytes)
    }

    private func addValues(_ source: Source, _ range: Range<Int>, texts: Range<Int>) {
        switch source {
        case .words(let words):
            if range.isEmpty { return }
            let part = UnsafeBufferPointer(rebasing: words[range])
            #if _endian(little)
                raw.raw(UnsafeRawBufferPointer(part))
            #else
                for word in part { raw.integer(word) }
            #endif
        case .deltas(let words):
            DeltaEncoder.encode(UnsafeBufferPointer(rebasing: words[range]), into: &raw)
        case .bools(let words):
            let padded = (range.count + 7) / 8 * 8
            BitPacker.pack(count: range.count, paddedTo: padded, width: 1, into: &raw) { words[range.lowerBound + $0] }
        case .codes(let codes, let width):
            raw.u8(UInt8(width))
            HybridEncoder.encode(UnsafeBufferPointer(rebasing: codes[range]), width: width, into: &raw)
        case .ids(let ids):
            raw.raw(UnsafeRawBufferPointer(rebasing: ids[range.lowerBound * 16..<range.upperBound * 16]))
        case .texts(let plain):
            raw.raw(UnsafeRawBufferPointer(rebasing: plain[texts]))
        }
    }

    // MARK: Output

    /// A codec is the whole chunk's: the first pages, and with them the dictionary, stand for all.
    private func compressionPays() -> Bool {
        var before = 0
        var after = 0
        for page in pages.prefix(2) {
            before += page.length
            after += compressor.compress(raw.slice(page.start, page.length)).count
        }
        return before >= 64 && after < before - before / ChunkEncoder.savedMin
    }

    private func emit(_ page: Page, _ metadata: inout ChunkMetadata, into output: inout ByteSink) {
        let plain = raw.slice(page.start, page.length)
        let stored = metadata.codec == .lz4Raw ? compressor.compress(plain) : plain
        let place = output.count
        if page.type == .dictionary {
            metadata.dictionaryOffset = place
        } else if metadata.dataOffset == nil {
            metadata.dataOffset = place
        }
        let header = header(page, stored: stored.count)
        output.raw(header.sink.bytes)
        output.raw(stored)
        metadata.plainBytes += header.sink.count + plain.count
        metadata.storedBytes += header.sink.count + stored.count
    }

    private func header(_ page: Page, stored: Int) -> ThriftWriter {
        var thrift = ThriftWriter()
        thrift.element { head in
            head.int32(1, page.type.rawValue)
            head.int32(2, Int32(page.length))
            head.int32(3, Int32(stored))
            if page.type == .dictionary {
                head.structure(7) { dictionary in
                    dictionary.int32(1, Int32(page.valueCount))
                    dictionary.int32(2, page.encoding.rawValue)
                }
            } else {
                head.structure(5) { data in
                    data.int32(1, Int32(page.valueCount))
                    data.int32(2, page.encoding.rawValue)
                    data.int32(3, Encoding.rle.rawValue)
                    data.int32(4, Encoding.rle.rawValue)
                }
            }
        }
        return thrift
    }
}
