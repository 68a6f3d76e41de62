// What can be read from the catalog inside one read transaction.

import EventStoreCore
import GRDB

/// Valid inside the closure of `Catalog.read` alone; everything it returns belongs to one moment.
package struct CatalogReader {
    let database: Database

    init(_ database: Database) { self.database = database }

    package func settings() throws(Fault) -> CatalogSettings {
        // The version comes first: a newer catalog may have other columns after it.
        var version = try SQLRun(database, "SELECT format_version FROM settings")
        guard try version.step() else { throw Fault(.damaged, "the catalog has no settings") }
        let formatVersion: Int = try version.number(0)
        guard formatVersion <= CatalogSchema.formatVersion else {
            throw Fault(
                .tooNew,
                "the catalog has format \(formatVersion), this program knows \(CatalogSchema.formatVersion); use a newer one"
            )
        }
        var run = try SQLRun(
            database,
            """
            SELECT store_id, incarnation, partition, shared_by_entities_min, default_plan, created_ms FROM settings
            """)
        guard try run.step() else { throw Fault(.damaged, "the catalog has no settings") }
        return CatalogSettings(
            formatVersion: formatVersion, storeID: run.blob(0), incarnation: run.uint64(1),
            partition: try run.number(2), sharedByEntitiesMin: try run.number(3), defaultPlan: run.text(4),
            createdMs: run.int64(5))
    }

    // MARK: State

    package func nextSequence() throws(Fault) -> UInt64 { try state("next_sequence") }
    package func keyringGeneration() throws(Fault) -> UInt64 { try state("keyring_generation") }
    /// Rises with every commit: the cheap test whether anything changed.
    package func changeCounter() throws(Fault) -> UInt64 { try state("changes") }
    /// Rises when segments are added, marked or removed.
    package func segmentsCounter() throws(Fault) -> UInt64 { try state("segment_changes") }
    /// Rises when entities, names or their holders change.
    package func namesCounter() throws(Fault) -> UInt64 { try state("name_changes") }

    private func state(_ column: String) throws(Fault) -> UInt64 {
        var run = try SQLRun(database, "SELECT \(column) FROM state")
        guard try run.step() else { throw Fault(.damaged, "the catalog has no state") }
        return run.uint64(0)
    }

    package func meta() throws(Fault) -> [String: Int64] {
        var values: [String: Int64] = [:]
        var run = try SQLRun(database, "SELECT name, value FROM meta")
        while try run.step() { values[run.text(0)] = run.int64(1) }
        return values
    }

    // MARK: Entities and names

    /// By number.
    package func entities() throws(Fault) -> [EntityRecord] {
        var records: [EntityRecord] = []
        var run = try SQLRun(
            database,
            """
            SELECT number, key_id, sealed_name, tag, created_ms, plan, state, floor_ms, \(try entityExtras())
            FROM entity ORDER BY number
            """)
        while try run.step() {
            records.append(
                EntityRecord(
                    number: try run.number(0), keyID: run.uint64(1), sealedName: run.blob(2), tag: run.blob(3),
                    createdMs: run.int64(4), plan: run.text(5), state: try run.number(6), floorMs: run.int64(7),
                    days: try run.count(8), eraseAtMs: run.int64(9)))
        }
        return records
    }

    /// By kind and number.
    package func names() throws(Fault) -> [NameRecord] {
        var records: [NameRecord] = []
        var run = try SQLRun(database, "SELECT number, kind, tag, shared FROM name ORDER BY kind, number")
        while try run.step() {
            records.append(
                NameRecord(
                    number: try run.number(0), kind: try run.number(1), tag: run.blob(2),
                    shared: run.isNull(3) ? nil : run.blob(3)))
        }
        return records
    }

    /// By kind, name and entity.
    package func holders() throws(Fault) -> [NameHolder] {
        var records: [NameHolder] = []
        var run = try SQLRun(database, "SELECT name, kind, entity, sealed FROM holder ORDER BY kind, name, entity")
        while try run.step() {
            records.append(
                NameHolder(
                    name: try run.number(0), kind: try run.number(1), entity: try run.number(2), sealed: run.blob(3)))
        }
        return records
    }

    // MARK: Journal and batches

    /// Entries whose first sequence is at or after `sequence`, in commit order.
    package func journal(from sequence: UInt64) throws(Fault) -> [JournalEntry] {
        guard let from = Int64(exactly: sequence) else { return [] }
        var entries: [JournalEntry] = []
        var run = try SQLRun(
            database,
            """
            SELECT first_sequence, rows, received_ms, blob FROM journal WHERE first_sequence >= ?
            ORDER BY first_sequence
            """)
        run.bind(from)
        while try run.step() {
            entries.append(
                JournalEntry(
                    firstSequence: try run.number(0), rows: try run.count(1), receivedMs: run.int64(2),
                    blob: run.blob(3)))
        }
        return entries
    }

    /// Rows of all entries.
    package func journalRows() throws(Fault) -> Int {
        var run = try SQLRun(database, "SELECT coalesce(sum(rows), 0) FROM journal")
        return try run.step() ? try run.count(0) : 0
    }

    /// Where the journal begins, `nil` when it is empty.
    package func firstJournalSequence() throws(Fault) -> UInt64? {
        var run = try SQLRun(database, "SELECT first_sequence FROM journal ORDER BY first_sequence LIMIT 1")
        guard try run.step() else { return nil }
        return try run.number(0)
    }

    /// The batch a client sent under this tag, if it was answered and is not forgotten.
    package func batch(scope: UInt32, tag: [UInt8]) throws(Fault) -> BatchRecord? {
        var run = try SQLRun(
            database, "SELECT body_hash, received_ms, answer FROM batch WHERE scope = ? AND tag = ?")
        run.bind(scope)
        run.bind(tag)
        guard try run.step() else { return nil }
        return BatchRecord(
            scope: scope, tag: tag, bodyHash: run.blob(0), receivedMs: run.int64(1), answer: run.blob(2))
    }
}
