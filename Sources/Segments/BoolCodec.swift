// Booleans: u8 tag: a code form (0–2) of codes below 2, or 3: all false, 4: all true.

import EventStoreCore

struct BoolLayout {
    var constant: Bool?
    var codes = CodeLayout(form: .bits, bound: 2)
    var payloadBytes: Int { constant == nil ? codes.payloadBytes : 0 }
}

enum BoolCodec {
    static let allFalse: UInt8 = 3
    static let allTrue: UInt8 = 4

    static func write(
        _ codes: UnsafePointer<UInt32>, count: Int, ones: Int, descriptor: inout ByteSink, payload: inout ByteSink
    ) {
        if ones == 0 || ones == count { return descriptor.u8(ones == 0 ? allFalse : allTrue) }
        let layout = CodeCodec.choose(codes, count: count, bound: 2)
        descriptor.u8(layout.form.rawValue)
        CodeCodec.write(layout, codes, count: count, descriptor: &descriptor, payload: &payload)
    }

    @inline(__always)
    static func parse(_ reader: inout DescriptorReader, count: Int) throws(Fault) -> BoolLayout {
        let tag = try reader.u8()
        if tag == allFalse || tag == allTrue { return BoolLayout(constant: tag == allTrue) }
        return BoolLayout(codes: try CodeCodec.parse(form: tag, &reader, count: count, bound: 2))
    }

    static func decode(
        _ layout: BoolLayout, payload: UnsafeRawBufferPointer, count: Int, arena: Arena
    ) throws(Fault) -> UnsafePointer<Bool> {
        let target = arena.take(count, of: Bool.self)
        if let constant = layout.constant {
            target.update(repeating: constant, count: count)
            return UnsafePointer(target)
        }
        let codes = arena.take(count, of: UInt32.self)
        try CodeCodec.decode(layout.codes, payload: payload, count: count, into: codes)
        for index in 0..<count { target[index] = codes[index] != 0 }
        return UnsafePointer(target)
    }
}
