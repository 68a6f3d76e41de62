// Damage of every kind is found: each single bit, each truncation, packs that changed places; and what is not
// damaged stays readable.

import EventStoreCore
import Testing

@testable import EventStoreSegments

@Suite struct VerifierTests {
    /// A small segment with all parts: several packs, strings and ids regions, vocabulary.
    private func small(_ seed: UInt64) throws -> (Fixture, SegmentSummary) {
        var random = RandomRows(seed: seed)
        var form = RandomShape()
        form.rows = 70
        form.entities = 3
        form.bigEntityShare = 0.8
        var fixture = Fixture()
        fixture.options.sharedValueEntitiesMin = 2
        return (fixture, try fixture.write([random.batch(form)]))
    }

    /// Whether anything is wrong with these bytes.
    private func isFound(_ bytes: [UInt8], _ sealer: ToySealer) -> Bool {
        guard let reader = try? SegmentReader(file: MemoryFile(bytes), path: "copy", sequenceBase: 0) else {
            return true
        }
        return !SegmentVerifier.verify(reader, sealer: sealer).findings.isEmpty
    }

    @Test func soundSegmentHasNoFindings() throws {
        for seed: UInt64 in 1...6 {
            let (fixture, summary) = try small(seed)
            let result = SegmentVerifier.verify(try fixture.reader(summary), sealer: fixture.sealer)
            #expect(result.findings.isEmpty, "seed \(seed): \(result.findings)")
            #expect(result.rows == summary.rows && result.bytes == summary.fileBytes)
            #expect(result.blocks == summary.entities.count)
        }
    }

    @Test func everyFlippedBitIsFound() throws {
        let (fixture, summary) = try small(7)
        var bytes = try fixture.file(summary).content
        var missed: [Int] = []
        for bit in 0..<bytes.count * 8 {
            bytes[bit >> 3] ^= 1 << UInt8(bit & 7)
            // Where damage is hidden behind a tag it does not matter which bit it is: one a byte will do.
            let isPlain = bit < 40 * 8 || bit >= (bytes.count - 40) * 8
            if isPlain || bit & 7 == (bit >> 3) & 7, !isFound(bytes, fixture.sealer) { missed.append(bit) }
            bytes[bit >> 3] ^= 1 << UInt8(bit & 7)
        }
        #expect(missed.isEmpty, "of \(bytes.count * 8) bits")
    }

    @Test func everyTruncationIsFound() throws {
        let (fixture, summary) = try small(8)
        let bytes = try fixture.file(summary).content
        for length in 0..<bytes.count { #expect(isFound(Array(bytes[0..<length]), fixture.sealer)) }
        #expect(isFound(bytes + [0], fixture.sealer))
    }

    @Test func swappedPacksAreFound() throws {
        // Two entities with the same rows have packs of the same lengths.
        let batch = RowBatch()
        batch.entityNumbers = [4, 5]
        batch.typeNumbers = [1]
        batch.attributeNumbers = [9]
        var builder = RowBatchBuilder(batch)
        for entity: UInt32 in [0, 1] {
            for row in 0..<5 {
                builder.add(ColumnKey(attribute: 0, kind: .integer), UInt64(row * row))
                builder.finishRow(
                    entity: entity, type: 0, timestamp: 1_756_684_800_000 + Int64(row),
                    id: EventID(high: 0x1234_5678_9abc_4def, low: UInt64(row) &* 0x9e37_79b9_7f4a_7c15),
                    sequence: UInt64(row))
            }
        }
        let fixture = Fixture()
        let summary = try fixture.write([batch])
        let (a, b) = (summary.entities[0], summary.entities[1])
        try #require(a.headLength == b.headLength)
        var bytes = try fixture.file(summary).content
        #expect(!isFound(bytes, fixture.sealer))
        for index in 0..<a.headLength { bytes.swapAt(a.headOffset + index, b.headOffset + index) }
        #expect(isFound(bytes, fixture.sealer))
        let reader = try SegmentReader(file: MemoryFile(bytes), path: "swapped", sequenceBase: 0)
        let scanner = BlockScanner(sealer: fixture.sealer)
        let fault = #expect(throws: Fault.self) { try scanner.open(reader, a) }
        #expect(fault?.code == .tampered && fault?.place.entity == 4 && fault?.place.file == "swapped")
    }

    @Test func packsOfAnotherSegmentAreFound() throws {
        let (fixture, summary) = try small(9)
        var other = fixture
        other.randomSeed = 43
        var random = RandomRows(seed: 9)
        var form = RandomShape()
        form.rows = 70
        form.entities = 3
        form.bigEntityShare = 0.8
        let second = try other.write([random.batch(form)])
        try #require(second.fileBytes == summary.fileBytes && second.id != summary.id)
        var bytes = try fixture.file(summary).content
        let foreign = try other.file(second).content
        let entry = summary.entities[1]
        for index in entry.headOffset..<entry.headOffset + entry.headLength { bytes[index] = foreign[index] }
        #expect(isFound(bytes, fixture.sealer))
    }

    /// Rebuilds a file with `extra` bytes before the vocabulary; directory and footer know of the shift.
    private func padded(_ fixture: Fixture, _ summary: SegmentSummary, _ extra: Int) throws -> [UInt8] {
        let bytes = try fixture.file(summary).content
        let reader = try fixture.reader(summary)
        let directory = try reader.directory(fixture.sealer)
        var regions = reader.regions
        regions.vocabulary += extra
        regions.directory += extra
        var plain = ByteSink()
        DirectoryCodec.write(
            summary, vocabularyKey: directory.vocabularyKey, places: directory.vocabularyPlaces, regions: regions,
            into: &plain)
        var sealed = ByteSink()
        let sealer = fixture.sealer
        try bytes[0..<40].withUnsafeBytes { header throws in
            _ = try PackSealing.seal(
                plain.bytes, .directory(summary.id), codec: .raw, rawLength: plain.count, header: header,
                sealer: sealer, into: &sealed)
        }
        let footer = SegmentFooter(
            regions: regions, directoryLength: sealed.count, directoryRawLength: plain.count, directoryCodec: .raw)
        let start = reader.regions.vocabulary
        return bytes[0..<start] + [UInt8](repeating: 7, count: extra) + bytes[start..<reader.regions.directory]
            + Array(sealed.bytes) + footer.encoded()
    }

    @Test func bytesThatBelongToNothingAreFound() throws {
        let (fixture, summary) = try small(13)
        #expect(!isFound(try padded(fixture, summary, 0), fixture.sealer))
        #expect(isFound(try padded(fixture, summary, 1), fixture.sealer))
        #expect(isFound(try padded(fixture, summary, 40), fixture.sealer))
    }

    @Test func damageCostsOneEntity() throws {
        let (fixture, summary) = try small(10)
        var bytes = try fixture.file(summary).content
        let entry = summary.entities[1]
        bytes[entry.headOffset + 30] ^= 0x40
        let reader = try SegmentReader(file: MemoryFile(bytes), path: "hurt", sequenceBase: 0)
        let result = SegmentVerifier.verify(reader, sealer: fixture.sealer)
        #expect(result.findings.count == 1)
        let finding = try #require(result.findings.first)
        #expect(finding.entity == entry.entity && finding.rows == entry.rows && finding.fault.code == .tampered)
        #expect(finding.minTime == entry.minTime && finding.maxTime == entry.maxTime)
        #expect(result.rows == summary.rows - entry.rows)
    }

    @Test func erasedEntityLeavesOthersReadable() throws {
        let (fixture, summary) = try small(11)
        let gone = summary.entities[0].entity
        let whole = try Fixture.rows(try fixture.reader(summary), summary.entities, fixture.sealer)
        fixture.sealer.erased = [gone]
        let reader = try fixture.reader(summary)
        let rest = try Fixture.rows(reader, summary.entities.filter { $0.entity != gone }, fixture.sealer)
        #expect(rest == whole.filter { $0.entity != gone })
        let result = SegmentVerifier.verify(reader, sealer: fixture.sealer)
        #expect(result.findings.map(\.fault.code) == [.keyErased])
        #expect(SegmentVerifier.verify(reader, sealer: fixture.sealer, gone: [gone]).findings.isEmpty)
    }

    @Test func catalogEntryThatLiesIsRefused() throws {
        let (fixture, summary) = try small(12)
        let reader = try fixture.reader(summary)
        let scanner = BlockScanner(sealer: fixture.sealer)
        for change in 0..<5 {
            var entry = summary.entities[1]
            switch change {
            case 0: entry.headOffset += 1
            case 1: entry.headLength -= 1
            case 2: entry.rows += 1
            case 3: entry.headOffset = summary.fileBytes
            default: entry.entity += 1
            }
            #expect(throws: Fault.self, "change \(change)") { try scanner.open(reader, entry) }
        }
        try scanner.open(reader, summary.entities[1])
        #expect(scanner.block(0).rows > 0)
    }
}
