// What the suites share: seeds, stores in temporary folders, events in comparable form.

import Foundation
import Testing

@testable import EventStore

/// SplitMix64: small, fast, replayable from its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }

    mutating func chance(_ numerator: Int, of denominator: Int) -> Bool {
        Int.random(in: 0..<denominator, using: &self) < numerator
    }

    mutating func pick<C: Collection>(_ choices: C) -> C.Element where C.Index == Int {
        choices[choices.startIndex + Int.random(in: 0..<choices.count, using: &self)]
    }
}

enum TestRun {
    /// True when the long variants were asked for.
    static let isLong = ProcessInfo.processInfo.environment["EVENTSTORE_LONG_TESTS"] == "1"

    /// The seeds a random test runs: the one of `EVENTSTORE_SEED`, or `count` fresh ones. Each is printed.
    static func seeds(_ test: String, _ count: Int = 1) -> [UInt64] {
        let given = ProcessInfo.processInfo.environment["EVENTSTORE_SEED"].flatMap { UInt64($0) }
        let seeds = given.map { [$0] } ?? (0..<count).map { _ in UInt64.random(in: 0 ... .max) }
        for seed in seeds { print("\(test): EVENTSTORE_SEED=\(seed)") }
        return seeds
    }
}

/// A folder that goes with the test.
final class TestFolder: Sendable {
    let path: String
    init() {
        path = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var store: String { path + "/store" }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    /// Every file below a path, relative to it, sorted. The control socket is none: it holds nothing.
    static func files(below root: String) -> [String] {
        (FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []).filter {
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: root + "/" + $0, isDirectory: &isDirectory)
                && !isDirectory.boolValue && !$0.hasSuffix("control.sock")
        }.sorted()
    }

    static func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

    static func copy(_ from: String, to: String) throws {
        let manager = FileManager.default
        if manager.fileExists(atPath: to) { try manager.removeItem(atPath: to) }
        var isDirectory: ObjCBool = false
        guard manager.fileExists(atPath: from, isDirectory: &isDirectory), isDirectory.boolValue else {
            return try manager.copyItem(atPath: from, toPath: to)
        }
        // A socket cannot be copied.
        try manager.createDirectory(atPath: to, withIntermediateDirectories: true)
        for name in try manager.contentsOfDirectory(atPath: from) where name != "control.sock" {
            try manager.copyItem(atPath: from + "/" + name, toPath: to + "/" + name)
        }
    }
}

enum Fixed {
    static let key = KeySource.raw([UInt8](repeating: 7, count: 32))
    static let otherKey = KeySource.raw([UInt8](repeating: 8, count: 32))
    /// 2025-09-02T00:00:00Z, a Tuesday.
    static let day: Int64 = 1_756_771_200_000
    static let dayMs: Int64 = 86_400_000
    static let now: Int64 = day + 10 * 3_600_000

    static func open(
        _ mode: OpenOptions.Mode = .readWrite, now: Int64 = Fixed.now, budget: Int = 64 << 20
    ) -> OpenOptions {
        var options = OpenOptions(mode: mode)
        options.nowMs = { now }
        options.memoryBudget = budget
        options.threads = 2
        return options
    }

    static func create(_ partition: Partition = .day, sharedMin: Int = 3) -> CreateOptions {
        var options = CreateOptions()
        options.partition = partition
        options.sharedByEntitiesMin = sharedMin
        return options
    }

    /// A version 8 UUID that counts.
    static func id(_ number: UInt64) -> UUID {
        let digits = String(number, radix: 16)
        let padded = String(repeating: "0", count: 12 - digits.count) + digits
        return UUID(uuidString: "01020304-0506-8708-8000-" + padded) ?? UUID()
    }
}

extension TestFolder {
    func create(_ options: CreateOptions = Fixed.create(), open: OpenOptions = Fixed.open()) throws
        -> BlockingEventStore
    {
        try BlockingEventStore.create(at: store, key: Fixed.key, options: options, open: open)
    }

    func open(_ options: OpenOptions = Fixed.open()) throws -> BlockingEventStore {
        try BlockingEventStore.open(at: store, key: Fixed.key, options: options)
    }
}

extension BlockingEventStore {
    /// All events of a cursor.
    func all(
        _ filter: EventFilter = EventFilter(), order: EventOrder = .oldestFirst, limit: Int? = nil
    ) throws -> [Event] {
        let cursor = try cursor(filter, order: order, limit: limit)
        var events: [Event] = []
        while let batch = try cursor.nextBatch() { for index in 0..<batch.count { events.append(batch[index]) } }
        return events
    }

    /// As many events as can be read, and what the cursor ended with.
    func readable(order: EventOrder = .oldestFirst) -> (events: [Event], error: EventStoreError?) {
        var events: [Event] = []
        do {
            let cursor = try cursor(EventFilter(), order: order)
            while let batch = try cursor.nextBatch() {
                for index in 0..<batch.count { events.append(batch[index]) }
            }
            return (events, nil)
        } catch {
            return (events, error)
        }
    }

    /// Everything from a sequence on, as a tail yields it.
    func tail(from: UInt64 = 0, limit: Int = 1000, _ filter: EventFilter = EventFilter()) throws -> [Event] {
        var events: [Event] = []
        var position = from
        while true {
            let batch = try tailBatch(filter, from: position, limit: limit, timeoutMs: 0)
            if batch.isEmpty { return events }
            for index in 0..<batch.count { events.append(batch[index]) }
            position = batch.nextSequence
        }
    }

    func expectClean(_ comment: Comment? = nil, _ location: SourceLocation = #_sourceLocation) throws {
        let report = try verify()
        #expect(report.holes.isEmpty, "\(report.holes.map { "\($0.file): \($0.message)" })", sourceLocation: location)
    }
}

extension Event {
    /// Without what the store adds.
    var plain: Event {
        var copy = self
        copy.sequence = 0
        copy.received = 0
        return copy
    }

    /// What makes it one event.
    var identity: String { "\(entity)|\(timestamp / Fixed.dayMs)|\(id?.uuidString ?? "-")" }
}

/// Runs a closure that must throw an `EventStoreError` and returns its code.
func code<T>(_ body: () throws -> T) -> String {
    do {
        _ = try body()
        return "(none)"
    } catch let error as EventStoreError {
        return error.code.rawValue
    } catch {
        return "\(error)"
    }
}
