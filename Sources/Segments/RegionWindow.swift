// Reads ahead in one region of a segment, for scans that visit entities in the order they lie in.

import EventStoreCore

/// A stretch of a region held in memory. Small packs that lie one behind the other cost a read each few hundred.
struct RegionWindow {
    /// More gains nothing when the file is in the system's cache, and pushes what is decoded out of the processor's.
    static let bytesMax = 256 << 10
    /// What a pack asked for behind the last one may be away from it to count as the next.
    private static let gapMax = 16 << 10

    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var start = 0
    private var filled = 0
    /// How much the next read takes, at least.
    private var ahead = 0

    var byteCount: Int { memory.count }

    func deallocate() { memory.deallocate() }

    /// Forgets what it holds; from `start` on, `ahead` bytes are read at once.
    mutating func reset(start: Int, ahead: Int) {
        self.start = start
        self.ahead = ahead
        filled = 0
    }

    /// Bytes of the region, valid until the next call; nil when there are too many to hold.
    @inline(__always)
    mutating func bytes(
        at offset: Int, _ count: Int, end: Int, _ file: any FileHandle
    ) throws(Fault) -> UnsafeRawBufferPointer? {
        if offset >= start, offset &+ count <= start &+ filled {
            let place = offset &- start
            return UnsafeRawBufferPointer(rebasing: memory[place..<place &+ count])
        }
        return try move(to: offset, count, end, file)
    }

    /// Reads more each time the next place is the one just behind, and no more than asked for when it is not.
    @inline(never)
    private mutating func move(
        to offset: Int, _ count: Int, _ end: Int, _ file: any FileHandle
    ) throws(Fault) -> UnsafeRawBufferPointer? {
        guard count <= RegionWindow.bytesMax else { return nil }
        let gap = offset - start - filled
        let isNext = gap >= 0 && gap <= max(ahead, RegionWindow.gapMax)
        ahead = isNext ? min(max(4 * ahead, 2 * RegionWindow.gapMax), RegionWindow.bytesMax) : 0
        if memory.count == 0 { memory = .allocate(byteCount: RegionWindow.bytesMax, alignment: 64) }
        filled = 0
        start = offset
        let length = max(count, min(ahead, end - offset))
        do throws(Fault) {
            try file.read(into: UnsafeMutableRawBufferPointer(rebasing: memory[..<length]), at: offset)
            filled = length
        } catch {
            // What lies ahead may be unreadable where this is not.
            ahead = 0
            guard length > count else { throw error }
            try file.read(into: UnsafeMutableRawBufferPointer(rebasing: memory[..<count]), at: offset)
            filled = count
        }
        return UnsafeRawBufferPointer(rebasing: memory[..<count])
    }
}
