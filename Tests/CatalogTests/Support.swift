// What the catalog's tests share: a scratch folder, sample records, a seeded source of numbers.

import EventStoreCore
import Foundation
import Testing

@testable import EventStoreCatalog

/// A folder that goes away with the test.
final class Scratch {
    let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "catalog-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var path: String { folder + "/catalog.db" }

    func fresh() throws -> Catalog {
        try Catalog.create(path: path, settings: Sample.settings)
        return try Catalog.open(path: path, mode: .writer)
    }

    func bytes(_ suffix: String = "") throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + suffix)))
    }

    func write(_ bytes: [UInt8], _ suffix: String = "") throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path + suffix))
    }
}

/// SplitMix64: the seed in a failing test's message replays it.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

enum Sample {
    static let day: Int64 = 86_400_000
    static let start: Int64 = 20_000 * 86_400_000

    static let settings = CatalogSettings(
        formatVersion: 2, storeID: [UInt8](0..<16), incarnation: 0xfeed_face_dead_beef, partition: 1,
        sharedByEntitiesMin: 3, defaultPlan: "professional", createdMs: start)

    static func entity(_ number: UInt32) -> EntityRecord {
        EntityRecord(
            number: number, keyID: UInt64.max - UInt64(number), sealedName: [1, 2, 3, UInt8(number & 0xff)],
            tag: tag(number), createdMs: start, plan: "starter", state: 1, floorMs: start - 7 * day)
    }

    static func tag(_ number: UInt32) -> [UInt8] {
        var numbers = SeededNumbers(seed: UInt64(number))
        return numbers.bytes(16)
    }

    static func segment(day index: Int64, rows: Int, from sequence: UInt64 = 0) -> CatalogSegment {
        var numbers = SeededNumbers(seed: UInt64(index) &+ 99)
        return CatalogSegment(
            id: numbers.bytes(12), partitionStart: start + index * day, partitionMs: day, rows: rows,
            fileBytes: 2_000_000, minTime: start + index * day + 5, maxTime: start + index * day + day - 7,
            sequenceBase: sequence, minSequence: sequence, maxSequence: sequence + UInt64(rows) - 1, level: 0,
            retentionDays: 30, types: [1, 2, 7, 5], attributes: [UInt32](1...40))
    }

    static func part(_ entity: UInt32, day index: Int64, rows: Int) -> CatalogSegmentEntity {
        CatalogSegmentEntity(
            entity: entity, rows: rows, minTime: start + index * day + 5,
            maxTime: start + index * day + day - 7 - Int64(entity), headOffset: 1_000_000 + Int(entity) * 900,
            headLength: 640,
            types: rows > 1
                ? [TypeCount(type: 1, rows: rows - 1), TypeCount(type: 7, rows: 1)] : [TypeCount(type: 2, rows: rows)])
    }

    /// A segment of one day with parts of these entities, and the totals that go with it.
    static func dayOfRows(_ index: Int64, entities: ClosedRange<UInt32>, rows: Int) -> CatalogChange {
        var change = CatalogChange()
        let parts = entities.map { part($0, day: index, rows: rows) }
        change.addSegments = [(segment(day: index, rows: rows * parts.count), parts)]
        (change.entityDayDeltas, change.typeDayDeltas) = totals(of: parts, day: Int32(20_000 + index), sign: 1)
        change.nextSequence = 10_000
        return change
    }

    static func totals(of parts: [CatalogSegmentEntity], day: Int32, sign: Int) -> ([DayCount], [DayCount]) {
        var types: [UInt32: Int] = [:]
        for entry in parts.flatMap(\.types) { types[entry.type, default: 0] += entry.rows }
        return (
            parts.map { DayCount(day: day, key: $0.entity, rows: sign * $0.rows) },
            types.map { DayCount(day: day, key: $0.key, rows: sign * $0.value) }
        )
    }
}

/// The fault `body` throws, or nil.
func fault<T>(_ body: () throws(Fault) -> T) -> Fault? {
    do throws(Fault) {
        _ = try body()
        return nil
    } catch {
        return error
    }
}
