// A simulated clock runs months over a store with several plans, beside a small model of what may be seen: counts on
// every way to count them, and bytes, every day.

import Foundation
import Synchronization
import Testing

@testable import EventStore

/// A clock that tests move.
final class SimulatedClock: Sendable {
    private let now: Mutex<Int64>
    init(_ start: Int64) { now = Mutex(start) }
    var ms: Int64 { now.withLock { $0 } }
    func advance(_ ms: Int64) { now.withLock { $0 += ms } }

    func options(_ mode: OpenOptions.Mode = .readWrite) -> OpenOptions {
        var options = OpenOptions(mode: mode)
        options.nowMs = { self.ms }
        options.memoryBudget = 64 << 20
        options.threads = 2
        options.sweepsAutomatically = false
        return options
    }
}

/// What the store should show: times of events by entity, and floors that never move back.
private struct LifeModel {
    struct Entity {
        var days: Int
        var floor: Int64 = .min
        var isOpen = true
        var times: [Int64] = []
    }
    var entities: [String: Entity] = [:]

    static func cutOff(_ days: Int, _ now: Int64) -> Int64 {
        days == 0 ? .min : (now / Fixed.dayMs - Int64(days)) * Fixed.dayMs
    }

    /// How many of an entity's events may be seen.
    mutating func visible(_ name: String, _ now: Int64) -> Int {
        guard var entity = entities[name] else { return 0 }
        entity.floor = max(entity.floor, Self.cutOff(entity.days, now))
        entity.times.removeAll { $0 < entity.floor }
        entities[name] = entity
        return entity.times.count
    }

    /// Adds an event; whether it is stored.
    mutating func add(_ name: String, _ time: Int64, _ now: Int64) -> Bool {
        _ = visible(name, now)
        guard var entity = entities[name], entity.isOpen, time >= entity.floor else { return false }
        entity.times.append(time)
        entities[name] = entity
        return true
    }

    mutating func setDays(_ name: String, _ days: Int, _ now: Int64) {
        _ = visible(name, now)
        entities[name]?.days = days
        _ = visible(name, now)
    }
}

@Suite struct LifecycleSimulationTests {
    private static let plans = ["starter": 7, "professional": 30, "enterprise": 90, "unlimited": 0]

    @Test(arguments: [Partition.day, .week]) func hundredAndTwentyDays(_ partition: Partition) throws {
        for seed in TestRun.seeds("LifecycleSimulation.hundredAndTwentyDays(\(partition))") {
            var run = try SimulationRun(seed: seed, partition)
            for day in 0..<120 { try run.day(day) }
            try run.finish()
        }
    }
}

private struct SimulationRun {
    private var generator: SeededGenerator
    private let clock = SimulatedClock(Fixed.now)
    private let folder = TestFolder()
    private var store: BlockingEventStore
    private var model = LifeModel()
    private var number: UInt64 = 0
    private let names = (0..<9).map { "site-\($0).example" }

    init(seed: UInt64, _ partition: Partition) throws {
        generator = SeededGenerator(seed: seed)
        store = try folder.create(Fixed.create(partition), open: clock.options())
        for (index, name) in names.enumerated() {
            let plan = ["starter", "professional", "enterprise"][index % 3]
            try store.addEntity(name, plan: plan)
            model.entities[name] = .init(days: [7, 30, 90][index % 3])
        }
    }

    mutating func day(_ day: Int) throws {
        try append()
        try change(day)
        if day % 3 == 0 { try check("day \(day), after the changes") }
        // Past midnight: gone, swept or not.
        clock.advance(Fixed.dayMs)
        try check("day \(day), before the sweep")
        if day % 4 == 0 {
            let reader = try folder.open(clock.options(.readOnly))
            try check("day \(day), a reader before the sweep", reader)
            try reader.close()
        }
        if day % 3 != 2 { try sweep(confirmed: day % 7 == 0) }
        try check("day \(day), after the sweep")
        if day % 11 == 10 { _ = try store.compact() }
        if day % 13 == 12 { try reopen() }
    }

    /// A cancelled entity goes when its data has lived out its retention.
    private mutating func sweep(confirmed: Bool) throws {
        for name in try store.sweep(confirmed: confirmed).entitiesErased {
            #expect(model.entities[name]?.isOpen == false)
            #expect(model.visible(name, clock.ms) == 0)
            model.entities[name] = nil
        }
    }

    private mutating func append() throws {
        var events: [Event] = []
        var stored = 0
        for _ in 0..<40 {
            let name = generator.pick(names)
            let time = clock.ms - Int64.random(in: 0..<(12 * Fixed.dayMs), using: &generator)
            number += 1
            events.append(
                Event(
                    entity: name, type: generator.pick(["http.request", "wp.cron"]), timestamp: time,
                    id: Fixed.id(number), attributes: ["status": .integer(Int64(number % 5))]))
            // An erased entity that writes again is a new one, with the store's default plan.
            if model.entities[name] == nil { model.entities[name] = .init(days: 0) }
            if model.add(name, time, clock.ms) { stored += 1 }
        }
        let report = try store.append(events)
        #expect(report.stored == stored)
        if generator.chance(1, of: 3) { try store.flush() }
    }

    private mutating func change(_ day: Int) throws {
        switch day {
        case 20: try setPlan(names[0], "enterprise")
        case 35: try setPlan(names[2], "starter")
        case 50: try setPlan(names[1], "unlimited")
        case 55: try suspend(names[3])
        case 60:
            try store.resumeEntity(names[3])
            model.entities[names[3]]?.isOpen = true
        case 65:
            try store.cancelEntity(names[4], reason: "left")
            model.entities[names[4]]?.isOpen = false
        case 70:
            let report = try store.eraseEntity(names[5], reason: "asked for it")
            #expect(report.receipt.isValid())
            #expect(report.events == model.visible(names[5], clock.ms))
            model.entities[names[5]] = nil
        case 80:
            try store.setPlan(Plan(name: "professional", days: 14))
            for (name, entity) in model.entities where entity.days == 30 { model.setDays(name, 14, clock.ms) }
        case 90:
            // A leap of the clock stops the automatic sweep, not what readers see.
            clock.advance(3 * Fixed.dayMs)
            #expect(throws: EventStoreError.self) { try store.sweep() }
            try sweep(confirmed: true)
        default: break
        }
    }

    private mutating func setPlan(_ name: String, _ plan: String) throws {
        try store.setPlan(ofEntity: name, plan: plan)
        let days = try store.plans().first { $0.name == plan }?.days
        model.setDays(name, days ?? 0, clock.ms)
    }

    private mutating func suspend(_ name: String) throws {
        try store.suspendEntity(name, reason: "noisy")
        model.entities[name]?.isOpen = false
    }

    private mutating func check(_ place: String, _ reader: BlockingEventStore? = nil) throws {
        let store = reader ?? store
        var expected: [String: Int] = [:]
        for name in model.entities.keys {
            let count = model.visible(name, clock.ms)
            if count > 0 { expected[name] = count }
        }
        let counted = Dictionary(
            uniqueKeysWithValues: try store.counts(by: .entity, EventFilter()).map { ($0.key, $0.count) })
        #expect(counted == expected, "counts by entity, \(place)")
        let total = expected.values.reduce(0, +)
        #expect(try store.counts(by: .total, EventFilter())[0].count == total, "\(place)")
        #expect(try store.counts(by: .type, EventFilter()).reduce(0) { $0 + $1.count } == total, "types, \(place)")
        #expect(try store.counts(by: .day, EventFilter()).reduce(0) { $0 + $1.count } == total, "days, \(place)")
        var asked: [String: Int] = [:]
        for row in try store.ask("SELECT entity, count(*) FROM events WHERE status >= 0 GROUP BY entity") {
            if case .text(let name) = row[0], case .integer(let count) = row[1] { asked[name] = Int(count) }
        }
        #expect(asked == expected, "SQL, \(place)")
        #expect(try store.one("SELECT count(*) FROM events") == .integer(Int64(total)), "SQL, \(place)")
        #expect(
            try store.one("SELECT sum(n) FROM (SELECT count(*) AS n FROM events GROUP BY type)")
                == (total == 0 ? .null : .integer(Int64(total))), "SQLite, \(place)")
        #expect(try store.all().count == total, "read, \(place)")
    }

    private mutating func reopen() throws {
        try store.close()
        store = try folder.open(clock.options())
    }

    mutating func finish() throws {
        let report = try store.verify()
        #expect(report.holes.isEmpty, "\(report.holes)")
        let audit = try store.verifyAudit()
        #expect(audit.firstBroken == nil)
        #expect(audit.records > 15)
        // A year later nothing is left of what is not kept for ever, not even bytes.
        clock.advance(365 * Fixed.dayMs)
        try sweep(confirmed: true)
        try check("a year later")
        _ = try store.compact()
        try check("a year later, compacted")
        #expect(try store.verify().holes.isEmpty)
        try store.close()
    }
}
