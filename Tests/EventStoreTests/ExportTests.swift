// Exports and the way back: every format gives identical events, appears whole or not at all, and says truly what it is.

import EventStoreCrypto
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct ExportTests {
    /// Those that are no store.
    static let formats = ExportRequest.Format.allCases.filter { $0 != .store }

    /// Events of all kinds: limits of numbers, empty and odd texts, kinds that vary, names like those of columns.
    static func events(_ random: inout SeededGenerator, count: Int) -> [Event] {
        let names = [
            "id", "type", "entity", "timestamp", "sequence", "received", "attributes", "day", "event_id", "event_type",
            "attributes.id", "labels.id", "a", "A", "a:string", "a:integer", "x,y", "q\"q", "line\nbreak", "é",
            "status",
            "req.method",
        ]
        let texts =
            NDJSONTests.texts + [
                "", "a,b", "\"", "\"\"", "x\r\ny", "\n", "\r", "true", "12", "-0.5", " lead", "trail ", "[1]",
            ]
        return (0..<count).map { number in
            var attributes: [String: AttributeValue] = [:]
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let name = random.pick(names)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: attributes[name] = .string(random.pick(texts))
                case 1: attributes[name] = .integer(random.pick(NDJSONTests.integers))
                case 2: attributes[name] = .double(random.pick(NDJSONTests.doubles))
                case 3: attributes[name] = .bool(random.chance(1, of: 2))
                default:
                    attributes[name] = .json(random.pick(["[]", "[1,\"x\",[true,null]]", "[\"a,b\",{\"k\":-1.5e3}]"]))
                }
            }
            if number == 7 { for index in 0..<230 { attributes["wide.\(index)"] = .integer(Int64(index)) } }
            let day = Int64.random(in: -4...0, using: &random)
            return Event(
                entity: random.pick(["one.example", "zwei.example", "três \"x\", y", "n\n4"]),
                type: random.pick(["http.request", "auth.attempt", "ty\\pe\n1", "wp,cron"]),
                timestamp: random.pick([
                    Fixed.day + day * Fixed.dayMs + Int64.random(in: 0..<30_000_000, using: &random),
                    Fixed.day + Int64(number), 0, -1, 12_345,
                ]), id: Fixed.id(UInt64(number)), attributes: attributes)
        }
    }

    private func byIdentity(_ events: [Event]) -> [String: Event] {
        Dictionary(events.map { ($0.identity, $0.plain) }, uniquingKeysWith: { first, _ in first })
    }

    private func expectSame(_ found: [Event], _ wanted: [Event], _ comment: Comment) {
        let found = byIdentity(found)
        let wanted = byIdentity(wanted)
        #expect(found.count == wanted.count, comment)
        for (key, event) in wanted where !isSame(found[key], event) {
            Issue.record("\(comment): \(event) came back as \(String(describing: found[key]))")
            return
        }
    }

    /// Also the sign of zero.
    private func isSame(_ a: Event?, _ b: Event) -> Bool {
        guard let a, a == b else { return false }
        return b.attributes.allSatisfy { name, value in
            guard case .double(let number) = value, case .double(let other) = a.attributes[name] else { return true }
            return number.bitPattern == other.bitPattern
        }
    }

    private func path(_ folder: TestFolder, _ format: ExportRequest.Format) -> String {
        folder.path + "/out." + format.rawValue
    }

    private func back(_ path: String, durable: Bool = false) throws -> (report: ImportReport, events: [Event]) {
        let folder = TestFolder()
        let store = try folder.create()
        var request = ImportRequest(sources: [path])
        request.durable = durable
        request.batchSize = 97
        let report = try store.importEvents(request)
        let events = try store.all()
        try store.expectClean()
        try store.close()
        return (report, events)
    }

    @Test(arguments: formats) func comesBackIdentical(_ format: ExportRequest.Format) throws {
        for seed in TestRun.seeds("ExportTests.comesBackIdentical") {
            var random = SeededGenerator(seed: seed)
            let folder = TestFolder()
            let store = try folder.create(Fixed.create(random.pick([.day, .week, .month])))
            let events = Self.events(&random, count: 700)
            let stored = try store.append(Array(events[..<400])).stored
            try store.flush()
            #expect(try store.append(Array(events[400...])).stored + stored == events.count)
            let target = path(folder, format)
            let report = try store.export(ExportRequest(format: format, to: .path(target)))
            #expect(report.events == events.count)
            for durable in [false, true] {
                let (imported, found) = try back(target, durable: durable)
                #expect(imported.stored == events.count, "seed \(seed): \(imported.firstRefusals)")
                expectSame(found, events, "\(format) seed \(seed)")
            }
            try checkManifest(report, target, format, events)
            #expect(try store.auditRecords(after: 0).contains { $0.operation == "export" })
            try store.close()
        }
    }

    private func checkManifest(
        _ report: ExportReport, _ target: String, _ format: ExportRequest.Format, _ events: [Event]
    ) throws {
        let file = format == .parquet ? target + "/_manifest.json" : target + ".manifest.json"
        #expect(report.manifestPath == file)
        let manifest = try JSONDecoder().decode(
            ExportManifest.self, from: Data(try TestFolder.bytes(file)))
        #expect(manifest == report.manifest)
        #expect(manifest.files.reduce(0) { $0 + $1.events } == events.count)
        let base = format == .parquet ? target : (target as NSString).deletingLastPathComponent
        for file in manifest.files {
            let bytes = try TestFolder.bytes(base + "/" + file.path)
            #expect(bytes.count == file.bytes)
            #expect(sha256(bytes).map { String(format: "%02x", $0) }.joined() == file.sha256)
        }
        let counts = Dictionary(grouping: events, by: \.entity).mapValues(\.count)
        #expect(Dictionary(uniqueKeysWithValues: manifest.entities.map { ($0.entity, $0.events) }) == counts)
        for entity in manifest.entities { #expect(entity.days.values.reduce(0, +) == entity.events) }
    }

    @Test(arguments: formats) func takesFiltersAndSequences(_ format: ExportRequest.Format) throws {
        for seed in TestRun.seeds("ExportTests.takesFiltersAndSequences") {
            var random = SeededGenerator(seed: seed)
            let folder = TestFolder()
            let store = try folder.create()
            let events = Self.events(&random, count: 400)
            try store.append(Array(events[..<250]))
            try store.flush()
            let next = try store.nextSequence()
            try store.append(Array(events[250...]))
            var filter = EventFilter(entities: ["one.example", "n\n4"], types: ["http.request", "wp,cron"])
            filter.since = Fixed.day - 2 * Fixed.dayMs + 5000
            filter.until = Fixed.day + 20_000_000
            for (number, from) in [nil, next].enumerated() {
                var request = ExportRequest(format: format, to: .path(path(folder, format) + "\(number)"))
                request.filter = filter
                request.fromSequence = from
                let report = try store.export(request)
                let wanted = try store.all(filter).filter { $0.sequence >= from ?? 0 }
                #expect(report.events == wanted.count, "seed \(seed)")
                if wanted.isEmpty { continue }
                expectSame(try back(path(folder, format) + "\(number)").events, wanted, "\(format) seed \(seed)")
            }
            try store.close()
        }
    }

    @Test(arguments: formats) func leavesNothingWhenCut(_ format: ExportRequest.Format) throws {
        let folder = TestFolder()
        let store = try folder.create()
        var random = SeededGenerator(seed: 1)
        try store.append(Self.events(&random, count: 300))
        let before = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        let asked = Atomic<Int>(0)
        for limit in 0..<6 {
            var request = ExportRequest(format: format, to: .path(path(folder, format)))
            asked.store(0, ordering: .relaxed)
            request.isCancelled = { asked.add(1, ordering: .relaxed).oldValue >= limit }
            let outcome = code { try store.export(request) }
            if outcome == "(none)" { break }
            #expect(outcome == "cancelled")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == before)
        }
        try store.close()
    }

    @Test(arguments: formats) func refusesWhatIsThere(_ format: ExportRequest.Format) throws {
        let folder = TestFolder()
        let store = try folder.create()
        var random = SeededGenerator(seed: 2)
        let events = Self.events(&random, count: 50)
        try store.append(events)
        var request = ExportRequest(format: format, to: .path(path(folder, format)))
        try store.export(request)
        #expect(code { try store.export(request) } == "exists")
        request.replacesExisting = true
        #expect(try store.export(request).events == 50)
        expectSame(try back(path(folder, format)).events, events, "replaced")
        // A directory of something else stays.
        let other = folder.path + "/mine"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        request.destination = .path(other)
        #expect(code { try store.export(request) } == "exists")
        #expect(FileManager.default.fileExists(atPath: other))
        try store.close()
    }

    @Test func streamsAndEmptyExports() throws {
        let folder = TestFolder()
        let store = try folder.create()
        for format in Self.formats {
            let report = try store.export(ExportRequest(format: format, to: .path(path(folder, format))))
            #expect(report.events == 0)
        }
        var random = SeededGenerator(seed: 3)
        let events = Self.events(&random, count: 60)
        try store.append(events)
        for format in [ExportRequest.Format.ndjson, .csv] {
            let bytes = Mutex<[UInt8]>([])
            let report = try store.export(
                ExportRequest(format: format, to: .stream { part in bytes.withLock { $0.append(contentsOf: part) } }))
            #expect(report.manifestPath == nil)
            let file = try folder.write("stream.\(format.rawValue)", bytes.withLock { $0 })
            expectSame(try back(file).events, events, "stream")
        }
        for format in [ExportRequest.Format.parquet, .sqlite] {
            #expect(code { try store.export(ExportRequest(format: format, to: .stream { _ in })) } == "invalid")
        }
        try store.close()
    }
}
