// Memory of input on its way from the thread that reads to the threads that parse.
//
// Invariant: a block belongs to exactly one owner at a time, to the pool, the source or one chunk.

import EventStoreCore
import Synchronization

/// Blocks of one size that chunks give back for the next ones.
///
/// Sendable because its only state stands behind a Mutex.
final class ChunkPool: Sendable {
    struct Block: @unchecked Sendable {
        // Sendable: a block has one owner at a time, see the file's invariant.
        let base: UnsafeMutableRawPointer
        let capacity: Int
    }

    let blockBytes: Int
    private static let freeBlocksMax = 8
    private let free = Mutex<[Block]>([])

    init(blockBytes: Int) { self.blockBytes = blockBytes }

    deinit {
        free.withLock { blocks in
            for block in blocks { block.base.deallocate() }
            blocks = []
        }
    }

    func take() -> Block {
        free.withLock { $0.popLast() } ?? ChunkPool.allocate(blockBytes)
    }

    /// Keeps the block for later if it has the usual size and there are not enough of them.
    func give(_ block: Block) {
        let isKept = free.withLock { blocks in
            guard block.capacity == blockBytes, blocks.count < ChunkPool.freeBlocksMax else { return false }
            blocks.append(block)
            return true
        }
        if !isKept { block.base.deallocate() }
    }

    /// A block whose padding may be read behind its capacity.
    static func allocate(_ capacity: Int) -> Block {
        let base = UnsafeMutableRawPointer.allocate(byteCount: capacity + TextScan.padding, alignment: 16)
        (base + capacity).initializeMemory(as: UInt8.self, repeating: 0, count: TextScan.padding)
        return Block(base: base, capacity: capacity)
    }
}

/// Whole lines of a file. Its memory goes back to its source's pool when the last reference goes.
///
/// `@unchecked Sendable`: nothing in it changes after `init`, and its memory is its own until `deinit`.
package final class InputChunk: @unchecked Sendable {
    private let block: ChunkPool.Block
    private let pool: ChunkPool
    /// Valid as long as the chunk lives. `TextScan.padding` bytes behind its end can be read.
    package let bytes: UnsafeRawBufferPointer
    /// Number of the first line in its file, from 1.
    package let firstLine: Int
    /// Line feeds in it.
    package let lineFeeds: Int

    init(_ block: ChunkPool.Block, count: Int, firstLine: Int, lineFeeds: Int, pool: ChunkPool) {
        self.block = block
        self.pool = pool
        self.firstLine = firstLine
        self.lineFeeds = lineFeeds
        bytes = UnsafeRawBufferPointer(start: block.base, count: count)
    }

    deinit { pool.give(block) }
}
