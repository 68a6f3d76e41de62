// Decompression of Snappy blocks after Google's format description (google/snappy, format_description.txt): a length,
// then literals and copies from what was written before.

import EventStoreCore

enum SnappyDecoder {
    /// Three bytes copy 64 at most, so a block never grows by more than this.
    static let growthMax = 22

    /// Fills `target` exactly, or throws `damaged`.
    static func decompress(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) throws(Fault) {
        var reader = ByteReader(source)
        guard try reader.varint() == UInt64(target.count) else { throw damaged() }
        var written = 0
        while !reader.isAtEnd {
            let tag = try reader.u8()
            switch tag & 3 {
            case 0:
                let literal = try reader.raw(try literalLength(tag, &reader))
                guard literal.count <= target.count - written else { throw damaged() }
                if let start = literal.baseAddress, let place = target.baseAddress {
                    place.advanced(by: written).copyMemory(from: start, byteCount: literal.count)
                }
                written += literal.count
            case 1:
                let distance = Int(tag >> 5) << 8 | Int(try reader.u8())
                try copy(distance, Int(tag >> 2 & 7) + 4, target, &written)
            case 2:
                let distance = Int(try reader.u16())
                try copy(distance, Int(tag >> 2) + 1, target, &written)
            default:
                let distance = Int(try reader.u32())
                try copy(distance, Int(tag >> 2) + 1, target, &written)
            }
        }
        guard written == target.count else { throw damaged() }
    }

    private static func literalLength(_ tag: UInt8, _ reader: inout ByteReader) throws(Fault) -> Int {
        let short = Int(tag >> 2)
        if short < 60 { return short + 1 }
        var length = 0
        for byte in 0..<short - 59 { length |= Int(try reader.u8()) << (byte * 8) }
        return length + 1
    }

    /// Source and target may overlap: what is copied repeats then.
    private static func copy(
        _ distance: Int, _ length: Int, _ target: UnsafeMutableRawBufferPointer, _ written: inout Int
    ) throws(Fault) {
        guard distance > 0, distance <= written, length <= target.count - written, let base = target.baseAddress else {
            throw damaged()
        }
        let place = base.advanced(by: written)
        if distance >= length {
            place.copyMemory(from: base.advanced(by: written - distance), byteCount: length)
        } else {
            for index in 0..<length {
                let byte = base.load(fromByteOffset: written - distance + index, as: UInt8.self)
                place.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            }
        }
        written += length
    }

    private static func damaged() -> Fault { Fault(.damaged, "a Snappy block does not decompress to its length") }
}
