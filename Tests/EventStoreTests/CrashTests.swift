// Every file operation of a run is made to fail once, or is the one at which power is lost. Whatever was
// acknowledged is there afterwards, once, and the store is clean.
//
// SQLite does its own input and output, so its files are outside this; its commits count as durable at once.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

@Suite struct CrashTests {
    /// The run: what it did so far, and what was acknowledged.
    final class Script {
        let folder = TestFolder()
        let files = FaultyFiles()
        let engine: StoreEngine
        let store: BlockingEventStore
        var acknowledged: [Event] = []
        var attempted: [Event] = []
        /// Codes of the errors met, in order.
        var errors: [String] = []
        var acknowledgedAfterError = 0
        private var next: UInt64 = 0

        init() throws {
            var environment = Environment(files: files)
            environment.nowMs = { Fixed.now }
            engine = try StoreEngine.create(
                at: folder.store, key: Fixed.key, create: Fixed.create(), open: Fixed.open(), environment: environment)
            store = BlockingEventStore(store: EventStore(engine: engine))
        }

        private func events(_ entity: String, _ days: [Int64], _ count: Int) -> [Event] {
            days.flatMap { day in
                (0..<count).map { index -> Event in
                    next += 1
                    return Event(
                        entity: entity, type: "t", timestamp: Fixed.day + day * Fixed.dayMs + Int64(index),
                        id: Fixed.id(next), attributes: ["n": .integer(Int64(next)), "s": "text"])
                }
            }
        }

        private func attempt(_ events: [Event], _ body: () throws -> Void) {
            attempted += events
            do {
                try body()
                acknowledged += events
                if !errors.isEmpty { acknowledgedAfterError += events.count }
            } catch let error as EventStoreError {
                errors.append(error.code.rawValue)
            } catch {
                errors.append("\(error)")
            }
        }

        func append(_ entity: String, _ days: [Int64] = [-1, 0], _ count: Int = 3) {
            let events = events(entity, days, count)
            attempt(events) { try store.append(events) }
        }

        func importFile(_ entity: String, durable: Bool) {
            let events = events(entity, [-2, -1], 12)
            attempt(events) {
                var request = ImportRequest(
                    sources: [try folder.write("in.ndjson", events.map(\.line).joined())])
                request.durable = durable
                request.batchSize = 5
                _ = try store.importEvents(request)
            }
        }

        func run() {
            append("one")
            append("two")
            attempt([]) { try store.flush() }
            append("one")
            importFile("three", durable: false)
            append("four", [-2])
            importFile("one", durable: true)
            attempt([]) { _ = try store.compact() }
            append("five", [0])
            attempt([]) { try store.flush() }
            attempt([]) { _ = try store.compact() }
            append("six", [0], 1)
        }

        /// Opens the store with the real file system and looks at everything.
        func check(_ what: String) throws {
            let reader = try folder.open(Fixed.open(.readOnly))
            try check(try reader.all(), what)
            try reader.close()
            let writer = try folder.open()
            try check(try writer.all(), what)
            let report = try writer.verify()
            #expect(report.holes.isEmpty, "\(what): \(report.holes.map { "\($0.file): \($0.message)" })")
            let strays = TestFolder.files(below: folder.store + "/segments").filter { !$0.hasSuffix(".seg") }
            #expect(strays.isEmpty, "\(what): \(strays)")
            // It can be written, and merged, again.
            try writer.append([Event(entity: "after", type: "t", timestamp: Fixed.day, id: Fixed.id(0xffff))])
            try writer.append(attempted)
            _ = try writer.compact()
            #expect(try writer.all().count == attempted.count + 1, "\(what)")
            #expect(try writer.verify().holes.isEmpty, "\(what)")
            try writer.close()
        }

        private func check(_ found: [Event], _ what: String) throws {
            let counts = Dictionary(grouping: found, by: \.identity).mapValues(\.count)
            #expect(counts.values.allSatisfy { $0 == 1 }, "\(what): stored twice")
            let byIdentity = Dictionary(found.map { ($0.identity, $0.plain) }, uniquingKeysWith: { first, _ in first })
            for event in acknowledged {
                #expect(byIdentity[event.identity] == event, "\(what): \(event.identity) was acknowledged")
            }
            let known = Set(attempted.map(\.identity))
            #expect(found.allSatisfy { known.contains($0.identity) }, "\(what): nobody wrote that")
        }
    }

    /// How many operations and syncs the whole run has.
    private static func sizes() throws -> (operations: Int, syncs: Int) {
        let script = try Script()
        script.files.set(.none)
        script.run()
        #expect(script.errors.isEmpty)
        #expect(script.acknowledged.count == script.attempted.count)
        let sizes = (script.files.operationCount, script.files.syncCount)
        try script.store.close()
        try script.check("undisturbed")
        return sizes
    }

    /// Every k, or by default every so many, beginning somewhere else each time.
    private static func points(_ count: Int, step: Int, _ generator: inout SeededGenerator) -> [Int] {
        if TestRun.isLong { return Array(1...count) }
        return Array(stride(from: Int.random(in: 1...step, using: &generator), through: count, by: step))
    }

    @Test(arguments: [Fault.Code.io, .diskFull]) func everyOperationMayFailOnce(_ code: Fault.Code) throws {
        var generator = SeededGenerator(seed: TestRun.seeds("everyOperationMayFailOnce \(code.rawValue)")[0])
        for point in Self.points(try Self.sizes().operations, step: 9, &generator) {
            let script = try Script()
            script.files.set(.failOnce(at: point, code))
            script.run()
            #expect(script.files.hasFailed)
            script.files.set(.none)
            try? script.store.close()
            try script.check("\(code.rawValue) at operation \(point)")
        }
    }

    @Test func aFailedSyncPoisons() throws {
        var generator = SeededGenerator(seed: TestRun.seeds("aFailedSyncPoisons")[0])
        for point in Self.points(try Self.sizes().syncs, step: 4, &generator) {
            let script = try Script()
            script.files.set(.failSync(at: point))
            script.run()
            #expect(script.files.hasFailed)
            #expect(!script.errors.isEmpty, "sync \(point) failed and nobody was told")
            #expect(script.acknowledgedAfterError == 0, "sync \(point): acknowledged after it, \(script.errors)")
            #expect(script.errors.dropFirst().allSatisfy { $0 == "poisoned" }, "sync \(point): \(script.errors)")
            script.files.set(.none)
            #expect(
                code { try script.store.append([Event(entity: "z", type: "t", timestamp: Fixed.day)]) } == "poisoned")
            try? script.store.close()
            try script.check("sync \(point)")
        }
    }

    @Test func powerMayBeLostAtEveryOperation() throws {
        var generator = SeededGenerator(seed: TestRun.seeds("powerMayBeLostAtEveryOperation")[0])
        for point in Self.points(try Self.sizes().operations, step: 4, &generator) {
            let script = try Script()
            script.files.set(.losePower(at: point))
            script.run()
            #expect(script.files.hasFailed)
            try? script.store.close()
            script.files.crash(&generator)
            try script.check("power lost at operation \(point)")
        }
    }
}
