// Backups while everything else goes on: each is one moment of the store.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct BackupConcurrencyTests {
    /// All events; a question over an entity that is being erased ends with an error and is asked again.
    private static func all(_ store: BlockingEventStore) throws -> [Event] {
        for _ in 0..<100 {
            let (events, error) = store.readable()
            guard let error else { return events }
            guard error.code == .keyErased else { throw error }
        }
        return try store.all()
    }

    /// What was there before a backup began is in it; nothing is in it that was not acknowledged or asked for; and it
    /// is what the store says of those sequences.
    @Test func backupsBesideEverything() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try BackupTests.fill(store)
        let stop = Atomic<Bool>(false)
        let failures = Mutex<[String]>([])
        let group = DispatchGroup()
        func start(_ body: @escaping @Sendable (Int) throws -> Void) {
            group.enter()
            Thread {
                var round = 0
                while !stop.load(ordering: .acquiring) {
                    do { try body(round) } catch { failures.withLock { $0.append("\(error)") } }
                    round += 1
                    Thread.sleep(forTimeInterval: 0.004)
                }
                group.leave()
            }.start()
        }
        start { round in
            try store.append(BackupTests.events("w\(round % 4)", Int64(round % 5) - 4, 15, from: UInt64(round) * 100))
        }
        start { round in
            let events = BackupTests.events("i\(round % 2)", -1, 30, from: 500_000 + UInt64(round) * 100)
            let file = try folder.write("in.ndjson", events.map(\.line).joined())
            try store.importEvents(ImportRequest(sources: [file]))
            if round % 3 == 2 { _ = try store.compact() }
        }
        start { round in
            let name = "short\(round)"
            try store.append(BackupTests.events(name, -2, 10, from: 900_000))
            if round % 2 == 1 { try store.flush() }
            _ = try store.eraseEntity(name)
            _ = try store.sweep()
            Thread.sleep(forTimeInterval: 0.02)
        }
        var options = BackupOptions()
        options.verify = true
        for round in 0..<4 {
            let before = try store.nextSequence()
            let report = try store.backup(to: folder.backup, options: options)
            #expect(report.problems.isEmpty && report.warnings.isEmpty, "\(round): \(report.problems)")
            #expect(report.nextSequence >= before)
            let keyring = try folder.copyKeyring("ring\(round)")
            try folder.restore(keyring: keyring)
            let found = try folder.restoredEvents().filter { !$0.entity.hasPrefix("short") }
            let now = try Self.all(store).filter {
                !$0.entity.hasPrefix("short") && $0.sequence < report.nextSequence
            }
            #expect(found == now, "\(round): \(found.count) events, not \(now.count)")
            try folder.discardRestored()
        }
        stop.store(true, ordering: .releasing)
        group.wait()
        #expect(failures.withLock { $0 }.isEmpty, "\(failures.withLock { $0.first ?? "" })")
        try store.close()
    }

    /// Segments are merged away, and an entity is erased, in the middle of copying.
    @Test(arguments: [false, true]) func overtaken(_ erases: Bool) throws {
        let folder = TestFolder()
        let files = HookedFiles()
        var environment = Environment(files: files)
        environment.nowMs = { Fixed.now }
        let store = BlockingEventStore(
            store: EventStore(
                engine: try StoreEngine.create(
                    at: folder.store, key: Fixed.key, create: Fixed.create(), open: Fixed.open(),
                    environment: environment)))
        try BackupTests.fill(store)
        try store.flush()
        let hasRun = Atomic<Bool>(false)
        files.at = files.readCount + 2
        files.hook = {
            hasRun.store(true, ordering: .relaxed)
            if erases { _ = try? store.eraseEntity("two") }
            _ = try? store.compact()
        }
        var options = BackupOptions()
        options.verify = true
        let report = try store.backup(to: folder.backup, options: options)
        let wasCalled = hasRun.load(ordering: .relaxed)
        #expect(wasCalled)
        #expect(report.problems.isEmpty && report.warnings.isEmpty)
        #expect(report.events == (erases ? 320 : 480))
        let live = TestFolder.files(below: folder.store + "/segments")
        #expect(TestFolder.files(below: folder.backup + "/segments") == live)
        try folder.restore()
        #expect(try folder.restoredEvents() == store.all())
        try store.close()
    }
}
