// Many at once: appenders that share commits, an import beside appends, readers beside a writer that flushes
// and compacts in a loop.

import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite(.serialized) struct ConcurrencyTests {
    /// Runs bodies on threads of their own and waits for all; throws the first error.
    static func together(_ bodies: [@Sendable () throws -> Void]) throws {
        let failure = Mutex<(any Error)?>(nil)
        let group = DispatchGroup()
        for body in bodies {
            group.enter()
            Thread.detachNewThread {
                do { try body() } catch { failure.withLock { $0 = $0 ?? error } }
                group.leave()
            }
        }
        group.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }

    @Test func concurrentAppendsAreEachStoredOnce() async throws {
        for seed in TestRun.seeds("concurrentAppendsAreEachStoredOnce") {
            let folder = TestFolder()
            let store = try folder.create()
            let rounds = TestRun.isLong ? 200 : 25
            // Tasks share ids on purpose: whoever comes first stores the event.
            let totals = try await withThrowingTaskGroup(of: [EventOutcome].self) { group in
                for task in 0..<8 as Range<UInt64> {
                    group.addTask {
                        var generator = SeededGenerator(seed: seed &+ task)
                        var outcomes: [EventOutcome] = []
                        for round in 0..<rounds {
                            let events = (0..<20).map { _ in
                                let number = UInt64.random(in: 0..<UInt64(rounds * 60), using: &generator)
                                return Event(
                                    entity: "e\(number % 7)", type: "t", timestamp: Fixed.day + Int64(number),
                                    id: Fixed.id(number),
                                    attributes: ["n": .integer(Int64(number)), "by": .integer(Int64(number % 3))])
                            }
                            let id = round % 5 == 0 ? "batch \(task) \(round)" : nil
                            let report = try await store.store.append(events, batchID: id)
                            outcomes += report.outcomes
                            if let id {
                                let again = try await store.store.append(events, batchID: id)
                                #expect(again.repeated && again.outcomes == report.outcomes)
                            }
                        }
                        return outcomes
                    }
                }
                return try await group.reduce(into: [EventOutcome: Int]()) { totals, outcomes in
                    for outcome in outcomes { totals[outcome, default: 0] += 1 }
                }
            }
            let all = try store.all()
            #expect(totals[.stored] == all.count)
            #expect(totals.values.reduce(0, +) == 8 * rounds * 20)
            #expect(totals[.conflict] == nil)
            #expect(Set(all.map(\.identity)).count == all.count)
            #expect(Set(all.map(\.sequence)) == Set(1...UInt64(all.count)))
            try store.close()
            let again = try folder.open()
            #expect(try again.all() == all)
            try again.expectClean()
            try again.close()
        }
    }

    @Test(arguments: [false, true]) func appendsBesideABulkImportStoreEachIdentityOnce(_ strict: Bool) throws {
        let folder = TestFolder()
        let store = try folder.create(open: Fixed.open(budget: 32 << 20))
        let count: UInt64 = TestRun.isLong ? 400_000 : 60_000
        let make: @Sendable (UInt64) -> Event = { number in
            Event(
                entity: "e\(number % 50)", type: "t", timestamp: Fixed.day - Int64(number % 3) * Fixed.dayMs + 5,
                id: Fixed.id(number), attributes: ["n": .integer(Int64(number))])
        }
        let file = try folder.write("in.ndjson", (0..<count).map { make($0).line }.joined())
        let isDone = Atomic<Bool>(false)
        let appended = Mutex<[EventOutcome: Int]>([:])
        let report = Mutex<ImportReport?>(nil)
        try Self.together([
            {
                defer { isDone.store(true, ordering: .releasing) }
                var request = ImportRequest(sources: [file])
                request.strict = strict
                do {
                    let result = try store.importEvents(request)
                    report.withLock { $0 = result }
                } catch let error as EventStoreError {
                    // All or nothing cannot leave out what others appended meanwhile.
                    guard strict, error.code == .exists else { throw error }
                }
            },
            {
                var generator = SeededGenerator(seed: 11)
                while !isDone.load(ordering: .acquiring) {
                    let events = (0..<20).map { _ in make(UInt64.random(in: 0..<count + 500, using: &generator)) }
                    let outcomes = try store.append(events).outcomes
                    appended.withLock { totals in for outcome in outcomes { totals[outcome, default: 0] += 1 } }
                    Thread.sleep(forTimeInterval: 0.001)
                }
            },
        ])
        var imported = report.withLock { $0 } ?? ImportReport()
        if report.withLock({ $0 }) == nil { imported.duplicates = Int(count) }
        #expect(strict || report.withLock { $0 } != nil)
        let totals = appended.withLock { $0 }
        let all = try store.all(order: .stored)
        #expect(Set(all.map(\.identity)).count == all.count, "\(all.count - Set(all.map(\.identity)).count) twice")
        #expect(Set(all.map(\.sequence)).count == all.count)
        #expect(imported.stored + (totals[.stored] ?? 0) == all.count)
        #expect(imported.stored + imported.duplicates == Int(count))
        #expect(imported.conflicts == 0 && totals[.conflict] == nil)
        #expect((totals[.stored] ?? 0) > 0)
        try store.expectClean()
        try store.close()
    }

    @Test func aReaderSeesEveryAcknowledgedEventAtOnceAndTheTailHasNoGap() throws {
        let folder = TestFolder()
        let writer = try folder.create()
        let reader = try folder.open(Fixed.open(.readOnly))
        let rounds = TestRun.isLong ? 3000 : 400
        let acknowledged = Atomic<UInt64>(0)
        let isDone = Atomic<Bool>(false)
        let tailed = Mutex<[UInt64]>([])
        try Self.together([
            {
                defer { isDone.store(true, ordering: .releasing) }
                for round in 0..<rounds {
                    let events = (0..<5).map { index in
                        Event(
                            entity: "e\(index)", type: "t\(round % 3)",
                            timestamp: Fixed.day - Int64(round % 4) * Fixed.dayMs + Int64(round),
                            id: Fixed.id(UInt64(round * 5 + index)), attributes: ["n": .integer(Int64(round))])
                    }
                    let report = try writer.append(events)
                    acknowledged.store(report.nextSequence - 1, ordering: .releasing)
                }
            },
            {
                while !isDone.load(ordering: .acquiring) {
                    try writer.flush()
                    _ = try writer.compact()
                }
            },
            { try Self.ask(reader, 5, acknowledged, isDone) }, { try Self.ask(reader, 6, acknowledged, isDone) },
            {
                var position: UInt64 = 0
                var isLast = false
                while !isLast {
                    isLast = isDone.load(ordering: .acquiring)
                    let batch = try reader.tailBatch(from: position, limit: 7, timeoutMs: 30)
                    for index in 0..<batch.count { tailed.withLock { $0.append(batch[index].sequence) } }
                    position = batch.nextSequence
                    if !batch.isEmpty { isLast = false }
                }
            },
        ])
        let last = acknowledged.load(ordering: .acquiring)
        #expect(last == UInt64(rounds * 5))
        #expect(tailed.withLock { $0 } == Array(1...last))
        try reader.close()
        try writer.expectClean()
        try writer.close()
    }

    /// Asks a reader all kinds of questions until the writer is done: what is acknowledged is in each answer.
    private static func ask(
        _ reader: BlockingEventStore, _ seed: UInt64, _ acknowledged: borrowing Atomic<UInt64>,
        _ isDone: borrowing Atomic<Bool>
    ) throws {
        var generator = SeededGenerator(seed: seed)
        while !isDone.load(ordering: .acquiring) {
            let known = acknowledged.load(ordering: .acquiring)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: #expect(try reader.counts(by: .total)[0].count >= Int(known))
            case 1:
                let filter = EventFilter(conditions: [.init("n", .greaterOrEqual, .integer(0))])
                #expect(try reader.counts(by: .total, filter)[0].count >= Int(known))
            case 2:
                let found = try reader.all(order: generator.pick([.oldestFirst, .newestFirst, .stored]))
                #expect(found.count >= Int(known))
                #expect(Set(found.map(\.sequence)).isSuperset(of: known == 0 ? [] : Set(1...known)))
                #expect(Set(found.map(\.sequence)).count == found.count)
            case 3:
                let found = try reader.histogram(by: "type", bucketMs: Fixed.dayMs)
                #expect(found.series.reduce(0) { $0 + $1.counts.reduce(0, +) } >= Int(known))
            default:
                let found = try reader.all(EventFilter(entities: ["e1"]))
                #expect(found.count >= Int(known) / 5)
            }
        }
    }

    @Test func cursorsOpenedBeforeACompactionGoOnAfterIt() throws {
        let folder = TestFolder()
        let writer = try folder.create()
        for round in 0..<6 {
            try writer.append(
                (0..<4000).map { index in
                    Event(
                        entity: "e\(index % 9)", type: "t", timestamp: Fixed.day - Int64(index % 3) * Fixed.dayMs,
                        id: Fixed.id(UInt64(round * 4000 + index)), attributes: ["n": .integer(Int64(index))])
                })
            if round < 5 { try writer.flush() }
        }
        let reader = try folder.open(Fixed.open(.readOnly))
        for store in [writer, reader] {
            var open: [(EventCursor, Int)] = []
            for order in [EventOrder.oldestFirst, .newestFirst, .stored] {
                for isStarted in [false, true] {
                    let cursor = try store.cursor(EventFilter(), order: order)
                    open.append((cursor, isStarted ? try cursor.nextBatch()?.count ?? 0 : 0))
                }
            }
            // What comes later is not part of them.
            try writer.append([Event(entity: "late", type: "t", timestamp: Fixed.day)])
            try writer.flush()
            _ = try writer.compact()
            for (cursor, before) in open {
                var count = before
                while let batch = try cursor.nextBatch() {
                    count += batch.count
                    for index in 0..<batch.count where batch[index].entity == "late" && store.engine === writer.engine {
                        count -= 24_000
                    }
                }
                #expect(count == 24_000 + (store.engine === writer.engine ? 0 : 1))
            }
        }
        try reader.close()
        try writer.close()
    }

    @Test func closingBesideAppendsLosesNothingAcknowledged() throws {
        for round in 0..<(TestRun.isLong ? 100 : 8) {
            let folder = TestFolder()
            let store = try folder.create()
            let acknowledged = Mutex<Set<Int>>([])
            let appenders = (0..<4).map { task -> @Sendable () throws -> Void in
                {
                    for index in 0..<500 {
                        let number = task * 1000 + index
                        let event = Event(
                            entity: "e", type: "t", timestamp: Fixed.day, id: Fixed.id(UInt64(number)))
                        guard (try? store.append([event])) != nil else { return }
                        acknowledged.withLock { _ = $0.insert(number) }
                    }
                }
            }
            try Self.together(
                appenders + [
                    {
                        Thread.sleep(forTimeInterval: 0.005 * Double(round + 1))
                        try store.close()
                    }
                ])
            let again = try folder.open()
            let found = Set(try again.all().compactMap(\.id))
            #expect(acknowledged.withLock { $0 }.allSatisfy { found.contains(Fixed.id(UInt64($0))) })
            try again.expectClean()
            try again.close()
        }
    }

    @Test func theTailOfTheAsyncDoorYieldsEachEventOnce() async throws {
        let folder = TestFolder()
        let store = try folder.create().store
        let reader = Task {
            var found: [UInt64] = []
            for try await event in store.tail(from: .sequence(1)) {
                found.append(event.sequence)
                if found.count == 100 { break }
            }
            return found
        }
        for index in 0..<100 {
            try await store.append([Event(entity: "e", type: "t", timestamp: Fixed.day + Int64(index))])
            if index == 50 { try await store.flush() }
        }
        #expect(try await reader.value == Array(1...100))
        var events: [Event] = []
        for try await event in store.events(EventFilter(), order: .oldestFirst, limit: 10) { events.append(event) }
        #expect(events.map(\.sequence) == Array(1...10))
        try await store.close()
    }

    /// A process of its own, through the command line tool beside the tests, if it was built.
    @Test func aChildProcessSeesWhatWasAcknowledged() throws {
        let tool = Bundle.main.executableURL?.deletingLastPathComponent().appendingPathComponent("eventstore")
        guard let path = tool?.path, FileManager.default.isExecutableFile(atPath: path) else { return }
        let folder = TestFolder()
        let key = try folder.write("key", [UInt8](repeating: 7, count: 32))
        chmod(key, 0o600)
        let writer = try folder.create(open: OpenOptions())
        for round in 0..<4 {
            try writer.append(
                (0..<25).map { Event(entity: "e", type: "t", timestamp: Fixed.day + Int64(round * 25 + $0)) })
            if round == 1 { try writer.flush() }
            if round == 2 { _ = try writer.compact() }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = ["events", folder.store, "--key-file", key, "--format", "ndjson", "--limit", "1000"]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            #expect(output.count { $0 == 0x0a } == (round + 1) * 25)
        }
        try writer.close()
    }
}
