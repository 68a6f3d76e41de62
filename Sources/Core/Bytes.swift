// The one cursor that decodes bytes and the one buffer that encodes them. All integers on disk are
// little-endian; `varint` is LEB128; `zigzag` maps signed to unsigned as protocol buffers do.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A bounds-checked read cursor over borrowed memory. Every read past the end throws `damaged`.
/// The memory must outlive the cursor: it is meant for use inside one `withUnsafeBytes` scope.
@frozen
@usableFromInline
package struct ByteReader {
    @usableFromInline package let bytes: UnsafeRawBufferPointer
    @usableFromInline package private(set) var offset = 0

    @inlinable
    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    @inlinable package var remaining: Int { bytes.count - offset }
    @inlinable package var isAtEnd: Bool { offset == bytes.count }

    @usableFromInline
    func fail() -> Fault {
        Fault(.damaged, "bytes end too early or do not decode", at: .init(offset: offset))
    }

    package mutating func seek(to position: Int) throws(Fault) {
        guard position >= 0, position <= bytes.count else { throw fail() }
        offset = position
    }

    package mutating func raw(_ count: Int) throws(Fault) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - offset else { throw fail() }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    package mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(Fault) -> T {
        let size = MemoryLayout<T>.size
        guard size <= bytes.count - offset else { throw fail() }
        defer { offset += size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    package mutating func u8() throws(Fault) -> UInt8 { try integer() }
    package mutating func u16() throws(Fault) -> UInt16 { try integer() }
    package mutating func u32() throws(Fault) -> UInt32 { try integer() }
    package mutating func u64() throws(Fault) -> UInt64 { try integer() }

    /// Most are of one byte: only longer ones cost a call.
    @inlinable
    package mutating func varint() throws(Fault) -> UInt64 {
        if offset < bytes.count, bytes[offset] < 0x80 {
            defer { offset &+= 1 }
            return UInt64(bytes[offset])
        }
        return try longVarint()
    }

    @usableFromInline
    mutating func longVarint() throws(Fault) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard offset < bytes.count else { throw fail() }
            let byte = bytes[offset]
            offset += 1
            if shift == 63 && byte > 1 { throw fail() }
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return result }
            shift += 7
            if shift > 63 { throw fail() }
        }
    }

    @inlinable
    package mutating func zigzag() throws(Fault) -> Int64 {
        let raw = try varint()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// A varint that must not exceed `limit`: counts and lengths are checked before memory is taken.
    @inlinable
    package mutating func count(max limit: Int) throws(Fault) -> Int {
        let value = try varint()
        guard value <= UInt64(limit) else { throw fail() }
        return Int(truncatingIfNeeded: value)
    }

    /// Length-prefixed bytes, at most `limit` of them.
    package mutating func lengthPrefixed(max limit: Int) throws(Fault) -> UnsafeRawBufferPointer {
        try raw(try count(max: limit))
    }
}

/// A growable byte buffer for encoding. Not shared between threads while it is written.
package struct ByteWriter {
    package private(set) var bytes: [UInt8]

    package init(reserving capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var count: Int { bytes.count }

    package mutating func u8(_ value: UInt8) { bytes.append(value) }

    package mutating func integer<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    package mutating func varint(_ value: Int) { varint(UInt64(value)) }

    package mutating func zigzag(_ value: Int64) {
        varint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    package mutating func raw(_ source: UnsafeRawBufferPointer) { bytes.append(contentsOf: source) }
    package mutating func raw(_ source: [UInt8]) { bytes.append(contentsOf: source) }

    package mutating func lengthPrefixed(_ source: UnsafeRawBufferPointer) {
        varint(source.count)
        raw(source)
    }

    package mutating func lengthPrefixed(_ source: [UInt8]) {
        varint(source.count)
        raw(source)
    }

    package mutating func lengthPrefixed(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            varint(utf8.count)
            bytes.append(contentsOf: utf8)
        }
    }

    /// Adds `count` bytes that `fill` writes.
    package mutating func extend<E: Error>(
        _ count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(E) -> Void
    ) throws(E) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: count))
        try bytes.withMutableBytes { (all) throws(E) in
            try fill(UnsafeMutableRawBufferPointer(rebasing: all[start...]))
        }
    }

    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Overwrites bytes written before, e.g. a length known only at the end.
    package mutating func patch<T: FixedWidthInteger>(_ value: T, at position: Int) {
        withUnsafeBytes(of: value.littleEndian) { source in
            for (index, byte) in source.enumerated() { bytes[position + index] = byte }
        }
    }
}
