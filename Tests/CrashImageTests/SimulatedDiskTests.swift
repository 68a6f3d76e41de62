// The disk under the simulation: what a cut keeps and loses, and SQLite on it.

import EventStoreCore
import EventStoreSimulation
import Foundation
import GRDB
import Testing

@Suite struct SimulatedDiskTests {
    private static func written(_ disk: SimulatedDisk, _ name: String, _ text: String, syncs: Bool) throws {
        let file = try disk.create(disk.root + "/" + name)
        try Array(text.utf8).withUnsafeBytes { bytes in try file.write(bytes, at: 0) }
        if syncs { try file.sync() }
    }

    private static func contents(_ state: DiskState) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: state.reachable().map { path, node in
                (path, String(decoding: state.files[node] ?? [], as: UTF8.self))
            })
    }

    private static func cut(_ disk: SimulatedDisk) -> PowerCut {
        var cut = PowerCut()
        for operation in disk.log { cut.follow(operation) }
        return cut
    }

    @Test func namesAndBytesAreLostIndependently() throws {
        let disk = SimulatedDisk.mount("names")
        defer { SimulatedDisk.unmount("names") }
        try Self.written(disk, "a", "aaaa", syncs: true)
        try disk.syncDirectory(disk.root)
        try Self.written(disk, "b.tmp", "bbbb", syncs: false)
        try disk.rename(disk.root + "/b.tmp", to: disk.root + "/a")
        let images = Set(Self.cut(disk).allSubsets().map { Self.contents(Self.cut(disk).image($0)) })
        let expected: Set<[String: String]> = [
            ["a": "aaaa"], ["a": "aaaa", "b.tmp": ""], ["a": "aaaa", "b.tmp": "bbbb"], ["a": "bbbb"], ["a": ""],
        ]
        #expect(images == expected)
        try disk.syncDirectory(disk.root)
        #expect(Self.cut(disk).pending.count == 1)
        #expect(Self.contents(Self.cut(disk).image([.dropped])) == ["a": ""])
    }

    @Test func aTornWriteKeepsWholeSectors() throws {
        let disk = SimulatedDisk.mount("torn")
        defer { SimulatedDisk.unmount("torn") }
        try Self.written(disk, "a", String(repeating: "a", count: 2000), syncs: true)
        try disk.syncDirectory(disk.root)
        let file = try disk.openForUpdate(disk.root + "/a")
        try [UInt8](repeating: 0x62, count: 1500).withUnsafeBytes { bytes in try file.write(bytes, at: 100) }
        for seed in UInt64(0)..<50 {
            let image = Self.contents(Self.cut(disk).image([.torn(sector: 512, seed)]))
            let bytes = Array((image["a"] ?? "").utf8)
            #expect(bytes.count == 2000 && bytes[..<100].allSatisfy { $0 == 0x61 })
            #expect(bytes[1600...].allSatisfy { $0 == 0x61 })
            for sector in [100..<512, 512..<1024, 1024..<1536, 1536..<1600] {
                #expect(Set(bytes[sector]).count == 1, "half a sector")
            }
        }
    }

    @Test func sqliteWorksOnIt() throws {
        let disk = SimulatedDisk.mount("sqlite")
        defer { SimulatedDisk.unmount("sqlite") }
        let path = disk.root + "/test.db"
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (x)")
            for number in 0..<100 { try database.execute(sql: "INSERT INTO t VALUES (?)", arguments: [number]) }
        }
        var configuration = Configuration()
        configuration.readonly = true
        let reader = try DatabaseQueue(path: path, configuration: configuration)
        #expect(try reader.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM t") } == 100)
        try queue.writeWithoutTransaction { try $0.execute(sql: "DELETE FROM t WHERE x < 50") }
        #expect(try reader.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM t") } == 50)
        #expect(try disk.list(disk.root).contains("test.db-wal"))
        // The log as it is: another process finds the same in a copy of the disk.
        _ = SimulatedDisk.mount("copy", disk.content)
        let copy = try DatabaseQueue(path: SimulatedDisk.prefix + "copy/test.db")
        #expect(try copy.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM t") } == 50)
        try copy.close()
        SimulatedDisk.unmount("copy")
        try reader.close()
        try queue.close()
        #expect(try !disk.list(disk.root).contains("test.db-wal"))
        #expect(!FileManager.default.fileExists(atPath: path))
        // Other paths are as ever.
        let real = NSTemporaryDirectory() + "eventstore-\(UUID().uuidString).db"
        defer { try? FileManager.default.removeItem(atPath: real) }
        let other = try DatabaseQueue(path: real)
        try other.write { try $0.execute(sql: "CREATE TABLE t (x)") }
        try other.close()
        #expect(FileManager.default.fileExists(atPath: real))
    }
}
