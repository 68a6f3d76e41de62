// Runs a query over a snapshot in the store's own engine.

import EventStoreCore
import Synchronization

/// What a query may use.
package struct QueryEnvironment: Sendable {
    package var zones: any ZoneSource
    package var threads: Int
    /// Bytes that groups, sorted rows and lists may take.
    package var memoryBudget: Int
    package var cache: ColumnCache
    /// Runs a body for 0 ..< count, each on a thread of its own, and waits.
    package var parallel: @Sendable (Int, @escaping @Sendable (Int) throws(Fault) -> Void) throws(Fault) -> Void

    package init(
        zones: any ZoneSource, threads: Int, memoryBudget: Int, cache: ColumnCache,
        parallel: @escaping @Sendable (Int, @escaping @Sendable (Int) throws(Fault) -> Void) throws(Fault) -> Void
    ) {
        self.zones = zones
        self.threads = threads
        self.memoryBudget = memoryBudget
        self.cache = cache
        self.parallel = parallel
    }
}

package struct NativeCounts: Sendable {
    package init() {}
    package var rowsScanned = 0
    package var blocksRead = 0
    package var blocksPruned = 0
    package var bytesRead = 0

    mutating func add(_ other: NativeCounts) {
        rowsScanned += other.rowsScanned
        blocksRead += other.blocksRead
        blocksPruned += other.blocksPruned
        bytesRead += other.bytesRead
    }
}

/// One query over one snapshot. One thread at a time.
package final class NativeQuery {
    package let columns: [(name: String, isTime: Bool)]
    let plan: NativePlan
    let source: any ScanSource
    let environment: QueryEnvironment
    private(set) var units: [ScanUnit]
    private var isPruned = false
    let scan: UnitPlan
    private(set) var workers: [QueryWorker] = []
    /// Rows ready to be handed out, a column each.
    private var ready: [[SQLValue]]?
    private var readyPosition = 0
    private var nextUnit = 0
    /// Units that are scanned at a time.
    private var waveUnits: Int
    /// Whether few rows are expected to match.
    private var isSelective: Bool
    private var skipped = 0
    private var returned = 0
    private var isDone = false
    package private(set) var counts = NativeCounts()

    /// Rows of a batch at most.
    private static let batchRows = 4096
    /// Fewer rows than this are not worth a second thread.
    private static let parallelRowsMin = 30_000

    package init(
        _ query: SelectQuery, source: any ScanSource, environment: QueryEnvironment
    ) throws(Fault) {
        plan = try NativePlan(query, source, environment.zones)
        self.source = source
        self.environment = environment
        columns = zip(query.items, plan.query.items).map { (name: $0.name, isTime: $1.expression.isTime) }
        scan = plan.scope.isEmpty ? UnitPlan(units: []) : try source.plan(plan.scope)
        units = scan.units
        waveUnits = max(1, environment.threads)
        isSelective = plan.conjuncts.contains(where: \.isSelective)
        // Errors of the query itself come before the first row.
        workers = [try QueryWorker(plan, source, environment)]
        if query.limit == 0 { isDone = true }
    }

    /// The segments read by a query that hands out rows before it has read all of them; of others none.
    package var streamedSegments: Set<Int64> {
        guard plan.grouped == nil, plan.query.orderBy.isEmpty else { return [] }
        return Set(units.lazy.filter { !$0.isMemory }.map(\.key.segment))
    }

    /// The next rows, a column each; `nil` at the end.
    package func next() throws(Fault) -> [[SQLValue]]? {
        if isDone { return nil }
        try prune()
        defer { gatherCounts() }
        if plan.grouped != nil || !plan.query.orderBy.isEmpty {
            if ready == nil { ready = try plan.grouped != nil ? groupedRows() : orderedRows() }
            return nextReady()
        }
        return try nextStreamed()
    }

    private func nextReady() -> [[SQLValue]]? {
        guard let ready, let count = ready.first?.count, readyPosition < count else {
            self.ready = []
            isDone = true
            return nil
        }
        let range = readyPosition..<min(count, readyPosition + NativeQuery.batchRows)
        readyPosition = range.upperBound
        return ready.map { Array($0[range]) }
    }

    private func gatherCounts() {
        counts = NativeCounts()
        for worker in workers {
            counts.rowsScanned += worker.counts.rowsScanned
            counts.blocksRead += worker.context.loader.counts.blocksRead
            counts.blocksPruned += worker.context.loader.counts.blocksPruned
            counts.bytesRead += worker.context.loader.counts.bytesRead
        }
        counts.blocksPruned += scan.entriesPruned
    }

    /// Rules units out by what the heads of their blocks say, once.
    func prune() throws(Fault) {
        if isPruned { return }
        isPruned = true
        guard let pruning = BlockPruning(plan, source) else { return }
        let found = Guarded<[[ScanUnit]]>(units.map { [$0] })
        try forEachUnit(units) { (worker, index, unit) throws(Fault) in
            let kept = try worker.context.loader.pruned(unit, by: pruning)
            if kept.count != 1 || kept[0].key != unit.key { found.withLock { $0[index] = kept } }
        }
        units = found.value.flatMap { $0 }
    }

    // MARK: Workers

    /// Calls `body` for each unit, on as many threads as are worth it. Workers are kept.
    ///
    /// - Parameter goesOn: asked before each unit but the first; at false the units not begun are left out.
    /// - Returns: how many units were done: the first ones.
    @discardableResult
    private func forEachUnit(
        _ units: [ScanUnit], while goesOn: (@Sendable () -> Bool)? = nil,
        _ body: @escaping @Sendable (QueryWorker, Int, ScanUnit) throws(Fault) -> Void
    ) throws(Fault) -> Int {
        let rows = units.reduce(0) { $0 + $1.rowCount }
        let threads = rows < NativeQuery.parallelRowsMin ? 1 : max(1, min(environment.threads, units.count))
        while workers.count < threads { workers.append(try QueryWorker(plan, source, environment)) }
        if threads == 1 {
            for (index, unit) in units.enumerated() {
                if index > 0, let goesOn, !goesOn() { return index }
                try body(workers[0], index, unit)
            }
            return units.count
        }
        let next = SharedCounter()
        let crew = Crew(workers)
        try environment.parallel(threads) { (number) throws(Fault) in
            do throws(Fault) {
                while goesOn?() ?? true, let index = next.take(below: units.count) {
                    try body(crew.workers[number], index, units[index])
                }
            } catch {
                // The others need not go on for an answer that nobody gets.
                next.stop()
                throw error
            }
        }
        return min(units.count, next.taken)
    }

    private func checkBudget(_ bytes: Int) throws(Fault) {
        if bytes > environment.memoryBudget {
            throw NativeQuery.beyond(environment.memoryBudget, "for its groups or sorted rows")
        }
    }

    /// - Parameter purpose: "for its groups".
    static func beyond(_ budget: Int, _ purpose: String) -> Fault {
        Fault(
            .limit,
            "the query needs more than \(budget >> 20) MB \(purpose); ask for less at a time, add a LIMIT, or open "
                + "the store with a larger memory budget")
    }

    // MARK: Groups

    private func groupedRows() throws(Fault) -> [[SQLValue]] {
        guard let grouped = plan.grouped else { return [] }
        let table = try filledGroups()
        return try GroupedResult(plan, grouped, table, environment).rows()
    }

    private func filledGroups() throws(Fault) -> GroupTable {
        guard let first = workers.first?.groups else { preconditionFailure("no groups") }
        if let index = IndexCounting(plan, source, first) {
            if try index.countFromTotals() { return first }
            let worker = workers[0]
            for unit in units {
                if index.count(unit) { continue }
                try worker.group(unit)
            }
            return first
        }
        let budget = environment.memoryBudget
        let held = Guarded(0)
        try forEachUnit(units) { (worker, _, unit) throws(Fault) in
            try worker.group(unit)
            let bytes = worker.groups?.byteCount ?? 0
            held.withLock { $0 += bytes - worker.reportedBytes }
            worker.reportedBytes = bytes
            if held.value > budget {
                throw NativeQuery.beyond(budget, "for its groups")
            }
        }
        for worker in workers.dropFirst() {
            if let groups = worker.groups { first.merge(groups) }
            try checkBudget(first.byteCount)
        }
        return first
    }

    // MARK: Rows as they come

    private func nextStreamed() throws(Fault) -> [[SQLValue]]? {
        while true {
            if let batch = takeStreamed() { return batch }
            guard nextUnit < units.count else {
                isDone = true
                return nil
            }
            try scanWave()
        }
    }

    /// Scans the next units. A wave ends early when it has the rows that are wanted, or as many as memory should hold.
    private func scanWave() throws(Fault) {
        let wave = Array(units[nextUnit..<min(units.count, nextUnit + waveUnits)])
        let source = source
        let wanted = plan.query.rowsWanted.map { $0 - skipped - returned } ?? .max
        // Values of few rows are read when it is known which.
        let loadsLate = !isSelective && wanted >= NativeQuery.batchRows
        let bytesMax = max(1, environment.memoryBudget / 4)
        let results = Guarded(WaveRows(units: wave.count))
        let done = try forEachUnit(wave, while: { results.value.count < wanted && results.value.bytes < bytesMax }) {
            (worker, index, unit) throws(Fault) in
            guard try worker.filter(unit, loadsLate: loadsLate) else { return }
            worker.context.keepFirst(wanted)
            let values: [[SQLValue]]
            if !loadsLate, worker.context.selection.count * 16 < unit.rowCount {
                values = try Materialiser(worker, wave, source).values(worker.selectedRows(index))
            } else {
                values = try worker.items()
            }
            results.withLock { $0.add(values, index) }
        }
        nextUnit += done
        let found = results.value.count
        ready = results.value.joined(columns.count)
        readyPosition = 0
        // Few rows of a wave: larger ones, and values are read only of the rows that are wanted.
        if found < NativeQuery.batchRows { waveUnits = min(waveUnits * 2, environment.threads * 64) }
        isSelective = found * 16 < wave.prefix(done).reduce(0) { $0 + $1.rowCount }
    }

    /// Rows of the wave at hand, between offset and limit.
    private func takeStreamed() -> [[SQLValue]]? {
        guard let ready, let count = ready.first?.count, readyPosition < count else { return nil }
        let skip = min(plan.query.offset - skipped, count - readyPosition)
        if skip > 0 {
            skipped += skip
            readyPosition += skip
        }
        var size = min(count - readyPosition, NativeQuery.batchRows)
        if let limit = plan.query.limit { size = min(size, limit - returned) }
        guard size > 0 else { return nil }
        let range = readyPosition..<readyPosition + size
        readyPosition += size
        returned += size
        if returned == plan.query.limit { isDone = true }
        return ready.map { Array($0[range]) }
    }

    // MARK: Rows in order

    private func orderedRows() throws(Fault) -> [[SQLValue]] {
        let ordering = RowOrdering(plan.query.orderBy)
        if let wanted = plan.query.rowsWanted, wanted <= TopRows.sizeMax {
            let rows = try topRows(wanted, ordering)
            let range = min(plan.query.offset, rows.count)..<rows.count
            let chosen = Array(rows[range])
            return try Materialiser(workers[0], units, source, budget: environment.memoryBudget).values(chosen)
        }
        let found = Guarded<[SortedRow]>([])
        let bytes = Guarded(0)
        let budget = environment.memoryBudget
        try forEachUnit(units) { (worker, index, unit) throws(Fault) in
            guard try worker.filter(unit, loadsLate: true) else { return }
            let rows = try worker.sortedRows(index)
            let size = rows.reduce(0) { $0 + $1.byteCount }
            bytes.withLock { $0 += size }
            if bytes.value > budget {
                throw NativeQuery.beyond(budget, "to sort its rows")
            }
            found.withLock { $0 += rows }
        }
        var rows = found.value
        rows.sort { ordering.precedes($0, $1) }
        let range = min(plan.query.offset, rows.count)..<rows.count
        let chosen = plan.query.limit.map { range.prefix($0) } ?? range[...]
        return columns.indices.map { column in chosen.map { rows[$0].values[column] } }
    }

    private func topRows(_ wanted: Int, _ ordering: RowOrdering) throws(Fault) -> [SortedRow] {
        // In time order the first units fill the list, and the others cannot get in.
        let (order, byTime) = TopRows.order(units, plan.query.orderBy)
        if byTime {
            let top = TopRows(wanted, ordering)
            for number in order {
                if top.excludes(units[number].times, plan.query.orderBy) { break }
                try workers[0].addTop(units[number], number, to: top)
                try checkBudget(top.byteCount)
            }
            return top.sorted()
        }
        let perWorker = Guarded<[ObjectIdentifier: TopRows]>([:])
        let budget = environment.memoryBudget
        try forEachUnit(units) { (worker, index, unit) throws(Fault) in
            let key = ObjectIdentifier(worker)
            let top = perWorker.value[key] ?? TopRows(wanted, ordering)
            perWorker.withLock { $0[key] = top }
            try worker.addTop(unit, index, to: top)
            // The lists are merged into one more.
            if top.byteCount > budget / 2 { throw NativeQuery.beyond(budget, "for its sorted rows") }
        }
        let all = TopRows(wanted, ordering)
        for top in perWorker.value.values { for row in top.sorted() { all.add(row) } }
        return all.sorted()
    }
}

/// The rows that the units of a wave gave, a column each.
private struct WaveRows {
    private var units: [[[SQLValue]]]
    private(set) var count = 0
    private(set) var bytes = 0

    init(units: Int) { self.units = Array(repeating: [], count: units) }

    mutating func add(_ values: [[SQLValue]], _ unit: Int) {
        units[unit] = values
        count += values.first?.count ?? 0
        for column in values { bytes += column.approximateBytes }
    }

    /// In order of the units.
    func joined(_ columnCount: Int) -> [[SQLValue]] {
        var joined: [[SQLValue]] = Array(repeating: [], count: columnCount)
        for unit in units where !unit.isEmpty {
            for column in joined.indices { joined[column] += unit[column] }
        }
        return joined
    }
}

extension [SQLValue] {
    /// Memory, by the lengths of some of many texts.
    var approximateBytes: Int {
        let step = Swift.max(1, count / 256)
        var texts = 0
        for index in stride(from: 0, to: count, by: step) {
            if case .text(let text) = self[index] { texts += text.string.utf8.count + 16 }
        }
        return count * MemoryLayout<SQLValue>.stride + texts * step
    }
}

/// Hands out numbers to threads.
final class SharedCounter: Sendable {
    private let next = Atomic<Int>(0)

    /// How many were handed out; more than there are once all are.
    var taken: Int { next.load(ordering: .acquiring) }

    /// From now on nothing is handed out.
    func stop() { next.store(Int.max / 2, ordering: .relaxed) }

    func take(below count: Int) -> Int? {
        let index = next.add(1, ordering: .relaxed).oldValue
        return index < count ? index : nil
    }
}

/// Workers of a parallel run. `@unchecked Sendable`: each thread uses the worker of its own number only.
private final class Crew: @unchecked Sendable {
    let workers: [QueryWorker]
    init(_ workers: [QueryWorker]) { self.workers = workers }
}

extension Expression {
    /// Whether its integers are times.
    var isTime: Bool {
        switch node {
        case .column(.fixed(.timestamp)), .column(.fixed(.received)): true
        case .function(.timeBucket, _), .function(.dateTrunc, _): true
        case .aggregate(let call):
            [.minimum, .maximum, .first, .last].contains(call.kind) && call.arguments.first?.isTime == true
        default: false
        }
    }
}
