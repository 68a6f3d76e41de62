// Entities, names and who holds them.

import EventStoreCore

extension CatalogWriter {
    func applyNames(_ change: CatalogChange) throws(Fault) {
        try addEntities(change.addEntities)
        try updateEntities(change.updateEntities)
        try applyKeys(change)
        try addNames(change.addNames)
        try addHolders(change.addHolders)
        try shareNames(change.shareNames)
        try releaseHolders(change.releaseHolders)
    }

    /// A name that nobody holds any more gets a tag nobody can compute, so that it says nothing of what it was.
    private func releaseHolders(_ entities: [UInt32]) throws(Fault) {
        guard !entities.isEmpty else { return }
        var release = try SQLRun(database, "DELETE FROM holder WHERE entity = ?")
        for entity in entities {
            release.bind(entity)
            try release.run()
        }
        var blank = try SQLRun(
            database,
            """
            UPDATE name SET tag = randomblob(16) WHERE shared IS NULL AND NOT EXISTS
              (SELECT 1 FROM holder WHERE holder.kind = name.kind AND holder.name = name.number)
            """)
        try blank.run()
    }

    private func addEntities(_ entities: [EntityRecord]) throws(Fault) {
        guard !entities.isEmpty else { return }
        var run = try SQLRun(database, "INSERT INTO entity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        for entity in entities {
            run.bind(entity.number)
            run.bind(entity.keyID)
            run.bind(entity.sealedName)
            run.bind(entity.tag)
            run.bind(entity.createdMs)
            run.bind(entity.plan)
            run.bind(entity.state)
            run.bind(entity.floorMs)
            run.bind(entity.days)
            run.bind(entity.eraseAtMs)
            try run.run()
        }
    }

    private func updateEntities(_ entities: [EntityRecord]) throws(Fault) {
        guard !entities.isEmpty else { return }
        var run = try SQLRun(
            database,
            """
            UPDATE entity SET key_id = ?, sealed_name = ?, tag = ?, plan = ?, state = ?,
              floor_ms = max(floor_ms, ?), days = ?, erase_at_ms = ? WHERE number = ?
            """)
        for entity in entities {
            run.bind(entity.keyID)
            run.bind(entity.sealedName)
            run.bind(entity.tag)
            run.bind(entity.plan)
            run.bind(entity.state)
            run.bind(entity.floorMs)
            run.bind(entity.days)
            run.bind(entity.eraseAtMs)
            run.bind(entity.number)
            try run.run()
            guard run.changed == 1 else {
                throw Fault(.notFound, "no such entity in the catalog", at: .init(entity: entity.number))
            }
        }
    }

    private func addNames(_ names: [NameRecord]) throws(Fault) {
        guard !names.isEmpty else { return }
        var run = try SQLRun(database, "INSERT INTO name VALUES (?, ?, ?, ?)")
        for name in names {
            run.bind(name.kind)
            run.bind(name.number)
            run.bind(name.tag)
            run.bind(optional: name.shared)
            try run.run()
        }
    }

    private func addHolders(_ holders: [NameHolder]) throws(Fault) {
        guard !holders.isEmpty else { return }
        var run = try SQLRun(database, "INSERT INTO holder VALUES (?, ?, ?, ?)")
        for holder in holders {
            run.bind(holder.kind)
            run.bind(holder.name)
            run.bind(holder.entity)
            run.bind(holder.sealed)
            try run.run()
        }
    }

    private func shareNames(_ names: [SharedName]) throws(Fault) {
        guard !names.isEmpty else { return }
        var share = try SQLRun(database, "UPDATE name SET shared = ? WHERE kind = ? AND number = ?")
        var release = try SQLRun(database, "DELETE FROM holder WHERE kind = ? AND name = ?")
        for name in names {
            share.bind(name.sealed)
            share.bind(name.kind)
            share.bind(name.number)
            try share.run()
            guard share.changed == 1 else { throw Fault(.notFound, "no such name in the catalog") }
            release.bind(name.kind)
            release.bind(name.number)
            try release.run()
        }
    }
}
