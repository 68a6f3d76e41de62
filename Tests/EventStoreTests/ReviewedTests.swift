// What a reading with fresh eyes found: groups of appends prepared ahead while flushes come in between, batches
// behind one that failed, unpublished files of two imports, names of a noisy site, limits without end.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct ReviewedTests {
    private static func line(_ number: UInt64, _ time: Int64, _ entity: String = "e") -> String {
        "{\"entity\":\"\(entity)\",\"type\":\"t\",\"timestamp\":\(time),\"id\":\"\(Fixed.id(number).uuidString)\","
            + "\"attributes\":{\"n\":\(number)}}\n"
    }

    /// Single appends of several threads beside flushes: a group prepared before a flush is prepared anew after it.
    @Test func appendsBesideFlushes() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let acknowledged = Mutex<Set<UUID>>([])
        let failures = Mutex<[String]>([])
        let isOver = Atomic<Bool>(false)
        let appenders = (0..<6).map { task -> @Sendable () throws -> Void in
            {
                var index: UInt64 = 0
                while !isOver.load(ordering: .relaxed) {
                    let id = Fixed.id(UInt64(task) * 1_000_000 + index)
                    index += 1
                    do {
                        let event = Event(entity: "e\(task)", type: "t", timestamp: Fixed.day, id: id)
                        if try store.append([event]).stored == 1 { acknowledged.withLock { _ = $0.insert(id) } }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                        return
                    }
                }
            }
        }
        let seconds = ProcessInfo.processInfo.environment["EVENTSTORE_LONG_TESTS"] == nil ? 3.0 : 30.0
        try ConcurrencyTests.together(
            appenders + [
                {
                    let end = Date().addingTimeInterval(seconds)
                    while Date() < end {
                        do { try store.flush() } catch { failures.withLock { $0.append("flush: \(error)") } }
                        Thread.sleep(forTimeInterval: 0.002)
                    }
                    isOver.store(true, ordering: .relaxed)
                }
            ])
        #expect(failures.withLock { $0 } == [])
        try store.close()
        let again = try folder.open()
        let found = try again.all()
        #expect(Set(found.compactMap(\.id)) == acknowledged.withLock { $0 })
        #expect(Set(found.map(\.sequence)).count == found.count)
        try again.expectClean()
        try again.close()
    }

    /// A batch of a durable import is only stored if the one before it is.
    @Test func nothingIsAcknowledgedBehindAHole() throws {
        for _ in 0..<10 {
            let folder = TestFolder()
            let files = FaultyFiles()
            var environment = Environment(files: files)
            environment.nowMs = { Fixed.now }
            let engine = try StoreEngine.create(
                at: folder.store, key: Fixed.key, create: Fixed.create(), open: Fixed.open(), environment: environment)
            let store = BlockingEventStore(store: EventStore(engine: engine))
            try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day - 1, attributes: ["n": 5])])
            let text = (0..<400 as Range<UInt64>)
                .map { Self.line($0, Fixed.day + Int64($0), $0 == 100 ? "fresh" : "e") }.joined()
            var request = ImportRequest(sources: [try folder.write("in", text)])
            request.format = .ndjson
            request.durable = true
            request.batchSize = 5
            let most = Mutex(0)
            request.acknowledged = { count in most.withLock { $0 = max($0, count) } }
            // The keyring's rewrite for the new entity of batch 21.
            files.set(.failOnce(at: 1, .diskFull))
            #expect(code { try store.importEvents(request) } == "disk-full")
            let times = Set(try store.all().map(\.timestamp))
            let prefix = (0..<400).first { !times.contains(Fixed.day + $0) } ?? 400
            #expect(most.withLock { $0 } <= prefix)
            #expect(times.count == Int(prefix) + 1, "events behind the failed batch")
            try store.close()
        }
    }

    /// Two strict imports in one process: the second must not take the first one's file for its own.
    @Test func strictImportsOneAfterTheOther() throws {
        let folder = TestFolder()
        let store = try folder.create(open: Fixed.open(budget: 32 << 20))
        let count: UInt64 = 60_000
        for round in 0..<2 as Range<UInt64> {
            let base = round * 1_000_000
            let numbers = Array(base..<base + count) + Array(base..<base + 100)
            let text = numbers.map { Self.line($0, Fixed.day + Int64($0 % 1000)) }.joined()
            var request = ImportRequest(sources: [try folder.write("in\(round)", text)])
            request.format = .ndjson
            request.strict = true
            let report = try store.importEvents(request)
            #expect(report.stored == Int(count) && report.duplicates == 100)
        }
        #expect(try store.counts(by: .total).first?.count == Int(2 * count))
        try store.close()
    }

    /// What a noisy site may not have takes nothing from the others, and its limit holds over processes.
    @Test func aNoisySiteHasItsOwnLimit() throws {
        let folder = TestFolder()
        var store = try folder.create()
        func attributes(_ prefix: String, _ round: Int) -> [String: AttributeValue] {
            Dictionary(uniqueKeysWithValues: (0..<200).map { ("\(prefix)\(round)_\($0)", .integer(1)) })
        }
        for round in 0..<60 {
            try store.append([
                Event(
                    entity: "noisy", type: "t", timestamp: Fixed.day + Int64(round), attributes: attributes("x", round))
            ])
        }
        #expect(try store.names(of: .attribute).count == 2000)
        try store.close()
        store = try folder.open()
        for round in 0..<4 {
            let report = try store.append([
                Event(
                    entity: "noisy", type: "t", timestamp: Fixed.day - Int64(round), attributes: attributes("y", round))
            ])
            #expect(report.refused == 1)
        }
        let answer = try store.append([
            Event(entity: "good", type: "t", timestamp: Fixed.day, attributes: ["brand_new": 1])
        ])
        #expect(answer.stored == 1)
        #expect(try store.names(of: .attribute).count == 2001)
        try store.close()
    }

    /// A catalog put back from a copy does not know files written since; they are not its to delete.
    @Test func anOlderCatalogDeletesNothing() throws {
        let folder = TestFolder()
        var store = try folder.create()
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day)])
        try store.flush()
        try store.close()
        let copy = try TestFolder.bytes(folder.store + "/catalog.db")
        store = try folder.open()
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day + 1)])
        try store.flush()
        try store.close()
        let files = TestFolder.files(below: folder.store + "/segments")
        try Data(copy).write(to: URL(fileURLWithPath: folder.store + "/catalog.db"))
        store = try folder.open()
        #expect(TestFolder.files(below: folder.store + "/segments") == files)
        #expect(try !store.verify().holes.isEmpty)
        try store.close()
    }

    @Test func limitsWithoutEnd() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day)])
        #expect(try store.tailBatch(from: 0, limit: .max, timeoutMs: 0).count == 1)
        var filter = EventFilter()
        (filter.since, filter.until) = (.min + 1, .max)
        #expect(try store.counts(by: .day, filter).first?.count == 1)
        #expect(code { try store.histogram(bucketMs: 1, origin: .min) } == "invalid")
        #expect(code { try store.histogram(bucketMs: .max) } == "invalid")
        let far = Event(entity: "e", type: "t", date: Date(timeIntervalSince1970: .infinity))
        #expect(try store.append([far]).refused == 1)
        try store.close()
        #expect(code { try store.append([far]) } == "invalid")
    }
}
