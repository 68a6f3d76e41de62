// A log that rotted is told from one that a crash tore.

import EventStoreCore
import Foundation
import Testing

@testable import EventStoreCatalog

@Suite struct LogInspectionTests {
    private static let frameBytes = 4096 + 24

    /// The file and the log of a writer that was killed after six commits.
    private static func killed(_ left: Scratch) throws {
        let scratch = try Scratch()
        let writer = try scratch.fresh()
        for day in 0..<6 { _ = try writer.commit(Sample.dayOfRows(Int64(day), entities: 1...3, rows: 2)) }
        try left.write(try scratch.bytes())
        try left.write(try scratch.bytes("-wal"), "-wal")
        writer.close()
    }

    @Test func aSoundLogHasNoFindings() throws {
        let left = try Scratch()
        try Self.killed(left)
        let log = try LogInspection.inspect(left.path + "-wal")
        #expect(log.frames == (try left.bytes("-wal").count - 32) / Self.frameBytes)
        #expect(log.pages.contains(1) || log.pages.count > 3)
        #expect(log.finding == nil)
        #expect(!log.isTorn)
        #expect(try LogInspection.inspect(left.path + "-none") == LogInspection())
    }

    @Test func aTornTailIsNoDamage() throws {
        let left = try Scratch()
        try Self.killed(left)
        let sound = try left.bytes("-wal")
        for cut in [1, 17, 4100, 5000] {
            try left.write(Array(sound.dropLast(cut)), "-wal")
            let log = try LogInspection.inspect(left.path + "-wal")
            #expect(log.finding == nil)
            let reader = try Catalog.open(path: left.path, mode: .reader)
            #expect(try reader.read { (reader) throws(Fault) in try reader.totalRows() } == 30)
            #expect(try reader.verify(full: true) == [])
            reader.close()
            try? FileManager.default.removeItem(atPath: left.path + "-shm")
        }
        var garbled = sound
        garbled[garbled.count - 100] ^= 0x40
        try left.write(garbled, "-wal")
        #expect(try LogInspection.inspect(left.path + "-wal").isTorn)
        let writer = try Catalog.open(path: left.path, mode: .writer)
        #expect(try left.bytes("-wal").isEmpty)
        #expect(try writer.read { (reader) throws(Fault) in try reader.totalRows() } == 30)
    }

    /// Power fails while the last commit is written: each of its frames may be there, old, garbled or zero.
    @Test func anUnfinishedCommitIsNoDamage() throws {
        let left = try Scratch()
        try Self.killed(left)
        let sound = try left.bytes("-wal")
        let starts = Array(stride(from: 32, to: sound.count, by: Self.frameBytes))
        let ends = starts.filter { sound[$0 + 4..<$0 + 8].contains { $0 != 0 } }
        #expect(ends.count == 6)
        let last = starts.filter { $0 > ends[ends.count - 2] }
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        for round in 0..<25 {
            var torn = sound
            for start in last {
                // Half a frame can be lost, too.
                let half = start + Self.frameBytes / 2
                let part = [start..<half, half..<start + Self.frameBytes, start..<start + Self.frameBytes]
                    .randomElement(using: &numbers)!
                switch Int.random(in: 0..<4, using: &numbers) {
                case 0: for index in part { torn[index] = 0 }
                case 1: for index in part { torn[index] = UInt8.random(in: 0...255, using: &numbers) }
                default: break
                }
            }
            if round % 5 == 0 { torn.removeLast(Int.random(in: 1..<last.count * Self.frameBytes, using: &numbers)) }
            try left.write(torn, "-wal")
            let log = try LogInspection.inspect(left.path + "-wal")
            #expect(log.finding == nil, "seed \(seed), round \(round)")
            #expect(torn == sound || log.frames < starts.count)
            #expect(log.frames >= starts.count - last.count)
        }
    }

    @Test func aFlippedBitBeforeTheLastCommitIsFound() throws {
        let left = try Scratch()
        try Self.killed(left)
        let sound = try left.bytes("-wal")
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        // Behind the magic number and within the first half, which several commits follow.
        let positions = Array(4..<32) + (0..<40).map { _ in Int.random(in: 32..<sound.count / 2, using: &numbers) }
        for position in positions {
            var broken = sound
            broken[position] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
            try left.write(broken, "-wal")
            try? FileManager.default.removeItem(atPath: left.path + "-shm")
            let reader = try Catalog.open(path: left.path, mode: .reader)
            let findings = try reader.verify(full: false)
            #expect(findings.contains { $0.hasPrefix("catalog.db-wal: ") }, "byte \(position), seed \(seed)")
            reader.close()
            let refused = fault { () throws(Fault) in try Catalog.open(path: left.path, mode: .writer) }
            #expect(refused?.code == .damaged, "byte \(position), seed \(seed)")
        }
    }
}
