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
        try onSnapshot { (published, missingIsDamage) throws(Fault) in
            let source = QuerySnapshot(context, published, missingIsDamage: missingIsDamage)
            return try NativeQuery(query, source: source, environment: queryEnvironment).explain()
        }
    }

    private func explain(_ statement: GeneralStatement) throws(Fault) -> [String] {
        let run = try GeneralRun.sqlite(self, statement, try snapshot(), false, holdsFiles: false)
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
    /// What `native` reads.
    private var published: Published
    /// What ended it early: said again when asked for more, since an end would look like all the rows.
    private var failure: Fault?
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
        var first: Published? = published
        let (native, read) = try engine.onSnapshot { (fresh, missingIsDamage) throws(Fault) in
            // The names in the question were looked up in this snapshot; a newer one has them as well.
            defer { first = nil }
            return try NativeRun.begin(engine, query, first ?? fresh, missingIsDamage: missingIsDamage)
        }
        self.native = native
        self.published = read
        columns = native.columns.map { QueryColumn(name: $0.name, isTime: $0.isTime) }
        nanoseconds = engine.monotonicNanoseconds - start
    }

    private static func begin(
        _ engine: StoreEngine, _ query: SelectQuery, _ published: Published, missingIsDamage: Bool
    ) throws(Fault) -> (NativeQuery, Published) {
        // Nobody but the writer itself takes a writer's files away, and it keeps them open for its snapshots.
        let source = QuerySnapshot(
            engine.context, published, missingIsDamage: missingIsDamage || engine.lane != nil)
        let native = try NativeQuery(query, source: source, environment: engine.queryEnvironment)
        if engine.lane == nil { try source.hold(native.streamedSegments) }
        return (native, published)
    }

    func nextBatch() throws(Fault) -> QueryBatch? {
        if let failure { throw failure }
        let start = engine.monotonicNanoseconds
        defer { nanoseconds += engine.monotonicNanoseconds - start }
        do throws(Fault) {
            while let native {
                try engine.requireOpen()
                guard let rows = try next(of: native) else { continue }
                let count = rows.first?.count ?? 0
                returned += count
                if count > 0 { return QueryBatch(columns: rows, count: count) }
            }
            return nil
        } catch {
            close()
            failure = error
            throw error
        }
    }

    /// `nil` at the end, which closes the run, and when another query took this one's place.
    private func next(of current: NativeQuery) throws(Fault) -> [[SQLValue]]? {
        do throws(Fault) {
            let rows = try current.next()
            counts = current.counts
            hasBegun = true
            if rows == nil { close() }
            return rows
        } catch {
            try engine.requireOvertaken(error, published, mayBeginAnew: !hasBegun && attempts <= CursorRun.attemptsMax)
            attempts += 1
            (native, published) = try engine.onSnapshot { (published, missingIsDamage) throws(Fault) in
                let isLast = missingIsDamage || attempts > CursorRun.attemptsMax
                return try NativeRun.begin(engine, query, published, missingIsDamage: isLast)
            }
            return nil
        }
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
    /// Before a failure to read is called damage, the catalog is read again: files are merged away, parts of them
    /// erased or expired. Returns when the same question can be asked of a new snapshot.
    ///
    /// - Parameter mayBeginAnew: whether nothing was said yet.
    /// - Throws: the error where it stands; else what happened, where rows were handed out already.
    func requireOvertaken(_ error: Fault, _ published: Published, mayBeginAnew: Bool) throws(Fault) {
        let isMissing = error.code == .notFound
        guard isMissing || error.code == .damaged || error.code == .tampered else { throw error }
        guard try hasLost(published) else {
            guard isMissing, mayBeginAnew else { throw error }
            return
        }
        guard !mayBeginAnew else { return }
        throw isMissing
            ? Fault(.notFound, "segments were merged or dropped while rows were handed out; ask again", at: error.place)
            : Fault(.keyErased, "events were erased or expired while the query read them; ask again", at: error.place)
    }

    /// Whether segments of a snapshot are no more, or have fewer rows.
    private func hasLost(_ published: Published) throws(Fault) -> Bool {
        var rows: [Int64: Int] = [:]
        for handle in try snapshot().segments.all { rows[handle.info.number] = handle.info.rows }
        return published.segments.all.contains { rows[$0.info.number] != $0.info.rows }
    }

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
