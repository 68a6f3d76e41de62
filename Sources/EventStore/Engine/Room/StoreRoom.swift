// Whether a store may grow: its own limits, the disk's, and the space set aside for retention and erasure.

import EventStoreCatalog
import EventStoreCore
import Synchronization

final class StoreRoom: Sendable {
    private struct Meter {
        var bytes = 0
        var at: ContinuousClock.Instant?
        /// Space that segment files take, by number.
        var segments: [Int64: Int] = [:]
    }
    let ledger = BudgetLedger()
    let reserve: Reserve
    private let files: StoreFiles
    private let environment: Environment
    private let meter = Mutex(Meter())
    private let limitsStore = Atomic<Bool>(false)

    private static let measuredFor = Duration.seconds(1)

    init(_ files: StoreFiles, _ environment: Environment) {
        self.files = files
        self.environment = environment
        reserve = Reserve(files, environment)
    }

    func set(_ budget: StoredBudget) {
        ledger.set(budget)
        limitsStore.store(budget.limitsStore, ordering: .relaxed)
        changed()
    }

    // MARK: The store's size

    /// The next check measures anew. Of `segments` that lost a part the file is looked at again.
    func changed(_ segments: Set<Int64> = []) {
        meter.withLock { meter in
            meter.at = nil
            for number in segments { meter.segments[number] = nil }
        }
        reserve.somethingWasFreed()
    }

    /// Bytes of disk all files take. Costs a look at every file the first time, then at new ones.
    func measure(_ segments: SegmentSet) throws(Fault) -> Int {
        var bytes = 0
        for name in try environment.files.list(files.root) {
            guard let status = try environment.files.status(Path.join(files.root, name)), !status.isDirectory else {
                continue
            }
            bytes += status.allocatedBytes
        }
        var known = meter.withLock { $0.segments }
        if known.count > 2 * segments.all.count + 64 { known = [:] }
        for handle in segments.all {
            if let size = known[handle.info.number] {
                bytes += size
                continue
            }
            let size = try environment.files.status(handle.path)?.allocatedBytes ?? 0
            known[handle.info.number] = size
            bytes += size
        }
        meter.withLock { meter in
            meter.segments = known
            meter.bytes = bytes
            meter.at = ContinuousClock.now
        }
        return bytes
    }

    private func size(_ segments: SegmentSet) throws(Fault) -> Int {
        let known = meter.withLock { meter -> Int? in
            guard let at = meter.at, ContinuousClock.now - at < StoreRoom.measuredFor else { return nil }
            return meter.bytes
        }
        if let known { return known }
        return try measure(segments)
    }

    // MARK: Admission

    /// Throws `diskFull` when nothing more may be added. Without limits, and with the reserve in place, it costs next
    /// to nothing.
    func check(_ segments: @autoclosure () -> SegmentSet, adding bytes: Int = 0) throws(Fault) {
        if reserve.isReleased {
            try reserve.restore(storeBytes: try size(segments()))
            if reserve.isReleased { throw StoreRoom.diskIsFull(files) }
        }
        guard limitsStore.load(ordering: .relaxed) else { return }
        let budget = ledger.budget
        if let most = budget.maxBytes {
            let size = try size(segments()) + bytes
            if size > most { throw StoreRoom.isOver(size, most, files) }
        }
        if let least = budget.minFree {
            let free = try environment.files.freeBytes(files.root)
            if free - bytes < least { throw StoreRoom.isScarce(free, least, files) }
        }
    }

    /// Counts what was added since the store was measured.
    func added(_ bytes: Int) {
        guard limitsStore.load(ordering: .relaxed) else { return }
        meter.withLock { $0.bytes += bytes }
    }

    private static let remedy =
        "reading goes on; make room (`retention sweep`, `compact`, `entity erase`, shorter plans)"

    private static func isOver(_ size: Int, _ most: Int, _ files: StoreFiles) -> Fault {
        Fault(
            .diskFull,
            "the store is at its budget, \(size) of \(most) bytes; nothing was stored; \(remedy) or raise it "
                + "(`budget set STORE --max-bytes`)", at: .init(file: files.root))
    }

    private static func isScarce(_ free: Int, _ least: Int, _ files: StoreFiles) -> Fault {
        Fault(
            .diskFull,
            "the disk has \(max(0, free)) bytes left and \(least) are to stay free; nothing was stored; \(remedy), "
                + "free some elsewhere, or change this (`budget set STORE --min-free`)", at: .init(file: files.root))
    }

    private static func diskIsFull(_ files: StoreFiles) -> Fault {
        Fault(
            .diskFull, "the disk is full; nothing was stored; \(remedy) or free some elsewhere",
            at: .init(file: files.root))
    }
}
