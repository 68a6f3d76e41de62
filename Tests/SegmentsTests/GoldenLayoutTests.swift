// The layout on docs/format/segment.md, held in place: constants, the bytes of a fixed segment's parts, and a
// whole file of version 1 that must open for ever. Changing what is printed here is a change of the format.

import EventStoreCore
import Testing

@testable import EventStoreSegments

@Suite struct GoldenLayoutTests {
    /// Two small entities and one with several packs.
    static func batch() -> RowBatch {
        let batch = RowBatch()
        batch.entityNumbers = [4, 7, 9]
        batch.typeNumbers = [1, 2]
        batch.attributeNumbers = [3, 5, 6, 8, 11]
        var builder = RowBatchBuilder(batch)
        var generator = SeededGenerator(seed: 2026)
        let start: Int64 = 1_756_684_800_000
        for row in 0..<206 {
            let entity: UInt32 = row < 3 ? 0 : row < 6 ? 1 : 2
            let type: UInt32 = row % 3 == 0 ? 1 : 0
            builder.add(ColumnKey(attribute: 0, kind: .string), UInt64(batch.strings.intern(["GET", "POST"][row % 2])))
            builder.add(ColumnKey(attribute: 1, kind: .integer), UInt64(200 + row % 4))
            if type == 1 { builder.add(ColumnKey(attribute: 2, kind: .double), (Double(row) / 4).bitPattern) }
            builder.add(ColumnKey(attribute: 3, kind: .bool), UInt64(row % 2))
            let text = "text of row \(generator.next() % 100_000)"
            builder.add(ColumnKey(attribute: 4, kind: .string), UInt64(batch.strings.intern(text)))
            builder.finishRow(
                entity: entity, type: type, timestamp: start + Int64(row) * 61_007 + Int64(generator.next() % 5000),
                id: EventID(
                    high: generator.next() & 0xffff_ffff_ffff_0fff | 0x4000,
                    low: generator.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000),
                sequence: 100 + UInt64(row), received: start + 90_000_000)
        }
        return batch
    }

    static func fixture() -> Fixture {
        var fixture = Fixture()
        fixture.options.sharedValueEntitiesMin = 3
        fixture.options.sequenceBase = 100
        return fixture
    }

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    @Test func constants() {
        typealias H = SegmentFormat.Header
        typealias F = SegmentFormat.Footer
        typealias A = SegmentFormat.AdditionalData
        let printed = """
            header: magic \(H.magic), version \(H.version), partitionHours \(H.partitionHours), segmentID \(H.segmentID), \
            incarnation \(H.incarnation), partitionStartHours \(H.partitionStartHours), createdSeconds \(H.createdSeconds), \
            checksum \(H.checksum), end \(H.byteCount)
            footer: stringsStart \(F.stringsStart), idsStart \(F.idsStart), vocabularyStart \(F.vocabularyStart), \
            directoryLength \(F.directoryLength), directoryPrefix \(F.directoryPrefix), checksum \(F.checksum), \
            magic \(F.magic), end \(F.byteCount)
            aad: version \(A.version), segmentID \(A.segmentID), keyID \(A.keyID), block \(A.block), pack \(A.pack), \
            codec \(A.codec), rows \(A.rows), rawLength \(A.rawLength), end \(A.byteCount)
            codecs: raw \(PackCodec.raw.rawValue), lz4 \(PackCodec.lz4.rawValue), lz4Preset \(PackCodec.lz4Preset.rawValue)
            kinds: string \(ValueKind.string.rawValue), integer \(ValueKind.integer.rawValue), \
            double \(ValueKind.double.rawValue), bool \(ValueKind.bool.rawValue), json \(ValueKind.json.rawValue)
            rules: packTarget \(Limits.packTargetBytes), hotInHead \(SegmentFormat.hotBytesInHeadMax), \
            blockRows \(Limits.blockRowsMax), bloomBits \(BloomFilter.bitsPerKey), bloomHashes \(BloomFilter.hashCount)
            """
        #expect(printed == GoldenLayout.constants)
    }

    @Test func layoutOfAFixedSegment() throws {
        #expect(try GoldenLayoutTests.printLayout() == GoldenLayout.segment)
    }

    @Test func fileOfVersion1StillOpens() throws {
        let fixture = GoldenLayoutTests.fixture()
        let digits = Array(GoldenLayout.file.utf8.filter { $0 != 10 })
        let bytes = stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) ?? 0
        }
        let reader = try SegmentReader(file: MemoryFile(bytes), path: "version 1", sequenceBase: 100)
        let directory = try reader.directory(fixture.sealer)
        let rows = try Fixture.rows(reader, directory.entities, fixture.sealer)
        #expect(rows == Fixture.expected([GoldenLayoutTests.batch()]))
        #expect(SegmentVerifier.verify(reader, sealer: fixture.sealer).findings.isEmpty)
    }

    // MARK: Printing

    static func printLayout() throws -> String {
        let fixture = fixture()
        let summary = try fixture.write([batch()])
        let bytes = try fixture.file(summary).content
        let reader = try fixture.reader(summary)
        var lines = ["header \(hex(bytes[0..<40]))"]
        let scanner = BlockScanner(sealer: fixture.sealer)
        for entry in summary.entities {
            try scanner.open(reader, entry)
            let state = scanner.blockState(0)
            let block = state.pointee
            let types = entry.types.map { "\($0.type)×\($0.rows)" }.joined(separator: " ")
            lines.append("entity \(entry.entity) rows \(entry.rows) types \(types)")
            lines.append("  flags \(block.flags.rawValue) shapes \(block.shapes.map { "\($0.type)×\($0.rows)" })")
            let fixed = [
                ("time", block.time.place), ("sequence", block.sequence.place), ("received", block.received.place),
                ("id", block.id.place),
            ]
            for (name, place) in fixed { lines.append("  \(name) \(describe(place))") }
            for slot in block.columns {
                lines.append(
                    "  column \(slot.key.attribute).\(slot.key.kind) × \(slot.count)\(slot.isFar ? " far" : "") "
                        + describe(slot.place))
            }
            for slot in block.packs { lines.append("  pack \(slot.number) raw \(slot.rawLength) \(slot.codec)") }
            if block.flags.contains(.single) { lines.append("  payload \(hex(try scanner.pack(0, state, 0)))") }
        }
        let directory = try reader.directory(fixture.sealer)
        for place in directory.vocabularyPlaces {
            let column = try #require(try reader.vocabularyColumn(place.attribute, fixture.sealer))
            let words = (0..<column.count).map { String(decoding: column.entries[$0].bytes, as: UTF8.self) }
            lines.append("vocabulary \(place.attribute) \(words)")
        }
        lines.append("names \(directory.typeNumbers) \(directory.attributeNumbers)")
        lines.append("sequences \(directory.minSequence) \(directory.maxSequence)")
        return lines.joined(separator: "\n")
    }

    private static func describe(_ place: PayloadPlace) -> String {
        place.length == 0 ? "nothing" : "pack \(place.pack) at \(place.start) + \(place.length)"
    }
}
