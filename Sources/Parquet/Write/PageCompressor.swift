import CLZ4
import EventStoreCore

/// Compresses pages as single LZ4 blocks (codec LZ4_RAW of the Parquet specification). One per thread.
struct PageCompressor: ~Copyable {
    private let isCompact: Bool
    private let state: UnsafeMutableRawPointer
    private var target = ByteSink()
    private static let highLevel: Int32 = 3

    init(isCompact: Bool) {
        self.isCompact = isCompact
        let size = isCompact ? LZ4_sizeofStateHC() : LZ4_sizeofState()
        state = .allocate(byteCount: Int(size), alignment: 16)
    }

    deinit { state.deallocate() }

    /// The compressed page, valid until the next call.
    mutating func compress(_ page: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let room = LZ4_compressBound(Int32(page.count))
        guard room > 0, let start = page.baseAddress else {
            preconditionFailure("a page of \(page.count) bytes is beyond LZ4")
        }
        target.removeAll()
        let source = start.assumingMemoryBound(to: CChar.self)
        let place = UnsafeMutableRawPointer(target.extend(Int(room))).assumingMemoryBound(to: CChar.self)
        let written =
            isCompact
            ? LZ4_compress_HC_extStateHC(state, source, place, Int32(page.count), room, PageCompressor.highLevel)
            : LZ4_compress_fast_extState(state, source, place, Int32(page.count), room, 1)
        precondition(written > 0, "LZ4 fails only without room, and there is room")
        return target.slice(0, Int(written))
    }
}
