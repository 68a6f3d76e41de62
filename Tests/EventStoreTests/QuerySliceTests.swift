// An entity with more rows in a segment than one unit of work takes is read in slices: none lost, none twice.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

struct QuerySliceTests {
    @Test func aLargeEntityIsReadInSlices() throws {
        let folder = TestFolder()
        let count = 140_000
        #expect(count > 2 * QuerySnapshot.unitRows)
        var lines = ""
        for number in 0..<count {
            let time = Fixed.day - Fixed.dayMs + Int64(number) * 500
            let entity = number % 1000 == 7 ? "small" : "large"
            lines +=
                #"{"entity":"\#(entity)","type":"t\#(number % 2)","timestamp":\#(time),"attributes":{"n":\#(number)"#
            lines += number % 5 == 0 ? "}}\n" : #","s":"v\#(number % 300)"}}"# + "\n"
        }
        let file = try folder.write("events.ndjson", lines)
        var options = Fixed.open()
        options.memoryBudget = 256 << 20
        let store = try folder.create(open: options)
        _ = try store.importEvents(ImportRequest(sources: [file]))
        #expect(try store.ask("SELECT rows, entities FROM segments") == [[.integer(Int64(count)), 2]])
        let large = Int64(count - 140)
        let sum = Int64(count) * Int64(count - 1) / 2
        let plan = try store.plan("SELECT n FROM events WHERE entity = 'large'")
        #expect(plan.contains { $0.contains("units to scan: 2 with \(large) events") }, "\(plan)")
        #expect(
            try store.ask("SELECT count(*), count(s), sum(n), count(DISTINCT n) FROM events WHERE n >= 0")
                == [
                    [.integer(Int64(count)), .integer(Int64(count - count / 5)), .integer(sum), .integer(Int64(count))]
                ])
        #expect(
            try store.one("SELECT count(*) FROM events WHERE entity = 'large' AND type = 't1'")
                == .integer(large / 2 - 70))
        #expect(
            try store.ask("SELECT entity, count(*) FROM events GROUP BY entity ORDER BY 2") == [
                ["small", 140], ["large", .integer(large)],
            ])
        #expect(
            try store.ask("SELECT n, s FROM events ORDER BY n DESC LIMIT 1") == [
                [.integer(Int64(count - 1)), .text("v\((count - 1) % 300)")]
            ])
        #expect(
            try store.ask("SELECT n FROM events ORDER BY timestamp LIMIT 2 OFFSET 100000") == [[100_000], [100_001]])
        var listed = 0
        let cursor = try store.query("SELECT n FROM events WHERE entity = 'large'")
        while let batch = try cursor.nextBatch() { listed += batch.count }
        #expect(listed == Int(large))
        try store.close()
    }
}
