// The durable path of an import: every batch of events is one acknowledged append. One thread parses ahead
// while the other waits for the disk.

import EventStoreCore
import EventStoreIngest
import Foundation
import Synchronization

/// A queue of parsed batches between two threads, a few batches long.
///
/// `@unchecked Sendable`: everything mutable is touched with `condition` held.
private final class BatchQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var batches: [RowBatch] = []
    private var isEnded = false
    private var isStopped = false
    private static let batchesMax = 16

    /// Waits for room; false when nobody wants more.
    func put(_ batch: RowBatch) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while batches.count >= BatchQueue.batchesMax, !isStopped { condition.wait() }
        if isStopped { return false }
        batches.append(batch)
        condition.broadcast()
        return true
    }

    /// The next batch, `nil` at the end.
    func take() -> RowBatch? {
        condition.lock()
        defer { condition.unlock() }
        while batches.isEmpty, !isEnded { condition.wait() }
        guard !batches.isEmpty else { return nil }
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

/// `@unchecked Sendable`: `feed` is the parsing thread's until it ended, everything else the other one's.
final class DurableImport: @unchecked Sendable {
    private let engine: StoreEngine
    private let lane: WriterLane
    private let request: ImportRequest
    private let feed: ImportFeed
    private let queue = BatchQueue()
    private let parsing = Mutex<Fault?>(nil)
    private var occurrences: LineOccurrences
    private(set) var report = ImportReport()

    init(_ engine: StoreEngine, _ lane: WriterLane, _ request: ImportRequest, _ feed: ImportFeed) {
        self.engine = engine
        self.lane = lane
        self.request = request
        self.feed = feed
        occurrences = LineOccurrences(engine.context.keyring)
    }

    private struct Stop: Error {}

    func run() throws(Fault) {
        let ended = DispatchSemaphore(value: 0)
        let thread = Thread { [self] in
            parse()
            ended.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
        var refused: [RowVerdict] = []
        var failure: Fault?
        while let batch = queue.take() {
            do throws(Fault) {
                refused += try append(batch)
            } catch {
                failure = error
                queue.stop()
                break
            }
        }
        ended.wait()
        for verdict in refused { feed.refuse(verdict) }
        if let fault = failure ?? parsing.withLock({ $0 }) { throw fault }
    }

    private func parse() {
        do throws(Fault) {
            try feed.forEachBatch(of: request.batchSize) { (batch) throws(Fault) in
                guard queue.put(batch) else { throw Fault(.cancelled, "the import was stopped") }
            }
        } catch {
            if error.code != .cancelled { parsing.withLock { $0 = error } }
        }
        queue.end()
    }

    /// Appends one batch and acknowledges it; returns why rows were refused.
    private func append(_ batch: RowBatch) throws(Fault) -> [RowVerdict] {
        occurrences.settle(batch)
        let append = AppendRequest(batch, receivedMs: engine.context.environment.nowMs())
        append.allowNewEntities = request.allowNewEntities
        append.plan = request.plan
        lane.submit(append)
        if let fault = append.fault { throw fault }
        report.entitiesAdded += append.entitiesAdded
        var refused: [RowVerdict] = []
        for verdict in append.verdicts {
            switch verdict {
            case .stored: report.stored += 1
            case .duplicate: report.duplicates += 1
            case .conflict: report.conflicts += 1
            case .expired: report.expired += 1
            default: refused.append(verdict)
            }
        }
        acknowledged += append.verdicts.count
        request.acknowledged?(acknowledged)
        return refused
    }

    private var acknowledged = 0
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
        if let plan = request.plan { try Plans.check(plan) }
        let start = ContinuousClock.now
        let feed = try ImportFeed(request, context, progress: progress)
        var report: ImportReport
        if request.durable, !request.dryRun {
            let run = DurableImport(self, lane, request, feed)
            try run.run()
            report = run.report
        } else {
            let run = BulkImport(self, lane, request, feed)
            try run.run()
            report = run.report
        }
        feed.fill(&report)
        report.entitiesAdded.sort()
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }
}
