// Questions in SQL: parsed, planned, and run by the engine that can.

import Dispatch
import EventStoreCore
import EventStoreQuery

/// The attributes of a store, for the parser.
struct StoreNames: NameCatalog {
    private let names: NameTable
    init(_ names: NameTable) { self.names = names }
    func hasAttribute(_ name: String) -> Bool { names.number(ofAttribute: name) != nil }
    func attributeNames() -> [String] { names.names(of: .attribute) }
}

extension StoreEngine {
    func query(_ sql: String, _ parameters: [String: QueryValue]) throws(Fault) -> any QueryRun {
        // A reader learns of new names with a new snapshot.
        let published = try snapshot()
        let parsed = try SQLParser.parse(
            sql, parameters: parameters.mapValues(\.sqlValue), names: StoreNames(context.names))
        switch parsed.body {
        case .native(let query):
            return parsed.isExplain ? ExplainRun(try explain(query)) : try NativeRun(self, query, published)
        case .general(let statement):
            return parsed.isExplain ? ExplainRun(try explain(statement)) : try GeneralRun(self, statement)
        }
    }

    func query(_ query: EventQuery) throws(Fault) -> any QueryRun {
        let published = try snapshot()
        return try NativeRun(self, try query.selectQuery(names: StoreNames(context.names)), published)
    }

    private func explain(_ query: SelectQuery) throws(Fault) -> [String] {
        let source = QuerySnapshot(context, try snapshot(), missingIsDamage: false)
        return try NativeQuery(query, source: source, environment: queryEnvironment).explain()
    }

    private func explain(_ statement: GeneralStatement) throws(Fault) -> [String] {
        let run = try GeneralRun.sqlite(self, statement)
        defer { run.close() }
        return ["engine: SQLite over the store's scan, because of \(statement.reason)"] + (try run.explain())
    }

    var queryEnvironment: QueryEnvironment {
        QueryEnvironment(
            zones: context.zones, threads: context.threads, memoryBudget: context.memoryBudget / 2,
            cache: context.columnCache
        ) { (count, body) throws(Fault) in
            try Workers.run(count, threads: count, body)
        }
    }
}

/// A query in the store's own engine.
final class NativeRun: QueryRun {
    private let engine: StoreEngine
    private let query: SelectQuery
    private var native: NativeQuery?
    private var attempts = 1
    private var hasBegun = false
    private var returned = 0
    private var nanoseconds: UInt64 = 0
    private var counts = NativeCounts()
    let columns: [QueryColumn]

    init(_ engine: StoreEngine, _ query: SelectQuery, _ published: Published) throws(Fault) {
        self.engine = engine
        self.query = query
        let start = engine.monotonicNanoseconds
        let native = try NativeRun.begin(engine, query, published, missingIsDamage: false)
        self.native = native
        columns = native.columns.map { QueryColumn(name: $0.name, isTime: $0.isTime) }
        nanoseconds = engine.monotonicNanoseconds - start
    }

    private static func begin(
        _ engine: StoreEngine, _ query: SelectQuery, _ published: Published, missingIsDamage: Bool
    ) throws(Fault) -> NativeQuery {
        let source = QuerySnapshot(engine.context, published, missingIsDamage: missingIsDamage)
        return try NativeQuery(query, source: source, environment: engine.queryEnvironment)
    }

    func nextBatch() throws(Fault) -> QueryBatch? {
        let start = engine.monotonicNanoseconds
        defer { nanoseconds += engine.monotonicNanoseconds - start }
        while let native {
            do throws(Fault) {
                let rows = try native.next()
                counts = native.counts
                hasBegun = true
                guard let rows else {
                    close()
                    return nil
                }
                let count = rows.first?.count ?? 0
                returned += count
                if count > 0 { return QueryBatch(columns: rows, count: count) }
            } catch {
                // Another process merged a segment away: the same question of a new snapshot, if nothing was said yet.
                guard error.code == .notFound, !hasBegun, attempts <= CursorRun.attemptsMax else { throw error }
                attempts += 1
                self.native = try NativeRun.begin(
                    engine, query, try engine.snapshot(), missingIsDamage: attempts > CursorRun.attemptsMax)
            }
        }
        return nil
    }

    var statistics: QueryStatistics {
        var statistics = QueryStatistics()
        statistics.rowsScanned = counts.rowsScanned
        statistics.rowsReturned = returned
        statistics.blocksRead = counts.blocksRead
        statistics.blocksPruned = counts.blocksPruned
        statistics.bytesRead = counts.bytesRead
        statistics.milliseconds = Double(nanoseconds) / 1e6
        return statistics
    }

    func close() { native = nil }
}

extension StoreEngine {
    var monotonicNanoseconds: UInt64 { DispatchTime.now().uptimeNanoseconds }
}

/// The lines of a plan, as rows of one column.
private final class ExplainRun: QueryRun {
    let columns = [QueryColumn(name: "plan", isTime: false)]
    private(set) var statistics = QueryStatistics()
    private var lines: [String]?

    init(_ lines: [String]) { self.lines = lines }

    func nextBatch() -> QueryBatch? {
        guard let lines else { return nil }
        close()
        statistics.rowsReturned = lines.count
        return QueryBatch(columns: [lines.map { .text($0) }], count: lines.count)
    }

    func close() { lines = nil }
}
