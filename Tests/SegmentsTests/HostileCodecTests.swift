// Decoders behind the seal still never trust a byte: mutated descriptors and payloads throw or give wrong
// values, and never trap. Payloads stand in allocations of their exact size.

import EventStoreCore
import Testing

@testable import EventStoreSegments

@Suite struct HostileCodecTests {
    /// Changes, cuts or lengthens an encoding at random.
    private func mutated(_ original: Encoded, _ generator: inout SeededGenerator) -> Encoded {
        var encoded = original
        for _ in 0...Int.random(in: 0...2, using: &generator) {
            let inDescriptor = Bool.random(using: &generator) || encoded.payload.isEmpty
            var bytes = inDescriptor ? encoded.descriptor : encoded.payload
            guard !bytes.isEmpty else { continue }
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch generator.next() % 5 {
            case 0: bytes[place] ^= 1 << UInt8(generator.next() % 8)
            case 1: bytes[place] = UInt8(truncatingIfNeeded: generator.next())
            case 2: bytes.removeSubrange(place...)
            case 3: bytes.insert(0xff, at: place)
            default: bytes[place] = [0x00, 0x7f, 0x80, 0xff][Int(generator.next() % 4)]
            }
            if inDescriptor { encoded.descriptor = bytes } else { encoded.payload = bytes }
        }
        return encoded
    }

    private func attack(_ encodings: [(Encoded, Int)], _ seed: UInt64, _ decode: (Encoded, Int) throws -> Void) {
        var generator = SeededGenerator(seed: seed)
        for (encoded, count) in encodings where count <= 1000 {
            for _ in 0..<60 {
                let bad = mutated(encoded, &generator)
                do { try decode(bad, count) } catch { #expect(error is Fault) }
            }
        }
    }

    @Test func integers() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let samples = Samples.integers(&generator)
        let encodings = samples.flatMap {
            [(Encode.integers($0), $0.count), (Encode.integers($0, grows: true), $0.count)]
        }
        print("seed \(seed)")
        attack(encodings, seed) { _ = try Decode.integers($0, $1) }
    }

    @Test func doubles() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        print("seed \(seed)")
        attack(Samples.doubles(&generator).map { (Encode.doubles($0), $0.count) }, seed) {
            _ = try Decode.doubles($0, $1)
        }
    }

    @Test func bools() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        let lists = (1...40).map { size in (0..<size).map { $0 % 7 == 0 || $0 > 20 } }
        attack(lists.map { (Encode.bools($0), $0.count) }, seed) { _ = try Decode.bools($0, $1) }
    }

    @Test func strings() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        print("seed \(seed)")
        let vocabulary = (0..<11).map { "v\($0)" }
        let numbers = Dictionary(uniqueKeysWithValues: vocabulary.enumerated().map { ($1, UInt32($0)) })
        let encodings = Samples.strings(&generator).flatMap {
            [(Encode.strings($0), $0.count), (Encode.strings($0, shared: numbers), $0.count)]
        }
        attack(encodings, seed) { _ = try Decode.strings($0, $1, vocabulary: vocabulary) }
    }

    @Test func ids() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        print("seed \(seed)")
        attack(Samples.ids(&generator).map { (Encode.ids($0), $0.count) }, seed) { _ = try Decode.ids($0, $1) }
    }

    /// Whole heads, directories, vocabularies: mutated behind a seal that lets everything pass.
    @Test func wholeSegmentsBehindTheSeal() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var form = RandomShape()
        form.rows = 150
        form.entities = 3
        form.bigEntityShare = 0.7
        var random = RandomRows(seed: 20)
        var fixture = Fixture()
        fixture.options.sharedValueEntitiesMin = 2
        let batch = random.batch(form)
        let refs = Fixture.sorted([batch])
        let open = OpenSealer()
        let summary = try SegmentWriter(sealer: open, environment: fixture.environment).write(
            refs.buffer, of: [batch], partitionStart: fixture.partitionStart, partitionMs: fixture.partitionMs,
            options: fixture.options, directory: "open")
        let original = try #require(fixture.files.file("open/\(summary.id.hex).seg")).content
        var found = 0
        for _ in 0..<1200 {
            var bytes = original
            for _ in 0...(generator.next() % 3) {
                let place = Int.random(in: 40..<bytes.count - 40, using: &generator)
                bytes[place] = generator.next() % 2 == 0 ? UInt8(truncatingIfNeeded: generator.next()) : 0xff
            }
            let reader = try SegmentReader(file: MemoryFile(bytes), path: "open", sequenceBase: 0)
            if !SegmentVerifier.verify(reader, sealer: open).findings.isEmpty { found += 1 }
        }
        #expect(found > 300)
    }
}

/// Seals nothing, so that damage reaches the decoders.
final class OpenSealer: BlockSealer {
    func entityKeyID(_ entity: UInt32) throws(Fault) -> UInt64 { 1 }
    func useVocabularyKey(_ bytes: UnsafeRawBufferPointer) throws(Fault) {}
    func seal(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        into.copyMemory(from: plain)
        for index in plain.count..<into.count { into[index] = 0 }
    }
    func open(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        into.copyMemory(from: UnsafeRawBufferPointer(rebasing: sealed[0..<into.count]))
    }
}
