// Plans, the audit chain, receipts, documents and tallies; and the way from an earlier format.

import EventStoreCore
import GRDB

extension CatalogWriter {
    func applyLifecycle(_ change: CatalogChange) throws(Fault) {
        try setPlans(change.setPlans)
        try addAudit(change.addAudit)
        try addReceipts(change.addReceipts)
        try setDocuments(change.setDocuments)
        try addTallies(change.tallies)
        try addArrivals(change.arrivals)
        try forget(change.forgetEntities)
    }

    /// A count that comes late, of the day before the one that is kept, is not needed any more.
    private func addArrivals(_ arrivals: [EntityArrivals]) throws(Fault) {
        guard !arrivals.isEmpty else { return }
        var table = try SQLRun(database, CatalogSchema.arrived)
        try table.run()
        var run = try SQLRun(
            database,
            """
            INSERT INTO arrived VALUES (?, ?, ?, ?) ON CONFLICT (entity) DO UPDATE SET
              events = excluded.events + CASE day WHEN excluded.day THEN events ELSE 0 END,
              bytes = excluded.bytes + CASE day WHEN excluded.day THEN bytes ELSE 0 END, day = excluded.day
            WHERE day <> excluded.day + 1
            """)
        for arrival in arrivals {
            run.bind(arrival.entity)
            run.bind(arrival.day)
            run.bind(arrival.events)
            run.bind(arrival.bytes)
            try run.run()
        }
    }

    private func setPlans(_ plans: [PlanRecord]) throws(Fault) {
        guard !plans.isEmpty else { return }
        var run = try SQLRun(database, "INSERT OR REPLACE INTO plan VALUES (?, ?)")
        for plan in plans {
            run.bind(plan.name)
            run.bind(plan.days)
            try run.run()
        }
    }

    func addAudit(_ rows: [AuditRow]) throws(Fault) {
        guard !rows.isEmpty else { return }
        var run = try SQLRun(database, "INSERT INTO audit VALUES (?, ?, ?, ?)")
        for row in rows {
            run.bind(row.number)
            run.bind(row.timeMs)
            run.bind(row.body)
            run.bind(row.mac)
            try run.run()
        }
    }

    private func addReceipts(_ rows: [ReceiptRow]) throws(Fault) {
        guard !rows.isEmpty else { return }
        var run = try SQLRun(
            database, "INSERT INTO receipt (entity, time_ms, body, signature) VALUES (?, ?, ?, ?)")
        for row in rows {
            run.bind(row.entity)
            run.bind(row.timeMs)
            run.bind(row.body)
            run.bind(row.signature)
            try run.run()
        }
    }

    private func setDocuments(_ documents: [String: [UInt8]]) throws(Fault) {
        guard !documents.isEmpty else { return }
        var set = try SQLRun(database, "INSERT OR REPLACE INTO document VALUES (?, ?)")
        var remove = try SQLRun(database, "DELETE FROM document WHERE name = ?")
        for (name, body) in documents {
            if body.isEmpty {
                remove.bind(name)
                try remove.run()
            } else {
                set.bind(name)
                set.bind(body)
                try set.run()
            }
        }
    }

    private func addTallies(_ tallies: [EntityTally]) throws(Fault) {
        guard !tallies.isEmpty else { return }
        var run = try SQLRun(
            database,
            """
            INSERT INTO tally VALUES (?, ?, ?, ?, ?) ON CONFLICT (entity) DO UPDATE SET
              last_event_ms = max(last_event_ms, excluded.last_event_ms),
              last_received_ms = max(last_received_ms, excluded.last_received_ms),
              refused = refused + excluded.refused, expired = expired + excluded.expired
            """)
        for tally in tallies {
            run.bind(tally.entity)
            run.bind(tally.lastEventMs)
            run.bind(tally.lastReceivedMs)
            run.bind(tally.refused)
            run.bind(tally.expired)
            try run.run()
        }
    }

    private func forget(_ entities: [UInt32]) throws(Fault) {
        guard !entities.isEmpty else { return }
        var tally = try SQLRun(database, "DELETE FROM tally WHERE entity = ?")
        var batches = try SQLRun(database, "DELETE FROM batch WHERE scope = ?")
        for entity in entities {
            tally.bind(entity)
            try tally.run()
            batches.bind(entity)
            try batches.run()
        }
        guard try CatalogReader(database).hasArrived() else { return }
        var arrived = try SQLRun(database, "DELETE FROM arrived WHERE entity = ?")
        for entity in entities {
            arrived.bind(entity)
            try arrived.run()
        }
    }

    /// Brings an earlier format to this one. Part of the caller's transaction: all of it or nothing.
    func upgrade(from version: Int) throws(Fault) {
        guard version < CatalogSchema.formatVersion else { return }
        for statement in CatalogSchema.upgradeFromFirst {
            var run = try SQLRun(database, statement)
            try run.run()
        }
        var run = try SQLRun(database, "UPDATE settings SET format_version = ?")
        run.bind(CatalogSchema.formatVersion)
        try run.run()
    }
}
