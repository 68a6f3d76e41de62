// Dropping whole segments costs the same however many rows they have: no block of them is read, whatever the partition.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

@Suite struct WholeDropTests {
    /// - Parameter isRecorded: whether the catalog says what the segments' days are.
    private func drop(_ partition: Partition, isRecorded: Bool) throws -> (reads: Int, left: [CountRow]) {
        let folder = TestFolder()
        let files = HookedFiles()
        var environment = Environment(files: files)
        environment.nowMs = { Fixed.now }
        var create = Fixed.create(partition)
        create.defaultPlan = "starter"
        var store = try folder.create(create, open: Fixed.open(now: Fixed.now - 60 * Fixed.dayMs))
        // Two months back, in the days around, and a few of today.
        for day in [62, 61, 60] {
            try store.append((0..<30).map { Known.event($0, day: -day) })
        }
        try store.flush()
        try store.close()
        if !isRecorded { try Rewriting.run("DELETE FROM segment_day", folder.store) }
        var options = Fixed.open()
        options.sweepsAutomatically = false
        store = BlockingEventStore(
            store: EventStore(
                engine: try StoreEngine.open(at: folder.store, key: Fixed.key, open: options, environment: environment))
        )
        try store.append((0..<10).map { Known.event($0) })
        let before = files.readCount
        let report = try store.sweep(dryRun: false, confirmed: true)
        let reads = files.readCount - before
        #expect(report.segmentsDropped > 0 && report.eventsExpired == 90)
        // The two ends of a file, which say what it is.
        if isRecorded { #expect(reads <= 2 * report.segmentsDropped) }
        try store.expectClean()
        #expect(try store.all().count == 10)
        let left = try store.counts(by: .day) + store.counts(by: .type) + store.counts(by: .entity)
        try store.close()
        return (reads, left)
    }

    @Test(arguments: [Partition.day, .week, .month]) func noBlockIsRead(_ partition: Partition) throws {
        let known = try drop(partition, isRecorded: true)
        guard partition != .day else { return }
        let counted = try drop(partition, isRecorded: false)
        #expect(counted.reads > known.reads)
        #expect(counted.left == known.left)
    }
}
