// A flipped bit is found and named, hostile bytes throw and never trap, and a full disk loses nothing.

import EventStoreCore
import Foundation
import Testing

@testable import EventStoreCatalog

@Suite struct DamageTests {
    /// A closed catalog with something in every table and some free pages.
    private static func filled(_ scratch: Scratch) throws {
        let catalog = try scratch.fresh()
        var change = CatalogChange()
        change.addEntities = (1...40).map(Sample.entity)
        change.addNames = (1...60).map { NameRecord(number: $0, kind: 1 + Int($0 & 1), tag: Sample.tag($0)) }
        change.addHolders = (1...40).map {
            NameHolder(name: $0, kind: 1 + Int($0 & 1), entity: $0, sealed: Sample.tag($0))
        }
        change.journal = (0..<8).map { index in
            JournalEntry(firstSequence: index, rows: 1, receivedMs: 5, blob: [UInt8](repeating: 3, count: 9_000))
        }
        change.batches = (0..<30).map { index in
            BatchRecord(scope: index, tag: Sample.tag(index), bodyHash: Sample.tag(index), receivedMs: 5, answer: [1])
        }
        change.nextSequence = 10_000
        change.setMeta = ["written": 5]
        _ = try catalog.commit(change)
        for day in 0..<6 { _ = try catalog.commit(Sample.dayOfRows(Int64(day), entities: 1...40, rows: 9)) }
        change = CatalogChange()
        change.deleteJournalBefore = 5
        _ = try catalog.commit(change)
        #expect(try catalog.verify(full: true) == [])
        catalog.close()
    }

    /// Reads all there is; only faults may come out.
    private static func readAll(_ path: String) -> Fault? {
        fault { () throws(Fault) in
            let catalog = try Catalog.open(path: path, mode: .reader)
            defer { catalog.close() }
            try catalog.read { (reader) throws(Fault) in
                _ = try reader.entities()
                _ = try reader.names()
                _ = try reader.holders()
                _ = try reader.journal(from: 0)
                _ = try reader.batch(scope: 3, tag: Sample.tag(3))
                for segment in try reader.segments(overlapping: nil) {
                    _ = try reader.segmentEntities(segment: segment.number, entities: nil)
                }
                for entity in UInt32(0)..<5 { _ = try reader.segmentEntities(entity: entity) }
                _ = try reader.rowsByEntity(days: nil)
                _ = try reader.rowsByType(days: nil)
                _ = try reader.rowsByDay(days: nil)
                _ = try reader.totalRows()
                _ = try reader.meta()
            }
        }
    }

    private static func verify(_ path: String) throws -> [String] {
        do throws(Fault) {
            let catalog = try Catalog.open(path: path, mode: .reader)
            defer { catalog.close() }
            return try catalog.verify(full: true)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func everyBitOfAPageCounts() {
        var numbers = SeededNumbers(seed: 5)
        var page = numbers.bytes(PageChecksums.pageBytes)
        page.withUnsafeMutableBytes { PageChecksums.seal($0) }
        page.withUnsafeMutableBytes { bytes in
            #expect(PageChecksums.matches(UnsafeRawBufferPointer(bytes)))
            for bit in stride(from: 0, to: bytes.count * 8, by: 3) {
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                if PageChecksums.matches(UnsafeRawBufferPointer(bytes)) { Issue.record("bit \(bit) went unnoticed") }
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            }
        }
    }

    @Test func everyPageOfTheFileHasItsSum() throws {
        let scratch = try Scratch()
        try Self.filled(scratch)
        let bytes = try scratch.bytes()
        #expect(bytes.count % 4096 == 0)
        #expect(bytes[20] == 8, "reserved bytes of a page")
        for start in stride(from: 0, to: bytes.count, by: 4096) {
            bytes[start..<start + 4096].withUnsafeBytes { #expect(PageChecksums.matches($0), "page at \(start)") }
        }
    }

    @Test func aFlippedBitIsFoundAndNamed() throws {
        let scratch = try Scratch()
        try Self.filled(scratch)
        let sound = try scratch.bytes()
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        var positions = Array(0..<100) + (0..<60).map { _ in Int.random(in: 100..<sound.count, using: &numbers) }
        positions += stride(from: 0, to: sound.count, by: 4096).map { $0 + 4090 }
        for position in positions {
            var broken = sound
            broken[position] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
            try scratch.write(broken)
            let findings = try Self.verify(scratch.path)
            #expect(!findings.isEmpty, "byte \(position), seed \(seed)")
            #expect(findings.allSatisfy { $0.contains("catalog.db") }, "\(findings)")
            if let failure = Self.readAll(scratch.path) {
                #expect([.damaged, .tooNew].contains(failure.code), "byte \(position), seed \(seed): \(failure)")
            }
        }
    }

    /// Bytes changed by somebody who mends the sums: nothing may trap, whatever is read.
    @Test func hostileBytesThrow() throws {
        let scratch = try Scratch()
        try Self.filled(scratch)
        let sound = try scratch.bytes()
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        for round in 0..<150 {
            var broken = sound
            for _ in 0..<Int.random(in: 1...12, using: &numbers) {
                let position = Int.random(in: 0..<broken.count, using: &numbers)
                broken[position] = UInt8.random(in: 0...255, using: &numbers)
            }
            if round % 3 == 0 { broken.removeLast(Int.random(in: 1...broken.count - 1, using: &numbers)) }
            broken.withUnsafeMutableBytes { bytes in
                for start in stride(from: 0, through: bytes.count - 4096, by: 4096) {
                    PageChecksums.seal(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + 4096]))
                }
            }
            try scratch.write(broken)
            _ = Self.readAll(scratch.path)
            _ = try Self.verify(scratch.path)
        }
    }

    @Test func damageInOneTableLeavesTheOthersReadable() throws {
        let scratch = try Scratch()
        try Self.filled(scratch)
        var bytes = try scratch.bytes()
        // A page of the journal's blobs: nothing else stands on it.
        let run = [UInt8](repeating: 3, count: 4000)
        let start = try #require(
            stride(from: 4096, to: bytes.count, by: 4096).first { bytes[$0 + 50..<$0 + 4050].elementsEqual(run) })
        bytes[start + 100] ^= 1
        try scratch.write(bytes)
        let catalog = try Catalog.open(path: scratch.path, mode: .reader)
        try catalog.read { (reader) throws(Fault) in
            #expect(try reader.totalRows() == 6 * 40 * 9)
            #expect(try reader.entities().count == 40)
        }
        #expect(try catalog.verify(full: false).contains { $0.contains("page \(start / 4096 + 1) ") })
    }

    @Test func disagreeingTablesAreFound() throws {
        let scratch = try Scratch()
        try Self.filled(scratch)
        let wrongs = [
            ("DELETE FROM segment WHERE number = 2", "not there"),
            ("UPDATE segment SET rows = rows + 1 WHERE number = 1", "its entities have"),
            ("UPDATE entity_day SET rows = rows + 1 WHERE entity = 4 AND day = 20001", "entity 4 has"),
            ("DELETE FROM type_day WHERE day = 20002", "day 20002 has 0 rows"),
            ("UPDATE journal SET rows = 3 WHERE first_sequence = 5", "overlaps"),
            ("UPDATE state SET next_sequence = 6", "the next one is 6"),
            ("DELETE FROM entity WHERE number = 7", "there is no such entity"),
            ("DELETE FROM segment_entity WHERE segment = 3 AND entity = 5", "its entities have"),
        ]
        for (sql, words) in wrongs {
            let catalog = try Catalog.open(path: scratch.path, mode: .writer)
            _ = try catalog.write { (database) throws in
                try database.execute(sql: "SAVEPOINT wrong; \(sql)")
                var checks = CatalogConsistency(CatalogReader(database))
                checks.tables()
                #expect(checks.findings.contains { $0.contains(words) }, "\(sql): \(checks.findings)")
                try database.execute(sql: "ROLLBACK TO wrong; RELEASE wrong")
            }
            catalog.close()
        }
    }

    @Test func otherFilesAreRefused() throws {
        let scratch = try Scratch()
        #expect(fault { () throws(Fault) in try Catalog.open(path: scratch.path, mode: .reader) }?.code == .notFound)
        for bytes in [[], [1], [UInt8](repeating: 65, count: 10_000), Array("SQLite format 3\u{0}".utf8)] {
            try scratch.write(bytes)
            for mode in [Catalog.Mode.reader, .writer] {
                let failure = fault { () throws(Fault) in try Catalog.open(path: scratch.path, mode: mode) }
                #expect(failure?.code == .damaged)
                #expect(failure?.place.file == scratch.path)
            }
        }
    }

    @Test func aNewerFormatIsRefused() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        try catalog.write { (database) throws in try database.execute(sql: "UPDATE settings SET format_version = 3") }
        catalog.close()
        for mode in [Catalog.Mode.reader, .writer] {
            let before = try scratch.bytes()
            #expect(fault { () throws(Fault) in try Catalog.open(path: scratch.path, mode: mode) }?.code == .tooNew)
            #expect(try scratch.bytes() == before)
        }
    }

    @Test func aFullDiskRefusesCleanly() throws {
        let scratch = try Scratch()
        let catalog = try scratch.fresh()
        _ = try catalog.commit(Sample.dayOfRows(0, entities: 1...3, rows: 2))
        func limit(_ pages: Int) throws {
            try catalog.write { (database) throws in try database.execute(sql: "PRAGMA max_page_count = \(pages)") }
        }
        try limit(1)
        var change = Sample.dayOfRows(1, entities: 1...3, rows: 2)
        change.journal = [
            JournalEntry(firstSequence: 0, rows: 1, receivedMs: 0, blob: [UInt8](repeating: 1, count: 90_000))
        ]
        let failure = fault { () throws(Fault) in try catalog.commit(change) }
        #expect(failure?.code == .diskFull)
        #expect(failure?.place.file == scratch.path)
        #expect(failure?.isSyncFailure == false)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totalRows() } == 6)
        try limit(100_000)
        #expect(try catalog.commit(change).segments == [2])
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totalRows() } == 12)
        #expect(try catalog.verify(full: true) == [])
    }

    @Test func resultCodesBecomeFaults() {
        #expect(Fault.sqlite(10 | (4 << 8), "fsync").isSyncFailure)
        #expect(Fault.sqlite(10 | (4 << 8), "fsync").code == .io)
        #expect(!Fault.sqlite(10 | (3 << 8), "write").isSyncFailure)
        #expect(Fault.sqlite(5, "busy").code == .locked)
        #expect(Fault.sqlite(8, "read-only").code == .readOnly)
        #expect(Fault.sqlite(10 | (32 << 8), "data").code == .damaged)
        #expect(Fault.sqlite(26, "not a database").code == .damaged)
    }
}
