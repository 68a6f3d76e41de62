// One population twice: in a store, and in a plain table of SQLite.

import EventStore
import Foundation
import Synchronization

/// Something in the suite itself or in the store's other interfaces does not hold.
struct SuiteFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A store in a temporary folder, the reference beside it, and the events as the store's cursor gives them.
final class DataSet {
    let population: Population
    /// By sequence.
    let events: [Event]
    let reference: Reference
    private(set) var store: BlockingEventStore
    let segments: Int
    let unflushed: Int
    private let folder: String
    private let options: OpenOptions

    private static let key = KeySource.raw([UInt8](repeating: 9, count: 32))

    init(_ population: Population, memoryBudget: Int = 64 << 20) throws {
        self.population = population
        folder = NSTemporaryDirectory() + "eventstore-differential-" + UUID().uuidString
        let clock = Clock()
        var options = OpenOptions()
        options.nowMs = { clock.nowMs }
        options.memoryBudget = memoryBudget
        options.threads = population.threads
        self.options = options
        let store = try Self.build(population, folder, clock, options)
        self.store = store
        let stats = try store.stats()
        segments = stats.segments
        unflushed = stats.unflushedEvents
        events = try Self.readBack(store, population)
        reference = try Reference(events: events)
    }

    /// Closes the store and opens it with empty caches.
    func reopen() throws {
        try store.close()
        store = try BlockingEventStore.open(at: folder + "/store", key: Self.key, options: options)
    }

    deinit {
        try? store.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// A clock that moves when it is told to.
    private final class Clock: Sendable {
        private let time = Atomic<Int64>(0)
        var nowMs: Int64 {
            get { time.load(ordering: .relaxed) }
            set { time.store(newValue, ordering: .relaxed) }
        }
    }

    private static func build(
        _ population: Population, _ folder: String, _ clock: Clock, _ options: OpenOptions
    ) throws -> BlockingEventStore {
        var create = CreateOptions()
        create.partition = population.partition
        create.sharedByEntitiesMin = population.sharedByEntitiesMin
        clock.nowMs = population.clock(at: 0)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = folder + "/store"
        var store = try BlockingEventStore.create(at: path, key: key, options: create, open: options)
        for step in population.steps {
            switch step {
            case .append(let range):
                clock.nowMs = population.clock(at: range.lowerBound)
                let report = try store.append(Array(population.events[range]), batchID: "batch \(range.lowerBound)")
                guard report.stored == range.count else {
                    throw SuiteFailure("an append of \(range.count) events stored \(report.stored)")
                }
            case .flush: try store.flush()
            case .compact: try store.compact()
            case .reopen:
                try store.close()
                store = try BlockingEventStore.open(at: path, key: key, options: options)
            }
        }
        return store
    }

    /// All events through the cursor, checked against what was appended, by sequence.
    private static func readBack(_ store: BlockingEventStore, _ population: Population) throws -> [Event] {
        let cursor = try store.cursor(EventFilter(), order: .stored)
        var events: [Event] = []
        while let batch = try cursor.nextBatch() { for index in 0..<batch.count { events.append(batch[index]) } }
        events.sort { $0.sequence < $1.sequence }
        guard events.count == population.events.count else {
            throw SuiteFailure("\(population.events.count) events appended, \(events.count) read")
        }
        for (read, appended) in zip(events, population.events) {
            let isSame =
                Cell.order(read.entity, appended.entity) == 0 && Cell.order(read.type, appended.type) == 0
                && read.timestamp == appended.timestamp && (appended.id == nil || read.id == appended.id)
                && isSame(read.attributes, appended.attributes)
            if !isSame { throw SuiteFailure("appended \(appended), read \(read)") }
        }
        return events
    }

    private static func isSame(_ a: [String: AttributeValue], _ b: [String: AttributeValue]) -> Bool {
        a.count == b.count
            && a.allSatisfy { name, value in b[name] != nil && Cell(value) == Cell(b[name]) && value == b[name] }
    }
}
