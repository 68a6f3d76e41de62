// Every change of keys, interrupted at every file operation: afterwards it is either not begun or finished, the store
// opens with the keys of before or with those of after, and everything is clean.

import EventStoreCore
import EventStoreCrypto
import Foundation
import Testing

@testable import EventStore

@Suite struct KeyCrashTests {
    private enum Change: String, CaseIterable {
        case add, remove, root, master, backUp, configure, newEntity, erase
        case rotateEntity, rotateAllNow, compactAfter, eraseRotated, rootThenErase
    }

    private final class Script {
        let folder = TestFolder()
        let files = FaultyFiles()
        let store: BlockingEventStore
        let change: Change

        init(_ change: Change) throws {
            self.change = change
            var environment = Environment(files: files)
            environment.nowMs = { Fixed.now }
            let engine = try StoreEngine.create(
                at: folder.store, key: Fixed.key, create: Fixed.create(), open: Fixed.open(), environment: environment)
            store = BlockingEventStore(store: EventStore(engine: engine))
            try store.append([Keys.event("one", 1), Keys.event("two", 2)])
            try store.setKeyBackupPath(folder.path + "/copy")
            if change == .remove { try store.addKeySlot(Fixed.otherKey) }
            // Some in segments, some in the journal.
            if [.rotateEntity, .rotateAllNow, .compactAfter, .eraseRotated].contains(change) {
                try store.flush()
                try store.append([Keys.event("one", 11), Keys.event("two", 12)])
            }
            if change == .compactAfter || change == .eraseRotated {
                try store.rotateEntityKeys(nil)
                try store.append([Keys.event("one", 21), Keys.event("two", 22)])
            }
        }

        func run() throws {
            switch change {
            case .add: try store.addKeySlot(Fixed.otherKey)
            case .remove:
                let slot = try #require(try store.keyStatus().slots.last)
                try store.removeKeySlot(slot.id)
            case .root: try store.rotateRootKey(from: Fixed.key, to: Fixed.otherKey)
            case .master: try store.rotateMasterKey(keeping: [Fixed.key])
            case .backUp: try store.backUpKeys(to: folder.path + "/second")
            case .configure: try store.setKeyBackupPath(folder.path + "/second")
            case .newEntity: try store.append([Keys.event("three", 3)])
            case .erase, .eraseRotated: _ = try store.eraseEntity("one")
            case .rotateEntity: try store.rotateEntityKeys(["one"])
            case .rotateAllNow: try store.rotateEntityKeys(nil, now: true)
            case .compactAfter: _ = try store.compact()
            case .rootThenErase:
                try store.rotateRootKey(from: Fixed.key, to: Fixed.otherKey)
                _ = try store.eraseEntity("one")
            }
        }

        private var mayErase: Bool { [.erase, .eraseRotated, .rootThenErase].contains(change) }

        /// Every key that is needed is there, and once all was done no other.
        private func checkKeys(_ writer: BlockingEventStore, _ succeeded: Bool, _ what: String) throws {
            let status = try writer.keyStatus()
            switch change {
            case .rotateAllNow, .compactAfter:
                if what.hasSuffix("undisturbed") {
                    #expect(status.oldKeys.isEmpty && status.entityKeys == 2, "\(what)")
                }
                #expect(try writer.all().filter { ["one", "two"].contains($0.entity) }.count >= 4, "\(what)")
                _ = try writer.compact()
                #expect(try writer.keyStatus().oldKeys.isEmpty, "\(what), merged")
                #expect(try writer.keyStatus().unusedKeys <= 2, "\(what), merged")
                try writer.expectClean("\(what), merged")
            case .rotateEntity:
                #expect(Set(status.oldKeys.map(\.entity)).subtracting(["one"]).isEmpty, "\(what)")
                if succeeded { #expect(status.oldKeys.count == 1, "\(what)") }
                #expect(try writer.all().filter { $0.entity == "one" }.count == 2, "\(what)")
            case .eraseRotated:
                guard try writer.receipts().count == 1 else { break }
                #expect(status.tombstones.count == 2, "\(what): both keys of the erased entity have to be gone")
            case .rootThenErase:
                // Never erased without the root replaced before.
                if try writer.receipts().count == 1 { #expect(Keys.opens(folder, Fixed.key) == "wrong-key", "\(what)") }
            default: break
            }
        }

        /// Opens with whatever key opens it, looks at everything, and does the change again.
        func check(_ succeeded: Bool, _ what: String) throws {
            let opened = [Fixed.key, Fixed.otherKey].filter { Keys.opens(folder, $0) == "(none)" }
            switch change {
            case .root, .rootThenErase:
                #expect(opened.count == 1, "\(what)")
                if succeeded { #expect(Keys.opens(folder, Fixed.otherKey) == "(none)", "\(what)") }
            case .add: #expect(opened.count == 2 || !succeeded, "\(what)")
            case .remove: #expect(opened.count == 1 || !succeeded, "\(what)")
            default: #expect(opened.count == 1, "\(what)")
            }
            let key = try #require(opened.first, "\(what): no key opens the store")
            let writer = try BlockingEventStore.open(at: folder.store, key: key, options: Fixed.open())
            let names = Set(try writer.all().map(\.entity))
            #expect(names.contains("two"), "\(what)")
            #expect(names.contains("one") || mayErase, "\(what)")
            if succeeded { #expect(names.contains("three") || change != .newEntity, "\(what)") }
            if succeeded, mayErase { #expect(!names.contains("one"), "\(what)") }
            try writer.expectClean("\(what)")
            try checkKeys(writer, succeeded, what)
            #expect(try writer.verifyAudit().firstBroken == nil, "\(what)")
            let backup = try #require(try writer.keyStatus().backup)
            #expect(
                try TestFolder.bytes(backup.path) == TestFolder.bytes(folder.store + "/keyring"),
                "\(what): the copy is not the keyring")
            try writer.append([Keys.event("after", 50)])
            if try writer.keyStatus().slots.count < 2 { try writer.addKeySlot(Keys.third) }
            #expect(try writer.keyStatus().entitiesWithoutBackup == 0, "\(what)")
            try writer.close()
        }
    }

    private static func operations(_ change: Change) throws -> Int {
        let script = try Script(change)
        script.files.set(.none)
        try script.run()
        let count = script.files.operationCount
        try script.store.close()
        try script.check(true, "\(change) undisturbed")
        return count
    }

    /// Every k, or by default every third, beginning somewhere else each time.
    private static func points(_ change: Change, _ generator: inout SeededGenerator) throws -> [Int] {
        if TestRun.isLong { return Array(1...(try operations(change))) }
        return Array(stride(from: Int.random(in: 1...3, using: &generator), through: try operations(change), by: 3))
    }

    @Test func powerMayBeLostAtEveryOperation() throws {
        var generator = SeededGenerator(seed: TestRun.seeds("powerMayBeLostAtEveryOperation of keys")[0])
        for change in Change.allCases {
            for point in try Self.points(change, &generator) {
                let script = try Script(change)
                script.files.set(.losePower(at: point))
                if change == .rotateAllNow || change == .compactAfter {
                    // The last operations give space back: what fails of that is no failure.
                    try? script.run()
                } else {
                    #expect(throws: EventStoreError.self, "\(change) at \(point)") { try script.run() }
                }
                #expect(script.files.hasFailed)
                try? script.store.close()
                script.files.crash(&generator)
                try script.check(false, "\(change), power lost at operation \(point)")
            }
        }
    }

    @Test(arguments: [Fault.Code.io, .diskFull]) func everyOperationMayFailOnce(_ code: Fault.Code) throws {
        var generator = SeededGenerator(seed: TestRun.seeds("everyOperationMayFailOnce \(code.rawValue) of keys")[0])
        for change in Change.allCases {
            for point in try Self.points(change, &generator) {
                let script = try Script(change)
                script.files.set(.failOnce(at: point, code))
                var succeeded = true
                do { try script.run() } catch { succeeded = false }
                #expect(script.files.hasFailed)
                script.files.set(.none)
                try? script.store.close()
                try script.check(succeeded, "\(change), \(code.rawValue) at operation \(point)")
            }
        }
    }
}
