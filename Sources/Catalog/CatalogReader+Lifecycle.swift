// Plans, the audit chain, receipts, documents, tallies and what is gone of segments. A catalog of the first
// format has none of them: everything here is empty there.

import EventStoreCore

extension CatalogReader {
    package func plans() throws(Fault) -> [PlanRecord] {
        guard try hasLifecycle() else { return [] }
        var plans: [PlanRecord] = []
        var run = try SQLRun(database, "SELECT name, days FROM plan ORDER BY name")
        while try run.step() { plans.append(PlanRecord(name: run.text(0), days: try run.count(1))) }
        return plans
    }

    /// Rows of the audit chain with a number above `number`, in order, at most `limit` of them.
    package func audit(after number: Int64, limit: Int = .max) throws(Fault) -> [AuditRow] {
        guard try hasLifecycle() else { return [] }
        var rows: [AuditRow] = []
        var run = try SQLRun(
            database, "SELECT number, time_ms, body, mac FROM audit WHERE number > ? ORDER BY number LIMIT ?")
        run.bind(number)
        run.bind(limit)
        while try run.step() { rows.append(Self.auditRow(run)) }
        return rows
    }

    package func lastAudit() throws(Fault) -> AuditRow? {
        guard try hasLifecycle() else { return nil }
        var run = try SQLRun(database, "SELECT number, time_ms, body, mac FROM audit ORDER BY number DESC LIMIT 1")
        return try run.step() ? Self.auditRow(run) : nil
    }

    private static func auditRow(_ run: borrowing SQLRun) -> AuditRow {
        AuditRow(number: run.int64(0), timeMs: run.int64(1), body: run.blob(2), mac: run.blob(3))
    }

    /// In the order they were given.
    package func receipts() throws(Fault) -> [ReceiptRow] {
        guard try hasLifecycle() else { return [] }
        var rows: [ReceiptRow] = []
        var run = try SQLRun(
            database, "SELECT number, entity, time_ms, body, signature FROM receipt ORDER BY number")
        while try run.step() {
            rows.append(
                ReceiptRow(
                    number: run.int64(0), entity: try run.number(1), timeMs: run.int64(2), body: run.blob(3),
                    signature: run.blob(4)))
        }
        return rows
    }

    package func document(_ name: String) throws(Fault) -> [UInt8]? {
        guard try hasLifecycle() else { return nil }
        var run = try SQLRun(database, "SELECT body FROM document WHERE name = ?")
        run.bind(name)
        return try run.step() ? run.blob(0) : nil
    }

    package func tallies() throws(Fault) -> [EntityTally] {
        guard try hasLifecycle() else { return [] }
        var rows: [EntityTally] = []
        var run = try SQLRun(
            database, "SELECT entity, last_event_ms, last_received_ms, refused, expired FROM tally ORDER BY entity")
        while try run.step() {
            rows.append(
                EntityTally(
                    entity: try run.number(0), lastEventMs: run.int64(1), lastReceivedMs: run.int64(2),
                    refused: try run.count(3), expired: try run.count(4)))
        }
        return rows
    }

    /// What arrived of entities that have a budget, each on the last day something did.
    package func arrivals() throws(Fault) -> [EntityArrivals] {
        guard try hasArrived() else { return [] }
        var rows: [EntityArrivals] = []
        var run = try SQLRun(database, "SELECT entity, day, events, bytes FROM arrived ORDER BY entity")
        while try run.step() {
            rows.append(
                EntityArrivals(
                    entity: try run.number(0), day: run.int64(1), events: try run.count(2), bytes: try run.count(3)))
        }
        return rows
    }

    func hasArrived() throws(Fault) -> Bool {
        var run = try SQLRun(database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'arrived'")
        return try run.step()
    }

    /// What a segment of several days counts for; `nil` where that is not recorded.
    package func days(ofSegment number: Int64) throws(Fault) -> SegmentDays? {
        guard try hasSegmentDays() else { return nil }
        var run = try SQLRun(database, "SELECT days FROM segment_day WHERE segment = ?")
        run.bind(number)
        guard try run.step() else { return nil }
        return try run.blob(0).withBytes { (bytes) throws(Fault) in try PackedLists.decodeDays(bytes) }
    }

    func hasSegmentDays() throws(Fault) -> Bool {
        var run = try SQLRun(database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'segment_day'")
        return try run.step()
    }

    /// What is gone of segments (nil: of all), by segment and entity.
    package func gone(segment: Int64? = nil) throws(Fault) -> [GonePart] {
        guard try hasLifecycle() else { return [] }
        var parts: [GonePart] = []
        var run = try SQLRun(
            database,
            """
            SELECT segment, entity, rows, ranges, freed FROM gone WHERE segment BETWEEN ? AND ?
            ORDER BY segment, entity
            """)
        run.bind(segment ?? .min)
        run.bind(segment ?? .max)
        while try run.step() {
            parts.append(
                GonePart(
                    segment: run.int64(0), entity: try run.number(1), rows: try run.count(2),
                    ranges: try run.withBlob(3) { (bytes) throws(Fault) in try PackedLists.decodeRanges(bytes) },
                    isFreed: run.int64(4) != 0))
        }
        return parts
    }

    /// Days below `day` that still have rows of an entity, with their rows.
    package func days(of entity: UInt32, before day: Int32) throws(Fault) -> [DayCount] {
        var days: [DayCount] = []
        var run = try SQLRun(database, "SELECT day, rows FROM entity_day WHERE entity = ? AND day < ? ORDER BY day")
        run.bind(entity)
        run.bind(day)
        while try run.step() {
            days.append(DayCount(day: try run.number(0), key: entity, rows: try run.count(1)))
        }
        return days
    }

    private func hasLifecycle() throws(Fault) -> Bool {
        var run = try SQLRun(database, "SELECT format_version FROM settings")
        guard try run.step() else { return false }
        return run.int64(0) >= Int64(CatalogSchema.versionOfLifecycle)
    }

    /// The columns of an entity that the first format did not have.
    func entityExtras() throws(Fault) -> String { try hasLifecycle() ? "days, erase_at_ms" : "0, 0" }
}
