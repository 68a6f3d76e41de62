// Integers: the encoding of every numeric column, of timestamps and sequences, of string lengths and of the
// entries of numeric dictionaries.
//
// A stream of n values is a descriptor (in the block's column directory) and a payload, whose length follows
// from both. Descriptor: tag byte (form in bits 0–2, bit 3: a divisor follows), the form's numbers. All
// arithmetic wraps modulo 2^64, so any Int64 round-trips.
//
//   constant  zigzag value                                    no payload
//   offset    zigzag base, [divisor], width bits              value = base + divisor · packed
//   planes    zigzag base, [divisor], width bytes             as offset; byte 0 of all values, byte 1 of all, …
//   delta     zigzag first, zigzag least difference,          value(i) = value(i-1) + least + divisor · packed
//             [divisor], width bits                           (n - 1 packed)
//   deltaPlanes  the same with width in bytes
//   gaps      zigzag first, u8 start bits, u8 escape       see GapCodec
//             width, varint payload bytes
// Tag 5 is a dictionary (NumberCodec).

import EventStoreCore

enum IntegerForm: UInt8 {
    case constant = 0
    case offset = 1
    case planes = 2
    case delta = 3
    case deltaPlanes = 4
    case gaps = 6
}

/// A parsed descriptor.
struct IntegerLayout {
    var form: IntegerForm
    var base: Int64 = 0
    var least: Int64 = 0
    var divisor: UInt64 = 1
    /// Of a value; of an escape in `gaps`.
    var width = 0
    /// Of `gaps`.
    var startBits = 0
    var payloadBytes = 0
}

enum IntegerCodec {
    static let divisorFlag: UInt8 = 8

    // MARK: Encoding

    /// What one look over the values finds.
    struct Profile {
        var least: Int64
        var greatest: Int64
        var divisor: UInt64
        var leastStep: Int64
        var stepDivisor: UInt64
        var greatestStep: UInt64

        var offsetWidth: Int { BitPacking.width(UInt64(bitPattern: greatest &- least) / divisor) }
        var stepWidth: Int { BitPacking.width(greatestStep / stepDivisor) }
    }

    /// Chooses the smallest form and writes descriptor and payload. `compressible` allows byte planes, which only
    /// pay when the pack is compressed and the values are many; `grows` tries gaps. `scratch` holds at least `count` words.
    static func encode(
        _ values: UnsafePointer<Int64>, count: Int, compressible: Bool = false, grows: Bool = false,
        scratch: UnsafeMutablePointer<UInt64>, descriptor: inout ByteSink, payload: inout ByteSink
    ) {
        guard count > 0 else { return writeConstant(0, &descriptor) }
        let profile = profile(values, count)
        if profile.least == profile.greatest { return writeConstant(profile.least, &descriptor) }
        let offsetBits = profile.offsetWidth * count
        let stepBits = profile.stepWidth * (count - 1) + 8 * ByteSink.varintBytes(zigzag(profile.leastStep))
        if grows, profile.stepWidth > 0, let plan = GapCodec.plan(values, count),
            plan.bitCount + 16 < min(offsetBits, stepBits)
        {
            writeGaps(plan, values, count, &descriptor, &payload)
        } else if stepBits < offsetBits {
            encodeSteps(values, count, profile, compressible, scratch, &descriptor, &payload)
        } else {
            encodeOffsets(values, count, profile, compressible, scratch, &descriptor, &payload)
        }
    }

    private static func writeConstant(_ value: Int64, _ descriptor: inout ByteSink) {
        descriptor.u8(IntegerForm.constant.rawValue)
        descriptor.zigzag(value)
    }

    private static func writeGaps(
        _ plan: GapCodec.Plan, _ values: UnsafePointer<Int64>, _ count: Int, _ descriptor: inout ByteSink,
        _ payload: inout ByteSink
    ) {
        descriptor.u8(IntegerForm.gaps.rawValue)
        descriptor.zigzag(values[0])
        descriptor.u8(UInt8(plan.startBits))
        descriptor.u8(UInt8(plan.escapeWidth))
        descriptor.varint(plan.byteCount)
        GapCodec.write(plan, values, count, into: &payload)
    }

    @inline(__always)
    private static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value << 1) ^ (value >> 63)) }

    private static func encodeOffsets(
        _ values: UnsafePointer<Int64>, _ count: Int, _ profile: Profile, _ compressible: Bool,
        _ scratch: UnsafeMutablePointer<UInt64>, _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) {
        let least = profile.least
        if profile.divisor == 1 {
            for index in 0..<count { scratch[index] = UInt64(bitPattern: values[index] &- least) }
        } else {
            let divide = profile.divisor
            for index in 0..<count { scratch[index] = UInt64(bitPattern: values[index] &- least) / divide }
        }
        let width = profile.offsetWidth
        let asPlanes = compressible && prefersPlanes(scratch, count, width)
        writeTag(asPlanes ? .planes : .offset, divisor: profile.divisor, &descriptor)
        descriptor.zigzag(least)
        finish(scratch, count, width, profile.divisor, asPlanes, &descriptor, &payload)
    }

    private static func encodeSteps(
        _ values: UnsafePointer<Int64>, _ count: Int, _ profile: Profile, _ compressible: Bool,
        _ scratch: UnsafeMutablePointer<UInt64>, _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) {
        let least = profile.leastStep
        let divide = profile.stepDivisor
        for index in 1..<count {
            let step = UInt64(bitPattern: values[index] &- values[index - 1] &- least)
            scratch[index - 1] = divide == 1 ? step : step / divide
        }
        let width = profile.stepWidth
        let asPlanes = compressible && prefersPlanes(scratch, count - 1, width)
        writeTag(asPlanes ? .deltaPlanes : .delta, divisor: divide, &descriptor)
        descriptor.zigzag(values[0])
        descriptor.zigzag(least)
        finish(scratch, count - 1, width, divide, asPlanes, &descriptor, &payload)
    }

    @inline(__always)
    private static func writeTag(_ form: IntegerForm, divisor: UInt64, _ descriptor: inout ByteSink) {
        descriptor.u8(form.rawValue | (divisor == 1 ? 0 : divisorFlag))
    }

    private static func finish(
        _ packed: UnsafePointer<UInt64>, _ count: Int, _ width: Int, _ divisor: UInt64, _ asPlanes: Bool,
        _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) {
        if divisor != 1 { descriptor.varint(divisor) }
        if asPlanes {
            let bytes = (width + 7) / 8
            descriptor.u8(UInt8(bytes))
            writePlanes(packed, count, bytes, &payload)
        } else {
            descriptor.u8(UInt8(width))
            BitPacking.pack(packed, count: count, width: width, into: &payload)
        }
    }

    static func writePlanes(
        _ packed: UnsafePointer<UInt64>, _ count: Int, _ bytes: Int, _ payload: inout ByteSink
    ) {
        let target = payload.extend(count * bytes)
        for plane in 0..<bytes {
            let shift = UInt64(plane * 8)
            let start = target + plane * count
            for index in 0..<count { start[index] = UInt8(truncatingIfNeeded: packed[index] >> shift) }
        }
    }

    /// Byte planes pay when neighbouring values repeat, or when most high bytes are equal: then LZ4 finds
    /// what bit packing would hide. Judged on a sample.
    private static func prefersPlanes(_ packed: UnsafePointer<UInt64>, _ count: Int, _ width: Int) -> Bool {
        guard count >= 64, width > 8 else { return false }
        var narrow = 0
        var equal = 0
        let sample = min(count, 1024)
        for index in 1..<sample {
            if packed[index] < 256 { narrow += 1 }
            if packed[index] == packed[index - 1] { equal += 1 }
        }
        return equal * 4 > sample || narrow * 4 > sample * 3
    }

    static func profile(_ values: UnsafePointer<Int64>, _ count: Int) -> Profile {
        var least = values[0]
        var greatest = values[0]
        var leastStep = Int64.max
        var greatestStepSigned = Int64.min
        var previous = values[0]
        var stepsWrap = false
        for index in 1..<max(count, 1) {
            let value = values[index]
            if value < least { least = value }
            if value > greatest { greatest = value }
            let (step, wrapped) = value.subtractingReportingOverflow(previous)
            if wrapped { stepsWrap = true }
            if step < leastStep { leastStep = step }
            if step > greatestStepSigned { greatestStepSigned = step }
            previous = value
        }
        if count < 2 { leastStep = 0; greatestStepSigned = 0 }
        var profile = Profile(
            least: least, greatest: greatest, divisor: 1, leastStep: leastStep, stepDivisor: 1,
            greatestStep: UInt64(bitPattern: greatestStepSigned &- leastStep))
        if stepsWrap { profile.greatestStep = .max }
        if UInt64(bitPattern: greatest &- least) > 1 { findDivisors(values, count, &profile) }
        return profile
    }

    /// Greatest common divisors of offsets and of steps. The second divides by what the first found to be
    /// common, and both stop at 1, which is where most columns are after a few values.
    private static func findDivisors(_ values: UnsafePointer<Int64>, _ count: Int, _ profile: inout Profile) {
        var divisor: UInt64 = 0
        for index in 0..<count where divisor != 1 {
            divisor = gcd(divisor, UInt64(bitPattern: values[index] &- profile.least))
        }
        profile.divisor = max(divisor, 1)
        if profile.greatestStep == 0 || profile.greatestStep == .max { return }
        var stepDivisor: UInt64 = 0
        for index in 1..<count where stepDivisor != 1 {
            let step = values[index] &- values[index - 1] &- profile.leastStep
            stepDivisor = gcd(stepDivisor, UInt64(bitPattern: step))
        }
        profile.stepDivisor = max(stepDivisor, 1)
    }

    @inline(__always)
    private static func gcd(_ a: UInt64, _ b: UInt64) -> UInt64 {
        if b == 0 { return a }
        if a == 0 { return b }
        if b % a == 0 { return a }
        var x = a
        var y = b % a
        while y != 0 { (x, y) = (y, x % y) }
        return x
    }

    // MARK: Decoding

    /// Reads a descriptor of a stream of `count` values.
    @inline(__always)
    static func parse(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> IntegerLayout {
        let tag = try reader.u8()
        guard let form = IntegerForm(rawValue: tag & 7), tag & 0xf0 == 0 else { throw .unknownTag("integer", tag) }
        var layout = IntegerLayout(form: form)
        layout.base = try reader.zigzag()
        if form == .constant {
            guard tag & divisorFlag == 0 else { throw .unknownTag("integer", tag) }
            return layout
        }
        if form == .gaps {
            try parseGaps(&reader, tag, count, &layout)
            return layout
        }
        let isDelta = form == .delta || form == .deltaPlanes
        if isDelta { layout.least = try reader.zigzag() }
        if tag & divisorFlag != 0 { layout.divisor = try reader.varint() }
        layout.width = Int(try reader.u8())
        let stored = isDelta ? max(count - 1, 0) : count
        if form == .planes || form == .deltaPlanes {
            guard layout.width <= 8 else { throw .unknownTag("integer", tag) }
            layout.payloadBytes = stored * layout.width
        } else {
            guard BitPacking.isValid(width: layout.width) else { throw .unknownTag("integer", tag) }
            layout.payloadBytes = BitPacking.byteCount(stored, width: layout.width)
        }
        return layout
    }

    /// As `parse`, but only how many bytes the payload takes: what opening a block asks of every column. A descriptor
    /// that makes no sense otherwise is found out when the column is decoded.
    @inline(__always)
    static func measure(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> Int {
        let tag = try reader.u8()
        try reader.skipVarint()
        let form = tag & 7
        if tag == IntegerForm.constant.rawValue { return 0 }
        if tag == IntegerForm.gaps.rawValue {
            _ = try reader.raw(2)
            return try reader.count(max: count * 8)
        }
        guard tag & 0xf0 == 0, form != 0, form <= IntegerForm.deltaPlanes.rawValue else {
            throw .unknownTag("integer", tag)
        }
        let isDelta = form >= IntegerForm.delta.rawValue
        if isDelta { try reader.skipVarint() }
        if tag & divisorFlag != 0 { try reader.skipVarint() }
        let width = Int(try reader.u8())
        let stored = isDelta ? max(count - 1, 0) : count
        if form == IntegerForm.planes.rawValue || form == IntegerForm.deltaPlanes.rawValue {
            guard width <= 8 else { throw .unknownTag("integer", tag) }
            return stored * width
        }
        guard BitPacking.isValid(width: width) else { throw .unknownTag("integer", tag) }
        return BitPacking.byteCount(stored, width: width)
    }

    @inline(__always)
    private static func parseGaps(
        _ reader: inout DescriptorReader, _ tag: UInt8, _ count: Int, _ layout: inout IntegerLayout
    ) throws(Fault) {
        layout.startBits = Int(try reader.u8())
        layout.width = Int(try reader.u8())
        layout.payloadBytes = try reader.count(max: count * 8)
        guard tag & divisorFlag == 0, layout.startBits <= 48, layout.width <= 46 else {
            throw .unknownTag("integer", tag)
        }
    }

    /// Decodes exactly `count` values into `target`.
    static func decode(
        _ layout: IntegerLayout, payload: UnsafeRawBufferPointer, count: Int, into target: UnsafeMutablePointer<Int64>
    ) throws(Fault) {
        guard count > 0 else { return }
        if layout.form == .constant {
            target.update(repeating: layout.base, count: count)
            return
        }
        if layout.form == .gaps {
            return try GapCodec.decode(
                UnsafeRawBufferPointer(rebasing: payload[0..<min(layout.payloadBytes, payload.count)]), count: count,
                first: layout.base, startBits: layout.startBits, escapeWidth: layout.width, into: target)
        }
        let isDelta = layout.form == .delta || layout.form == .deltaPlanes
        let stored = isDelta ? count - 1 : count
        let first = isDelta ? target + 1 : target
        try first.withMemoryRebound(to: UInt64.self, capacity: stored) { words throws(Fault) in
            if layout.form == .planes || layout.form == .deltaPlanes {
                try readPlanes(payload, stored, layout.width, into: words)
            } else {
                try BitPacking.unpack(payload, count: stored, width: layout.width, into: words)
            }
        }
        if isDelta {
            sum(layout, count, target)
        } else {
            shift(layout, count, target)
        }
    }

    @inline(__always)
    private static func sum(_ layout: IntegerLayout, _ count: Int, _ target: UnsafeMutablePointer<Int64>) {
        var value = layout.base
        target[0] = value
        let divisor = Int64(bitPattern: layout.divisor)
        for index in 1..<count {
            value = value &+ layout.least &+ target[index] &* divisor
            target[index] = value
        }
    }

    @inline(__always)
    private static func shift(_ layout: IntegerLayout, _ count: Int, _ target: UnsafeMutablePointer<Int64>) {
        let divisor = Int64(bitPattern: layout.divisor)
        let base = layout.base
        if divisor == 1 {
            for index in 0..<count { target[index] = target[index] &+ base }
        } else {
            for index in 0..<count { target[index] = target[index] &* divisor &+ base }
        }
    }

    static func readPlanes(
        _ source: UnsafeRawBufferPointer, _ count: Int, _ bytes: Int, into target: UnsafeMutablePointer<UInt64>
    ) throws(Fault) {
        guard source.count >= count * bytes else { throw Fault(.damaged, "byte planes end too early") }
        target.update(repeating: 0, count: count)
        guard let base = source.baseAddress else { return }
        for plane in 0..<bytes {
            let start = base + plane * count
            let shift = UInt64(plane * 8)
            for index in 0..<count {
                target[index] |= UInt64(start.load(fromByteOffset: index, as: UInt8.self)) << shift
            }
        }
    }
}
