// Event ids: 16 random-looking bytes each, the largest column there is, so every constant bit is dropped.
//
//   raw    u8 0                                   16 bytes each
//   uuid   u8 1, u8 version << 4 | variant        15 bytes and 2 bits each: a UUID without its version nibble
//                                                 and its two variant bits, which all ids of the block share
//   split  u8 2, two integer streams              high halves, then low halves: ids made of a prefix and an ordinal
//
// A uuid's 122 bits: the high half without its version nibble is 60 bits h, the low half without its variant
// 62 bits l. Stored are h << 60 | l's upper 60 bits as 15 big-endian bytes, and the two lowest bits of l in
// a bit-packed array behind all of them.

import EventStoreCore

enum IDForm: UInt8 {
    case raw = 0
    case uuid = 1
    case split = 2
}

struct IDLayout {
    var form: IDForm
    var version: UInt64 = 0
    var variant: UInt64 = 0
    var high = IntegerLayout(form: .constant)
    var low = IntegerLayout(form: .constant)
    var payloadBytes = 0
}

enum IDCodec {
    static let uuidBytes = 15

    // MARK: Encoding

    static func write(
        _ ids: UnsafePointer<EventID>, count: Int, scratch: inout NumberScratch, descriptor: inout ByteSink,
        payload: inout ByteSink
    ) {
        guard count > 0 else { return descriptor.u8(IDForm.raw.rawValue) }
        if writeSplit(ids, count, &scratch, &descriptor, &payload) { return }
        let version = ids[0].high >> 12 & 15
        let variant = ids[0].low >> 62
        for index in 0..<count where ids[index].high >> 12 & 15 != version || ids[index].low >> 62 != variant {
            return writeRaw(ids, count, &descriptor, &payload)
        }
        descriptor.u8(IDForm.uuid.rawValue)
        descriptor.u8(UInt8(version << 4 | variant))
        let target = UnsafeMutableRawPointer(payload.extend(count * uuidBytes))
        scratch.reserve(count)
        for index in 0..<count {
            let high = (ids[index].high >> 16) << 12 | ids[index].high & 0xfff
            let low = ids[index].low & 0x3fff_ffff_ffff_ffff
            // Bytes 7…14 first, then 0…7: the nibble they share is written by both.
            let place = target + index * uuidBytes
            place.storeBytes(of: (high << 60 | low >> 2).bigEndian, toByteOffset: 7, as: UInt64.self)
            place.storeBytes(of: (high << 4 | low >> 58).bigEndian, as: UInt64.self)
            scratch.words[index] = low & 3
        }
        BitPacking.pack(scratch.words, count: count, width: 2, into: &payload)
    }

    private static func writeRaw(
        _ ids: UnsafePointer<EventID>, _ count: Int, _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) {
        descriptor.u8(IDForm.raw.rawValue)
        let target = UnsafeMutableRawPointer(payload.extend(count * 16))
        for index in 0..<count {
            target.storeBytes(of: ids[index].high.bigEndian, toByteOffset: index * 16, as: UInt64.self)
            target.storeBytes(of: ids[index].low.bigEndian, toByteOffset: index * 16 + 8, as: UInt64.self)
        }
    }

    /// Only tried when all high halves are equal: ids of a batch that brought none.
    private static func writeSplit(
        _ ids: UnsafePointer<EventID>, _ count: Int, _ scratch: inout NumberScratch,
        _ descriptor: inout ByteSink, _ payload: inout ByteSink
    ) -> Bool {
        var same = 0
        for index in 1..<max(count, 1) where ids[index].high == ids[index - 1].high { same += 1 }
        guard count > 1, same * 2 > count else { return false }
        scratch.reserve(count)
        descriptor.u8(IDForm.split.rawValue)
        let integers = scratch.integers
        for index in 0..<count { integers[index] = Int64(bitPattern: ids[index].high) }
        IntegerCodec.encode(
            integers, count: count, scratch: scratch.words, descriptor: &descriptor, payload: &payload)
        for index in 0..<count { integers[index] = Int64(bitPattern: ids[index].low) }
        IntegerCodec.encode(
            integers, count: count, scratch: scratch.words, descriptor: &descriptor, payload: &payload)
        return true
    }

    // MARK: Decoding

    @inline(__always)
    static func parse(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> IDLayout {
        let tag = try reader.u8()
        guard let form = IDForm(rawValue: tag) else { throw .unknownTag("id", tag) }
        var layout = IDLayout(form: form)
        switch form {
        case .raw:
            layout.payloadBytes = count * 16
        case .uuid:
            let bits = try reader.u8()
            guard bits & 0x0c == 0 else { throw .badDescriptor("unknown id variant") }
            layout.version = UInt64(bits >> 4)
            layout.variant = UInt64(bits & 3)
            layout.payloadBytes = count * uuidBytes + BitPacking.byteCount(count, width: 2)
        case .split:
            layout.high = try IntegerCodec.parse(&reader, count: count)
            layout.low = try IntegerCodec.parse(&reader, count: count)
            layout.payloadBytes = layout.high.payloadBytes + layout.low.payloadBytes
        }
        return layout
    }

    static func decode(
        _ layout: IDLayout, payload: UnsafeRawBufferPointer, count: Int, arena: Arena,
        into target: UnsafeMutablePointer<EventID>
    ) throws(Fault) {
        guard payload.count >= layout.payloadBytes else { throw Fault(.damaged, "ids end too early") }
        guard count > 0, layout.form == .split || payload.count > 0 else { return }
        switch layout.form {
        case .raw:
            let base = payload.baseAddress!
            for index in 0..<count {
                let high = base.loadUnaligned(fromByteOffset: index * 16, as: UInt64.self)
                let low = base.loadUnaligned(fromByteOffset: index * 16 + 8, as: UInt64.self)
                target[index] = EventID(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
            }
        case .uuid:
            decodeUUIDs(layout, payload.baseAddress!, count, target)
        case .split:
            let high = arena.take(count, of: Int64.self)
            let low = arena.take(count, of: Int64.self)
            let middle = layout.high.payloadBytes
            try IntegerCodec.decode(
                layout.high, payload: UnsafeRawBufferPointer(rebasing: payload[0..<middle]), count: count, into: high)
            try IntegerCodec.decode(
                layout.low, payload: UnsafeRawBufferPointer(rebasing: payload[middle...]), count: count, into: low)
            for index in 0..<count {
                target[index] = EventID(high: UInt64(bitPattern: high[index]), low: UInt64(bitPattern: low[index]))
            }
        }
    }

    private static func decodeUUIDs(
        _ layout: IDLayout, _ base: UnsafeRawPointer, _ count: Int, _ target: UnsafeMutablePointer<EventID>
    ) {
        let rest = base + count * uuidBytes
        for index in 0..<count {
            let place = base + index * uuidBytes
            let first = UInt64(bigEndian: place.loadUnaligned(as: UInt64.self))
            let second = UInt64(bigEndian: place.loadUnaligned(fromByteOffset: 7, as: UInt64.self))
            let two = UInt64(rest.load(fromByteOffset: index >> 2, as: UInt8.self)) >> UInt64((index & 3) * 2) & 3
            let high = first >> 4
            let low = (second & 0x0fff_ffff_ffff_ffff) << 2 | two
            target[index] = EventID(
                high: (high >> 12) << 16 | layout.version << 12 | high & 0xfff, low: layout.variant << 62 | low)
        }
    }
}
