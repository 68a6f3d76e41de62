// Dictionary codes, shape codes and booleans: n small numbers below m.
//
//   bits   every code in ceil(log2 m) bits                       nothing in the descriptor
//   bytes  every code in 1 or 2 bytes (m ≤ 256 or more)          nothing in the descriptor
//   runs   varint run count r, u8 length width w                 r codes bit-packed, r lengths - 1 in w bits
//
// The form stands in bits of the column's tag.

import EventStoreCore

enum CodeForm: UInt8 {
    case bits = 0
    case bytes = 1
    case runs = 2
}

struct CodeLayout {
    var form: CodeForm
    var bound: Int
    var runs = 0
    var lengthWidth = 0
    var payloadBytes = 0

    var codeWidth: Int { CodeCodec.width(bound: bound) }
}

enum CodeCodec {
    @inline(__always)
    static func width(bound: Int) -> Int { bound <= 1 ? 0 : 64 - UInt64(bound - 1).leadingZeroBitCount }

    @inline(__always)
    static func byteWidth(bound: Int) -> Int { bound <= 256 ? 1 : bound <= 65_536 ? 2 : 4 }

    // MARK: Encoding

    /// Chooses a form. The caller writes it into its tag, then calls `write`.
    static func choose(_ codes: UnsafePointer<UInt32>, count: Int, bound: Int) -> CodeLayout {
        var layout = CodeLayout(form: .bits, bound: bound)
        let width = layout.codeWidth
        var runs = 1
        var run = 1
        var longest = 1
        for index in 1..<max(count, 1) {
            if codes[index] == codes[index - 1] {
                run += 1
            } else {
                if run > longest { longest = run }
                runs += 1
                run = 1
            }
        }
        if run > longest { longest = run }
        let bitBytes = BitPacking.byteCount(count, width: width)
        let lengthWidth = BitPacking.width(UInt64(longest - 1))
        let runBytes =
            BitPacking.byteCount(runs, width: width) + BitPacking.byteCount(runs, width: lengthWidth)
            + 1 + ByteSink.varintBytes(UInt64(runs))
        if runBytes < bitBytes {
            layout.form = .runs
            layout.runs = runs
            layout.lengthWidth = lengthWidth
            return layout
        }
        // Repeating stretches are left to LZ4, which only sees them in whole bytes.
        if width > 4, width != 8, count >= 128, repeats(codes, count) * 3 > count { layout.form = .bytes }
        return layout
    }

    /// How many codes continue a stretch seen a little before; a cheap stand-in for trying LZ4.
    private static func repeats(_ codes: UnsafePointer<UInt32>, _ count: Int) -> Int {
        var found = 0
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 256) { last in
            last.update(repeating: -1)
            var index = 0
            while index + 4 <= count {
                var hash = codes[index] &* 0x9e37_79b1
                hash = (hash ^ codes[index + 1]) &* 0x85eb_ca6b
                hash = (hash ^ codes[index + 2]) &* 0xc2b2_ae35
                hash = (hash ^ codes[index + 3]) &* 0x27d4_eb2f
                let slot = Int(hash >> 24)
                let before = Int(last[slot])
                last[slot] = Int32(truncatingIfNeeded: index)
                var length = 0
                if before >= 0 {
                    while index + length < count, codes[before + length] == codes[index + length] { length += 1 }
                }
                if length >= 4 {
                    found += length
                    index += length
                } else {
                    index += 1
                }
            }
        }
        return found
    }

    static func write(
        _ layout: CodeLayout, _ codes: UnsafePointer<UInt32>, count: Int, descriptor: inout ByteSink,
        payload: inout ByteSink
    ) {
        switch layout.form {
        case .bits:
            BitPacking.pack(codes, count: count, width: layout.codeWidth, into: &payload)
        case .bytes:
            writeBytes(codes, count, byteWidth(bound: layout.bound), &payload)
        case .runs:
            descriptor.varint(layout.runs)
            descriptor.u8(UInt8(layout.lengthWidth))
            writeRuns(layout, codes, count, &payload)
        }
    }

    private static func writeBytes(
        _ codes: UnsafePointer<UInt32>, _ count: Int, _ width: Int, _ payload: inout ByteSink
    ) {
        let target = payload.extend(count * width)
        for plane in 0..<width {
            let start = target + plane * count
            let shift = UInt32(plane * 8)
            for index in 0..<count { start[index] = UInt8(truncatingIfNeeded: codes[index] >> shift) }
        }
    }

    private static func writeRuns(
        _ layout: CodeLayout, _ codes: UnsafePointer<UInt32>, _ count: Int, _ payload: inout ByteSink
    ) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: layout.runs * 2) { scratch in
            let values = scratch.baseAddress!
            let lengths = values + layout.runs
            var run = 0
            var start = 0
            for index in 1...count where index == count || codes[index] != codes[start] {
                values[run] = codes[start]
                lengths[run] = UInt32(index - start - 1)
                run += 1
                start = index
            }
            BitPacking.pack(values, count: run, width: layout.codeWidth, into: &payload)
            BitPacking.pack(lengths, count: run, width: layout.lengthWidth, into: &payload)
        }
    }

    // MARK: Decoding

    @inline(__always)
    static func parse(
        form: UInt8, _ reader: inout DescriptorReader, count: Int, bound: Int
    ) throws(Fault) -> CodeLayout {
        guard let form = CodeForm(rawValue: form), bound >= 0, bound <= 1 << 32 else {
            throw .badDescriptor("unknown code form")
        }
        var layout = CodeLayout(form: form, bound: bound)
        switch form {
        case .bits:
            layout.payloadBytes = BitPacking.byteCount(count, width: layout.codeWidth)
        case .bytes:
            layout.payloadBytes = count * byteWidth(bound: bound)
        case .runs:
            layout.runs = try reader.count(max: count)
            layout.lengthWidth = Int(try reader.u8())
            guard layout.lengthWidth <= 32 else { throw .badDescriptor("run lengths are too wide") }
            layout.payloadBytes =
                BitPacking.byteCount(layout.runs, width: layout.codeWidth)
                + BitPacking.byteCount(layout.runs, width: layout.lengthWidth)
        }
        return layout
    }

    /// As `parse`, but only how many bytes the payload takes.
    @inline(__always)
    static func measure(
        form: UInt8, _ reader: inout DescriptorReader, count: Int, bound: Int
    ) throws(Fault) -> Int {
        switch form {
        case CodeForm.bits.rawValue: return BitPacking.byteCount(count, width: width(bound: bound))
        case CodeForm.bytes.rawValue: return count * byteWidth(bound: bound)
        case CodeForm.runs.rawValue:
            let runs = try reader.count(max: count)
            let lengthWidth = Int(try reader.u8())
            guard lengthWidth <= 32 else { throw .badDescriptor("run lengths are too wide") }
            return BitPacking.byteCount(runs, width: width(bound: bound))
                + BitPacking.byteCount(runs, width: lengthWidth)
        default: throw .badDescriptor("unknown code form")
        }
    }

    /// Decodes `count` codes, each proven below the bound.
    static func decode(
        _ layout: CodeLayout, payload: UnsafeRawBufferPointer, count: Int, into target: UnsafeMutablePointer<UInt32>
    ) throws(Fault) {
        guard payload.count >= layout.payloadBytes else { throw Fault(.damaged, "codes end too early") }
        switch layout.form {
        case .bits:
            try BitPacking.unpack(payload, count: count, width: layout.codeWidth, into: target)
        case .bytes:
            readBytes(payload, count, byteWidth(bound: layout.bound), into: target)
        case .runs:
            try readRuns(layout, payload, count, into: target)
        }
        var greatest: UInt32 = 0
        for index in 0..<count { greatest = max(greatest, target[index]) }
        guard count == 0 || Int(greatest) < layout.bound else { throw Fault(.damaged, "code beyond its dictionary") }
    }

    private static func readBytes(
        _ source: UnsafeRawBufferPointer, _ count: Int, _ width: Int, into target: UnsafeMutablePointer<UInt32>
    ) {
        guard count > 0, let base = source.baseAddress else { return }
        for index in 0..<count { target[index] = UInt32(base.load(fromByteOffset: index, as: UInt8.self)) }
        for plane in 1..<max(width, 1) {
            let start = base + plane * count
            let shift = UInt32(plane * 8)
            for index in 0..<count {
                target[index] |= UInt32(start.load(fromByteOffset: index, as: UInt8.self)) << shift
            }
        }
    }

    private static func readRuns(
        _ layout: CodeLayout, _ source: UnsafeRawBufferPointer, _ count: Int,
        into target: UnsafeMutablePointer<UInt32>
    ) throws(Fault) {
        let valueBytes = BitPacking.byteCount(layout.runs, width: layout.codeWidth)
        let values = UnsafeMutablePointer<UInt32>.allocate(capacity: max(layout.runs * 2, 1))
        defer { values.deallocate() }
        let lengths = values + layout.runs
        try BitPacking.unpack(
            UnsafeRawBufferPointer(rebasing: source[0..<valueBytes]), count: layout.runs, width: layout.codeWidth,
            into: values)
        try BitPacking.unpack(
            UnsafeRawBufferPointer(rebasing: source[valueBytes...]), count: layout.runs, width: layout.lengthWidth,
            into: lengths)
        var done = 0
        for run in 0..<layout.runs {
            let length = Int(lengths[run]) + 1
            guard length <= count - done else { throw Fault(.damaged, "runs are longer than their column") }
            (target + done).update(repeating: values[run], count: length)
            done += length
        }
        guard done == count else { throw Fault(.damaged, "runs are shorter than their column") }
    }
}
