// Values that mostly grow by small steps of varying size: timestamps of a block, sequences. The `gaps` form of
// IntegerCodec.
//
// Adaptive Golomb-Rice coding (Rice and Plaunt 1971; the adaptation is in the manner of LOCO-I, Weinberger,
// Seroussi and Sapiro 2000). With the mean m of recent steps, a step d ≥ 0 is written as q = d >> k ones, a
// zero, and the k low bits of d, where k = floor(log2 m). A negative step, or one with q ≥ 10, is ten ones and
// zigzag(d) in `escapeWidth` bits. Bits fill bytes from the lowest. `state` is eight times the mean: after every
// step that is not negative, state = state - state / 8 + min(d, 2^48).

import EventStoreCore

enum GapCodec {
    static let quotientMax = 10
    static let stepMax: UInt64 = 1 << 48
    /// So that quotient, stop bit and low bits fit one load.
    static let lowBitsMax = 44

    @inline(__always)
    private static func lowBits(_ state: UInt64) -> Int {
        min(max(60 - (state | 8).leadingZeroBitCount, 0), lowBitsMax)
    }

    @inline(__always)
    private static func advance(_ state: inout UInt64, _ step: UInt64) {
        state = state &- state >> 3 &+ min(step, stepMax)
    }

    @inline(__always)
    private static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value << 1) ^ (value >> 63)) }

    // MARK: Encoding

    struct Plan {
        /// Exponent of the first mean.
        var startBits = 0
        var escapeWidth = 0
        var bitCount = 0
        var byteCount: Int { (bitCount + 7) >> 3 }
    }

    /// What coding these values would take; nil when escapes would not fit.
    static func plan(_ values: UnsafePointer<Int64>, _ count: Int) -> Plan? {
        var plan = Plan()
        var sum: UInt64 = 0
        var steps = 0
        let sample = min(count, 64)
        for index in 1..<max(sample, 1) {
            let step = values[index] &- values[index - 1]
            if step >= 0 {
                sum &+= min(UInt64(step), stepMax)
                steps += 1
            }
        }
        let mean = steps == 0 ? 0 : sum / UInt64(steps)
        plan.startBits = mean == 0 ? 0 : 63 - mean.leadingZeroBitCount
        var state = UInt64(8) << UInt64(plan.startBits)
        var escapes = 0
        var widest: UInt64 = 0
        var bits = 0
        for index in 1..<max(count, 1) {
            let step = values[index] &- values[index - 1]
            let low = lowBits(state)
            if step >= 0, UInt64(step) >> UInt64(low) < UInt64(quotientMax) {
                bits &+= Int(step >> Int64(low)) &+ 1 &+ low
                advance(&state, UInt64(step))
            } else {
                escapes &+= 1
                widest |= zigzag(step)
                if step >= 0 { advance(&state, UInt64(step)) }
            }
        }
        plan.escapeWidth = 64 - widest.leadingZeroBitCount
        guard plan.escapeWidth <= 46 else { return nil }
        plan.bitCount = bits + escapes * (quotientMax + plan.escapeWidth)
        return plan
    }

    static func write(_ plan: Plan, _ values: UnsafePointer<Int64>, _ count: Int, into payload: inout ByteSink) {
        var bits = BitWriter(payload.extend(plan.byteCount))
        var state = UInt64(8) << UInt64(plan.startBits)
        for index in 1..<max(count, 1) {
            let step = values[index] &- values[index - 1]
            let low = lowBits(state)
            let quotient = step >= 0 ? UInt64(step) >> UInt64(low) : UInt64(quotientMax)
            if quotient < UInt64(quotientMax) {
                let ones = UInt64(1) << quotient &- 1
                let rest = UInt64(step) & (UInt64(1) << UInt64(low) &- 1)
                bits.put(ones | rest << (quotient &+ 1), Int(quotient) &+ 1 &+ low)
                advance(&state, UInt64(step))
            } else {
                let ones = UInt64(1) << UInt64(quotientMax) &- 1
                bits.put(ones | zigzag(step) << UInt64(quotientMax), quotientMax &+ plan.escapeWidth)
                if step >= 0 { advance(&state, UInt64(step)) }
            }
        }
        bits.finish()
    }

    // MARK: Decoding

    /// Fills `target` with `count` values, the first of which is `first`. Every bit of the payload must be used.
    static func decode(
        _ payload: UnsafeRawBufferPointer, count: Int, first: Int64, startBits: Int, escapeWidth: Int,
        into target: UnsafeMutablePointer<Int64>
    ) throws(Fault) {
        var state = UInt64(8) << UInt64(startBits)
        var value = first
        target[0] = value
        var bit = 0
        let end = payload.count * 8
        // Where a whole word can be loaded.
        let wholeEnd = end - 64
        for index in 1..<max(count, 1) {
            let word: UInt64
            if bit <= wholeEnd {
                let loaded = payload.loadUnaligned(fromByteOffset: bit >> 3, as: UInt64.self)
                word = UInt64(littleEndian: loaded) >> UInt64(bit & 7)
            } else {
                word = tail(payload, bit)
            }
            let ones = (~word).trailingZeroBitCount
            if ones < quotientMax {
                let low = lowBits(state)
                let rest = word >> UInt64(ones &+ 1) & (UInt64(1) << UInt64(low) &- 1)
                let step = UInt64(ones) << UInt64(low) | rest
                // The quotient and the low bits do not overlap: this is their sum.
                value = value &+ Int64(bitPattern: step)
                advance(&state, step)
                bit &+= ones &+ 1 &+ low
            } else {
                let coded = word >> UInt64(quotientMax) & (UInt64(1) << UInt64(escapeWidth) &- 1)
                let step = Int64(bitPattern: coded >> 1) ^ -Int64(bitPattern: coded & 1)
                value = value &+ step
                if step >= 0 { advance(&state, UInt64(step)) }
                bit &+= quotientMax &+ escapeWidth
            }
            target[index] = value
        }
        guard (bit + 7) >> 3 == payload.count else { throw Fault(.damaged, "gaps do not fill their payload") }
    }

    /// A word whose bits past the end are 0.
    @inline(never)
    private static func tail(_ payload: UnsafeRawBufferPointer, _ bit: Int) -> UInt64 {
        var word: UInt64 = 0
        let first = bit >> 3
        var index = min(payload.count, first + 8)
        while index > first {
            index -= 1
            word = word << 8 | UInt64(payload[index])
        }
        return word >> UInt64(bit & 7)
    }
}

/// Writes up to 57 bits at a time, lowest first, into memory that is known to be long enough and has the
/// eight spare bytes of a `ByteSink` behind it.
private struct BitWriter {
    private var place: UnsafeMutableRawPointer
    private var accumulator: UInt64 = 0
    private var filled = 0

    init(_ start: UnsafeMutablePointer<UInt8>) { place = UnsafeMutableRawPointer(start) }

    @inline(__always)
    mutating func put(_ bits: UInt64, _ count: Int) {
        accumulator |= bits << UInt64(filled)
        filled &+= count
        // Whole bytes go out; fewer than eight bits stay, so that 56 more always fit.
        place.storeBytes(of: accumulator.littleEndian, as: UInt64.self)
        let bytes = filled >> 3
        place += bytes
        accumulator = bytes == 8 ? 0 : accumulator >> UInt64(bytes &* 8)
        filled &= 7
    }

    mutating func finish() {
        if filled > 0 { place.storeBytes(of: UInt8(truncatingIfNeeded: accumulator), as: UInt8.self) }
    }
}
