// The cursor that the codecs read descriptors with. A block's directory has dozens of them, most of a few bytes:
// `ByteReader`, a call across modules for each number, took longer than all else of opening a small block.

import EventStoreCore

/// A bounds-checked cursor over borrowed memory, inlined into the codecs. Every read past the end throws `damaged`.
struct DescriptorReader {
    let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    @inline(__always) var remaining: Int { bytes.count &- offset }
    @inline(__always) var isAtEnd: Bool { offset == bytes.count }

    @inline(never)
    private static func fail(_ offset: Int) -> Fault {
        Fault(.damaged, "bytes end too early or do not decode", at: .init(offset: offset))
    }

    /// The next byte, left where it is.
    @inline(__always)
    func peek() throws(Fault) -> UInt8 {
        guard offset < bytes.count else { throw DescriptorReader.fail(offset) }
        return bytes[offset]
    }

    @inline(__always)
    mutating func u8() throws(Fault) -> UInt8 {
        let byte = try peek()
        offset &+= 1
        return byte
    }

    mutating func u64() throws(Fault) -> UInt64 {
        let word = try raw(8)
        return UInt64(littleEndian: word.loadUnaligned(as: UInt64.self))
    }

    @inline(__always)
    mutating func raw(_ count: Int) throws(Fault) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw DescriptorReader.fail(offset) }
        let start = offset
        offset &+= count
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    @inline(__always)
    mutating func varint() throws(Fault) -> UInt64 {
        let first = try peek()
        if first < 0x80 {
            offset &+= 1
            return UInt64(first)
        }
        // Not mutating, so that the cursor can stay in registers.
        let (value, next) = try DescriptorReader.longVarint(bytes, offset)
        offset = next
        return value
    }

    @inline(never)
    private static func longVarint(
        _ bytes: UnsafeRawBufferPointer, _ start: Int
    ) throws(Fault) -> (value: UInt64, next: Int) {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        var offset = start
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if shift == 63 && byte > 1 { break }
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return (result, offset) }
            shift += 7
            if shift > 63 { break }
        }
        throw fail(offset)
    }

    /// Passes over a varint, whatever it says.
    @inline(__always)
    mutating func skipVarint() throws(Fault) {
        while try u8() >= 0x80 {}
    }

    @inline(__always)
    mutating func zigzag() throws(Fault) -> Int64 {
        let raw = try varint()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// A varint that must not exceed `limit`: counts and lengths are checked before memory is taken.
    @inline(__always)
    mutating func count(max limit: Int) throws(Fault) -> Int {
        let value = try varint()
        guard value <= UInt64(limit) else { throw DescriptorReader.fail(offset) }
        return Int(truncatingIfNeeded: value)
    }
}

extension Fault {
    /// A tag that no codec knows. Out of line: `parse` is inlined, and this never happens.
    @inline(never)
    static func unknownTag(_ what: StaticString, _ tag: UInt8) -> Fault {
        Fault(.damaged, "unknown \(what) encoding \(tag)")
    }

    /// A descriptor that does not make sense.
    @inline(never)
    static func badDescriptor(_ message: StaticString) -> Fault { Fault(.damaged, "\(message)") }
}
