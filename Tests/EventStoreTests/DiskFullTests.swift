// A disk that is really full: a file system of a few megabytes in memory, where the machine lets tests mount one.

import Foundation
import Testing

@testable import EventStore

/// A mounted file system of limited size, unmounted with the test; `nil` where that is not allowed.
private final class SmallDisk: Sendable {
    let folder = TestFolder()
    var path: String { folder.path + "/disk" }

    init?(bytes: Int) {
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #if os(Linux)
            guard geteuid() == 0, SmallDisk.run("mount", "-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", path) else {
                return nil
            }
        #else
            return nil
        #endif
    }

    deinit { _ = SmallDisk.run("umount", "-l", path) }

    private static func run(_ arguments: String...) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    /// Takes all that is left, to the last page.
    func fillUp() {
        let file = path + "/filler"
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        guard let handle = FileHandle(forWritingAtPath: file) else { return }
        defer { try? handle.close() }
        _ = try? handle.seekToEnd()
        for size in [65_536, 4096, 512] {
            while (try? handle.write(contentsOf: Data(repeating: 7, count: size))) != nil {}
        }
    }

    func free() { try? FileManager.default.removeItem(atPath: path + "/filler") }
}

@Suite(.serialized) struct DiskFullTests {
    private func options(now: Int64 = Fixed.now) -> OpenOptions {
        var options = Fixed.open(now: now)
        options.sweepsAutomatically = false
        return options
    }

    private func events(_ entity: String, _ part: UInt64, day: Int64 = 0) -> [Event] {
        var generator = SeededGenerator(seed: part)
        return (0..<200).map { index in
            Event(
                entity: entity, type: "t", timestamp: Fixed.day + day * Fixed.dayMs + Int64(index), id: UUID(),
                attributes: ["s": .string((0..<6).map { _ in String(generator.next(), radix: 36) }.joined())])
        }
    }

    /// Appends until the disk is full, flushing now and then; returns the number of acknowledged events.
    private func fill(_ store: BlockingEventStore, _ entity: String, _ part: inout UInt64) throws -> Int {
        var stored = 0
        while part < 10_000 {
            part += 1
            do {
                stored += try store.append(events(entity, part)).stored
                if part % 8 == 0 { try store.flush() }
            } catch {
                #expect("\(error)".contains("error[disk-full]"), "\(error)")
                return stored
            }
        }
        return stored
    }

    private func total(_ store: BlockingEventStore) throws -> Int { try store.counts(by: .total).first?.count ?? 0 }

    @Test func aFullDiskStopsAppendsAndNothingElse() throws {
        guard let disk = SmallDisk(bytes: 6 << 20) else { return }
        let path = disk.path + "/store"
        var store = try BlockingEventStore.create(
            at: path, key: Fixed.key, options: Fixed.create(), open: options())
        let reserve = path + "/reserve"
        #expect(try TestFolder.bytes(reserve).count == 256 << 10)
        try store.addEntity("short", plan: "starter")
        var part: UInt64 = 0
        var stored = try store.append(events("gone", 90_001)).stored
        stored += try fill(store, "short", &part)
        disk.fillUp()
        // Reads, and another process's.
        #expect(try total(store) == stored)
        let reader = try BlockingEventStore.open(at: path, key: Fixed.key, options: Fixed.open(.readOnly))
        #expect(try reader.all().count == stored)
        try reader.close()
        try store.expectClean("full")
        #expect(code { try store.append(events("short", 90_002)) } == "disk-full")
        // A writer that starts on the full disk.
        try store.close()
        store = try BlockingEventStore.open(at: path, key: Fixed.key, options: options())
        #expect(try total(store) == stored)
        // Erasure works, and what it frees does not go to appends before the reserve has its part back.
        let report = try store.eraseEntity("gone")
        #expect(report.events == 200)
        #expect(try total(store) == stored - 200)
        disk.fillUp()
        // So does retention.
        try store.close()
        let later = options(now: Fixed.now + 9 * Fixed.dayMs)
        store = try BlockingEventStore.open(at: path, key: Fixed.key, options: later)
        #expect(try store.sweep(confirmed: true).bytesFreed > 1 << 20)
        #expect(try total(store) == 0)
        #expect(try store.append(events("short", 90_003, day: 9)).stored == 200)
        #expect(try TestFolder.bytes(reserve).count == 256 << 10)
        try store.flush()
        #expect(try total(store) == 200)
        try store.expectClean("swept")
        #expect(try store.verifyAudit().firstBroken == nil)
        try store.close()
    }

    @Test func writingResumesWhenSpaceReturns() throws {
        guard let disk = SmallDisk(bytes: 6 << 20) else { return }
        let path = disk.path + "/store"
        let store = try BlockingEventStore.create(
            at: path, key: Fixed.key, options: Fixed.create(), open: options())
        var part: UInt64 = 0
        try store.append(events("e", 90_001))
        disk.fillUp()
        let stored = try 200 + fill(store, "e", &part)
        // An import leaves no files behind.
        let segments = TestFolder.files(below: path + "/segments")
        let lines = events("e", 80_000).map { #"{"entity":"e","type":"t","timestamp":\#($0.timestamp)}"# }
        let file = try disk.folder.write("a.ndjson", lines.joined(separator: "\n"))
        #expect(code { try store.importEvents(ImportRequest(sources: [file])) } == "disk-full")
        #expect(TestFolder.files(below: path + "/segments") == segments)
        #expect(try total(store) == stored)
        disk.free()
        #expect(try store.append(events("e", 90_002)).stored == 200)
        try store.flush()
        #expect(try total(store) == stored + 200)
        try store.expectClean()
        try store.close()
    }
}
