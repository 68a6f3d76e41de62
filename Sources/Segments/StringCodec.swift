// String columns (kinds `string` and `json`): which values there are, and which row has which.
//
// Tag byte: form in bits 0–1, code form in bits 2–4, bit 5: some entries stand in the segment's vocabulary,
// bit 6: the payload stands in the strings region.
//   single      one value for all rows                      [shared number] or one literal
//   distinct    a literal for every row, no codes           literals
//   dictionary  varint n; [varint s, u8 width];             s shared numbers in `width` bits, n - s literals,
//               then the literals' descriptor, the codes'   one code below n for every row
//   direct      u8 width                                    a shared number of `width` bits for every row
// Entries 0 ..< s of a dictionary are the shared ones.

import EventStoreCore

enum StringColumnForm: UInt8 {
    case single = 0
    case distinct = 1
    case dictionary = 2
    case direct = 3
}

struct StringLayout: BitwiseCopyable {
    var form: StringColumnForm
    var count: Int
    var entries = 0
    var shared = 0
    var sharedWidth = 0
    var singleShared: UInt32 = 0
    var literals = StringEntriesLayout()
    var codes = CodeLayout(form: .bits, bound: 0)
    var payloadBytes = 0

    var sharedBytes: Int { BitPacking.byteCount(shared, width: sharedWidth) }
    var usesVocabulary: Bool { shared > 0 || form == .direct }
}

/// The distinct values of a column of one block, as the writer collected them.
struct StringColumnInput {
    /// A code below `entryCount` for every row.
    var codes: UnsafeMutablePointer<UInt32>
    var count: Int
    var entries: UnsafePointer<StringRef>
    var entryCount: Int
    /// Number in the segment's vocabulary of every entry, or `notShared`.
    var shared: UnsafePointer<UInt32>?

    static let notShared = UInt32.max
}

enum StringCodec {
    static let sharedFlag: UInt8 = 0x20
    /// Set in the tag of a column whose payload stands in the strings region; means nothing to the codec.
    static let farFlag: UInt8 = 0x40

    // MARK: Encoding

    static func write(_ input: StringColumnInput, descriptor: inout ByteSink, payload: inout ByteSink) {
        if input.entryCount == 1 {
            writeSingle(input, &descriptor, &payload)
        } else if prefersDistinct(input) {
            writeDistinct(input, &descriptor, &payload)
        } else {
            withUnsafeTemporaryAllocation(of: StringRef.self, capacity: input.entryCount) { literals in
                withUnsafeTemporaryAllocation(of: UInt32.self, capacity: input.entryCount * 2) { scratch in
                    writeDictionary(input, literals.baseAddress!, scratch.baseAddress!, &descriptor, &payload)
                }
            }
        }
    }

    private static func writeSingle(
        _ input: StringColumnInput, _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) {
        if let shared = input.shared, shared[0] != StringColumnInput.notShared {
            descriptor.u8(StringColumnForm.single.rawValue | sharedFlag)
            descriptor.varint(UInt64(shared[0]))
            return
        }
        descriptor.u8(StringColumnForm.single.rawValue)
        let form = StringEntriesCodec.choose(input.entries, count: 1)
        StringEntriesCodec.write(input.entries, count: 1, form: form, descriptor: &descriptor, payload: &payload)
    }

    /// Whether repeating the few repeated values costs less than a code for every row.
    private static func prefersDistinct(_ input: StringColumnInput) -> Bool {
        let repeats = input.count - input.entryCount
        if repeats * 4 > input.count { return false }
        if let shared = input.shared {
            for index in 0..<input.entryCount where shared[index] != StringColumnInput.notShared { return false }
        }
        if repeats == 0 { return true }
        let codeBits = CodeCodec.width(bound: input.entryCount) * input.count
        let first = input.entries[0]
        // A repeated plain string costs LZ4 a reference; a packed one its packed bytes.
        let bytes =
            StringForms.ipv4(first) != nil
            ? 4 : StringForms.isUUID(first) ? 16 : StringForms.isHex(first) ? first.count / 2 : 4
        return repeats * bytes * 8 < codeBits
    }

    private static func writeDistinct(
        _ input: StringColumnInput, _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) {
        descriptor.u8(StringColumnForm.distinct.rawValue)
        let form = StringEntriesCodec.choose(input.entries, count: input.entryCount)
        withUnsafeTemporaryAllocation(of: StringRef.self, capacity: input.count) { rows in
            for index in 0..<input.count { rows[index] = input.entries[Int(input.codes[index])] }
            StringEntriesCodec.write(
                rows.baseAddress!, count: input.count, form: form, descriptor: &descriptor, payload: &payload)
        }
    }

    private static func writeDictionary(
        _ input: StringColumnInput, _ literals: UnsafeMutablePointer<StringRef>,
        _ scratch: UnsafeMutablePointer<UInt32>, _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) {
        let place = scratch
        let numbers = scratch + input.entryCount
        var sharedCount = 0
        var widest: UInt32 = 0
        if let shared = input.shared {
            for entry in 0..<input.entryCount where shared[entry] != StringColumnInput.notShared {
                place[entry] = UInt32(sharedCount)
                numbers[sharedCount] = shared[entry]
                widest = max(widest, shared[entry])
                sharedCount += 1
            }
        }
        let sharedWidth = CodeCodec.width(bound: Int(widest) + 1)
        if sharedCount == input.entryCount, prefersDirect(input, sharedWidth) {
            return writeDirect(input, numbers, sharedWidth, &descriptor, &payload)
        }
        var literalCount = 0
        if sharedCount < input.entryCount {
            for entry in 0..<input.entryCount
            where input.shared == nil || input.shared![entry] == StringColumnInput.notShared {
                place[entry] = UInt32(sharedCount + literalCount)
                literals[literalCount] = input.entries[entry]
                literalCount += 1
            }
        }
        if sharedCount > 0 {
            for row in 0..<input.count { input.codes[row] = place[Int(input.codes[row])] }
        }
        let codes = CodeCodec.choose(input.codes, count: input.count, bound: input.entryCount)
        let flag = sharedCount > 0 ? sharedFlag : 0
        descriptor.u8(StringColumnForm.dictionary.rawValue | codes.form.rawValue << 2 | flag)
        descriptor.varint(input.entryCount)
        if sharedCount > 0 {
            descriptor.varint(sharedCount)
            descriptor.u8(UInt8(sharedWidth))
            BitPacking.pack(numbers, count: sharedCount, width: sharedWidth, into: &payload)
        }
        if literalCount > 0 {
            let form = StringEntriesCodec.choose(literals, count: literalCount)
            StringEntriesCodec.write(
                literals, count: literalCount, form: form, descriptor: &descriptor, payload: &payload)
        }
        CodeCodec.write(codes, input.codes, count: input.count, descriptor: &descriptor, payload: &payload)
    }

    private static func prefersDirect(_ input: StringColumnInput, _ sharedWidth: Int) -> Bool {
        let codes = CodeCodec.choose(input.codes, count: input.count, bound: input.entryCount)
        if codes.form != .bits { return false }
        let dictionaryBits = input.entryCount * sharedWidth + codes.codeWidth * input.count + 16
        return input.count * sharedWidth <= dictionaryBits
    }

    private static func writeDirect(
        _ input: StringColumnInput, _ numbers: UnsafePointer<UInt32>, _ width: Int, _ descriptor: inout ByteSink,
        _ payload: inout ByteSink
    ) {
        descriptor.u8(StringColumnForm.direct.rawValue)
        descriptor.u8(UInt8(width))
        for row in 0..<input.count { input.codes[row] = numbers[Int(input.codes[row])] }
        BitPacking.pack(input.codes, count: input.count, width: width, into: &payload)
    }

    // MARK: Decoding

    @inline(__always)
    static func parse(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> StringLayout {
        let tag = try reader.u8()
        guard let form = StringColumnForm(rawValue: tag & 3), tag & 0x80 == 0, count > 0 else {
            throw .unknownTag("string", tag)
        }
        var layout = StringLayout(form: form, count: count)
        switch form {
        case .single:
            layout.entries = 1
            if tag & sharedFlag != 0 {
                layout.shared = 1
                layout.singleShared = UInt32(truncatingIfNeeded: try reader.count(max: Limits.vocabularyEntriesMax))
            }
        case .distinct:
            layout.entries = count
        case .dictionary:
            layout.entries = try reader.count(max: count)
            guard layout.entries > 0 else { throw .unknownTag("string", tag) }
            if tag & sharedFlag != 0 {
                layout.shared = try reader.count(max: layout.entries)
                layout.sharedWidth = try sharedWidth(&reader)
            }
            layout.payloadBytes = layout.sharedBytes
        case .direct:
            layout.sharedWidth = try sharedWidth(&reader)
            layout.payloadBytes = BitPacking.byteCount(count, width: layout.sharedWidth)
        }
        if layout.entries > layout.shared {
            layout.literals = try StringEntriesCodec.parse(&reader, count: layout.entries - layout.shared)
            layout.payloadBytes += layout.literals.payloadBytes
        }
        if form == .dictionary {
            layout.codes = try CodeCodec.parse(form: tag >> 2 & 7, &reader, count: count, bound: layout.entries)
            layout.payloadBytes += layout.codes.payloadBytes
        }
        return layout
    }

    /// As `parse`, but only how many bytes the payload takes.
    @inline(__always)
    static func measure(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> Int {
        let tag = try reader.u8()
        guard tag & 0x80 == 0, count > 0 else { throw .unknownTag("string", tag) }
        let isShared = tag & sharedFlag != 0
        switch tag & 3 {
        case StringColumnForm.single.rawValue:
            guard isShared else { return try StringEntriesCodec.measure(&reader, count: 1) }
            try reader.skipVarint()
            return 0
        case StringColumnForm.distinct.rawValue: return try StringEntriesCodec.measure(&reader, count: count)
        case StringColumnForm.direct.rawValue:
            return BitPacking.byteCount(count, width: try sharedWidth(&reader))
        default: return try measureDictionary(&reader, tag, count)
        }
    }

    @inline(__always)
    private static func measureDictionary(
        _ reader: inout DescriptorReader, _ tag: UInt8, _ count: Int
    ) throws(Fault) -> Int {
        let entries = try reader.count(max: count)
        guard entries > 0 else { throw .unknownTag("string", tag) }
        var shared = 0
        var bytes = 0
        if tag & sharedFlag != 0 {
            shared = try reader.count(max: entries)
            bytes = BitPacking.byteCount(shared, width: try sharedWidth(&reader))
        }
        if entries > shared { bytes += try StringEntriesCodec.measure(&reader, count: entries - shared) }
        return bytes + (try CodeCodec.measure(form: tag >> 2 & 7, &reader, count: count, bound: entries))
    }

    @inline(__always)
    private static func sharedWidth(_ reader: inout DescriptorReader) throws(Fault) -> Int {
        let width = Int(try reader.u8())
        guard width <= 16 else { throw .badDescriptor("shared numbers are too wide") }
        return width
    }

    /// Codes and dictionary of the column, in the arena. `vocabulary` holds the shared values of its attribute.
    static func decode(
        _ layout: StringLayout, payload: UnsafeRawBufferPointer, vocabulary: VocabularyColumn?, arena: Arena
    ) throws(Fault) -> StringColumn {
        guard payload.count >= layout.payloadBytes else { throw Fault(.damaged, "string column ends too early") }
        let codes = arena.take(layout.count, of: UInt32.self)
        if layout.form == .direct { return try decodeDirect(layout, payload, vocabulary, codes) }
        let entries = arena.take(layout.entries, of: StringRef.self)
        var column = StringColumn(
            codes: UnsafePointer(codes), entries: UnsafePointer(entries), entryCount: layout.entries,
            sharedNumbers: nil, sharedCount: layout.shared, isDistinct: layout.form == .distinct)
        if layout.shared > 0 {
            let numbers = arena.take(layout.shared, of: UInt32.self)
            if layout.form == .single {
                numbers[0] = layout.singleShared
            } else {
                try BitPacking.unpack(
                    slice(payload, 0, layout.sharedBytes), count: layout.shared, width: layout.sharedWidth,
                    into: numbers)
            }
            try resolve(numbers, layout.shared, vocabulary, into: entries)
            column.sharedNumbers = UnsafePointer(numbers)
        }
        if layout.literals.count > 0 {
            try StringEntriesCodec.decode(
                layout.literals, payload: slice(payload, layout.sharedBytes, layout.literals.payloadBytes),
                arena: arena, into: entries + layout.shared)
        }
        switch layout.form {
        case .single, .direct:
            codes.update(repeating: 0, count: layout.count)
        case .distinct:
            for index in 0..<layout.count { codes[index] = UInt32(truncatingIfNeeded: index) }
        case .dictionary:
            let start = layout.sharedBytes + layout.literals.payloadBytes
            try CodeCodec.decode(
                layout.codes, payload: slice(payload, start, layout.codes.payloadBytes), count: layout.count,
                into: codes)
        }
        return column
    }

    private static func decodeDirect(
        _ layout: StringLayout, _ payload: UnsafeRawBufferPointer, _ vocabulary: VocabularyColumn?,
        _ codes: UnsafeMutablePointer<UInt32>
    ) throws(Fault) -> StringColumn {
        try BitPacking.unpack(payload, count: layout.count, width: layout.sharedWidth, into: codes)
        guard let vocabulary else { throw Fault(.damaged, "shared value without a vocabulary") }
        var greatest: UInt32 = 0
        for index in 0..<layout.count { greatest = max(greatest, codes[index]) }
        guard Int(greatest) < vocabulary.count else { throw Fault(.damaged, "shared value beyond the vocabulary") }
        return StringColumn(
            codes: UnsafePointer(codes), entries: vocabulary.entries, entryCount: vocabulary.count,
            sharedNumbers: vocabulary.numbers, sharedCount: vocabulary.count, isDistinct: false)
    }

    private static func resolve(
        _ numbers: UnsafePointer<UInt32>, _ count: Int, _ vocabulary: VocabularyColumn?,
        into entries: UnsafeMutablePointer<StringRef>
    ) throws(Fault) {
        guard let vocabulary else { throw Fault(.damaged, "shared value without a vocabulary") }
        for index in 0..<count {
            let number = Int(numbers[index])
            guard number < vocabulary.count else { throw Fault(.damaged, "shared value beyond the vocabulary") }
            entries[index] = vocabulary.entries[number]
        }
    }

    @inline(__always)
    private static func slice(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ length: Int
    ) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
    }
}

/// A decoded string column: dense codes of the rows that have a value, and what they stand for.
@frozen
@usableFromInline
package struct StringColumn: BitwiseCopyable {
    @usableFromInline package var codes: UnsafePointer<UInt32>
    @usableFromInline package var entries: UnsafePointer<StringRef>
    @usableFromInline package var entryCount: Int
    /// Numbers in the segment's vocabulary of entries 0 ..< sharedCount.
    @usableFromInline package var sharedNumbers: UnsafePointer<UInt32>?
    @usableFromInline package var sharedCount: Int
    /// No dictionary: entry i is the value of row i, and values may repeat.
    @usableFromInline package var isDistinct: Bool
}

/// The values of one attribute in a segment's vocabulary. Memory belongs to the `SegmentVocabulary`.
struct VocabularyColumn {
    var entries: UnsafePointer<StringRef>
    /// 0, 1, 2 …
    var numbers: UnsafePointer<UInt32>
    var count: Int
}
