// The packed blobs of the catalog: lists of name numbers, and what a segment holds of one entity.
// docs/format/catalog.md describes them byte by byte.

import EventStoreCore

enum PackedLists {
    /// Name numbers: count, then each as the difference to the one before (they need not be sorted).
    static func encode(_ numbers: [UInt32]) -> [UInt8] {
        var writer = ByteWriter(reserving: numbers.count + 4)
        writer.varint(numbers.count)
        var last: Int64 = 0
        for number in numbers {
            writer.zigzag(Int64(number) - last)
            last = Int64(number)
        }
        return writer.bytes
    }

    static func decodeNumbers(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> [UInt32] {
        var reader = ByteReader(bytes)
        let count = try reader.count(max: min(Limits.namesPerStoreMax, bytes.count))
        var numbers: [UInt32] = []
        numbers.reserveCapacity(count)
        var last: Int64 = 0
        for _ in 0..<count {
            let (sum, overflow) = last.addingReportingOverflow(try reader.zigzag())
            guard !overflow, let number = UInt32(exactly: sum) else { throw damaged }
            numbers.append(number)
            last = sum
        }
        guard reader.isAtEnd else { throw damaged }
        return numbers
    }

    /// Rows, times, place and types of one entity in one segment.
    static func encode(_ part: CatalogSegmentEntity, into writer: inout ByteWriter) {
        writer.varint(part.rows)
        writer.zigzag(part.minTime)
        writer.varint(UInt64(bitPattern: part.maxTime &- part.minTime))
        writer.varint(part.headOffset)
        writer.varint(part.headLength)
        writer.varint(part.types.count)
        var last: Int64 = 0
        for (index, entry) in part.types.enumerated() {
            writer.zigzag(Int64(entry.type) - last)
            last = Int64(entry.type)
            // The rows of the last type are what the others leave of the total.
            if index < part.types.count - 1 { writer.varint(entry.rows) }
        }
    }

    static func decodePart(
        segment: Int64, entity: UInt32, _ bytes: UnsafeRawBufferPointer
    ) throws(Fault) -> CatalogSegmentEntity {
        var reader = ByteReader(bytes)
        let rows = try reader.count(max: Int.max)
        let minTime = try reader.zigzag()
        let maxTime = minTime &+ Int64(bitPattern: try reader.varint())
        let headOffset = try reader.count(max: Int.max)
        let headLength = try reader.count(max: Int.max)
        let count = try reader.count(max: min(Limits.namesPerStoreMax, bytes.count))
        var types: [TypeCount] = []
        types.reserveCapacity(count)
        var last: Int64 = 0
        var left = rows
        for index in 0..<count {
            let (sum, overflow) = last.addingReportingOverflow(try reader.zigzag())
            guard !overflow, let type = UInt32(exactly: sum) else { throw damaged }
            last = sum
            let typeRows = index < count - 1 ? try reader.count(max: left) : left
            left -= typeRows
            types.append(TypeCount(type: type, rows: typeRows))
        }
        guard reader.isAtEnd, maxTime >= minTime else { throw damaged }
        return CatalogSegmentEntity(
            segment: segment, entity: entity, rows: rows, minTime: minTime, maxTime: maxTime, headOffset: headOffset,
            headLength: headLength, types: types)
    }

    /// Ranges of a file, ascending and apart: count, then each as gap to the one before and length.
    static func encode(_ ranges: [Range<Int>]) -> [UInt8] {
        var writer = ByteWriter(reserving: ranges.count * 8 + 4)
        writer.varint(ranges.count)
        var end = 0
        for range in ranges {
            writer.varint(range.lowerBound - end)
            writer.varint(range.count)
            end = range.upperBound
        }
        return writer.bytes
    }

    static func decodeRanges(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> [Range<Int>] {
        var reader = ByteReader(bytes)
        let count = try reader.count(max: bytes.count)
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(count)
        var end = 0
        for _ in 0..<count {
            let (start, startOverflow) = end.addingReportingOverflow(try reader.count(max: Int.max))
            let (next, overflow) = start.addingReportingOverflow(try reader.count(max: Int.max))
            guard !startOverflow, !overflow else { throw damaged }
            ranges.append(start..<next)
            end = next
        }
        guard reader.isAtEnd else { throw damaged }
        return ranges
    }

    /// Two lists of counts by day and number, for entities and for types: the count, then each as its day's and its
    /// number's difference to the one before and its rows.
    static func encode(_ days: SegmentDays) -> [UInt8] {
        var writer = ByteWriter(reserving: (days.entities.count + days.types.count) * 4 + 8)
        for list in [days.entities, days.types] {
            writer.varint(list.count)
            var last = DayCount(day: 0, key: 0, rows: 0)
            for entry in list {
                writer.zigzag(Int64(entry.day) - Int64(last.day))
                writer.zigzag(Int64(entry.key) - Int64(last.key))
                writer.varint(entry.rows)
                last = entry
            }
        }
        return writer.bytes
    }

    static func decodeDays(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> SegmentDays {
        var reader = ByteReader(bytes)
        let entities = try days(&reader)
        let types = try days(&reader)
        guard reader.isAtEnd else { throw damaged }
        return SegmentDays(entities: entities, types: types)
    }

    private static func days(_ reader: inout ByteReader) throws(Fault) -> [DayCount] {
        let count = try reader.count(max: reader.remaining)
        var list: [DayCount] = []
        list.reserveCapacity(count)
        var (day, key): (Int64, Int64) = (0, 0)
        for _ in 0..<count {
            let (nextDay, dayOverflow) = day.addingReportingOverflow(try reader.zigzag())
            let (nextKey, keyOverflow) = key.addingReportingOverflow(try reader.zigzag())
            guard !dayOverflow, !keyOverflow, let exactDay = Int32(exactly: nextDay),
                let exactKey = UInt32(exactly: nextKey)
            else { throw damaged }
            list.append(DayCount(day: exactDay, key: exactKey, rows: try reader.count(max: Int(Int32.max))))
            (day, key) = (nextDay, nextKey)
        }
        return list
    }

    private static var damaged: Fault { Fault(.damaged, "a packed list in the catalog does not decode") }
}
