// Cases found by reading the engine with a doubtful eye, each the smallest input that shows it.

import Foundation
import Testing

@testable import EventStore

@Suite struct RegressionTests {
    @Test func refusedRowsLeaveNoNameBehind() throws {
        let folder = TestFolder()
        var store = try folder.create()
        try store.append([Event(entity: "known", type: "a", timestamp: Fixed.day)])
        let file = try folder.write(
            "in.ndjson",
            #"{"entity":"stranger","type":"fresh.type","timestamp":\#(Fixed.day),"attributes":{"fresh_name":1}}"# + "\n"
        )
        var request = ImportRequest(sources: [file])
        request.allowNewEntities = false
        let report = try store.importEvents(request)
        #expect(report.refused == 1)
        // Something else is committed after it.
        try store.append([Event(entity: "known", type: "a", timestamp: Fixed.day + 1)])
        try store.close()
        store = try folder.open()
        let event = Event(
            entity: "known", type: "fresh.type", timestamp: Fixed.day + 2, attributes: ["fresh_name": 2])
        let answer = try store.append([event])
        #expect(answer.stored == 1)
        #expect(try store.all(EventFilter(types: ["fresh.type"])).first?.attributes == ["fresh_name": 2])
        try store.close()
        store = try folder.open()
        #expect(try store.all(EventFilter(types: ["fresh.type"])).count == 1)
        try store.close()
    }

    @Test func aLargeAppendOfOneEntityIsReadBack() throws {
        let folder = TestFolder()
        var store = try folder.create()
        var generator = SeededGenerator(seed: 1)
        let events = (0..<350).map { index in
            let text = String((0..<6000).map { _ in generator.pick(Array("0123456789abcdefghij")) })
            return Event(
                entity: "big", type: "t", timestamp: Fixed.day + Int64(index),
                attributes: ["a": .string(text + text + text + text + text + text + text + text + text + "\(index)")])
        }
        #expect(try store.append(events).stored == 350)
        try store.close()
        store = try folder.open()
        #expect(try store.all().count == 350)
        try store.flush()
        try store.expectClean()
        #expect(try store.all().map(\.attributes) == events.map(\.attributes))
        _ = try store.compact()
        try store.expectClean()
        #expect(try store.all().map(\.attributes) == events.map(\.attributes))
        try store.close()
    }

    @Test func aRepeatedBatchGivesTheFirstAnswerWhenTheClockHasMoved() throws {
        let folder = TestFolder()
        var store = try folder.create()
        let events = [
            Event(entity: "e", type: "t", timestamp: Fixed.now + 2 * Fixed.dayMs, id: Fixed.id(1)),
            Event(entity: "e", type: "t", timestamp: Fixed.day, id: Fixed.id(2)),
            Event(entity: "e", type: "t", timestamp: Fixed.day, id: Fixed.id(2)),
        ]
        let first = try store.append(events, batchID: "b")
        #expect(first.refused == 1 && first.stored == 1 && first.duplicates == 1)
        try store.close()
        store = try folder.open(Fixed.open(now: Fixed.now + 3 * Fixed.dayMs))
        let again = try store.append(events, batchID: "b")
        #expect(again.repeated)
        #expect(again.outcomes == first.outcomes)
        #expect(try store.all().count == 1)
        try store.close()
    }

    @Test func aReadersCursorSurvivesACompaction() throws {
        let folder = TestFolder()
        let writer = try folder.create()
        for round in 0..<3 {
            try writer.append(
                (0..<50).map { Event(entity: "e\($0 % 5)", type: "t", timestamp: Fixed.day + Int64(round * 50 + $0)) })
            try writer.flush()
        }
        let reader = try folder.open(Fixed.open(.readOnly))
        let cursors = try [EventOrder.oldestFirst, .newestFirst, .stored].map {
            try reader.cursor(EventFilter(), order: $0)
        }
        let one = try reader.cursor(EventFilter(entities: ["e1"]))
        _ = try writer.compact()
        for cursor in cursors {
            var count = 0
            while let batch = try cursor.nextBatch() { count += batch.count }
            #expect(count == 150)
        }
        var count = 0
        while let batch = try one.nextBatch() { count += batch.count }
        #expect(count == 30)
        try reader.close()
        try writer.close()
    }

    @Test func importOfALateLineAfterManyRepeatsKeepsSequencesApart() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day, id: Fixed.id(1))])
        var text = ""
        for _ in 0..<2000 {
            text += #"{"entity":"e","type":"t","timestamp":\#(Fixed.day),"id":"\#(Fixed.id(1).uuidString)"}"# + "\n"
        }
        for number in 2..<5 as Range<UInt64> {
            text +=
                #"{"entity":"e","type":"t","timestamp":\#(Fixed.day),"id":"\#(Fixed.id(number).uuidString)"}"# + "\n"
        }
        let report = try store.importEvents(ImportRequest(sources: [try folder.write("in.ndjson", text)]))
        #expect(report.stored == 3 && report.duplicates == 2000 && report.conflicts == 0)
        #expect(try store.all().map(\.sequence) == [1, 2, 3, 4])
        #expect(try store.nextSequence() == 5)
        try store.close()
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.tail(from: 3).map(\.sequence) == [3, 4])
        try reader.close()
    }
}
