import EventStoreCore

/// Numbers of a fixed width, least significant bit first, in memory with at least nine spare bytes behind it
/// (every page lies in a `ByteSink`).
@inline(__always)
func packedBits(_ base: UnsafeRawPointer, at bit: Int, width: Int) -> UInt64 {
    if width == 0 { return 0 }
    let place = base + bit >> 3
    let shift = UInt64(bit & 7)
    var word = UInt64(littleEndian: place.loadUnaligned(as: UInt64.self)) >> shift
    if width + Int(shift) > 64 { word |= UInt64((place + 8).load(as: UInt8.self)) << (64 - shift) }
    return width == 64 ? word : word & ((1 << UInt64(width)) - 1)
}

/// Reads the RLE / bit-packing hybrid piece by piece; a run of any length takes no memory.
struct HybridDecoder {
    private var reader: ByteReader
    private let width: Int
    private var runLeft = 0
    private var runValue: UInt32 = 0
    private var packedLeft = 0
    private var packed: UnsafeRawPointer?
    private var packedBit = 0

    init(_ bytes: UnsafeRawBufferPointer, width: Int) throws(Fault) {
        guard width <= 32 else { throw HybridDecoder.damaged("a width of \(width) bits") }
        reader = ByteReader(bytes)
        self.width = width
    }

    static func damaged(_ what: String) -> Fault {
        Fault(.damaged, "a run-length encoded part of a Parquet page does not decode: \(what)")
    }

    mutating func decode(_ count: Int, into target: UnsafeMutablePointer<UInt32>) throws(Fault) {
        var done = 0
        while done < count {
            if runLeft > 0 {
                let part = min(runLeft, count - done)
                (target + done).update(repeating: runValue, count: part)
                runLeft -= part
                done += part
            } else if packedLeft > 0, let packed {
                let part = min(packedLeft, count - done)
                for index in 0..<part {
                    target[done + index] = UInt32(
                        truncatingIfNeeded: packedBits(packed, at: packedBit + index * width, width: width))
                }
                packedBit += part * width
                packedLeft -= part
                done += part
            } else {
                try nextRun()
            }
        }
    }

    private mutating func nextRun() throws(Fault) {
        let header = try reader.varint()
        if header & 1 == 0 {
            guard header >> 1 <= UInt64(Int32.max) else { throw HybridDecoder.damaged("a run of \(header >> 1)") }
            runLeft = Int(header >> 1)
            runValue = 0
            for byte in 0..<(width + 7) / 8 { runValue |= UInt32(try reader.u8()) << UInt32(byte * 8) }
            return
        }
        let groups = header >> 1
        guard groups <= UInt64(Int32.max) else { throw HybridDecoder.damaged("\(groups) groups") }
        // The last group of a page may be cut short by writers that do not fill it.
        let bytes = try reader.raw(min(Int(groups) * width, reader.remaining))
        packedLeft = width == 0 ? Int(groups) * 8 : min(Int(groups) * 8, bytes.count * 8 / width)
        packed = bytes.baseAddress ?? reader.bytes.baseAddress
        packedBit = 0
        if packedLeft == 0, groups > 0 { throw HybridDecoder.damaged("its bytes end too early") }
    }
}
