// Repair: damage in every kind of place, then a store that verifies, with everything else in it, and a report that
// says exactly what is gone.

import EventStoreCatalog
import EventStoreCore
import Foundation
import Testing

@testable import EventStore

@Suite struct RepairTests {
    /// A small store on several days, some of it in the journal.
    private struct Sample {
        let folder = TestFolder()
        var events: [Event] = []

        init(_ generator: inout SeededGenerator, flushed: Bool = true, partition: Partition = .day) throws {
            var maker = EventMaker(generator: generator)
            maker.days = -2...0
            maker.ids = 900
            let store = try folder.create(Fixed.create(partition))
            var seen: Set<String> = []
            let all = (0..<400).map { _ in maker.event(withID: true) }.filter { seen.insert($0.identity).inserted }
            try store.append(Array(all[..<(all.count / 2)]))
            if flushed { try store.flush() }
            try store.append(Array(all[(all.count / 2)...]), batchID: "b")
            if flushed { try store.flush() }
            generator = maker.generator
            events = try store.all().map(\.plain)
            try store.close()
        }

        var segments: [String] {
            TestFolder.files(below: folder.store + "/segments").map { folder.store + "/segments/" + $0 }
        }

        func repair(dryRun: Bool = false) throws -> RepairReport {
            try StoreAdministration.repair(at: folder.store, key: Fixed.key, options: Fixed.open(), dryRun: dryRun)
        }

        /// Repairs, and checks the report against what was there and what is there now.
        @discardableResult
        func check(_ what: String, plans: Bool = true) throws -> RepairReport {
            let expected = try repair(dryRun: true)
            let report = try repair()
            #expect(report.holesLeft.isEmpty, "\(what): \(report.holesLeft)")
            if plans {
                #expect(Set(expected.losses) == Set(report.losses), "\(what)")
                #expect(expected.eventsSaved == report.eventsSaved, "\(what)")
            }
            let store = try folder.open()
            let left = try store.all().map(\.plain)
            try store.expectClean("\(what)")
            #expect(try store.verifyAudit().firstBroken == nil, "\(what)")
            // Nothing else changed.
            let before = Set(events)
            for event in left { #expect(before.contains(event), "\(what): \(event)") }
            #expect(events.count - left.count == report.eventsLost, "\(what)")
            // By entity, as far as it is known whose the lost events were.
            let lost = Dictionary(grouping: Set(events).subtracting(left)) { $0.entity }.mapValues(\.count)
            let known = report.losses.filter { $0.entity != nil }
            if known.count == report.losses.count {
                var told: [String: Int] = [:]
                for loss in known { told[loss.entity ?? "", default: 0] += loss.rows }
                #expect(told == lost, "\(what)")
            }
            for loss in known {
                guard let since = loss.since, let until = loss.until else { continue }
                let inside = Set(events).subtracting(left).count {
                    $0.entity == loss.entity && (since...until).contains($0.timestamp)
                }
                #expect(inside >= loss.rows, "\(what)")
            }
            let total = try store.counts(by: .total).first?.count ?? 0
            #expect(total == left.count, "\(what)")
            // A store that was repaired takes in again what was lost, and knows the rest.
            let again = try store.append(events)
            #expect(again.stored == report.eventsLost && again.duplicates == left.count, "\(what)")
            try store.expectClean("\(what), again")
            try store.close()
            #expect(try repair().wasSound, "\(what)")
            return report
        }
    }

    private static func flip(_ path: String, bit: Int) throws {
        var bytes = try TestFolder.bytes(path)
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test func aSoundStoreIsLeftAlone() throws {
        var generator = SeededGenerator(seed: 1)
        let sample = try Sample(&generator)
        let before = sample.segments
        let report = try sample.repair()
        #expect(report.wasSound && report.eventsSaved == 0 && report.eventsLost == 0)
        #expect(sample.segments == before)
        #expect(!FileManager.default.fileExists(atPath: sample.folder.store + "/quarantine"))
    }

    @Test(arguments: [Partition.day, .week])
    func flippedBitsInSegments(partition: Partition) throws {
        for seed in TestRun.seeds("RepairTests.flippedBitsInSegments") {
            var generator = SeededGenerator(seed: seed)
            var lost = 0
            var saved = 0
            for _ in 0..<12 {
                let sample = try Sample(&generator, partition: partition)
                let file = generator.pick(sample.segments)
                let size = try TestFolder.bytes(file).count
                let bit = Int.random(in: 0..<size * 8, using: &generator)
                try Self.flip(file, bit: bit)
                let report = try sample.check("bit \(bit) of \((file as NSString).lastPathComponent)")
                #expect(report.segmentsDamaged == 1)
                #expect(report.quarantined.count == 1)
                lost += report.eventsLost
                saved += report.eventsSaved
            }
            // Damage costs a block, not a file.
            #expect(saved > lost, "\(saved) saved, \(lost) lost")
        }
    }

    @Test func everyKindOfPlaceInASegment() throws {
        var generator = SeededGenerator(seed: 5)
        for place in ["header", "footer", "directory"] {
            let sample = try Sample(&generator)
            let file = sample.segments[0]
            let size = try TestFolder.bytes(file).count
            let byte =
                switch place {
                case "header": 20
                case "footer": size - 4
                default: size - 120
                }
            try Self.flip(file, bit: byte * 8)
            let report = try sample.check(place)
            #expect(report.segmentsDamaged == 1, "\(place)")
        }
    }

    @Test func missingCutAndStrangeFiles() throws {
        var generator = SeededGenerator(seed: 6)
        let sample = try Sample(&generator)
        let files = sample.segments
        try FileManager.default.removeItem(atPath: files[0])
        let bytes = try TestFolder.bytes(files[1])
        try Data(bytes[..<(bytes.count / 2)]).write(to: URL(fileURLWithPath: files[1]))
        let stranger = (files[2] as NSString).deletingLastPathComponent + "/00112233445566778899aabb.seg"
        try Data(try TestFolder.bytes(files[2])).write(to: URL(fileURLWithPath: stranger))
        let report = try sample.check("missing, cut, strange")
        #expect(report.segmentsDamaged == 2)
        #expect(report.quarantined.map(\.file).contains(stranger))
        #expect(report.losses.contains { $0.message.contains("missing") })
        for moved in report.quarantined {
            #expect(FileManager.default.fileExists(atPath: try #require(moved.to)))
        }
        let audit = try sample.folder.open(Fixed.open(.readOnly)).auditRecords()
        #expect(audit.contains { $0.operation == "repair" && $0.details["lost"] == "\(report.eventsLost)" })
    }

    @Test func segmentsThatChangedPlaces() throws {
        var generator = SeededGenerator(seed: 7)
        let sample = try Sample(&generator)
        let files = sample.segments
        let (a, b) = (try TestFolder.bytes(files[0]), try TestFolder.bytes(files[1]))
        try Data(b).write(to: URL(fileURLWithPath: files[0]))
        try Data(a).write(to: URL(fileURLWithPath: files[1]))
        #expect(try sample.check("swapped").segmentsDamaged == 2)
    }

    @Test func anotherWriterIsNotDisturbed() throws {
        var generator = SeededGenerator(seed: 8)
        let sample = try Sample(&generator)
        let store = try sample.folder.open()
        #expect(code { try sample.repair() } == "locked")
        #expect(code { try sample.repair(dryRun: true) } == "locked")
        try store.close()
    }

    @Test func aJournalEntryThatDoesNotDecode() throws {
        var generator = SeededGenerator(seed: 9)
        let sample = try Sample(&generator, flushed: false)
        // As page checksums find rot on disk, this is what a fault in memory could leave.
        try Self.changeJournal(sample.folder.store + "/catalog.db")
        #expect(code { try sample.folder.open() } != "(none)")
        let report = try sample.check("journal")
        // One entity's section: those of the others are saved.
        #expect(report.losses.count == 1 && report.losses[0].entity != nil && report.eventsSaved > report.eventsLost)
        #expect(report.quarantined.contains { $0.to?.hasSuffix(".blob") ?? false })
    }

    private static func changeJournal(_ path: String) throws {
        let catalog = try Catalog.open(path: path, mode: .writer)
        defer { catalog.close() }
        let entries = try catalog.read { (reader) throws(Fault) in try reader.journal(from: 0) }
        var change = CatalogChange()
        change.deleteJournal = [entries[0].firstSequence]
        _ = try catalog.commit(change)
        var bad = entries[0]
        bad.blob[bad.blob.count / 2] ^= 4
        change = CatalogChange()
        change.journal = [bad]
        _ = try catalog.commit(change)
    }

    @Test func wrongTotalsAreCorrected() throws {
        var generator = SeededGenerator(seed: 10)
        let sample = try Sample(&generator)
        let catalog = try Catalog.open(path: sample.folder.store + "/catalog.db", mode: .writer)
        var change = CatalogChange()
        let day = Int32(Fixed.day / Fixed.dayMs)
        change.entityDayDeltas = [DayCount(day: day, key: 0, rows: 5)]
        change.typeDayDeltas = [DayCount(day: day, key: 0, rows: 7)]
        _ = try catalog.commit(change)
        catalog.close()
        let report = try sample.check("totals")
        #expect(report.totalsCorrected == 2 && report.eventsLost == 0)
    }

    /// A page of the catalog: repaired where segments say the same, else refused with nothing changed.
    @Test(arguments: [false, true])
    func pagesOfTheCatalog(flushed: Bool) throws {
        var generator = SeededGenerator(seed: 11)
        let sample = try Sample(&generator, flushed: flushed)
        let path = sample.folder.store + "/catalog.db"
        let intact = sample.folder.path + "/intact"
        try TestFolder.copy(sample.folder.store, to: intact)
        let pages = try TestFolder.bytes(path).count / 4096
        var repaired = 0
        for page in 1..<pages {
            try TestFolder.copy(intact, to: sample.folder.store)
            try Self.flip(path, bit: (page * 4096 + 4000) * 8 + 3)
            let damaged = try TestFolder.bytes(path)
            do {
                _ = try sample.repair()
            } catch {
                #expect("\(error)".contains("error[damaged]"), "\(error)")
                #expect(try TestFolder.bytes(path) == damaged, "page \(page)")
                #expect(!FileManager.default.fileExists(atPath: path + ".new"))
                continue
            }
            try sample.folder.open(Fixed.open(.readOnly)).expectClean("page \(page)")
            try TestFolder.copy(intact, to: sample.folder.store)
            try Self.flip(path, bit: (page * 4096 + 4000) * 8 + 3)
            try sample.check("page \(page)", plans: false)
            repaired += 1
        }
        #expect(repaired > 0 && repaired < pages)
        print("RepairTests.pagesOfTheCatalog: \(repaired) of \(pages) pages repaired")
    }

    @Test func aRepairThatWasCutShortWhileItExchangedTheCatalog() throws {
        var generator = SeededGenerator(seed: 12)
        let sample = try Sample(&generator)
        let path = sample.folder.store + "/catalog.db"
        try TestFolder.copy(path, to: path + ".repaired")
        #expect(code { try sample.folder.open() } == "damaged")
        #expect(code { try sample.repair(dryRun: true) } == "damaged")
        #expect(try sample.repair().wasSound)
        let store = try sample.folder.open()
        #expect(try store.all().count == sample.events.count)
        try store.close()
    }
}
