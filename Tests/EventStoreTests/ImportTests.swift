// What an import stores, counts and refuses, whatever the path, the format and the packing.

import Foundation
import Testing

@testable import EventStore

@Suite struct ImportTests {
    static func logLine(_ number: Int, host: String = "192.0.2.7") -> String {
        let second = number % 60
        let minute = number / 60 % 60
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(host) - - [01/Sep/2025:10:\(two(minute)):\(two(second)) +0000] \"GET /page/\(number % 7) HTTP/1.1\" "
            + "200 \(100 + number) \"-\" \"Mozilla/5.0 (X11)\"\n"
    }

    private func request(_ file: String, durable: Bool = false, entity: String? = nil) -> ImportRequest {
        var request = ImportRequest(sources: [file])
        request.durable = durable
        request.entity = entity
        return request
    }

    private func sizes(_ folder: TestFolder) throws -> [String: Int] {
        try Dictionary(
            uniqueKeysWithValues: TestFolder.files(below: folder.store).filter { $0.hasSuffix(".seg") }.map {
                ($0, try TestFolder.bytes(folder.store + "/" + $0).count)
            })
    }

    private func randomEvents(_ seed: UInt64, _ count: Int) -> [Event] {
        var maker = EventMaker(generator: SeededGenerator(seed: seed))
        maker.ids = UInt64(count * 3)
        var seen: Set<String> = []
        return (0..<count).map { _ in maker.event(withID: true) }.filter { seen.insert($0.identity).inserted }
    }

    private func byIdentity(_ events: [Event]) -> [String: Event] {
        Dictionary(events.map { ($0.identity, $0.plain) }, uniquingKeysWith: { first, _ in first })
    }

    @Test func everyEnvelopeGivesTheSameEvent() throws {
        let id = Fixed.id(7).uuidString
        let lines = [
            #"{"entity":"e","type":"t","timestamp":1756771200000,"id":"\#(id)","attributes":{"req.method":"GET","n":5}}"#,
            #"{"entity":"e","event_type":"t","timestamp":1756771200,"event_id":"\#(id)","labels":{"req.method":"GET","n":5}}"#,
            #"{"entity":"e","event_type":"t","timestamp":"2025-09-02T00:00:00Z","event_id":"\#(id)","req":{"method":"GET"},"n":5}"#,
            #"{"entity":"e","type":"t","timestamp":1756771200000000,"id":"\#(id.lowercased())","req":{"method":"GET","x":null,"y":{}},"n":5}"#,
        ]
        let folder = TestFolder()
        let store = try folder.create()
        for (index, line) in lines.enumerated() {
            let report = try store.importEvents(request(try folder.write("\(index).ndjson", line + "\n")))
            #expect(report.read == 1 && report.refused == 0, "\(report.firstRefusals)")
            #expect(index == 0 ? report.stored == 1 : report.duplicates == 1, "line \(index): \(report)")
        }
        let payload =
            #"{"entity":"e","event_type":"t","timestamp":1756771200,"payload":{"a":{"b":true}},"labels":{"type":"x"}}"#
        try store.importEvents(request(try folder.write("p.ndjson", payload)))
        #expect(
            try store.all().last?.attributes == ["payload.a.b": .bool(true), "labels.type": .string("x")])
        try store.close()
    }

    @Test(arguments: [false, true]) func countsAddUpAndASecondTimeNothingGrows(_ durable: Bool) throws {
        let folder = TestFolder()
        let store = try folder.create()
        let events = randomEvents(3, 900)
        let text =
            events.map(\.line).joined() + "not json\n" + events[..<50].map(\.line).joined() + "\n"
            + #"{"entity":"e","type":"t"}"# + "\n" + #"{"entity":"e","type":"t","timestamp":1e400}"# + "\n[1]\n"
        let file = try folder.write("in.ndjson", text)
        let first = try store.importEvents(request(file, durable: durable))
        #expect(first.stored == events.count && first.duplicates == 50 && first.refused == 4, "\(first)")
        #expect(first.read == first.stored + first.duplicates + first.conflicts + first.refused + first.expired)
        #expect(first.refusedByReason.values.reduce(0, +) == 4)
        #expect(first.firstRefusals.first?.line == events.count + 1)
        #expect(byIdentity(try store.all()) == byIdentity(events))
        try store.flush()
        let before = try sizes(folder)
        let totals = try store.stats()
        for again in [durable, !durable] {
            let second = try store.importEvents(request(file, durable: again))
            #expect(second.stored == 0 && second.duplicates == events.count + 50 && second.conflicts == 0)
        }
        #expect(try sizes(folder) == before)
        let after = try store.stats()
        #expect(after.segments == totals.segments && after.events == totals.events)
        #expect(after.nextSequence == totals.nextSequence && after.catalogBytes <= totals.catalogBytes + 65_536)
        #expect(try store.counts(by: .total)[0].count == events.count)
        try store.expectClean()
        try store.close()
    }

    @Test func bothPathsMakeTheSameStore() throws {
        let events = randomEvents(9, 1500)
        var found: [[String: Event]] = []
        for (durable, budget) in [(false, 64 << 20), (true, 64 << 20), (false, 1)] {
            let folder = TestFolder()
            let store = try folder.create(open: Fixed.open(budget: budget))
            let file = try folder.write("in.ndjson", events.map(\.line).joined())
            #expect(try store.importEvents(request(file, durable: durable)).stored == events.count)
            found.append(byIdentity(try store.all()))
            #expect(try store.tail().map(\.sequence) == Array(1...UInt64(events.count)))
            #expect(
                try store.tail().map(\.plain) == (try store.tail().sorted { $0.sequence < $1.sequence }.map(\.plain)))
            try store.expectClean()
            try store.close()
        }
        #expect(found.allSatisfy { $0 == byIdentity(events) })
    }

    @Test func manyGroupsAndHeldBackPartitionsMakeTheSameStore() throws {
        let count = TestRun.isLong ? 600_000 : 120_000
        var generator = SeededGenerator(seed: 4)
        // Mostly in order of time over three days, a few late, in many small late partitions.
        var text = ""
        var expected: [Int64: Int] = [:]
        for number in 0..<count {
            var time = Fixed.day - 3 * Fixed.dayMs + Int64(number) * (3 * Fixed.dayMs / Int64(count))
            if generator.chance(1, of: 500) { time -= Int64.random(in: 0..<60, using: &generator) * Fixed.dayMs }
            expected[time / Fixed.dayMs, default: 0] += 1
            text +=
                #"{"entity":"e\#(number % 40)","type":"t","timestamp":\#(time),"id":"\#(Fixed.id(UInt64(number)))","n":\#(number)}"#
            text += "\n"
        }
        let folder = TestFolder()
        let store = try folder.create(open: Fixed.open(budget: 1))
        let file = try folder.write("in.ndjson", text)
        let report = try store.importEvents(request(file))
        #expect(report.stored == count && report.duplicates == 0)
        #expect(try store.counts(by: .day).map(\.count) == expected.sorted { $0.key < $1.key }.map(\.value))
        var numbers = Set<Int64>()
        var sequences = Set<UInt64>()
        for event in try store.all(order: .stored) {
            if case .integer(let number)? = event.attributes["n"] { numbers.insert(number) }
            sequences.insert(event.sequence)
        }
        #expect(numbers.count == count && sequences.count == count)
        let again = try store.importEvents(request(file))
        #expect(again.stored == 0 && again.duplicates == count)
        try store.expectClean()
        try store.close()
    }

    @Test(arguments: [false, true]) func aGrowingLogStoresEachLineOnce(_ durable: Bool) throws {
        let folder = TestFolder()
        var store = try folder.create()
        var lines: [String] = []
        for round in 0..<5 {
            // Equal lines are separate events: the same request twice in a second.
            for number in 0..<120 { lines.append(Self.logLine(round * 120 + number / 2)) }
            let file = try folder.write("access.log", lines.joined())
            let report = try store.importEvents(request(file, durable: durable, entity: "shop.example"))
            #expect(report.stored == 120 && report.duplicates == lines.count - 120 && report.refused == 0, "\(report)")
            if round == 1 { try store.flush() }
            if round == 2 { _ = try store.compact() }
            if round == 3 {
                try store.close()
                store = try folder.open()
            }
        }
        // Rotated, packed, and the new log begun: nothing of the old one is new.
        let text = Array(lines.joined().utf8)
        for (name, bytes) in [
            ("access.log.1", text), ("access.log.2.gz", Packing.gzip(text)), ("access.log.2.zst", Packing.zstd(text)),
            ("two.gz", Packing.gzip(Array(text[..<(text.count / 2)])) + Packing.gzip(Array(text[(text.count / 2)...]))),
        ] {
            let report = try store.importEvents(
                request(try folder.write(name, bytes), durable: durable, entity: "shop.example"))
            #expect(report.stored == 0 && report.duplicates == lines.count, "\(name): \(report)")
        }
        let fresh = try folder.write("access.log", (600..<610).map { Self.logLine($0) }.joined())
        #expect(try store.importEvents(request(fresh, durable: durable, entity: "shop.example")).stored == 10)
        #expect(try store.counts(by: .total)[0].count == 610)
        // The same lines of another site are other events.
        let other = try store.importEvents(request(fresh, durable: durable, entity: "blog.example"))
        #expect(other.stored == 10)
        try store.expectClean()
        try store.close()
    }

    @Test(arguments: [false, true]) func conflictsAreCountedAndTheFirstStays(_ durable: Bool) throws {
        let folder = TestFolder()
        let store = try folder.create()
        let first = Event(entity: "e", type: "t", timestamp: Fixed.day, id: Fixed.id(1), attributes: ["a": 1])
        var variants: [Event] = []
        for change in [
            { $0.type = "u" }, { $0.timestamp += 1 }, { $0.attributes = ["a": 2] },
            { $0.attributes = ["a": .double(1)] },
            { $0.attributes = ["a": 1, "b": 2] }, { $0.attributes = [:] },
        ] as [(inout Event) -> Void] {
            var copy = first
            change(&copy)
            variants.append(copy)
        }
        let lines = ([first, first] + variants).map(\.line).joined()
        let report = try store.importEvents(request(try folder.write("in.ndjson", lines), durable: durable))
        #expect(report.stored == 1 && report.duplicates == 1 && report.conflicts == 6, "\(report)")
        try store.flush()
        let again = try store.importEvents(request(try folder.write("in.ndjson", lines), durable: durable))
        #expect(again.stored == 0 && again.duplicates == 2 && again.conflicts == 6, "\(again)")
        #expect(try store.all().map(\.plain) == [first])
        // The same id on another day, or of another entity, is another event.
        var other = first
        other.timestamp -= Fixed.dayMs
        var third = first
        third.entity = "f"
        let more = try store.importEvents(request(try folder.write("in.ndjson", other.line + third.line)))
        #expect(more.stored == 2)
        try store.close()
    }

    @Test func strictStoresAllOrNothing() throws {
        let folder = TestFolder()
        let store = try folder.create(open: Fixed.open(budget: 1))
        let events = randomEvents(5, 400)
        let good = try folder.write("good.ndjson", events.map(\.line).joined())
        let bad = try folder.write("bad.ndjson", events.map(\.line).joined() + "{]\n" + events[0].line)
        var request = request(bad)
        request.strict = true
        let refused = try store.importEvents(request)
        #expect(refused.refused == 1 && refused.stored == 0)
        #expect(try store.all().isEmpty)
        #expect(TestFolder.files(below: folder.store + "/segments").isEmpty)
        request.sources = [good, good]
        let report = try store.importEvents(request)
        #expect(report.stored == events.count && report.duplicates == events.count)
        #expect(byIdentity(try store.all()) == byIdentity(events))
        try store.expectClean()
        request.durable = true
        #expect(code { try store.importEvents(request) } == "invalid")
        try store.close()
    }

    @Test func aDryRunTouchesNothing() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day)])
        let file = try folder.write("in.ndjson", randomEvents(6, 100).map(\.line).joined() + "{]\n")
        let files = TestFolder.files(below: folder.store)
        let before = try files.map { try TestFolder.bytes(folder.store + "/" + $0) }
        for durable in [false, true] {
            var request = request(file, durable: durable)
            request.dryRun = true
            let report = try store.importEvents(request)
            #expect(report.read > 50 && report.refused == 1 && report.stored == 0)
        }
        #expect(TestFolder.files(below: folder.store) == files)
        #expect(try files.map { try TestFolder.bytes(folder.store + "/" + $0) } == before)
        #expect(try store.names(of: .entity) == ["e"])
        try store.close()
    }

    @Test(arguments: [false, true]) func noNewEntitiesMeansThat(_ durable: Bool) throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([Event(entity: "known", type: "t", timestamp: Fixed.day)])
        let events = ["known", "new", "known", "other"].enumerated().map { index, entity in
            Event(entity: entity, type: "t", timestamp: Fixed.day + Int64(index), id: Fixed.id(UInt64(index)))
        }
        var request = request(try folder.write("in.ndjson", events.map(\.line).joined()), durable: durable)
        request.allowNewEntities = false
        let report = try store.importEvents(request)
        #expect(report.stored == 2 && report.refused == 2 && report.refusedByReason == ["unknown-entity": 2])
        #expect(try store.names(of: .entity) == ["known"])
        request.allowNewEntities = true
        let second = try store.importEvents(request)
        #expect(second.stored == 2 && second.duplicates == 2 && second.entitiesAdded == ["new", "other"])
        try store.close()
    }

    @Test(arguments: [false, true]) func damagedInputStoresWhatWasReadableAndSaysSo(_ durable: Bool) throws {
        let events = randomEvents(8, 1200)
        let text = Array(events.map(\.line).joined().utf8)
        for (name, packed) in [("in.ndjson.gz", Packing.gzip(text)), ("in.ndjson.zst", Packing.zstd(text))] {
            let folder = TestFolder()
            let store = try folder.create()
            let file = try folder.write(name, Array(packed[..<(packed.count * 2 / 3)]))
            #expect(["damaged", "invalid"].contains(code { try store.importEvents(request(file, durable: durable)) }))
            let found = try store.all()
            let known = byIdentity(events)
            #expect(found.allSatisfy { known[$0.identity] == $0.plain })
            // zstd gives nothing of a block that is cut.
            if name.hasSuffix("gz") { #expect(found.count > 300, "\(name): \(found.count) of \(events.count)") }
            let whole = try store.importEvents(request(try folder.write(name, packed), durable: durable))
            #expect(whole.stored + whole.duplicates == events.count && whole.duplicates == found.count)
            try store.expectClean()
            try store.close()
        }
    }

    @Test func theTwoPathsReadEquallyMuchOfDamagedInput() throws {
        let events = randomEvents(8, 1200)
        let packed = Packing.gzip(Array(events.map(\.line).joined().utf8))
        var counts: Set<Int> = []
        for path in [false, true] {
            let folder = TestFolder()
            let store = try folder.create()
            let file = try folder.write("in.ndjson.gz", Array(packed[..<(packed.count / 2)]))
            _ = code { try store.importEvents(request(file, durable: path)) }
            counts.insert(try store.all().count)
            try store.close()
        }
        #expect(counts.count == 1, "\(counts)")
    }

    @Test func csvAndItsTypedHeaderMakeEvents() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let text =
            "timestamp,entity,type,id,method,status\n2025-09-02T00:00:00Z,e,t,\(Fixed.id(1)),GET,200\n"
            + "2025-09-02T00:00:01Z,e,t,\(Fixed.id(2)),\"PO,\"\"ST\",404\n"
        let file = try folder.write("in.csv", text)
        #expect(try store.importEvents(request(file)).stored == 2)
        #expect(try store.importEvents(request(file)).duplicates == 2)
        let events = try store.all()
        #expect(events.map(\.id) == [Fixed.id(1), Fixed.id(2)])
        #expect(events[1].attributes["method"] == .string("PO,\"ST"))
        try store.close()
    }

    @Test func aMissingSourceIsNamedAndNothingIsHalfDone() throws {
        let folder = TestFolder()
        let store = try folder.create()
        #expect(code { try store.importEvents(request(folder.path + "/nothing.ndjson")) } == "not-found")
        let empty = try folder.write("empty.ndjson", "")
        let report = try store.importEvents(request(empty))
        #expect(report.read == 0 && report.stored == 0)
        #expect(TestFolder.files(below: folder.store + "/segments").isEmpty)
        try store.close()
    }
}
