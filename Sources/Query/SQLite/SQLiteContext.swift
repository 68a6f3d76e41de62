// What the callbacks of one SQLite connection share: the snapshot, the first error, the budget, the flag to stop.

import EventStoreCore
import GRDBSQLite
import Synchronization

/// State of one statement. Confined to the thread that steps it, except for the flag that stops it.
final class SQLiteContext {
    let table: any EventTable
    let zones: any ZoneSource
    let attributes: [String]
    let traits: StatementTraits
    let memoryLimit: Int
    let stop: StopFlag
    /// The first error a callback met: SQLite carries only a text.
    private(set) var fault: Fault?
    /// What the authorizer refused, in plain words.
    var refusal: String?
    /// Attributes the statement reads, as the authorizer saw them: SQLite's own mask ends at 63 columns.
    var attributesRead: Set<String> = []
    /// Bytes held by aggregates and by rows kept for joins.
    private var held = 0
    private let usedAtStart = sqlite3_memory_used()
    /// Statements alive in this process: the budget below counts memory of all of SQLite.
    private static let running = Atomic<Int>(0)

    /// Tables are being connected; nothing is planned yet.
    var isConnecting = false
    /// How long a join may look rows up in the events before its rows are kept in a hash table instead.
    var joinPatience: Duration = .milliseconds(20)
    private(set) var plans: [VirtualPlan] = []

    init(
        table: any EventTable, zones: any ZoneSource, attributes: [String], traits: StatementTraits, memoryLimit: Int,
        stop: StopFlag
    ) {
        self.table = table
        self.zones = zones
        self.attributes = attributes
        self.traits = traits
        self.memoryLimit = memoryLimit
        self.stop = stop
        Self.running.add(1, ordering: .relaxed)
    }

    deinit { Self.running.subtract(1, ordering: .relaxed) }

    func keep(_ fault: Fault) {
        if self.fault == nil { self.fault = fault }
    }

    /// The plan's number, under which `xFilter` finds it.
    func add(_ plan: VirtualPlan) -> Int {
        plans.append(plan)
        return plans.count - 1
    }

    // MARK: Budget

    /// Counts bytes that Swift holds for the statement; false when they exceed the budget.
    func reserve(_ bytes: Int) -> Bool {
        held += bytes
        return held <= memoryLimit
    }

    func release(_ bytes: Int) { held -= bytes }

    /// Room for rows kept for joins: a quarter of the budget.
    var joinBudget: Int { min(memoryLimit / 4, memoryLimit - held) }

    /// Whether SQLite may go on: neither told to stop nor beyond the budget. SQLite counts its memory for the whole
    /// process only; each of n running statements may grow it by n budgets, so that together they keep to theirs.
    func mayGoOn() -> Bool {
        if stop.isSet {
            keep(Self.cancelled)
            return false
        }
        let grown = Int(sqlite3_memory_used() - usedAtStart)
        if held + grown / max(1, Self.running.load(ordering: .relaxed)) > memoryLimit {
            keep(beyondBudget)
            return false
        }
        return true
    }

    static var cancelled: Fault { Fault(.cancelled, "the query was cancelled") }

    var beyondBudget: Fault {
        Fault(
            .limit,
            "the query needs more memory than its budget of \(memoryLimit) bytes; ask for fewer rows or raise --memory")
    }
}

/// A flag that any thread may set.
final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}
