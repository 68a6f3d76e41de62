// Damage under a query: an error that names the file, never a part of the answer as if it were the whole.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

struct QueryDamageTests {
    private static let questions = [
        "SELECT * FROM events", "SELECT n, path FROM events ORDER BY n",
        "SELECT n, ms FROM events ORDER BY n LIMIT 5000",
        "SELECT path, count(*), sum(ms) FROM events GROUP BY path", "SELECT id, n FROM events WHERE n >= 0",
        "SELECT count(*), sum(n), max(attributes) FROM (SELECT n, attributes FROM events)",
    ]

    private func answers(_ store: BlockingEventStore) throws -> [Set<[QueryValue]>] {
        try QueryDamageTests.questions.map { Set(try store.ask($0)) }
    }

    @Test func aFlippedByteIsAnErrorOrDoesNotMatter() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 300)
        try store.flush()
        let expected = try answers(store)
        try store.close()
        let segments = TestFolder.files(below: folder.store).filter { $0.hasSuffix(".seg") }
        let seed = TestRun.seeds("flipped byte")[0]
        var generator = SeededGenerator(seed: seed)
        var failures = 0
        for _ in 0..<(TestRun.isLong ? 400 : 40) {
            let path = folder.store + "/" + generator.pick(segments)
            let whole = try TestFolder.bytes(path)
            var bytes = whole
            bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let store = try folder.open(Fixed.open(.readOnly))
            for (question, answer) in zip(QueryDamageTests.questions, expected) {
                do throws(EventStoreError) {
                    let cursor = try store.query(question)
                    let rows = try cursor.rows()
                    #expect(Set(rows) == answer, "\(question), seed \(seed)")
                } catch {
                    failures += 1
                    #expect(["damaged", "tampered"].contains(error.code.rawValue), "\(error), seed \(seed)")
                    #expect("\(error)".contains(".seg"), "\(error)")
                }
            }
            try store.close()
            try Data(whole).write(to: URL(fileURLWithPath: path))
        }
        #expect(failures > 20, "most bytes matter: \(failures)")
    }

    @Test func anErrorStays() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 5000)
        try store.flush()
        try store.close()
        let segments = TestFolder.files(below: folder.store).filter { $0.hasSuffix(".seg") }
        try FileManager.default.removeItem(atPath: folder.store + "/" + segments[segments.count - 1])
        let opened = try folder.open()
        for question in QueryDamageTests.questions + [
            "SELECT n FROM events", "SELECT path, count(*) FROM events GROUP BY 1",
        ] {
            let cursor: QueryCursor
            do {
                cursor = try opened.query(question)
            } catch {
                #expect("\(error)".contains(".seg"))
                continue
            }
            #expect(code { while try cursor.nextBatch() != nil {} } == "damaged", "\(question)")
            #expect(code { try cursor.nextBatch() } == "damaged", "an end would look like all the rows: \(question)")
        }
        // What does not need the file is answered.
        #expect(try opened.one("SELECT count(*) FROM events WHERE timestamp < \(Fixed.day) AND n >= 0") == 15_000)
        try opened.close()
    }
}
