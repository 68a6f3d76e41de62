// Totals of days that lack rows: an error where a partition is a day, taken from other days where it is longer.

import EventStoreCore
import Testing

@testable import EventStoreCatalog

@Suite struct DayTotalTests {
    private func catalog(_ scratch: Scratch, partition: Int) throws -> Catalog {
        var settings = Sample.settings
        settings.partition = partition
        let path = scratch.path + ".days"
        try Catalog.create(path: path, settings: settings)
        return try Catalog.open(path: path, mode: .writer)
    }

    private func commit(_ catalog: Catalog, _ deltas: [DayCount]) throws(Fault) {
        var change = CatalogChange()
        change.entityDayDeltas = deltas
        change.typeDayDeltas = deltas
        _ = try catalog.commit(change)
    }

    @Test(arguments: [1, 2, 3]) func whatADayLacksIsOnTheDaysNearIt(partition: Int) throws {
        let scratch = try Scratch()
        let catalog = try catalog(scratch, partition: partition)
        defer { catalog.close() }
        let all = (0..<4).map { DayCount(day: 100 + $0, key: 7, rows: 10) } + [DayCount(day: 101, key: 8, rows: 50)]
        try commit(catalog, all)
        let lacking = fault { () throws(Fault) in try commit(catalog, [DayCount(day: 101, key: 7, rows: -25)]) }
        guard partition > 1 else {
            #expect(lacking?.code == .invalid)
            return
        }
        #expect(lacking == nil)
        for ofTypes in [false, true] {
            let left = try catalog.read { (reader) throws(Fault) in try reader.totals(ofTypes: ofTypes) }
            #expect(
                left.sorted { ($0.day, $0.key) < ($1.day, $1.key) } == [
                    DayCount(day: 101, key: 8, rows: 50), DayCount(day: 102, key: 7, rows: 5),
                    DayCount(day: 103, key: 7, rows: 10),
                ])
        }
        // More than there is altogether stays an error, and leaves nothing behind.
        let tooMuch = fault { () throws(Fault) in try commit(catalog, [DayCount(day: 102, key: 7, rows: -16)]) }
        #expect(tooMuch?.code == .invalid)
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totals(ofTypes: true) }.count == 3)
        try commit(catalog, [DayCount(day: 99, key: 7, rows: -15)])
        #expect(try catalog.read { (reader) throws(Fault) in try reader.totals(ofTypes: true) }.map(\.key) == [8])
    }
}
