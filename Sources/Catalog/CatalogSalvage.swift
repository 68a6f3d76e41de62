// Copies what can be read of a damaged catalog, row by row, into a new one.
//
// A damaged page ends a scan of its table: rows are read from the front until then, and from the back until there. What
// indexes and free pages hold is made anew. Large values lie on pages of their own, so that a journal entry whose blob
// is lost is still counted.

import EventStoreCore
import GRDB

/// What a copy of a damaged catalog lacks.
package struct CatalogSalvage: Sendable {
    /// Tables of which rows may be missing.
    package private(set) var damagedTables: Set<String> = []
    /// Journal entries whose rows are lost: first sequence and number of rows.
    package private(set) var lostEntries: [(firstSequence: UInt64, rows: Int)] = []

    /// What a store can do without, or what its segments say as well.
    package static let replaceable: Set<String> = [
        "segment_entity", "segment_day", "entity_day", "type_day", "batch", "tally", "arrived", "journal",
    ]

    /// Copies a catalog into a file that does not exist yet; one file without a log, durable when this returns. Nothing
    /// else may write to the catalog meanwhile.
    package static func copy(_ catalog: Catalog, to target: String) throws(Fault) -> CatalogSalvage {
        let settings = try catalog.read { (reader) throws(Fault) in try reader.settings() }
        try Catalog.create(path: target, settings: settings)
        let copy = try Catalog.open(path: target, mode: .writer)
        defer { copy.close() }
        var result = CatalogSalvage()
        for (name, tables) in CatalogSchema.later where try exists(name, catalog) {
            try copy.write { database in for table in tables { try database.execute(sql: table) } }
        }
        for table in try tables(of: copy) where table.name != "settings" {
            try result.copy(table, catalog, copy)
        }
        try copy.checkpointAndTruncate()
        try copy.leaveLogMode()
        return result
    }

    private struct Table {
        var name: String
        var columns: [String]
        /// The columns of its primary key, in order.
        var key: [String]
        var isJournal: Bool { name == "journal" }
    }

    private static func tables(of catalog: Catalog) throws(Fault) -> [Table] {
        try catalog.write { database in
            let names = try String.fetchAll(database, sql: "SELECT name FROM sqlite_master WHERE type = 'table'")
            return try names.filter { !$0.hasPrefix("sqlite_") }.map { name in
                let rows = try Row.fetchAll(database, sql: "PRAGMA table_info(\(name))")
                let columns = rows.map { row -> (name: String, place: Int) in (row["name"], row["pk"]) }
                let key = columns.filter { $0.place > 0 }.sorted { $0.place < $1.place }
                return Table(name: name, columns: columns.map(\.name), key: key.map(\.name))
            }
        }
    }

    private mutating func copy(_ table: Table, _ source: Catalog, _ target: Catalog) throws(Fault) {
        guard try CatalogSalvage.exists(table.name, source) else { return }
        // What the new file was made with.
        if table.name == "state" { try target.write { try $0.execute(sql: "DELETE FROM state") } }
        if try CatalogSalvage.scan(table, "ASC", source, target, &lostEntries) { return }
        damagedTables.insert(table.name)
        _ = try CatalogSalvage.scan(table, "DESC", source, target, &lostEntries)
    }

    private static func exists(_ table: String, _ source: Catalog) throws(Fault) -> Bool {
        try source.read { (reader) throws(Fault) in
            var run = try SQLRun(reader.database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?")
            run.bind(table)
            return try run.step()
        }
    }

    /// Copies rows until the end, or until one cannot be read: then it says `false`.
    private static func scan(
        _ table: Table, _ direction: String, _ source: Catalog, _ target: Catalog,
        _ lost: inout [(firstSequence: UInt64, rows: Int)]
    ) throws(Fault) -> Bool {
        // Of the journal first what stands in front of the blobs.
        let columns = table.isJournal ? table.columns.filter { $0 != "blob" } : table.columns
        let order = table.key.map { "\($0) \(direction)" }.joined(separator: ", ")
        let sql = "SELECT \(columns.joined(separator: ", ")) FROM \(table.name) ORDER BY \(order)"
        var rows: [[DatabaseValue]] = []
        var isWhole = true
        do throws(Fault) {
            try source.read { (reader) throws(Fault) in
                try faulting(source.path) {
                    let cursor = try Row.fetchCursor(reader.database, sql: sql)
                    while let row = try cursor.next() { rows.append(Array(row.databaseValues)) }
                }
            }
        } catch {
            guard [.damaged, .cancelled, .io].contains(error.code) else { throw error }
            isWhole = false
        }
        if table.isJournal { rows = try withBlobs(rows, source, target, &lost) }
        let marks = table.columns.map { _ in "?" }.joined(separator: ", ")
        let insert = "INSERT OR IGNORE INTO \(table.name) (\(table.columns.joined(separator: ", "))) VALUES (\(marks))"
        let found = rows
        try target.write { database in
            try database.inTransaction(.immediate) {
                let statement = try database.makeStatement(sql: insert)
                for row in found { try statement.execute(arguments: StatementArguments(row)) }
                return .commit
            }
        }
        return isWhole
    }

    /// Journal rows with their blobs; those whose blob cannot be read are lost.
    private static func withBlobs(
        _ rows: [[DatabaseValue]], _ source: Catalog, _ target: Catalog,
        _ lost: inout [(firstSequence: UInt64, rows: Int)]
    ) throws(Fault) -> [[DatabaseValue]] {
        var whole: [[DatabaseValue]] = []
        for row in rows {
            guard row.count == 3, let first = Int64.fromDatabaseValue(row[0]), let count = Int.fromDatabaseValue(row[1])
            else { continue }
            let number = UInt64(bitPattern: first)
            if lost.contains(where: { $0.firstSequence == number }) { continue }
            do throws(Fault) {
                let blob = try source.read { (reader) throws(Fault) in
                    try faulting(source.path) {
                        try DatabaseValue.fetchOne(
                            reader.database, sql: "SELECT blob FROM journal WHERE first_sequence = ?",
                            arguments: [first])
                    }
                }
                guard let blob else { continue }
                whole.append(row + [blob])
            } catch {
                guard [.damaged, .cancelled, .io].contains(error.code) else { throw error }
                lost.append((number, count))
            }
        }
        return whole
    }
}
