// The filter over encoded blocks against the filter over rows in memory: the same rows, whatever the filter.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments
import Foundation
import Testing

@testable import EventStore

@Suite struct BlockMatcherTests {
    /// Events whose columns have zone maps, Bloom filters, dictionaries and constants to be decided by.
    private func events(_ maker: inout EventMaker, _ count: Int) -> [Event] {
        (0..<count).map { index in
            var event = maker.event(withID: true)
            event.id = Fixed.id(UInt64(index))
            event.timestamp = Fixed.day - 10 * Fixed.dayMs + Int64(index) * 1000
            event.attributes["rising"] = .integer(Int64(index))
            event.attributes["real"] = .double(Double(index) / 4)
            event.attributes["flag"] = .bool(index > count / 2)
            event.attributes["many"] = .string("value \(index % 977)")
            event.attributes["constant"] = .string("same")
            if index % 50 == 0 { event.attributes["rare"] = .string("r\(index)") }
            if index % 3 == 0 {
                event.attributes["mixed"] = index % 2 == 0 ? .integer(Int64(index)) : .string("\(index)")
            }
            return event
        }
    }

    private func filter(_ maker: inout EventMaker, _ count: Int) -> EventFilter {
        var filter = maker.filter()
        filter.entities = []
        if filter.since != nil { filter.since = time(&maker, count) }
        if filter.until != nil { filter.until = time(&maker, count) }
        for _ in 0..<Int.random(in: 0...2, using: &maker.generator) {
            let number = Int.random(in: -2..<count + 2, using: &maker.generator)
            let name = maker.generator.pick(["rising", "real", "flag", "many", "constant", "rare", "mixed"])
            let value: AttributeValue =
                switch Int.random(in: 0..<7, using: &maker.generator) {
                case 0: .integer(Int64(number))
                case 1: .double(Double(number) / 4)
                case 2: .bool(number % 2 == 0)
                case 3: .string("value \(number % 977)")
                case 4: .string("same")
                case 5: .string("r\(number / 50 * 50)")
                default: .double(Double(number) + 0.5)
                }
            let comparison = maker.generator.pick([
                EventFilter.Comparison.equal, .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual,
                .contains, .startsWith,
            ])
            filter.conditions.append(.init(name, comparison, value))
        }
        return filter
    }

    private func time(_ maker: inout EventMaker, _ count: Int) -> Int64 {
        // At a row's own time, and just beside it.
        Fixed.day - 10 * Fixed.dayMs + Int64.random(in: -1..<Int64(count) + 1, using: &maker.generator) * 1000
            + Int64.random(in: -1...1, using: &maker.generator)
    }

    @Test(arguments: [0, 1, 3], [40, 3000]) func blocksAndRowsAgree(_ sharedMin: Int, _ count: Int) throws {
        for seed in TestRun.seeds("BlockMatcher.blocksAndRowsAgree(\(sharedMin), \(count))", TestRun.isLong ? 10 : 1) {
            var maker = EventMaker(generator: SeededGenerator(seed: seed))
            maker.entities = 3
            let folder = TestFolder()
            let store = try folder.create(Fixed.create(.month, sharedMin: sharedMin))
            let context = store.engine.context
            let batch = EventRows(events(&maker, count), nowMs: Fixed.now, idPrefix: EventID(high: 1, low: 1)).batch
            _ = try context.names.admit(batch, allowNewEntities: true, plan: nil)
            for row in 0..<batch.rowCount { batch.sequence.base[row] = UInt64(row) }
            let filters = try (0..<(count > 1000 ? 150 : 400)).map { _ in
                try context.names.compile(filter(&maker, count))
            }
            var matched = 0
            for partition in PartitionSplit(BatchColumns([batch]), context).partitions {
                partition.sort([batch])
                matched += try compare(partition, batch, filters.compactMap { $0 }, store.engine)
            }
            #expect(matched > 0)
            try store.close()
        }
    }

    /// Writes a partition's rows as a segment and filters each block both ways; returns how many rows matched.
    private func compare(
        _ partition: PartitionRefs, _ batch: RowBatch, _ filters: [RowFilter], _ engine: StoreEngine
    ) throws -> Int {
        let writing = engine.writing
        let sealer = StoreSealer(writing.names)
        let segments = try writing.write(
            partition, of: BatchColumns([batch]), level: 0,
            options: writing.options(highCompression: false, sequenceBase: 0),
            writer: SegmentWriter(sealer: sealer, environment: writing.environment))
        var matched = 0
        for segment in segments {
            let path = writing.files.segment(segment.summary.id, partitionStart: partition.start)
            let reader = try SegmentReader(
                file: try writing.environment.files.openForReading(path), path: path, sequenceBase: 0)
            let scanner = BlockScanner(sealer: sealer)
            let matchers = filters.map { BlockMatcher($0) }
            for entry in segment.summary.entities {
                try scanner.open(reader, entry)
                for block in 0..<scanner.blockCount {
                    let rows = try plain(scanner, block)
                    for (filter, matcher) in zip(filters, matchers) {
                        let found = Array(try matcher.match(scanner, block: block, times: filter.times))
                        var expected: [UInt32] = []
                        BatchFilter(rows, filter).forEachMatch { expected.append(UInt32($0)) }
                        #expect(found == expected, "\(filter)")
                        matched += found.count
                    }
                }
            }
        }
        return matched
    }

    private func plain(_ scanner: BlockScanner, _ block: Int) throws -> RowBatch {
        let collector = RowCollector()
        let all = (0..<UInt32(scanner.block(block).rows)).map { $0 }
        try all.withUnsafeBufferPointer { (rows) throws in try collector.append(scanner, block: block, rows: rows) }
        return collector.takeBatch()
    }
}
