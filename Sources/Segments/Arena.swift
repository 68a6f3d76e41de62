// Memory of one block's decoded columns: handed out by moving a mark, given back all at once.

import EventStoreCore

/// Bump-allocated memory for one block's decoded columns. What it hands out stays in place until `reset`.
final class Arena {
    // Unchecked: only this file touches them, and nothing called meanwhile comes back here.
    @exclusivity(unchecked) private var chunks: [UnsafeMutableRawBufferPointer] = []
    /// Free memory of the current chunk.
    @exclusivity(unchecked) private var next: UnsafeMutableRawPointer?
    @exclusivity(unchecked) private var left = 0
    private static let chunkBytes = 256 * 1024
    /// What `reset` keeps at most, so that one huge block does not pin its memory for good.
    private static let keptBytesMax = 32 << 20

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// Bytes allocated.
    var byteCount: Int { chunks.reduce(0) { $0 + $1.count } }

    func reset() {
        if chunks.count > 1 {
            let total = byteCount
            for chunk in chunks { chunk.deallocate() }
            let kept = min(total, Arena.keptBytesMax)
            chunks = [UnsafeMutableRawBufferPointer.allocate(byteCount: kept, alignment: 16)]
        }
        next = chunks.first?.baseAddress
        left = chunks.first?.count ?? 0
    }

    @inline(__always)
    func bytes(_ count: Int) -> UnsafeMutableRawPointer {
        let size = (count + 15) & ~15
        if let place = next, size <= left {
            next = place + size
            left &-= size
            return place
        }
        return bytesOfNextChunk(size)
    }

    func take<T: BitwiseCopyable>(_ count: Int, of type: T.Type) -> UnsafeMutablePointer<T> {
        bytes(count * MemoryLayout<T>.stride).assumingMemoryBound(to: T.self)
    }

    @inline(never)
    private func bytesOfNextChunk(_ size: Int) -> UnsafeMutableRawPointer {
        let grown = chunks.last.map { $0.count * 2 } ?? Arena.chunkBytes
        let fresh = UnsafeMutableRawBufferPointer.allocate(byteCount: max(size, 16, min(grown, 8 << 20)), alignment: 16)
        chunks.append(fresh)
        guard let place = fresh.baseAddress else { preconditionFailure("no memory") }
        next = place + size
        left = fresh.count - size
        return place
    }
}
