// A query that SQLite runs over virtual tables of a snapshot.

import EventStoreCatalog
import EventStoreCore
import EventStoreQuery
import EventStoreSegments

final class GeneralRun: QueryRun {
    private let engine: StoreEngine
    private let statement: GeneralStatement
    private var run: SQLiteRun?
    /// What `run` reads.
    private var published: Published
    /// What ended it early: said again when asked for more, since an end would look like all the rows.
    private var failure: Fault?
    private var attempts = 1
    private var counts = NativeCounts()
    private var returned = 0
    private var nanoseconds: UInt64 = 0
    let columns: [QueryColumn]
    private static let batchRows = 1024

    init(_ engine: StoreEngine, _ statement: GeneralStatement) throws(Fault) {
        self.engine = engine
        self.statement = statement
        let start = engine.monotonicNanoseconds
        let (run, read) = try engine.onSnapshot { (published, missingIsDamage) throws(Fault) in
            (try GeneralRun.sqlite(engine, statement, published, missingIsDamage, holdsFiles: true), published)
        }
        self.run = run
        published = read
        columns = run.columns.map { QueryColumn(name: $0.name, isTime: $0.isTime) }
        nanoseconds = engine.monotonicNanoseconds - start
    }

    /// - Parameter holdsFiles: whether rows will be read, which another process must not take away.
    static func sqlite(
        _ engine: StoreEngine, _ statement: GeneralStatement, _ published: Published, _ missingIsDamage: Bool,
        holdsFiles: Bool
    ) throws(Fault) -> SQLiteRun {
        let source = QuerySnapshot(
            engine.context, published, missingIsDamage: missingIsDamage || engine.lane != nil)
        if holdsFiles, engine.lane == nil { try source.hold() }
        let tables = SmallTables(engine.context, published)
        let table = NativeTable(source, engine.queryEnvironment) { (name) throws(Fault) in try tables.rows(of: name) }
        return try SQLiteRun(
            text: statement.text, attributes: statement.attributes, parameters: statement.parameters, table: table,
            zones: engine.context.zones, memoryLimit: engine.context.memoryBudget / 2)
    }

    func nextBatch() throws(Fault) -> QueryBatch? {
        if let failure { throw failure }
        let start = engine.monotonicNanoseconds
        defer { nanoseconds += engine.monotonicNanoseconds - start }
        do throws(Fault) {
            while let run {
                try engine.requireOpen()
                guard let rows = try next(of: run) else { continue }
                let count = rows.first?.count ?? 0
                returned += count
                return QueryBatch(columns: rows, count: count)
            }
            return nil
        } catch {
            close()
            failure = error
            throw error
        }
    }

    /// `nil` at the end, which closes the run, and when another run took this one's place.
    private func next(of run: SQLiteRun) throws(Fault) -> [[SQLValue]]? {
        do throws(Fault) {
            let rows = try run.next(max: GeneralRun.batchRows)
            if rows == nil { close() }
            return rows
        } catch {
            try engine.requireOvertaken(
                error, published, mayBeginAnew: returned == 0 && attempts <= CursorRun.attemptsMax)
            attempts += 1
            (self.run, published) = try engine.onSnapshot { (published, missingIsDamage) throws(Fault) in
                let isLast = missingIsDamage || attempts > CursorRun.attemptsMax
                return (try GeneralRun.sqlite(engine, statement, published, isLast, holdsFiles: true), published)
            }
            return nil
        }
    }

    var statistics: QueryStatistics {
        var statistics = QueryStatistics()
        let counts = (run?.table as? NativeTable)?.counts ?? counts
        statistics.isNative = false
        statistics.rowsScanned = counts.rowsScanned
        statistics.blocksRead = counts.blocksRead
        statistics.blocksPruned = counts.blocksPruned
        statistics.bytesRead = counts.bytesRead
        statistics.rowsReturned = returned
        statistics.milliseconds = Double(nanoseconds) / 1e6
        return statistics
    }

    func close() {
        run?.close()
        if let table = run?.table as? NativeTable { counts = table.counts }
        run = nil
    }
}

/// The tables `entities` and `segments`.
struct SmallTables: Sendable {
    private let context: ReadContext
    private let published: Published

    init(_ context: ReadContext, _ published: Published) {
        self.context = context
        self.published = published
    }

    func rows(of table: SmallTable) throws(Fault) -> [[SQLValue]] {
        switch table {
        case .segments: try published.segments.all.map { (handle) throws(Fault) in try row(handle) }
        case .entities: try entities()
        }
    }

    private func row(_ handle: SegmentHandle) throws(Fault) -> [SQLValue] {
        let info = handle.info
        return [
            .text(info.id.withUnsafeBytes { SegmentID($0) }.hex), .integer(info.partitionStart),
            .integer(Int64(info.rows)), .integer(Int64(info.fileBytes)),
            .integer(Int64(try handle.entries(context.catalog).count)), .integer(info.minTime),
            .integer(info.maxTime),
        ]
    }

    private struct Summary {
        var events = 0
        var first = Int64.max
        var last = Int64.min

        mutating func add(_ count: Int, _ times: ClosedRange<Int64>) {
            events += count
            first = min(first, times.lowerBound)
            last = max(last, times.upperBound)
        }
    }

    private func entities() throws(Fault) -> [[SQLValue]] {
        var summaries: [UInt32: Summary] = [:]
        for handle in published.segments.all {
            for entry in try handle.entries(context.catalog) {
                summaries[entry.entity, default: Summary()].add(entry.rows, entry.minTime...entry.maxTime)
            }
        }
        for batch in published.memory {
            for row in 0..<batch.rows.rowCount {
                let entity = batch.rows.entityNumbers[Int(batch.rows.entity.base[row])]
                let time = batch.rows.timestamp.base[row]
                summaries[entity, default: Summary()].add(1, time...time)
            }
        }
        let records = try context.catalog.read { (reader) throws(Fault) in try reader.entities() }
        return records.compactMap { record in
            guard let name = context.names.entityName(record.number) else { return nil }
            let summary = summaries[record.number]
            return [
                .text(name), .text(record.plan), .integer(Int64(summary?.events ?? 0)),
                summary.map { .integer($0.first) } ?? .null, summary.map { .integer($0.last) } ?? .null,
            ]
        }
    }
}
