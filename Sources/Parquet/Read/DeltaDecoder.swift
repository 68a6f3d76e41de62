import EventStoreCore

/// Reads DELTA_BINARY_PACKED piece by piece; see `DeltaEncoder`.
struct DeltaDecoder {
    private var reader: ByteReader
    private let miniblocks: Int
    private let miniblockValues: Int
    /// Values that the page has yet, the first one included.
    private var left: Int
    private var last: UInt64
    private var isFirst = true
    private var smallest: UInt64 = 0
    private var widths: UnsafeRawBufferPointer
    private var nextMiniblock: Int
    private var packed: UnsafeRawPointer
    private var packedBit = 0
    private var packedWidth = 0
    private var packedLeft = 0

    /// Far above what writers use (128 to 1024).
    private static let blockValuesMax = 1 << 16

    init(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
        reader = ByteReader(bytes)
        let blockValues = try reader.count(max: DeltaDecoder.blockValuesMax)
        miniblocks = try reader.count(max: DeltaDecoder.blockValuesMax)
        left = try reader.count(max: Int(Int32.max))
        last = UInt64(bitPattern: try reader.zigzag())
        guard miniblocks > 0, blockValues % miniblocks == 0, let base = bytes.baseAddress else {
            throw DeltaDecoder.damaged()
        }
        miniblockValues = blockValues / miniblocks
        guard miniblockValues > 0, miniblockValues % 8 == 0 else { throw DeltaDecoder.damaged() }
        widths = UnsafeRawBufferPointer(rebasing: bytes[0..<0])
        nextMiniblock = miniblocks
        packed = base
    }

    private static func damaged() -> Fault { Fault(.damaged, "delta-encoded numbers of a Parquet page do not decode") }

    mutating func decode(_ count: Int, into target: UnsafeMutablePointer<UInt64>) throws(Fault) {
        guard count <= left else { throw DeltaDecoder.damaged() }
        left -= count
        var done = 0
        if isFirst, count > 0 {
            target[0] = last
            isFirst = false
            done = 1
        }
        while done < count {
            if packedLeft == 0 { try startMiniblock() }
            let part = min(packedLeft, count - done)
            for index in 0..<part {
                last = last &+ smallest &+ packedBits(packed, at: packedBit + index * packedWidth, width: packedWidth)
                target[done + index] = last
            }
            packedBit += part * packedWidth
            packedLeft -= part
            done += part
        }
    }

    private mutating func startMiniblock() throws(Fault) {
        if nextMiniblock == miniblocks {
            smallest = UInt64(bitPattern: try reader.zigzag())
            widths = try reader.raw(miniblocks)
            nextMiniblock = 0
        }
        packedWidth = Int(widths[nextMiniblock])
        guard packedWidth <= 64 else { throw DeltaDecoder.damaged() }
        nextMiniblock += 1
        let bytes = try reader.raw(miniblockValues / 8 * packedWidth)
        if let base = bytes.baseAddress { packed = base }
        packedBit = 0
        packedLeft = miniblockValues
    }
}
