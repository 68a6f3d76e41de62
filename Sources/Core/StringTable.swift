#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Byte strings interned to dense codes 0, 1, 2 … in order of first appearance.
///
/// One arena, one offsets array, one open-addressing table of codes. Interning costs one hash and, on
/// a hit, one comparison; there is no allocation per string. Not thread-safe while it grows; safe to
/// read from many threads once nobody interns any more.
@usableFromInline
package struct StringTable: ~Copyable {
    @usableFromInline package private(set) var arena: GrowableBuffer<UInt8>
    /// `offsets[c] ..< offsets[c + 1]` are the bytes of code c in the arena.
    @usableFromInline package private(set) var offsets: GrowableBuffer<Int>
    @usableFromInline var hashes: GrowableBuffer<UInt32>
    /// Code + 1, or 0 for a free slot. Its size is a power of two, at most half full.
    private var slots: GrowableBuffer<UInt32>
    private var mask: Int
    /// Read once: a global is guarded by a check at every access.
    private let seed = Hash.seed

    package init(capacity: Int = 16) {
        arena = GrowableBuffer(capacity: capacity * 16)
        offsets = GrowableBuffer(capacity: capacity + 1)
        hashes = GrowableBuffer(capacity: capacity)
        var size = 32
        while size < capacity * 2 { size *= 2 }
        slots = GrowableBuffer(capacity: size)
        slots.resize(to: size, filling: 0)
        mask = size - 1
        offsets.append(0)
    }

    package var count: Int { offsets.count - 1 }
    package var byteCount: Int { arena.byteCount + offsets.byteCount + hashes.byteCount + slots.byteCount }

    @inlinable
    package func bytes(_ code: Int) -> UnsafeRawBufferPointer {
        let start = offsets[code]
        return UnsafeRawBufferPointer(start: arena.base + start, count: offsets[code + 1] - start)
    }

    package func string(_ code: Int) -> String { String(decoding: bytes(code), as: UTF8.self) }

    /// The code of these bytes, new or known.
    package mutating func intern(_ source: UnsafeRawBufferPointer) -> UInt32 {
        if source.count == 0 { return intern(UnsafeRawPointer(offsets.base), count: 0) }
        return intern(source.baseAddress!, count: source.count)
    }

    package mutating func intern(_ pointer: UnsafeRawPointer, count length: Int) -> UInt32 {
        let hash = Hash.bytes(pointer, count: length, seed: seed)
        let short = UInt32(truncatingIfNeeded: hash >> 32)
        let table = slots.base
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = table[slot]
            if entry == 0 { break }
            let code = Int(entry) - 1
            if hashes.base[code] == short {
                let start = offsets.base[code]
                if offsets.base[code + 1] - start == length, memcmp(arena.base + start, pointer, length) == 0 {
                    return UInt32(code)
                }
            }
            slot = (slot + 1) & mask
        }
        let code = UInt32(count)
        table[slot] = code + 1
        hashes.append(short)
        arena.append(from: pointer.assumingMemoryBound(to: UInt8.self), count: length)
        offsets.append(arena.count)
        if count * 2 > mask { rehash() }
        return code
    }

    package mutating func intern(_ text: String) -> UInt32 {
        var text = text
        return text.withUTF8 { intern(UnsafeRawBufferPointer($0)) }
    }

    /// The code of these bytes if they are known.
    package func find(_ source: UnsafeRawBufferPointer) -> UInt32? {
        let pointer = source.baseAddress ?? UnsafeRawPointer(offsets.base)
        let hash = Hash.bytes(pointer, count: source.count, seed: seed)
        let short = UInt32(truncatingIfNeeded: hash >> 32)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = slots.base[slot]
            if entry == 0 { return nil }
            let code = Int(entry) - 1
            if hashes.base[code] == short {
                let known = bytes(code)
                if known.count == source.count, memcmp(known.baseAddress!, pointer, source.count) == 0 {
                    return UInt32(code)
                }
            }
            slot = (slot + 1) & mask
        }
    }

    private mutating func rehash() {
        let size = (mask + 1) * 4
        slots.truncate(to: 0)
        slots.resize(to: size, filling: 0)
        mask = size - 1
        for code in 0..<count {
            let known = bytes(code)
            var slot =
                Int(truncatingIfNeeded: Hash.bytes(known.baseAddress!, count: known.count, seed: seed)) & mask
            while slots.base[slot] != 0 { slot = (slot + 1) & mask }
            slots.base[slot] = UInt32(code) + 1
        }
    }
}
