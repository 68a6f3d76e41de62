// Following a store: rows in order of sequence.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments
import Foundation

extension StoreEngine {
    private static let pollMs = 20

    func nextSequence() throws(Fault) -> UInt64 { try snapshot().nextSequence }

    func names(of kind: NameKind) throws(Fault) -> [String] {
        // In a reader this brings the names up to date.
        _ = try snapshot()
        return context.names.names(of: kind)
    }

    func tailBatch(
        _ filter: EventFilter, from: UInt64, limit: Int, timeoutMs: Int
    ) throws(Fault) -> EventBatch {
        guard limit > 0 else { throw Fault(.invalid, "a limit must be at least 1") }
        let deadline = ContinuousClock.now + .milliseconds(timeoutMs)
        var position = from
        while true {
            let snapshot = try snapshot()
            if snapshot.nextSequence > position {
                let batch = try gatherTail(filter, position, limit, snapshot)
                if !batch.isEmpty { return batch }
                // Nothing that matches up to here: look only further on from now.
                position = batch.nextSequence
            }
            if ContinuousClock.now >= deadline { return emptyTail(max(position, from)) }
            Thread.sleep(forTimeInterval: Double(StoreEngine.pollMs) / 1000)
        }
    }

    private func emptyTail(_ position: UInt64) -> EventBatch {
        var batch = EventBatch(rows: RowBatch(), order: [], names: NameResolver(context.names))
        batch.nextSequence = position
        return batch
    }

    private func gatherTail(
        _ filter: EventFilter, _ from: UInt64, _ limit: Int, _ first: Published
    ) throws(Fault) -> EventBatch {
        var snapshot = first
        var attempts = 0
        while true {
            do throws(Fault) {
                guard let compiled = try context.names.compile(filter) else {
                    return emptyTail(snapshot.nextSequence)
                }
                let pass = TailPass(context, compiled, from: from, limit: limit)
                pass.scan.missingIsDamage = attempts == CursorRun.attemptsMax
                try pass.gather(snapshot)
                var batch = try pass.fetch(NameResolver(context.names))
                // A tail that stopped at damage would never get past it; `verify` names what is missing.
                for fault in pass.scan.damage { StoreLog.logger.warning("the tail passes over events: \(fault)") }
                batch.nextSequence = pass.next(snapshot.nextSequence)
                return batch
            } catch {
                guard error.code == .notFound, attempts < CursorRun.attemptsMax else { throw error }
                attempts += 1
                snapshot = try self.snapshot()
            }
        }
    }
}

/// The next rows by sequence.
private final class TailPass {
    let scan: PartitionScan
    private let from: UInt64
    private let limit: Int
    private let collector: MatchCollector
    private var sources: [RowSource] = []
    private let context: ReadContext

    init(_ context: ReadContext, _ filter: RowFilter, from: UInt64, limit: Int) {
        self.context = context
        self.from = from
        self.limit = limit
        scan = PartitionScan(context, filter)
        collector = MatchCollector(order: .ascending, limit: limit)
    }

    func gather(_ snapshot: Published) throws(Fault) {
        for batch in snapshot.memory where batch.lastSequence >= from { gather(batch.rows) }
        let handles = snapshot.segments.all.filter { $0.info.maxSequence >= from }
        for handle in handles.sorted(by: { $0.info.minSequence < $1.info.minSequence }) {
            let range = Int64(handle.info.minSequence)...Int64(handle.info.maxSequence)
            if collector.canTake(range) { try gather(handle) }
        }
        collector.finish()
    }

    private func gather(_ rows: RowBatch) {
        let source = UInt32(sources.count)
        sources.append(.memory(rows))
        BatchFilter(rows, scan.filter).forEachMatch { row in
            let sequence = rows.sequence.base[row]
            if sequence >= from { add(sequence, source, UInt32(row)) }
        }
    }

    private func gather(_ handle: SegmentHandle) throws(Fault) {
        let entries = try scan.entries(handle)
        try scan.forEachBlock(handle, entries, times: { $0 }) { (block, rows) throws(Fault) in
            let sequences = try scan.scanner.sequences(block.block)
            let source = UInt32(sources.count)
            sources.append(.block(block))
            for row in rows where sequences[Int(row)] >= from { add(sequences[Int(row)], source, row) }
        }
    }

    private func add(_ sequence: UInt64, _ source: UInt32, _ row: UInt32) {
        collector.add(MatchKey(major: Int64(sequence), sequence: sequence, source: source, row: row))
    }

    func fetch(_ names: NameResolver) throws(Fault) -> EventBatch {
        try RowFetch.fetch(collector.sorted, sources, context, scan, names)
    }

    /// Where to go on: behind the last row, or at the snapshot's end when all of it was seen.
    func next(_ end: UInt64) -> UInt64 {
        guard collector.count == limit, let last = collector.sorted.last else { return end }
        return last.sequence + 1
    }
}
