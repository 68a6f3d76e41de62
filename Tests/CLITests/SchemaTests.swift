/// Schemas of hand-made stores, and how they are printed.

import Foundation
import Testing

@testable import EventStore
import EventStoreCLI

@Suite("Schemas")
struct SchemaTests {
    private static let start: Int64 = 1_795_392_000_000

    /// A store that goes with the test.
    private final class Made {
        let path = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString
        let store: BlockingEventStore

        init(_ events: [Event], flush: Bool) throws {
            var options = OpenOptions()
            options.nowMs = { SchemaTests.start + 3 * 86_400_000 }
            store = try BlockingEventStore.create(
                at: path, key: .raw([UInt8](repeating: 7, count: 32)), open: options)
            // Half of it lies in segments, half in memory, unless all is flushed.
            let half = events.count / 2
            try store.append(Array(events[..<half]))
            try store.flush()
            try store.append(Array(events[half...]))
            if flush { try store.flush() }
        }

        deinit {
            try? store.close()
            try? FileManager.default.removeItem(atPath: path)
        }
    }

    private static func events() -> [Event] {
        (0..<40).map { index in
            var event = Event(
                entity: "site-\(index % 4)", type: index % 10 == 9 ? "wp.cron" : "http.request",
                timestamp: start + Int64(index) * 4_000_000, id: UUID())
            guard event.type == "http.request" else { return event }
            event.attributes["path"] = .string(index % 3 == 0 ? "/" : "/page-\(index)")
            event.attributes["status"] = index % 8 == 0 ? .string("none") : .integer(Int64(200 + index % 2))
            event.attributes["seconds"] = index == 0 ? .integer(7) : .double(Double(index) / 4)
            event.attributes["cached"] = .bool(index % 2 == 0)
            if index == 6 { event.attributes["tags"] = .json("[1,\"x\"]") }
            return event
        }
    }

    @Test("Types and attributes, from segments and from memory", arguments: [true, false])
    func whatIsThere(flush: Bool) throws {
        let made = try Made(Self.events(), flush: flush)
        let schema = try made.store.schema()
        #expect(schema.damage == nil)
        #expect(schema.types.map(\.type) == ["http.request", "wp.cron"])
        let requests = try #require(schema.types.first)
        #expect((requests.events, requests.entities) == (36, 4))
        #expect(requests.firstTimestamp == Self.start && requests.lastTimestamp == Self.start + 38 * 4_000_000)
        #expect(schema.types[1].attributes.isEmpty && schema.types[1].events == 4)
        #expect(requests.attributes.map(\.name) == ["cached", "path", "seconds", "status", "tags"])

        let status = requests.attributes[3]
        #expect(status.isMixed && status.kinds.map(\.kind) == ["integer", "string"])
        #expect(status.kinds.map(\.count) == [31, 5] && status.distinct == 3 && status.distinctIsExact)
        #expect(status.minimum == .integer(200) && status.maximum == .integer(201))
        #expect(status.samples.map(\.count).reduce(0, +) == 36)

        let seconds = requests.attributes[2]
        // 7 and 28 / 4 are one value.
        #expect(seconds.kinds.map(\.kind) == ["double", "integer"] && seconds.distinct == 35)
        #expect(seconds.minimum == .double(0.25) && seconds.maximum == .double(9.5))
        #expect(seconds.samples.first?.count == 2)

        let path = requests.attributes[1]
        #expect(path.samples.count == 5 && path.samples[0] == .init(value: "/", count: 12))
        #expect(path.distinct == 25 && path.minimum == nil)
        #expect(requests.attributes[0].distinct == 2 && requests.attributes[0].fillRate == 1)
        let tags = requests.attributes[4]
        #expect(tags.fillRate == 1.0 / 36 && tags.samples.map(\.value) == [.json("[1,\"x\"]")])
    }

    @Test func filters() throws {
        let made = try Made(Self.events(), flush: true)
        let one = try made.store.schema(EventFilter(entities: ["site-1"], types: ["http.request"]))
        #expect(one.types.map(\.events) == [8] && one.types[0].entities == 1)
        let late = try made.store.schema(EventFilter(since: Self.start + 30 * 4_000_000))
        #expect(late.types.map(\.events) == [9, 1])
        let some = try made.store.schema(EventFilter(conditions: [.init("status", .equal, "none")]))
        #expect(some.types[0].attributes.first { $0.name == "status" }?.isMixed == false)
        #expect(try made.store.schema(EventFilter(types: ["nothing"])).types.isEmpty)
    }

    @Test func longTextIsCutBetweenCharacters() throws {
        var event = Event(entity: "e", type: "t", timestamp: Self.start, id: UUID())
        event.attributes["long"] = .string("x" + String(repeating: "é", count: 500))
        let made = try Made([event], flush: true)
        let sample = try #require(try made.store.schema().types.first?.attributes.first?.samples.first)
        #expect(sample.value == .string("x" + String(repeating: "é", count: 59)))
    }

    @Test("Beyond the bound distinct values are estimated, and the frequent ones found")
    func manyValues() {
        var tally = ValueTally()
        var other = ValueTally()
        var state = UInt64.random(in: .min ... .max)
        let seed = state
        func next() -> UInt64 {
            state = state &+ 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            return value ^ value >> 31
        }
        for index in 0..<60_000 {
            let hash = next()
            // The second half overlaps: a merge counts values once.
            if index < 40_000 { tally.add(hash) { .integer(Int64(bitPattern: hash)) } }
            if index >= 20_000 { other.add(hash) { .integer(Int64(bitPattern: hash)) } }
            if index % 50 == 0 { (index < 30_000 ? { tally.add(1) { "often" } } : { other.add(1) { "often" } })() }
        }
        tally.merge(other, cap: ValueTally.valuesMax)
        #expect(!tally.isExact)
        #expect(abs(Double(tally.distinct) / 60_001 - 1) < 0.12, "seed \(seed): \(tally.distinct)")
        #expect(tally.trackedCount <= ValueTally.valuesMax)
        #expect(tally.top(1).first?.value == "often", "seed \(seed)")
    }

    @Test("Estimates hold for values that are alike as well")
    func alike() {
        for seed in [1, 0x9e37_79b9_7f4a_7c15, UInt64.random(in: .min ... .max)] {
            let tally = AttributeTally(seed: seed)
            for value in 0..<30_000 {
                tally.add(integer: Int64(value) * 8, cap: ValueTally.valuesMax)
                tally.add(double: Double(value) + 0.5, cap: ValueTally.valuesMax)
                let text = Array("/page-\(value)".utf8)
                text.withUnsafeBytes { tally.add(text: $0, .string, count: 1, cap: ValueTally.valuesMax) }
            }
            #expect(abs(Double(tally.values.distinct) / 90_000 - 1) < 0.1, "seed \(seed): \(tally.values.distinct)")
        }
    }

    @Test func upToTheBoundCountsAreExact() {
        var tally = ValueTally()
        for round in 0..<3 {
            for value in 0..<UInt64(ValueTally.valuesMax) {
                tally.add(value &* 0x9e37_79b9_7f4a_7c15, count: value == 7 ? 2 : 1) { .integer(Int64(value)) }
            }
            #expect(tally.isExact && tally.distinct == ValueTally.valuesMax)
            #expect(tally.top(2).map(\.count) == [2 * (round + 1), round + 1])
        }
    }
}

@Suite("Schemas as text")
struct SchemaPrinterTests {
    private static var schema: StoreSchema {
        var schema = StoreSchema()
        schema.types = [
            TypeSchema(
                type: "http.request", events: 1000, entities: 2, firstTimestamp: 0, lastTimestamp: 86_400_000,
                attributes: [
                    AttributeSchema(
                        name: "path\u{1b}", events: 995, fillRate: 0.995,
                        kinds: [.init(kind: "string", count: 995)], distinct: 12_345, distinctIsExact: false,
                        samples: [.init(value: "/", count: 500), .init(value: "", count: 3)]),
                    AttributeSchema(
                        name: "status", events: 1000, fillRate: 1,
                        kinds: [.init(kind: "integer", count: 999), .init(kind: "string", count: 1)], distinct: 3,
                        distinctIsExact: true, minimum: 200, maximum: 404.5,
                        samples: [.init(value: 200, count: 990)]),
                ]),
            TypeSchema(type: "odd", events: 1, entities: 1, firstTimestamp: 5, lastTimestamp: 5, attributes: []),
        ]
        return schema
    }

    private func printed(_ format: RowFormat) throws -> String {
        try captured {
            try SchemaPrinter.print(
                Self.schema, format: format, output: $0, times: TimeText(zone: .gmt), terminal: Terminal())
            try $0.flush()
        }
    }

    @Test func table() throws {
        #expect(
            try printed(.table)
                == """
                http.request  1,000 events of 2 entities, 1970-01-01 00:00:00 to 1970-01-02 00:00:00 UTC
                attribute   kind                          filled  distinct  least  greatest  most frequent
                ──────────  ────────────────────────────  ──────  ────────  ─────  ────────  ─────────────
                path\\u{1b}  string                         >99 %   ~12,300                   / 50 %, ""
                status      ! integer >99 %, string <1 %   100 %         3    200     404.5  200 99 %

                odd  1 event of 1 entity, 1970-01-01 00:00:00 to 1970-01-01 00:00:00 UTC

                """)
    }

    @Test func json() throws {
        let lines = try printed(.ndjson).split(separator: "\n")
        #expect(lines.count == 2)
        let status =
            #"{"name":"status","events":1000,"fill":1.0,"kinds":{"integer":999,"string":1},"mixed":true,"distinct":3,"#
            + #""distinctExact":true,"min":200,"max":404.5,"samples":[{"value":200,"count":990}]}"#
        #expect(lines[0].hasPrefix(#"{"type":"http.request","events":1000,"entities":2,"first":0,"last":86400000,"#))
        #expect(lines[0].hasSuffix(status + "]}"))
        #expect(try printed(.json) == "[\n" + lines.joined(separator: ",\n") + "\n]\n")
        for line in lines { #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) } }
    }

    @Test func csv() throws {
        let lines = try printed(.csv).split(separator: "\n")
        #expect(lines.count == 4)
        #expect(
            lines[2]
                == #""http.request",1000,2,"1970-01-01T00:00:00.000Z","1970-01-02T00:00:00.000Z","status",1000,1.0,"#
                + #""integer string",true,3,true,200,404.5,"[200]""#)
        #expect(lines[3].hasSuffix(",,,,,,,,,,"))
    }

    @Test(arguments: [(0, "0 %"), (0.001, "<1 %"), (0.01, "1 %"), (0.5, "50 %"), (0.994, ">99 %"), (1, "100 %")])
    func shares(share: Double, text: String) { #expect(SchemaPrinter.percent(share) == text) }
}
