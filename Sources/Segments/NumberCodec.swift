// Numeric columns: integers, doubles and booleans.
//
// Integers: an integer stream (tag 0–4, bit 3 the divisor), or a dictionary:
//   tag 5 | code form << 4     varint n, integer stream of n ascending entries, codes
// Doubles: u8 transform, then an integer column. Transform s ≤ 18: value = integer / 10^s, used when that
//   division gives back every value bit for bit; 255: the integer is the value's bits.
// Booleans: an integer column of 0 and 1.

import EventStoreCore

struct NumberLayout {
    var isDictionary = false
    var count = 0
    var entries = 0
    var stream = IntegerLayout(form: .constant)
    var codes = CodeLayout(form: .bits, bound: 0)
    /// Of doubles.
    var transform: UInt8 = 0
    var payloadBytes = 0
}

enum NumberCodec {
    static let dictionaryTag: UInt8 = 5
    static let rawBits: UInt8 = 255
    static let scaleMax = 18
    /// More distinct values than this are no dictionary.
    static let entriesMax = 4096

    /// Set once, never written again.
    private nonisolated(unsafe) static let powers: UnsafePointer<Double> = {
        let table = UnsafeMutablePointer<Double>.allocate(capacity: scaleMax + 1)
        var power = 1.0
        for scale in 0...scaleMax {
            table[scale] = power
            power *= 10
        }
        return UnsafePointer(table)
    }()

    // MARK: Encoding

    static func writeIntegers(
        _ values: UnsafePointer<Int64>, count: Int, compressible: Bool, scratch: inout NumberScratch,
        descriptor: inout ByteSink, payload: inout ByteSink
    ) {
        scratch.reserve(count)
        let profile = IntegerCodec.profile(values, count)
        let plainWidth = min(profile.offsetWidth, profile.stepWidth)
        if plainWidth > 2, let distinct = scratch.collect(values, count, profile, widthLimit: plainWidth) {
            return writeDictionary(count, distinct, &scratch, &descriptor, &payload)
        }
        IntegerCodec.encode(
            values, count: count, compressible: compressible, scratch: scratch.words, descriptor: &descriptor,
            payload: &payload)
    }

    private static func writeDictionary(
        _ count: Int, _ distinct: Int, _ scratch: inout NumberScratch, _ descriptor: inout ByteSink,
        _ payload: inout ByteSink
    ) {
        let codes = CodeCodec.choose(scratch.codes, count: count, bound: distinct)
        descriptor.u8(dictionaryTag | codes.form.rawValue << 4)
        descriptor.varint(distinct)
        IntegerCodec.encode(
            scratch.entries, count: distinct, scratch: scratch.words, descriptor: &descriptor, payload: &payload)
        CodeCodec.write(codes, scratch.codes, count: count, descriptor: &descriptor, payload: &payload)
    }

    static func writeDoubles(
        _ values: UnsafePointer<Double>, count: Int, compressible: Bool, scratch: inout NumberScratch,
        descriptor: inout ByteSink, payload: inout ByteSink
    ) {
        scratch.reserve(count)
        let integers = scratch.integers
        if let scale = decimalScale(values, count, into: integers) {
            descriptor.u8(UInt8(scale))
        } else {
            descriptor.u8(rawBits)
            for index in 0..<count { integers[index] = Int64(bitPattern: values[index].bitPattern) }
        }
        writeIntegers(
            integers, count: count, compressible: compressible, scratch: &scratch, descriptor: &descriptor,
            payload: &payload)
    }

    /// The smallest power of ten that turns all values into integers, exactly; fills `target`.
    private static func decimalScale(
        _ values: UnsafePointer<Double>, _ count: Int, into target: UnsafeMutablePointer<Int64>
    ) -> Int? {
        var scale = 0
        var index = 0
        var restarts = 0
        while index < count {
            let value = values[index]
            guard let integer = scaled(value, scale) else {
                repeat {
                    scale += 1
                    if scale > scaleMax { return nil }
                } while scaled(value, scale) == nil
                restarts += 1
                index = 0
                continue
            }
            target[index] = integer
            index += 1
        }
        return scale
    }

    @inline(__always)
    private static func scaled(_ value: Double, _ scale: Int) -> Int64? {
        let product = (value * powers[scale]).rounded()
        // Beyond 2^53 neighbouring integers are no longer told apart.
        guard product.magnitude <= 9_007_199_254_740_992 else { return nil }
        let integer = Int64(product)
        let back = Double(integer) / powers[scale]
        return back.bitPattern == value.bitPattern ? integer : nil
    }

    // MARK: Decoding

    @inline(__always)
    static func parse(
        _ reader: inout DescriptorReader, kind: ValueKind, count: Int
    ) throws(Fault) -> NumberLayout {
        var layout = NumberLayout()
        layout.count = count
        if kind == .double {
            layout.transform = try reader.u8()
            guard layout.transform == rawBits || layout.transform <= scaleMax else {
                throw .badDescriptor("unknown encoding of doubles")
            }
        }
        let tag = try reader.peek()
        guard tag & 7 == dictionaryTag else {
            layout.stream = try IntegerCodec.parse(&reader, count: count)
            layout.payloadBytes = layout.stream.payloadBytes
            return layout
        }
        _ = try reader.u8()
        guard tag & 0x88 == 0 else { throw .unknownTag("integer", tag) }
        layout.isDictionary = true
        layout.entries = try reader.count(max: min(count, entriesMax))
        layout.stream = try IntegerCodec.parse(&reader, count: layout.entries)
        layout.codes = try CodeCodec.parse(form: tag >> 4, &reader, count: count, bound: layout.entries)
        layout.payloadBytes = layout.stream.payloadBytes + layout.codes.payloadBytes
        return layout
    }

    /// As `parse`, but only how many bytes the payload takes.
    @inline(__always)
    static func measure(_ reader: inout DescriptorReader, kind: ValueKind, count: Int) throws(Fault) -> Int {
        if kind == .double {
            let transform = try reader.u8()
            guard transform == rawBits || transform <= scaleMax else {
                throw .badDescriptor("unknown encoding of doubles")
            }
        }
        let tag = try reader.peek()
        guard tag & 7 == dictionaryTag else { return try IntegerCodec.measure(&reader, count: count) }
        _ = try reader.u8()
        guard tag & 0x88 == 0 else { throw .unknownTag("integer", tag) }
        let entries = try reader.count(max: min(count, entriesMax))
        let entryBytes = try IntegerCodec.measure(&reader, count: entries)
        return entryBytes + (try CodeCodec.measure(form: tag >> 4, &reader, count: count, bound: entries))
    }

    static func decodeIntegers(
        _ layout: NumberLayout, payload: UnsafeRawBufferPointer, arena: Arena,
        into target: UnsafeMutablePointer<Int64>
    ) throws(Fault) {
        guard payload.count >= layout.payloadBytes else { throw Fault(.damaged, "numbers end too early") }
        guard layout.isDictionary else {
            return try IntegerCodec.decode(layout.stream, payload: payload, count: layout.count, into: target)
        }
        let entries = arena.take(layout.entries, of: Int64.self)
        let codes = arena.take(layout.count, of: UInt32.self)
        let first = UnsafeRawBufferPointer(rebasing: payload[0..<layout.stream.payloadBytes])
        let rest = UnsafeRawBufferPointer(rebasing: payload[layout.stream.payloadBytes..<layout.payloadBytes])
        try IntegerCodec.decode(layout.stream, payload: first, count: layout.entries, into: entries)
        try CodeCodec.decode(layout.codes, payload: rest, count: layout.count, into: codes)
        for index in 0..<layout.count { target[index] = entries[Int(codes[index])] }
    }

    static func decodeDoubles(
        _ layout: NumberLayout, payload: UnsafeRawBufferPointer, arena: Arena,
        into target: UnsafeMutablePointer<Double>
    ) throws(Fault) {
        let count = layout.count
        try target.withMemoryRebound(to: Int64.self, capacity: count) { integers throws(Fault) in
            try decodeIntegers(layout, payload: payload, arena: arena, into: integers)
        }
        if layout.transform == rawBits { return }
        let power = powers[Int(layout.transform)]
        let raw = UnsafeMutableRawPointer(target)
        for index in 0..<count {
            let integer = raw.load(fromByteOffset: index * 8, as: Int64.self)
            raw.storeBytes(of: Double(integer) / power, toByteOffset: index * 8, as: Double.self)
        }
    }
}

/// Reused memory for finding dictionaries of integers: an open-addressing table with generations.
struct NumberScratch: ~Copyable {
    private(set) var words: UnsafeMutablePointer<UInt64>
    private(set) var integers: UnsafeMutablePointer<Int64>
    private(set) var codes: UnsafeMutablePointer<UInt32>
    private(set) var entries: UnsafeMutablePointer<Int64>
    private var capacity = 0

    private static let slotCount = 16_384
    private let slotValues: UnsafeMutablePointer<Int64>
    /// Generation << 16 | entry.
    private let slotMarks: UnsafeMutablePointer<UInt64>
    private let order: UnsafeMutablePointer<UInt32>
    private var generation: UInt64 = 0

    init() {
        words = .allocate(capacity: 1)
        integers = .allocate(capacity: 1)
        codes = .allocate(capacity: 1)
        entries = .allocate(capacity: NumberCodec.entriesMax)
        slotValues = .allocate(capacity: NumberScratch.slotCount)
        slotMarks = .allocate(capacity: NumberScratch.slotCount)
        slotMarks.update(repeating: 0, count: NumberScratch.slotCount)
        order = .allocate(capacity: NumberCodec.entriesMax * 2)
    }

    deinit {
        words.deallocate()
        integers.deallocate()
        codes.deallocate()
        entries.deallocate()
        slotValues.deallocate()
        slotMarks.deallocate()
        order.deallocate()
    }

    mutating func reserve(_ count: Int) {
        guard count > capacity else { return }
        words.deallocate()
        integers.deallocate()
        codes.deallocate()
        capacity = max(count, capacity * 2, 256)
        words = .allocate(capacity: capacity)
        integers = .allocate(capacity: capacity)
        codes = .allocate(capacity: capacity)
    }

    /// Fills `codes` and ascending `entries` when a dictionary is smaller than `widthLimit` bits a value.
    /// Gives up as soon as there are too many distinct values.
    mutating func collect(
        _ values: UnsafePointer<Int64>, _ count: Int, _ profile: IntegerCodec.Profile, widthLimit: Int
    ) -> Int? {
        // n entries of about `offsetWidth` bits and codes must beat `widthLimit` bits a value.
        let limit = distinctLimit(count, entryBits: min(profile.offsetWidth, 40), widthLimit: widthLimit)
        guard limit >= 2 else { return nil }
        generation += 1
        var distinct = 0
        let mask = NumberScratch.slotCount - 1
        for index in 0..<count {
            let value = values[index]
            var slot = Int(truncatingIfNeeded: (UInt64(bitPattern: value) &* 0x9e37_79b9_7f4a_7c15) >> 50)
            while slotMarks[slot] >> 16 == generation, slotValues[slot] != value { slot = (slot + 1) & mask }
            if slotMarks[slot] >> 16 != generation {
                if distinct == limit { return nil }
                slotMarks[slot] = generation << 16 | UInt64(distinct)
                slotValues[slot] = value
                entries[distinct] = value
                distinct += 1
            }
            codes[index] = UInt32(truncatingIfNeeded: slotMarks[slot] & 0xffff)
        }
        sortEntries(distinct, count)
        return distinct
    }

    private func distinctLimit(_ count: Int, entryBits: Int, widthLimit: Int) -> Int {
        var best = 0
        var codeWidth = 1
        while codeWidth <= 12, codeWidth < widthLimit {
            let room = (widthLimit - codeWidth) * count - 24
            if room > 0 {
                let entries = min(room / max(entryBits, 1), 1 << codeWidth)
                best = max(best, entries)
            }
            codeWidth += 1
        }
        return min(best, NumberCodec.entriesMax, count)
    }

    /// Ascending entries make a dictionary's codes comparable and its entries small steps.
    private func sortEntries(_ distinct: Int, _ count: Int) {
        let rank = order + NumberCodec.entriesMax
        for index in 0..<distinct { order[index] = UInt32(index) }
        let known = entries
        var indexes = UnsafeMutableBufferPointer(start: order, count: distinct)
        indexes.sort { known[Int($0)] < known[Int($1)] }
        for index in 0..<distinct {
            rank[Int(order[index])] = UInt32(index)
            words[index] = UInt64(bitPattern: entries[Int(order[index])])
        }
        for index in 0..<distinct { entries[index] = Int64(bitPattern: words[index]) }
        for index in 0..<count { codes[index] = rank[Int(codes[index])] }
    }
}
