// Budgets: what an entity may add a day, what a store may take, and what is counted of refusals.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct BudgetTests {
    private static func events(_ entity: String, _ ids: Range<UInt64>, day: Int64 = 0) -> [Event] {
        ids.map { id in
            Event(
                entity: entity, type: "t", timestamp: Fixed.day + day * Fixed.dayMs + Int64(id), id: Fixed.id(id),
                attributes: ["n": .integer(Int64(id)), "s": .string("text")])
        }
    }

    /// 24 for id and time, the names, 8 for the number, 4 for the text.
    private static func bytes(_ entity: String) -> Int { 24 + entity.utf8.count + 1 + 1 + 8 + 1 + 4 }

    private static func lines(_ events: [Event]) -> String {
        events.map { event in
            #"{"entity":"\#(event.entity)","type":"t","timestamp":\#(event.timestamp),"id":"\#(event.id!.uuidString)","#
                + #""attributes":{"n":\#(event.timestamp - Fixed.day),"s":"text"}}"#
        }.joined(separator: "\n") + "\n"
    }

    private func refusals(_ outcomes: [EventOutcome]) -> Int {
        outcomes.count { if case .refused("budget", _) = $0 { true } else { false } }
    }

    @Test func aNoisyEntityIsRefusedAndTheOthersAreNot() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setBudget(BudgetChange(eventsPerDay: 100))
        let first = try store.append(Self.events("noisy", 0..<80) + Self.events("quiet", 0..<10))
        #expect(first.stored == 90)
        // Duplicates take nothing of the budget.
        let second = try store.append(Self.events("noisy", 70..<120) + Self.events("quiet", 10..<20))
        #expect(second.stored == 30 && second.duplicates == 10 && second.refused == 20)
        #expect(refusals(second.outcomes) == 20)
        #expect(try store.counts(by: .entity).map(\.count).sorted() == [20, 100])
        let stats = try store.stats()
        #expect(stats.refusedByReason["budget"] == 20)
        let entities = try store.entities()
        #expect(entities.first { $0.name == "noisy" }?.refused == 20)
        #expect(entities.first { $0.name == "quiet" }?.refused == 0)
        let report = try store.budget()
        #expect(report.entities.map(\.name) == ["noisy", "quiet"])
        #expect(report.entities.map(\.events) == [100, 20])
        try store.close()
    }

    @Test func aRepeatOfARefusedRowIsRefusedAsWell() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setBudget(BudgetChange(eventsPerDay: 1))
        let events = Self.events("e", 0..<2)
        let report = try store.append([events[0], events[1], events[1], events[0]])
        #expect(report.stored == 1 && report.refused == 2 && report.duplicates == 1)
    }

    @Test func countsSurviveARestartAndEndWithTheDay() throws {
        let folder = TestFolder()
        var store = try folder.create()
        try store.setBudget(BudgetChange(eventsPerDay: 10))
        try store.append(Self.events("e", 0..<7))
        try store.close()
        store = try folder.open()
        #expect(try store.append(Self.events("e", 10..<20)).stored == 3)
        try store.close()
        store = try folder.open(Fixed.open(now: Fixed.now + Fixed.dayMs))
        #expect(try store.append(Self.events("e", 20..<40)).stored == 10)
        #expect(try store.budget().entities.map(\.events) == [10])
        try store.close()
        store = try folder.open(Fixed.open(now: Fixed.now + Fixed.dayMs))
        #expect(try store.append(Self.events("e", 50..<51)).refused == 1)
        // The day a batch that waited for its commit belongs to is over: nothing of the new day is forgotten.
        #expect(try store.budget().entities.map(\.events) == [10])
        try store.close()
    }

    @Test func bytesAreCountedAsDocumented() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setBudget(BudgetChange(bytesPerDay: 10 * Self.bytes("ab") + 5))
        #expect(try store.append(Self.events("ab", 0..<15)).stored == 10)
        #expect(try store.budget().entities.map(\.bytes) == [10 * Self.bytes("ab")])
    }

    @Test func ownBudgetsComeBeforeThatOfAll() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append(Self.events("vip", 0..<1) + Self.events("small", 0..<1))
        try store.setBudget(BudgetChange(eventsPerDay: 10))
        try store.setBudget(BudgetChange(entity: "vip", eventsPerDay: 0))
        try store.setBudget(BudgetChange(entity: "small", eventsPerDay: 2))
        let report = try store.append(
            Self.events("vip", 10..<60) + Self.events("small", 10..<60) + Self.events("other", 10..<60))
        #expect(report.stored == 50 + 2 + 10)
        try store.setBudget(BudgetChange(entity: "small", resetsEntity: true))
        #expect(try store.append(Self.events("small", 10..<60)).stored == 8)
        #expect(code { try store.setBudget(BudgetChange(entity: "nobody", eventsPerDay: 1)) } == "not-found")
        #expect(code { try store.setBudget(BudgetChange(maxBytes: -1)) } == "invalid")
    }

    @Test(arguments: [false, true])
    func importsKeepToTheBudget(durable: Bool) throws {
        let folder = TestFolder()
        var store = try folder.create()
        try store.setBudget(BudgetChange(eventsPerDay: 1000))
        // Many days, so that partitions are written side by side.
        var noisy: [Event] = []
        for day in UInt64(0)..<8 { noisy += Self.events("noisy", day * 400..<(day + 1) * 400, day: -Int64(day)) }
        let file = try folder.write("a.ndjson", Self.lines(noisy + Self.events("quiet", 0..<50)))
        var request = ImportRequest(sources: [file])
        request.durable = durable
        let report = try store.importEvents(request)
        #expect(report.stored == 1050 && report.refused == 3200 - 1000)
        #expect(report.refusedByReason == ["budget": 2200])
        #expect(report.firstRefusals.first?.reason == "budget")
        // What is there is a duplicate and not refused; the rest has no budget left.
        let again = try store.importEvents(request)
        #expect(again.stored == 0 && again.duplicates == 1050 && again.refused == 2200)
        #expect(try store.entities().first { $0.name == "noisy" }?.refused == 4400)
        #expect(try store.stats().refusedByReason["budget"] == 4400)
        try store.close()
        store = try folder.open()
        #expect(try store.append(Self.events("noisy", 90_000..<90_001)).refused == 1)
        try store.expectClean()
        try store.close()
    }

    @Test func aStrictImportThatFailsTakesNothingOfTheBudget() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setBudget(BudgetChange(eventsPerDay: 100))
        let file = try folder.write("a.ndjson", Self.lines(Self.events("e", 0..<60)) + "no json\n")
        var request = ImportRequest(sources: [file])
        request.strict = true
        #expect(try store.importEvents(request).stored == 0)
        #expect(try store.append(Self.events("e", 0..<100)).stored == 100)
    }

    @Test func appendsAtTheSameTimeStayWithinTheBudgetTogether() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setBudget(BudgetChange(eventsPerDay: 500))
        let file = try folder.write("a.ndjson", Self.lines(Self.events("e", 100_000..<100_400)))
        let stored = Atomic<Int>(0)
        let failures = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 5) { thread in
            do {
                if thread == 0 {
                    stored.add(try store.importEvents(ImportRequest(sources: [file])).stored, ordering: .relaxed)
                    return
                }
                for batch in 0..<20 {
                    let first = UInt64(thread * 1000 + batch * 20)
                    stored.add(try store.append(Self.events("e", first..<first + 20)).stored, ordering: .relaxed)
                }
            } catch { failures.add(1, ordering: .relaxed) }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(stored.load(ordering: .relaxed) == 500)
        #expect(try store.counts(by: .total).map(\.count) == [500])
        #expect(try store.budget().entities.map(\.events) == [500])
    }

    // MARK: The store

    @Test func aStoreAtItsBudgetRefusesWholeAppendsAndResumesAfterASweep() throws {
        let folder = TestFolder()
        let clock = Mutex(Fixed.now)
        var options = Fixed.open()
        options.nowMs = { clock.withLock { $0 } }
        let clockAfter = Fixed.now + 9 * Fixed.dayMs
        let store = try BlockingEventStore.create(
            at: folder.store, key: Fixed.key, options: Fixed.create(), open: options)
        try store.addEntity("e", plan: "starter")
        for part in UInt64(0)..<20 { try store.append(Self.noise("e", part)) }
        try store.flush()
        try store.compact()
        try store.setBudget(BudgetChange(maxBytes: try store.budget().storeBytes + 100_000))
        let before = try store.counts(by: .total).first?.count ?? 0
        var part = UInt64(20)
        var failed = "(none)"
        while failed == "(none)", part < 1000 {
            failed = code { try store.append(Self.noise("e", part)) }
            part += 1
        }
        #expect(failed == "disk-full")
        let file = try folder.write("a.ndjson", Self.lines(Self.events("e", 0..<60)))
        #expect(code { try store.importEvents(ImportRequest(sources: [file])) } == "disk-full")
        #expect(try store.counts(by: .total).first?.count ?? 0 > before)
        clock.withLock { $0 = clockAfter }
        let report = try store.sweep(confirmed: true)
        #expect(report.eventsExpired == before)
        #expect(try store.append(Self.noise("e", 5000, day: 9)).stored == 200)
        try store.expectClean()
        try store.close()
    }

    /// Events that do not compress.
    private static func noise(_ entity: String, _ part: UInt64, day: Int64 = 0) -> [Event] {
        var generator = SeededGenerator(seed: part)
        return (0..<200).map { index in
            Event(
                entity: entity, type: "t", timestamp: Fixed.day + day * Fixed.dayMs + Int64(index), id: UUID(),
                attributes: ["s": .string((0..<4).map { _ in String(generator.next(), radix: 36) }.joined())])
        }
    }

    @Test func bytesThatAreToStayFreeStayFree() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setBudget(BudgetChange(minFree: 1 << 60))
        #expect(code { try store.append(Self.events("e", 0..<1)) } == "disk-full")
        try store.setBudget(BudgetChange(minFree: 0))
        #expect(try store.append(Self.events("e", 0..<1)).stored == 1)
    }

    // MARK: Tallies

    @Test func everyDoorCountsRefusalsByEntity() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append(Self.events("e", 0..<1) + Self.events("short", 0..<1))
        try store.setPlan(ofEntity: "short", plan: "starter")
        var future = Self.events("e", 1..<2)[0]
        future.timestamp = Fixed.now + 3 * Fixed.dayMs
        // Refused before it is a row, also where no row is left.
        #expect(try store.append([future]).refused == 1)
        #expect(try store.append([future] + Self.events("e", 5..<6)).refused == 1)
        #expect(try store.append(Self.events("short", 0..<3, day: -20)).expired == 3)
        try store.suspendEntity("e")
        #expect(try store.append(Self.events("e", 7..<9)).refused == 2)
        for durable in [false, true] {
            let file = try folder.write(
                "a.ndjson", Self.lines(Self.events("e", 10..<15) + Self.events("short", 10..<14, day: -20)))
            var request = ImportRequest(sources: [file])
            request.durable = durable
            let report = try store.importEvents(request)
            #expect(report.refused == 5 && report.expired == 4)
        }
        let entities = try store.entities()
        #expect(entities.first { $0.name == "e" }?.refused == 1 + 1 + 2 + 10)
        #expect(entities.first { $0.name == "e" }?.expired == 0)
        #expect(entities.first { $0.name == "short" }?.expired == 3 + 8)
        #expect(entities.first { $0.name == "short" }?.refused == 0)
        #expect(try store.stats().refusedByReason["suspended-entity"] == 12)
    }

    @Test(arguments: [false, true])
    func whatThePolicyRefusesIsCountedByEntity(durable: Bool) throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append(Self.events("e", 0..<1))
        try store.setPolicy(json: #"{"version":1,"findings":{"credential":"refuse"}}"#)
        let line =
            #"{"entity":"e","type":"t","timestamp":\#(Fixed.day),"attributes":{"password":"hunter2 is secret"}}"#
            + "\n"
        let file = try folder.write("a.ndjson", line + line)
        var request = ImportRequest(sources: [file])
        request.durable = durable
        #expect(try store.importEvents(request).refused == 2)
        #expect(try store.entities().first?.refused == 2)
    }
}
