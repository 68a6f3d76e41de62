// Growable bytes and arena memory of the codecs. Raw pointers, no uniqueness checks, reused between blocks.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Bytes being written. There are always at least eight spare bytes past the end, so that bit packing
/// may store whole words.
struct ByteSink: ~Copyable {
    private(set) var base: UnsafeMutablePointer<UInt8>
    private(set) var count = 0
    private var capacity: Int
    private static let slack = 16

    init(capacity: Int = 1024) {
        self.capacity = capacity
        base = .allocate(capacity: capacity + ByteSink.slack)
    }

    deinit { base.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    func slice(_ start: Int, _ length: Int) -> UnsafeRawBufferPointer {
        assert(start >= 0 && length >= 0 && start + length <= count)
        return UnsafeRawBufferPointer(start: base + start, count: length)
    }

    @inline(__always)
    mutating func reserve(_ extra: Int) {
        if count + extra > capacity { grow(count + extra) }
    }

    @inline(never)
    private mutating func grow(_ needed: Int) {
        let size = max(needed, capacity * 2)
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: size + ByteSink.slack)
        fresh.update(from: base, count: count)
        base.deallocate()
        base = fresh
        capacity = size
    }

    mutating func removeAll() { count = 0 }

    /// As `removeAll`, and gives memory back when there is more of it than `limit`.
    mutating func removeAll(keepingAtMost limit: Int) {
        count = 0
        if capacity <= limit { return }
        base.deallocate()
        capacity = limit
        base = .allocate(capacity: limit + ByteSink.slack)
    }

    mutating func truncate(to length: Int) {
        assert(length <= count)
        count = length
    }

    @inline(__always)
    mutating func u8(_ value: UInt8) {
        reserve(1)
        base[count] = value
        count &+= 1
    }

    mutating func integer<T: FixedWidthInteger>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        UnsafeMutableRawPointer(base + count).storeBytes(of: value.littleEndian, as: T.self)
        count += MemoryLayout<T>.size
    }

    @inline(__always)
    mutating func varint(_ value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            base[count] = UInt8(truncatingIfNeeded: rest) | 0x80
            count &+= 1
            rest >>= 7
        }
        base[count] = UInt8(truncatingIfNeeded: rest)
        count &+= 1
    }

    @inline(__always)
    mutating func varint(_ value: Int) { varint(UInt64(bitPattern: Int64(value))) }

    @inline(__always)
    mutating func zigzag(_ value: Int64) { varint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    @inline(__always)
    mutating func raw(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress, source.count > 0 else { return }
        reserve(source.count)
        memcpy(base + count, start, source.count)
        count &+= source.count
    }

    /// Room for `length` bytes at the end, counted already; the caller fills all of them.
    @inline(__always)
    mutating func extend(_ length: Int) -> UnsafeMutablePointer<UInt8> {
        reserve(length)
        let place = base + count
        count &+= length
        return place
    }

    /// Bytes a varint of this value takes.
    static func varintBytes(_ value: UInt64) -> Int {
        value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }
}

/// Bump-allocated memory for one block's decoded columns. What it hands out stays in place until `reset`.
final class Arena {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    /// Free memory of the current chunk.
    private var next: UnsafeMutableRawPointer?
    private var left = 0
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
