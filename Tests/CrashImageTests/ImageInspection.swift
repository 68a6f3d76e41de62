// Opens one image as the next process would, and compares all that can be seen with what was promised.

import EventStoreCore
import EventStoreSimulation
import Foundation

@testable import EventStore

struct ImageInspection {
    let disk: SimulatedDisk
    let world: SimulatedWorld
    let expectation: Expectation
    /// Goes on working with the store.
    let writesMore: Bool
    /// Makes a store of the backup, if there is one.
    let restores: Bool
    /// What was seen after opening, and after each further step.
    private(set) var seen: [Observation] = []
    /// What this did to the disk, without the look at the backup.
    private(set) var log: [DiskOperation] = []
    /// What opened it.
    private(set) var key: KeySource?

    init(
        disk: SimulatedDisk, world: SimulatedWorld, expectation: Expectation, writesMore: Bool, restores: Bool
    ) {
        self.disk = disk
        self.world = world
        self.expectation = expectation
        self.writesMore = writesMore
        self.restores = restores
    }

    /// What is wrong, if something is.
    mutating func run() -> String? {
        do {
            disk.mark(.begins(0))
            guard let store = try open() else { return nil }
            let problem = try look(store)
            try store.close()
            log = disk.log
            return try problem ?? checkFiles() ?? (restores ? checkBackup() : nil)
        } catch {
            return "\(error)"
        }
    }

    private mutating func open() throws -> BlockingEventStore? {
        var failure: (any Error)?
        for key in expectation.keys {
            do {
                let store = try openOrUpgrade(key)
                self.key = key
                return store
            } catch  where expectation.mayBeMissing {
                // A store whose making was cut short is none yet.
                return nil
            } catch {
                failure = failure ?? error
                if (error as? Fault)?.code != .wrongKey { throw error }
            }
        }
        if let failure { throw failure }
        return nil
    }

    /// A store of an earlier format is brought to this one first, as its error says.
    private func openOrUpgrade(_ key: KeySource) throws -> BlockingEventStore {
        do {
            return try world.open(disk, key)
        } catch let fault as Fault where fault.code == .readOnly && expectation.mayBeOld {
            _ = try StoreAdministration.upgrade(at: disk.root + "/store", key: key, world.environment(disk))
            return try world.open(disk, key)
        }
    }

    private mutating func look(_ store: BlockingEventStore) throws -> String? {
        let found = try Observation(store)
        disk.mark(.acknowledged(0))
        seen.append(found)
        if let difference = found.difference(expectation.old, expectation.new, allowsParts: expectation.hasParts) {
            return difference
        }
        if let problem = try checkClean(store) { return problem }
        return writesMore ? try work(store) : nil
    }

    private func checkClean(_ store: BlockingEventStore) throws -> String? {
        let report = try store.verify()
        if let hole = report.holes.first { return "verify: \(hole.file): \(hole.message)" }
        if let broken = try store.verifyAudit().firstBroken { return "audit: \(broken)" }
        let strays = disk.content.reachable().map(\.path).filter { path in
            path.hasPrefix("store/segments/") && !path.hasSuffix("/") && !path.hasSuffix(".seg")
        }
        return strays.isEmpty ? nil : "left behind: \(strays)"
    }

    /// The store takes events, merges and is clean.
    private mutating func work(_ store: BlockingEventStore) throws -> String? {
        for step in 1...3 {
            disk.mark(.begins(step))
            switch step {
            case 1:
                let event = Event(
                    entity: "after", type: "t", timestamp: world.nowMs,
                    id: UUID(uuidString: "01020304-0506-8708-8000-ffffffffffff"))
                let report = try store.append([event])
                if report.stored + report.duplicates != 1 { return "it takes no more events: \(report.outcomes)" }
            case 2: try store.flush()
            default: _ = try store.compact()
            }
            disk.mark(.acknowledged(step))
            seen.append(try Observation(store))
            if step > 1, seen[step].events != seen[1].events { return "step \(step) after recovery changed events" }
        }
        guard seen[1].events.count == seen[0].events.count + 1 || seen[1].events == seen[0].events else {
            return "one event more is \(seen[1].events.count - seen[0].events.count)"
        }
        return try checkClean(store)
    }

    // MARK: Outside the store

    /// Exports are whole or not there.
    private func checkFiles() -> String? {
        for (path, digests) in expectation.files {
            guard let digest = disk.digest(path) else {
                if expectation.required.contains(path) { return "the export \(path) is gone" }
                continue
            }
            if !digests.contains(digest) { return "the export \(path) is not whole" }
        }
        return nil
    }

    private func checkBackup() throws -> String? {
        let isThere = disk.content.reachable().contains { $0.path == "backup/backup.json" }
        guard isThere, let key, let current = seen.last else {
            return expectation.hasBackup ? "the backup is gone" : nil
        }
        _ = try StoreAdministration.restore(
            from: disk.root + "/backup", to: disk.root + "/restored", keyring: disk.root + "/store/keyring", key: key,
            options: RestoreOptions(), open: SimulatedWorld.options, environment: world.environment(disk))
        let engine = try StoreEngine.open(
            at: disk.root + "/restored", key: key, open: SimulatedWorld.options,
            environment: world.environment(disk))
        let store = BlockingEventStore(store: EventStore(engine: engine))
        let restored = try Observation(store).sequences
        let problem = try checkClean(store)
        try store.close()
        if let problem { return "restored: \(problem)" }
        // What was erased or has expired since is in neither.
        let isRight = expectation.backups.contains { backup in
            restored.isSubset(of: backup) && restored.isSuperset(of: backup.intersection(current.sequences))
        }
        return isRight ? nil : "restored: \(restored.count) events, none of the backups"
    }
}
