// A reader's question is interrupted at each of its reads: the writer flushes, merges everything and removes
// the old files, and another thread of the reader takes note of it. The answer is complete all the same.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct MergedAwayTests {
    private enum Question: CaseIterable {
        case oldest, newest, stored, entity, counts, conditionCounts, histogram, tail

        func answer(_ store: BlockingEventStore) throws -> Int {
            switch self {
            case .oldest: try store.all(order: .oldestFirst).count
            case .newest: try store.all(order: .newestFirst).count
            case .stored: try store.all(order: .stored).count
            case .entity: try store.all(EventFilter(entities: ["e1"])).count
            case .counts:
                try store.counts(by: .type, EventFilter(since: Fixed.day - 2 * Fixed.dayMs + 1)).reduce(0) {
                    $0 + $1.count
                }
            case .conditionCounts:
                try store.counts(by: .total, EventFilter(conditions: [.init("n", .greaterOrEqual, 0)]))[0].count
            case .histogram:
                try store.histogram(by: "s", bucketMs: Fixed.dayMs).series.reduce(0) { $0 + $1.counts.reduce(0, +) }
            case .tail: try store.tail(limit: 1000).count
            }
        }

        var expected: Int { self == .entity ? 60 : self == .counts ? 179 : 180 }
    }

    private struct Stores {
        let folder = TestFolder()
        let files = HookedFiles()
        let writer: BlockingEventStore
        let reader: BlockingEventStore

        init() throws {
            writer = try folder.create()
            for round in 0..<3 {
                try writer.append(
                    (0..<60).map { index in
                        Event(
                            entity: "e\(index % 3)", type: "t",
                            timestamp: Fixed.day - Int64(index % 3) * Fixed.dayMs + Int64(round * 100 + index / 3),
                            id: Fixed.id(UInt64(round * 60 + index)),
                            attributes: [
                                "n": .integer(Int64(index)), "s": .string("\(index % 4)"),
                                "long": .string(String(repeating: "\(index * 7919) ", count: 200)),
                            ])
                    })
                if round < 2 { try writer.flush() }
            }
            var environment = Environment(files: files)
            environment.nowMs = { Fixed.now }
            reader = BlockingEventStore(
                store: EventStore(
                    engine: try StoreEngine.open(
                        at: folder.store, key: Fixed.key, open: Fixed.open(.readOnly), environment: environment)))
        }
    }

    @Test func everyQuestionIsAnsweredInFull() throws {
        for question in Question.allCases {
            let undisturbed = try Stores()
            let before = undisturbed.files.readCount
            #expect(try question.answer(undisturbed.reader) == question.expected, "\(question)")
            let reads = undisturbed.files.readCount - before
            try undisturbed.reader.close()
            try undisturbed.writer.close()
            for point in stride(from: 1, through: reads, by: TestRun.isLong ? 1 : max(1, reads / 12)) {
                let stores = try Stores()
                let (writer, reader) = (stores.writer, stores.reader)
                stores.files.hook = {
                    _ = try? writer.compact()
                    _ = try? reader.nextSequence()
                }
                stores.files.at = stores.files.readCount + point
                let found = try question.answer(reader)
                #expect(found == question.expected, "\(question) interrupted at read \(point) of \(reads)")
                try reader.close()
                try writer.close()
            }
        }
    }
}
