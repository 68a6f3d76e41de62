// The layout of the file, printed. A change here is a change of the format: it needs a decision, a new format
// version, and docs/format/catalog.md.

import EventStoreCore
import Foundation
import GRDB
import Testing

@testable import EventStoreCatalog

@Suite struct LayoutTests {
    private static let layout = """
        arrived: entity*, day, events, bytes
        audit: number*, time_ms, body, mac
        batch: scope*, tag*, body_hash, received_ms, answer | batch_received(received_ms)
        document: name*, body
        entity: number*, key_id, sealed_name, tag, created_ms, plan, state, floor_ms, days, erase_at_ms | unique entity_tag(tag)
        entity_day: day*, entity*, rows
        gone: segment*, entity*, rows, ranges, freed
        holder: kind*, name*, entity*, sealed
        journal: first_sequence*, rows, received_ms, blob
        meta: name*, value
        name: kind*, number*, tag, shared | unique name_tag(kind, tag)
        part_key: segment*, entity*, key_id | part_key_key(key_id)
        plan: name*, days
        receipt: number*, entity, time_ms, body, signature
        retired_key: key_id*, entity, generation, retired_ms, destroyed_ms
        segment: number*, id, partition_start, partition_ms, rows, file_bytes, min_time, max_time, sequence_base, \
        min_sequence, max_sequence, level, state, retention_days, types, attributes
        segment_day: segment*, days
        segment_entity: segment*, entity*, part | entity_segment(entity, segment)
        settings: one*, format_version, store_id, incarnation, partition, shared_by_entities_min, default_plan, created_ms
        state: one*, next_sequence, keyring_generation, changes, segment_changes, name_changes, next_segment
        tally: entity*, last_event_ms, last_received_ms, refused, expired
        type_day: day*, type*, rows
        """

    private static func lines(_ database: Database) throws -> [String] {
        let tables = try String.fetchAll(
            database, sql: "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        return try tables.map { table in
            let columns = try Row.fetchAll(
                database, sql: "SELECT name, pk FROM pragma_table_info(?)", arguments: [table])
            let indexes = try Row.fetchAll(
                database, sql: "SELECT name, \"unique\" FROM pragma_index_list(?) WHERE origin = 'c'",
                arguments: [table])
            let named = try indexes.map { row in
                let parts = try String.fetchAll(
                    database, sql: "SELECT name FROM pragma_index_info(?) ORDER BY seqno", arguments: [row[0] as String]
                )
                return (row[1] ? "unique " : "") + "\(row[0] as String)(\(parts.joined(separator: ", ")))"
            }
            let head = columns.map { ($0[0] as String) + ($0[1] as Int > 0 ? "*" : "") }.joined(separator: ", ")
            return "\(table): \(head)" + named.map { " | \($0)" }.joined()
        }
    }

    @Test func theTablesAreThose() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        let lines = try catalog.write { (database) throws in
            for table in CatalogSchema.later.flatMap(\.tables) { try database.execute(sql: table) }
            return try Self.lines(database)
        }
        #expect(lines == Self.layout.split(separator: "\n").map(String.init))
        let pragmas = ["page_size", "auto_vacuum", "application_id", "synchronous", "wal_autocheckpoint"]
        let values = try catalog.write { (database) throws in
            try pragmas.map { try Int.fetchOne(database, sql: "PRAGMA \($0)") }
        }
        #expect(values == [4096, 2, 0x4576_5374, 2, 4000])
    }

    /// A page a table and index, and one for the schema: what a small store pays.
    @Test func aNewCatalogIsSmall() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        let (pages, objects) = try catalog.write { (database) throws in
            (
                try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0,
                try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema WHERE rootpage > 0") ?? 0
            )
        }
        // One more page maps the others, for `auto_vacuum`.
        #expect(pages == objects + 2 && objects == 22)
    }

    @Test func thePageNamesEveryColumn() throws {
        let page = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../docs/format/catalog.md").standardized, encoding: .utf8)
        let words = Set(page.split { !($0.isLetter || $0 == "_") }.map(String.init))
        for line in Self.layout.split(separator: "\n") {
            let names = line.split { !($0.isLetter || $0 == "_") }.map(String.init).filter { $0 != "unique" }
            for name in names { #expect(words.contains(name), "\(name) is not in docs/format/catalog.md") }
        }
    }
}
