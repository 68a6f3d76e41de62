// Journal blobs: what goes in comes out, and bytes that are no blob throw, whatever they are.

import EventStoreCore
import EventStoreSegments
import Foundation
import Testing

@testable import EventStore

@Suite struct JournalCodecTests {
    /// A store's names and keys, and rows admitted to it.
    struct Fixture {
        let folder = TestFolder()
        let store: BlockingEventStore
        var names: NameTable { store.engine.context.names }

        init() throws { store = try folder.create() }

        func rows(_ events: [Event], from first: UInt64) throws -> RowBatch {
            let batch = EventRows(events, nowMs: Fixed.now, idPrefix: EventID(high: 1, low: 2)).batch
            _ = try names.admit(batch, allowNewEntities: true, plan: nil)
            for row in 0..<batch.rowCount { batch.sequence.base[row] = first + UInt64(row) }
            return batch
        }

        func encode(_ batch: RowBatch, _ binding: JournalBinding) throws -> [UInt8] {
            try JournalEncoder(StoreSealer(names)).encode(batch, binding)
        }

        func decode(_ blob: [UInt8], _ binding: JournalBinding) throws -> [Event] {
            let batch = try JournalDecoder(StoreSealer(names)).decode(blob, binding, received: 5)
            let resolver = NameResolver(names)
            return (0..<batch.rowCount).map { resolver.event(batch, row: $0) }.sorted { $0.sequence < $1.sequence }
        }

        func binding(_ first: UInt64) -> JournalBinding { store.engine.context.binding(firstSequence: first) }
    }

    private func events(_ maker: inout EventMaker, _ count: Int) -> [Event] {
        (0..<count).map { _ in maker.event(withID: true) }
    }

    @Test func randomBatchesComeBack() throws {
        for seed in TestRun.seeds("JournalCodec.randomBatchesComeBack", TestRun.isLong ? 50 : 4) {
            let fixture = try Fixture()
            var maker = EventMaker(generator: SeededGenerator(seed: seed))
            var first: UInt64 = 1
            for size in [1, 2, 17, 300] {
                let events = events(&maker, size)
                let batch = try fixture.rows(events, from: first)
                let blob = try fixture.encode(batch, fixture.binding(first))
                let found = try fixture.decode(blob, fixture.binding(first))
                #expect(found.map(\.plain) == events)
                #expect(found.map(\.sequence) == (0..<UInt64(size)).map { first + $0 })
                #expect(found.allSatisfy { $0.received == 5 })
                first += UInt64(size)
            }
            try fixture.store.close()
        }
    }

    @Test func hostileBytesThrow() throws {
        for seed in TestRun.seeds("JournalCodec.hostileBytesThrow") {
            let fixture = try Fixture()
            var maker = EventMaker(generator: SeededGenerator(seed: seed))
            let blob = try fixture.encode(try fixture.rows(events(&maker, 12), from: 9), fixture.binding(9))
            for length in 0..<blob.count {
                #expect(throws: Fault.self) { try fixture.decode(Array(blob[..<length]), fixture.binding(9)) }
            }
            #expect(throws: Fault.self) { try fixture.decode(blob + [0], fixture.binding(9)) }
            // Every single bit is noticed.
            for index in 0..<blob.count {
                var changed = blob
                changed[index] ^= 1 << UInt8(maker.generator.next() & 7)
                #expect(throws: Fault.self, "byte \(index) from \(blob[index]) to \(changed[index])") {
                    try fixture.decode(changed, fixture.binding(9)).count
                }
            }
            for _ in 0..<(TestRun.isLong ? 200_000 : 3000) {
                var changed = blob
                for _ in 0..<Int.random(in: 1...6, using: &maker.generator) {
                    let index = Int.random(in: 0..<changed.count, using: &maker.generator)
                    changed[index] = UInt8(truncatingIfNeeded: maker.generator.next())
                }
                if maker.generator.chance(1, of: 4) {
                    changed.removeLast(Int.random(in: 0..<changed.count, using: &maker.generator))
                }
                if changed == blob { continue }
                #expect(throws: Fault.self) { try fixture.decode(changed, fixture.binding(9)) }
            }
            try fixture.store.close()
        }
    }

    /// The decoder behind the seal: sections with the right key whose plaintext is rubbish.
    @Test func hostilePlaintextBehindTheSealThrows() throws {
        for seed in TestRun.seeds("JournalCodec.hostilePlaintext") {
            let fixture = try Fixture()
            var maker = EventMaker(generator: SeededGenerator(seed: seed))
            _ = try fixture.rows(events(&maker, 5), from: 1)
            let sealer = StoreSealer(fixture.names)
            let good = try fixture.plainSection(maker: &maker)
            for round in 0..<(TestRun.isLong ? 100_000 : 4000) {
                var plain = good.bytes
                if round % 3 == 0 {
                    plain = (0..<Int.random(in: 0..<60, using: &maker.generator)).map { _ in
                        UInt8(truncatingIfNeeded: maker.generator.next())
                    }
                } else {
                    for _ in 0..<Int.random(in: 1...3, using: &maker.generator) {
                        let index = Int.random(in: 0..<plain.count, using: &maker.generator)
                        plain[index] =
                            maker.generator.chance(1, of: 2) ? 0xff : UInt8(truncatingIfNeeded: maker.generator.next())
                    }
                }
                let rows = maker.generator.chance(1, of: 5) ? 1 << 20 : good.rows
                let blob = try fixture.seal(plain, rows: rows, sealer)
                // Either it decodes to some rows or it throws a fault; it never traps.
                do {
                    let batch = try JournalDecoder(sealer).decode(blob, fixture.binding(1), received: 5)
                    #expect(batch.rowCount == rows)
                } catch {
                    #expect(error.code == .damaged, "\(error)")
                }
            }
            try fixture.store.close()
        }
    }

    @Test func sectionsCannotBeMoved() throws {
        let fixture = try Fixture()
        var maker = EventMaker(generator: SeededGenerator(seed: 3))
        let blob = try fixture.encode(try fixture.rows(events(&maker, 20), from: 9), fixture.binding(9))
        #expect(try fixture.decode(blob, fixture.binding(9)).count == 20)
        // Another place in the sequence.
        #expect(throws: Fault.self) { try fixture.decode(blob, fixture.binding(10)) }
        // Another store's id.
        var foreign = fixture.binding(9)
        foreign.storeID[0] ^= 1
        #expect(throws: Fault.self) { try fixture.decode(blob, foreign) }
        // Another store with other keys.
        let other = try Fixture()
        _ = try other.rows(events(&maker, 30), from: 1)
        #expect(throws: Fault.self) { try other.decode(blob, other.binding(9)) }
        // Another entity's number in the section's head: the first byte after version and count.
        var changed = blob
        changed[2] = changed[2] == 0 ? 1 : changed[2] - 1
        #expect(throws: Fault.self) { try fixture.decode(changed, fixture.binding(9)) }
        try fixture.store.close()
        try other.store.close()
    }
}

extension JournalCodecTests.Fixture {
    /// The plaintext of a section as the encoder makes it, for mutations.
    func plainSection(maker: inout EventMaker) throws -> (bytes: [UInt8], rows: Int) {
        maker.entities = 1
        let batch = try rows((0..<6).map { _ in maker.event(withID: true) }, from: 1)
        let blob = try encode(batch, binding(1))
        let sealer = StoreSealer(names)
        return try blob.withBytes { (bytes) throws(Fault) in
            var reader = ByteReader(bytes)
            _ = try reader.raw(2)
            let entity = UInt32(try reader.varint())
            let keyID = try reader.u64()
            let rows = Int(try reader.varint())
            let codec = try reader.u8()
            let rawLength = Int(try reader.varint())
            let storedLength = Int(try reader.varint())
            let box = try reader.raw(storedLength + JournalFormat.boxOverheadBytes)
            guard let known = PackCodec(rawValue: codec) else { throw Fault(.damaged, "codec") }
            let aad = binding(1).additionalData(
                section: 0, entity: entity, keyID: keyID, rows: rows, codec: known, rawLength: rawLength)
            var stored = [UInt8](repeating: 0, count: storedLength)
            try stored.withMutableBytes { (stored) throws(Fault) in
                try aad.withBytes { (aad) throws(Fault) in
                    try sealer.openSection(entity: entity, keyID: keyID, aad: aad, box: box, into: stored)
                }
            }
            var plain = [UInt8](repeating: 0, count: rawLength)
            try plain.withMutableBytes { (plain) throws(Fault) in
                try stored.withBytes { (stored) throws(Fault) in
                    try PackCompressor.decompress(stored, codec: known, into: plain)
                }
            }
            return (plain, rows)
        }
    }

    /// A blob of one section of entity 0 with this plaintext.
    func seal(_ plain: [UInt8], rows: Int, _ sealer: StoreSealer) throws -> [UInt8] {
        let keyID = try sealer.entityKeyID(0)
        let aad = binding(1).additionalData(
            section: 0, entity: 0, keyID: keyID, rows: rows, codec: .raw, rawLength: plain.count)
        var blob = ByteWriter()
        blob.u8(JournalFormat.version)
        blob.varint(1)
        blob.varint(0)
        blob.integer(keyID)
        blob.varint(rows)
        blob.u8(PackCodec.raw.rawValue)
        blob.varint(plain.count)
        blob.varint(plain.count)
        try blob.extend(plain.count + JournalFormat.boxOverheadBytes) { (target) throws(Fault) in
            try aad.withBytes { (aad) throws(Fault) in
                try plain.withBytes { (plain) throws(Fault) in
                    try sealer.sealSection(entity: 0, aad: aad, plain: plain, into: target)
                }
            }
        }
        return blob.bytes
    }
}
