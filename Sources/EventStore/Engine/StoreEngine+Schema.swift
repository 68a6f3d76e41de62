// Types and attributes as the stored events have them: segments in parallel, one tally a thread, merged.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments
import Synchronization

extension StoreEngine {
    func schema(
        _ filter: EventFilter, progress: (@Sendable (Double) -> Void)?
    ) throws(Fault) -> StoreSchema {
        guard let compiled = try context.names.compile(filter) else {
            try requireOpen()
            return StoreSchema()
        }
        return try onSnapshot { (snapshot, missingIsDamage) throws(Fault) in
            try schema(compiled, snapshot, missingIsDamage, progress)
        }
    }

    private func schema(
        _ filter: RowFilter, _ snapshot: Published, _ missingIsDamage: Bool, _ progress: (@Sendable (Double) -> Void)?
    ) throws(Fault) -> StoreSchema {
        let tally = SchemaTally(seed: context.tallySeed, budget: context.memoryBudget / 2)
        for batch in snapshot.memory where batch.times.overlaps(filter.times) { tally.add(batch.rows, filter) }
        let handles = snapshot.segments.all.filter { $0.times.overlaps(filter.times) }
        let threads = min(context.threads, handles.count)
        let pool = SchemaWorkers(context, filter, missingIsDamage, threads: max(1, threads))
        let done = Atomic<Int>(0)
        try Workers.run(handles.count, threads: threads) { (index) throws(Fault) in
            try pool.use { (worker) throws(Fault) in try worker.add(handles[index]) }
            let count = done.add(1, ordering: .relaxed).newValue
            progress?(Double(count) / Double(handles.count))
        }
        var damage: [Fault] = []
        for worker in pool.all() {
            tally.merge(worker.tally)
            damage += worker.scan.damage
        }
        var schema = StoreSchema()
        schema.types = SchemaText(names: context.names).types(tally)
        schema.damage = damage.first.map { EventStoreError($0) }
        return schema
    }
}

extension ReadContext {
    /// The store's own: nobody outside can choose values for it, and estimates do not change from run to run.
    fileprivate var tallySeed: UInt64 { settings.storeID.reduce(0x9e37_79b9_7f4a_7c15) { Hash.mix($0, UInt64($1)) } }
}

/// What one thread at a time counts with. `@unchecked Sendable`: the pool hands a worker to one thread at a time,
/// through a lock that orders what one did before what the next does.
private final class SchemaWorker: @unchecked Sendable {
    let scan: PartitionScan
    let tally: SchemaTally

    init(_ scan: PartitionScan, _ tally: SchemaTally) {
        self.scan = scan
        self.tally = tally
    }

    func add(_ handle: SegmentHandle) throws(Fault) {
        let entries = try scan.entries(handle)
        try scan.forEachBlock(handle, entries, times: { $0 }) { (source, rows) throws(Fault) in
            try tally.add(scan.scanner, source, rows)
        }
    }
}

private final class SchemaWorkers: Sendable {
    private let idle: Mutex<[SchemaWorker]>

    init(_ context: ReadContext, _ filter: RowFilter, _ missingIsDamage: Bool, threads: Int) {
        let (seed, budget) = (context.tallySeed, context.memoryBudget / 2 / threads)
        idle = Mutex(
            (0..<threads).map { _ in
                let scan = PartitionScan(context, filter)
                scan.missingIsDamage = missingIsDamage
                return SchemaWorker(scan, SchemaTally(seed: seed, budget: budget))
            })
    }

    func use(_ body: (SchemaWorker) throws(Fault) -> Void) throws(Fault) {
        guard let worker = idle.withLock({ $0.popLast() }) else { preconditionFailure("more threads than workers") }
        defer { idle.withLock { $0.append(worker) } }
        try body(worker)
    }

    func all() -> [SchemaWorker] { idle.withLock { $0 } }
}

/// From numbers to names.
private struct SchemaText {
    private static let samplesMax = 5
    let names: NameTable

    func types(_ tally: SchemaTally) -> [TypeSchema] {
        let types = tally.types.compactMap { number, type -> TypeSchema? in
            guard let name = names.typeName(number), let times = type.times else { return nil }
            return TypeSchema(
                type: name, events: type.events, entities: type.entities.count, firstTimestamp: times.lowerBound,
                lastTimestamp: times.upperBound,
                attributes: type.attributes.compactMap { attribute($0.key, $0.value, of: type.events) }
                    .sorted { $0.name < $1.name })
        }
        return types.sorted { ($1.events, $0.type) < ($0.events, $1.type) }
    }

    private func attribute(_ number: UInt32, _ tally: AttributeTally, of events: Int) -> AttributeSchema? {
        let count = tally.kinds.reduce(0, +)
        // A column of the block that no row of this type has.
        guard count > 0, let name = names.attributeName(number) else { return nil }
        let kinds = tally.kinds.enumerated().filter { $0.element > 0 }.sorted { $0.element > $1.element }
        return AttributeSchema(
            name: name, events: count, fillRate: Double(count) / Double(max(1, events)),
            kinds: kinds.map { AttributeSchema.KindCount(kind: SchemaText.kindNames[$0.offset], count: $0.element) },
            distinct: tally.values.distinct, distinctIsExact: tally.values.isExact,
            minimum: SchemaText.extreme(tally, \.lowerBound, \.lowerBound) { $0 <= $1 },
            maximum: SchemaText.extreme(tally, \.upperBound, \.upperBound) { $0 >= $1 },
            samples: tally.values.top(SchemaText.samplesMax))
    }

    /// By raw value of the kind.
    private static let kindNames = ["string", "integer", "double", "bool", "json"]

    private static func extreme(
        _ tally: AttributeTally, _ integer: (ClosedRange<Int64>) -> Int64, _ double: (ClosedRange<Double>) -> Double,
        wins: (Double, Double) -> Bool
    ) -> AttributeValue? {
        switch (tally.integers.map(integer), tally.doubles.map(double)) {
        case (let integer?, let double?): wins(Double(integer), double) ? .integer(integer) : .double(double)
        case (let integer?, nil): .integer(integer)
        case (nil, let double?): .double(double)
        case (nil, nil): nil
        }
    }
}
