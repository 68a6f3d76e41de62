// Power is cut at every operation of generated workloads, in every half of the store at once, and what is left has to be
// what was promised.

import EventStoreCore
import EventStoreSimulation
import Foundation
import Synchronization
import Testing

@testable import EventStore

/// What a run is asked for: `EVENTSTORE_CRASH_IMAGES` distinct images, seeds from `EVENTSTORE_CRASH_SEED` on, which is
/// one number, or two with a dash between them: then exactly these.
struct CrashRequest {
    var images: Int
    var first: UInt64
    var last: UInt64

    #if DEBUG
        static let usual = 1000
    #else
        static let usual = 20_000
    #endif

    init(images: Int) {
        let environment = ProcessInfo.processInfo.environment
        self.images = environment["EVENTSTORE_CRASH_IMAGES"].flatMap { Int($0) } ?? images
        let parts = (environment["EVENTSTORE_CRASH_SEED"] ?? "").split(separator: "-").compactMap { UInt64($0) }
        first = parts.first ?? UInt64.random(in: 0..<1 << 40)
        last = .max
        if let end = parts.last {
            last = end
            self.images = environment["EVENTSTORE_CRASH_IMAGES"].flatMap { Int($0) } ?? .max
        }
    }
}

@Suite(.serialized) struct CrashImageTests {
    /// Runs workloads on two threads until there are images enough.
    private static func run(_ request: CrashRequest) -> (ImageCount, [String]) {
        let count = ImageCount()
        let next = Mutex(request.first)
        let problems = Mutex<[String]>([])
        // Other suites may run at the same time.
        let name = UUID().uuidString.prefix(8)
        DispatchQueue.concurrentPerform(iterations: 2) { lane in
            while count.distinct < request.images, problems.withLock({ $0.count < 5 }) {
                let seed = next.withLock { next -> UInt64? in
                    guard next <= request.last else { return nil }
                    defer { next += 1 }
                    return next
                }
                guard let seed else { return }
                var run = CrashRun(seed: seed, lane: "\(name)-\(lane)", count: count)
                do { try run.run() } catch {
                    problems.withLock { $0.append("EVENTSTORE_CRASH_SEED=\(seed): the workload: \(error)") }
                }
                problems.withLock { $0 += run.findings.map(\.description) }
            }
        }
        return (count, problems.withLock { $0 })
    }

    @Test func everythingPromisedIsThereAfterAPowerCut() {
        let request = CrashRequest(images: CrashRequest.usual)
        print("crash images: EVENTSTORE_CRASH_SEED=\(request.first)")
        let start = ContinuousClock.now
        let (count, problems) = CrashImageTests.run(request)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print(
            "crash images: \(count.distinct) distinct, \(count.opened.load(ordering: .relaxed)) opened, "
                + "\(count.nested.load(ordering: .relaxed)) of them after a second or third cut, "
                + "\(count.positions.load(ordering: .relaxed)) operations, \(String(format: "%.1f", seconds)) s")
        for problem in problems { Issue.record("\(problem)") }
    }

    /// The simulation itself: a disk that forgets one kind of sync must be found out.
    @Test(arguments: ForgottenSync.allCases) func aForgottenSyncIsFound(_ forgets: ForgottenSync) throws {
        let count = ImageCount()
        var finding: CrashFinding?
        for seed in UInt64(1)...40 where finding == nil {
            var run = CrashRun(
                seed: seed, lane: "forgets-\(UUID().uuidString.prefix(8))", count: count, forgets: forgets)
            switch forgets {
            case .export: try run.run([.append, .export, .append, .export])
            case .backup, .backupDirectory: try run.run([.append, .flush, .backUp, .append, .flush, .backUp])
            default: try run.run()
            }
            finding = run.findings.first
        }
        print("forgotten sync, \(forgets): \(count.distinct) images; \(finding?.message ?? "not noticed")")
        #expect(finding != nil, "nobody noticed that \(forgets) was not synced")
    }

    /// Short lives that once found something, with more images of each moment than a generated one gets.
    @Test(arguments: [
        // A file that recovery unlinked came back after a second cut, and belonged to nobody.
        [Workload.Move.append, .flush, .append, .flush, .compact],
        // A journal without a log could not be rolled back: the store could not be opened any more.
        [.append, .reopenWithoutLog, .append],
        // The first change of keys of a new store was not in the audit chain.
        [.addSlot, .append],
    ]) func whatWasFoundOnce(_ moves: [Workload.Move]) throws {
        for seed in UInt64(1)...2 {
            var run = CrashRun(seed: seed, lane: "found-\(UUID().uuidString.prefix(8))", count: ImageCount())
            run.imagesPerPosition = 3
            try run.run(moves)
            for finding in run.findings { Issue.record("\(finding)") }
        }
    }
}
