// A repair that fails or loses power at each of its file operations: nothing that could be read is lost, and the next
// repair finishes.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore
@testable import EventStoreCatalog

@Suite struct RepairCrashTests {
    private enum Damage: String, CaseIterable { case block, missing, page, journal }

    /// A damaged store with acknowledged batches in its journal, and what could be read of it before the damage.
    private struct Sample {
        let folder = TestFolder()
        var intact: String { folder.path + "/intact" }
        let damage: Damage
        var events: Set<Event> = []
        /// Entities and days that the damage reaches.
        private(set) var touched = 0

        init(_ damage: Damage) throws {
            self.damage = damage
            let store = try RotatedKeysTests.rotated(folder)
            try store.append(BackupTests.events("four", -1, 10), batchID: "b")
            events = Set(try store.all().map(\.plain))
            try store.close()
            let segments = TestFolder.files(below: folder.store + "/segments")
            let path = folder.store + "/segments/" + segments[0]
            switch damage {
            case .block:
                var bytes = try TestFolder.bytes(path)
                bytes[bytes.count / 4] ^= 1
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                touched = 40
            case .missing:
                try FileManager.default.removeItem(atPath: path)
                touched = 120
            case .page: touched = try Self.damageIndex(folder.store + "/catalog.db") ? 0 : .max
            case .journal:
                try Self.damageJournal(folder.store + "/catalog.db")
                touched = 10
            }
            try TestFolder.copy(folder.store, to: intact)
        }

        /// A page of the index, which segments say as well; found by trying.
        private static func damageIndex(_ path: String) throws -> Bool {
            let whole = try TestFolder.bytes(path)
            let catalog = try Catalog.open(path: path, mode: .reader)
            let root = try catalog.read { (reader) throws(Fault) in try reader.rootPage("segment_entity") }
            catalog.close()
            var bytes = whole
            bytes[(root - 1) * 4096 + 4000] ^= 1
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            return true
        }

        private static func damageJournal(_ path: String) throws {
            let catalog = try Catalog.open(path: path, mode: .writer)
            defer { catalog.close() }
            let entries = try catalog.read { (reader) throws(Fault) in try reader.journal(from: 0) }
            let last = try #require(entries.last)
            var change = CatalogChange()
            change.deleteJournal = [last.firstSequence]
            _ = try catalog.commit(change)
            var bad = last
            bad.blob[bad.blob.count - 3] ^= 4
            change = CatalogChange()
            change.journal = [bad]
            _ = try catalog.commit(change)
        }

        func reset() throws { try TestFolder.copy(intact, to: folder.store) }

        func repair(_ files: FaultyFiles? = nil) throws(Fault) -> RepairReport {
            var environment = files.map { Environment(files: $0) } ?? Environment()
            environment.nowMs = { Fixed.now }
            return try StoreRepair(
                at: folder.store, key: Fixed.key, options: Fixed.open(), environment: environment, dryRun: false
            ).run(nil)
        }

        /// After whatever happened: opened or not, the next repair leaves all that the first could have saved.
        func check(_ what: Comment, opensFirst: Bool) throws {
            if opensFirst, let store = try? folder.open() { try store.close() }
            let report = try repair()
            #expect(report.holesLeft.isEmpty, what)
            let store = try folder.open()
            let left = Set(try store.all().map(\.plain))
            #expect(left.isSubset(of: events), what)
            #expect(events.count - left.count <= touched, what)
            if damage == .block { #expect(Set(events.subtracting(left).map(\.entity)).count <= 1, what) }
            #expect(try store.counts(by: .total).map(\.count) == [left.count], what)
            // What was acknowledged and is in the journal is there, and known as a batch.
            if damage != .journal {
                #expect(try store.append(BackupTests.events("four", -1, 10), batchID: "b").repeated, what)
            }
            try store.expectClean(what)
            #expect(try store.verifyAudit().firstBroken == nil, what)
            _ = try store.compact()
            #expect(try store.keyStatus().oldKeys.isEmpty, what)
            #expect(Set(try store.all().map(\.plain)) == left, what)
            try store.close()
            let last = try repair()
            #expect(last.wasSound, "\(what): \(last)")
        }
    }

    private static func operations(_ sample: Sample) throws -> Int {
        try sample.reset()
        let files = FaultyFiles()
        _ = try sample.repair(files)
        try sample.check("\(sample.damage) undisturbed", opensFirst: false)
        return files.operationCount
    }

    @Test(arguments: [0, 1, 2]) func everyOperationMayFail(_ kind: Int) throws {
        for seed in TestRun.seeds("RepairCrashTests.everyOperationMayFail") {
            var random = SeededGenerator(seed: seed)
            for damage in Damage.allCases {
                let sample = try Sample(damage)
                let step = TestRun.isLong ? 1 : 4
                let count = try Self.operations(sample)
                for point in stride(from: Int.random(in: 1...step, using: &random), through: count, by: step) {
                    try sample.reset()
                    let files = FaultyFiles()
                    let plan: FaultyFiles.Plan =
                        switch kind {
                        case 0: .failOnce(at: point, .io)
                        case 1: .failOnce(at: point, .diskFull)
                        default: .losePower(at: point)
                        }
                    files.set(plan)
                    let failed = (try? sample.repair(files)) == nil
                    if kind == 2 { files.crash(&random) }
                    try sample.check(
                        "seed \(seed), \(damage), kind \(kind), operation \(point) of \(count), failed \(failed)",
                        opensFirst: random.chance(1, of: 2))
                }
            }
        }
    }

    @Test func anOlderKeyringIsNoDamage() throws {
        let folder = TestFolder()
        let store = try RotatedKeysTests.rotated(folder)
        let old = try folder.copyKeyring()
        try store.addEntity("late")
        try store.rotateEntityKeys(nil)
        try RotatedKeysTests.append(store, 9000)
        let all = try store.all()
        try store.close()
        let newest = try TestFolder.bytes(folder.store + "/keyring")
        try TestFolder.copy(old, to: folder.store + "/keyring")
        for dryRun in [true, false] {
            let outcome = code {
                try StoreAdministration.repair(at: folder.store, key: Fixed.key, options: Fixed.open(), dryRun: dryRun)
            }
            #expect(outcome == "wrong-key")
        }
        #expect(!FileManager.default.fileExists(atPath: folder.store + "/quarantine"))
        try Data(newest).write(to: URL(fileURLWithPath: folder.store + "/keyring"))
        let again = try folder.open()
        #expect(try again.all() == all)
        try again.expectClean()
        try again.close()
    }
}

extension CatalogReader {
    fileprivate func rootPage(_ table: String) throws(Fault) -> Int {
        var run = try SQLRun(database, "SELECT rootpage FROM sqlite_master WHERE name = ?")
        run.bind(table)
        return try run.step() ? Int(run.int64(0)) : 0
    }
}
