// Sorting rows into partitions and writing each partition's rows as segments: what a flush, an import and a
// compaction share.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments
import Synchronization

/// A segment that is on disk, durable but for its directory, and not yet in the catalog.
struct WrittenSegment: Sendable {
    var summary: SegmentSummary
    var level: Int
    /// How long its entities' events are kept; 0 is for ever.
    var retentionDays: Int
    var entityDays: [DayCount]
    var typeDays: [DayCount]
}

extension WrittenSegment {
    var key: PartitionKey { PartitionKey(start: summary.partitionStart, days: retentionDays) }

    /// When the entities of segments were last heard of.
    static func tallies(_ segments: [WrittenSegment], receivedMs: Int64) -> [EntityTally] {
        var found: [UInt32: Int64] = [:]
        for entry in segments.flatMap(\.summary.entities) {
            found[entry.entity] = max(found[entry.entity] ?? .min, entry.maxTime)
        }
        return found.sorted { $0.key < $1.key }
            .map { EntityTally(entity: $0.key, lastEventMs: $0.value, lastReceivedMs: receivedMs) }
    }
}

/// What a segment is written with: one per store.
struct SegmentWriting: Sendable {
    let files: StoreFiles
    let environment: Environment
    let names: NameTable
    let incarnation: UInt64
    let sharedMin: Int

    func options(highCompression: Bool, sequenceBase: UInt64) -> SegmentOptions {
        var options = SegmentOptions()
        options.sharedValueEntitiesMin = sharedMin
        let personal = names.personalAttributes()
        options.isPersonal = { Int($0) >= personal.count || personal[Int($0)] }
        options.highCompression = highCompression
        options.storeIncarnation = incarnation
        options.createdMs = environment.nowMs()
        options.sequenceBase = sequenceBase
        return options
    }

    /// Makes the partition's directory when it is missing; durable when it returns.
    func makeDirectory(_ partitionStart: Int64) throws(Fault) -> String {
        let path = files.directory(partitionStart: partitionStart)
        if try environment.files.status(path) == nil {
            do throws(Fault) {
                try environment.files.makeDirectory(path)
            } catch {
                if error.code != .exists { throw error }
            }
            try environment.files.syncDirectory(files.segments)
        }
        return path
    }

    /// Writes sorted rows of one partition, as more than one segment when they are very many.
    func write(
        _ partition: PartitionRefs, of columns: BatchColumns, level: Int, options: SegmentOptions,
        writer: SegmentWriter
    ) throws(Fault) -> [WrittenSegment] {
        let directory = try makeDirectory(partition.start)
        let refs = partition.buffer
        var written: [WrittenSegment] = []
        var start = 0
        while start < refs.count {
            let end = min(refs.count, start + Limits.segmentRowsMax)
            let part = UnsafeBufferPointer(rebasing: refs[start..<end])
            do throws(Fault) {
                let summary = try writer.write(
                    part, of: columns.batches, partitionStart: partition.start, partitionMs: partition.length,
                    options: options, directory: directory)
                let days = DayTotals(part, columns)
                written.append(
                    WrittenSegment(
                        summary: summary, level: level, retentionDays: partition.days, entityDays: days.entities,
                        typeDays: days.types))
            } catch {
                discard(written)
                throw error
            }
            start = end
        }
        return written
    }

    /// Removes files that will not be published. What cannot be removed is an orphan, found at the next open.
    func discard(_ written: [WrittenSegment]) {
        for segment in written {
            let path = files.segment(segment.summary.id, partitionStart: segment.summary.partitionStart)
            do throws(Fault) {
                try environment.files.unlink(path)
            } catch {
                continue
            }
        }
    }

    func syncDirectories(_ written: [WrittenSegment]) throws(Fault) {
        for start in Set(written.map(\.summary.partitionStart)) {
            try environment.files.syncDirectory(files.directory(partitionStart: start))
        }
    }
}

/// Rows a UTC day by entity and by type, counted over rows sorted by (entity, type, time).
struct DayTotals {
    var entities: [DayCount] = []
    var types: [DayCount] = []

    init(_ refs: UnsafeBufferPointer<RowRef>, _ columns: BatchColumns) {
        var byEntity: [UInt64: Int] = [:]
        var byType: [UInt64: Int] = [:]
        var run = 0
        var last: (day: Int64, entity: UInt32, type: UInt32) = (0, 0, 0)
        func close() {
            guard run > 0 else { return }
            byEntity[DayTotals.key(last.day, last.entity), default: 0] += run
            byType[DayTotals.key(last.day, last.type), default: 0] += run
        }
        let views = columns.views
        for ref in refs {
            let view = views + Int(ref.batch)
            let row = Int(ref.row)
            let day = view.pointee.day(row)
            let entity = view.pointee.entityNumber(row)
            let type = view.pointee.type(row)
            if run > 0, last == (day, entity, type) {
                run += 1
            } else {
                close()
                last = (day, entity, type)
                run = 1
            }
        }
        close()
        entities = DayTotals.sorted(byEntity)
        types = DayTotals.sorted(byType)
    }

    static func key(_ day: Int64, _ number: UInt32) -> UInt64 {
        UInt64(UInt32(bitPattern: Int32(truncatingIfNeeded: day))) << 32 | UInt64(number)
    }

    static func sorted(_ counts: [UInt64: Int]) -> [DayCount] {
        counts.sorted { $0.key < $1.key }.map { key, rows in
            DayCount(
                day: Int32(bitPattern: UInt32(truncatingIfNeeded: key >> 32)), key: UInt32(truncatingIfNeeded: key),
                rows: rows)
        }
    }
}

extension CatalogSegment {
    /// The record of a written segment whose rows' sequences are relative to `sequenceBase`.
    init(_ written: WrittenSegment, sequenceBase: UInt64) {
        let summary = written.summary
        self.init(
            id: summary.id.bytes, partitionStart: summary.partitionStart, partitionMs: summary.partitionMs,
            rows: summary.rows,
            fileBytes: summary.fileBytes, minTime: summary.minTime, maxTime: summary.maxTime,
            sequenceBase: sequenceBase, minSequence: sequenceBase &+ summary.minSequence,
            maxSequence: sequenceBase &+ summary.maxSequence, level: written.level,
            retentionDays: written.retentionDays,
            types: summary.typeNumbers, attributes: summary.attributeNumbers)
    }
}

extension CatalogSegmentEntity {
    init(_ entry: SegmentEntityEntry) {
        self.init(
            entity: entry.entity, rows: entry.rows, minTime: entry.minTime, maxTime: entry.maxTime,
            headOffset: entry.headOffset, headLength: entry.headLength,
            types: entry.types, keyID: entry.keyID)
    }
}
