// What is kept of which entity, and for how long: plans, states and floors in memory.
//
// Invariant: neither index nor totals have a row of an entity below its record's floor, as long as partitions are
// days; the floor that counts for readers is the later one of the record's and the plan's cut-off.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Synchronization

/// The stages of an entity's life. Raw values stand in the catalog.
enum LifeState: Int, Sendable {
    case active = 0
    /// Writes are refused.
    case suspended = 1
    /// Writes are refused; the data lives out its retention, then the entity is erased.
    case cancelled = 2
    /// Nothing of it is visible any more; its key is about to be destroyed. Never taken back.
    case erasing = 3
    /// Its key is destroyed. The record says which one, and nothing else.
    case erased = 4
}

extension EntityRecord {
    var life: LifeState { LifeState(rawValue: state) ?? .erased }
    var isErased: Bool { life == .erasing || life == .erased }
}

final class LifeTable: Sendable {
    private struct State {
        /// By entity number, without gaps.
        var records: [EntityRecord] = []
        /// Days by name; 0 keeps for ever.
        var plans: [String: Int] = [:]
        var generation = 0
        var cached: (generation: Int, keys: UInt64, day: Int64, visibility: Visibility)?
    }

    let partition: Partition
    private let keyring: Keyring
    /// In an export nothing expires.
    private let isFrozen: Bool
    private let state = Mutex(State())

    init(_ partition: Partition, _ keyring: Keyring, isFrozen: Bool = false) {
        self.partition = partition
        self.isFrozen = isFrozen
        self.keyring = keyring
    }

    // MARK: Loading

    func load(_ reader: CatalogReader, _ entities: [EntityRecord]) throws(Fault) {
        let plans = try reader.plans()
        state.withLock { state in
            state.records = []
            for record in entities { LifeTable.put(record, &state) }
            state.plans = Plans.days(plans)
            state.generation += 1
        }
    }

    private static func put(_ record: EntityRecord, _ state: inout State) {
        while state.records.count <= Int(record.number) {
            // A number that no commit has stored yet.
            state.records.append(
                EntityRecord(
                    number: UInt32(state.records.count), keyID: 0, sealedName: [], tag: [], createdMs: 0, plan: "",
                    state: LifeState.active.rawValue, floorMs: .min))
        }
        state.records[Int(record.number)] = record
    }

    /// Takes over records that were added, or that a commit has changed.
    func update(_ records: [EntityRecord], plans: [PlanRecord] = []) {
        guard !records.isEmpty || !plans.isEmpty else { return }
        state.withLock { state in
            for record in records { LifeTable.put(record, &state) }
            for plan in plans { state.plans[plan.name] = plan.days }
            state.generation += 1
        }
    }

    // MARK: Asking

    func record(_ entity: UInt32) -> EntityRecord? {
        state.withLock { Int(entity) < $0.records.count ? $0.records[Int(entity)] : nil }
    }

    var records: [EntityRecord] { state.withLock { $0.records } }
    var plans: [String: Int] { state.withLock { $0.plans } }

    /// Days an entity's events are kept; 0 is for ever.
    func days(_ record: EntityRecord) -> Int { state.withLock { LifeTable.days(record, $0.plans) } }

    private static func days(_ record: EntityRecord, _ plans: [String: Int]) -> Int {
        record.days > 0 ? record.days : plans[record.plan] ?? 0
    }

    /// Retention days by entity number: segments hold entities that expire together.
    func retentionDays() -> [Int] {
        state.withLock { state in state.records.map { LifeTable.days($0, state.plans) } }
    }

    func days(plan: String) -> Int? { state.withLock { $0.plans[plan] } }

    /// The start of the UTC day of (now − days): never early, gone at the first midnight UTC after.
    static func cutOff(days: Int, nowMs: Int64) -> Int64 {
        guard days > 0 else { return .min }
        return (CivilDate.day(ms: nowMs) - Int64(days)) * Limits.msPerDay
    }

    /// What readers may see now. Computed once a day and change.
    func visibility(nowMs: Int64) -> Visibility {
        let day = CivilDate.day(ms: nowMs)
        let keys = keyring.generation
        return state.withLock { state in
            if let cached = state.cached, cached.generation == state.generation, cached.keys == keys, cached.day == day
            {
                return cached.visibility
            }
            if state.cached?.keys != keys { state.generation += 1 }
            let visibility = makeVisibility(state, nowMs: nowMs)
            state.cached = (state.generation, keys, day, visibility)
            return visibility
        }
    }

    private func makeVisibility(_ state: State, nowMs: Int64) -> Visibility {
        if isFrozen { return Visibility(floors: [], isPending: [], stamp: UInt64(state.generation)) }
        var floors: [Int64] = []
        var isPending: [Bool] = []
        floors.reserveCapacity(state.records.count)
        for record in state.records {
            // Data from before an erasure with keys from after it: its index still has the entity.
            let isKeyErased = record.keyID != 0 && keyring.tombstone(record.keyID) != nil
            if record.isErased || isKeyErased {
                floors.append(.max)
                isPending.append(!record.isErased)
                continue
            }
            let cutOff = LifeTable.cutOff(days: LifeTable.days(record, state.plans), nowMs: nowMs)
            let floor = max(record.floorMs, cutOff)
            floors.append(floor)
            // A longer partition may hold rows on both sides of a floor.
            isPending.append(cutOff > record.floorMs || partition != .day && floor > .min)
        }
        return Visibility(
            floors: floors, isPending: isPending,
            stamp: UInt64(bitPattern: CivilDate.day(ms: nowMs)) << 24 ^ UInt64(state.generation))
    }
}
