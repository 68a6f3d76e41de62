// Queries beside each other and beside everything that changes a store.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

struct QueryConcurrencyTests {
    /// Failures met on other threads.
    private final class Failures: Sendable {
        private let list = Mutex<[String]>([])
        func add(_ text: String) { list.withLock { $0.append(text) } }
        var all: [String] { list.withLock { $0 } }
    }

    private func inParallel(_ count: Int, _ failures: Failures, _ body: @escaping @Sendable (Int) throws -> Void) {
        DispatchQueue.concurrentPerform(iterations: count) { number in
            do { try body(number) } catch { failures.add("\(error)") }
        }
    }

    private static let questions = [
        "SELECT entity, count(*), sum(n), max(ms) FROM events GROUP BY entity ORDER BY entity",
        "SELECT path, count(DISTINCT n), quantile(ms, 0.9) FROM events WHERE ok GROUP BY path ORDER BY path",
        "SELECT n, path FROM events WHERE n % 7 = 3 ORDER BY n, timestamp LIMIT 50",
        "SELECT id FROM events WHERE path LIKE '%1%' ORDER BY id",
        "SELECT time_bucket('1 hour', timestamp), type, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT a.n, count(*) FROM events a JOIN (SELECT n FROM events WHERE n < 5) b ON a.n = b.n GROUP BY 1 ORDER BY 1",
    ]

    @Test func threadsAgree() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 1500)
        let expected = try QueryConcurrencyTests.questions.map { try store.ask($0) }
        try store.close()
        let opened = try folder.open()
        let failures = Failures()
        inParallel(12, failures) { number in
            for step in QueryConcurrencyTests.questions.indices {
                let question = (number + step) % QueryConcurrencyTests.questions.count
                let rows = try opened.ask(QueryConcurrencyTests.questions[question])
                if rows != expected[question] { failures.add("other rows: \(question)") }
            }
        }
        #expect(failures.all == [])
        try opened.close()
    }

    /// An answer is one moment's: batches go in whole, and what was there stays.
    @Test func besideAppendsFlushAndCompact() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let reader = try folder.open(Fixed.open(.readOnly))
        try store.append((0..<60).map { Known.event($0, day: -1) })
        let isDone = Atomic<Bool>(false)
        let failures = Failures()
        inParallel(4, failures) { number in
            if number == 0 {
                defer { isDone.store(true, ordering: .releasing) }
                for round in 1..<40 {
                    try store.append((round * 60..<round * 60 + 60).map { Known.event($0, day: -(round % 3)) })
                    if round % 5 == 0 { try store.flush() }
                    if round % 13 == 0 { try store.compact() }
                }
                return
            }
            let asked = number == 3 ? reader : store
            var least: Int64 = 60
            while !isDone.load(ordering: .acquiring) {
                let row = try asked.ask(
                    "SELECT count(*), count(DISTINCT id), sum(entity = 'site1'), max(n) FROM events")[0]
                guard case .integer(let count) = row[0], case .integer(let most) = row[3] else {
                    failures.add("\(row)")
                    return
                }
                if row[1] != row[0] || count % 60 != 0 || row[2] != .integer(count / 6) || most + 1 != count
                    || count < least
                {
                    failures.add("\(row) after \(least)")
                }
                least = count
                guard case .integer(let total) = try asked.one("SELECT count(*) FROM events") else { return }
                if total % 60 != 0 || total < least { failures.add("total \(total) after \(least)") }
                let listed = try asked.ask("SELECT n FROM events")
                if Set(listed).count != listed.count || listed.count % 60 != 0 {
                    failures.add("\(listed.count) rows listed")
                }
            }
        }
        #expect(failures.all == [])
        #expect(try store.one("SELECT count(*) FROM events WHERE n >= 0") == 2400)
        try reader.close()
        try store.close()
    }

    @Test func aReaderSeesTheJournal() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.one("SELECT count(*) FROM events") == 0)
        try store.append((0..<30).map { Known.event($0) })
        #expect(try reader.one("SELECT sum(n) FROM events WHERE path = '/p/3'") == 23)
        #expect(try reader.ask("SELECT entity, count(*) FROM events GROUP BY 1").count == 6)
        try store.flush()
        try store.append([Known.event(30)])
        #expect(try reader.one("SELECT sum(n) FROM events") == 465)
        #expect(try reader.one("SELECT count(*) FROM (SELECT id FROM events)") == 31)
        try reader.close()
        try store.close()
    }

    /// A cursor is of the moment it was made, whatever is written and merged before its next batch.
    @Test func anOpenCursorKeepsItsMoment() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 9000)
        let reader = try folder.open(Fixed.open(.readOnly))
        for asked in [store, reader] {
            for sql in ["SELECT n FROM events", "SELECT n, row_number() OVER () FROM events"] {
                let cursor = try asked.query(sql)
                var count = try cursor.nextBatch()?.count ?? 0
                let before = try asked.one("SELECT count(*) FROM events")
                try store.append([Known.event(20_000 + Int.random(in: 0..<1_000_000))])
                try store.compact()
                _ = try asked.one("SELECT count(*) FROM events WHERE n < 0")
                while let batch = try cursor.nextBatch() { count += batch.count }
                #expect(before == .integer(Int64(count)), "\(sql)")
            }
        }
        try reader.close()
        try store.close()
    }

    /// A reader's query is interrupted at each of its reads: the writer merges everything and removes the old files.
    @Test func segmentsMergedAwayMeanwhile() throws {
        let questions = [
            "SELECT n FROM events", "SELECT sum(n), count(*) FROM events WHERE path <> 'x'",
            "SELECT n, path FROM events ORDER BY n", "SELECT n, id FROM events ORDER BY n LIMIT 150",
            "SELECT n FROM events WHERE entity = 'site1'", "SELECT n FROM (SELECT n, path FROM events) ORDER BY n",
            "SELECT type, count(*) FROM events WHERE timestamp > \(Fixed.day - 2 * Fixed.dayMs) GROUP BY type ORDER BY 1",
        ]
        for question in questions {
            var point = 1
            var expected: [[QueryValue]]?
            while true {
                let folder = TestFolder()
                let files = HookedFiles()
                let writer = try Known.store(folder, perDay: 60)
                var environment = Environment(files: files)
                environment.nowMs = { Fixed.now }
                let reader = BlockingEventStore(
                    store: EventStore(
                        engine: try StoreEngine.open(
                            at: folder.store, key: Fixed.key, open: Fixed.open(.readOnly), environment: environment)))
                let wasInterrupted = Atomic<Bool>(false)
                if expected != nil {
                    files.hook = {
                        wasInterrupted.store(true, ordering: .relaxed)
                        _ = try? writer.compact()
                        _ = try? reader.nextSequence()
                    }
                    files.at = files.readCount + point
                }
                let rows = try reader.ask(question)
                let sorted = question.contains("ORDER") ? rows : rows.sorted { "\($0)" < "\($1)" }
                if let expected { #expect(sorted == expected, "\(question) interrupted at read \(point)") }
                let isOver = expected != nil && !wasInterrupted.load(ordering: .relaxed)
                expected = expected ?? sorted
                try reader.close()
                try writer.close()
                if isOver { break }
                point += TestRun.isLong ? 1 : 5
            }
        }
    }
}
