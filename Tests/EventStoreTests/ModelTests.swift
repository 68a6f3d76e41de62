// Random operations against a small model: whatever was done, the store answers as the model does.

import Foundation
import Testing

@testable import EventStore

@Suite(.serialized) struct ModelTests {
    struct Setup: CustomTestStringConvertible, Sendable {
        var partition: Partition
        var sharedMin: Int
        var budget = 64 << 20
        var testDescription: String { "\(partition) shared \(sharedMin)" }
    }

    @Test(arguments: [
        Setup(partition: .day, sharedMin: 3), Setup(partition: .week, sharedMin: 1),
        Setup(partition: .month, sharedMin: 0), Setup(partition: .day, sharedMin: 0, budget: 32 << 20),
    ])
    func randomOperations(_ setup: Setup) throws {
        for seed in TestRun.seeds("randomOperations(\(setup.testDescription))", TestRun.isLong ? 40 : 3) {
            let run = try ModelRun(setup, seed)
            for _ in 0..<(TestRun.isLong ? 120 : 40) { try run.step() }
            try run.finish()
        }
    }
}

final class ModelRun {
    private let folder = TestFolder()
    private let setup: ModelTests.Setup
    private var maker: EventMaker
    private var model = ModelStore()
    private var store: BlockingEventStore
    private var reader: BlockingEventStore?
    private var batches: [String: (events: [Event], report: AppendReport)] = [:]
    private var steps: [String] = []

    init(_ setup: ModelTests.Setup, _ seed: UInt64) throws {
        self.setup = setup
        maker = EventMaker(generator: SeededGenerator(seed: seed))
        store = try folder.create(
            Fixed.create(setup.partition, sharedMin: setup.sharedMin), open: Fixed.open(budget: setup.budget))
    }

    private var generator: SeededGenerator {
        get { maker.generator }
        set { maker.generator = newValue }
    }

    func step() throws {
        switch Int.random(in: 0..<20, using: &generator) {
        case 0..<7: try append()
        case 7..<9: try repeatBatch()
        case 9..<11: try importFile(durable: false)
        case 11: try importFile(durable: true)
        case 12..<14: try note("flush") { try store.flush() }
        case 14: try note("compact") { _ = try store.compact() }
        case 15: try reopen()
        case 16: try openReader()
        default: try compareAnswers(store)
        }
        if let reader, generator.chance(1, of: 4) { try compareAnswers(reader) }
    }

    func finish() throws {
        try compareAnswers(store)
        try store.expectClean()
        try reopen()
        try compareAnswers(store)
        _ = try store.compact()
        try compareAnswers(store)
        try store.expectClean()
        if let reader {
            try compareAnswers(reader)
            try reader.close()
        }
        try store.close()
    }

    private func note(_ text: String, _ body: () throws -> Void) throws {
        steps.append(text)
        try body()
    }

    // MARK: Writing

    private func append() throws {
        let events = (0..<Int.random(in: 0...25, using: &generator)).map { _ in maker.event() }
        let batchID = generator.chance(1, of: 3) ? "batch \(batches.count)" : nil
        steps.append("append \(events.count)")
        let from = try store.nextSequence()
        let expected = events.map { model.add($0) }
        let report = try store.append(events, batchID: batchID)
        try #require(report.outcomes == expected, "\(steps)")
        try #require(report.stored == expected.count { $0 == .stored })
        let fresh = try store.tail(from: from)
        let wanted = zip(events, expected).filter { $1 == .stored }.map(\.0)
        try #require(fresh.map(\.timestamp) == wanted.map(\.timestamp), "\(steps)")
        try #require(fresh.map(\.attributes) == wanted.map(\.attributes), "\(steps)")
        try #require(report.nextSequence == from + UInt64(wanted.count))
        if let batchID { batches[batchID] = (events, report) }
    }

    private func repeatBatch() throws {
        guard let (id, known) = batches.sorted(by: { $0.key < $1.key }).randomElement(using: &generator) else { return }
        steps.append("repeat")
        let report = try store.append(known.events, batchID: id)
        try #require(report.repeated)
        try #require(report.outcomes == known.report.outcomes)
        try #require(report.nextSequence == known.report.nextSequence)
        guard !known.events.isEmpty else { return }
        let other = [maker.event(withID: true), maker.event(withID: true), maker.event(withID: true)] + known.events
        try #require(code { try store.append(other, batchID: id) } == "invalid")
    }

    private func importFile(durable: Bool) throws {
        let events = (0..<Int.random(in: 1...120, using: &generator)).map { _ in maker.event(withID: true) }
        steps.append("import \(events.count) durable \(durable)")
        let outcomes = events.map { model.add($0) }
        let file = try folder.write("in.ndjson", events.map(\.line).joined())
        var request = ImportRequest(sources: [file])
        request.durable = durable
        request.batchSize = Int.random(in: 1...50, using: &generator)
        let report = try store.importEvents(request)
        try #require(report.read == events.count, "\(steps)")
        try #require(report.stored == outcomes.count { $0 == .stored }, "\(steps)")
        try #require(report.duplicates == outcomes.count { $0 == .duplicate }, "\(steps)")
        try #require(report.conflicts == outcomes.count { $0 == .conflict }, "\(steps)")
    }

    private func reopen() throws {
        steps.append("reopen")
        try store.close()
        store = try folder.open(Fixed.open(budget: setup.budget))
    }

    private func openReader() throws {
        try reader?.close()
        reader = try folder.open(Fixed.open(.readOnly, budget: setup.budget))
    }

    // MARK: Comparing

    private func compareAnswers(_ store: BlockingEventStore) throws {
        let all = try store.all(order: .oldestFirst)
        try compareContent(all)
        for _ in 0..<3 { try compareQuery(store, all) }
        try compareTail(store, all)
        try compareHistogram(store, all)
    }

    private func compareContent(_ all: [Event]) throws {
        try #require(all.count == model.count, "\(steps)")
        try #require(Set(all.map(\.sequence)).count == all.count)
        try #require(all.allSatisfy { $0.received == Fixed.now })
        var anonymous = 0
        for event in all {
            if let known = model.byIdentity[event.identity] {
                try #require(known == event.plain, "\(steps)")
            } else {
                anonymous += 1
            }
        }
        try #require(anonymous == model.withoutID.count, "\(steps)")
    }

    private func compareQuery(_ store: BlockingEventStore, _ all: [Event]) throws {
        let filter = maker.filter()
        let wanted = all.filter { ModelFilter.matches($0, filter) }
        let limit = generator.chance(1, of: 2) ? Int.random(in: 0...20, using: &generator) : nil
        let ascending = wanted.sorted { ($0.timestamp, $0.sequence) < ($1.timestamp, $1.sequence) }
        let newest = try store.all(filter, order: .newestFirst, limit: limit)
        try #require(newest == Array(ascending.reversed().prefix(limit ?? .max)), "\(steps) \(filter)")
        let oldest = try store.all(filter, order: .oldestFirst, limit: limit)
        try #require(oldest == Array(ascending.prefix(limit ?? .max)), "\(steps) \(filter)")
        let stored = try store.all(filter, order: .stored)
        try #require(stored.sorted { $0.sequence < $1.sequence } == wanted.sorted { $0.sequence < $1.sequence })
        let some = try store.all(filter, order: .stored, limit: limit)
        try #require(some.count == min(limit ?? .max, wanted.count))
        try #require(try store.counts(by: .total, filter).map(\.count) == [wanted.count], "\(steps) \(filter)")
        for (key, name) in [
            (CountKey.entity, { $0.entity }), (.type, { $0.type }), (.day, { ModelRun.day($0.timestamp) }),
        ] as [(CountKey, (Event) -> String)] {
            let expected = Dictionary(grouping: wanted, by: name).mapValues(\.count)
            let rows = try store.counts(by: key, filter)
            try #require(
                Dictionary(rows.map { ($0.key, $0.count) }, uniquingKeysWith: +) == expected, "\(steps) \(filter)")
        }
    }

    private static func day(_ ms: Int64) -> String {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withFullDate]
        return formatter.string(from: Date(timeIntervalSince1970: Double(ms) / 1000))
    }

    private func compareTail(_ store: BlockingEventStore, _ all: [Event]) throws {
        let bySequence = all.sorted { $0.sequence < $1.sequence }
        let from = UInt64.random(in: 0...UInt64(all.count + 2), using: &generator)
        let limit = Int.random(in: 1...40, using: &generator)
        try #require(try store.tail(from: from, limit: limit) == bySequence.filter { $0.sequence >= from }, "\(steps)")
        let filter = maker.filter()
        let wanted = bySequence.filter { $0.sequence >= from && ModelFilter.matches($0, filter) }
        try #require(try store.tail(from: from, limit: limit, filter) == wanted, "\(steps) \(filter)")
    }

    private func compareHistogram(_ store: BlockingEventStore, _ all: [Event]) throws {
        let filter = maker.filter()
        let wanted = all.filter { ModelFilter.matches($0, filter) }
        let bucket = generator.pick([3_600_000, Fixed.dayMs, 7 * Fixed.dayMs, 7_000_001] as [Int64])
        let origin = generator.pick([0, Fixed.day, -12_345] as [Int64])
        for by in [nil, "type", "entity", "status"] as [String?] {
            let found = try store.histogram(filter, by: by, bucketMs: bucket, origin: origin)
            var counted: [Int64: Int] = [:]
            for series in found.series {
                for (index, count) in series.counts.enumerated() where count > 0 {
                    counted[found.start + Int64(index) * bucket, default: 0] += count
                }
            }
            let expected = Dictionary(grouping: wanted) { event in
                origin + ((event.timestamp - origin) - ((event.timestamp - origin) % bucket + bucket) % bucket)
            }.mapValues(\.count)
            // An attribute that no event ever had makes no series.
            if by == "status", found.series.isEmpty { continue }
            try #require(counted == expected, "\(steps) \(filter)")
            if by == "type" {
                let types = Dictionary(grouping: wanted, by: \.type).mapValues(\.count)
                try #require(
                    Dictionary(uniqueKeysWithValues: found.series.map { ($0.name, $0.counts.reduce(0, +)) }) == types)
            }
        }
    }
}
