// Readers beside a writer: what they see, when, and from which media.

import EventStoreCore
import Foundation
import Testing

@testable import EventStoreCatalog

@Suite struct SharingTests {
    @Test func aReaderSeesEachCommit() throws {
        let scratch = try Scratch()
        let writer = try scratch.fresh()
        let reader = try Catalog.open(path: scratch.path, mode: .reader)
        for index in 1...20 {
            var change = CatalogChange()
            change.nextSequence = UInt64(index)
            change.journal = [
                JournalEntry(
                    firstSequence: UInt64(index - 1), rows: 1, receivedMs: 0, blob: [UInt8](repeating: 1, count: 50_000)
                )
            ]
            _ = try writer.commit(change)
            try reader.read { (reader) throws(Fault) in
                #expect(try reader.nextSequence() == UInt64(index))
                #expect(try reader.journal(from: 0).count == index)
            }
            if index % 7 == 0 { #expect(try writer.checkpointAndTruncate()) }
        }
        #expect(try reader.verify(full: true) == [])
    }

    @Test func aReadBelongsToOneMoment() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        _ = try catalog.commit(Sample.dayOfRows(0, entities: 1...2, rows: 5))
        try catalog.read { (reader) throws(Fault) in
            #expect(try reader.totalRows() == 10)
            _ = try catalog.commit(Sample.dayOfRows(1, entities: 1...2, rows: 5))
            #expect(try reader.totalRows() == 10)
            #expect(try reader.segments(overlapping: nil).count == 1)
            let later = try catalog.read { (other) throws(Fault) in try other.totalRows() }
            #expect(later == 20)
        }
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totalRows() } == 20)
    }

    @Test func manyThreadsReadWhileOneWrites() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        DispatchQueue.concurrentPerform(iterations: 6) { lane in
            for step in 0..<30 {
                if lane == 0 {
                    let change = Sample.dayOfRows(Int64(step), entities: 1...4, rows: 3)
                    let failure = fault { () throws(Fault) in try catalog.commit(change) }
                    #expect(failure == nil, "\(String(describing: failure))")
                } else {
                    let failure = fault { () throws(Fault) in
                        try catalog.read { (reader) throws(Fault) in
                            let segments = try reader.segments(overlapping: nil)
                            #expect(try reader.totalRows() == segments.reduce(0) { $0 + $1.rows })
                        }
                    }
                    #expect(failure == nil, "\(String(describing: failure))")
                }
            }
        }
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totalRows() } == 360)
    }

    @Test func whatAKilledWriterCommittedIsThere() throws {
        let scratch = try Scratch()
        let writer = try scratch.fresh()
        for day in 0..<6 { _ = try writer.commit(Sample.dayOfRows(Int64(day), entities: 1...3, rows: 2)) }
        // As after a kill: the file and its log, without the shared memory.
        let left = try Scratch()
        try left.write(try scratch.bytes())
        try left.write(try scratch.bytes("-wal"), "-wal")
        #expect(try left.bytes("-wal").count > 6 * 4096)
        let reader = try Catalog.open(path: left.path, mode: .reader)
        #expect(try reader.read { (reader) throws(Fault) in try reader.totalRows() } == 36)
        #expect(try reader.verify(full: true) == [])
        reader.close()
        let next = try Catalog.open(path: left.path, mode: .writer)
        _ = try next.commit(Sample.dayOfRows(6, entities: 1...3, rows: 2))
        #expect(try next.read { (reader) throws(Fault) in try reader.totalRows() } == 42)
        next.close()
        #expect(FileManager.default.fileExists(atPath: left.path + "-wal") == false)
        #expect(try Catalog.open(path: left.path, mode: .reader).verify(full: true) == [])
    }

    @Test func aReaderNeverWritesTheLogBack() throws {
        let scratch = try Scratch()
        let writer = try scratch.fresh()
        _ = try writer.commit(Sample.dayOfRows(0, entities: 1...3, rows: 2))
        let before = try scratch.bytes()
        let log = try scratch.bytes("-wal")
        let left = try Scratch()
        try left.write(before)
        try left.write(log, "-wal")
        let reader = try Catalog.open(path: left.path, mode: .reader)
        _ = try reader.read { (reader) throws(Fault) in try reader.totalRows() }
        reader.close()
        #expect(try left.bytes() == before)
        #expect(try left.bytes("-wal") == log)
    }

    @Test func anExportedCatalogIsReadFromAFolderThatCannotBeWritten() throws {
        let scratch = try Scratch()
        let writer = try scratch.fresh()
        _ = try writer.commit(Sample.dayOfRows(0, entities: 1...3, rows: 2))
        try writer.leaveLogMode()
        writer.close()
        let files = FileManager.default
        try files.setAttributes([.posixPermissions: 0o400], ofItemAtPath: scratch.path)
        try files.setAttributes([.posixPermissions: 0o500], ofItemAtPath: scratch.folder)
        defer { try? files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: scratch.folder) }
        let reader = try Catalog.open(path: scratch.path, mode: .reader)
        #expect(try reader.read { (reader) throws(Fault) in try reader.totalRows() } == 6)
        #expect(try reader.verify(full: true) == [])
        #expect(try files.contentsOfDirectory(atPath: scratch.folder) == ["catalog.db"])
        reader.close()
        try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: scratch.folder)
        try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: scratch.path)
        let again = try Catalog.open(path: scratch.path, mode: .writer)
        _ = try again.commit(Sample.dayOfRows(1, entities: 1...3, rows: 2))
        #expect(try again.read { (reader) throws(Fault) in try reader.totalRows() } == 12)
    }

    @Test func aClosedCatalogRefuses() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        catalog.close()
        catalog.close()
        #expect(fault { () throws(Fault) in try catalog.commit(CatalogChange()) }?.code == .invalid)
        let failure = fault { () throws(Fault) in try catalog.read { (reader) throws(Fault) in try reader.meta() } }
        #expect(failure?.code == .invalid)
    }

    @Test func freePagesGoBackToTheFileSystem() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        var change = CatalogChange()
        change.journal = (0..<20).map { index in
            JournalEntry(firstSequence: index, rows: 1, receivedMs: 0, blob: [UInt8](repeating: 7, count: 60_000))
        }
        change.nextSequence = 20
        _ = try catalog.commit(change)
        #expect(try catalog.checkpointAndTruncate())
        let large = try scratch.bytes().count
        change = CatalogChange()
        change.deleteJournalBefore = 20
        _ = try catalog.commit(change)
        #expect(try catalog.vacuumFreePages(limit: 10) == 10)
        #expect(try catalog.vacuumFreePages() > 200)
        #expect(try catalog.checkpointAndTruncate())
        #expect(try scratch.bytes("-wal").isEmpty)
        #expect(large - 20 * 60_000 > (try scratch.bytes().count) - 8192)
        #expect(try catalog.verify(full: true) == [])
    }
}
