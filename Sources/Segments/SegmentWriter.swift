// Writes a segment file: header, hot packs, string packs, id packs, vocabulary, sealed directory, footer.
//
// The hot region goes to the file while entities are encoded; strings and ids wait in memory until it ends. A
// segment's id is drawn anew for every call and every pack of it has its own counter, so that no (key, nonce)
// pair comes twice; the vocabulary's key is drawn with it. A file is renamed into place only after fsync.

import EventStoreCore

/// Writes segments. One per thread: scratch memory is kept from one segment to the next.
package final class SegmentWriter {
    private let sealer: any BlockSealer
    private let environment: Environment
    private let compressor = PackCompressor()
    private let entityWriter = EntityWriter()
    private let vocabulary = VocabularyBuilder()
    private var regions = RegionSinks()

    /// Sealed hot packs are handed to the file in pieces of at least this size.
    private static let writeBytes = 4 << 20

    package init(sealer: any BlockSealer, environment: Environment) {
        self.sealer = sealer
        self.environment = environment
    }

    /// Writes rows, sorted by `RowSorter`, all within one partition and at most `Limits.segmentRowsMax`, to
    /// `<directory>/<id>.seg`, durable but for the directory's own sync. On any error nothing is left behind.
    package func write(
        _ rows: UnsafeBufferPointer<RowRef>, of batches: [RowBatch], partitionStart: Int64, partitionMs: Int64,
        options: SegmentOptions, directory: String
    ) throws(Fault) -> SegmentSummary {
        precondition(rows.count > 0 && rows.count <= Limits.segmentRowsMax)
        let id = SegmentID.random(environment)
        let temporary = Path.join(directory, id.hex + ".seg.tmp")
        let path = Path.join(directory, id.hex + ".seg")
        let file = try environment.files.create(temporary)
        defer { file.close() }
        do throws(Fault) {
            var job = Job(
                rows: rows, source: SegmentRows(rows, batches), options: options, file: file,
                summary: SegmentSummary(
                    id: id, partitionStart: partitionStart, partitionMs: partitionMs, rows: rows.count,
                    minTime: .max, maxTime: .min, minSequence: .max, maxSequence: 0, fileBytes: 0, entities: [],
                    typeNumbers: [], attributeNumbers: []))
            try write(&job)
            try file.sync()
            try environment.files.rename(temporary, to: path)
            return job.summary
        } catch {
            // The first error is the one to report.
            do throws(Fault) { try environment.files.unlink(temporary) } catch {}
            throw error
        }
    }

    private struct Job {
        var rows: UnsafeBufferPointer<RowRef>
        var source: SegmentRows
        var options: SegmentOptions
        var file: any FileHandle
        var summary: SegmentSummary
    }

    private func write(_ job: inout Job) throws(Fault) {
        regions.reset()
        let header = SegmentHeader(
            id: job.summary.id, partitionStart: job.summary.partitionStart, partitionMs: job.summary.partitionMs,
            incarnation: job.options.storeIncarnation, createdMs: job.options.createdMs)
        let headerBytes = try header.encoded()
        headerBytes.withUnsafeBytes { regions.hot.raw($0) }
        let ranges = entityRanges(job)
        entityWriter.distinct.reserve(strings: job.source.stringCapacity)
        let usesVocabulary = findVocabulary(job, ranges)
        try writeEntities(&job, ranges, usesVocabulary)
        try finish(&job, headerBytes)
    }

    /// Rows of each entity, which stand together.
    private func entityRanges(_ job: Job) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = 0
        var current = job.source.entityNumber(job.rows[0])
        var last = job.rows[0]
        var lastCode = job.source.view(last).entity[Int(last.row)]
        for index in 1..<max(job.rows.count, 1) {
            let ref = job.rows[index]
            let code = job.source.view(ref).entity[Int(ref.row)]
            if code == lastCode, ref.batch == last.batch { continue }
            (last, lastCode) = (ref, code)
            let entity = job.source.entityNumber(ref)
            if entity == current { continue }
            precondition(entity > current, "rows are not sorted by entity")
            ranges.append(start..<index)
            start = index
            current = entity
        }
        ranges.append(start..<job.rows.count)
        return ranges
    }

    // MARK: Vocabulary

    private func findVocabulary(_ job: Job, _ ranges: [Range<Int>]) -> Bool {
        vocabulary.clear()
        let least = job.options.sharedValueEntitiesMin
        guard least > 0, ranges.count >= least else { return false }
        var personal: [UInt32: Bool] = [:]
        func isShareable(_ key: ColumnKey) -> Bool {
            guard key.kind == .string else { return false }
            if let known = personal[key.attribute] { return !known }
            let isPersonal = job.options.isPersonal(key.attribute)
            personal[key.attribute] = isPersonal
            return !isPersonal
        }
        let gather = entityWriter.gather
        let distinct = entityWriter.distinct
        for range in ranges {
            let entity = job.source.entityNumber(job.rows[range.lowerBound])
            var start = range.lowerBound
            while start < range.upperBound {
                let end = min(start + Limits.blockRowsMax, range.upperBound)
                gather.gather(
                    UnsafeBufferPointer(rebasing: job.rows[start..<end]), job.source, only: isShareable)
                start = end
                for column in gather.columns where column.count > 0 {
                    distinct.find(gather.cells(column), count: column.count)
                    vocabulary.count(
                        attribute: column.key.attribute, strings: distinct.entries.base,
                        count: distinct.entries.count, entity: entity)
                }
            }
        }
        vocabulary.choose(entitiesMin: least, job.source)
        return !vocabulary.isEmpty
    }

    /// Seals the vocabulary, one pack an attribute, into `sink`.
    private func sealVocabulary(
        _ job: Job, _ key: [UInt8], offset start: Int, into sink: inout ByteSink
    ) throws(Fault) -> [VocabularyPlace] {
        var failure: Fault?
        key.withUnsafeBytes { bytes in
            do throws(Fault) { try sealer.useVocabularyKey(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        var places: [VocabularyPlace] = []
        for (index, attribute) in vocabulary.attributes.enumerated() {
            let plain = VocabularyCodec.encode(attribute.strings.map { job.source.string($0) })
            defer { withExtendedLifetime(plain) {} }
            let (bytes, codec) = compressor.compress(plain.bytes, high: job.options.highCompression)
            let offset = start + sink.count
            let length = try PackSealing.seal(
                bytes, .vocabulary(job.summary.id, pack: index), codec: codec, rawLength: plain.count,
                sealer: sealer, into: &sink)
            places.append(
                VocabularyPlace(
                    attribute: attribute.attribute, entries: attribute.strings.count, offset: offset, length: length,
                    rawLength: plain.count, codec: codec))
        }
        return places
    }

    // MARK: Entities

    private func writeEntities(_ job: inout Job, _ ranges: [Range<Int>], _ usesVocabulary: Bool) throws(Fault) {
        var names = NameUse(job.source)
        let context = PackContext(
            segment: job.summary.id, sealer: sealer, compressor: compressor, high: job.options.highCompression)
        job.summary.entities.reserveCapacity(ranges.count)
        for range in ranges {
            let rows = UnsafeBufferPointer(rebasing: job.rows[range])
            var entry = names.entry(job.source.entityNumber(rows[0]), rows, job.source)
            precondition(entry.entity < SegmentFormat.entityNumberEnd)
            let input = BlockEncoder.Input(
                rows: rows, source: job.source, vocabulary: usesVocabulary ? vocabulary : nil,
                partitionStart: job.summary.partitionStart, sequenceBase: job.options.sequenceBase)
            entry.keyID = try sealer.entityKeyID(entry.entity)
            let work = EntityWriter.Job(
                entity: entry.entity, keyID: entry.keyID, input: input,
                blockRowsMax: job.options.blockRowsMax, context: context)
            (entry.headOffset, entry.headLength) = try entityWriter.write(work, &regions)
            job.summary.entities.append(entry)
            job.summary.minTime = min(job.summary.minTime, entry.minTime)
            job.summary.maxTime = max(job.summary.maxTime, entry.maxTime)
            if regions.hot.count >= SegmentWriter.writeBytes { try flushHot(job.file) }
        }
        precondition(
            job.summary.minTime >= job.summary.partitionStart
                && job.summary.maxTime - job.summary.partitionStart < job.summary.partitionMs,
            "rows outside their partition")
        var (least, greatest) = (UInt64.max, UInt64(0))
        for ref in job.rows {
            let sequence = job.source.view(ref).sequence[Int(ref.row)] &- job.options.sequenceBase
            least = min(least, sequence)
            greatest = max(greatest, sequence)
        }
        job.summary.minSequence = least
        job.summary.maxSequence = greatest
        job.summary.typeNumbers = names.types
        job.summary.attributeNumbers = names.attributes
    }

    private func flushHot(_ file: any FileHandle) throws(Fault) {
        try file.write(regions.hot.bytes, at: regions.hotWritten)
        regions.hotWritten += regions.hot.count
        regions.hot.removeAll()
    }

    // MARK: End of the file

    private func finish(_ job: inout Job, _ header: [UInt8]) throws(Fault) {
        try flushHot(job.file)
        var places = SegmentRegions(strings: regions.hotWritten, ids: 0, vocabulary: 0, directory: 0)
        places.ids = places.strings + regions.strings.count
        places.vocabulary = places.ids + regions.ids.count
        try job.file.write(regions.strings.bytes, at: places.strings)
        try job.file.write(regions.ids.bytes, at: places.ids)
        var key: [UInt8] = []
        var vocabularyPlaces: [VocabularyPlace] = []
        regions.hot.removeAll()
        if !vocabulary.isEmpty {
            key = environment.random(DirectoryCodec.vocabularyKeyBytes)
            vocabularyPlaces = try sealVocabulary(job, key, offset: places.vocabulary, into: &regions.hot)
        }
        places.directory = places.vocabulary + regions.hot.count
        try SegmentEnding.append(
            job.summary, vocabularyKey: key, vocabularyPlaces: vocabularyPlaces, regions: places, header: header,
            compressor: compressor, high: job.options.highCompression, sealer: sealer, into: &regions.hot)
        try job.file.write(regions.hot.bytes, at: places.vocabulary)
        job.summary.fileBytes = places.vocabulary + regions.hot.count
    }
}

/// What every segment ends with: the sealed directory and the footer.
enum SegmentEnding {
    static func append(
        _ summary: SegmentSummary, vocabularyKey: [UInt8], vocabularyPlaces: [VocabularyPlace],
        regions: SegmentRegions, header: [UInt8], compressor: PackCompressor, high: Bool, sealer: any BlockSealer,
        into sink: inout ByteSink
    ) throws(Fault) {
        let box = ByteSinkBox()
        defer { withExtendedLifetime(box) {} }
        DirectoryCodec.write(
            summary, vocabularyKey: vocabularyKey, places: vocabularyPlaces, regions: regions, into: &box.sink)
        guard box.count <= Limits.packRawBytesMax else {
            throw Fault(.limit, "directory of a segment is larger than a pack may be")
        }
        let (bytes, codec) = compressor.compress(box.bytes, high: high)
        let footer = SegmentFooter(
            regions: regions, directoryLength: bytes.count + SegmentFormat.tagBytes, directoryRawLength: box.count,
            directoryCodec: codec)
        var failure: Fault?
        header.withUnsafeBytes { header in
            do throws(Fault) {
                try PackSealing.seal(
                    bytes, .directory(summary.id), codec: codec, rawLength: box.count, header: header,
                    sealer: sealer, into: &sink)
            } catch { failure = error }
        }
        if let failure { throw failure }
        footer.encoded().withUnsafeBytes { sink.raw($0) }
    }
}

extension RegionSinks {
    /// What a writer keeps of each sink's memory between segments.
    private static let keptBytesMax = 16 << 20

    mutating func reset() {
        hot.removeAll(keepingAtMost: RegionSinks.keptBytesMax)
        hotWritten = 0
        strings.removeAll(keepingAtMost: RegionSinks.keptBytesMax)
        ids.removeAll(keepingAtMost: RegionSinks.keptBytesMax)
    }
}

/// Which names a segment uses, and how many rows of each type every entity has.
private struct NameUse {
    private var usedShapes: [Bool]
    private let source: SegmentRows

    init(_ source: SegmentRows) {
        self.source = source
        usedShapes = [Bool](repeating: false, count: source.shapes.count)
    }

    mutating func entry(
        _ entity: UInt32, _ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows
    ) -> SegmentEntityEntry {
        var entry = SegmentEntityEntry(
            entity: entity, rows: rows.count, minTime: .max, maxTime: .min, headOffset: 0, headLength: 0, types: [])
        var lastShape = -1
        var count = 0
        for ref in rows {
            let view = source.view(ref)
            let time = view.timestamp[Int(ref.row)]
            entry.minTime = min(entry.minTime, time)
            entry.maxTime = max(entry.maxTime, time)
            let shape = Int(view.shapes[Int(view.shape[Int(ref.row)])])
            if shape != lastShape {
                addRows(count, lastShape, &entry)
                count = 0
                lastShape = shape
            }
            count += 1
        }
        addRows(count, lastShape, &entry)
        return entry
    }

    private mutating func addRows(_ count: Int, _ shape: Int, _ entry: inout SegmentEntityEntry) {
        if count == 0 { return }
        usedShapes[shape] = true
        let type = source.shapes[shape].type
        let last = entry.types.count - 1
        if last >= 0, entry.types[last].type == type {
            entry.types[last].rows += count
        } else {
            precondition(last < 0 || entry.types[last].type < type, "rows are not sorted by type")
            entry.types.append(TypeCount(type: type, rows: count))
        }
    }

    var types: [UInt32] {
        Set(usedShapes.indices.lazy.filter { usedShapes[$0] }.map { source.shapes[$0].type }).sorted()
    }

    var attributes: [UInt32] {
        var found: Set<UInt32> = []
        for index in usedShapes.indices where usedShapes[index] {
            for key in source.shapes[index].keys { found.insert(key.attribute) }
        }
        return found.sorted()
    }
}
