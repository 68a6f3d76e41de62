// Partitions of a week or a month: what expires and what is erased day by day, its totals, keys that were rotated
// meanwhile, and damage.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct LongPartitionTests {
    private static let days: [String: Int] = ["one": 3, "two": 10, "three": 0]

    private static func events(_ entity: String, _ day: Int64, _ random: inout SeededGenerator) -> [Event] {
        (0..<Int.random(in: 1...12, using: &random)).map { index in
            Event(
                entity: entity, type: random.pick(["a", "b", "c"]),
                timestamp: Fixed.day + day * Fixed.dayMs + Int64.random(in: 0..<Fixed.dayMs / 3, using: &random),
                id: Fixed.id(random.next() >> 17), attributes: ["n": .integer(Int64(index))])
        }
    }

    private static func check(_ store: BlockingEventStore, _ events: [Event], _ what: Comment) throws {
        #expect(Set(try store.all().map(\.plain)) == Set(events), what)
        #expect(try store.counts(by: .total).reduce(0) { $0 + $1.count } == events.count, what)
        for day in Set(events.map { $0.timestamp / Fixed.dayMs }) {
            var filter = EventFilter()
            filter.since = day * Fixed.dayMs
            filter.until = (day + 1) * Fixed.dayMs
            let those = events.filter { $0.timestamp / Fixed.dayMs == day }
            for key in [CountKey.type, .entity] {
                let found = try store.counts(by: key, filter).map(\.count).sorted()
                let wanted = Dictionary(grouping: those) { key == .type ? $0.type : $0.entity }.values.map(\.count)
                #expect(found == wanted.sorted(), "\(what), day \(day), \(key)")
            }
        }
        try store.expectClean(what)
    }

    @Test(arguments: [Partition.week, .month]) func daysGoOneByOne(_ partition: Partition) throws {
        for seed in TestRun.seeds("LongPartitionTests.daysGoOneByOne") {
            var random = SeededGenerator(seed: seed)
            let folder = TestFolder()
            let clock = Mutex(Fixed.now)
            var options = Fixed.open()
            options.sweepsAutomatically = false
            options.nowMs = { clock.withLock { $0 } }
            let store = try folder.create(Fixed.create(partition), open: options)
            let reader = try folder.open(
                {
                    var reading = options
                    reading.mode = .readOnly
                    return reading
                }())
            for (name, days) in Self.days {
                try store.addEntity(name)
                if days > 0 { try store.setPlan(ofEntity: name, days: days) }
            }
            var model: [Event] = []
            for day in Int64(0)..<24 {
                clock.withLock { $0 = Fixed.now + day * Fixed.dayMs }
                for name in ["one", "two", "three"] where !(name == "two" && day > 18) {
                    let fresh = Self.events(name, day, &random)
                    try store.append(fresh)
                    model += fresh
                }
                model = model.filter { event in
                    let kept = Int64(Self.days[event.entity] ?? 0)
                    return kept == 0 || event.timestamp >= Fixed.day + (day - kept) * Fixed.dayMs
                }
                if random.chance(2, of: 3) { try store.flush() }
                if random.chance(1, of: 5) { try store.rotateEntityKeys(random.chance(1, of: 2) ? nil : ["one"]) }
                if random.chance(2, of: 3) { _ = try store.sweep() }
                if random.chance(1, of: 6) { _ = try store.compact() }
                if day == 18 {
                    #expect(try store.eraseEntity("two").events > 0)
                    model.removeAll { $0.entity == "two" }
                }
                let what: Comment = "seed \(seed), day \(day)"
                try Self.check(store, model, what)
                #expect(Set(try reader.all().map(\.plain)) == Set(model), what)
            }
            _ = try store.sweep()
            _ = try store.compact()
            #expect(try store.keyStatus().oldKeys.isEmpty)
            try Self.check(store, model, "seed \(seed), at the end")
            try reader.close()
            try store.close()
            let report = try StoreAdministration.repair(at: folder.store, key: Fixed.key, options: options)
            #expect(report.wasSound, "\(report)")
        }
    }

    /// Files from before an erasure under a keyring from after it: the data follows the keys.
    @Test(arguments: [Partition.day, .week, .month]) func dataFromBeforeAnErasureFollowsTheKeys(
        _ partition: Partition
    ) throws {
        let folder = TestFolder()
        let store = try RotatedKeysTests.rotated(folder, partition)
        let others = try store.all().filter { $0.entity != "one" }
        let copy = folder.path + "/copy"
        try TestFolder.copy(folder.store, to: copy)
        _ = try store.eraseEntity("one")
        try store.close()
        try TestFolder.copy(folder.store + "/keyring", to: copy + "/keyring")
        let reader = try BlockingEventStore.open(at: copy, key: Fixed.key, options: Fixed.open(.readOnly))
        #expect(try reader.all() == others)
        try reader.close()
        for _ in 0..<2 {
            let again = try BlockingEventStore.open(at: copy, key: Fixed.key, options: Fixed.open())
            #expect(try again.all() == others)
            try again.expectClean()
            #expect(try again.verifyAudit().firstBroken == nil)
            _ = try again.compact()
            #expect(try again.keyStatus().oldKeys.map(\.entity).allSatisfy { $0 == "two" })
            try again.close()
        }
        // On which days of a longer partition the unreadable events were could only be guessed; now it is counted.
        let report = try StoreAdministration.repair(at: copy, key: Fixed.key, options: Fixed.open())
        #expect(report.losses.isEmpty && report.quarantined.isEmpty && report.holesLeft.isEmpty, "\(report)")
        #expect(report.totalsCorrected == 0 || partition != .day)
        #expect(try StoreAdministration.repair(at: copy, key: Fixed.key, options: Fixed.open()).wasSound)
    }

    /// Totals of days that had to be guessed keep nothing from expiring or being erased later.
    @Test(arguments: [Partition.day, .week, .month], [false, true]) func whatWasGuessedStopsNothingLater(
        _ partition: Partition, _ isRestored: Bool
    ) throws {
        let folder = TestFolder()
        let store = try RotatedKeysTests.rotated(folder, partition)
        try store.append((0..<30).map { Keys.event("one", UInt64(70_000 + $0)) })
        try store.backup(to: folder.backup)
        let copy = isRestored ? folder.restored : folder.path + "/copy"
        if !isRestored { try TestFolder.copy(folder.store, to: copy) }
        _ = try store.eraseEntity("one")
        try store.close()
        if isRestored {
            try folder.restore()
        } else {
            try TestFolder.copy(folder.store + "/keyring", to: copy + "/keyring")
        }
        var again = try BlockingEventStore.open(at: copy, key: Fixed.key, options: Fixed.open())
        try again.expectClean()
        try again.setPlan(ofEntity: "two", days: 2)
        #expect(try again.all().allSatisfy { $0.entity == "three" || $0.timestamp >= Fixed.day - 2 * Fixed.dayMs })
        try again.expectClean()
        _ = try again.eraseEntity("two")
        try again.setPlan(ofEntity: "three", days: 3)
        try again.close()
        again = try BlockingEventStore.open(
            at: copy, key: Fixed.key, options: Fixed.open(now: Fixed.now + 40 * Fixed.dayMs))
        _ = try again.sweep(confirmed: true)
        #expect(try again.all().isEmpty)
        #expect(try again.counts(by: .total).reduce(0) { $0 + $1.count } == 0)
        #expect(try again.append([Keys.event("four", UInt64(40 * Fixed.dayMs))]).stored == 1)
        try again.expectClean()
        try again.close()
    }

    /// Whoever asks for erasure gets it, also where the disk has lost what is to be erased.
    @Test(arguments: [Partition.day, .week], ["block", "missing", "cut"])
    func damageStopsNoErasureAndNoSweep(_ partition: Partition, _ damage: String) throws {
        for isErasure in [true, false] {
            let folder = TestFolder()
            let store = try RotatedKeysTests.rotated(folder, partition)
            try store.close()
            let path = folder.store + "/segments/" + TestFolder.files(below: folder.store + "/segments")[0]
            var bytes = try TestFolder.bytes(path)
            switch damage {
            case "block":
                // Somewhere in each of the entities' parts.
                for place in stride(from: 200, to: bytes.count - 700, by: 150) { bytes[place] ^= 1 }
                try Data(bytes).write(to: URL(fileURLWithPath: path))
            case "cut": try Data(bytes[..<(bytes.count / 2)]).write(to: URL(fileURLWithPath: path))
            default: try FileManager.default.removeItem(atPath: path)
            }
            let what: Comment = "\(partition) \(damage) \(isErasure)"
            let late = Fixed.open(now: Fixed.now + 20 * Fixed.dayMs)
            let again = try folder.open(isErasure ? Fixed.open() : late)
            if isErasure {
                #expect(try again.eraseEntity("one").events == 175, what)
                #expect(try again.keyStatus().tombstones.count == 3, what)
            } else {
                for name in ["one", "two"] {
                    // Nothing to be believed of the clock: that is another test.
                    _ = try again.sweep(confirmed: true)
                    try again.setPlan(ofEntity: name, days: 2)
                }
                _ = try again.sweep(confirmed: true)
            }
            #expect(!again.readable().events.contains { $0.entity == "one" }, what)
            try again.close()
            _ = try StoreAdministration.repair(
                at: folder.store, key: Fixed.key, options: isErasure ? Fixed.open() : late)
            let repaired = try folder.open(isErasure ? Fixed.open() : late)
            try repaired.expectClean(what)
            let left = try repaired.all()
            #expect(!left.contains { $0.entity == "one" } && left.contains { $0.entity == "three" }, what)
            #expect(try repaired.counts(by: .total).map(\.count) == [left.count], what)
            try repaired.close()
        }
    }
}
