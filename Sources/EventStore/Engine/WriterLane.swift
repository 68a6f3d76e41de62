// The one place that commits. Appends in flight form a group: one leader admits, numbers and seals all of
// them and commits them in one transaction with one sync; the others wait for it.
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
/// requests, which is touched only with `gate` held, and `published`, which has its own lock.
final class WriterLane: @unchecked Sendable {
    let context: ReadContext
    let published: Mutex<Published>

    /// Held by whoever commits.
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
    private var inBatch = RowIndex()

    /// Told when the active table became large enough to be flushed.
    var flushWanted: (@Sendable () -> Void)?
    private let flushDone = NSCondition()

    static let groupRequestsMax = 256
    static let groupRowsMax = 65_536

    init(_ context: ReadContext, published initial: Published) {
        self.context = context
        published = Mutex(initial)
        sealer = StoreSealer(context.names)
        encoder = JournalEncoder(sealer)
        storedIDs = StoredIDs(context, budgetBytes: context.memoryBudget / 8)
    }

    // MARK: The lock

    /// Runs a change of what exists, alone. Throws `poisoned` when nothing may be written any more.
    func exclusively<T>(_ body: () throws(Fault) -> T) throws(Fault) -> T {
        lane.lock()
        defer { lane.unlock() }
        if let poison { throw poison }
        do throws(Fault) {
            return try body()
        } catch {
            noteHeld(error)
            throw error
        }
    }

    /// Tells the lane of a fault met outside it: a failed sync of whatever file ends all writing.
    func note(_ fault: Fault) {
        lane.lock()
        noteHeld(fault)
        lane.unlock()
    }

    private func noteHeld(_ fault: Fault) {
        guard poison == nil, fault.isFileSyncFailure || fault.code == .poisoned else { return }
        poison = Fault(
            .poisoned, "a file could not be made durable; close the store and open it again to go on",
            at: fault.place, cause: fault)
    }

    var isPoisoned: Bool {
        lane.lock()
        defer { lane.unlock() }
        return poison != nil
    }

    /// Commits a change and says what to do about a failure: after one that leaves the disk in doubt the
    /// store takes no more writes. Called with the lane held.
    func commit(_ change: CatalogChange) throws(Fault) -> CatalogCommit {
        var change = change
        let names = context.names.unsaved
        change.addEntities += names.entities
        change.addNames += names.names
        change.addHolders += names.holders
        change.shareNames += names.shares
        change.keyringGeneration = context.keyring.generation
        do throws(Fault) {
            let result = try context.catalog.commit(change)
            context.names.saved(names)
            return result
        } catch {
            if error.isSyncFailure || ![.diskFull, .readOnly, .permission, .limit].contains(error.code) {
                poison = Fault(
                    .poisoned, "a write to the catalog failed; close the store and open it again to go on",
                    at: error.place, cause: error)
            }
            throw error
        }
    }

    // MARK: Appending

    /// Passes a request through the lane; when it returns, the request says what became of it.
    func submit(_ request: AppendRequest) {
        gate.lock()
        queue.append(request)
        while !request.isDone {
            if hasLeader {
                gate.wait()
                continue
            }
            hasLeader = true
            let group = takeGroup()
            gate.unlock()
            process(group)
            gate.lock()
            for member in group { member.isDone = true }
            hasLeader = false
            gate.broadcast()
        }
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
        do throws(Fault) {
            try exclusively { () throws(Fault) in try commit(group) }
        } catch {
            for request in group where request.fault == nil { request.fault = error }
        }
    }

    /// A request's rows that will be stored, between admission and commit.
    private struct Accepted {
        var request: AppendRequest
        var rows: RowBatch
    }

    private func commit(_ group: [AppendRequest]) throws(Fault) {
        sealer.refresh()
        var change = CatalogChange()
        var accepted: [Accepted] = []
        var next = published.withLock { $0.nextSequence }
        var tags: [[UInt8]: AppendRequest] = [:]
        for request in group {
            if let tag = request.batchTag {
                if try isAnswered(request, tag, &tags) { continue }
                tags[tag] = request
            }
            if let rows = try admit(request, earlier: accepted.map(\.rows)) {
                let first = next
                for row in 0..<rows.rowCount {
                    rows.sequence.base[row] = next
                    rows.received.base[row] = request.receivedMs
                    next += 1
                }
                let blob = try encoder.encode(rows, context.binding(firstSequence: first))
                change.journal.append(
                    JournalEntry(
                        firstSequence: first, rows: rows.rowCount, receivedMs: request.receivedMs, blob: blob))
                accepted.append(Accepted(request: request, rows: rows))
            }
            request.nextSequence = next
            if let tag = request.batchTag { change.batches.append(record(request, tag)) }
        }
        guard !change.journal.isEmpty || !change.batches.isEmpty else { return }
        change.nextSequence = next
        _ = try commit(change)
        publish(accepted.map { MemoryBatch($0.rows) }, next)
    }

    private func publish(_ batches: [MemoryBatch], _ next: UInt64) {
        let now = context.environment.nowMs()
        for batch in batches { active.add(batch, nowMs: now) }
        published.withLock { state in
            state.memory.append(contentsOf: batches)
            state.nextSequence = next
        }
        if isFull { flushWanted?() }
    }

    // MARK: Batch ids

    /// Whether a batch of this id was answered before, in the store or earlier in the group.
    private func isAnswered(
        _ request: AppendRequest, _ tag: [UInt8], _ tags: inout [[UInt8]: AppendRequest]
    ) throws(Fault) -> Bool {
        if let twin = tags[tag] {
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

    /// Names the rows, finds out which are new, and returns those, or `nil` when none is.
    private func admit(_ request: AppendRequest, earlier: [RowBatch]) throws(Fault) -> RowBatch? {
        let batch = request.batch
        let naming = try context.names.admit(batch, allowNewEntities: request.allowNewEntities, plan: request.plan)
        request.entitiesAdded = naming.entitiesAdded
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
            let found = try verdict(batch, row, hash, earlier, &partition)
            verdicts[row] = found
            guard found == .stored else { continue }
            inBatch.insert(hash, RowRef(batch: UInt32(earlier.count), row: UInt32(row)))
            kept.append(UInt32(row))
        }
        request.verdicts = verdicts
        if kept.isEmpty { return nil }
        if kept.count == batch.rowCount { return batch }
        let collector = RowCollector()
        kept.withUnsafeBufferPointer { collector.append(batch, rows: $0) }
        return collector.takeBatch()
    }

    private func verdict(
        _ batch: RowBatch, _ row: Int, _ hash: UInt64, _ earlier: [RowBatch], _ partition: inout PartitionLookup
    ) throws(Fault) -> RowVerdict {
        if let twin = inBatch.find(hash, { RowIdentity.isSame(batch, Int($0.row), batch, row) }) {
            return compare(batch, row, with: batch, Int(twin.row))
        }
        // Earlier requests of the same group are few: a scan is cheaper than an index that may be thrown away.
        for rows in earlier {
            for other in 0..<rows.rowCount
            where rows.id.base[other] == batch.id.base[row] && RowIdentity.isSame(rows, other, batch, row) {
                return compare(batch, row, with: rows, other)
            }
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

    /// Whether rows have waited for a segment longer than they should.
    func isDue(nowMs: Int64) -> Bool {
        lane.lock()
        defer { lane.unlock() }
        guard let started = active.startedMs else { return frozen != nil }
        return isFull || nowMs - started >= WriterLane.flushAgeMs
    }

    /// Waits while a flush is under way and the next table is full as well: memory stays bounded.
    private func makeRoom() {
        flushDone.lock()
        while true {
            lane.lock()
            let mustWait = frozen != nil && isFull && poison == nil
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

extension Fault {
    /// Whether a sync of a file or a folder failed, for whatever reason.
    var isFileSyncFailure: Bool { message.hasPrefix("fsync") }
}

/// The segments of the partition a row lies in, looked up once for rows in a row.
struct PartitionLookup {
    private let partition: Partition
    private let set: SegmentSet
    private var bounds: (start: Int64, length: Int64) = (.max, 0)
    private var handles: [SegmentHandle] = []

    init(_ partition: Partition, _ set: SegmentSet) {
        self.partition = partition
        self.set = set
    }

    @inline(__always)
    mutating func segments(at time: Int64) -> [SegmentHandle] {
        if time < bounds.start || time - bounds.start >= bounds.length { move(to: time) }
        return handles
    }

    private mutating func move(to time: Int64) {
        bounds = partition.bounds(of: time)
        handles = set.inPartition(bounds.start)
    }
}

extension NameAdmission {
    /// Why a row is not taken in, or `nil`.
    func verdict(_ batch: RowBatch, _ row: Int) -> RowVerdict? {
        let entity = batch.entity.base[row]
        let shape = batch.shape.base[row]
        if unknownEntities.contains(entity) { return .unknownEntity }
        if refusedShapes.contains(shape) || refusedPairs.contains(NameAdmission.pair(entity, shape)) {
            return .tooManyNames
        }
        return nil
    }
}

/// What a batch was answered, kept with its id.
struct BatchAnswer {
    var verdicts: [RowVerdict]
    var nextSequence: UInt64

    func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: verdicts.count + 16)
        writer.u8(1)
        writer.integer(nextSequence)
        writer.varint(verdicts.count)
        for verdict in verdicts { writer.u8(verdict.rawValue) }
        return writer.bytes
    }

    init(verdicts: [RowVerdict], nextSequence: UInt64) {
        self.verdicts = verdicts
        self.nextSequence = nextSequence
    }

    init(decoding bytes: [UInt8]) throws(Fault) {
        let parsed = try bytes.withBytes { (bytes) throws(Fault) in
            var reader = ByteReader(bytes)
            guard try reader.u8() == 1 else { throw Fault(.tooNew, "a batch's answer has an unknown version") }
            let next = try reader.u64()
            let count = try reader.count(max: reader.remaining)
            var verdicts: [RowVerdict] = []
            for _ in 0..<count {
                guard let verdict = RowVerdict(rawValue: try reader.u8()) else {
                    throw Fault(.damaged, "a batch's answer does not decode")
                }
                verdicts.append(verdict)
            }
            return (verdicts, next)
        }
        (verdicts, nextSequence) = parsed
    }
}
