// Bits are flipped, files cut, exchanged and removed. Nothing traps; whatever happens is said; what can still
// be read is right, and it is everything that does not lie in what was damaged.

import Foundation
import Testing

@testable import EventStore

@Suite struct DamageTests {
    /// Codes that say that something is wrong with the bytes (or what they lead to).
    private static let honest: Set<String> = ["damaged", "tampered", "wrong-key", "too-new", "not-found"]

    struct Prepared {
        let folder = TestFolder()
        let events: [Event]
        /// Files and their bytes, intact.
        let files: [(name: String, bytes: [UInt8])]

        /// - Parameter flushed: rows in segments, else only in the journal.
        init(flushed: Bool, _ generator: inout SeededGenerator) throws {
            var maker = EventMaker(generator: generator)
            maker.days = -2...0
            maker.ids = 400
            let store = try folder.create()
            var seen: Set<String> = []
            let all = (0..<200).map { _ in maker.event(withID: true) }.filter { seen.insert($0.identity).inserted }
            try store.append(Array(all[..<(all.count / 2)]))
            if flushed { try store.flush() }
            try store.append(Array(all[(all.count / 2)...]), batchID: "b")
            if flushed { try store.flush() }
            try store.close()
            generator = maker.generator
            events = all
            let root = folder.store
            files = try TestFolder.files(below: root).filter { $0 != "lock" && $0 != "reserve" }.map { name in
                (name: name, bytes: try TestFolder.bytes(root + "/" + name))
            }
        }

        func put(_ name: String, _ bytes: [UInt8]) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: folder.store + "/" + name))
        }

        /// A damaged store may have been written to on opening; everything goes back to what it was.
        func restore() throws {
            for file in TestFolder.files(below: folder.store) where file != "lock" && file != "reserve" {
                try FileManager.default.removeItem(atPath: folder.store + "/" + file)
            }
            for file in files {
                let path = folder.store + "/" + file.name
                try FileManager.default.createDirectory(
                    atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
                try put(file.name, file.bytes)
            }
        }

        /// Opens, verifies and reads the store as it is; true when the damage was noticed.
        @discardableResult
        func examine(_ what: String, mode: OpenOptions.Mode = .readOnly) throws -> Bool {
            let store: BlockingEventStore
            do {
                store = try folder.open(Fixed.open(mode))
            } catch let error as EventStoreError {
                #expect(DamageTests.honest.contains(error.code.rawValue), "\(what): \(error)")
                return true
            }
            defer { try? store.close() }
            var isNoticed = false
            do {
                let report = try store.verify()
                isNoticed = !report.holes.isEmpty
                for hole in report.holes { #expect(!hole.message.isEmpty && !hole.file.isEmpty) }
            } catch {
                #expect(DamageTests.honest.contains(error.code.rawValue), "\(what): \(error)")
                isNoticed = true
            }
            let right = Dictionary(uniqueKeysWithValues: events.map { ($0.identity, $0) })
            for order in [EventOrder.oldestFirst, .newestFirst, .stored] {
                let (found, error) = store.readable(order: order)
                for event in found { #expect(right[event.identity] == event.plain, "\(what): a wrong event") }
                #expect(Set(found.map(\.identity)).count == found.count, "\(what): twice")
                if let error {
                    #expect(DamageTests.honest.contains(error.code.rawValue), "\(what): \(error)")
                    isNoticed = true
                } else {
                    #expect(found.count == events.count, "\(what): events are missing and nobody said so")
                }
            }
            for key in [CountKey.total, .entity, .type, .day] {
                let answer = code { try store.counts(by: key, EventFilter(since: Fixed.day - Fixed.dayMs * 2 + 1)) }
                #expect(answer == "(none)" || DamageTests.honest.contains(answer), "\(what): \(answer)")
            }
            _ = code { try store.histogram(by: "a", bucketMs: 3_600_000) }
            _ = code { try store.tail() }
            _ = code { try store.stats() }
            return isNoticed
        }
    }

    @Test(arguments: [true, false]) func aFlippedBitIsNoticed(_ flushed: Bool) throws {
        for seed in TestRun.seeds("aFlippedBitIsNoticed(flushed: \(flushed))") {
            var generator = SeededGenerator(seed: seed)
            let prepared = try Prepared(flushed: flushed, &generator)
            try prepared.examine("intact")
            for (name, bytes) in prepared.files {
                let bits = bytes.count * 8
                // Of the catalog, whose pages are alike, one bit in 13 even then: it is hours otherwise.
                let chosen =
                    TestRun.isLong
                    ? Array(stride(from: 0, to: bits, by: name.hasPrefix("catalog") ? 13 : 1))
                    : (0..<25).map { _ in Int.random(in: 0..<bits, using: &generator) }
                for bit in chosen {
                    var changed = bytes
                    changed[bit >> 3] ^= 1 << UInt8(bit & 7)
                    try prepared.put(name, changed)
                    let what = "bit \(bit) of \(name) (\(bytes.count) bytes)"
                    let isNoticed = try prepared.examine(what)
                    #expect(isNoticed, "\(what) was not noticed")
                    try prepared.put(name, bytes)
                    if name.hasPrefix("catalog") { try prepared.restore() }
                }
            }
            try prepared.examine("put back")
        }
    }

    @Test(arguments: [true, false]) func cutAndLengthenedFilesAreNoticed(_ flushed: Bool) throws {
        for seed in TestRun.seeds("cutAndLengthenedFilesAreNoticed(flushed: \(flushed))") {
            var generator = SeededGenerator(seed: seed)
            let prepared = try Prepared(flushed: flushed, &generator)
            for (name, bytes) in prepared.files {
                let lengths =
                    [0, 1, bytes.count / 2, bytes.count - 1]
                    + (0..<4).map { _ in
                        Int.random(in: 0..<bytes.count, using: &generator)
                    }
                for length in lengths {
                    try prepared.put(name, Array(bytes[..<length]))
                    #expect(
                        try prepared.examine("\(name) cut to \(length) of \(bytes.count)"), "\(name) cut to \(length)")
                    try prepared.restore()
                }
                // SQLite keeps its size in its header and passes over what follows.
                if !name.hasPrefix("catalog") {
                    try prepared.put(name, bytes + [0])
                    #expect(try prepared.examine("\(name) with a byte more"), "\(name) with a byte more")
                    try prepared.restore()
                }
                try FileManager.default.removeItem(atPath: prepared.folder.store + "/" + name)
                #expect(try prepared.examine("without \(name)"), "without \(name)")
                try prepared.restore()
            }
        }
    }

    @Test func exchangedSegmentsAreNoticed() throws {
        var generator = SeededGenerator(seed: 5)
        let prepared = try Prepared(flushed: true, &generator)
        let other = try Prepared(flushed: true, &generator)
        let segments = prepared.files.filter { $0.name.hasSuffix(".seg") }
        let foreign = other.files.filter { $0.name.hasSuffix(".seg") }
        #expect(segments.count > 2)
        for index in 1..<segments.count {
            try prepared.put(segments[0].name, segments[index].bytes)
            #expect(try prepared.examine("\(segments[index].name) in the place of \(segments[0].name)"))
            try prepared.put(segments[0].name, segments[0].bytes)
        }
        try prepared.put(segments[0].name, foreign[0].bytes)
        #expect(try prepared.examine("a segment of another store"))
        try prepared.restore()
        // A segment of another store under its own name: no event of it appears, and it stays where it is.
        let folder = (segments[0].name as NSString).deletingLastPathComponent
        let stray = folder + "/" + (foreign[0].name as NSString).lastPathComponent
        try prepared.put(stray, foreign[0].bytes)
        #expect(try prepared.examine("a stranger", mode: .readWrite))
        #expect(FileManager.default.fileExists(atPath: prepared.folder.store + "/" + stray))
        try FileManager.default.removeItem(atPath: prepared.folder.store + "/" + stray)
        try prepared.examine("without the stranger", mode: .readWrite)
    }

    /// Damage costs one block: events of other entities and other days are all still there.
    @Test func damageCostsWhatIsDamagedAndNoMore() throws {
        for seed in TestRun.seeds("damageCostsWhatIsDamagedAndNoMore") {
            var generator = SeededGenerator(seed: seed)
            let folder = TestFolder()
            let store = try folder.create()
            var events: [Event] = []
            for number in 0..<3200 {
                let (entity, index) = (number / 400, number % 400)
                var event = Event(
                    entity: "e\(entity)", type: "t\(index % 3)", timestamp: Fixed.day + Int64(index),
                    id: Fixed.id(UInt64(number)))
                event.attributes["n"] = .integer(Int64(generator.next() >> 1))
                event.attributes["s"] = .string("\(generator.next())")
                events.append(event)
            }
            try store.append(events)
            try store.flush()
            try store.close()
            let segment = try #require(
                TestFolder.files(below: folder.store).first { $0.hasSuffix(".seg") }.map { folder.store + "/" + $0 })
            let bytes = try TestFolder.bytes(segment)
            for _ in 0..<(TestRun.isLong ? 2000 : 40) {
                let bit = Int.random(in: 0..<bytes.count * 8, using: &generator)
                var changed = bytes
                changed[bit >> 3] ^= 1 << UInt8(bit & 7)
                try Data(changed).write(to: URL(fileURLWithPath: segment))
                let reader = try folder.open(Fixed.open(.readOnly))
                let report = try reader.verify()
                let (found, error) = reader.readable()
                #expect(!report.holes.isEmpty)
                var left: [String: Int] = [:]
                for event in found { left[event.entity, default: 0] += 1 }
                let lost = Set(events.map { $0.entity }).filter { left[$0] != 400 }
                let whole = report.holes.contains { $0.entity == nil }
                #expect(whole || lost.count <= 1, "bit \(bit): \(lost) lost, \(report.holes)")
                #expect(found.count == 3200 || error != nil)
                let rows = report.holes.compactMap(\.rows).reduce(0, +)
                #expect(whole || found.count + rows >= 3200, "bit \(bit)")
                try reader.close()
            }
        }
    }

    /// Damage does not stop a site from writing, and a repeat of a readable event is still known as one.
    @Test func aDamagedStoreTakesEventsAndKnowsRepeats() throws {
        for seed in TestRun.seeds("aDamagedStoreTakesEventsAndKnowsRepeats") {
            var generator = SeededGenerator(seed: seed)
            let folder = TestFolder()
            let events = (0..<3000).map { index in
                Event(
                    entity: "e\(index % 2)", type: "t", timestamp: Fixed.day + Int64(index),
                    id: Fixed.id(UInt64(index)),
                    attributes: ["s": .string(String(repeating: "\(generator.next())", count: 4))])
            }
            let store = try folder.create()
            try store.append(events)
            try store.flush()
            try store.close()
            let intact = folder.path + "/intact"
            try TestFolder.copy(folder.store, to: intact)
            let name = try #require(TestFolder.files(below: folder.store).first { $0.hasSuffix(".seg") })
            let bytes = try TestFolder.bytes(folder.store + "/" + name)
            for round in 0..<(TestRun.isLong ? 300 : 12) {
                try TestFolder.copy(intact, to: folder.store)
                let bit = Int.random(in: 0..<bytes.count * 8, using: &generator)
                var changed = bytes
                changed[bit >> 3] ^= 1 << UInt8(bit & 7)
                try Data(changed).write(to: URL(fileURLWithPath: folder.store + "/" + name))
                let damaged = try folder.open()
                let (readable, _) = damaged.readable()
                let fresh = Event(entity: "e1", type: "t", timestamp: Fixed.day, id: Fixed.id(90_000))
                if round % 2 == 0 {
                    let report = try damaged.append(readable.map(\.plain) + [fresh])
                    #expect(report.duplicates == readable.count, "bit \(bit): \(report.stored) stored again")
                    #expect(report.outcomes.last == .stored)
                    // The others are there as well, or cannot be read: in no case does the call fail.
                    _ = try damaged.append(events)
                } else {
                    let lines = (readable.map(\.plain) + [fresh]).map(\.line).joined()
                    let report = try damaged.importEvents(
                        ImportRequest(sources: [try folder.write("in.ndjson", lines)]))
                    #expect(report.duplicates == readable.count, "bit \(bit): \(report.stored) stored again")
                    #expect(report.stored == 1)
                }
                let after = damaged.readable().events
                #expect(Set(after.map(\.identity)).count == after.count, "bit \(bit): stored twice")
                try damaged.close()
            }
        }
    }
}
