// The sealed directory of a segment: what the catalog knows of it, in columns, and where its vocabulary stands.
// Numbers only. Sealed under the store's key for directories; its additional data ends with the plain header.

import EventStoreCore

/// Where the vocabulary of one attribute stands.
struct VocabularyPlace: Hashable, Sendable {
    var attribute: UInt32
    var entries: Int
    var offset: Int
    /// Bytes in the file, tag included.
    var length: Int
    var rawLength: Int
    var codec: PackCodec
}

/// What of a directory tells of the vocabulary.
struct VocabularyPlaces: Sendable {
    var key: [UInt8]
    var places: [VocabularyPlace]
    var regions: SegmentRegions
}

/// Beginnings of the regions in the file. Each ends where the next begins, the last at the sealed directory.
struct SegmentRegions: Hashable, Sendable {
    var strings: Int
    var ids: Int
    var vocabulary: Int
    var directory: Int
    static let hot = SegmentFormat.Header.byteCount
}

/// What a segment's directory says.
package final class SegmentDirectory: Sendable {
    package let rows: Int
    package let minTime: Int64
    package let maxTime: Int64
    /// Relative to the base the segment was built with.
    package let minSequence: UInt64
    package let maxSequence: UInt64
    /// Ascending by entity number.
    package let entities: [SegmentEntityEntry]
    /// Numbers of the names used, ascending.
    package let typeNumbers: [UInt32]
    package let attributeNumbers: [UInt32]
    let vocabularyKey: [UInt8]
    let vocabularyPlaces: [VocabularyPlace]
    let regions: SegmentRegions

    init(
        summary: SegmentSummary, vocabularyKey: [UInt8], vocabularyPlaces: [VocabularyPlace], regions: SegmentRegions
    ) {
        rows = summary.rows
        minTime = summary.minTime
        maxTime = summary.maxTime
        minSequence = summary.minSequence
        maxSequence = summary.maxSequence
        entities = summary.entities
        typeNumbers = summary.typeNumbers
        attributeNumbers = summary.attributeNumbers
        self.vocabularyKey = vocabularyKey
        self.vocabularyPlaces = vocabularyPlaces
        self.regions = regions
    }
}

enum DirectoryCodec {
    static let vocabularyKeyBytes = 32

    // MARK: Encoding

    static func write(
        _ summary: SegmentSummary, vocabularyKey: [UInt8], places: [VocabularyPlace], regions: SegmentRegions,
        into sink: inout ByteSink
    ) {
        sink.varint(summary.rows)
        sink.zigzag(summary.minTime &- summary.partitionStart)
        sink.varint(UInt64(bitPattern: summary.maxTime &- summary.minTime))
        sink.varint(summary.minSequence)
        sink.varint(summary.maxSequence)
        for start in [regions.strings, regions.ids, regions.vocabulary, regions.directory] { sink.varint(start) }
        writeEntities(summary, &sink)
        writeAscending(summary.typeNumbers, &sink)
        writeAscending(summary.attributeNumbers, &sink)
        sink.varint(places.count)
        if places.isEmpty { return }
        vocabularyKey.withUnsafeBytes { sink.raw($0) }
        var next: UInt32 = 0
        for place in places {
            sink.varint(UInt64(place.attribute - next))
            next = place.attribute + 1
            sink.varint(place.entries)
            sink.varint(place.length)
            sink.varint(UInt64(SegmentFormat.HeadPrefix.make(rawLength: place.rawLength, codec: place.codec)))
        }
    }

    private static func writeEntities(_ summary: SegmentSummary, _ sink: inout ByteSink) {
        let entities = summary.entities
        sink.varint(entities.count)
        var numbers = NumberScratch()
        func column(_ values: [Int64]) {
            var descriptor = ByteSink(capacity: 64)
            var payload = ByteSink()
            values.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, buffer.count > 0 else { return }
                NumberCodec.writeIntegers(
                    base, count: buffer.count, compressible: false, scratch: &numbers, descriptor: &descriptor,
                    payload: &payload)
            }
            sink.raw(descriptor.bytes)
            sink.raw(payload.bytes)
        }
        column(entities.map { Int64($0.entity) })
        column(entities.map { Int64($0.rows) })
        column(entities.map { $0.minTime &- summary.partitionStart })
        column(entities.map { $0.maxTime &- $0.minTime })
        var end = SegmentRegions.hot
        column(
            entities.map { entry in
                defer { end = entry.headOffset + entry.headLength }
                return Int64(entry.headOffset - end)
            })
        column(entities.map { Int64($0.headLength) })
        column(entities.map { Int64($0.types.count) })
        sink.varint(entities.reduce(0) { $0 + $1.types.count })
        column(entities.flatMap { $0.types.map { Int64($0.type) } })
        // The rows of an entity's last type follow from the others.
        sink.varint(entities.reduce(0) { $0 + $1.types.count - 1 })
        column(entities.flatMap { $0.types.dropLast().map { Int64($0.rows) } })
    }

    private static func writeAscending(_ values: [UInt32], _ sink: inout ByteSink) {
        sink.varint(values.count)
        var next: UInt32 = 0
        for value in values {
            sink.varint(UInt64(value - next))
            next = value + 1
        }
    }

    // MARK: Decoding

    static func read(
        _ bytes: UnsafeRawBufferPointer, id: SegmentID, partitionStart: Int64, partitionMs: Int64, fileBytes: Int
    ) throws(Fault) -> SegmentDirectory {
        var reader = DescriptorReader(bytes)
        var summary = SegmentSummary(
            id: id, partitionStart: partitionStart, partitionMs: partitionMs, rows: 0, minTime: 0, maxTime: 0,
            minSequence: 0, maxSequence: 0, fileBytes: fileBytes, entities: [], typeNumbers: [], attributeNumbers: [])
        summary.rows = try reader.count(max: Limits.segmentRowsMax)
        summary.minTime = partitionStart &+ (try reader.zigzag())
        summary.maxTime = summary.minTime &+ Int64(bitPattern: try reader.varint())
        summary.minSequence = try reader.varint()
        summary.maxSequence = try reader.varint()
        let regions = try readRegions(&reader, fileBytes)
        try readEntities(&reader, &summary, hotEnd: regions.strings)
        summary.typeNumbers = try readAscending(&reader)
        summary.attributeNumbers = try readAscending(&reader)
        let (key, places) = try readPlaces(&reader, regions)
        guard reader.isAtEnd else { throw damaged("bytes after the directory") }
        return SegmentDirectory(summary: summary, vocabularyKey: key, vocabularyPlaces: places, regions: regions)
    }

    /// Only where the vocabulary stands: what a scan asks that has its entities from the catalog.
    static func readVocabulary(_ bytes: UnsafeRawBufferPointer, fileBytes: Int) throws(Fault) -> VocabularyPlaces {
        var reader = DescriptorReader(bytes)
        for _ in 0..<5 { _ = try reader.varint() }
        let regions = try readRegions(&reader, fileBytes)
        let count = try reader.count(max: Limits.entitiesPerSegmentMax)
        for _ in 0..<7 { try skipColumn(&reader, count) }
        // Types of the entities, then their rows.
        for _ in 0..<2 { try skipColumn(&reader, try reader.count(max: Limits.segmentRowsMax)) }
        for _ in 0..<2 { _ = try readAscending(&reader) }
        let (key, places) = try readPlaces(&reader, regions)
        guard reader.isAtEnd else { throw damaged("bytes after the directory") }
        return VocabularyPlaces(key: key, places: places, regions: regions)
    }

    private static func skipColumn(_ reader: inout DescriptorReader, _ count: Int) throws(Fault) {
        if count == 0 { return }
        let layout = try NumberCodec.parse(&reader, kind: .integer, count: count)
        _ = try reader.raw(layout.payloadBytes)
    }

    private static func readRegions(_ reader: inout DescriptorReader, _ fileBytes: Int) throws(Fault) -> SegmentRegions
    {
        SegmentRegions(
            strings: try reader.count(max: fileBytes), ids: try reader.count(max: fileBytes),
            vocabulary: try reader.count(max: fileBytes), directory: try reader.count(max: fileBytes))
    }

    private static func readColumn(_ reader: inout DescriptorReader, _ count: Int) throws(Fault) -> [Int64] {
        if count == 0 { return [] }
        let layout = try NumberCodec.parse(&reader, kind: .integer, count: count)
        let payload = try reader.raw(layout.payloadBytes)
        let arena = Arena()
        defer { withExtendedLifetime(arena) {} }
        let target = arena.take(count, of: Int64.self)
        try NumberCodec.decodeIntegers(layout, payload: payload, arena: arena, into: target)
        return Array(UnsafeBufferPointer(start: target, count: count))
    }

    private static func readEntities(
        _ reader: inout DescriptorReader, _ summary: inout SegmentSummary, hotEnd: Int
    ) throws(Fault) {
        let count = try reader.count(max: min(Limits.entitiesPerSegmentMax, summary.rows))
        let numbers = try readColumn(&reader, count)
        let rows = try readColumn(&reader, count)
        let times = try readColumn(&reader, count)
        let spans = try readColumn(&reader, count)
        let gaps = try readColumn(&reader, count)
        let lengths = try readColumn(&reader, count)
        let typeCounts = try readColumn(&reader, count)
        let typeTotal = try reader.count(max: summary.rows)
        let types = try readColumn(&reader, typeTotal)
        let storedRows = try readColumn(&reader, try reader.count(max: typeTotal))
        var end = Int64(SegmentRegions.hot)
        var nextType = 0
        var nextRows = 0
        summary.entities.reserveCapacity(count)
        for index in 0..<count {
            guard numbers[index] >= 0, numbers[index] < Int64(SegmentFormat.entityNumberEnd),
                index == 0 || numbers[index] > numbers[index - 1], rows[index] > 0,
                rows[index] <= Int64(Limits.segmentRowsMax), gaps[index] >= 0, lengths[index] > 0,
                gaps[index] <= Int64(hotEnd), lengths[index] <= Int64(hotEnd), spans[index] >= 0,
                typeCounts[index] > 0, typeCounts[index] <= Int64(typeTotal - nextType)
            else { throw damaged("entities of the directory are out of order or range") }
            var list: [TypeCount] = []
            list.reserveCapacity(Int(typeCounts[index]))
            var rest = rows[index]
            for position in 0..<Int(typeCounts[index]) {
                var share = rest
                if position < Int(typeCounts[index]) - 1 {
                    guard nextRows < storedRows.count else { throw damaged("type counts are missing") }
                    share = storedRows[nextRows]
                    nextRows += 1
                }
                guard share > 0, share <= rest, let type = UInt32(exactly: types[nextType]) else {
                    throw damaged("type counts do not add up")
                }
                rest -= share
                list.append(TypeCount(type: type, rows: Int(share)))
                nextType += 1
            }
            guard rest == 0 else { throw damaged("type counts do not add up") }
            let offset = end + gaps[index]
            end = offset + lengths[index]
            guard end <= Int64(hotEnd) else { throw damaged("a head pack lies outside its region") }
            let minTime = summary.partitionStart &+ times[index]
            summary.entities.append(
                SegmentEntityEntry(
                    entity: UInt32(numbers[index]), rows: Int(rows[index]), minTime: minTime,
                    maxTime: minTime &+ spans[index], headOffset: Int(offset), headLength: Int(lengths[index]),
                    types: list))
        }
        guard nextType == typeTotal, nextRows == storedRows.count else { throw damaged("too many type counts") }
    }

    private static func readAscending(_ reader: inout DescriptorReader) throws(Fault) -> [UInt32] {
        let count = try reader.count(max: Limits.namesPerStoreMax)
        var values: [UInt32] = []
        values.reserveCapacity(count)
        var next: UInt64 = 0
        for _ in 0..<count {
            let step = try reader.count(max: Int(UInt32.max))
            guard let value = UInt32(exactly: next + UInt64(step)) else { throw damaged("name numbers are too large") }
            values.append(value)
            next = UInt64(value) + 1
        }
        return values
    }

    private static func readPlaces(
        _ reader: inout DescriptorReader, _ regions: SegmentRegions
    ) throws(Fault) -> ([UInt8], [VocabularyPlace]) {
        let count = try reader.count(max: Limits.namesPerStoreMax)
        if count == 0 { return ([], []) }
        let key = Array(try reader.raw(vocabularyKeyBytes))
        var places: [VocabularyPlace] = []
        var next: UInt64 = 0
        var offset = regions.vocabulary
        for _ in 0..<count {
            let step = try reader.count(max: Int(UInt32.max))
            guard let attribute = UInt32(exactly: next + UInt64(step)) else { throw damaged("attribute is too large") }
            next = UInt64(attribute) + 1
            let entries = try reader.count(max: Limits.vocabularyEntriesMax)
            let length = try reader.count(max: Limits.packRawBytesMax + SegmentFormat.tagBytes)
            guard let word = UInt32(exactly: try reader.varint()) else { throw damaged("vocabulary pack is too large") }
            let (rawLength, codec) = try SegmentFormat.HeadPrefix.parse(word)
            guard entries > 0, length >= SegmentFormat.tagBytes, length <= regions.directory - offset else {
                throw damaged("the vocabulary lies outside its region")
            }
            places.append(
                VocabularyPlace(
                    attribute: attribute, entries: entries, offset: offset, length: length, rawLength: rawLength,
                    codec: codec))
            offset += length
        }
        return (key, places)
    }

    private static func damaged(_ message: String) -> Fault { Fault(.damaged, message) }
}
