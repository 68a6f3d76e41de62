// A list of m ≥ 1 distinct or repeating strings: the literal entries of a dictionary, the values of a column
// without one, the values of a vocabulary.
//
// Descriptor: u8 form, then
//   plain  lengths, total bytes     payload: lengths, then all bytes
//   hex    lengths of the bytes     payload: lengths, then two digits a byte (lower case, even length)
//   ipv4   –                        payload: four planes of m bytes, first octet first (canonical dotted quads)
//   uuid   –                        payload: 16 bytes each (lower case, with dashes)
// Lengths of one string are a varint; of more, an integer stream, followed (unless constant) by the varint
// total of the bytes, so that the payload's length follows from the descriptor.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum StringForm: UInt8 {
    case plain = 0
    case hex = 1
    case ipv4 = 2
    case uuid = 3
}

struct StringEntriesLayout {
    var form: StringForm = .plain
    var count = 0
    var lengths = IntegerLayout(form: .constant)
    /// Stored bytes of the strings, without the lengths.
    var totalBytes = 0
    var payloadBytes = 0

    /// Bytes of text the decoded strings take in all (at most).
    var textBytes: Int {
        switch form {
        case .plain: 0
        case .hex: totalBytes * 2
        case .ipv4: count * 16
        case .uuid: count * StringForms.uuidTextBytes
        }
    }
}

enum StringEntriesCodec {
    // MARK: Encoding

    static func choose(_ entries: UnsafePointer<StringRef>, count: Int) -> StringForm {
        guard count > 0 else { return .plain }
        // The first entry decides what is worth testing.
        if StringForms.ipv4(entries[0]) != nil {
            for index in 1..<max(count, 1) where StringForms.ipv4(entries[index]) == nil { return .plain }
            return .ipv4
        }
        if StringForms.isUUID(entries[0]) {
            for index in 1..<max(count, 1) where !StringForms.isUUID(entries[index]) { return .plain }
            return .uuid
        }
        if StringForms.isHex(entries[0]) {
            var bytes = 0
            for index in 0..<count {
                if !StringForms.isHex(entries[index]) { return .plain }
                bytes += entries[index].count
            }
            return bytes > 3 * count ? .hex : .plain
        }
        return .plain
    }

    static func write(
        _ entries: UnsafePointer<StringRef>, count: Int, form: StringForm, descriptor: inout ByteSink,
        payload: inout ByteSink
    ) {
        descriptor.u8(form.rawValue)
        switch form {
        case .plain:
            let total = writeLengths(entries, count, divide: 1, &descriptor, &payload)
            var place = payload.extend(total)
            for index in 0..<count {
                memcpy(place, entries[index].base, entries[index].count)
                place += entries[index].count
            }
        case .hex:
            let total = writeLengths(entries, count, divide: 2, &descriptor, &payload)
            var place = payload.extend(total)
            for index in 0..<count {
                StringForms.packHex(entries[index], into: place)
                place += entries[index].count / 2
            }
        case .ipv4:
            let place = payload.extend(count * 4)
            for index in 0..<count {
                let address = StringForms.ipv4(entries[index]) ?? 0
                for plane in 0..<4 {
                    place[plane * count + index] = UInt8(truncatingIfNeeded: address >> UInt32(24 - plane * 8))
                }
            }
        case .uuid:
            let place = payload.extend(count * 16)
            for index in 0..<count { StringForms.packUUID(entries[index], into: place + index * 16) }
        }
    }

    private static func writeLengths(
        _ entries: UnsafePointer<StringRef>, _ count: Int, divide: Int, _ descriptor: inout ByteSink,
        _ payload: inout ByteSink
    ) -> Int {
        if count == 1 {
            descriptor.varint(entries[0].count / divide)
            return entries[0].count / divide
        }
        var total = 0
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: count * 2) { scratch in
            let lengths = scratch.baseAddress!
            for index in 0..<count {
                let length = entries[index].count / divide
                lengths[index] = Int64(length)
                total += length
            }
            let words = UnsafeMutableRawPointer(lengths + count).assumingMemoryBound(to: UInt64.self)
            IntegerCodec.encode(lengths, count: count, scratch: words, descriptor: &descriptor, payload: &payload)
            if isVarying(lengths, count) { descriptor.varint(total) }
        }
        return total
    }

    private static func isVarying(_ lengths: UnsafePointer<Int64>, _ count: Int) -> Bool {
        for index in 1..<count where lengths[index] != lengths[0] { return true }
        return false
    }

    // MARK: Decoding

    @inline(__always)
    static func parse(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> StringEntriesLayout {
        let tag = try reader.u8()
        guard let form = StringForm(rawValue: tag) else { throw .unknownTag("string list", tag) }
        var layout = StringEntriesLayout(form: form, count: count)
        switch form {
        case .plain, .hex:
            try parseLengths(&reader, &layout)
            layout.payloadBytes = layout.lengths.payloadBytes + layout.totalBytes
        case .ipv4:
            layout.payloadBytes = count * 4
        case .uuid:
            layout.payloadBytes = count * 16
        }
        return layout
    }

    @inline(__always)
    private static func parseLengths(
        _ reader: inout DescriptorReader, _ layout: inout StringEntriesLayout
    ) throws(Fault) {
        if layout.count == 1 {
            layout.totalBytes = try reader.count(max: Limits.packRawBytesMax)
            layout.lengths.base = Int64(layout.totalBytes)
            return
        }
        layout.lengths = try IntegerCodec.parse(&reader, count: layout.count)
        if layout.lengths.form == .constant {
            let (total, overflow) = layout.lengths.base.multipliedReportingOverflow(by: Int64(layout.count))
            guard !overflow, total >= 0, total <= Limits.packRawBytesMax else {
                throw .badDescriptor("strings are longer than any pack")
            }
            layout.totalBytes = Int(total)
        } else {
            layout.totalBytes = try reader.count(max: Limits.packRawBytesMax)
        }
    }

    /// As `parse`, but only how many bytes the payload takes.
    @inline(__always)
    static func measure(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> Int {
        let tag = try reader.u8()
        switch tag {
        case StringForm.plain.rawValue, StringForm.hex.rawValue:
            if count == 1 { return try reader.count(max: Limits.packRawBytesMax) }
            return try measureLengths(&reader, count)
        case StringForm.ipv4.rawValue: return count * 4
        case StringForm.uuid.rawValue: return count * 16
        default: throw .unknownTag("string list", tag)
        }
    }

    /// Bytes of the lengths and of the strings.
    @inline(__always)
    private static func measureLengths(_ reader: inout DescriptorReader, _ count: Int) throws(Fault) -> Int {
        guard try reader.peek() == IntegerForm.constant.rawValue else {
            let lengths = try IntegerCodec.measure(&reader, count: count)
            return lengths + (try reader.count(max: Limits.packRawBytesMax))
        }
        _ = try reader.u8()
        let (total, overflow) = (try reader.zigzag()).multipliedReportingOverflow(by: Int64(count))
        guard !overflow, total >= 0, total <= Limits.packRawBytesMax else {
            throw .badDescriptor("strings are longer than any pack")
        }
        return Int(total)
    }

    /// Decodes the list into `target`. Plain text stays where the payload is, the rest is written to the arena.
    static func decode(
        _ layout: StringEntriesLayout, payload: UnsafeRawBufferPointer, arena: Arena,
        into target: UnsafeMutablePointer<StringRef>
    ) throws(Fault) {
        let count = layout.count
        guard payload.count >= layout.payloadBytes else { throw Fault(.damaged, "strings end too early") }
        guard count > 0 else { return }
        // Never read through when all strings are empty.
        let base = payload.baseAddress ?? UnsafeRawPointer(target)
        switch layout.form {
        case .plain:
            try decodeLengths(layout, payload, arena, factor: 1, text: base + layout.lengths.payloadBytes, target)
        case .hex:
            let text = arena.bytes(layout.textBytes)
            StringForms.unpackHex(base + layout.lengths.payloadBytes, count: layout.totalBytes, into: text)
            try decodeLengths(layout, payload, arena, factor: 2, text: UnsafeRawPointer(text), target)
        case .ipv4:
            decodeIPv4(base, count, arena, target)
        case .uuid:
            let text = arena.bytes(layout.textBytes)
            for index in 0..<count {
                let place = text + index * StringForms.uuidTextBytes
                StringForms.unpackUUID(base + index * 16, into: place)
                target[index] = StringRef(base: place, count: StringForms.uuidTextBytes)
            }
        }
    }

    private static func decodeIPv4(
        _ base: UnsafeRawPointer, _ count: Int, _ arena: Arena, _ target: UnsafeMutablePointer<StringRef>
    ) {
        let text = arena.bytes(count * 16)
        for index in 0..<count {
            var address: UInt32 = 0
            for plane in 0..<4 {
                address = address << 8 | UInt32(base.load(fromByteOffset: plane * count + index, as: UInt8.self))
            }
            let place = text + index * 16
            target[index] = StringRef(base: place, count: StringForms.writeIPv4(address, into: place))
        }
    }

    private static func decodeLengths(
        _ layout: StringEntriesLayout, _ payload: UnsafeRawBufferPointer, _ arena: Arena, factor: Int,
        text: UnsafeRawPointer, _ target: UnsafeMutablePointer<StringRef>
    ) throws(Fault) {
        let count = layout.count
        if layout.lengths.form == .constant {
            let length = Int(layout.lengths.base)
            for index in 0..<count {
                target[index] = StringRef(base: text + index * length * factor, count: length * factor)
            }
            return
        }
        let lengths = arena.take(count, of: Int64.self)
        let stored = UnsafeRawBufferPointer(rebasing: payload[0..<layout.lengths.payloadBytes])
        try IntegerCodec.decode(layout.lengths, payload: stored, count: count, into: lengths)
        var place = 0
        for index in 0..<count {
            let length = lengths[index]
            guard length >= 0, length <= Int64(layout.totalBytes - place) else {
                throw Fault(.damaged, "string lengths do not add up")
            }
            target[index] = StringRef(base: text + place * factor, count: Int(length) * factor)
            place += Int(length)
        }
        guard place == layout.totalBytes else { throw Fault(.damaged, "string lengths do not add up") }
    }
}
