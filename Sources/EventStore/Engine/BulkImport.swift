// The bulk path of an import: parse with all cores until a group of rows is together, then sort, deduplicate,
// seal and write its partitions with all cores, publish, and go on.
//
// Memory follows the group, not the input. Rows of partitions that are still small stay for the next group, so
// that late events do not make a segment each.

import EventStoreCatalog
import EventStoreCore
import EventStoreIngest
import EventStoreSegments
import Synchronization

/// One bulk import. Belongs to the thread that runs it; its workers get what they need by value.
final class BulkImport {
    private let engine: StoreEngine
    private let lane: WriterLane
    private let request: ImportRequest
    private let feed: ImportFeed
    private var occurrences: LineOccurrences
    private var pending: [RowBatch] = []
    /// Place of the next row in the input: which of two equal events came first.
    private var ordinal: UInt64 = 0
    /// Sequences given to rows that are written and not yet published.
    private var sequencesHeld: UInt64 = 0
    /// Written and, with `strict`, not yet published.
    private var held: [WrittenSegment] = []
    /// With `strict`: the store's next sequence when the import began.
    private var strictStart: UInt64 = 0
    private(set) var report = ImportReport()
    /// Refused and expired events that no commit has counted yet.
    private(set) var tallies = TallySet()
    /// What the segments in `held` take of the day's budgets.
    private var heldClaims: [BudgetClaim] = []

    /// A partition that is smaller waits for more.
    private static let partitionRowsMin = 16_384

    private var groupRows: Int {
        // About 250 bytes a row, twice: rows and what is made of them.
        max(16_384, min(393_216, engine.context.memoryBudget / 640))
    }

    init(_ engine: StoreEngine, _ lane: WriterLane, _ request: ImportRequest, _ feed: ImportFeed) {
        self.engine = engine
        self.lane = lane
        self.request = request
        self.feed = feed
        occurrences = LineOccurrences(engine.context.keyring)
    }

    func run() throws(Fault) {
        guard request.strict, !request.dryRun else { return try runGroups() }
        // Nothing is flushed meanwhile: what is appended stays in memory, where it can be compared with.
        engine.maintenance.lock()
        defer { engine.maintenance.unlock() }
        strictStart = lane.published.withLock { $0.nextSequence }
        try runGroups()
    }

    private func runGroups() throws(Fault) {
        do throws(Fault) {
            var isLast = false
            while !isLast {
                isLast = try fill()
                if request.dryRun {
                    pending = []
                } else if !pending.isEmpty {
                    try flushGroup(isLast: isLast)
                }
            }
            if let damage = feed.damage { throw damage }
            if request.strict { try finishStrict() }
        } catch {
            // After a commit in doubt the catalog may know the files.
            if !held.isEmpty, !lane.isPoisoned { discardHeld() }
            throw error
        }
    }

    private func discardHeld() {
        engine.writing.discard(held)
        for claim in heldClaims { engine.context.room.ledger.giveBack(claim) }
        held = []
        heldClaims = []
    }

    // MARK: Parsing

    /// Parses until the group is full; true at the end of the input.
    private func fill() throws(Fault) -> Bool {
        var rows = pending.reduce(0) { $0 + $1.rowCount }
        while rows < groupRows {
            let parsed = try feed.parse(rows: groupRows - rows)
            for batch in parsed.batches {
                rows += batch.rowCount
                if !request.dryRun { try admit(batch) }
            }
            if parsed.isLast { return true }
        }
        return false
    }

    /// Names a batch's rows and gives them their place in the input's order.
    private func admit(_ batch: RowBatch) throws(Fault) {
        occurrences.settle(batch)
        let naming = try lane.admitNames(batch, allowNewEntities: request.allowNewEntities, plan: request.plan)
        report.entitiesAdded += naming.entitiesAdded
        var kept: [UInt32] = []
        let now = engine.context.environment.nowMs()
        for row in 0..<batch.rowCount {
            batch.sequence.base[row] = ordinal
            batch.received.base[row] = now
            ordinal += 1
            if naming.refusesSomething, let verdict = naming.verdict(batch, row) {
                if verdict == .expired { report.expired += 1 } else { feed.refuse(verdict) }
                tallies.count(verdict, entity: batch.entityNumbers[Int(batch.entity.base[row])])
            } else {
                kept.append(UInt32(row))
            }
        }
        if kept.count == batch.rowCount {
            pending.append(batch)
        } else if !kept.isEmpty {
            pending.append(BulkImport.copy(batch, kept))
        }
    }

    private static func copy(_ batch: RowBatch, _ rows: [UInt32]) -> RowBatch {
        let collector = RowCollector()
        rows.withUnsafeBufferPointer { collector.append(batch, rows: $0) }
        return collector.takeBatch()
    }

    // MARK: Writing a group

    private func flushGroup(isLast: Bool) throws(Fault) {
        // A strict import has it already.
        if !request.strict { engine.maintenance.lock() }
        defer { if !request.strict { engine.maintenance.unlock() } }
        let columns = BatchColumns(pending)
        let split = PartitionSplit(columns, engine.context).partitions
        // Plans may have changed, or a day ended, since the rows were admitted.
        let visibility = engine.context.names.lives.visibility(nowMs: engine.context.environment.nowMs())
        for partition in split {
            report.expired += partition.keep(visibility, columns) { tallies.count(.expired, entity: $0) }
        }
        let ready = isLast ? split : choose(split)
        let snapshot = lane.published.withLock { $0 }
        let room = engine.context.room
        try room.check(snapshot.segments)
        let job = GroupJob(
            engine, columns: columns, snapshot: snapshot, held: held, firstSequence: sequencesHeld,
            verify: request.verify)
        do throws(Fault) {
            try job.write(ready)
            try room.check(
                snapshot.segments, adding: (held + job.written).reduce(0) { $0 + $1.summary.fileBytes })
            noteOverBudget(job)
            if request.strict {
                held += job.written
                heldClaims += job.claims
                sequencesHeld = job.sequenceEnd
            } else {
                try job.publish(lane, ready, tallies)
                tallies = TallySet()
                room.changed()
            }
        } catch {
            lane.note(error)
            job.discardUnlessPublished(lane)
            throw error
        }
        report.stored += job.stored
        report.duplicates += job.duplicates
        report.conflicts += job.conflicts
        keepRest(of: split, ready)
    }

    private func noteOverBudget(_ job: GroupJob) {
        for (entity, count) in job.overBudget {
            for _ in 0..<count { feed.refuse(.overBudget) }
            tallies.count(.overBudget, entity: entity, count)
        }
    }

    /// Which partitions to write now: those that are large, but not the newest, which is still growing. When
    /// too little would go, all of them.
    private func choose(_ partitions: [PartitionRefs]) -> [PartitionRefs] {
        let newest = partitions.map(\.start).max()
        let ready = partitions.filter { $0.count >= BulkImport.partitionRowsMin && $0.start != newest }
        let rows = ready.reduce(0) { $0 + $1.count }
        return rows * 2 >= groupRows ? ready : partitions
    }

    private func keepRest(of split: [PartitionRefs], _ ready: [PartitionRefs]) {
        let written = Set(ready.map(\.key))
        let rest = split.filter { !written.contains($0.key) && $0.count > 0 }
        guard !rest.isEmpty else {
            pending = []
            return
        }
        var rows = [[UInt32]](repeating: [], count: pending.count)
        for partition in rest {
            for ref in partition.buffer { rows[Int(ref.batch)].append(ref.row) }
        }
        let collector = RowCollector()
        for (number, chosen) in rows.enumerated() where !chosen.isEmpty {
            chosen.withUnsafeBufferPointer { collector.append(pending[number], rows: $0) }
        }
        pending = [collector.takeBatch()]
    }

    // MARK: All or nothing

    private func finishStrict() throws(Fault) {
        let refused = feed.refusedCount
        guard refused == 0 else {
            discardHeld()
            report.stored = 0
            report.duplicates = 0
            report.conflicts = 0
            report.entitiesAdded = []
            return
        }
        guard !held.isEmpty else { return }
        let segments = held
        try lane.exclusively { () throws(Fault) in
            let now = lane.published.withLock { $0 }
            try requireNew(segments, beside: now.memory.filter { $0.firstSequence >= strictStart })
            let next = now.nextSequence
            try lane.publish(
                segments, sequenceBase: next, nextSequence: next + sequencesHeld,
                tallies: tallies.records(
                    adding: WrittenSegment.tallies(segments, receivedMs: engine.context.environment.nowMs())),
                arrivals: heldClaims.flatMap(\.arrivals))
        }
        tallies = TallySet()
        engine.context.room.changed()
        held = []
        heldClaims = []
    }

    /// Throws when something that was appended while the import ran is in what it wrote.
    private func requireNew(_ segments: [WrittenSegment], beside appended: [MemoryBatch]) throws(Fault) {
        guard !appended.isEmpty else { return }
        let stored = StoredIDs(engine.context, budgetBytes: engine.context.memoryBudget / 8)
        for (number, segment) in segments.enumerated() {
            guard
                let handle = SegmentHandle(
                    unpublished: segment, number: -1 - Int64(number), files: engine.context.files)
            else { continue }
            for batch in appended.map(\.rows) {
                for row in 0..<batch.rowCount {
                    let entity = batch.entityNumbers[Int(batch.entity.base[row])]
                    let hash = RowIdentity.hash(batch, row)
                    let place = engine.context.partition.bounds(of: batch.timestamp.base[row]).start
                    guard place == handle.info.partitionStart,
                        try stored.mightContain(handle, entity, hash)
                    else { continue }
                    throw Fault(
                        .exists,
                        "events of this import were appended while it ran; nothing of it was stored, "
                            + "import it again")
                }
            }
        }
    }
}

/// Writing and publishing the partitions of one group.
///
/// `@unchecked Sendable`: the counters are behind `results`; everything else is set in `init`.
final class GroupJob: @unchecked Sendable {
    private struct Results {
        var sequenceEnd: UInt64
        var written: [WrittenSegment] = []
        var stored = 0
        var duplicates = 0
        var conflicts = 0
        var claims: [BudgetClaim] = []
        var overBudget: [UInt32: Int] = [:]
    }

    private let engine: StoreEngine
    private let columns: BatchColumns
    private var batches: [RowBatch] { columns.batches }
    private let snapshot: Published
    private let memory: MemoryLookup?
    /// Segments of this import that no catalog knows yet.
    private let unpublished: [Int64: [SegmentHandle]]
    private let verify: Bool
    private let results: Mutex<Results>
    private var isPublished = false

    init(
        _ engine: StoreEngine, columns: BatchColumns, snapshot: Published, held: [WrittenSegment],
        firstSequence: UInt64, verify: Bool
    ) {
        results = Mutex(Results(sequenceEnd: firstSequence))
        self.engine = engine
        self.columns = columns
        self.snapshot = snapshot
        self.verify = verify
        memory = snapshot.memory.isEmpty ? nil : MemoryLookup(snapshot.memory)
        unpublished = Dictionary(
            grouping: held.enumerated().compactMap { number, segment in
                // Numbers below zero are no catalog's.
                SegmentHandle(unpublished: segment, number: -1 - Int64(number), files: engine.context.files)
            }, by: \.info.partitionStart)
    }

    var written: [WrittenSegment] { results.withLock { $0.written } }
    /// Behind the last sequence given to a row, relative to the base that publishing chooses.
    var sequenceEnd: UInt64 { results.withLock { $0.sequenceEnd } }
    var stored: Int { results.withLock { $0.stored } }
    var duplicates: Int { results.withLock { $0.duplicates } }
    var conflicts: Int { results.withLock { $0.conflicts } }
    var claims: [BudgetClaim] { results.withLock { $0.claims } }
    /// Events beyond their entity's budget of the day, by entity.
    var overBudget: [UInt32: Int] { results.withLock { $0.overBudget } }

    func write(_ partitions: [PartitionRefs]) throws(Fault) {
        let threads = engine.context.threads
        // One more than cores: while one waits for a sync, the others work.
        try Workers.run(partitions.count, threads: threads + 1) { [self] (index) throws(Fault) in
            try write(partitions[index])
        }
        try engine.writing.syncDirectories(written)
    }

    private func write(_ partition: PartitionRefs) throws(Fault) {
        partition.sort(batches)
        let deduplicator = Deduplicator(engine.context, columns, memory)
        let known = snapshot.segments.inPartition(partition.start) + (unpublished[partition.start] ?? [])
        try deduplicator.run(partition, stored: known)
        results.withLock { results in
            results.duplicates += deduplicator.duplicates
            results.conflicts += deduplicator.conflicts
        }
        if engine.context.room.ledger.isActive { claim(partition) }
        guard partition.count > 0 else { return }
        giveSequences(partition)
        try writeRows(partition)
    }

    /// Takes rows out that are beyond the day's budget of their entity.
    private func claim(_ partition: PartitionRefs) {
        let refs = partition.buffer
        let batches = batches
        let (claim, isOver) = engine.context.room.ledger.claim(
            refs.count, nowMs: engine.context.environment.nowMs()
        ) { (batches[Int(refs[$0].batch)], Int(refs[$0].row)) }
        var over: [UInt32: Int] = [:]
        if !isOver.isEmpty {
            for (index, ref) in refs.enumerated() where isOver[index] {
                over[columns.views[Int(ref.batch)].entityNumber(Int(ref.row)), default: 0] += 1
            }
            partition.keep { index, _ in !isOver[index] }
        }
        results.withLock { results in
            if !claim.use.isEmpty { results.claims.append(claim) }
            results.overBudget.merge(over) { $0 + $1 }
        }
    }

    /// Rows become visible in one commit, so their sequences may follow the order they are stored in: next to
    /// nothing on disk. Until here the field held each row's place in the input.
    private func giveSequences(_ partition: PartitionRefs) {
        let first = results.withLock { results in
            defer { results.sequenceEnd += UInt64(partition.count) }
            return results.sequenceEnd
        }
        let views = columns.views
        for (index, ref) in partition.buffer.enumerated() {
            views[Int(ref.batch)].sequence[Int(ref.row)] = first + UInt64(index)
        }
    }

    private func writeRows(_ partition: PartitionRefs) throws(Fault) {
        let writing = engine.writing
        let writer = SegmentWriter(sealer: StoreSealer(writing.names), environment: writing.environment)
        let segments = try writing.write(
            partition, of: columns, level: 0, options: writing.options(highCompression: false, sequenceBase: 0),
            writer: writer)
        results.withLock { results in
            results.written += segments
            results.stored += partition.count
        }
        if verify { try readBack(segments) }
    }

    /// Reads what was written and decodes all of it, as a query will.
    private func readBack(_ segments: [WrittenSegment]) throws(Fault) {
        let writing = engine.writing
        for segment in segments {
            let path = writing.files.segment(segment.summary.id, partitionStart: segment.summary.partitionStart)
            let file = try writing.environment.files.openForReading(path)
            let reader = try SegmentReader(file: file, path: path, sequenceBase: 0)
            let found = SegmentVerifier.verify(reader, sealer: StoreSealer(writing.names))
            if let finding = found.findings.first { throw finding.fault.at(file: path) }
            guard found.rows == segment.summary.rows else {
                throw Fault(.damaged, "a segment read back has another number of rows", at: .init(file: path))
            }
        }
    }

    func publish(_ lane: WriterLane, _ partitions: [PartitionRefs], _ refused: TallySet) throws(Fault) {
        guard !written.isEmpty || !refused.isEmpty else { return }
        try lane.exclusively { () throws(Fault) in
            let now = lane.published.withLock { $0 }
            let appended = now.memory.filter { $0.firstSequence >= snapshot.nextSequence }
            if !appended.isEmpty { try dropAppended(appended, partitions) }
            // Sequences inside are relative; the base moves the first of them to the next free number.
            try lane.publish(
                written, sequenceBase: now.nextSequence, nextSequence: now.nextSequence + sequenceEnd,
                tallies: refused.records(
                    adding: WrittenSegment.tallies(written, receivedMs: engine.context.environment.nowMs())),
                arrivals: claims.flatMap(\.arrivals))
        }
        isPublished = true
    }

    /// Rows that were appended while this group was written win: partitions that hold one of them are written
    /// again without.
    private func dropAppended(_ appended: [MemoryBatch], _ partitions: [PartitionRefs]) throws(Fault) {
        let lookup = MemoryLookup(appended)
        for partition in partitions where partition.count > 0 {
            let before = partition.count
            partition.keep { _, ref in
                guard lookup.find(batches[Int(ref.batch)], Int(ref.row)) != nil else { return true }
                giveBack(ref)
                return false
            }
            guard partition.count < before else { continue }
            let old = written.filter { $0.key == partition.key }
            engine.writing.discard(old)
            let dropped = before - partition.count
            results.withLock { results in
                results.written.removeAll { $0.key == partition.key }
                results.stored -= before
                results.duplicates += dropped
            }
            if partition.count > 0 { try writeRows(partition) }
        }
        try engine.writing.syncDirectories(written)
    }

    /// A row that is stored already takes nothing of the budget.
    private func giveBack(_ ref: RowRef) {
        guard engine.context.room.ledger.isActive else { return }
        let entity = columns.views[Int(ref.batch)].entityNumber(Int(ref.row))
        var sizes = RowSizes(isWanted: engine.context.room.ledger.budget.limitsBytesOfDays)
        let use = BudgetClaim.Use(events: 1, bytes: sizes.bytes(batches[Int(ref.batch)], Int(ref.row)))
        results.withLock { results in
            for index in results.claims.indices {
                guard let all = results.claims[index].use[entity], all.events > 0 else { continue }
                results.claims[index].use[entity] = BudgetClaim.Use(
                    events: all.events - 1, bytes: max(0, all.bytes - use.bytes))
                engine.context.room.ledger.giveBack(BudgetClaim(day: results.claims[index].day, use: [entity: use]))
                return
            }
        }
    }

    /// Removes the files of a group that failed, unless the catalog may know them.
    func discardUnlessPublished(_ lane: WriterLane) {
        if isPublished || lane.isPoisoned { return }
        engine.writing.discard(written)
        for claim in claims { engine.context.room.ledger.giveBack(claim) }
    }
}

extension SegmentHandle {
    /// A segment that is on disk and in no catalog: entries come from what was written, not from an index.
    convenience init?(unpublished written: WrittenSegment, number: Int64, files: StoreFiles) {
        var info = CatalogSegment(written, sequenceBase: 0)
        info.number = number
        guard let made = try? SegmentHandle(info, files: files) else { return nil }
        self.init(info: made.info, path: made.path, entries: written.summary.entities)
    }
}
