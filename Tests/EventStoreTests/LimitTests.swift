// The limits at the door: what is refused, why, and what is just allowed.

import Foundation
import Testing

@testable import EventStore

@Suite struct LimitTests {
    private static func event(_ change: (inout Event) -> Void) -> Event {
        var event = Event(entity: "e", type: "t", timestamp: Fixed.day, attributes: ["a": 1])
        change(&event)
        return event
    }

    private static func attributes(_ count: Int) -> [String: AttributeValue] {
        Dictionary(uniqueKeysWithValues: (0..<count).map { ("n\($0)", .integer(Int64($0))) })
    }

    private static func text(_ count: Int, _ first: String = "x") -> String {
        first + String(repeating: "x", count: count - first.utf8.count)
    }

    @Test func eachRefusalHasItsReason() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let cases: [(Event, String)] = [
            (Self.event { $0.entity = "" }, "bad-entity"),
            (Self.event { $0.entity = Self.text(201) }, "bad-entity"),
            (Self.event { $0.entity = String(repeating: "é", count: 101) }, "bad-entity"),
            (Self.event { $0.type = "" }, "bad-type"),
            (Self.event { $0.type = Self.text(101) }, "bad-type"),
            (Self.event { $0.timestamp = -62_135_596_800_001 }, "bad-timestamp"),
            (Self.event { $0.timestamp = .min }, "bad-timestamp"),
            (Self.event { $0.timestamp = Fixed.now + Fixed.dayMs + 1 }, "future-timestamp"),
            (Self.event { $0.timestamp = .max }, "future-timestamp"),
            (Self.event { $0.attributes = Self.attributes(257) }, "too-many-attributes"),
            (Self.event { $0.attributes = ["": 1] }, "attribute-name"),
            (Self.event { $0.attributes = [Self.text(201): 1] }, "attribute-name"),
            (Self.event { $0.attributes = ["v": .string(Self.text(65_537))] }, "value-too-long"),
            (Self.event { $0.attributes = ["v": .json(Self.text(65_537))] }, "value-too-long"),
            (Self.event { $0.attributes = ["v": .json("[1")] }, "bad-value"),
            (Self.event { $0.attributes = ["v": .json("{}")] }, "bad-value"),
            (Self.event { $0.attributes = ["v": .json("[1,\n2]")] }, "bad-value"),
            (Self.event { $0.attributes = ["v": .double(.nan)] }, "number-range"),
            (Self.event { $0.attributes = ["v": .double(.infinity)] }, "number-range"),
            (Self.event { $0.attributes = ["v": .double(-.infinity)] }, "number-range"),
            (
                Self.event { event in
                    for index in 0..<5 { event.attributes["v\(index)"] = .string(Self.text(60_000, "\(index)")) }
                }, "event-too-large"
            ),
        ]
        let good = Self.event { $0.id = Fixed.id(1) }
        let report = try store.append(cases.map(\.0) + [good])
        for (index, item) in cases.enumerated() {
            guard case .refused(let reason, let detail) = report.outcomes[index] else {
                Issue.record("case \(index) was not refused")
                continue
            }
            #expect(reason == item.1)
            #expect(!detail.isEmpty)
        }
        #expect(report.outcomes.last == .stored)
        #expect(report.refused == cases.count && report.stored == 1)
        #expect(try store.all().map(\.plain) == [good])
        // Nothing of the refused ones is left, not even a name.
        #expect(try store.names(of: .attribute) == ["a"])
        #expect(try store.names(of: .entity) == ["e"])
        try store.close()
    }

    @Test func whatIsJustAllowedIsReadBackExactly() throws {
        let folder = TestFolder()
        var store = try folder.create()
        var events = [
            Self.event { $0.entity = Self.text(200) }, Self.event { $0.type = Self.text(100) },
            Self.event { $0.timestamp = -62_135_596_800_000 }, Self.event { $0.timestamp = Fixed.now + Fixed.dayMs },
            Self.event { $0.attributes = Self.attributes(256) }, Self.event { $0.attributes = [Self.text(200): 1] },
            Self.event {
                $0.attributes = ["v": .string(Self.text(65_536)), "w": .json("[\"" + Self.text(65_532) + "\"]")]
            },
            Self.event {
                $0.attributes = ["v": .double(.greatestFiniteMagnitude), "w": .double(.leastNonzeroMagnitude)]
            },
            Self.event { $0.attributes = ["v": .integer(.min), "w": .integer(.max), "x": .double(-0.0)] },
            Self.event { $0.attributes = ["nul": .string("a\u{0}b"), "empty": .string(""), "f\u{0}": .bool(false)] },
            Self.event { $0.attributes = [:] },
        ]
        for index in events.indices { events[index].id = Fixed.id(UInt64(index)) }
        #expect(try store.append(events).stored == events.count)
        for step in 0..<3 {
            if step == 1 { try store.flush() }
            if step == 2 { _ = try store.compact() }
            let found = try store.all(order: .stored).sorted { $0.sequence < $1.sequence }
            #expect(found.map(\.plain) == events)
            #expect(
                found[8].attributes["x"].map { value in
                    if case .double(let number) = value { return number.sign == .minus }
                    return false
                } == true)
            try store.close()
            store = try folder.open()
        }
        try store.expectClean()
        try store.close()
    }

    @Test func anEntityHasAtMostTwoThousandNames() throws {
        let folder = TestFolder()
        var store = try folder.create()
        func event(_ entity: String, _ names: Range<Int>, _ id: UInt64) -> Event {
            Event(
                entity: entity, type: "t", timestamp: Fixed.day, id: Fixed.id(id),
                attributes: Dictionary(uniqueKeysWithValues: names.map { ("name\($0)", .integer(Int64($0))) }))
        }
        var id: UInt64 = 0
        for start in stride(from: 0, to: 2000, by: 250) {
            id += 1
            #expect(try store.append([event("a", start..<start + 250, id)]).stored == 1)
        }
        for start in stride(from: 2000, to: 2500, by: 250) {
            id += 1
            #expect(try store.append([event("b", start..<start + 250, id)]).stored == 1)
        }
        // The store has 2,500 names, entity a its 2,000: old ones go on, one more does not.
        #expect(try store.append([event("a", 10..<20, 100)]).stored == 1)
        let early = try store.append([event("a", 2000..<2001, 101), event("a", 5000..<5001, 102)])
        #expect(early.refused == 2)
        // Beyond any doubt: 2,000 more than that.
        for start in stride(from: 10_000, to: 13_000, by: 125) {
            id += 1
            _ = try store.append([event("a", start..<start + 125, id)])
        }
        for start in 13_000..<13_125 {
            id += 1
            _ = try store.append([event("a", start..<start + 1, id)])
        }
        let beyond = try store.append([event("a", 20_000..<20_001, 104), event("a", 0..<1, 105)])
        #expect(
            beyond.outcomes.first.map { if case .refused(let reason, _) = $0 { reason } else { "" } }
                == "too-many-names")
        #expect(try store.append([event("b", 0..<100, 103)]).stored == 1)
        let count = try store.all().count
        try store.close()
        store = try folder.open()
        #expect(try store.append([event("b", 20_000..<20_001, 106)]).stored == 1)
        try store.close()
        store = try folder.open()
        #expect(try store.all().count == count + 1)
        try store.expectClean()
        try store.close()
    }

    @Test func argumentsThatMakeNoSenseAreRefused() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let one = Event(entity: "e", type: "t", timestamp: Fixed.day)
        #expect(code { try store.append([one], batchID: "") } == "invalid")
        #expect(code { try store.append([one], batchID: Self.text(65_537)) } == "invalid")
        #expect(code { try store.cursor(limit: -1) } == "invalid")
        #expect(code { try store.tailBatch(from: 0, limit: 0) } == "invalid")
        #expect(code { try store.histogram(bucketMs: 0) } == "invalid")
        #expect(code { try store.importEvents(ImportRequest(sources: [])) } == "invalid")
        let nan = EventFilter(conditions: [.init("a", .equal, .double(.nan))])
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day, attributes: ["a": 1])])
        #expect(code { try store.all(nan) } == "invalid")
        #expect(try store.all(EventFilter(since: .max, until: .min)).isEmpty)
        #expect(try store.all(EventFilter(until: .min)).isEmpty)
        #expect(try store.all(EventFilter(since: .min, until: .max)).count == 1)
        #expect(try store.append([]).outcomes.isEmpty)
        try store.close()
        #expect(code { try store.append([one]) } == "invalid")
        #expect(code { try store.all() } == "invalid")
        try store.close()
    }
}
