// Every file operation of a backup and of a restore fails once, or is the one at which power is lost: the backup that
// was there is as good as before or the new one is, the next run finishes, and there is never half a store.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

@Suite struct BackupCrashTests {
    /// A store with a backup, and changes since: new files, dropped ones, parts gone.
    private final class Scene {
        let folder = TestFolder()
        let files = FaultyFiles()
        let store: BlockingEventStore
        let old: [Event]
        let new: [Event]

        init() throws {
            var environment = Environment(files: files)
            environment.nowMs = { Fixed.now }
            let engine = try StoreEngine.create(
                at: folder.store, key: Fixed.key, create: Fixed.create(), open: Fixed.open(), environment: environment)
            store = BlockingEventStore(store: EventStore(engine: engine))
            for day in Int64(-2)...0 {
                for entity in ["one", "two"] { try store.append(BackupTests.events(entity, day, 12)) }
            }
            try store.append(BackupTests.events("two", -5, 12))
            try store.flush()
            try store.backup(to: folder.backup)
            // Erased in between: nothing of it may be in either.
            old = try store.all().filter { $0.entity != "two" }
            _ = try store.eraseEntity("two")
            try store.append(BackupTests.events("one", -7, 12))
            try store.append(BackupTests.events("one", 0, 5, from: 100))
            try store.flush()
            _ = try store.compact()
            new = try store.all()
        }

        var options: BackupOptions {
            var options = BackupOptions()
            options.keepExpiredMs = Fixed.dayMs
            return options
        }

        /// What is in the backup is the old state or the new one; a further run makes it the new one.
        func check(_ what: String) throws {
            try folder.restore()
            let found = try folder.restoredEvents()
            #expect(found == old || found == new, "\(what): \(found.count) events")
            try folder.discardRestored()
            let store = try folder.open()
            var options = options
            options.verify = true
            let report = try store.backup(to: folder.backup, options: options)
            #expect(report.problems.isEmpty && report.warnings.isEmpty, "\(what): \(report.problems)")
            let strays = TestFolder.files(below: folder.backup).filter { $0.contains(".tmp") }
            #expect(strays.isEmpty, "\(what): \(strays)")
            let live = TestFolder.files(below: folder.store + "/segments")
            #expect(TestFolder.files(below: folder.backup + "/segments") == live, "\(what)")
            try store.close()
            try folder.restore()
            #expect(try folder.restoredEvents() == new, "\(what)")
        }
    }

    private static func points(_ count: Int, _ generator: inout SeededGenerator) -> [Int] {
        let step = TestRun.isLong ? 1 : max(1, count / 6)
        return Array(stride(from: Int.random(in: 1...step, using: &generator), through: count, by: step))
    }

    @Test(arguments: [true, false]) func aBackupCutShort(_ power: Bool) throws {
        var generator = SeededGenerator(seed: TestRun.seeds("aBackupCutShort \(power)")[0])
        let whole = try Scene()
        whole.files.set(.none)
        try whole.store.backup(to: whole.folder.backup, options: whole.options)
        let count = whole.files.operationCount
        #expect(count > 20)
        try whole.store.close()
        try whole.check("undisturbed")
        for point in Self.points(count, &generator) {
            let scene = try Scene()
            scene.files.set(power ? .losePower(at: point) : .failOnce(at: point, .diskFull))
            let failure = code { try scene.store.backup(to: scene.folder.backup, options: scene.options) }
            #expect(failure == (power ? "io" : "disk-full"), "operation \(point): \(failure)")
            if power { scene.files.crash(&generator) }
            if !power { #expect(try scene.store.all() == scene.new) }
            scene.files.set(.none)
            try? scene.store.close()
            try scene.check("operation \(point) of \(count)")
        }
    }

    @Test(arguments: [true, false]) func aRestoreCutShort(_ power: Bool) throws {
        var generator = SeededGenerator(seed: TestRun.seeds("aRestoreCutShort \(power)")[0])
        let scene = try Scene()
        try scene.store.backup(to: scene.folder.backup)
        try scene.store.close()
        func restore(_ files: FaultyFiles) throws {
            var environment = Environment(files: files)
            environment.nowMs = { Fixed.now }
            _ = try atTheDoor { () throws(Fault) in
                try StoreAdministration.restore(
                    from: scene.folder.backup, to: scene.folder.restored, keyring: scene.folder.store + "/keyring",
                    key: Fixed.key, options: RestoreOptions(), open: Fixed.open(), environment: environment)
            }
        }
        let counting = FaultyFiles()
        counting.set(.none)
        try restore(counting)
        let count = counting.operationCount
        try scene.folder.discardRestored()
        for point in Self.points(count, &generator) {
            let files = FaultyFiles()
            files.set(power ? .losePower(at: point) : .failOnce(at: point, .diskFull))
            let failure = code { try restore(files) }
            if power { files.crash(&generator) }
            let isThere = FileManager.default.fileExists(atPath: scene.folder.restored + "/catalog.db")
            // The last sync may fail when all is in place, and some failures do no harm; nothing else leaves a store.
            if isThere {
                #expect(point >= count - 1 || failure == "(none)", "operation \(point) of \(count): \(failure)")
            } else {
                try scene.folder.restore()
            }
            #expect(try scene.folder.restoredEvents() == scene.new, "operation \(point) of \(count)")
            try scene.folder.discardRestored()
        }
    }
}
