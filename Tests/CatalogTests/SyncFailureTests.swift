// A sync that fails is told from every other failure.

import EventStoreCore
import GRDBSQLite
import Testing

@testable import EventStoreCatalog

@Suite struct SyncFailureTests {
    /// Replaces the functions of the writer's log for the time of `body`.
    private func withLog(
        of catalog: Catalog, changed change: (inout sqlite3_io_methods) -> Void, _ body: () throws -> Void
    ) throws {
        let file = try catalog.write { (database) throws in
            var file: UnsafeMutablePointer<sqlite3_file>?
            _ = sqlite3_file_control(database.sqliteConnection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file)
            return try #require(file)
        }
        let original = try #require(file.pointee.pMethods)
        let changed = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        changed.initialize(to: original.pointee)
        change(&changed.pointee)
        file.pointee.pMethods = UnsafePointer(changed)
        defer {
            file.pointee.pMethods = original
            changed.deallocate()
        }
        try body()
    }

    @Test func aFailedSyncIsNamed() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        _ = try catalog.commit(Sample.dayOfRows(0, entities: 1...2, rows: 2))
        try withLog(of: catalog, changed: { $0.xSync = { _, _ in 10 | (4 << 8) } }) {
            let failure = fault { () throws(Fault) in try catalog.commit(Sample.dayOfRows(1, entities: 1...2, rows: 2))
            }
            #expect(failure?.code == .io)
            #expect(failure?.isSyncFailure == true)
        }
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totalRows() } == 4)
    }

    @Test func aWriteThatFindsNoSpaceIsNoSyncFailure() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        _ = try catalog.commit(Sample.dayOfRows(0, entities: 1...2, rows: 2))
        let change = Sample.dayOfRows(1, entities: 1...2, rows: 2)
        try withLog(of: catalog, changed: { $0.xWrite = { _, _, _, _ in 13 } }) {
            let failure = fault { () throws(Fault) in try catalog.commit(change) }
            #expect(failure?.code == .diskFull)
            #expect(failure?.isSyncFailure == false)
        }
        // Nothing was stored, and there is space again.
        _ = try catalog.commit(change)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totalRows() } == 8)
        #expect(try catalog.verify(full: true) == [])
    }
}
