import CLZ4
import CZstd
import EventStoreCore

/// Undoes the compression of a page. The sizes come from the page's header and are checked before memory is taken.
enum PageDecompressor {
    /// A byte of LZ4 stands for 255 at most.
    private static let lz4GrowthMax = 255

    /// Refuses a codec that is not known here before anything is read.
    static func check(_ codec: Codec, column: String) throws(Fault) {
        switch codec {
        case .uncompressed, .lz4Raw, .snappy, .zstd: return
        case .gzip, .lzo, .brotli, .lz4Hadoop:
            throw Fault(
                .invalid,
                "Parquet column \"\(column)\" is compressed with \(codec.name), which cannot be read; "
                    + "write the file again with ZSTD, SNAPPY or LZ4_RAW")
        }
    }

    /// Whether a page of `stored` bytes can decompress to `plain` at all.
    static func isPossible(_ codec: Codec, stored: Int, plain: Int) -> Bool {
        switch codec {
        case .uncompressed: stored == plain
        case .lz4Raw: plain / lz4GrowthMax <= stored + 1
        case .snappy: plain / SnappyDecoder.growthMax <= stored + 1
        default: true
        }
    }

    /// Fills `plain` exactly, or throws `damaged`.
    static func decompress(
        _ stored: UnsafeRawBufferPointer, _ codec: Codec, into plain: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        guard let target = plain.baseAddress, plain.count > 0 else { return }
        let damaged = Fault(.damaged, "a page of the Parquet file does not decompress to its length")
        guard let source = stored.baseAddress, stored.count > 0 else { throw damaged }
        switch codec {
        case .uncompressed:
            guard stored.count == plain.count else { throw damaged }
            target.copyMemory(from: source, byteCount: plain.count)
        case .lz4Raw:
            let written = LZ4_decompress_safe(
                source.assumingMemoryBound(to: CChar.self), target.assumingMemoryBound(to: CChar.self),
                Int32(stored.count), Int32(plain.count))
            guard Int(written) == plain.count else { throw damaged }
        case .zstd:
            let written = ZSTD_decompress(target, plain.count, source, stored.count)
            guard ZSTD_isError(written) == 0, written == plain.count else { throw damaged }
        case .snappy:
            try SnappyDecoder.decompress(stored, into: plain)
        case .gzip, .lzo, .brotli, .lz4Hadoop:
            throw damaged
        }
    }
}
