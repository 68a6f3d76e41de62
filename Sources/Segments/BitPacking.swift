// Fixed-width bit packing: value i stands in bits [i·w, (i+1)·w) of a little-endian bit stream, lowest bit
// first. Widths are 0…56 or 64, so that one unaligned 64-bit load at the value's first byte holds all of it.

import EventStoreCore

enum BitPacking {
    /// The smallest allowed width that holds `value`.
    @inline(__always)
    static func width(_ value: UInt64) -> Int {
        let bits = 64 - value.leadingZeroBitCount
        return bits > 56 ? 64 : bits
    }

    static func isValid(width: Int) -> Bool { (width >= 0 && width <= 56) || width == 64 }

    @inline(__always)
    static func byteCount(_ count: Int, width: Int) -> Int { (count * width + 7) >> 3 }

    /// Appends `count` values of `width` bits. Values must fit.
    static func pack(_ values: UnsafePointer<UInt64>, count: Int, width: Int, into sink: inout ByteSink) {
        if width == 0 || count == 0 { return }
        let target = sink.extend(byteCount(count, width: width))
        if width == 64 {
            UnsafeMutableRawPointer(target).copyMemory(from: values, byteCount: count * 8)
            return
        }
        var accumulator: UInt64 = 0
        var filled = 0
        var place = UnsafeMutableRawPointer(target)
        for index in 0..<count {
            accumulator |= values[index] << UInt64(truncatingIfNeeded: filled)
            filled &+= width
            if filled >= 64 {
                place.storeBytes(of: accumulator.littleEndian, as: UInt64.self)
                place += 8
                filled &-= 64
                // The bits of this value that did not fit; a shift of `width` gives 0.
                accumulator = filled == 0 ? 0 : values[index] >> UInt64(truncatingIfNeeded: width &- filled)
            }
        }
        while filled > 0 {
            place.storeBytes(of: UInt8(truncatingIfNeeded: accumulator), as: UInt8.self)
            place += 1
            accumulator >>= 8
            filled -= 8
        }
    }

    static func pack(_ values: UnsafePointer<UInt32>, count: Int, width: Int, into sink: inout ByteSink) {
        if width == 0 || count == 0 { return }
        var place = UnsafeMutableRawPointer(sink.extend(byteCount(count, width: width)))
        var accumulator: UInt64 = 0
        var filled = 0
        for index in 0..<count {
            accumulator |= UInt64(values[index]) << UInt64(truncatingIfNeeded: filled)
            filled &+= width
            if filled >= 32 {
                place.storeBytes(of: UInt32(truncatingIfNeeded: accumulator).littleEndian, as: UInt32.self)
                place += 4
                filled &-= 32
                accumulator >>= 32
            }
        }
        while filled > 0 {
            place.storeBytes(of: UInt8(truncatingIfNeeded: accumulator), as: UInt8.self)
            place += 1
            accumulator >>= 8
            filled -= 8
        }
    }

    /// Unpacks `count` values; `source` must hold at least `byteCount(count, width)` bytes.
    static func unpack(
        _ source: UnsafeRawBufferPointer, count: Int, width: Int, into target: UnsafeMutablePointer<UInt64>
    ) throws(Fault) {
        guard isValid(width: width), source.count >= byteCount(count, width: width) else { throw damagedBits() }
        if width == 0 {
            target.update(repeating: 0, count: count)
            return
        }
        guard count > 0, let base = source.baseAddress else { return }
        if width == 64 {
            UnsafeMutableRawPointer(target).copyMemory(from: base, byteCount: count * 8)
            return
        }
        let mask = (UInt64(1) << UInt64(width)) &- 1
        let whole = wholeLoads(source.count, count: count, width: width)
        var bit = 0
        for index in 0..<whole {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: bit >> 3, as: UInt64.self))
            target[index] = word >> UInt64(truncatingIfNeeded: bit & 7) & mask
            bit &+= width
        }
        for index in whole..<count {
            target[index] = tail(base, source.count, bit: bit) & mask
            bit &+= width
        }
    }

    /// As above for values of at most 32 bits.
    static func unpack(
        _ source: UnsafeRawBufferPointer, count: Int, width: Int, into target: UnsafeMutablePointer<UInt32>
    ) throws(Fault) {
        guard width >= 0, width <= 32, source.count >= byteCount(count, width: width) else { throw damagedBits() }
        if width == 0 {
            target.update(repeating: 0, count: count)
            return
        }
        guard count > 0, let base = source.baseAddress else { return }
        if width == 8 {
            for index in 0..<count { target[index] = UInt32(base.load(fromByteOffset: index, as: UInt8.self)) }
            return
        }
        let mask = UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(width)) &- 1)
        let whole = wholeLoads(source.count, count: count, width: width)
        var bit = 0
        for index in 0..<whole {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: bit >> 3, as: UInt64.self))
            target[index] = UInt32(truncatingIfNeeded: word >> UInt64(truncatingIfNeeded: bit & 7)) & mask
            bit &+= width
        }
        for index in whole..<count {
            target[index] = UInt32(truncatingIfNeeded: tail(base, source.count, bit: bit)) & mask
            bit &+= width
        }
    }

    /// How many of the values can be read with a whole 64-bit load inside the source.
    @inline(__always)
    private static func wholeLoads(_ bytes: Int, count: Int, width: Int) -> Int {
        if bytes < 8 { return 0 }
        // Value i is loaded from byte (i·width)/8, which must be at most bytes - 8.
        return min(count, ((bytes - 8) * 8 + 7) / width + 1)
    }

    /// A load that stops at the end of the source.
    @inline(__always)
    private static func tail(_ base: UnsafeRawPointer, _ bytes: Int, bit: Int) -> UInt64 {
        var word: UInt64 = 0
        let first = bit >> 3
        var index = min(bytes, first + 8)
        while index > first {
            index -= 1
            word = word << 8 | UInt64(base.load(fromByteOffset: index, as: UInt8.self))
        }
        return word >> UInt64(truncatingIfNeeded: bit & 7)
    }

    private static func damagedBits() -> Fault { Fault(.damaged, "packed values do not decode") }
}
