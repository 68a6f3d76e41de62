// Exports that are stores: the same answers as the store they came from, and never a change.

import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation
import Testing

@testable import EventStore

@Suite struct StoreExportTests {
    static let entities = (0..<7).map { "site-\($0).example" }
    private static let types = ["http.request", "auth.attempt", "wp.cron", "perf"]

    /// Events whose values are shared by many entities, by some, or by one; some with long and far values.
    static func event(_ number: Int, _ random: inout SeededGenerator, days: Int = 3) -> Event {
        let entity = Int.random(in: 0..<entities.count, using: &random)
        let day = Int64.random(in: -Int64(days)...0, using: &random)
        var attributes: [String: AttributeValue] = [
            "agent": .string("agent \(Int.random(in: 0..<9, using: &random))"),
            "path": .string("/p/\(Int.random(in: 0..<5, using: &random))/\(entity % 3)"),
            "own": .string("own of \(entity)"), "n": .integer(Int64(number)), "empty": .string(""),
        ]
        if random.chance(1, of: 3) { attributes["ms"] = .double(Double(number % 50) / 4) }
        if random.chance(1, of: 4) { attributes["tags"] = .json("[\(number % 4),\"x\"]") }
        if random.chance(1, of: 9) {
            attributes["trace"] = .string(String(repeating: "\(number % 7)trace ", count: 1 + number % 40))
        }
        if entity == 2 { attributes["only.two"] = .bool(number % 2 == 0) }
        return Event(
            entity: entities[entity], type: random.pick(types),
            timestamp: Fixed.day + day * Fixed.dayMs + Int64.random(in: 0..<30_000_000, using: &random),
            id: Fixed.id(UInt64(number)), attributes: attributes)
    }

    /// A store with segments of several levels and rows that are not flushed yet.
    static func store(
        _ folder: TestFolder, _ random: inout SeededGenerator, _ partition: Partition = .day, count: Int = 1500
    ) throws -> BlockingEventStore {
        let store = try folder.create(Fixed.create(partition))
        let events = (0..<count).map { event($0, &random) }
        let third = count / 3
        try store.append(Array(events[..<third]))
        try store.flush()
        if random.chance(1, of: 2) { _ = try store.compact() }
        try store.append(Array(events[third..<2 * third]))
        try store.flush()
        try store.append(Array(events[(2 * third)...]))
        return store
    }

    static func filters(_ random: inout SeededGenerator) -> [EventFilter] {
        var times = EventFilter(entities: [entities[3], entities[1]])
        times.since = Fixed.day - 2 * Fixed.dayMs + 5_000_000
        times.until = Fixed.day - 10_000_000
        return [
            EventFilter(), EventFilter(entities: [random.pick(entities)]),
            EventFilter(entities: [entities[0], entities[2], entities[6]]),
            EventFilter(types: [types[0], types[3]]), times,
            EventFilter(conditions: [.init("n", .less, .integer(700))]), EventFilter(entities: ["nobody"]),
        ]
    }

    static func request(_ path: String, _ filter: EventFilter = EventFilter()) -> ExportRequest {
        var request = ExportRequest(format: .store, to: .path(path))
        request.filter = filter
        request.recipientKey = Fixed.otherKey
        return request
    }

    static func open(
        _ path: String, _ options: OpenOptions = Fixed.open(.readOnly)
    ) throws -> BlockingEventStore {
        try BlockingEventStore.open(at: path, key: Fixed.otherKey, options: options)
    }

    private static let questions = [
        "SELECT count(*), min(n), max(n), sum(ms) FROM events",
        "SELECT entity, type, count(*) FROM events GROUP BY entity, type ORDER BY entity, type",
        "SELECT agent, count(*) FROM events GROUP BY agent ORDER BY agent",
        "SELECT path, own, count(*) FROM events WHERE agent <> 'agent 3' GROUP BY path, own ORDER BY path, own",
        "SELECT count(*) FROM events WHERE agent = '' OR empty = ''", "SELECT count(*) FROM events WHERE empty <> ''",
        "SELECT time_bucket('1 hour', timestamp) b, count(*) FROM events GROUP BY b ORDER BY b",
        "SELECT id, timestamp, attributes FROM events ORDER BY timestamp, id LIMIT 50",
        "SELECT a.entity, count(*) FROM events a JOIN events b ON a.n = b.n + 1 GROUP BY 1 ORDER BY 1",
        "SELECT min(agent), max(path), count(DISTINCT trace), count(DISTINCT agent) FROM events",
    ]

    @Test(arguments: [Partition.day, .week, .month]) func answersLikeItsSource(_ partition: Partition) throws {
        for seed in TestRun.seeds("StoreExportTests.answersLikeItsSource") {
            var random = SeededGenerator(seed: seed)
            let folder = TestFolder()
            let source = try Self.store(folder, &random, partition)
            for (number, filter) in Self.filters(&random).enumerated() {
                let path = folder.path + "/export\(number)"
                let report = try source.export(Self.request(path, filter))
                let wanted = try source.all(filter)
                #expect(report.events == wanted.count, "seed \(seed), filter \(number)")
                // Much later: nothing in it expires.
                let export = try Self.open(path, Fixed.open(.readOnly, now: Fixed.now + 4000 * Fixed.dayMs))
                try export.expectClean("seed \(seed), filter \(number)")
                for order in [EventOrder.oldestFirst, .newestFirst] {
                    #expect(try export.all(order: order) == source.all(filter, order: order), "seed \(seed) \(number)")
                }
                #expect(try export.tail() == source.tail(filter), "seed \(seed) \(number)")
                try expectSameAnswers(export, wanted, "seed \(seed), filter \(number)")
                try export.close()
            }
            try source.close()
        }
    }

    /// Against a store that was never anything else.
    private func expectSameAnswers(_ export: BlockingEventStore, _ events: [Event], _ comment: Comment) throws {
        let folder = TestFolder()
        let plain = try folder.create()
        if !events.isEmpty { try plain.append(events) }
        try plain.flush()
        for question in Self.questions where !events.isEmpty {
            #expect(try export.ask(question) == plain.ask(question), "\(comment): \(question)")
        }
        for key in [CountKey.total, .entity, .type, .day] {
            #expect(try export.counts(by: key) == plain.counts(by: key), comment)
        }
        #expect(try export.names(of: .type) == plain.names(of: .type), comment)
        #expect(try export.names(of: .attribute) == plain.names(of: .attribute), comment)
        #expect("\(try export.schema())" == "\(try plain.schema())", comment)
        #expect("\(try export.histogram(bucketMs: 3_600_000))" == "\(try plain.histogram(bucketMs: 3_600_000))")
        try plain.close()
    }

    @Test func goesOnFromItsOwnExportsAndIntoOtherStores() throws {
        var random = SeededGenerator(seed: 11)
        let folder = TestFolder()
        let source = try Self.store(folder, &random)
        let first = folder.path + "/first"
        try source.export(Self.request(first))
        let export = try Self.open(first)
        #expect(try export.names(of: .entity) == source.names(of: .entity))
        var again = Self.request(folder.path + "/second", EventFilter(entities: [Self.entities[4], Self.entities[5]]))
        again.recipientKey = .raw([UInt8](repeating: 9, count: 32))
        try export.export(again)
        try export.close()
        let second = try BlockingEventStore.open(
            at: folder.path + "/second", key: .raw([UInt8](repeating: 9, count: 32)), options: Fixed.open(.readOnly))
        try second.expectClean()
        #expect(try second.all() == source.all(again.filter))
        #expect(try second.names(of: .entity) == [Self.entities[4], Self.entities[5]])
        try second.close()
        for durable in [false, true] {
            let other = TestFolder()
            let target = try other.create()
            var request = ImportRequest(sources: [first])
            #expect(code { try target.importEvents(request) } == "not-found")
            request.sourceKey = Fixed.otherKey
            request.durable = durable
            #expect(try target.importEvents(request).stored == 1500)
            #expect(try target.importEvents(request).duplicates == 1500)
            #expect(Set(try target.all().map(\.identity)) == Set(try source.all().map(\.identity)))
            #expect(try target.ask(Self.questions[7]) == source.ask(Self.questions[7]))
            try target.expectClean()
            try target.close()
        }
        try source.close()
    }

    @Test func leavesOutWhatExpiredAndKeepsWhatPlansWouldDrop() throws {
        for partition in [Partition.day, .week] {
            var random = SeededGenerator(seed: 12)
            let folder = TestFolder()
            let source = try Self.store(folder, &random, partition)
            try source.setPlan(ofEntity: Self.entities[0], plan: nil, days: 1, reason: nil)
            try source.setPlan(ofEntity: Self.entities[1], plan: "starter", days: nil, reason: nil)
            try source.suspendEntity(Self.entities[2], reason: "unpaid")
            let visible = try source.all()
            #expect(visible.count < 1500)
            try source.export(Self.request(folder.path + "/export"))
            let export = try Self.open(
                folder.path + "/export", Fixed.open(.readOnly, now: Fixed.now + 400 * Fixed.dayMs))
            try export.expectClean()
            #expect(try export.all() == visible)
            #expect(try export.counts(by: .total).map(\.count) == [visible.count])
            let known = Dictionary(uniqueKeysWithValues: try export.entities().map { ($0.name, $0) })
            #expect(known[Self.entities[1]]?.plan == "starter")
            #expect(known[Self.entities[2]]?.state == .suspended)
            try export.close()
            try source.close()
        }
    }

    @Test func isIncrementalBySequence() throws {
        var random = SeededGenerator(seed: 13)
        let folder = TestFolder()
        let source = try Self.store(folder, &random, count: 900)
        let first = try source.export(Self.request(folder.path + "/first"))
        try source.append((900..<1000).map { Self.event($0, &random) })
        var request = Self.request(folder.path + "/rest")
        request.fromSequence = first.nextSequence
        #expect(try source.export(request).events == 100)
        let rest = try Self.open(folder.path + "/rest")
        #expect(try rest.all() == source.all().filter { $0.sequence >= first.nextSequence })
        try rest.expectClean()
        #expect(rest.exportInfo?.fromSequence == first.nextSequence)
        try rest.close()
        // Events of the first are not in the journal's part of it either.
        request.fromSequence = first.nextSequence - 50
        request.replacesExisting = true
        #expect(try source.export(request).events == 150)
        try source.close()
    }

    @Test func endsWhenItsTimeIsOver() throws {
        var random = SeededGenerator(seed: 14)
        let folder = TestFolder()
        let source = try Self.store(folder, &random, count: 60)
        var request = Self.request(folder.path + "/export")
        request.expiresMs = Fixed.now
        #expect(code { try source.export(request) } == "invalid")
        request.expiresMs = Fixed.now + Fixed.dayMs
        try source.export(request)
        let export = try Self.open(folder.path + "/export")
        #expect(export.exportInfo?.expiresMs == request.expiresMs)
        #expect(export.exportInfo?.source.count == 32)
        #expect(try export.all().count == 60)
        try export.close()
        let late = Fixed.open(.readOnly, now: Fixed.now + Fixed.dayMs)
        #expect(code { try Self.open(folder.path + "/export", late) } == "permission")
        try source.close()
    }
}
