// Column codecs one by one: round trips at the edges, and bytes that were tampered with.

import EventStoreCore
import Testing

@testable import EventStoreSegments

/// Encoded form of one column.
struct Encoded {
    var descriptor: [UInt8]
    var payload: [UInt8]
}

enum Encode {
    static func run(_ body: (inout ByteSink, inout ByteSink) -> Void) -> Encoded {
        var descriptor = ByteSink()
        var payload = ByteSink()
        body(&descriptor, &payload)
        return Encoded(descriptor: Array(descriptor.bytes), payload: Array(payload.bytes))
    }

    static func integers(_ values: [Int64], grows: Bool = false) -> Encoded {
        run { descriptor, payload in
            var scratch = NumberScratch()
            scratch.reserve(max(values.count, 1))
            values.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                if grows {
                    IntegerCodec.encode(
                        base, count: buffer.count, grows: true, scratch: scratch.words, descriptor: &descriptor,
                        payload: &payload)
                } else {
                    NumberCodec.writeIntegers(
                        base, count: buffer.count, compressible: true, scratch: &scratch, descriptor: &descriptor,
                        payload: &payload)
                }
            }
        }
    }

    static func doubles(_ values: [Double]) -> Encoded {
        run { descriptor, payload in
            var scratch = NumberScratch()
            values.withUnsafeBufferPointer { buffer in
                NumberCodec.writeDoubles(
                    buffer.baseAddress!, count: buffer.count, compressible: true, scratch: &scratch,
                    descriptor: &descriptor, payload: &payload)
            }
        }
    }

    static func bools(_ values: [Bool]) -> Encoded {
        run { descriptor, payload in
            let codes = values.map { UInt32($0 ? 1 : 0) }
            codes.withUnsafeBufferPointer { buffer in
                BoolCodec.write(
                    buffer.baseAddress!, count: buffer.count, ones: codes.count { $0 == 1 }, descriptor: &descriptor,
                    payload: &payload)
            }
        }
    }

    static func ids(_ values: [EventID]) -> Encoded {
        run { descriptor, payload in
            var scratch = NumberScratch()
            values.withUnsafeBufferPointer { buffer in
                IDCodec.write(
                    buffer.baseAddress!, count: buffer.count, scratch: &scratch, descriptor: &descriptor,
                    payload: &payload)
            }
        }
    }

    /// `shared` maps values to numbers of a vocabulary.
    static func strings(_ values: [String], shared: [String: UInt32] = [:]) -> Encoded {
        run { descriptor, payload in
            var order: [String: UInt32] = [:]
            var distinct: [[UInt8]] = []
            var numbers: [UInt32] = []
            var codes: [UInt32] = []
            for value in values {
                if order[value] == nil {
                    order[value] = UInt32(distinct.count)
                    distinct.append(Array(value.utf8))
                    numbers.append(shared[value] ?? StringColumnInput.notShared)
                }
                codes.append(order[value]!)
            }
            let flat: [UInt8] = Array(distinct.joined()) + [0]
            flat.withUnsafeBytes { text in
                var refs: [StringRef] = []
                var start = 0
                for bytes in distinct {
                    refs.append(StringRef(base: text.baseAddress! + start, count: bytes.count))
                    start += bytes.count
                }
                codes.withUnsafeMutableBufferPointer { codes in
                    refs.withUnsafeBufferPointer { refs in
                        numbers.withUnsafeBufferPointer { numbers in
                            StringCodec.write(
                                StringColumnInput(
                                    codes: codes.baseAddress!, count: codes.count, entries: refs.baseAddress!,
                                    entryCount: refs.count, shared: shared.isEmpty ? nil : numbers.baseAddress!),
                                descriptor: &descriptor, payload: &payload)
                        }
                    }
                }
            }
        }
    }
}

enum Decode {
    /// Parses the descriptor, which must be used up, and hands the payload on.
    static func run<T>(
        _ encoded: Encoded, _ body: (inout DescriptorReader, UnsafeRawBufferPointer, Arena) throws -> T
    ) throws -> T {
        // Copies of exact size, so that a read past the end is one past an allocation.
        let descriptor = UnsafeMutableRawBufferPointer.allocate(byteCount: encoded.descriptor.count, alignment: 1)
        let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: encoded.payload.count, alignment: 1)
        defer {
            descriptor.deallocate()
            payload.deallocate()
        }
        descriptor.copyBytes(from: encoded.descriptor)
        payload.copyBytes(from: encoded.payload)
        var reader = DescriptorReader(UnsafeRawBufferPointer(descriptor))
        return try body(&reader, UnsafeRawBufferPointer(payload), Arena())
    }

    static func integers(_ encoded: Encoded, _ count: Int) throws -> [Int64] {
        try run(encoded) { reader, payload, arena in
            var copy = reader
            let layout = try NumberCodec.parse(&reader, kind: .integer, count: count)
            #expect(
                try NumberCodec.measure(&copy, kind: .integer, count: count) == layout.payloadBytes
                    && copy.offset == reader.offset)
            guard layout.payloadBytes <= payload.count else { throw Fault(.damaged, "payload is short") }
            let target = arena.take(max(count, 1), of: Int64.self)
            try NumberCodec.decodeIntegers(layout, payload: payload, arena: arena, into: target)
            return Array(UnsafeBufferPointer(start: target, count: count))
        }
    }

    static func doubles(_ encoded: Encoded, _ count: Int) throws -> [UInt64] {
        try run(encoded) { reader, payload, arena in
            var copy = reader
            let layout = try NumberCodec.parse(&reader, kind: .double, count: count)
            #expect(
                try NumberCodec.measure(&copy, kind: .double, count: count) == layout.payloadBytes
                    && copy.offset == reader.offset)
            guard layout.payloadBytes <= payload.count else { throw Fault(.damaged, "payload is short") }
            let target = arena.take(max(count, 1), of: Double.self)
            try NumberCodec.decodeDoubles(layout, payload: payload, arena: arena, into: target)
            return UnsafeBufferPointer(start: target, count: count).map(\.bitPattern)
        }
    }

    static func bools(_ encoded: Encoded, _ count: Int) throws -> [Bool] {
        try run(encoded) { reader, payload, arena in
            let layout = try BoolCodec.parse(&reader, count: count)
            let target = try BoolCodec.decode(layout, payload: payload, count: count, arena: arena)
            return Array(UnsafeBufferPointer(start: target, count: count))
        }
    }

    static func ids(_ encoded: Encoded, _ count: Int) throws -> [EventID] {
        try run(encoded) { reader, payload, arena in
            let layout = try IDCodec.parse(&reader, count: count)
            let target = arena.take(max(count, 1), of: EventID.self)
            try IDCodec.decode(layout, payload: payload, count: count, arena: arena, into: target)
            return Array(UnsafeBufferPointer(start: target, count: count))
        }
    }

    static func strings(_ encoded: Encoded, _ count: Int, vocabulary: [String] = []) throws -> [String] {
        let flat: [UInt8] = Array(vocabulary.joined().utf8) + [0]
        return try flat.withUnsafeBytes { text in
            var refs: [StringRef] = []
            var start = 0
            for value in vocabulary {
                refs.append(StringRef(base: text.baseAddress! + start, count: value.utf8.count))
                start += value.utf8.count
            }
            let numbers = vocabulary.indices.map { UInt32($0) } + [0]
            return try refs.withUnsafeBufferPointer { refs in
                try numbers.withUnsafeBufferPointer { numbers in
                    let shared = refs.baseAddress.map {
                        VocabularyColumn(entries: $0, numbers: numbers.baseAddress!, count: vocabulary.count)
                    }
                    return try run(encoded) { reader, payload, arena in
                        var copy = reader
                        let layout = try StringCodec.parse(&reader, count: count)
                        #expect(
                            try StringCodec.measure(&copy, count: count) == layout.payloadBytes
                                && copy.offset == reader.offset)
                        let column = try StringCodec.decode(
                            layout, payload: payload, vocabulary: vocabulary.isEmpty ? nil : shared, arena: arena)
                        return (0..<count).map { row in
                            let code = Int(column.codes[row])
                            precondition(code < column.entryCount)
                            return String(decoding: column.entries[code].bytes, as: UTF8.self)
                        }
                    }
                }
            }
        }
    }
}

enum Samples {
    static let sizes = [1, 2, 3, 7, 64, 129, 1000]

    static func integers(_ generator: inout SeededGenerator) -> [[Int64]] {
        var lists: [[Int64]] = [
            [0], [.min], [.max], [.min, .max], [.max, .min, 0, -1, 1], [5, 5, 5, 5], Array(repeating: .min, count: 70),
            (0..<65_536).map { Int64($0) }, (0..<65_536).map { _ in 7 }, (0..<1000).map { Int64($0 * 60_000) },
            (0..<200).map { Int64($0 % 3) * 1_000_000_007 }, (0..<300).map { Int64($0 / 50) },
        ]
        for size in sizes {
            let width = Int.random(in: 1...63, using: &generator)
            lists.append((0..<size).map { _ in Int64(truncatingIfNeeded: generator.next() >> UInt64(64 - width)) })
            lists.append((0..<size).map { _ in Int64(bitPattern: generator.next()) })
            var value: Int64 = 1_700_000_000_000
            lists.append(
                (0..<size).map { _ in
                    value += Int64.random(in: 0...50_000, using: &generator)
                    if generator.next() % 40 == 0 { value -= 3_000_000 }
                    return value
                })
        }
        return lists
    }

    static func doubles(_ generator: inout SeededGenerator) -> [[Double]] {
        var lists: [[Double]] = [
            [0], [-0.0], [0, -0.0, 0], [.nan], [.signalingNaN, .nan, 1], [Double(bitPattern: 0x7ff8_dead_beef_0001)],
            [.infinity, -.infinity], [.leastNonzeroMagnitude, .greatestFiniteMagnitude], [0.1, 0.2, 0.3],
            [1.5, 2.25, 1e15], [9_007_199_254_740_992, 9_007_199_254_740_994, 1], [1e18, -1e18],
            [123.456789, 0.000001],
            Array(repeating: 3.25, count: 65_536),
        ]
        for size in sizes {
            lists.append((0..<size).map { _ in Double(bitPattern: generator.next()) })
            lists.append((0..<size).map { _ in Double(Int.random(in: 0...99_999, using: &generator)) / 100 })
        }
        return lists
    }

    static func strings(_ generator: inout SeededGenerator) -> [[String]] {
        let long = String(repeating: "a long value of 64 KiB, ", count: 2730)
        var lists: [[String]] = [
            [""], ["", ""], ["x"], ["", "x", ""], Array(repeating: "same", count: 300), [long, "", long + "!"],
            ["1.2.3.4"], ["1.2.3.4", "255.255.255.255", "0.0.0.0"], ["1.2.3.4", "01.2.3.4"], ["1.2.3.4", "1.2.3.256"],
            ["deadbeef", "00ff"], ["deadbeef", "DEADBEEF"], ["abc"], ["deadbeef", ""],
            ["6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4", "d3df6d82-ecd4-4540-bc0c-2eb4fe349058"],
            ["6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4", "not one"], ["ünïcödé", "日本語", "😀"],
        ]
        for size in sizes {
            lists.append((0..<size).map { _ in "v\(generator.next() % 11)" })
            lists.append((0..<size).map { _ in "value \(generator.next())" })
            lists.append((0..<size).map { _ in "10.\(generator.next() % 256).\(generator.next() % 256).0" })
            lists.append((0..<size).map { _ in String(generator.next() | 1 << 63, radix: 16) })
            lists.append((0..<size).map { String(repeating: "ab", count: $0 % 5) + "\($0)" })
        }
        lists.append((0..<65_536).map { "row \($0)" })
        return lists
    }

    static func ids(_ generator: inout SeededGenerator) -> [[EventID]] {
        var lists: [[EventID]] = [
            [EventID(high: 0, low: 0)], [EventID(high: .max, low: .max)],
            (0..<500).map { EventID(high: 0x0123_4567_89ab_8def, low: 0x8000_0000_0000_0000 + UInt64($0)) },
            Array(repeating: EventID(high: 1, low: 2), count: 9),
        ]
        for size in sizes {
            lists.append((0..<size).map { _ in EventID(high: generator.next(), low: generator.next()) })
            lists.append(
                (0..<size).map { _ in
                    EventID(
                        high: generator.next() & 0xffff_ffff_ffff_0fff | 0x4000,
                        low: generator.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000)
                })
        }
        return lists
    }
}

@Suite struct CodecTests {
    @Test func integers() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for values in Samples.integers(&generator) {
            for grows in [false, true] {
                let encoded = Encode.integers(values, grows: grows)
                #expect(try Decode.integers(encoded, values.count) == values, "seed \(seed), grows \(grows)")
            }
        }
    }

    @Test func doublesKeepEveryBit() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for values in Samples.doubles(&generator) {
            let back = try Decode.doubles(Encode.doubles(values), values.count)
            #expect(back == values.map(\.bitPattern), "seed \(seed)")
        }
    }

    @Test func bools() throws {
        var generator = SeededGenerator(seed: 1)
        for count in Samples.sizes + [65_536] {
            for chance: UInt64 in [0, 1, 2, 50, 100] {
                let values = (0..<count).map { _ in generator.next() % 100 < chance }
                #expect(try Decode.bools(Encode.bools(values), count) == values)
            }
        }
    }

    @Test func strings() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for values in Samples.strings(&generator) {
            #expect(try Decode.strings(Encode.strings(values), values.count) == values, "seed \(seed)")
        }
    }

    @Test func sharedStrings() throws {
        var generator = SeededGenerator(seed: 5)
        let vocabulary = (0..<300).map { "shared \($0)" }
        let numbers = Dictionary(uniqueKeysWithValues: vocabulary.enumerated().map { ($1, UInt32($0)) })
        for size in Samples.sizes {
            for own: UInt64 in [0, 1, 5, 10] {
                let values = (0..<size).map { _ in
                    generator.next() % 10 < own
                        ? "own \(generator.next() % 20)" : vocabulary.randomElement(using: &generator)!
                }
                let encoded = Encode.strings(values, shared: numbers)
                #expect(try Decode.strings(encoded, size, vocabulary: vocabulary) == values)
                if values.contains(where: { $0.hasPrefix("shared") }) {
                    #expect(throws: Fault.self) { try Decode.strings(encoded, size) }
                }
            }
        }
    }

    @Test func ids() throws {
        var generator = SeededGenerator(seed: 3)
        for values in Samples.ids(&generator) {
            #expect(try Decode.ids(Encode.ids(values), values.count) == values)
        }
    }

    @Test func bitPackingOfEveryWidth() throws {
        var generator = SeededGenerator(seed: 4)
        for width in Array(0...56) + [64] {
            let mask = width == 64 ? UInt64.max : UInt64(1) << UInt64(width) &- 1
            let values = (0..<37).map { _ in generator.next() & mask }
            var sink = ByteSink()
            values.withUnsafeBufferPointer {
                BitPacking.pack($0.baseAddress!, count: 37, width: width, into: &sink)
            }
            var back = [UInt64](repeating: 0, count: 37)
            let bytes = Array(sink.bytes)
            try bytes.withUnsafeBytes { source in
                try back.withUnsafeMutableBufferPointer { target in
                    try BitPacking.unpack(source, count: 37, width: width, into: target.baseAddress!)
                }
            }
            #expect(back == values, "width \(width)")
        }
    }

    @Test func packsCompressAndComeBack() throws {
        let compressor = PackCompressor()
        var generator = SeededGenerator(seed: 6)
        for count in [0, 1, 31, 32, 100, 5000, 70_000] {
            for isText in [true, false] {
                let plain = (0..<count).map { index in
                    isText ? UInt8(ascii: "a") + UInt8(index % 7) : UInt8(truncatingIfNeeded: generator.next())
                }
                for high in [false, true] {
                    try plain.withUnsafeBytes { bytes in
                        let (packed, codec) = compressor.compress(bytes, high: high)
                        #expect(packed.count <= count)
                        var back = [UInt8](repeating: 0, count: count)
                        try back.withUnsafeMutableBytes {
                            try PackCompressor.decompress(packed, codec: codec, into: $0)
                        }
                        #expect(back == plain)
                    }
                }
            }
        }
    }
}
