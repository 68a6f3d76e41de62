// Growable bytes for encoders. Raw pointers, no uniqueness checks, reused between blocks.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Bytes being written. There are always at least eight spare bytes past the end, so that bit packing
/// may store whole words.
@frozen
@usableFromInline
package struct ByteSink: ~Copyable {
    @usableFromInline package internal(set) var base: UnsafeMutablePointer<UInt8>
    @usableFromInline package internal(set) var count = 0
    @usableFromInline var capacity: Int
    @usableFromInline static let slack = 16

    @inlinable
    package init(capacity: Int = 1024) {
        self.capacity = capacity
        base = .allocate(capacity: capacity + ByteSink.slack)
    }

    @inlinable
    deinit { base.deallocate() }

    @inlinable package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    @inlinable
    package func slice(_ start: Int, _ length: Int) -> UnsafeRawBufferPointer {
        assert(start >= 0 && length >= 0 && start + length <= count)
        return UnsafeRawBufferPointer(start: base + start, count: length)
    }

    @inlinable
    @inline(__always)
    package mutating func reserve(_ extra: Int) {
        if count + extra > capacity { grow(count + extra) }
    }

    @inline(never)
    @usableFromInline
    mutating func grow(_ needed: Int) {
        let size = max(needed, capacity * 2)
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: size + ByteSink.slack)
        fresh.update(from: base, count: count)
        base.deallocate()
        base = fresh
        capacity = size
    }

    @inlinable
    package mutating func removeAll() { count = 0 }

    /// As `removeAll`, and gives memory back when there is more of it than `limit`.
    @inlinable
    package mutating func removeAll(keepingAtMost limit: Int) {
        count = 0
        if capacity <= limit { return }
        base.deallocate()
        capacity = limit
        base = .allocate(capacity: limit + ByteSink.slack)
    }

    @inlinable
    package mutating func truncate(to length: Int) {
        assert(length <= count)
        count = length
    }

    @inlinable
    @inline(__always)
    package mutating func u8(_ value: UInt8) {
        reserve(1)
        base[count] = value
        count &+= 1
    }

    @inlinable
    package mutating func integer<T: FixedWidthInteger>(_ value: T) {
        reserve(MemoryLayout<T>.size)
        UnsafeMutableRawPointer(base + count).storeBytes(of: value.littleEndian, as: T.self)
        count += MemoryLayout<T>.size
    }

    @inlinable
    @inline(__always)
    package mutating func varint(_ value: UInt64) {
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

    @inlinable
    @inline(__always)
    package mutating func varint(_ value: Int) { varint(UInt64(bitPattern: Int64(value))) }

    @inlinable
    @inline(__always)
    package mutating func zigzag(_ value: Int64) { varint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    @inlinable
    @inline(__always)
    package mutating func raw(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress, source.count > 0 else { return }
        reserve(source.count)
        memcpy(base + count, start, source.count)
        count &+= source.count
    }

    /// Room for `length` bytes at the end, counted already; the caller fills all of them.
    @inlinable
    @inline(__always)
    package mutating func extend(_ length: Int) -> UnsafeMutablePointer<UInt8> {
        reserve(length)
        let place = base + count
        count &+= length
        return place
    }

    /// Bytes a varint of this value takes.
    @inlinable
    package static func varintBytes(_ value: UInt64) -> Int {
        value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }
}
