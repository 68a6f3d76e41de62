// The one place that commits. Appends in flight form a group: one leader admits, numbers and seals all of
// them and commits them in one transaction with one sync; the others wait for it. While one group is being
// committed, which is mostly waiting for the disk, the next is being prepared.
//
// A prepared group's rows stand in the active table already (`provisional`), so that the next group is compared
// with them. If their commit fails, or something else changes what exists first, they are taken out again and
// the groups prepared on top of them are prepared anew.
//
// Invariants: the catalog commit is the moment of truth; nothing is acknowledged or visible before it, and
// everything in it is visible after it. Sequences rise in commit order. After a failed sync nothing is ever
// written again (`poisoned`): the store has to be opened anew, which trusts only what is really on disk.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation
import Synchronization

/// `@unchecked Sendable`: everything mutable below is touched only with `lane` held, except the queue of
/// requests, which is touched only with `gate` held, and `published`, which has its own lock. Locks are taken
/// in the order `turn`, `lane`.
final class WriterLane: @unchecked Sendable {
    let context: ReadContext
    let published: Mutex<Published>
    let clock: ClockGuard

    /// Held by whoever commits: commits come one after the other.
    private let turn = NSLock()
    private let lane = NSLock()
    private let gate = NSCondition()
    private var queue: [AppendRequest] = []
    private var hasLeader = false

    // With `lane` held.
    var active = MemoryTable()
    var frozen: MemoryTable?
    private(set) var poison: Fault?
    private let sealer: StoreSealer
    private let encoder: JournalEncoder
    private let storedIDs: StoredIDs
    var inBatch = RowIndex()
    /// What is prepared and not committed: the last batches of the active table, and the ids of batches.
    private var provisionalCount = 0
    private var provisionalTags: [[UInt8]: AppendRequest] = [:]
    private var provisionalNext: UInt64?
    var provisionalClaims: [BudgetClaim] = []
    /// Counts how often provisional rows were taken out again.
    private var epoch = 0

    /// Told when the active table became large enough to be flushed.
    var flushWanted: (@Sendable () -> Void)?
    private let flushDone = NSCondition()

    /// How long the answer of a batch id is remembered at least.
    static let batchesKeptMs: Int64 = 7 * Limits.msPerDay

    static let groupRequestsMax = 256
    static let groupRowsMax = 65_536

    init(_ context: ReadContext, published initial: Published, _ clock: ClockGuard) {
        self.context = context
        self.clock = clock
        published = Mutex(initial)
        sealer = StoreSealer(context.names)
        encoder = JournalEncoder(sealer)
        storedIDs = StoredIDs(context, budgetBytes: context.memoryBudget / 8)
    }

    // MARK: The lock

    /// Runs a change of what exists, alone. Throws `poisoned` when nothing may be written any more.
    func exclusively<T>(_ body: () throws(Fault) -> T) throws(Fault) -> T {
        turn.lock()
        lane.lock()
        defer {
            lane.unlock()
            turn.unlock()
        }
        if let poison { throw poison }
        takeBackProvisional()
        do throws(Fault) {
            return try body()
        } catch {
            noteHeld(error)
            throw error
        }
    }

    /// Commits something that changes neither which rows exist nor their numbers: what is being prepared stays.
    func inTurn<T>(_ body: () throws(Fault) -> T) throws(Fault) -> T {
        turn.lock()
        defer { turn.unlock() }
        if let poison = lanePoison { throw poison }
        do throws(Fault) {
            return try body()
        } catch {
            note(error)
            throw error
        }
    }

    /// Gives a batch's names their numbers, between two groups of appends.
    func admitNames(_ batch: RowBatch, allowNewEntities: Bool, plan: String?) throws(Fault) -> NameAdmission {
        lane.lock()
        defer { lane.unlock() }
        if let poison { throw poison }
        do throws(Fault) {
            return try context.names.admit(batch, allowNewEntities: allowNewEntities, plan: plan)
        } catch {
            noteHeld(error)
            throw error
        }
    }

    /// Ends all writing: what comes later is refused.
    func close() {
        turn.lock()
        lane.lock()
        takeBackProvisional()
        poison = Fault(.invalid, "the store is closed", at: .init(file: context.files.root))
        lane.unlock()
        turn.unlock()
    }

    /// Tells the lane of a fault met outside it: a failed sync of whatever file ends all writing.
    func note(_ fault: Fault) {
        lane.lock()
        noteHeld(fault)
        lane.unlock()
    }

    private func noteHeld(_ fault: Fault) {
        guard poison == nil, fault.isFileSyncFailure || fault.isSyncFailure || fault.code == .poisoned
        else { return }
        if fault.code == .poisoned { return poison = fault }
        poison = Fault(
            .poisoned, "a file could not be made durable; close the store and open it again to go on",
            at: fault.place, cause: fault)
    }

    var isPoisoned: Bool { lanePoison != nil }

    private var lanePoison: Fault? {
        lane.lock()
        defer { lane.unlock() }
        return poison
    }

    /// Commits a change and says what to do about a failure: after one that leaves the disk in doubt the
    /// store takes no more writes. Called with `turn` held.
    ///
    /// - Parameter urgent: frees space and so may use what is set aside for a full disk.
    func commit(_ change: CatalogChange, urgent: Bool = false) throws(Fault) -> CatalogCommit {
        var change = change
        let names = context.names.unsaved
        change.addEntities += names.entities
        change.addNames += names.names
        change.addHolders += names.holders
        change.shareNames += names.shares
        let backups = context.keyBackups.unsaved()
        if let backups {
            change.setDocuments[KeyBackups.documentName] = try context.sealed(
                document: KeyBackups.documentName, of: backups.backups)
        }
        change.keyringGeneration = context.keyring.generation
        do throws(Fault) {
            let final = change
            let result =
                urgent
                ? try context.room.reserve.assisting { () throws(Fault) in try context.catalog.commit(final) }
                : try context.catalog.commit(final)
            context.names.saved(names)
            if let backups { context.keyBackups.saved(backups.revision) }
            context.names.lives.update(change.updateEntities, plans: change.setPlans)
            return result
        } catch {
            if error.isSyncFailure || ![.diskFull, .readOnly, .permission, .limit, .locked].contains(error.code) {
                throw Fault(
                    .poisoned, "a write to the catalog failed; close the store and open it again to go on",
                    at: error.place, cause: error)
            }
            throw error
        }
    }

    // MARK: Appending

    /// Passes a request through the lane; when it returns, the request says what became of it.
    func submit(_ request: AppendRequest) {
        enqueue(request)
        complete(request)
    }

    /// Gives a request its place in the order of commits. `complete` has to follow, on any thread.
    func enqueue(_ request: AppendRequest) {
        gate.lock()
        queue.append(request)
        gate.unlock()
    }

    /// Waits until the request is through, leading a group when there is no leader.
    func complete(_ request: AppendRequest) {
        gate.lock()
        while !request.isDone {
            // A request that is not in the queue is on its way with a group; its leader will say when it is done.
            if hasLeader || queue.isEmpty {
                gate.wait()
                continue
            }
            hasLeader = true
            let group = takeGroup()
            gate.unlock()
            process(group)
            gate.lock()
            for member in group { member.isDone = true }
            gate.broadcast()
        }
        gate.unlock()
    }

    private func endLeading() {
        gate.lock()
        hasLeader = false
        gate.broadcast()
        gate.unlock()
    }

    private func takeGroup() -> [AppendRequest] {
        var rows = 0
        var count = 0
        for request in queue {
            if count > 0, count >= WriterLane.groupRequestsMax || rows >= WriterLane.groupRowsMax { break }
            rows += request.batch.rowCount
            count += 1
        }
        let group = Array(queue[..<count])
        queue.removeFirst(count)
        return group
    }

    private func process(_ group: [AppendRequest]) {
        makeRoom()
        var prepared: Result<Prepared, Fault> = prepare(group)
        turn.lock()
        if isStale(prepared) { prepared = prepare(group) }
        if group.contains(where: { $0.predecessor?.fault != nil }) {
            takeBack()
            prepared = .failure(Fault(.cancelled, "an earlier batch of the same import failed"))
        }
        // From here on the next group may be prepared, on top of this one; its turn comes after.
        endLeading()
        do throws(Fault) {
            try commit(try prepared.get())
        } catch {
            for request in group where request.fault == nil { request.fault = error }
        }
        turn.unlock()
    }

    /// A group that is admitted, numbered and sealed.
    private struct Prepared {
        var change = CatalogChange()
        var batches: [MemoryBatch] = []
        var tags: [[UInt8]] = []
        var claims = 0
        var bytes = 0
        var tallies = TallySet()
        var next: UInt64
        let epoch: Int
    }

    private func isStale(_ prepared: Result<Prepared, Fault>) -> Bool {
        guard case .success(let prepared) = prepared else { return false }
        lane.lock()
        defer { lane.unlock() }
        return prepared.epoch != epoch
    }

    private func prepare(_ group: [AppendRequest]) -> Result<Prepared, Fault> {
        lane.lock()
        defer { lane.unlock() }
        let batchesBefore = active.batches.count
        let nextBefore = provisionalNext
        let claimsBefore = provisionalClaims.count
        do throws(Fault) {
            if let poison { throw poison }
            return .success(try prepareHeld(group))
        } catch {
            noteHeld(error)
            let added = active.batches.count - batchesBefore
            active.removeLast(added)
            provisionalCount -= added
            provisionalNext = nextBefore
            giveBackClaims(from: claimsBefore)
            for request in group {
                if let tag = request.batchTag, provisionalTags[tag] === request { provisionalTags[tag] = nil }
            }
            return .failure(error)
        }
    }

    private func prepareHeld(_ group: [AppendRequest]) throws(Fault) -> Prepared {
        sealer.refresh()
        let now = context.environment.nowMs()
        clock.observe(now)
        var prepared = Prepared(next: provisionalNext ?? published.withLock { $0.nextSequence }, epoch: epoch)
        for request in group {
            request.reset()
            if let tag = request.batchTag, try isAnswered(request, tag) { continue }
            guard hasRoom(for: request, bytes: prepared.bytes) else { continue }
            guard let admitted = try admitOrRefuse(request) else { continue }
            if let rows = admitted.rows {
                let first = prepared.next
                for row in 0..<rows.rowCount {
                    rows.sequence.base[row] = prepared.next
                    rows.received.base[row] = request.receivedMs
                    prepared.next += 1
                }
                let blob = try encoder.encode(rows, context.binding(firstSequence: first))
                prepared.bytes += blob.count
                prepared.change.journal.append(
                    JournalEntry(
                        firstSequence: first, rows: rows.rowCount, receivedMs: request.receivedMs, blob: blob))
                let batch = MemoryBatch(rows)
                active.add(batch, nowMs: now)
                provisionalCount += 1
                prepared.batches.append(batch)
            }
            if let claim = request.claim {
                provisionalClaims.append(claim)
                prepared.claims += 1
            }
            prepared.tallies.merge(request.tallies) { $0 + $1 }
            prepared.tallies.merge(context.names.tallies(refused: request.refusedAtDoor)) { $0 + $1 }
            request.nextSequence = prepared.next
            for case let refusal? in request.eventVerdicts.lazy.map(\.refusal) {
                prepared.change.meta[StoreEngine.refusedPrefix + refusal.reason, default: 0] += 1
            }
            for (reason, count) in request.stripped {
                prepared.change.meta[StoreEngine.strippedPrefix + reason.rawValue, default: 0] += Int64(count)
            }
            if let tag = request.batchTag {
                prepared.change.batches.append(record(request, tag))
                prepared.tags.append(tag)
                provisionalTags[tag] = request
            }
        }
        prepared.change.tallies = prepared.tallies.records
        prepared.change.arrivals = provisionalClaims.suffix(prepared.claims).flatMap(\.arrivals)
        prepared.change.nextSequence = prepared.next
        if !prepared.batches.isEmpty { provisionalNext = prepared.next }
        return prepared
    }

    /// With `turn` held.
    private func commit(_ prepared: Prepared) throws(Fault) {
        guard
            !prepared.change.journal.isEmpty || !prepared.change.batches.isEmpty || !prepared.change.meta.isEmpty
                || !prepared.change.tallies.isEmpty
        else { return }
        do throws(Fault) {
            _ = try commit(prepared.change)
        } catch {
            lane.lock()
            noteHeld(error)
            takeBackProvisional()
            lane.unlock()
            throw error
        }
        context.room.added(prepared.bytes)
        lane.lock()
        provisionalCount -= prepared.batches.count
        provisionalClaims.removeFirst(prepared.claims)
        for tag in prepared.tags { provisionalTags[tag] = nil }
        if provisionalNext == prepared.next { provisionalNext = nil }
        published.withLock { state in
            state.memory.append(contentsOf: prepared.batches)
            state.nextSequence = prepared.next
        }
        let isFull = isFull
        lane.unlock()
        if isFull { flushWanted?() }
    }

    /// With `turn` held.
    private func takeBack() {
        lane.lock()
        takeBackProvisional()
        lane.unlock()
    }

    /// Takes out what is prepared and not committed. With `turn` and `lane` held, so that no commit is under way.
    private func takeBackProvisional() {
        guard provisionalCount > 0 || !provisionalTags.isEmpty || provisionalNext != nil else { return }
        active.removeLast(provisionalCount)
        provisionalCount = 0
        provisionalTags = [:]
        provisionalNext = nil
        giveBackClaims(from: 0)
        epoch += 1
    }

    // MARK: Batch ids

    /// Whether a batch of this id was answered before: in the store, or by a batch on its way there.
    private func isAnswered(_ request: AppendRequest, _ tag: [UInt8]) throws(Fault) -> Bool {
        if let twin = provisionalTags[tag] {
            guard twin.bodyHash == request.bodyHash else { return otherContent(request) }
            request.verdicts = twin.verdicts
            request.nextSequence = twin.nextSequence
            request.earlierAnswer = answer(twin)
            return true
        }
        let known = try context.catalog.read { (reader) throws(Fault) in
            try reader.batch(scope: BatchRecord.localImporter, tag: tag)
        }
        guard let known else { return false }
        guard known.bodyHash == request.bodyHash else { return otherContent(request) }
        request.earlierAnswer = known.answer
        return true
    }

    private func otherContent(_ request: AppendRequest) -> Bool {
        request.fault = Fault(.invalid, "this batch id was used before for other events; give every batch its own")
        return true
    }

    private func record(_ request: AppendRequest, _ tag: [UInt8]) -> BatchRecord {
        BatchRecord(
            scope: BatchRecord.localImporter, tag: tag, bodyHash: request.bodyHash, receivedMs: request.receivedMs,
            answer: answer(request))
    }

    private func answer(_ request: AppendRequest) -> [UInt8] {
        BatchAnswer(verdicts: request.eventVerdicts, nextSequence: request.nextSequence).encoded()
    }

    // MARK: Admission

    /// As `admit`. A request with a new entity whose key has no copy where one was ordered fails alone.
    private func admitOrRefuse(_ request: AppendRequest) throws(Fault) -> (rows: RowBatch?, Void)? {
        do throws(Fault) {
            return (try admit(request), ())
        } catch {
            guard error.code == .keyBackup else { throw error }
            request.fault = error
            return nil
        }
    }

    /// Names the rows, finds out which are new, and returns those, or `nil` when none is.
    private func admit(_ request: AppendRequest) throws(Fault) -> RowBatch? {
        let batch = request.batch
        let naming = try context.names.admit(batch, allowNewEntities: request.allowNewEntities, plan: request.plan)
        request.entitiesAdded += naming.entitiesAdded
        var verdicts = [RowVerdict](repeating: .stored, count: batch.rowCount)
        var kept: [UInt32] = []
        kept.reserveCapacity(batch.rowCount)
        inBatch.removeAll()
        let segments = published.withLock { $0.segments }
        var partition = PartitionLookup(context.partition, segments)
        for row in 0..<batch.rowCount {
            if naming.refusesSomething, let refusal = naming.verdict(batch, row) {
                verdicts[row] = refusal
                continue
            }
            let hash = RowIdentity.hash(batch, row)
            let found = try verdict(batch, row, hash, &partition)
            verdicts[row] = found
            guard found == .stored else { continue }
            inBatch.insert(hash, RowRef(batch: 0, row: UInt32(row)))
            kept.append(UInt32(row))
        }
        if context.room.ledger.isActive { claim(request, &kept, &verdicts) }
        request.verdicts = verdicts
        if kept.count < batch.rowCount { request.noteTallies() }
        if kept.isEmpty { return nil }
        if kept.count == batch.rowCount { return batch }
        let collector = RowCollector()
        kept.withUnsafeBufferPointer { collector.append(batch, rows: $0) }
        return collector.takeBatch()
    }

    private func verdict(
        _ batch: RowBatch, _ row: Int, _ hash: UInt64, _ partition: inout PartitionLookup
    ) throws(Fault) -> RowVerdict {
        if let twin = inBatch.find(hash, { RowIdentity.isSame(batch, Int($0.row), batch, row) }) {
            return compare(batch, row, with: batch, Int(twin.row))
        }
        for table in [active, frozen] {
            guard let table, let twin = table.find(hash, like: batch, row) else { continue }
            return compare(batch, row, with: table.batches[Int(twin.batch)].rows, Int(twin.row))
        }
        let entity = batch.entityNumbers[Int(batch.entity.base[row])]
        let time = batch.timestamp.base[row]
        for handle in partition.segments(at: time) where try mightHold(handle, entity, hash) {
            switch try storedIDs.twin(handle, like: batch, row) {
            case .none: continue
            case .row(let stored): return compare(batch, row, with: stored, 0)
            case .unreadable: return .duplicate
            }
        }
        return .stored
    }

    /// Ids that cannot be read any more cannot be compared with: damage costs exactness there, not the site's
    /// ability to write.
    private func mightHold(_ handle: SegmentHandle, _ entity: UInt32, _ hash: UInt64) throws(Fault) -> Bool {
        do throws(Fault) {
            return try storedIDs.mightContain(handle, entity, hash)
        } catch {
            if [.damaged, .tampered, .notFound].contains(error.code) { return false }
            throw error
        }
    }

    private func compare(_ a: RowBatch, _ rowA: Int, with b: RowBatch, _ rowB: Int) -> RowVerdict {
        RowIdentity.hasSameContent(a, rowA, b, rowB) ? .duplicate : .conflict
    }

    // MARK: Flushing

    static let flushRows = 262_144
    static let flushAgeMs: Int64 = 15 * 60 * 1000

    private var flushBytes: Int { min(64 << 20, context.memoryBudget / 3) }

    /// Whether the active table should be flushed. With the lane held.
    private var isFull: Bool {
        active.rowCount >= WriterLane.flushRows || active.byteCount >= flushBytes
    }

    /// Whether no flush came for so long (a strict import is under way) that memory has to be bounded here.
    private var isOverfull: Bool {
        active.rowCount >= 2 * WriterLane.flushRows || active.byteCount >= 2 * flushBytes
    }

    /// Whether rows have waited for a segment longer than they should.
    func isDue(nowMs: Int64) -> Bool {
        lane.lock()
        defer { lane.unlock() }
        // A flush that failed is tried again.
        if frozen != nil { return true }
        guard let started = active.startedMs else { return false }
        return isFull || nowMs - started >= WriterLane.flushAgeMs
    }

    /// Waits while a flush is under way and the next table is full as well: memory stays bounded.
    private func makeRoom() {
        flushDone.lock()
        while true {
            lane.lock()
            let mustWait = poison == nil && (isFull && frozen != nil || isOverfull)
            lane.unlock()
            guard mustWait else { break }
            flushWanted?()
            // A flush that failed (disk full) leaves the table frozen; the append then fails by itself.
            if !flushDone.wait(until: Date(timeIntervalSinceNow: 10)) { break }
        }
        flushDone.unlock()
    }

    func announceFlush() {
        flushDone.lock()
        flushDone.broadcast()
        flushDone.unlock()
    }

    /// Freezes the active table unless one is frozen already, and returns the frozen one.
    func freeze() throws(Fault) -> MemoryTable? {
        try exclusively {
            if frozen == nil, active.rowCount > 0 {
                frozen = active
                active = MemoryTable()
            }
            return frozen
        }
    }
}
