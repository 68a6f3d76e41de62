// What entities have added today, against what they may add.
//
// Events and bytes are claimed before a commit and kept when it succeeds, given back when it does not: what is claimed
// is never less than what is stored, so that batches in flight together stay within the budget as one would. The
// commit that stores a claim's rows stores the claim (catalog table `arrived`), so that a restart changes nothing.

import EventStoreCatalog
import EventStoreCore
import Synchronization

/// What a batch adds of its entities on one UTC day.
struct BudgetClaim: Sendable {
    struct Use: Sendable, Equatable {
        var events = 0
        var bytes = 0
    }
    var day: Int64
    var use: [UInt32: Use] = [:]

    var arrivals: [EntityArrivals] {
        use.sorted { $0.key < $1.key }
            .map { EntityArrivals(entity: $0.key, day: day, events: $0.value.events, bytes: $0.value.bytes) }
    }
}

final class BudgetLedger: Sendable {
    private struct State {
        var budget = StoredBudget()
        var day = Int64.min
        /// Of `day`: committed and claimed.
        var use: [UInt32: BudgetClaim.Use] = [:]
    }
    private let state = Mutex(State())
    private let active = Atomic<Bool>(false)

    /// Whether any entity has a budget. Without one nothing is counted.
    var isActive: Bool { active.load(ordering: .relaxed) }
    var budget: StoredBudget { state.withLock { $0.budget } }

    func set(_ budget: StoredBudget) {
        state.withLock { $0.budget = budget }
        active.store(budget.limitsDays, ordering: .relaxed)
    }

    /// What an earlier process counted.
    func load(_ arrivals: [EntityArrivals], day: Int64) {
        state.withLock { state in
            state.day = day
            state.use = [:]
            for row in arrivals where row.day == day {
                state.use[row.entity] = BudgetClaim.Use(events: row.events, bytes: row.bytes)
            }
        }
    }

    /// Claims rows in their order as far as the budgets of their entities go. Takes one lock for all of them.
    ///
    /// - Parameter place: a row's batch and number in it.
    /// - Returns: the claim, and which of the rows are over the budget (empty when none is).
    func claim(
        _ count: Int, nowMs: Int64, _ place: (Int) -> (batch: RowBatch, row: Int)
    ) -> (claim: BudgetClaim, isOver: [Bool]) {
        let day = CivilDate.day(ms: nowMs)
        return state.withLock { state in
            if state.day != day {
                state.day = day
                state.use = [:]
            }
            var claim = BudgetClaim(day: day)
            var isOver: [Bool] = []
            var sizes = RowSizes(isWanted: state.budget.limitsBytesOfDays)
            var entity: UInt32?
            var (events, bytes) = (0, 0)
            var (used, added) = (BudgetClaim.Use(), BudgetClaim.Use())
            func close() {
                guard let entity, added != BudgetClaim.Use() else { return }
                state.use[entity] = used
                claim.use[entity] = added
            }
            for index in 0..<count {
                let (batch, row) = place(index)
                let number = batch.entityNumbers[Int(batch.entity.base[row])]
                if number != entity {
                    close()
                    entity = number
                    (events, bytes) = (state.budget.events(number), state.budget.bytes(number))
                    used = state.use[number] ?? BudgetClaim.Use()
                    added = claim.use[number] ?? BudgetClaim.Use()
                }
                let size = sizes.bytes(batch, row)
                guard used.events < events, used.bytes <= bytes - size else {
                    if isOver.isEmpty { isOver = [Bool](repeating: false, count: count) }
                    isOver[index] = true
                    continue
                }
                used.events += 1
                used.bytes += size
                added.events += 1
                added.bytes += size
            }
            close()
            return (claim, isOver)
        }
    }

    /// Gives back what was claimed and not stored.
    func giveBack(_ claim: BudgetClaim) {
        state.withLock { state in
            guard state.day == claim.day else { return }
            for (entity, use) in claim.use {
                guard let all = state.use[entity] else { continue }
                state.use[entity] = BudgetClaim.Use(events: all.events - use.events, bytes: all.bytes - use.bytes)
            }
        }
    }
}

/// What an event counts as: the bytes of its entity, type, attribute names and values, eight for a number, and 24 for
/// id and time. It does not depend on how tightly the event is stored. The batches outlive this value.
struct RowSizes {
    private let isWanted: Bool
    private var batch: ObjectIdentifier?
    /// By shape: bytes that all its rows have, and which of its cells are texts.
    private var shapes: [Int: (bytes: Int, texts: [Int])] = [:]

    init(isWanted: Bool) { self.isWanted = isWanted }

    mutating func bytes(_ batch: RowBatch, _ row: Int) -> Int {
        guard isWanted else { return 0 }
        if self.batch != ObjectIdentifier(batch) {
            self.batch = ObjectIdentifier(batch)
            shapes = [:]
        }
        let number = Int(batch.shape.base[row])
        let shape = shapes[number] ?? measure(batch, number)
        var sum = shape.bytes + batch.entities.bytes(Int(batch.entity.base[row])).count
        let cells = batch.cells(ofRow: row)
        for cell in shape.texts { sum += batch.strings.bytes(Int(cells[cell])).count }
        return sum
    }

    private mutating func measure(_ batch: RowBatch, _ number: Int) -> (bytes: Int, texts: [Int]) {
        let shape = batch.shapes[number]
        var bytes = 24 + batch.types.bytes(Int(shape.type)).count
        var texts: [Int] = []
        for (cell, column) in shape.columns.enumerated() {
            bytes += batch.attributes.bytes(Int(column.attribute)).count
            switch column.kind {
            case .string, .json: texts.append(cell)
            case .integer, .double, .bool: bytes += 8
            }
        }
        shapes[number] = (bytes, texts)
        return (bytes, texts)
    }
}
