// The durable path of an import: every batch of events is one acknowledged append. One thread parses ahead
// while the other waits for the disk.

import EventStoreCore
import EventStoreIngest
import Foundation
import Synchronization

/// A batch, and what the collection policy refused since the one before, by entity.
private struct ParsedBatch {
    var batch: RowBatch
    var refused: [String: Int]
}

/// A queue of parsed batches between two threads, a few batches long.
///
/// `@unchecked Sendable`: everything mutable is touched with `condition` held.
private final class BatchQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var batches: [ParsedBatch] = []
    private var isEnded = false
    private var isStopped = false
    private static let batchesMax = 16

    /// Waits for room; false when nobody wants more.
    func put(_ batch: ParsedBatch) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while batches.count >= BatchQueue.batchesMax, !isStopped { condition.wait() }
        if isStopped { return false }
        batches.append(batch)
        condition.broadcast()
        return true
    }

    /// The next batch, `nil` at the end or when the rest is not wanted.
    func take() -> ParsedBatch? {
        condition.lock()
        defer { condition.unlock() }
        while batches.isEmpty, !isEnded, !isStopped { condition.wait() }
        guard !batches.isEmpty, !isStopped else { return nil }
        condition.broadcast()
        return batches.removeFirst()
    }

    func end() { set { isEnded = true } }
    func stop() { set { isStopped = true } }

    private func set(_ change: () -> Void) {
        condition.lock()
        change()
        condition.broadcast()
        condition.unlock()
    }
}

/// One thread parses; two append by turns, so that one batch is prepared while the other waits for the disk.
///
/// `@unchecked Sendable`: `feed` is the parsing thread's until it ended, as is `occurrences`; the results are
/// behind a lock, `lastGiven` behind `order`.
final class DurableImport: @unchecked Sendable {
    private let engine: StoreEngine
    private let lane: WriterLane
    private let request: ImportRequest
    private let feed: ImportFeed
    private let queue = BatchQueue()
    private let parsing = Mutex<Fault?>(nil)
    private var occurrences: LineOccurrences
    private let results = Mutex(Results())
    /// Held while a batch is taken and given its place in the order of commits: both are one step.
    private let order = NSLock()
    private var lastGiven: AppendRequest?

    private struct Results {
        var report = ImportReport()
        var refused: [RowVerdict] = []
        var acknowledged = 0
    }

    var report: ImportReport { results.withLock { $0.report } }

    init(_ engine: StoreEngine, _ lane: WriterLane, _ request: ImportRequest, _ feed: ImportFeed) {
        self.engine = engine
        self.lane = lane
        self.request = request
        self.feed = feed
        occurrences = LineOccurrences(engine.context.keyring)
    }

    func run() throws(Fault) {
        let ended = DispatchSemaphore(value: 0)
        let thread = Thread { [self] in
            parse()
            ended.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
        var failure: Fault?
        do throws(Fault) {
            try Workers.run(2, threads: 2) { [self] (_) throws(Fault) in try append() }
        } catch {
            failure = error
        }
        ended.wait()
        for verdict in results.withLock({ $0.refused }) { feed.refuse(verdict) }
        if let fault = failure ?? parsing.withLock({ $0 }) { throw fault }
    }

    private func parse() {
        do throws(Fault) {
            try feed.forEachBatch(of: request.batchSize) { (batch) throws(Fault) in
                occurrences.settle(batch)
                let parsed = ParsedBatch(batch: batch, refused: feed.takeRefusedByEntity())
                guard queue.put(parsed) else { throw Fault(.cancelled, "the import was stopped") }
            }
        } catch {
            if error.code != .cancelled { parsing.withLock { $0 = error } }
        }
        queue.end()
    }

    private func append() throws(Fault) {
        while let append = next() {
            lane.complete(append)
            append.predecessor = nil
            if let fault = append.fault {
                queue.stop()
                // The batch before says why.
                if fault.code == .cancelled { return }
                throw fault
            }
            results.withLock { count(append, &$0) }
        }
    }

    private func next() -> AppendRequest? {
        order.lock()
        defer { order.unlock() }
        guard let parsed = queue.take() else { return nil }
        let append = AppendRequest(parsed.batch, receivedMs: engine.context.environment.nowMs())
        append.allowNewEntities = request.allowNewEntities
        append.plan = request.plan
        append.refusedAtDoor = parsed.refused
        append.predecessor = lastGiven
        lastGiven = append
        lane.enqueue(append)
        return append
    }

    private func count(_ append: AppendRequest, _ results: inout Results) {
        results.report.entitiesAdded += append.entitiesAdded
        for verdict in append.verdicts {
            switch verdict {
            case .stored: results.report.stored += 1
            case .duplicate: results.report.duplicates += 1
            case .conflict: results.report.conflicts += 1
            case .expired: results.report.expired += 1
            default: results.refused.append(verdict)
            }
        }
        // A batch is only stored if the one before is: when one is durable, so are all before it.
        results.acknowledged += append.verdicts.count
        request.acknowledged?(results.acknowledged)
    }
}

extension StoreEngine {
    func importEvents(
        _ request: ImportRequest, progress: (@Sendable (ImportProgress) -> Void)?
    ) throws(Fault) -> ImportReport {
        let lane = try writer()
        guard request.batchSize > 0, !request.sources.isEmpty else {
            throw Fault(.invalid, "an import needs a source, and batches of at least one event")
        }
        guard !(request.strict && request.durable) else {
            throw Fault(.invalid, "a durable import acknowledges as it goes and so cannot be all or nothing")
        }
        if let plan = request.plan { try Plans.check(plan, among: context.names.lives.plans) }
        let start = ContinuousClock.now
        let feed = try ImportFeed(request, context, policy: policy.screen, progress: progress)
        var report: ImportReport
        var tallies = TallySet()
        if request.durable, !request.dryRun {
            let run = DurableImport(self, lane, request, feed)
            try run.run()
            report = run.report
        } else {
            let run = BulkImport(self, lane, request, feed)
            try run.run()
            report = run.report
            tallies = run.tallies
        }
        tallies.merge(context.names.tallies(refused: feed.takeRefusedByEntity())) { $0 + $1 }
        feed.fill(&report)
        if !request.dryRun {
            try count(refused: report.refusedByReason, stripped: report.strippedByReason, tallies: tallies)
        }
        report.entitiesAdded.sort()
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }
}
