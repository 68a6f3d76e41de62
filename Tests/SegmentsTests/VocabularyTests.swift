// The shared vocabulary: who gets in, who never does, and that nothing of an entity leaks into it.

import EventStoreCore
import Testing

@testable import EventStoreSegments

@Suite struct VocabularyTests {
    /// `uses[i]` are the values entity i has in one attribute.
    private func batch(_ uses: [[String]], kind: ValueKind = .string) -> RowBatch {
        let batch = RowBatch()
        batch.entityNumbers = uses.indices.map { UInt32($0) }
        batch.typeNumbers = [3]
        batch.attributeNumbers = [8]
        var builder = RowBatchBuilder(batch)
        var row: UInt64 = 0
        for (entity, values) in uses.enumerated() {
            for value in values {
                builder.add(ColumnKey(attribute: 0, kind: kind), UInt64(batch.strings.intern(value)))
                builder.finishRow(
                    entity: UInt32(entity), type: 0, timestamp: 1_756_684_800_000 + Int64(row),
                    id: EventID(high: row, low: row), sequence: row)
                row += 1
            }
        }
        return batch
    }

    private func shared(_ batch: RowBatch, _ fixture: Fixture) throws -> [String] {
        let summary = try fixture.write([batch])
        let reader = try fixture.reader(summary)
        let rows = try Fixture.rows(reader, summary.entities, fixture.sealer)
        #expect(rows == Fixture.expected([batch]))
        let column = try reader.vocabularyColumn(8, fixture.sealer)
        return column.map { column in
            (0..<column.count).map { String(decoding: column.entries[$0].bytes, as: UTF8.self) }.sorted()
        } ?? []
    }

    @Test(arguments: [0, 1, 2, 3, 4, 5])
    func valuesOfAtLeastKEntities(_ least: Int) throws {
        var fixture = Fixture()
        fixture.options.sharedValueEntitiesMin = least
        let batch = batch([
            ["all", "three", "one"], ["all", "three", "two"], ["all", "three", "two"], ["all", "all"],
        ])
        let expected = [[], ["all", "one", "three", "two"], ["all", "three", "two"], ["all", "three"], ["all"], []]
        #expect(try shared(batch, fixture) == expected[least])
    }

    @Test func personalAttributesAreNeverShared() throws {
        var fixture = Fixture()
        fixture.options.isPersonal = { $0 == 8 }
        #expect(try shared(batch(Array(repeating: ["common"], count: 6)), fixture).isEmpty)
        fixture.options = SegmentOptions()
        fixture.randomSeed = 2
        #expect(try shared(batch(Array(repeating: ["common"], count: 6)), fixture).isEmpty, "by default all are")
    }

    @Test func jsonIsNotShared() throws {
        #expect(try shared(batch(Array(repeating: ["[1]"], count: 6), kind: .json), Fixture()).isEmpty)
    }

    @Test func personalValuesAreNeverShared() throws {
        let personal = [
            "203.0.113.9", "from 203.0.113.9 port 22", "[10.0.0.1]", "http://10.1.2.3/x", "2001:db8::1", "::1",
            "fe80::1%eth0",
            "jane@example.org", "6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4", "6DCD1958F3F6429291D69AE38AE3EEB4",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709", "token=da39a3ee5e6b4b0d", "+491701234567", "user 123456789",
        ]
        let plain = [
            "GET", "/wp-login.php", "/2016/07/shirt-library-editor/", "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Safari/537.36",
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:118.0) Gecko/20100101 Firefox/118.0", "std::vector",
            "wp_version_check",
            "facade-added-feed-decade", "HTTP/1.1", "10.2.1",
        ]
        #expect(try shared(batch(Array(repeating: personal + plain, count: 4)), Fixture()) == plain.sorted())
    }

    @Test func valuesStayReadableWhenAnotherEntityIsErased() throws {
        let fixture = Fixture()
        let batch = batch(Array(repeating: ["common", "words"], count: 5))
        let summary = try fixture.write([batch])
        fixture.sealer.erased = [0, 1]
        let rows = try Fixture.rows(
            try fixture.reader(summary), Array(summary.entities.dropFirst(2)), fixture.sealer)
        #expect(rows.count == 6)
    }

    @Test func sharedCodesMeanTheSameInEveryBlock() throws {
        let fixture = Fixture()
        let words = (0..<40).map { "word \($0)" }
        var generator = SeededGenerator(seed: 1)
        let summary = try fixture.write([
            batch((0..<30).map { _ in (0..<60).map { _ in words.randomElement(using: &generator)! } })
        ])
        let reader = try fixture.reader(summary)
        let scanner = BlockScanner(sealer: fixture.sealer)
        var meaning: [UInt32: String] = [:]
        for entry in summary.entities {
            try scanner.open(reader, entry)
            let column = try #require(try scanner.column(0, ColumnKey(attribute: 8, kind: .string)))
            guard case .strings(let strings) = column.values else { continue }
            for code in 0..<strings.sharedCount {
                let text = String(decoding: strings.entries[code].bytes, as: UTF8.self)
                let number = try #require(strings.sharedNumbers)[code]
                #expect(meaning[number, default: text] == text)
                meaning[number] = text
            }
        }
        #expect(meaning.count == 40)
    }
}
