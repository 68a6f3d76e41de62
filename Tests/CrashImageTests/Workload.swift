// A short life of a store, drawn from a seed: every operation that changes something, on a simulated disk, with what
// could be seen of the store after each.

import EventStoreCore
import EventStoreSimulation
import Foundation
import Synchronization

@testable import EventStore

/// One step and what it led to.
struct WorkloadStep {
    var name: String
    /// What opens the store once the step is done.
    var key: KeySource
    var nowMs: Int64
    var after: Observation
    /// It has several commits that may each be there or not.
    var hasParts = false
    /// Digests of whole files that may stand under a path outside the store.
    var files: [String: UInt64] = [:]
    /// Sequences of the events in the backup.
    var backup: Set<UInt64>?
}

/// The clock and the dice of one store.
final class SimulatedWorld: Sendable {
    let clock: Mutex<Int64>
    private let dice: Mutex<SeededGenerator>

    init(seed: UInt64, nowMs: Int64) {
        clock = Mutex(nowMs)
        dice = Mutex(SeededGenerator(seed: seed))
    }

    var nowMs: Int64 { clock.withLock { $0 } }

    func environment(_ disk: SimulatedDisk) -> Environment {
        Environment(
            files: disk, nowMs: { self.nowMs },
            randomBytes: { target in
                let address = UInt(bitPattern: target.baseAddress)
                let count = target.count
                self.dice.withLock { dice in
                    dice.fill(
                        UnsafeMutableRawBufferPointer(
                            start: UnsafeMutableRawPointer(bitPattern: address), count: count))
                }
            })
    }

    static var options: OpenOptions {
        var options = OpenOptions()
        options.threads = 1
        options.memoryBudget = 32 << 20
        options.sweepsAutomatically = false
        return options
    }

    func open(_ disk: SimulatedDisk, _ key: KeySource) throws -> BlockingEventStore {
        let engine = try StoreEngine.open(
            at: disk.root + "/store", key: key, open: SimulatedWorld.options, environment: environment(disk))
        return BlockingEventStore(store: EventStore(engine: engine))
    }
}

struct Workload {
    static let day: Int64 = 86_400_000
    /// 2025-09-02T10:00:00Z.
    static let start: Int64 = 1_756_771_200_000 + 36_000_000

    let disk: SimulatedDisk
    let world: SimulatedWorld
    private(set) var steps: [WorkloadStep] = []
    private var store: BlockingEventStore
    private var generator: SeededGenerator
    private var key = Workload.key(0)
    private var keyNumber: UInt8 = 0
    private var number: UInt64 = 0
    private var names: [String] = []
    private var lastName = 0
    private var lastBatch: (id: String, events: [Event])?
    private var files: [String: UInt64] = [:]
    private var exports = 0
    private var backup: Set<UInt64>?

    static func key(_ number: UInt8) -> KeySource { .raw([UInt8](repeating: 7 &+ number, count: 32)) }

    /// Makes the store; that is step 0.
    init(seed: UInt64, disk: SimulatedDisk) throws {
        self.disk = disk
        generator = SeededGenerator(seed: seed)
        world = SimulatedWorld(seed: generator.next(), nowMs: Workload.start)
        var options = CreateOptions()
        options.sharedByEntitiesMin = generator.pick([0, 2, 3])
        options.partition = generator.pick([.day, .day, .week])
        options.defaultPlan = generator.pick(["starter", "unlimited", "professional"])
        disk.mark(.begins(0))
        let engine = try StoreEngine.create(
            at: disk.root + "/store", key: key, create: options, open: SimulatedWorld.options,
            environment: world.environment(disk))
        store = BlockingEventStore(store: EventStore(engine: engine))
        disk.mark(.acknowledged(0))
        steps.append(WorkloadStep(name: "create", key: key, nowMs: world.nowMs, after: try Observation(store)))
    }

    /// A store of an earlier format is there; the first step is to upgrade it.
    init(upgrading seed: UInt64, disk: SimulatedDisk) throws {
        self.disk = disk
        generator = SeededGenerator(seed: seed)
        world = SimulatedWorld(seed: generator.next(), nowMs: FormatOne.nowMs)
        key = try FormatOne.key()
        let path = disk.root + "/store"
        var reading = SimulatedWorld.options
        reading.mode = .readOnly
        disk.mark(.begins(0))
        disk.mark(.acknowledged(0))
        let old = BlockingEventStore(
            store: EventStore(
                engine: try StoreEngine.open(at: path, key: key, open: reading, environment: world.environment(disk))))
        steps.append(WorkloadStep(name: "found", key: key, nowMs: world.nowMs, after: try Observation(old)))
        try old.close()
        disk.mark(.begins(1))
        _ = try StoreAdministration.upgrade(at: path, key: key, world.environment(disk))
        disk.mark(.acknowledged(1))
        store = try world.open(disk, key)
        steps.append(WorkloadStep(name: "upgrade", key: key, nowMs: world.nowMs, after: try Observation(store)))
        names = try store.entities().map(\.name)
    }

    /// What a workload is made of.
    enum Move {
        case append, importFile, flush, compact, sweep, entity, keys, export, backUp, reopen
        /// Chosen by tests that know what they look for.
        case addSlot, reopenWithoutLog
    }

    mutating func run(steps count: Int) throws {
        for _ in 0..<count { try perform(choose()) }
        try close()
    }

    mutating func run(_ moves: [Move]) throws {
        for move in moves { try perform(move) }
        try close()
    }

    private mutating func close() throws { try step("close") { workload in try workload.store.close() } }

    private mutating func choose() -> Move {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<22: .append
        case 22..<28: .importFile
        case 28..<38: .flush
        case 38..<45: .compact
        case 45..<52: .sweep
        case 52..<72: .entity
        case 72..<84: .keys
        case 84..<89: .export
        case 89..<94: .backUp
        case 94..<98: .reopen
        default: .reopenWithoutLog
        }
    }

    private mutating func perform(_ move: Move) throws {
        switch move {
        case .append: try append()
        case .importFile: try importFile()
        case .flush: try step("flush") { try $0.store.flush() }
        case .compact: try step("compact") { _ = try $0.store.compact() }
        case .sweep: try sweep()
        case .entity: try changeEntity()
        case .keys: try changeKeys()
        case .export: try export()
        case .backUp: try backUp()
        case .reopen: try reopen()
        case .addSlot:
            keyNumber += 1
            let new = Workload.key(keyNumber)
            try step("add slot") { _ = try $0.store.addKeySlot(new) }
        case .reopenWithoutLog: try reopenWithoutLog()
        }
    }

    /// Runs a step between its marks and notes what can be seen afterwards.
    private mutating func step(
        _ name: String, hasParts: Bool = false, _ body: (inout Workload) throws -> Void
    ) throws {
        let index = steps.count
        disk.mark(.begins(index))
        try body(&self)
        disk.mark(.acknowledged(index))
        let after = name == "close" ? steps[index - 1].after : try Observation(store)
        steps.append(
            WorkloadStep(
                name: name, key: key, nowMs: world.nowMs, after: after, hasParts: hasParts, files: files,
                backup: backup))
    }

    // MARK: Events

    private mutating func events() -> [Event] {
        if names.isEmpty || names.count < 4 && generator.chance(1, of: 3) {
            lastName += 1
            names.append("site-\(lastName)")
        }
        let size = generator.pick([1, 2, 3, 5, 12])
        return (0..<size).map { _ in
            number += 1
            let age = Int64.random(in: 0..<9, using: &generator) * Workload.day / generator.pick([1, 9])
            return Event(
                entity: generator.pick(names), type: generator.pick(["http.request", "wp.cron"]),
                timestamp: world.nowMs - age,
                id: UUID(uuidString: "01020304-0506-8708-8000-" + String(format: "%012llx", number)),
                attributes: [
                    "n": .integer(Int64(number)), "agent": .string(generator.pick(["curl", "Firefox", "bot"])),
                    "note": .string(String(repeating: "x\(number)", count: generator.pick([1, 30]))),
                ])
        }
    }

    private mutating func append() throws {
        if let lastBatch, generator.chance(1, of: 6) {
            return try step("append again") { _ = try $0.store.append(lastBatch.events, batchID: lastBatch.id) }
        }
        let events = events()
        let id = "batch-\(number)"
        let isNamed = generator.chance(1, of: 2)
        if isNamed { lastBatch = (id, events) }
        try step("append") { _ = try $0.store.append(events, batchID: isNamed ? id : nil) }
    }

    /// A file of the machine, not of the simulated disk: what it says is not part of what is tested.
    private mutating func importFile() throws {
        let events = events()
        let path = NSTemporaryDirectory() + "eventstore-import-\(UUID().uuidString).ndjson"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let lines = events.map { event in
            #"{"entity":"\#(event.entity)","type":"\#(event.type)","timestamp":\#(event.timestamp),"#
                + #""id":"\#(event.id?.uuidString ?? "")","attributes":{"n":\#(number),"note":"imported"}}"#
        }
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        var request = ImportRequest(sources: [path])
        request.format = .ndjson
        request.durable = generator.chance(1, of: 2)
        request.batchSize = 3
        try step(request.durable ? "durable import" : "import", hasParts: true) {
            _ = try $0.store.importEvents(request)
        }
    }

    // MARK: Time and people

    private mutating func advance(_ ms: Int64) throws {
        world.clock.withLock { $0 += ms }
        try step("time passes") { _ in }
    }

    private mutating func sweep() throws {
        try advance(Int64.random(in: 1...3, using: &generator) * Workload.day)
        try step("sweep", hasParts: true) { _ = try $0.store.sweep(confirmed: true) }
        let left = Set(try store.entities().map(\.name))
        names.removeAll { !left.contains($0) }
    }

    private mutating func changeEntity() throws {
        guard let name = names.randomElement(using: &generator) else { return try append() }
        guard try store.entities().contains(where: { $0.name == name }) else { return try append() }
        switch Int.random(in: 0..<9, using: &generator) {
        case 0, 1, 2:
            names.removeAll { $0 == name }
            try step("erase") { _ = try $0.store.eraseEntity(name, reason: "asked for it") }
        case 3:
            guard try store.entities().first(where: { $0.name == name })?.state != .cancelled else {
                return try append()
            }
            try step("cancel") { try $0.store.cancelEntity(name, eraseAfterMs: 2 * Workload.day) }
        case 4:
            let plan = generator.pick(["starter", "professional", "unlimited"])
            try step("plan of entity", hasParts: true) { try $0.store.setPlan(ofEntity: name, plan: plan) }
        case 5:
            let days = generator.pick([2, 5, 30])
            try step("plan", hasParts: true) { try $0.store.setPlan(Plan(name: "starter", days: days)) }
        case 6:
            lastName += 1
            let new = "site-\(lastName)"
            names = names.map { $0 == name ? new : $0 }
            try step("rename") { try $0.store.renameEntity(name, to: new) }
        case 7:
            let isActive = try store.entities().first { $0.name == name }?.state == .active
            try step(isActive ? "suspend" : "resume") {
                if isActive { try $0.store.suspendEntity(name) } else { try $0.store.resumeEntity(name) }
            }
        default:
            lastName += 1
            let new = "site-\(lastName)"
            names.append(new)
            try step("add entity") { try $0.store.addEntity(new, plan: "starter") }
        }
    }

    // MARK: Keys

    private mutating func changeKeys() throws {
        let old = key
        keyNumber += 1
        let new = Workload.key(keyNumber)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0, 1:
            try step("rotate root") {
                _ = try $0.store.rotateRootKey(from: old, to: new, droppingOthers: true)
                $0.key = new
            }
        case 2: try step("rotate master") { _ = try $0.store.rotateMasterKey(keeping: [old], droppingOthers: true) }
        case 3: try step("add slot") { _ = try $0.store.addKeySlot(new) }
        case 4:
            let path = disk.root + "/keys-\(generator.pick([1, 2]))"
            try step("key backup path") { try $0.store.setKeyBackupPath(path) }
        default:
            let path = disk.root + "/keys-copy"
            try step("key backup") { try $0.store.backUpKeys(to: path) }
        }
    }

    // MARK: Copies

    private mutating func export() throws {
        guard generator.chance(3, of: 4) else { return try exportDays() }
        let format = generator.pick([ExportRequest.Format.ndjson, .csv])
        exports += 1
        let path = disk.root + "/export-\(generator.pick([0, exports]))"
        var request = ExportRequest(format: format, to: .path(path))
        request.replacesExisting = true
        try step("export") { workload in
            _ = try workload.store.export(request)
            workload.files[path] = workload.disk.digest(path)
        }
    }

    /// A directory of files. What is in it is not looked at after a cut: only that the store is whole.
    private mutating func exportDays() throws {
        var request = ExportRequest(format: .parquet, to: .path(disk.root + "/days"))
        request.replacesExisting = true
        try step("export of days") { _ = try $0.store.export(request) }
    }

    private mutating func backUp() throws {
        let path = disk.root + "/backup"
        let sequences = try Observation(store).sequences
        try step("backup") { workload in
            _ = try workload.store.backup(to: path)
            workload.backup = sequences
        }
    }

    private mutating func reopen() throws {
        try step("reopen") { workload in
            try workload.store.close()
            workload.store = try workload.world.open(workload.disk, workload.key)
        }
    }

    /// As a catalog that was exported or restored is opened for the first time.
    private mutating func reopenWithoutLog() throws {
        try step("reopen without a log") { workload in
            try workload.store.engine.context.catalog.leaveLogMode()
            try workload.store.close()
            workload.store = try workload.world.open(workload.disk, workload.key)
        }
    }
}
