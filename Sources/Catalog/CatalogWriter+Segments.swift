// Segments and what they hold of each entity.

import EventStoreCore

extension CatalogWriter {
    /// Returns the numbers of the added segments.
    func applySegments(_ change: CatalogChange) throws(Fault) -> [Int64] {
        var added: [Int64] = []
        if !change.addSegments.isEmpty {
            var number = try nextSegment()
            for (place, (segment, entities)) in change.addSegments.enumerated() {
                try add(segment, as: number)
                try add(entities, of: number)
                if let days = change.segmentDays[place] { try add(days, of: number) }
                added.append(number)
                number += 1
            }
        }
        try mark(change.markUnlinking)
        try addGone(change.addGone)
        try freeGone(change.freeGone)
        try remove(change.removeSegments)
        return added
    }

    private func addGone(_ parts: [GonePart]) throws(Fault) {
        guard !parts.isEmpty else { return }
        var add = try SQLRun(database, "INSERT INTO gone VALUES (?, ?, ?, ?, ?)")
        var drop = try SQLRun(database, "DELETE FROM segment_entity WHERE segment = ? AND entity = ?")
        // At level 0 a compaction writes what is left anew.
        var shrink = try SQLRun(
            database, "UPDATE segment SET rows = rows - ?, level = 0 WHERE number = ? AND rows >= ?")
        for part in parts {
            let place = Fault.Place(entity: part.entity)
            add.bind(part.segment)
            add.bind(part.entity)
            add.bind(part.rows)
            add.bind(PackedLists.encode(part.ranges))
            add.bind(part.isFreed ? 1 : 0)
            try add.run()
            drop.bind(part.segment)
            drop.bind(part.entity)
            try drop.run()
            guard drop.changed == 1 else { throw Fault(.notFound, "the entity has no part of this segment", at: place) }
            try dropPartKey(segment: part.segment, entity: part.entity)
            shrink.bind(part.rows)
            shrink.bind(part.segment)
            shrink.bind(part.rows)
            try shrink.run()
            guard shrink.changed == 1 else { throw Fault(.notFound, "no segment \(part.segment)", at: place) }
        }
    }

    private func freeGone(_ parts: [PartKey]) throws(Fault) {
        guard !parts.isEmpty else { return }
        var run = try SQLRun(database, "UPDATE gone SET freed = 1 WHERE segment = ? AND entity = ?")
        for part in parts {
            run.bind(part.segment)
            run.bind(part.entity)
            try run.run()
        }
    }

    private func nextSegment() throws(Fault) -> Int64 {
        var run = try SQLRun(database, "SELECT next_segment FROM state")
        guard try run.step() else { throw Fault(.damaged, "the catalog has no state") }
        let number = run.int64(0)
        guard number > 0, number < Int64.max >> 1 else { throw Fault(.damaged, "the catalog's state is out of range") }
        return number
    }

    private func add(_ segment: CatalogSegment, as number: Int64) throws(Fault) {
        var run = try SQLRun(
            database, "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        run.bind(number)
        run.bind(segment.id)
        run.bind(segment.partitionStart)
        run.bind(segment.partitionMs)
        run.bind(segment.rows)
        run.bind(segment.fileBytes)
        run.bind(segment.minTime)
        run.bind(segment.maxTime)
        run.bind(segment.sequenceBase)
        run.bind(segment.minSequence)
        run.bind(segment.maxSequence)
        run.bind(segment.level)
        run.bind(segment.state)
        run.bind(segment.retentionDays)
        run.bind(PackedLists.encode(segment.types))
        run.bind(PackedLists.encode(segment.attributes))
        try run.run()
    }

    private func add(_ entities: [CatalogSegmentEntity], of number: Int64) throws(Fault) {
        var run = try SQLRun(database, "INSERT INTO segment_entity VALUES (?, ?, ?)")
        var packed = ByteWriter(reserving: 64)
        for part in entities {
            let typeRows = part.types.reduce(0) { sum, type in sum + type.rows }
            guard part.types.isEmpty || typeRows == part.rows, part.rows >= 0, part.maxTime >= part.minTime else {
                throw Fault(
                    .invalid, "an entity's rows in a segment are not those of its types",
                    at: .init(entity: part.entity))
            }
            packed.removeAll()
            PackedLists.encode(part, into: &packed)
            run.bind(number)
            run.bind(part.entity)
            run.bind(packed.bytes)
            try run.run()
        }
        try notePartKeys(entities, of: number)
    }

    private func add(_ days: SegmentDays, of number: Int64) throws(Fault) {
        var table = try SQLRun(database, CatalogSchema.segmentDays)
        try table.run()
        var run = try SQLRun(database, "INSERT INTO segment_day VALUES (?, ?)")
        run.bind(number)
        run.bind(PackedLists.encode(days))
        try run.run()
    }

    private func dropDays(_ numbers: [Int64]) throws(Fault) {
        guard try CatalogReader(database).hasSegmentDays() else { return }
        var run = try SQLRun(database, "DELETE FROM segment_day WHERE segment = ?")
        for number in numbers {
            run.bind(number)
            try run.run()
        }
    }

    private func mark(_ numbers: [Int64]) throws(Fault) {
        guard !numbers.isEmpty else { return }
        var run = try SQLRun(database, "UPDATE segment SET state = \(CatalogSegment.unlinking) WHERE number = ?")
        for number in numbers {
            run.bind(number)
            try run.run()
            guard run.changed == 1 else { throw Fault(.notFound, "no segment \(number) in the catalog") }
        }
    }

    private func remove(_ numbers: [Int64]) throws(Fault) {
        guard !numbers.isEmpty else { return }
        try dropDays(numbers)
        var parts = try SQLRun(database, "DELETE FROM segment_entity WHERE segment = ?")
        var gone = try SQLRun(database, "DELETE FROM gone WHERE segment = ?")
        var run = try SQLRun(database, "DELETE FROM segment WHERE number = ?")
        for number in numbers {
            parts.bind(number)
            try parts.run()
            gone.bind(number)
            try gone.run()
            try dropPartKey(segment: number, entity: nil)
            run.bind(number)
            try run.run()
        }
    }
}
