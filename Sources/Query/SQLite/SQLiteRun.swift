// General SELECT statements, run by SQLite over virtual tables of one snapshot: joins, windows, common table
// expressions, sub-queries, compound SELECTs, and whatever else the store's own engine does not take.

import EventStoreCore
import GRDBSQLite

/// One statement over one snapshot, its rows stepped as they are asked for.
///
/// Sendable by confinement: one thread at a time uses it, as SQLite's connection without a mutex demands; only
/// `interrupt` may be called from any thread at any time, and it touches nothing but an atomic flag.
package final class SQLiteRun: @unchecked Sendable {
    /// Names of the result's columns, and whether their integers are times: a best effort, by the column a value
    /// comes from and by the functions `time_bucket`, `date_trunc`, `min`, `max`, `first`, `last`.
    package let columns: [(name: String, isTime: Bool)]
    private let text: String
    private let stop: StopFlag
    let context: SQLiteContext
    /// What the virtual tables read.
    package var table: any EventTable { context.table }
    private var connection: OpaquePointer?
    private var statement: OpaquePointer?

    /// - Parameters:
    ///   - attributes: names of the attributes that the text may mention as columns; `*` does not give them.
    ///   - parameters: values of `:name`, `@name` and `$name`.
    ///   - memoryLimit: bytes for sorting, grouping and joins.
    package init(
        text: String, attributes: [String], parameters: [String: SQLValue], table: any EventTable,
        zones: any ZoneSource, memoryLimit: Int
    ) throws(Fault) {
        let stop = StopFlag()
        let context = SQLiteContext(
            table: table, zones: zones, attributes: try Self.declarable(attributes), traits: StatementTraits(text),
            memoryLimit: memoryLimit, stop: stop)
        let connection = try Self.open(context)
        do throws(Fault) {
            let statement = try Self.prepare(text, on: connection, context)
            do throws(Fault) {
                try Self.bind(parameters, to: statement)
            } catch {
                sqlite3_finalize(statement)
                throw error
            }
            (self.text, self.stop, self.context) = (text, stop, context)
            (self.connection, self.statement) = (connection, statement)
            columns = Self.columns(of: statement, context.traits)
        } catch {
            sqlite3_close_v2(connection)
            throw error
        }
    }

    deinit { close() }

    // MARK: Rows

    /// The next rows, at most `max`, by columns; `nil` after the last. After an error there are no more rows.
    package func next(max: Int) throws(Fault) -> [[SQLValue]]? {
        guard let connection, let statement else { return nil }
        var batch = [[SQLValue]](repeating: [], count: columns.count)
        var count = 0
        while count < max {
            if stop.isSet {
                close()
                throw SQLiteContext.cancelled
            }
            let result = sqlite3_step(statement)
            if result == SQLITE_ROW {
                try read(statement, into: &batch)
                count += 1
                continue
            }
            let fault = result == SQLITE_DONE ? nil : SQLiteFault.of(connection, context, text: text)
            close()
            if let fault { throw fault }
            break
        }
        return count == 0 ? nil : batch
    }

    private func read(_ statement: OpaquePointer, into batch: inout [[SQLValue]]) throws(Fault) {
        for column in batch.indices {
            guard let value = SQLValue(column: Int32(column), of: statement) else {
                let fault = Fault(.invalid, "the result \(columns[column].name) is a BLOB; write hex(…) around it")
                close()
                throw fault
            }
            batch[column].append(value)
        }
    }

    /// Makes `next` fail with `cancelled` soon. From any thread.
    package func interrupt() { stop.set() }

    /// Lets go of the snapshot and the connection.
    package func close() {
        if let statement { sqlite3_finalize(statement) }
        if let connection { sqlite3_close_v2(connection) }
        (statement, connection) = (nil, nil)
    }

    // MARK: Explaining

    /// SQLite's plan, indented, with what each scan of a virtual table takes over.
    package func explain() throws(Fault) -> [String] {
        guard let connection else { return [] }
        let plan = try Self.prepare("EXPLAIN QUERY PLAN " + text, on: connection, context, isPlan: true)
        defer { sqlite3_finalize(plan) }
        var depths: [Int32: Int] = [0: -1]
        var lines: [String] = []
        while true {
            let result = sqlite3_step(plan)
            if result == SQLITE_DONE { return lines }
            guard result == SQLITE_ROW else { throw SQLiteFault.of(connection, context, text: text) }
            let depth = (depths[sqlite3_column_int(plan, 1)] ?? -1) + 1
            depths[sqlite3_column_int(plan, 0)] = depth
            let detail = sqlite3_column_text(plan, 3).map { String(cString: $0) } ?? ""
            lines.append(String(repeating: "  ", count: depth) + Self.readable(detail))
        }
    }

    /// `SCAN e VIRTUAL TABLE INDEX 3:pushed down: …` without what only SQLite understands.
    private static func readable(_ detail: String) -> String {
        let mark = " VIRTUAL TABLE INDEX "
        let words = Array(detail.utf8)
        let sought = Array(mark.utf8)
        guard words.count > sought.count,
            let start = (0...(words.count - sought.count)).first(where: { words[$0...].starts(with: sought) }),
            let colon = words[(start + sought.count)...].firstIndex(of: UInt8(ascii: ":"))
        else { return detail }
        let rest = String(decoding: words[(colon + 1)...], as: UTF8.self)
        return String(decoding: words[..<start], as: UTF8.self) + (rest.isEmpty ? "" : " (\(rest))")
    }
}
