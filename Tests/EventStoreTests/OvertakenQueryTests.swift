// Queries that hand out rows while another process erases, shortens or merges what they read: never false damage.

import Foundation
import Testing

@testable import EventStore

@Suite struct OvertakenQueryTests {
    private static let general = "SELECT a.id, a.path FROM events AS a WHERE a.n + (SELECT 0) >= 0"
    private static let native = "SELECT id, entity, path, n FROM events"

    /// Rows of a query of a reader, with a change between the first batch and the rest.
    private func read(
        _ sql: String, beginsFirst: Bool, _ change: (BlockingEventStore) throws -> Void
    ) throws -> (rows: Int, code: String) {
        let folder = TestFolder()
        let writer = try folder.create()
        for day in 1...4 { try writer.append((0..<2000).map { Known.event($0, day: -day) }) }
        try writer.flush()
        let reader = try folder.open(Fixed.open(.readOnly))
        let cursor = try reader.query(sql)
        var rows = 0
        if beginsFirst { rows += try cursor.nextBatch()?.count ?? 0 }
        try change(writer)
        let outcome = code { while let batch = try cursor.nextBatch() { rows += batch.count } }
        try reader.expectClean()
        try reader.close()
        try writer.close()
        return (rows, outcome)
    }

    @Test(arguments: [native, general]) func anErasedEntityIsNoDamage(_ sql: String) throws {
        for beginsFirst in [false, true] {
            let (rows, outcome) = try read(sql, beginsFirst: beginsFirst) { _ = try $0.eraseEntity("site1") }
            #expect(["(none)", "key-erased"].contains(outcome), "\(outcome)")
            if !beginsFirst, outcome == "(none)" { #expect(rows < 8000) }
        }
    }

    @Test(arguments: [native, general]) func anExpiredPartIsNoDamage(_ sql: String) throws {
        for beginsFirst in [false, true] {
            let (_, outcome) = try read(sql, beginsFirst: beginsFirst) { writer in
                try writer.setPlan(ofEntity: "site1", days: 2)
                _ = try writer.sweep(confirmed: true)
            }
            #expect(["(none)", "key-erased"].contains(outcome), "\(outcome)")
        }
    }

    @Test(arguments: [native, general]) func whatIsMergedAwayIsReadToItsEnd(_ sql: String) throws {
        for beginsFirst in [false, true] {
            let (rows, outcome) = try read(sql, beginsFirst: beginsFirst) { writer in
                _ = try writer.rotateEntityKeys(["site1"], now: true)
                _ = try writer.compact()
            }
            // A part under a key that is no more cannot be read to its end.
            #expect(outcome == "(none)" ? rows == 8000 : outcome == "not-found", "\(rows) \(outcome)")
        }
    }
}
