// Memory for the columns of one unit of work: handed out by moving a mark, given back all at once.

/// Bump-allocated memory of one worker. What it hands out stays in place until `reset`.
final class Scratch {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    private var next: UnsafeMutableRawPointer?
    private var left = 0
    private static let chunkBytes = 1 << 20
    /// What `reset` keeps at most.
    private static let keptBytesMax = 32 << 20

    deinit { for chunk in chunks { chunk.deallocate() } }

    var byteCount: Int { chunks.reduce(0) { $0 + $1.count } }

    func reset() {
        if chunks.count > 1 {
            let kept = min(byteCount, Scratch.keptBytesMax)
            for chunk in chunks { chunk.deallocate() }
            chunks = [UnsafeMutableRawBufferPointer.allocate(byteCount: kept, alignment: 64)]
        }
        next = chunks.first?.baseAddress
        left = chunks.first?.count ?? 0
    }

    @inline(__always)
    func take<T: BitwiseCopyable>(_ count: Int, of type: T.Type) -> UnsafeMutablePointer<T> {
        let size = (max(count, 1) * MemoryLayout<T>.stride + 63) & ~63
        if let place = next, size <= left {
            next = place + size
            left &-= size
            return place.assumingMemoryBound(to: T.self)
        }
        return takeFromNextChunk(size).assumingMemoryBound(to: T.self)
    }

    @inline(never)
    private func takeFromNextChunk(_ size: Int) -> UnsafeMutableRawPointer {
        let grown = chunks.last.map { $0.count * 2 } ?? Scratch.chunkBytes
        let fresh = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(size, min(grown, 16 << 20)), alignment: 64)
        chunks.append(fresh)
        guard let place = fresh.baseAddress else { preconditionFailure("no memory") }
        next = place + size
        left = fresh.count - size
        return place
    }
}
