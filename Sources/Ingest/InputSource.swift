// Opens a file or standard input and gives out its lines in chunks: plain, gzip or zstd.
//
// Invariants:
// - A chunk is whole lines (CSV: whole records); the last of a file may lack its line feed.
// - Memory is bounded by the chunk's size and `Limits.lineBytesMax`, whatever the file holds.
// - After damage all whole lines before it are given out, then the fault is thrown, then nothing comes.

import EventStoreCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What a source found its file to be.
package struct InputDescription: Sendable {
    package var format: InputFormat
    /// The first record of a CSV file without its line end; empty for other formats and for an empty file.
    package var csvHeader: [UInt8]

    package init(format: InputFormat, csvHeader: [UInt8] = []) {
        self.format = format
        self.csvHeader = csvHeader
    }
}

/// `@unchecked Sendable`: one thread at a time calls `nextChunk` and `takeReport`, and the handing over from
/// the thread that opened it orders their memory; all else that is seen from outside is constant or atomic.
package final class InputSource: @unchecked Sendable {
    package let description: InputDescription
    /// 0 when unknown: standard input, pipes.
    package var totalBytes: Int { file.totalBytes }
    /// Bytes of the file read so far, compressed if it is. May be asked from any thread.
    package var bytesRead: Int { file.bytesRead.load(ordering: .relaxed) }

    private let file: InputFile
    private let decoder: any InputDecoder
    private let splitter: LineSplitter
    private let pool: ChunkPool
    /// Memory being filled: `filled` bytes, of which none is given out yet.
    private var block: ChunkPool.Block?
    private var filled = 0
    private var line = 1
    private var isAtEnd = false
    private var fault: Fault?
    /// In the middle of a line that is too long, see `skipLine`.
    private var isSkipping = false
    private var skipPlace = LineSplitter.Place.fieldStart
    private var report = ParseReport()

    /// How long a live source may keep lines back while it waits for more.
    fileprivate static let waitMs: Int32 = 50

    /// Opens the file and, if `options.format` is nil, finds out what it is.
    /// - Parameter path: `-` is standard input.
    /// - Throws: `not-found`, `permission`; `damaged` when compressed data breaks before the first line;
    ///   `invalid` when nothing tells the format.
    package init(path: String, options: InputOptions, chunkBytes: Int = 4 << 20) throws(Fault) {
        file = try InputFile(path: path, standardInput: options.standardInput)
        decoder = try InputDecoders.make(file)
        pool = ChunkPool(blockBytes: max(chunkBytes, 16))
        let known = options.logFormat == nil ? options.format : .logPattern
        var beginning = Beginning(file: file, decoder: decoder, pool: pool)
        if known == nil || known == .csv { try beginning.read() }
        let format: InputFormat
        if let known { format = known } else { format = try FormatDetection.format(of: beginning.bytes, path: path) }
        splitter = LineSplitter(hasQuotes: format == .csv)
        let header = format == .csv ? beginning.header : nil
        description = InputDescription(format: format, csvHeader: header.map { Array($0.bytes) } ?? [])
        block = beginning.block
        filled = beginning.count
        isAtEnd = beginning.isAtEnd
        fault = beginning.fault
        if let header {
            line += header.lineFeeds
            keepRest(from: header.length)
        }
    }

    deinit { if let block { pool.give(block) } }

    /// Lines the source itself refused (too long), since the last call.
    package func takeReport() -> ParseReport {
        defer { report = ParseReport() }
        return report
    }

    /// The next lines; `nil` at the end.
    /// - Throws: `damaged`, `io`. What could be read before was given out; the next call gives `nil`.
    package func nextChunk() throws(Fault) -> InputChunk? {
        while true {
            fill()
            if isSkipping, !skipLine() {
                if try isFinished() { return nil }
                continue
            }
            let available = bytes
            if let end = splitter.lastLineEnd(available) { return giveOut(end) }
            if isAtEnd {
                if fault == nil, filled > 0, filled <= Limits.lineBytesMax { return giveOut(filled) }
                if fault == nil, filled > 0 { refuseLine() }
                filled = 0
                _ = try isFinished()
                return nil
            }
            if filled > Limits.lineBytesMax {
                refuseLine()
                isSkipping = true
                skipPlace = .fieldStart
            } else if filled == currentBlock().capacity {
                grow()
            }
        }
    }

    private func isFinished() throws(Fault) -> Bool {
        guard isAtEnd else { return false }
        if let known = fault {
            fault = nil
            throw known
        }
        return true
    }

    private var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: block?.base, count: filled) }

    private func currentBlock() -> ChunkPool.Block {
        if let block { return block }
        let fresh = pool.take()
        block = fresh
        filled = 0
        return fresh
    }

    /// Reads until the block is full, the input ends, or a live source has whole lines and pauses.
    private func fill() {
        let target = currentBlock()
        while filled < target.capacity, !isAtEnd {
            if filled > 0, file.waits(milliseconds: InputSource.waitMs), splitter.lastLineEnd(bytes) != nil { return }
            do throws(Fault) {
                let room = UnsafeMutableRawBufferPointer(start: target.base + filled, count: target.capacity - filled)
                let count = try decoder.read(into: room)
                filled += count
                if count == 0 { isAtEnd = true }
            } catch {
                fault = error
                isAtEnd = true
            }
        }
    }

    private func giveOut(_ count: Int) -> InputChunk {
        let full = currentBlock()
        let firstLine = line
        let lineFeeds = LineSplitter.count(0x0a, UnsafeRawBufferPointer(start: full.base, count: count))
        line += lineFeeds
        let rest = filled - count
        block = nil
        if rest > 0 {
            // A block larger than usual holds a long line, and may have to hold its rest.
            let next = rest <= pool.blockBytes ? pool.take() : ChunkPool.allocate(full.capacity)
            next.base.copyMemory(from: full.base + count, byteCount: rest)
            block = next
        }
        filled = rest
        return InputChunk(full, count: count, firstLine: firstLine, lineFeeds: lineFeeds, pool: pool)
    }

    private func keepRest(from start: Int) {
        guard let block, start > 0 else { return }
        filled -= start
        memmove(block.base, block.base + start, filled)
    }

    private func grow() {
        let old = currentBlock()
        let larger = ChunkPool.allocate(old.capacity * 2)
        larger.base.copyMemory(from: old.base, byteCount: filled)
        pool.give(old)
        block = larger
    }

    private func refuseLine() {
        report.read += 1
        report.refuse(line: line, .lineTooLong, "longer than \(Limits.lineBytesMax) bytes")
    }

    /// Drops bytes up to the line's end; `false` while it has not come.
    private func skipLine() -> Bool {
        let available = bytes
        let found = splitter.firstLineEnd(available, &skipPlace)
        let dropped = found ?? available.count
        line += LineSplitter.count(0x0a, UnsafeRawBufferPointer(rebasing: available[..<dropped]))
        keepRest(from: dropped)
        if found != nil { isSkipping = false }
        return found != nil
    }
}

/// The beginning of a file: enough of it to tell what it is and to hold a CSV header.
private struct Beginning {
    let file: InputFile
    let decoder: any InputDecoder
    let pool: ChunkPool
    var block: ChunkPool.Block?
    var count = 0
    var isAtEnd = false
    var fault: Fault?

    static let bytesWanted = 64 * 1024

    init(file: InputFile, decoder: any InputDecoder, pool: ChunkPool) {
        self.file = file
        self.decoder = decoder
        self.pool = pool
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: block?.base, count: count) }

    /// Reads until there are some lines, or one and nothing more comes at once.
    mutating func read() throws(Fault) {
        let wanted = min(Beginning.bytesWanted, pool.blockBytes)
        var space = pool.take()
        while !isAtEnd {
            block = space
            if count >= wanted, header != nil { return }
            if file.waits(milliseconds: InputSource.waitMs), header != nil { return }
            if count > Limits.lineBytesMax { return }
            if count == space.capacity {
                let larger = ChunkPool.allocate(space.capacity * 2)
                larger.base.copyMemory(from: space.base, byteCount: count)
                space.base.deallocate()
                space = larger
                continue
            }
            try readSome(space)
        }
    }

    private mutating func readSome(_ space: ChunkPool.Block) throws(Fault) {
        do throws(Fault) {
            let room = UnsafeMutableRawBufferPointer(start: space.base + count, count: space.capacity - count)
            let added = try decoder.read(into: room)
            count += added
            if added == 0 { isAtEnd = true }
        } catch {
            isAtEnd = true
            guard count > 0 else {
                pool.give(space)
                block = nil
                throw error
            }
            fault = error
        }
    }

    /// The first record that is not blank, its length with all before it and its line end, and the line feeds in that.
    var header: (bytes: UnsafeRawBufferPointer, length: Int, lineFeeds: Int)? {
        let all = bytes
        var start = all.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
        while start < all.count, all[start] == 0x0a || all[start] == 0x0d || all[start] == 0x20 { start += 1 }
        guard start < all.count else { return nil }
        var place = LineSplitter.Place.fieldStart
        let rest = UnsafeRawBufferPointer(rebasing: all[start...])
        let found = LineSplitter(hasQuotes: true).firstLineEnd(rest, &place)
        guard found != nil || isAtEnd else { return nil }
        let length = start + (found ?? rest.count)
        var end = length
        while end > start, all[end - 1] == 0x0a || all[end - 1] == 0x0d { end -= 1 }
        let whole = UnsafeRawBufferPointer(rebasing: all[..<length])
        return (UnsafeRawBufferPointer(rebasing: all[start..<end]), length, LineSplitter.count(0x0a, whole))
    }
}
