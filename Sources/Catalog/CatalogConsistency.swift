// What the tables of the catalog say of each other. Each check adds sentences; none of them stops at the
// first finding, and damage that keeps a check from ending is itself a finding.

import EventStoreCore
import GRDB

struct CatalogConsistency {
    private(set) var findings: [String] = []
    private let reader: CatalogReader
    private static let findingsPerCheckMax = 20

    init(_ reader: CatalogReader) { self.reader = reader }

    /// SQLite's own check of its b-trees, and in full of its indexes against the tables.
    mutating func structure(full: Bool) {
        check("structure") { (reader) throws(Fault) in
            let pragma = full ? "integrity_check" : "quick_check"
            var run = try SQLRun(reader.database, "PRAGMA \(pragma)(\(Self.findingsPerCheckMax))")
            var lines: [String] = []
            while try run.step() { lines.append(run.text(0)) }
            return lines == ["ok"] ? [] : lines
        }
    }

    mutating func tables() {
        check("settings", Self.settings)
        check("names", Self.names)
        check("journal", Self.journal)
        check("segments", Self.segments)
        check("totals", Self.totals)
        check("keys", Self.keys)
    }

    private mutating func check(_ table: String, _ body: (CatalogReader) throws(Fault) -> [String]) {
        do throws(Fault) {
            let lines = try body(reader)
            findings += lines.prefix(Self.findingsPerCheckMax).map { "\(table): \($0)" }
            if lines.count > Self.findingsPerCheckMax {
                findings.append("\(table): \(lines.count - Self.findingsPerCheckMax) more findings")
            }
        } catch {
            findings.append("\(table): \(error.message)\(error.cause.map { " (\($0))" } ?? "")")
        }
    }

    // MARK: The checks

    private static func settings(_ reader: CatalogReader) throws(Fault) -> [String] {
        var lines: [String] = []
        let settings = try reader.settings()
        if settings.storeID.count != 16 { lines.append("the store's id has \(settings.storeID.count) bytes") }
        if !(1...3).contains(settings.partition) { lines.append("partition \(settings.partition) is unknown") }
        for table in ["settings", "state"] {
            let count = try number("SELECT count(*) FROM \(table)", reader)
            if count != 1 { lines.append("\(table) has \(count) rows instead of 1") }
        }
        if try number("SELECT count(*) FROM state WHERE next_segment <= (SELECT max(number) FROM segment)", reader) != 0
        {
            lines.append("the next segment number is already taken")
        }
        return lines
    }

    private static func names(_ reader: CatalogReader) throws(Fault) -> [String] {
        var lines: [String] = []
        let entities = Set(try reader.entities().map(\.number))
        var shared: [UInt64: Bool] = [:]
        for name in try reader.names() { shared[key(name.kind, name.number)] = name.shared != nil }
        for holder in try reader.holders() {
            let place = "name \(holder.name) of kind \(holder.kind) held by entity \(holder.entity)"
            switch shared[key(holder.kind, holder.name)] {
            case nil: lines.append("\(place): there is no such name")
            case true?: lines.append("\(place): the name is shared")
            case false?: break
            }
            if !entities.contains(holder.entity) { lines.append("\(place): there is no such entity") }
        }
        return lines
    }

    private static func key(_ kind: Int, _ number: UInt32) -> UInt64 {
        UInt64(truncatingIfNeeded: kind) << 32 | UInt64(number)
    }

    /// Entries follow each other without overlap, and all lie before the next sequence.
    private static func journal(_ reader: CatalogReader) throws(Fault) -> [String] {
        var lines: [String] = []
        var end: UInt64 = 0
        var run = try SQLRun(
            reader.database,
            "SELECT first_sequence, rows, received_ms, length(blob) FROM journal ORDER BY first_sequence")
        while try run.step() {
            let first: UInt64 = try run.number(0)
            let rows = try run.count(1)
            if first < end { lines.append("the entry of sequence \(first) overlaps the one before") }
            end = first &+ UInt64(rows)
        }
        let next = try reader.nextSequence()
        if end > next { lines.append("entries reach sequence \(end), the next one is \(next)") }
        return lines
    }

    private static func segments(_ reader: CatalogReader) throws(Fault) -> [String] {
        var lines: [String] = []
        var ids: Set<[UInt8]> = []
        let next = try reader.nextSequence()
        for segment in try reader.segments(overlapping: nil) {
            let place = "segment \(segment.number)"
            if segment.id.count != 12 || !ids.insert(segment.id).inserted {
                lines.append("\(place): its id is not 12 bytes or not its own")
            }
            if segment.minTime > segment.maxTime || segment.minSequence > segment.maxSequence {
                lines.append("\(place): a range ends before it begins")
            }
            if segment.rows > 0, segment.maxSequence >= next {
                lines.append("\(place): holds sequence \(segment.maxSequence), the next one is \(next)")
            }
            if !(0...1).contains(segment.state) { lines.append("\(place): state \(segment.state) is unknown") }
            let parts = try reader.segmentEntities(segment: segment.number, entities: nil)
            if let finding = partFinding(segment, parts) { lines.append("\(place): \(finding)") }
        }
        let strays = try number(
            "SELECT count(*) FROM segment_entity WHERE segment NOT IN (SELECT number FROM segment)", reader)
        if strays != 0 { lines.append("\(strays) entity rows belong to segments that are not there") }
        return lines
    }

    private static func partFinding(_ segment: CatalogSegment, _ parts: [CatalogSegmentEntity]) -> String? {
        var rows = 0
        let types = Set(segment.types)
        for part in parts {
            rows &+= part.rows
            if part.minTime < segment.minTime || part.maxTime > segment.maxTime {
                return "entity \(part.entity) has times outside the segment's"
            }
            if part.headOffset &+ part.headLength > segment.fileBytes {
                return "entity \(part.entity) has its directory outside the file"
            }
            if !part.types.allSatisfy({ types.contains($0.type) }) {
                return "entity \(part.entity) has a type the segment does not list"
            }
        }
        return rows == segment.rows ? nil : "\(segment.rows) rows, its entities have \(rows)"
    }

    /// Parts under an older key than their entity's are parts there are, under keys that are not destroyed.
    private static func keys(_ reader: CatalogReader) throws(Fault) -> [String] {
        guard try reader.database.hasKeyTables() else { return [] }
        var lines: [String] = []
        let strays = try number(
            """
            SELECT count(*) FROM part_key AS k WHERE NOT EXISTS
              (SELECT 1 FROM segment_entity AS p WHERE p.segment = k.segment AND p.entity = k.entity)
            """, reader)
        if strays != 0 { lines.append("\(strays) keys of parts belong to parts that are not there") }
        let lost = try number(
            """
            SELECT count(*) FROM part_key AS k WHERE NOT EXISTS
              (SELECT 1 FROM retired_key AS r WHERE r.key_id = k.key_id AND r.entity = k.entity AND r.destroyed_ms = 0)
            """, reader)
        if lost != 0 { lines.append("\(lost) parts are under a key their entity never had or that is destroyed") }
        return lines
    }

    /// Totals count the rows of live segments: per entity, per type, and per day where a partition is a day.
    private static func totals(_ reader: CatalogReader) throws(Fault) -> [String] {
        var byEntity: [UInt32: Int] = [:]
        var byType: [UInt32: Int] = [:]
        var byDay: [Int32: Int] = [:]
        let daily = try reader.settings().partition == 1
        for segment in try reader.segments(overlapping: nil) where segment.state == CatalogSegment.live {
            for part in try reader.segmentEntities(segment: segment.number, entities: nil) {
                byEntity[part.entity, default: 0] &+= part.rows
                for type in part.types { byType[type.type, default: 0] &+= type.rows }
            }
            let day = segment.partitionStart.floored(by: Limits.msPerDay)
            if let day = Int32(exactly: day) { byDay[day, default: 0] &+= segment.rows }
        }
        var lines = differences("entity", try reader.rowsByEntity(days: nil), byEntity)
        lines += differences("type", try reader.rowsByType(days: nil), byType)
        if daily { lines += differences("day", try reader.rowsByDay(days: nil), byDay) }
        let negative = try number(
            "SELECT (SELECT count(*) FROM entity_day WHERE rows <= 0) + (SELECT count(*) FROM type_day WHERE rows <= 0)",
            reader)
        if negative != 0 { lines.append("\(negative) totals of a day are not above 0") }
        return lines
    }

    private static func differences<Key: Hashable & Comparable>(
        _ what: String, _ totals: [Key: Int], _ index: [Key: Int]
    ) -> [String] {
        Set(totals.keys).union(index.keys).sorted().compactMap { key in
            let (total, rows) = (totals[key] ?? 0, index[key] ?? 0)
            return total == rows ? nil : "\(what) \(key) has \(total) rows in the totals, \(rows) in the segments"
        }
    }

    private static func number(_ sql: String, _ reader: CatalogReader) throws(Fault) -> Int64 {
        var run = try SQLRun(reader.database, sql)
        return try run.step() ? run.int64(0) : 0
    }
}

extension Int64 {
    fileprivate func floored(by unit: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: unit)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
