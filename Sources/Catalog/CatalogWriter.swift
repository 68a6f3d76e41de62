// Applies a change inside the transaction that the caller holds.

import EventStoreCore
import GRDB

/// Confined to one access of the writing connection.
struct CatalogWriter {
    let database: Database

    init(_ database: Database) { self.database = database }

    func create(_ settings: CatalogSettings) throws {
        for table in CatalogSchema.tables { try database.execute(sql: table) }
        var row = try SQLRun(database, "INSERT INTO settings VALUES (1, ?, ?, ?, ?, ?, ?, ?)")
        row.bind(settings.formatVersion)
        row.bind(settings.storeID)
        row.bind(settings.incarnation)
        row.bind(settings.partition)
        row.bind(settings.sharedByEntitiesMin)
        row.bind(settings.defaultPlan)
        row.bind(settings.createdMs)
        try row.run()
        try database.execute(sql: "INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 1)")
    }

    func apply(_ change: CatalogChange) throws(Fault) -> CatalogCommit {
        try applyNames(change)
        try applyJournal(change)
        let segments = try applySegments(change)
        try addDays(change.entityDayDeltas, Self.entityDays)
        try addDays(change.typeDayDeltas, Self.typeDays)
        try applyMeta(change)
        try applyLifecycle(change)
        try updateState(change, segmentsAdded: segments.count)
        return CatalogCommit(segments: segments)
    }

    private func updateState(_ change: CatalogChange, segmentsAdded: Int) throws(Fault) {
        var run = try SQLRun(
            database,
            """
            UPDATE state SET changes = changes + 1, next_sequence = coalesce(?, next_sequence),
              keyring_generation = coalesce(?, keyring_generation), segment_changes = segment_changes + ?,
              name_changes = name_changes + ?, next_segment = next_segment + ?
            """)
        run.bind(optional: change.nextSequence)
        run.bind(optional: change.keyringGeneration)
        run.bind(change.changesSegments ? 1 : 0)
        run.bind(change.changesNames ? 1 : 0)
        run.bind(segmentsAdded)
        try run.run()
    }

    // MARK: Journal and batches

    private func applyJournal(_ change: CatalogChange) throws(Fault) {
        for (sql, numbers) in [
            ("DELETE FROM journal WHERE first_sequence = ?", change.deleteJournal.map { Int64(clamping: $0) }),
            ("DELETE FROM batch WHERE received_ms = ?", change.dropBatchesReceived),
        ] where !numbers.isEmpty {
            var run = try SQLRun(database, sql)
            for number in numbers {
                run.bind(number)
                try run.run()
            }
        }
        if !change.journal.isEmpty {
            var run = try SQLRun(database, "INSERT INTO journal VALUES (?, ?, ?, ?)")
            for entry in change.journal {
                guard entry.firstSequence <= UInt64(Int64.max) else {
                    throw Fault(.limit, "sequences end at 2^63")
                }
                run.bind(entry.firstSequence)
                run.bind(entry.rows)
                run.bind(entry.receivedMs)
                run.bind(entry.blob)
                try run.run()
            }
        }
        if !change.batches.isEmpty {
            var run = try SQLRun(database, "INSERT INTO batch VALUES (?, ?, ?, ?, ?)")
            for batch in change.batches {
                run.bind(batch.scope)
                run.bind(batch.tag)
                run.bind(batch.bodyHash)
                run.bind(batch.receivedMs)
                run.bind(batch.answer)
                try run.run()
            }
        }
        if let limit = change.deleteJournalBefore {
            var run = try SQLRun(database, "DELETE FROM journal WHERE first_sequence < ?")
            run.bind(Int64(clamping: limit))
            try run.run()
        }
        if let limit = change.dropBatchesBefore {
            var run = try SQLRun(database, "DELETE FROM batch WHERE received_ms < ?")
            run.bind(limit)
            try run.run()
        }
    }

    // MARK: Totals and counters

    /// The statements of one of the two tables of totals.
    private struct DayTable {
        let add: String
        let dropEmpty: String
        let negative: String
        let rows: String
        /// Other days that have rows of the same, the nearest first.
        let near: String
    }

    private static let entityDays = dayTable("entity_day", "entity")
    private static let typeDays = dayTable("type_day", "type")

    private static func dayTable(_ table: String, _ key: String) -> DayTable {
        DayTable(
            add: """
                INSERT INTO \(table) VALUES (?, ?, ?)
                ON CONFLICT (day, \(key)) DO UPDATE SET rows = rows + excluded.rows
                """,
            dropEmpty: "DELETE FROM \(table) WHERE day = ? AND \(key) = ? AND rows = 0",
            negative: "SELECT rows < 0 FROM \(table) WHERE day = ? AND \(key) = ?",
            rows: "SELECT rows FROM \(table) WHERE day = ? AND \(key) = ?",
            near: "SELECT day, rows FROM \(table) WHERE \(key) = ? AND rows > 0 ORDER BY abs(day - ?), day")
    }

    /// Where a partition is longer than a day, events that nobody could read any more may have been taken from the totals
    /// of other days than theirs. What a day lacks for that is on one of those near it.
    private func borrow(_ lacking: DayCount, _ table: DayTable) throws(Fault) {
        var settings = try SQLRun(database, "SELECT partition FROM settings")
        var rows = try SQLRun(database, table.rows)
        rows.bind(lacking.day)
        rows.bind(lacking.key)
        guard try settings.step(), settings.int64(0) > 1, try rows.step() else { throw CatalogWriter.negative }
        var short = -rows.int64(0)
        var deltas = [DayCount(day: lacking.day, key: lacking.key, rows: Int(short))]
        var near = try SQLRun(database, table.near)
        near.bind(lacking.key)
        near.bind(lacking.day)
        while short > 0, try near.step() {
            let part = min(short, near.int64(1))
            short -= part
            deltas.append(DayCount(day: try near.number(0), key: lacking.key, rows: -Int(part)))
        }
        guard short == 0 else { throw CatalogWriter.negative }
        rows.rewind()
        near.rewind()
        try addDays(deltas, table)
        // The day itself, which is at nothing now.
        var drop = try SQLRun(database, table.dropEmpty)
        drop.bind(lacking.day)
        drop.bind(lacking.key)
        try drop.run()
    }

    private static let negative = Fault(.invalid, "a day's total would become negative")

    private func addDays(_ deltas: [DayCount], _ table: DayTable) throws(Fault) {
        var removing = false
        if !deltas.isEmpty {
            var add = try SQLRun(database, table.add)
            for delta in deltas where delta.rows != 0 {
                add.bind(delta.day)
                add.bind(delta.key)
                add.bind(delta.rows)
                try add.run()
                if delta.rows < 0 { removing = true }
            }
        }
        guard removing else { return }
        var drop = try SQLRun(database, table.dropEmpty)
        var check = try SQLRun(database, table.negative)
        for delta in deltas where delta.rows < 0 {
            drop.bind(delta.day)
            drop.bind(delta.key)
            try drop.run()
            check.bind(delta.day)
            check.bind(delta.key)
            let isNegative = try check.step() && check.int64(0) != 0
            check.rewind()
            if isNegative { try borrow(delta, table) }
        }
    }

    private func applyMeta(_ change: CatalogChange) throws(Fault) {
        if !change.meta.isEmpty {
            var run = try SQLRun(
                database,
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value")
            for (name, value) in change.meta {
                run.bind(name)
                run.bind(value)
                try run.run()
            }
        }
        if !change.setMeta.isEmpty {
            var run = try SQLRun(database, "INSERT OR REPLACE INTO meta VALUES (?, ?)")
            for (name, value) in change.setMeta {
                run.bind(name)
                run.bind(value)
                try run.run()
            }
        }
    }
}

extension CatalogChange {
    var changesSegments: Bool {
        !addSegments.isEmpty || !markUnlinking.isEmpty || !removeSegments.isEmpty || !addGone.isEmpty
    }

    var changesNames: Bool {
        !addEntities.isEmpty || !updateEntities.isEmpty || !addNames.isEmpty || !addHolders.isEmpty
            || !shareNames.isEmpty || !releaseHolders.isEmpty || !setPlans.isEmpty || !replaceHolders.isEmpty
            || !retireKeys.isEmpty || !destroyedKeys.isEmpty
    }
}
