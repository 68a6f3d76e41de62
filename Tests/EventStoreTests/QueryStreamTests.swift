// How answers come: in batches of bounded size, no more read than asked for, synchronously and not.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

struct QueryStreamTests {
    @Test func rowsComeInBatches() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 5000)
        let cursor = try store.query("SELECT n, path FROM events")
        var sizes: [Int] = []
        var sum: Int64 = 0
        while let batch = try cursor.nextBatch() {
            sizes.append(batch.count)
            for row in 0..<batch.count { if case .integer(let n) = batch[row, 0] { sum += n } }
        }
        #expect(sizes.reduce(0, +) == 17_500 && sizes.count > 3 && sizes.allSatisfy { (1...4096).contains($0) })
        #expect(sum == 3 * 12_497_500 + 3_123_750)
        #expect(try cursor.nextBatch() == nil)
        try store.close()
    }

    @Test func aLimitStopsTheScan() throws {
        let folder = TestFolder()
        try Known.store(folder, perDay: 2000).close()
        let store = try folder.open()
        let cursor = try store.query("SELECT * FROM events LIMIT 5")
        #expect(try cursor.rows().count == 5)
        #expect(cursor.statistics.blocksRead <= 4, "\(cursor.statistics.blocksRead) blocks read")
        #expect(cursor.statistics.rowsScanned <= 4000)
        let filtered = try store.query("SELECT n FROM events WHERE ok AND n > 10 LIMIT 3 OFFSET 2")
        #expect(try filtered.rows().count == 3)
        #expect(filtered.statistics.rowsScanned <= 4000)
        #expect(try store.ask("SELECT n FROM events LIMIT 0").isEmpty)
        #expect(try store.ask("SELECT n FROM events LIMIT 10 OFFSET 7000").isEmpty)
        #expect(try store.ask("SELECT n FROM events LIMIT -1").count == 7000)
        #expect(try store.ask("SELECT n FROM events LIMIT 5000 OFFSET 6990").count == 10)
        try store.close()
    }

    @Test func newestFirstReadsTheNewestSegment() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 1200)
        try store.flush()
        try store.close()
        let opened = try folder.open()
        let cursor = try opened.query("SELECT timestamp, n FROM events ORDER BY timestamp DESC LIMIT 3")
        let rows = try cursor.rows()
        #expect(rows == (0..<3).map { [.integer(Fixed.day + 599_000 - $0 * 1000), .integer(599 - $0)] })
        #expect(cursor.statistics.rowsScanned == 600, "scanned \(cursor.statistics.rowsScanned)")
        let oldest = try opened.query("SELECT n FROM events WHERE ok ORDER BY timestamp, sequence LIMIT 2")
        #expect(try oldest.rows() == [[0], [2]])
        #expect(oldest.statistics.rowsScanned == 1200)
        try opened.close()
    }

    @Test func valuesOfFewRowsAreReadLate() throws {
        let folder = TestFolder()
        let store = try folder.create()
        // Long texts stand in packs of their own.
        try store.append(
            (0..<9000).map { number in
                var event = Known.event(number, day: -1)
                event.attributes["long"] = .string((0..<20).map { "\(number &* 7919 &+ $0)" }.joined(separator: "-"))
                return event
            })
        try store.flush()
        try store.close()
        func bytes(_ sql: String) throws -> Int {
            let store = try folder.open()
            defer { try? store.close() }
            return try store.statistics(sql).bytesRead
        }
        let few = try bytes("SELECT long FROM events ORDER BY n DESC LIMIT 1")
        let all = try bytes("SELECT long FROM events ORDER BY n DESC")
        #expect(few * 3 < all, "\(few) bytes of \(all)")
    }

    @Test func twoCursorsAtOnce() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 3000)
        let first = try store.query("SELECT n FROM events")
        let second = try store.query("SELECT n FROM events WHERE ok")
        var counts = [0, 0]
        var isOpen = true
        while isOpen {
            isOpen = false
            for (index, cursor) in [first, second].enumerated() {
                if let batch = try cursor.nextBatch() {
                    counts[index] += batch.count
                    isOpen = true
                }
            }
        }
        #expect(counts == [10_500, 5250])
        try store.close()
    }

    @Test func aClosedCursorEndsAndAClosedStoreThrows() throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 3000)
        let cursor = try store.query("SELECT n FROM events")
        _ = try cursor.nextBatch()
        cursor.close()
        #expect(try cursor.nextBatch() == nil)
        let native = try store.query("SELECT n FROM events")
        let general = try store.query("SELECT n, row_number() OVER () FROM events")
        _ = try native.nextBatch()
        _ = try general.nextBatch()
        try store.close()
        for _ in 0..<2 {
            #expect(code { try native.nextBatch() } == "invalid")
            #expect(code { try general.nextBatch() } == "invalid")
        }
        #expect(code { try store.query("SELECT n FROM events") } == "invalid")
    }

    // MARK: Asynchronous

    @Test func batchesAndRowsInTasks() async throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 3000).store
        var count = 0
        for try await batch in store.query("SELECT n FROM events WHERE ok = :ok", parameters: ["ok": 1]) {
            count += batch.count
        }
        #expect(count == 5250)
        let (columns, rows) = try await store.query(
            "SELECT entity, count(*) AS n FROM events GROUP BY entity ORDER BY 1"
        )
        .rows()
        #expect(columns.map(\.name) == ["entity", "n"])
        #expect(rows == (0..<6).map { [.text("site\($0)"), 1750] })
        let none = try await store.query("SELECT entity AS e FROM events WHERE n < 0").rows()
        #expect(none.columns.map(\.name) == ["e"] && none.rows.isEmpty)
        await #expect(throws: EventStoreError.self) { for try await _ in store.query("SELECT nothing") {} }
        try await store.close()
    }

    @Test func theBuilderAsksTheStore() async throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 600)
        let query = EventQuery.select(.type, .count().as("n"), .max(.attribute("ms")))
            .where(.attribute("n") >= 300 && .entity == "site2")
            .since(Fixed.day - Fixed.dayMs)
            .groupBy(.type).orderBy(.type).limit(10)
        let sql =
            "SELECT type, count(*), max(ms) FROM events WHERE n >= 300 AND entity = 'site2' "
            + "AND timestamp >= \(Fixed.day - Fixed.dayMs) GROUP BY type ORDER BY type"
        let built = try store.query(query).rows()
        #expect(built == (try store.ask(sql)) && !built.isEmpty)
        #expect(try await store.store.query(query).rows().rows == built)
        #expect(code { try store.query(EventQuery.select(.attribute("nowhere"))) } == "invalid")
        try store.close()
    }

    @Test func aCancelledTaskEndsItsQuery() async throws {
        let folder = TestFolder()
        let store = try Known.store(folder, perDay: 3000).store
        let task = Task {
            var batches = 0
            for try await _ in store.query("SELECT * FROM events") {
                batches += 1
                withUnsafeCurrentTask { $0?.cancel() }
            }
            return batches
        }
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        let rows = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await store.query("SELECT * FROM events").rows().rows.count
        }
        await #expect(throws: CancellationError.self) { _ = try await rows.value }
        try await store.close()
    }
}
