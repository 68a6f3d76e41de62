// The store's answers against SQLite's, over generated data and generated queries.
//
// EVENTSTORE_DIFF_QUERIES=N runs N queries, EVENTSTORE_DIFF_SEED=S begins at query number S (a long run can be cut into
// ranges of numbers, and one query replayed), EVENTSTORE_DIFF_THREADS=T uses T threads, EVENTSTORE_DIFF_BIG=1 adds an
// entity with more rows than a block holds.

import EventStore
import Foundation
import Testing

@Suite("Answers agree with SQLite", .serialized)
struct DifferentialTests {
    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment["EVENTSTORE_DIFF_" + name].flatMap { UInt64($0) }
    }

    private static func finish(_ run: DifferentialRun, shares: Bool = true) {
        let totals = run.log.totals
        run.log.say(totals.line + String(format: ", %.0f queries/s", Double(totals.queries) / run.log.seconds))
        print(totals.coverage)
        for report in totals.reports { Issue.record(Comment(rawValue: report)) }
        #expect(totals.mismatches == 0)
        guard shares, totals.queries >= 100 else { return }
        #expect(totals.nativeShare >= 60, "too few queries run natively")
        #expect(totals.nonEmptyShare >= 70, "too many answers are empty")
    }

    @Test("Generated queries agree")
    func generated() {
        let threads = Int(Self.setting("THREADS") ?? 2)
        var run = DifferentialRun("differential", threads: threads)
        if let count = Self.setting("QUERIES") {
            let start = Self.setting("SEED") ?? 0
            run.isVerbose = count < 50
            run.log.say("queries \(start) to \(start + count - 1)")
            run.run(start..<start + count)
        } else {
            for _ in 0..<3 {
                let start = Self.setting("SEED") ?? UInt64.random(in: 0..<1 << 30) * DifferentialRun.stretch
                run.log.say("queries from EVENTSTORE_DIFF_SEED=\(start)")
                run.run(start..<start + 150)
            }
        }
        Self.finish(run)
    }

    @Test("An entity of several blocks", .enabled(if: setting("BIG") != nil))
    func big() throws {
        let seed = Self.setting("SEED") ?? UInt64.random(in: 0..<1 << 40)
        var run = DifferentialRun("big entity")
        run.skipsGeneral = true
        run.log.say("EVENTSTORE_DIFF_SEED=\(seed)")
        let data = try DataSet(Population(seed: seed, rows: 95_000...100_000, big: true), memoryBudget: 1 << 30)
        run.log.update { $0.add(data) }
        run.run(seed..<seed + (Self.setting("QUERIES") ?? 300), on: data)
        Self.finish(run)
    }
}
