// Keys that entities no longer use: which they were, and which parts of segments are still sealed under them.

import EventStoreCore

extension CatalogWriter {
    func applyKeys(_ change: CatalogChange) throws(Fault) {
        try replaceHolders(change.replaceHolders)
        guard !change.retireKeys.isEmpty || !change.destroyedKeys.isEmpty else { return }
        try makeKeyTables()
        try retire(change.retireKeys)
        try note(change.destroyedKeys)
    }

    /// A catalog of format 2 that no rotation has touched may lack them: without them every part has its entity's key.
    private func makeKeyTables() throws(Fault) {
        guard try !database.hasKeyTables() else { return }
        for table in CatalogSchema.keyTables {
            var run = try SQLRun(database, table)
            try run.run()
        }
    }

    private func replaceHolders(_ holders: [NameHolder]) throws(Fault) {
        guard !holders.isEmpty else { return }
        var run = try SQLRun(database, "UPDATE holder SET sealed = ? WHERE kind = ? AND name = ? AND entity = ?")
        for holder in holders {
            run.bind(holder.sealed)
            run.bind(holder.kind)
            run.bind(holder.name)
            run.bind(holder.entity)
            try run.run()
            guard run.changed == 1 else {
                throw Fault(.notFound, "the entity does not hold this name", at: .init(entity: holder.entity))
            }
        }
    }

    /// Whatever an entity has in segments now, under no older key, is under the key that it loses.
    private func retire(_ keys: [RetiredKey]) throws(Fault) {
        guard !keys.isEmpty else { return }
        var add = try SQLRun(database, "INSERT INTO retired_key VALUES (?, ?, ?, ?, 0)")
        var parts = try SQLRun(
            database,
            """
            INSERT OR IGNORE INTO part_key (segment, entity, key_id)
            SELECT segment, entity, ? FROM segment_entity WHERE entity = ?
            """)
        for key in keys {
            add.bind(key.id)
            add.bind(key.entity)
            add.bind(key.generation)
            add.bind(key.retiredMs)
            try add.run()
            parts.bind(key.id)
            parts.bind(key.entity)
            try parts.run()
        }
    }

    private func note(_ destroyed: [DestroyedKey]) throws(Fault) {
        guard !destroyed.isEmpty else { return }
        var run = try SQLRun(
            database,
            """
            UPDATE retired_key SET destroyed_ms = ?1 WHERE key_id = ?2 AND destroyed_ms = 0
              AND NOT EXISTS (SELECT 1 FROM part_key WHERE part_key.key_id = ?2)
            """)
        for key in destroyed {
            run.bind(key.timeMs)
            run.bind(key.id)
            try run.run()
            guard run.changed == 1 else {
                throw Fault(.invalid, "a key that is still in use, or was none, cannot be noted as destroyed")
            }
        }
    }

    /// Notes parts that were sealed before their entity got the key it has now.
    func notePartKeys(_ entities: [CatalogSegmentEntity], of segment: Int64) throws(Fault) {
        guard try database.hasKeyTables() else { return }
        var run = try SQLRun(
            database,
            """
            INSERT INTO part_key (segment, entity, key_id)
            SELECT ?1, number, ?2 FROM entity WHERE number = ?3 AND key_id <> ?2
            """)
        for part in entities where part.keyID != 0 {
            run.bind(segment)
            run.bind(part.keyID)
            run.bind(part.entity)
            try run.run()
        }
    }

    /// Called before parts leave the index.
    func dropPartKey(segment: Int64, entity: UInt32?) throws(Fault) {
        guard try database.hasKeyTables() else { return }
        var run = try SQLRun(
            database, "DELETE FROM part_key WHERE segment = ?1 AND (?2 IS NULL OR entity = ?2)")
        run.bind(segment)
        run.bind(optional: entity.map { UInt64($0) })
        try run.run()
    }
}
