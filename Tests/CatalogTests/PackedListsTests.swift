// The packed blobs are as docs/format/catalog.md says, come back as they were, and throw when they are not.

import EventStoreCore
import Testing

@testable import EventStoreCatalog

@Suite struct PackedListsTests {
    private static func decode(_ bytes: [UInt8]) throws(Fault) -> CatalogSegmentEntity {
        var result: Result<CatalogSegmentEntity, Fault>?
        bytes.withUnsafeBytes { raw in
            result = Result { () throws(Fault) in try PackedLists.decodePart(segment: 4, entity: 9, raw) }
        }
        return try result!.get()
    }

    private static func numbers(_ bytes: [UInt8]) throws(Fault) -> [UInt32] {
        var result: Result<[UInt32], Fault>?
        bytes.withUnsafeBytes { raw in
            result = Result { () throws(Fault) in try PackedLists.decodeNumbers(raw) }
        }
        return try result!.get()
    }

    private static func days(_ bytes: [UInt8]) throws(Fault) -> SegmentDays {
        var result: Result<SegmentDays, Fault>?
        bytes.withUnsafeBytes { raw in
            result = Result { () throws(Fault) in try PackedLists.decodeDays(raw) }
        }
        return try result!.get()
    }

    @Test func daysComeBackAndCutOnesThrow() throws {
        let days = SegmentDays(
            entities: [DayCount(day: 20_000, key: 3, rows: 7), DayCount(day: .min, key: .max, rows: Int(Int32.max))],
            types: [DayCount(day: .max, key: 0, rows: 0)])
        let bytes = PackedLists.encode(days)
        #expect(try Self.days(bytes) == days)
        for length in 0..<bytes.count {
            #expect(fault { () throws(Fault) in try Self.days(Array(bytes.prefix(length))) }?.code == .damaged)
        }
        #expect(fault { () throws(Fault) in try Self.days(bytes + [0]) }?.code == .damaged)
        // More entries than bytes; a day and a number out of range.
        let bad: [[UInt8]] = [[0xff, 0xff, 0x7f, 0], [1, 0x80, 0x80, 0x80, 0x80, 0x20, 0, 0, 0], [1, 0, 1, 0, 0]]
        for bytes in bad { #expect(fault { () throws(Fault) in try Self.days(bytes) }?.code == .damaged) }
        #expect(try Self.days(PackedLists.encode(SegmentDays(entities: [], types: []))).types.isEmpty)
    }

    private static func encode(_ part: CatalogSegmentEntity) -> [UInt8] {
        var writer = ByteWriter()
        PackedLists.encode(part, into: &writer)
        return writer.bytes
    }

    @Test func theExampleOfThePage() throws {
        let part = CatalogSegmentEntity(
            segment: 4, entity: 9, rows: 10, minTime: 1000, maxTime: 1500, headOffset: 4096, headLength: 640,
            types: [TypeCount(type: 1, rows: 9), TypeCount(type: 7, rows: 1)])
        let bytes: [UInt8] = [0x0a, 0xd0, 0x0f, 0xf4, 0x03, 0x80, 0x20, 0x80, 0x05, 0x02, 0x02, 0x09, 0x0c]
        #expect(Self.encode(part) == bytes)
        #expect(try Self.decode(bytes) == part)
        for length in 0..<bytes.count {
            #expect(fault { () throws(Fault) in try Self.decode(Array(bytes.prefix(length))) }?.code == .damaged)
        }
        #expect(fault { () throws(Fault) in try Self.decode(bytes + [0]) }?.code == .damaged)
    }

    @Test func extremesComeBack() throws {
        let part = CatalogSegmentEntity(
            segment: 4, entity: 9, rows: Int.max, minTime: Int64.min, maxTime: Int64.max, headOffset: Int.max,
            headLength: 0, types: [TypeCount(type: .max, rows: Int.max - 1), TypeCount(type: 0, rows: 1)])
        #expect(try Self.decode(Self.encode(part)) == part)
        let none = CatalogSegmentEntity(
            segment: 4, entity: 9, rows: 0, minTime: 0, maxTime: 0, headOffset: 0, headLength: 0, types: [])
        #expect(try Self.decode(Self.encode(none)) == none)
        for list in [[], [0], [UInt32.max, 0, UInt32.max], Array(0..<1000)] as [[UInt32]] {
            #expect(try Self.numbers(PackedLists.encode(list)) == list)
        }
    }

    @Test func hostileBytesThrow() {
        // More numbers than bytes; a number below 0; one above 32 bits; types with more rows than there are.
        let lists: [[UInt8]] = [[0xff, 0xff, 0xff, 0x7f], [1, 1], [1, 0x80, 0x80, 0x80, 0x80, 0x20], []]
        for bytes in lists { #expect(fault { () throws(Fault) in try Self.numbers(bytes) }?.code == .damaged) }
        let tooMany: [UInt8] = [5, 0, 0, 0, 0, 2, 2, 6, 2]
        #expect(fault { () throws(Fault) in try Self.decode(tooMany) }?.code == .damaged)
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        for _ in 0..<3000 {
            let bytes = numbers.bytes(Int.random(in: 0...40, using: &numbers))
            _ = fault { () throws(Fault) in try Self.decode(bytes) }
            _ = fault { () throws(Fault) in try Self.numbers(bytes) }
            _ = fault { () throws(Fault) in try Self.days(bytes) }
        }
    }
}
