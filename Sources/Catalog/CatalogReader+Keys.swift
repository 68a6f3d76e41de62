// Which keys entities had before, and which parts of segments are still under them. Empty where no key was ever
// rotated: the tables need not be there.

import EventStoreCore
import GRDB

extension Database {
    /// Whether a key was ever rotated here, or the catalog was made when it could be.
    func hasKeyTables() throws(Fault) -> Bool {
        var run = try SQLRun(self, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'part_key'")
        return try run.step()
    }
}

extension CatalogReader {
    /// Keys that entities had before the one they have, in order of their retirement.
    package func retiredKeys() throws(Fault) -> [RetiredKey] {
        guard try database.hasKeyTables() else { return [] }
        var keys: [RetiredKey] = []
        var run = try SQLRun(
            database,
            """
            SELECT key_id, entity, generation, retired_ms, destroyed_ms FROM retired_key ORDER BY retired_ms, key_id
            """)
        while try run.step() {
            keys.append(
                RetiredKey(
                    id: run.uint64(0), entity: try run.number(1), generation: run.uint64(2), retiredMs: run.int64(3),
                    destroyedMs: run.int64(4)))
        }
        return keys
    }

    /// Parts that are sealed under another key than their entity has now, also of segments being unlinked.
    package func partKeys() throws(Fault) -> [PartUnderKey] {
        guard try database.hasKeyTables() else { return [] }
        var parts: [PartUnderKey] = []
        var run = try SQLRun(database, "SELECT segment, entity, key_id FROM part_key ORDER BY segment, entity")
        while try run.step() {
            parts.append(
                PartUnderKey(segment: run.int64(0), entity: try run.number(1), keyID: run.uint64(2)))
        }
        return parts
    }

    /// Names an entity holds alone or with few others, sealed under its key.
    package func holders(of entity: UInt32) throws(Fault) -> [NameHolder] {
        var records: [NameHolder] = []
        var run = try SQLRun(
            database, "SELECT name, kind, sealed FROM holder WHERE entity = ? ORDER BY kind, name")
        run.bind(entity)
        while try run.step() {
            records.append(
                NameHolder(name: try run.number(0), kind: try run.number(1), entity: entity, sealed: run.blob(2)))
        }
        return records
    }

    /// The key each part is sealed under, where it is not its entity's own; by entity.
    package func partKeys(segment: Int64) throws(Fault) -> [UInt32: UInt64] {
        guard try database.hasKeyTables() else { return [:] }
        var keys: [UInt32: UInt64] = [:]
        var run = try SQLRun(database, "SELECT entity, key_id FROM part_key WHERE segment = ?")
        run.bind(segment)
        while try run.step() { keys[try run.number(0)] = run.uint64(1) }
        return keys
    }

    /// The key each part of one entity is sealed under, where it is not its own; by segment.
    func partKeys(entity: UInt32) throws(Fault) -> [Int64: UInt64] {
        guard try database.hasKeyTables() else { return [:] }
        var keys: [Int64: UInt64] = [:]
        var run = try SQLRun(database, "SELECT segment, key_id FROM part_key WHERE entity = ?")
        run.bind(entity)
        while try run.step() { keys[run.int64(0)] = run.uint64(1) }
        return keys
    }
}
