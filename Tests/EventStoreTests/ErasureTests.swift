// Erased is gone: in the store, in its files, in copies of its data, for other processes, and after an interruption at
// any operation.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation
import Testing

@testable import EventStore

/// A store in which one entity has values nobody else has, in small and large parts, and in the journal.
private struct CanaryStore {
    static let gone = "qzx-canary-site.example"
    static let kept = (0..<5).map { "kept-\($0).example" }
    static let words = [
        "qzxcanary", "canary.qzxtype", "qzx_attribute", "qzx-canary-site", "qzx value of nobody else", "QzxAgent/9.1",
    ]
    let folder = TestFolder()
    let goneEvents = 30_000 + 4 * 50 + 20

    /// - Parameter big: whether it has a day with a large part.
    static func events(_ entity: String, _ day: Int64, _ count: Int, isCanary: Bool, _ generator: inout SeededGenerator)
        -> [Event]
    {
        (0..<count).map { index -> Event in
            let high = generator.next()
            var attributes: [String: AttributeValue] = [
                "path": .string("/p/\(high % 97)"), "n": .integer(Int64(bitPattern: high)),
            ]
            if isCanary {
                attributes["qzx_attribute"] = .string("qzx value of nobody else \(high)")
                attributes["user_agent"] = .string("QzxAgent/9.1")
            }
            return Event(
                entity: entity, type: isCanary && index % 2 == 0 ? "canary.qzxtype" : "http.request",
                timestamp: Fixed.day + day * Fixed.dayMs + Int64(index), id: UUID(), attributes: attributes)
        }
    }

    func fill(_ store: BlockingEventStore, _ generator: inout SeededGenerator, large: Bool) throws {
        for day in Int64(-4)..<0 {
            for entity in Self.kept + [Self.gone] {
                try store.append(Self.events(entity, day, 50, isCanary: entity == Self.gone, &generator))
            }
        }
        if large {
            let events = Self.events(Self.gone, -6, 30_000, isCanary: true, &generator)
            for part in stride(from: 0, to: events.count, by: 5000) {
                try store.append(Array(events[part..<part + 5000]))
            }
            try store.append(Self.events(Self.kept[0], -6, 50, isCanary: false, &generator))
        }
        try store.flush()
        for entity in Self.kept + [Self.gone] {
            try store.append(Self.events(entity, 0, 20, isCanary: entity == Self.gone, &generator))
        }
    }

    static func scan(_ root: String, _ place: String) throws {
        for file in TestFolder.files(below: root) {
            let bytes = try TestFolder.bytes(root + "/" + file)
            for word in words {
                let found = Data(bytes).range(of: Data(word.utf8)) != nil
                #expect(!found, "\(place): \(file) shows \(word)")
            }
        }
    }
}

@Suite struct ErasureTests {
    @Test func nothingOfAnErasedEntityIsLeft() throws {
        for seed in TestRun.seeds("ErasureTests.nothingOfAnErasedEntityIsLeft") {
            var generator = SeededGenerator(seed: seed)
            let canary = CanaryStore()
            let store = try canary.folder.create()
            try canary.fill(store, &generator, large: true)
            let others = try store.all().filter { $0.entity != CanaryStore.gone }
            let reader = try canary.folder.open(Fixed.open(.readOnly))
            #expect(
                try reader.counts(by: .entity, EventFilter(entities: [CanaryStore.gone]))[0].count == canary.goneEvents)
            _ = try reader.ask("SELECT user_agent, count(*) FROM events GROUP BY user_agent")
            // A copy of the data, and one of the keys, as somebody may have made them.
            let copy = canary.folder.path + "/copy"
            try TestFolder.copy(canary.folder.store, to: copy)
            let before = try bytesOnDisk(canary.folder.store)

            let report = try store.eraseEntity(CanaryStore.gone, reason: "asked for it")
            #expect(report.events == canary.goneEvents)
            #expect(report.receipt.isValid())
            try expectGone(store, others, "in the store")
            try expectGone(reader, others, "for another reader")
            try reader.close()
            #expect(try bytesOnDisk(canary.folder.store) < before - 500_000)
            #expect(report.bytesFreed > 500_000)
            try CanaryStore.scan(canary.folder.store, "after erasing")
            #expect(try store.verify().holes.isEmpty)
            #expect(try store.verifyAudit().firstBroken == nil)
            let keyring = store.engine.context.keyring
            let key = try #require(keyring.tombstones().first?.id)
            #expect(throws: Fault.self) { try keyring.entityKey(key) }
            #expect(keyring.tombstones()[0].reference == sha256(Array(report.receipt.text.utf8)))
            try store.close()

            // The old data with the keys that are left.
            try TestFolder.copy(canary.folder.store + "/keyring", to: copy + "/keyring")
            try openEveryBox(of: copy)
            let old = try BlockingEventStore.open(at: copy, key: Fixed.key, options: Fixed.open(.readOnly))
            try expectGone(old, others, "in an old copy of the data")
            try old.close()
            let owner = try BlockingEventStore.open(at: copy, key: Fixed.key, options: Fixed.open())
            try expectGone(owner, others, "in an old copy of the data, opened for writing")
            #expect(try owner.verify().holes.isEmpty)
            try owner.close()
            try CanaryStore.scan(copy, "in an old copy of the data")

            // And the store as it is opened the next time, merged.
            let again = try canary.folder.open()
            try expectGone(again, others, "opened again")
            _ = try again.compact()
            try expectGone(again, others, "compacted")
            #expect(try again.verify().holes.isEmpty)
            try again.close()
        }
    }

    private func bytesOnDisk(_ root: String) throws -> Int {
        let files = PosixFileSystem()
        return try TestFolder.files(below: root).reduce(0) { sum, file in
            sum + (try files.status(root + "/" + file)?.allocatedBytes ?? 0)
        }
    }

    private func expectGone(_ store: BlockingEventStore, _ others: [Event], _ place: String) throws {
        #expect(try store.all() == others, "\(place)")
        #expect(try store.names(of: .entity) == CanaryStore.kept, "\(place)")
        #expect(try store.names(of: .type) == ["http.request"], "\(place)")
        #expect(!(try store.names(of: .attribute).contains("qzx_attribute")), "\(place)")
        #expect(try store.counts(by: .type, EventFilter()).reduce(0) { $0 + $1.count } == others.count, "\(place)")
        // Nobody else had this attribute.
        #expect(throws: EventStoreError.self) { try store.ask("SELECT count(user_agent) FROM events") }
        #expect(try store.entities().map(\.name) == CanaryStore.kept, "\(place)")
    }

    /// Tries every surviving key on every sealed value of a catalog.
    private func openEveryBox(of store: String) throws {
        let secret = RootSecret.key(
            [UInt8](repeating: 7, count: 32).withUnsafeBytes { SecretKey(copying: $0) }, .keyFile)
        let keyring = try Keyring.open(path: store + "/keyring", environment: Environment(), secret: secret)
        var keys = KeyPurpose.allCases.map { keyring.subkey($0) }
        for id in keyring.entityKeyIDs() { keys.append(try keyring.entityKey(id)) }
        let catalog = try Catalog.open(path: store + "/catalog.db", mode: .reader)
        defer { catalog.close() }
        let (entities, names, holders) = try catalog.read { (reader) throws(Fault) in
            (try reader.entities(), try reader.names(), try reader.holders())
        }
        var boxes = entities.map { (NameSealing.entity($0.number), $0.sealedName) }
        for name in names {
            guard let kind = StoredNameKind(rawValue: name.kind), let shared = name.shared else { continue }
            boxes.append((NameSealing.shared(kind, name.number), shared))
        }
        for holder in holders {
            guard let kind = StoredNameKind(rawValue: holder.kind) else { continue }
            boxes.append((NameSealing.holder(kind, holder.name, holder.entity), holder.sealed))
        }
        var opened = 0
        for (aad, box) in boxes {
            for key in keys {
                guard let plain = try? SealedValue.open(box, key: key, aad: aad) else { continue }
                opened += 1
                let text = String(decoding: plain, as: UTF8.self)
                #expect(!CanaryStore.words.contains { text.contains($0) }, "a surviving key opens \(text)")
            }
        }
        #expect(opened > 5)
    }

    @Test func aQueryInFlightEnds() throws {
        var generator = SeededGenerator(seed: 5)
        let canary = CanaryStore()
        let store = try canary.folder.create()
        try canary.fill(store, &generator, large: true)
        try store.flush()
        let cursor = try store.cursor(EventFilter(entities: [CanaryStore.gone]), order: .oldestFirst)
        _ = try cursor.nextBatch()
        _ = try store.eraseEntity(CanaryStore.gone)
        var seen = 0
        let error = #expect(throws: EventStoreError.self) {
            while let batch = try cursor.nextBatch() { seen += batch.count }
        }
        #expect(error?.code == .keyErased)
        try store.close()
    }

    @Test func anErasedNameStartsAnew() throws {
        let folder = TestFolder()
        let store = try folder.create()
        func event(_ number: UInt64) -> Event {
            Event(entity: "a.example", type: "t", timestamp: Fixed.day, id: Fixed.id(number))
        }
        try store.append([event(1), event(2)])
        let first = try store.eraseEntity("a.example")
        #expect(throws: EventStoreError.self) { try store.eraseEntity("a.example") }
        try store.append([event(1)])
        #expect(try store.all().count == 1)
        let second = try store.eraseEntity("a.example")
        #expect(second.events == 1)
        let receipts = try store.receipts()
        #expect(receipts == [first.receipt, second.receipt])
        #expect(receipts.allSatisfy { $0.isValid() })
        var forged = receipts[0]
        forged.text = forged.text.replacingOccurrences(of: "\"events\":2", with: "\"events\":0")
        #expect(forged.text != receipts[0].text && !forged.isValid())
        try store.close()
    }

    @Test func anAuditRecordCannotBeChanged() throws {
        let folder = TestFolder()
        let store = try folder.create()
        for index in 0..<6 { try store.addEntity("e\(index)", reason: "test \(index)") }
        #expect(try store.auditRecords().map(\.entity) == (0..<6).map { "e\($0)" })
        #expect(try store.auditRecords().allSatisfy { $0.operation == "entity.add" })
        let head = try store.auditHead()
        #expect(Ed25519.verify(head.signature, of: Array(head.text.utf8), publicKey: head.publicKey))
        let rows = try store.engine.context.catalog.read { (reader) throws(Fault) in try reader.audit(after: 0) }
        let chain = AuditChain(keyring: store.engine.context.keyring, environment: Environment())
        #expect(chain.firstBroken(rows) == nil)
        var changed = rows
        changed[2].timeMs += 1
        #expect(chain.firstBroken(changed)?.number == 3)
        #expect(chain.firstBroken(Array(rows[..<2] + rows[3...]))?.number == 3)
        #expect(chain.firstBroken([rows[1], rows[0]])?.number == 1)
        try store.close()
    }
}

/// Every lifecycle operation with power lost, or one operation failing, at each file operation.
@Suite struct LifecycleCrashTests {
    private static let names = ["gone.example", "kept.example"]

    private struct Run {
        let folder = TestFolder()
        let files = FaultyFiles()
        let store: BlockingEventStore

        init() throws {
            var environment = Environment(files: files)
            environment.nowMs = { Fixed.now }
            var options = Fixed.open()
            options.sweepsAutomatically = false
            let engine = try StoreEngine.create(
                at: folder.store, key: Fixed.key, create: Fixed.create(), open: options, environment: environment)
            store = BlockingEventStore(store: EventStore(engine: engine))
            for name in LifecycleCrashTests.names {
                for day in Int64(-5)..<0 { try store.append(Self.events(name, day)) }
            }
            try store.append(Self.events("lone.example", -9))
            try store.flush()
            for name in LifecycleCrashTests.names { try store.append(Self.events(name, 0)) }
        }

        static func events(_ name: String, _ day: Int64) -> [Event] {
            (0..<4).map {
                Event(
                    entity: name, type: "t", timestamp: Fixed.day + day * Fixed.dayMs + Int64($0),
                    id: Fixed.id(UInt64(1000 * (day + 10)) + UInt64($0)), attributes: ["only_\(name)": .string("v")])
            }
        }
    }

    private static func losingPower(
        _ what: String, _ operation: (BlockingEventStore) throws -> Void,
        _ check: (BlockingEventStore, _ isDone: Bool, String) throws -> Void
    ) throws {
        let seed = TestRun.seeds("LifecycleCrashTests.\(what)")[0]
        var generator = SeededGenerator(seed: seed)
        var point = 1
        var isDone = false
        while !isDone {
            let run = try Run()
            run.files.set(.losePower(at: point))
            isDone = (try? operation(run.store)) != nil && !run.files.hasFailed
            try? run.store.close()
            run.files.crash(&generator)
            let place = "\(what), power lost at operation \(point)"
            var options = Fixed.open()
            options.sweepsAutomatically = false
            let store = try run.folder.open(options)
            try check(store, isDone, place)
            #expect(try store.verify().holes.isEmpty, "\(place)")
            #expect(try store.verifyAudit().firstBroken == nil, "\(place)")
            #expect(try store.counts(by: .entity, EventFilter(entities: ["kept.example"]))[0].count >= 4, "\(place)")
            _ = try store.compact()
            #expect(try store.verify().holes.isEmpty, "\(place), compacted")
            try store.close()
            point += 1
        }
        #expect(point > 3)
    }

    private static func count(_ store: BlockingEventStore, _ name: String) throws -> Int {
        try store.counts(by: .entity, EventFilter(entities: [name])).first?.count ?? 0
    }

    @Test func erasingIsAllOrNothing() throws {
        try Self.losingPower("erase", { _ = try $0.eraseEntity("gone.example") }) { store, isDone, place in
            let events = try Self.count(store, "gone.example")
            let isListed = try store.names(of: .entity).contains("gone.example")
            #expect(events == (isListed ? 24 : 0), "\(place): \(events)")
            #expect(!isDone || !isListed, "\(place)")
            #expect(try store.receipts().count == (isListed ? 0 : 1), "\(place)")
            #expect(store.engine.context.keyring.tombstones().count == (isListed ? 0 : 1), "\(place)")
            #expect(try Self.count(store, "kept.example") == 24, "\(place)")
        }
    }

    @Test func aShorterPlanIsAllOrNothing() throws {
        let operation: (BlockingEventStore) throws -> Void = { store in
            try store.setPlan(ofEntity: "gone.example", plan: "starter", days: 3)
        }
        try Self.losingPower("set-plan", operation) { store, isDone, place in
            let entity = try #require(try store.entities().first { $0.name == "gone.example" })
            #expect(entity.days == (isDone ? 3 : entity.days), "\(place)")
            #expect(try Self.count(store, "gone.example") == (entity.days == 3 ? 16 : 24), "\(place)")
        }
    }

    @Test func aSweepIsAllOrNothing() throws {
        let operation: (BlockingEventStore) throws -> Void = { store in
            try store.setPlan(Plan(name: "unlimited", days: 4))
        }
        try Self.losingPower("sweep", operation) { store, isDone, place in
            let days = try #require(try store.plans().first { $0.name == "unlimited" }).days
            #expect(!isDone || days == 4, "\(place)")
            #expect(try Self.count(store, "gone.example") == (days == 4 ? 20 : 24), "\(place)")
            #expect(try Self.count(store, "lone.example") == (days == 4 ? 0 : 4), "\(place)")
        }
    }

    @Test func stateAndNameAreAllOrNothing() throws {
        let operation: (BlockingEventStore) throws -> Void = { store in
            try store.renameEntity("gone.example", to: "new.example")
            try store.suspendEntity("new.example")
        }
        try Self.losingPower(
            "rename",
            { store in
                try store.flush()
                try operation(store)
            }
        ) { store, isDone, place in
            let names = try store.names(of: .entity)
            #expect(names.contains("new.example") != names.contains("gone.example"), "\(place)")
            let name = names.contains("new.example") ? "new.example" : "gone.example"
            #expect(try Self.count(store, name) == 24, "\(place)")
            #expect(!isDone || name == "new.example", "\(place)")
        }
    }
}
