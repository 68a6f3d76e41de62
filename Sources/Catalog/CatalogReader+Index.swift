// The index: segments, what they hold of each entity, and the totals per day.

import EventStoreCore

extension CatalogReader {
    // MARK: Segments

    /// Segments whose rows may lie in a range of time (nil: all), by number, also those being unlinked:
    /// a query looks at `state`. Their entity rows are read apart.
    package func segments(overlapping range: ClosedRange<Int64>?) throws(Fault) -> [CatalogSegment] {
        var run = try SQLRun(
            database,
            """
            SELECT number, id, partition_start, partition_ms, rows, file_bytes, min_time, max_time, sequence_base,
              min_sequence, max_sequence, level, state, retention_days, types, attributes
            FROM segment WHERE min_time <= ? AND max_time >= ? ORDER BY number
            """)
        run.bind(range?.upperBound ?? Int64.max)
        run.bind(range?.lowerBound ?? Int64.min)
        var segments: [CatalogSegment] = []
        while try run.step() { segments.append(try Self.segment(run)) }
        return segments
    }

    private static func segment(_ run: borrowing SQLRun) throws(Fault) -> CatalogSegment {
        CatalogSegment(
            number: run.int64(0), id: run.blob(1), partitionStart: run.int64(2), partitionMs: run.int64(3),
            rows: try run.count(4), fileBytes: try run.count(5), minTime: run.int64(6), maxTime: run.int64(7),
            sequenceBase: run.uint64(8), minSequence: run.uint64(9), maxSequence: run.uint64(10),
            level: try run.number(11), state: try run.number(12), retentionDays: try run.number(13),
            types: try run.withBlob(14) { (bytes) throws(Fault) in try PackedLists.decodeNumbers(bytes) },
            attributes: try run.withBlob(15) { (bytes) throws(Fault) in try PackedLists.decodeNumbers(bytes) })
    }

    /// What a segment holds of each entity (nil: all), ascending by entity number.
    package func segmentEntities(segment: Int64, entities: [UInt32]?) throws(Fault) -> [CatalogSegmentEntity] {
        var parts: [CatalogSegmentEntity] = []
        let older = try partKeys(segment: segment)
        guard let entities else {
            var run = try SQLRun(database, Self.partsOfSegment + " ORDER BY p.entity")
            run.bind(segment)
            while try run.step() { parts.append(try Self.part(run) { older[$0.entity] }) }
            return parts
        }
        var run = try SQLRun(database, Self.partsOfSegment + " AND p.entity = ?")
        for entity in entities.sorted() {
            run.bind(segment)
            run.bind(entity)
            if try run.step() { parts.append(try Self.part(run) { older[$0.entity] }) }
            run.rewind()
        }
        return parts
    }

    private static let partsOfSegment = """
        SELECT p.segment, p.entity, p.part, coalesce(e.key_id, 0) FROM segment_entity AS p
        LEFT JOIN entity AS e ON e.number = p.entity WHERE p.segment = ?
        """

    /// What every segment holds of one entity, by segment number, also of segments being unlinked.
    package func segmentEntities(entity: UInt32) throws(Fault) -> [CatalogSegmentEntity] {
        var run = try SQLRun(
            database,
            """
            SELECT p.segment, p.entity, p.part, coalesce(e.key_id, 0)
            FROM segment_entity AS i INDEXED BY entity_segment
            JOIN segment_entity AS p ON p.segment = i.segment AND p.entity = i.entity
            LEFT JOIN entity AS e ON e.number = i.entity
            WHERE i.entity = ? ORDER BY i.segment
            """)
        run.bind(entity)
        let older = try partKeys(entity: entity)
        var parts: [CatalogSegmentEntity] = []
        while try run.step() { parts.append(try Self.part(run) { older[$0.segment] }) }
        return parts
    }

    /// - Parameter older: the key the part is under if it is not its entity's.
    private static func part(
        _ run: borrowing SQLRun, _ older: (CatalogSegmentEntity) -> UInt64?
    ) throws(Fault) -> CatalogSegmentEntity {
        let segment = run.int64(0)
        let entity = try run.number(1, as: UInt32.self)
        var part = try run.withBlob(2) { (bytes) throws(Fault) in
            try PackedLists.decodePart(segment: segment, entity: entity, bytes)
        }
        part.keyID = older(part) ?? run.uint64(3)
        return part
    }

    // MARK: Totals

    /// Rows of each entity on whole UTC days (nil: all days).
    package func rowsByEntity(days: ClosedRange<Int32>?) throws(Fault) -> [UInt32: Int] {
        try sums("SELECT entity, rows FROM entity_day WHERE day BETWEEN ? AND ?", days)
    }

    /// Rows of each type on whole UTC days (nil: all days).
    package func rowsByType(days: ClosedRange<Int32>?) throws(Fault) -> [UInt32: Int] {
        try sums("SELECT type, rows FROM type_day WHERE day BETWEEN ? AND ?", days)
    }

    /// Rows of each UTC day (nil: all days).
    package func rowsByDay(days: ClosedRange<Int32>?) throws(Fault) -> [Int32: Int] {
        try sums("SELECT day, sum(rows) FROM type_day WHERE day BETWEEN ? AND ? GROUP BY day", days)
    }

    /// All totals of entities or of types, by day and number.
    package func totals(ofTypes: Bool) throws(Fault) -> [DayCount] {
        var totals: [DayCount] = []
        var run = try SQLRun(
            database, ofTypes ? "SELECT day, type, rows FROM type_day" : "SELECT day, entity, rows FROM entity_day")
        while try run.step() {
            totals.append(DayCount(day: try run.number(0), key: try run.number(1), rows: Int(run.int64(2))))
        }
        return totals
    }

    package func totalRows() throws(Fault) -> Int {
        var run = try SQLRun(database, "SELECT coalesce(sum(rows), 0) FROM type_day")
        return try run.step() ? try run.count(0) : 0
    }

    /// Adds up the second column by the first. SQLite's GROUP BY would sort the rows first.
    private func sums<Key: FixedWidthInteger & Hashable>(
        _ sql: String, _ days: ClosedRange<Int32>?
    ) throws(Fault) -> [Key: Int] {
        var run = try SQLRun(database, sql)
        run.bind(days?.lowerBound ?? Int32.min)
        run.bind(days?.upperBound ?? Int32.max)
        var sums: [Key: Int] = [:]
        while try run.step() {
            let rows = try run.count(1)
            let key: Key = try run.number(0)
            let (sum, overflow) = sums[key, default: 0].addingReportingOverflow(rows)
            guard !overflow else { throw Fault(.damaged, "a total in the catalog is out of range") }
            sums[key] = sum
        }
        return sums
    }
}
