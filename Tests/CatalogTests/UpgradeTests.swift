// The upgrade of a catalog is one transaction: whatever fails or cuts it, the catalog has its old version or the new.

import EventStoreCore
import Foundation
import GRDB
import GRDBSQLite
import Synchronization
import Testing

@testable import EventStoreCatalog

/// Calls of the log's file until one fails; -1 is never. SQLite's functions are C functions and see only globals.
private let callsLeft = Atomic<Int>(-1)

private func fails() -> Bool {
    guard callsLeft.load(ordering: .relaxed) >= 0 else { return false }
    return callsLeft.wrappingSubtract(1, ordering: .relaxed).oldValue == 0
}

private nonisolated(unsafe) var original = sqlite3_io_methods()

@Suite(.serialized) struct UpgradeTests {
    /// Of its segments; the journal has the rest.
    private static let rows = 200

    /// The catalog of the fixture of format 1.
    private static func first() throws -> Scratch {
        let scratch = try Scratch()
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        let source = tests + "/EventStoreTests/Fixtures/format-1/store/catalog.db"
        try scratch.write([UInt8](try Data(contentsOf: URL(fileURLWithPath: source))))
        #expect(try version(scratch) == 1)
        return scratch
    }

    /// The version, of a catalog that is whole.
    private static func version(_ scratch: Scratch) throws -> Int {
        let catalog = try Catalog.open(path: scratch.path, mode: .reader)
        defer { catalog.close() }
        #expect(try catalog.verify(full: true) == [])
        return try catalog.read { (reader) throws(Fault) in
            #expect(try reader.totalRows() == rows)
            #expect(try reader.audit(after: 0).isEmpty)
            return try reader.settings().formatVersion
        }
    }

    @Test func onceAndNotAgain() throws {
        let scratch = try Self.first()
        #expect(try Catalog.upgrade(path: scratch.path) == 1)
        #expect(try Self.version(scratch) == 2)
        #expect(try Catalog.upgrade(path: scratch.path) == 2)
        let writer = try Catalog.open(path: scratch.path, mode: .writer)
        _ = try writer.commit(CatalogChange())
        writer.close()
        #expect(try Self.version(scratch) == 2)
    }

    /// Its tables are those of a new catalog.
    @Test func theTablesAreThoseOfANewOne() throws {
        func tables(_ path: String) throws -> [String: [String]] {
            let queue = try DatabaseQueue(path: path)
            defer { try? queue.close() }
            return try queue.read { database in
                var found: [String: [String]] = [:]
                for name in try String.fetchAll(
                    database, sql: "SELECT name FROM sqlite_master WHERE type IN ('table', 'index') AND sql NOT NULL")
                {
                    found[name] = try Row.fetchAll(database, sql: "PRAGMA table_info(\(name))")
                        .map { "\($0["name"] as String) \(($0["type"] as String).replacing("INTEGER", with: "INT"))" }
                        .sorted()
                }
                return found
            }
        }
        let scratch = try Self.first()
        _ = try Catalog.upgrade(path: scratch.path)
        let new = try Scratch()
        try new.fresh().close()
        #expect(try tables(scratch.path) == tables(new.path))
    }

    private enum Call: CaseIterable { case write, sync, truncate }

    /// Every call of the log fails once.
    @Test func everyFailureLeavesOneOfTheTwo() throws {
        for call in Call.allCases {
            var number = 0
            var isDone = false
            while !isDone {
                let scratch = try Self.first()
                let failure = fault { () throws(Fault) in try Self.upgrade(scratch, failing: call, after: number) }
                isDone = callsLeft.exchange(-1, ordering: .relaxed) >= 0
                let version = try Self.version(scratch)
                #expect(failure == nil ? version == 2 : (1...2).contains(version), "\(call) \(number)")
                // And again, with a disk that works.
                _ = try Catalog.upgrade(path: scratch.path)
                #expect(try Self.version(scratch) == 2)
                number += 1
                try #require(number < 500)
            }
            #expect(number > 1 || call == .truncate, "\(call) never failed")
        }
    }

    private static func upgrade(_ scratch: Scratch, failing call: Call, after number: Int) throws(Fault) -> Int {
        try Catalog.upgrade(
            path: scratch.path,
            preparing: { database in
                // The log is opened by the first read.
                _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM settings")
                var file: UnsafeMutablePointer<sqlite3_file>?
                _ = sqlite3_file_control(database.sqliteConnection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file)
                guard let file, let methods = file.pointee.pMethods else { return }
                original = methods.pointee
                // Never freed: the connection uses it to its end.
                let changed = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
                changed.initialize(to: original)
                switch call {
                case .write: changed.pointee.xWrite = { fails() ? 778 : original.xWrite($0, $1, $2, $3) }
                case .sync: changed.pointee.xSync = { fails() ? 1034 : original.xSync($0, $1) }
                case .truncate: changed.pointee.xTruncate = { fails() ? 1546 : original.xTruncate($0, $1) }
                }
                file.pointee.pMethods = UnsafePointer(changed)
                callsLeft.store(number, ordering: .relaxed)
            })
    }

    /// The process is killed, or power fails, with any part of the log written.
    @Test func everyCutOfTheLogLeavesOneOfTheTwo() throws {
        let scratch = try Self.first()
        let queue = try DatabaseQueue(path: scratch.path, configuration: CatalogConnection.writing)
        try queue.writeWithoutTransaction { database in
            try database.inTransaction(.immediate) {
                try CatalogWriter(database).upgrade(from: 1)
                return .commit
            }
        }
        let file = try scratch.bytes()
        let log = try scratch.bytes("-wal")
        try queue.close()
        #expect(log.count > 10 * 4096)
        for cut in stride(from: 0, through: log.count, by: 2060) {
            try check(file, Array(log.prefix(cut)), isWhole: false)
            // The place was allocated, but its bytes did not come. The log's header is synced before anything follows it.
            guard cut >= 32 else { continue }
            let zeros = [UInt8](repeating: 0, count: log.count - cut)
            try check(file, Array(log.prefix(cut)) + zeros, isWhole: false)
        }
        try check(file, log, isWhole: true)
    }

    private func check(_ file: [UInt8], _ log: [UInt8], isWhole: Bool) throws {
        let left = try Scratch()
        try left.write(file)
        try left.write(log, "-wal")
        #expect(try Self.version(left) == (isWhole ? 2 : 1), "\(log.count) bytes")
        #expect(try Catalog.upgrade(path: left.path) == (isWhole ? 2 : 1))
        #expect(try Self.version(left) == 2)
    }
}
