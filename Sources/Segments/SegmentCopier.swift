// Copies entities of a segment into a new one under other keys, without decoding their columns: each pack is opened
// and sealed again as it is, with the new segment's id, key and entity number in its additional data.
//
// What says where packs lie in the file is written anew: an entity's head, or the heads of its blocks. When not all of
// the segment is taken, of its vocabulary only the values go along that the copied blocks use; their numbers stay, the
// others become empty. Columns are decoded as far as that needs: the numbers of shared values, and sequences.

import EventStoreCore

/// What to copy, and as what.
package struct SegmentCopy {
    /// Ascending by entity.
    package var entries: [SegmentEntityEntry]
    /// The new segment's numbers of the entities, ascending as well.
    package var numbers: [UInt32]
    /// Whether rows are to be counted by day.
    package var countsDays: Bool
    package var storeIncarnation: UInt64
    package var createdMs: Int64

    package init(
        entries: [SegmentEntityEntry], numbers: [UInt32], countsDays: Bool, storeIncarnation: UInt64, createdMs: Int64
    ) {
        self.entries = entries
        self.numbers = numbers
        self.countsDays = countsDays
        self.storeIncarnation = storeIncarnation
        self.createdMs = createdMs
    }
}

/// Rows of one entity and type on one UTC day.
package struct DayRows: Hashable, Sendable {
    /// Days since 1970.
    package var day: Int64
    package var entity: UInt32
    package var type: UInt32

    package init(day: Int64, entity: UInt32, type: UInt32) {
        self.day = day
        self.entity = entity
        self.type = type
    }
}

/// Copies segments. One per thread: buffers are kept from one segment to the next.
package final class SegmentCopier {
    private let source: any BlockSealer
    private let target: any BlockSealer
    private let environment: Environment
    private let scanner: BlockScanner
    private let compressor = PackCompressor()
    private var regions = RegionSinks()
    private var pack = ByteSink(capacity: 64 * 1024)
    private var hot = ByteSink(capacity: 64 * 1024)
    private var heads = ByteSink()
    private var head = ByteSink()
    private var records = ByteSink()
    private var plain = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    private var isWanted: [Bool] = []

    private static let writeBytes = 4 << 20

    /// - Parameters:
    ///   - source: opens the packs, by the entities' numbers in the segment.
    ///   - target: seals them, by their new numbers.
    package init(source: any BlockSealer, target: any BlockSealer, environment: Environment) {
        self.source = source
        self.target = target
        self.environment = environment
        scanner = BlockScanner(sealer: source)
    }

    deinit { plain.deallocate() }

    /// What one copy has found out so far.
    private struct Job {
        var segment: SegmentReader
        var id: SegmentID
        var isWhole: Bool
        var countsDays: Bool
        var file: any FileHandle
        var summary: SegmentSummary
        var use = VocabularyUse()
        var types: Set<UInt32> = []
        var attributes: Set<UInt32> = []
        var days: [DayRows: Int] = [:]
    }

    /// Writes `<directory>/<id>.seg`. Nothing is synced: that is the caller's, for all files of an export at once. On any
    /// error nothing is left behind.
    /// - Throws: what of the source cannot be read; there is no copy of a part.
    package func copy(
        _ segment: SegmentReader, _ copy: SegmentCopy, directory: String
    ) throws(Fault) -> (summary: SegmentSummary, days: [DayRows: Int]) {
        precondition(!copy.entries.isEmpty && copy.entries.count == copy.numbers.count)
        let id = SegmentID.random(environment)
        let temporary = Path.join(directory, id.hex + ".seg.tmp")
        let file = try environment.files.create(temporary)
        defer { file.close() }
        do throws(Fault) {
            var job = Job(
                segment: segment, id: id, isWhole: try isWhole(copy, segment), countsDays: copy.countsDays, file: file,
                summary: SegmentCopier.summary(id, copy, segment))
            try write(&job, copy)
            try environment.files.rename(temporary, to: Path.join(directory, id.hex + ".seg"))
            return (job.summary, job.days)
        } catch {
            // The first error is the one to report.
            do throws(Fault) { try environment.files.unlink(temporary) } catch {}
            throw error.at(file: segment.path)
        }
    }

    /// Whether the copy has all there is: then vocabulary and ranges are those of the segment.
    private func isWhole(_ copy: SegmentCopy, _ segment: SegmentReader) throws(Fault) -> Bool {
        // Most copies of a part are of one entity: no need to read the directory for that.
        guard copy.entries.count > 1 || segment.fileBytes < SegmentCopier.writeBytes else { return false }
        return try segment.directory(source).entities == copy.entries
    }

    private static func summary(_ id: SegmentID, _ copy: SegmentCopy, _ segment: SegmentReader) -> SegmentSummary {
        SegmentSummary(
            id: id, partitionStart: segment.partitionStart, partitionMs: segment.partitionMs,
            rows: copy.entries.reduce(0) { $0 + $1.rows }, minTime: copy.entries.map(\.minTime).min() ?? 0,
            maxTime: copy.entries.map(\.maxTime).max() ?? 0, minSequence: .max, maxSequence: 0, fileBytes: 0,
            entities: [], typeNumbers: [], attributeNumbers: [])
    }

    private func write(_ job: inout Job, _ copy: SegmentCopy) throws(Fault) {
        regions.reset()
        source.refresh()
        let header = try SegmentHeader(
            id: job.id, partitionStart: job.summary.partitionStart, partitionMs: job.summary.partitionMs,
            incarnation: copy.storeIncarnation, createdMs: copy.createdMs
        ).encoded()
        header.withUnsafeBytes { regions.hot.raw($0) }
        try scanner.prefetch(job.segment)
        for (entry, number) in zip(copy.entries, copy.numbers) {
            job.summary.entities.append(try copyEntity(entry, as: number, &job))
            if regions.hot.count >= SegmentCopier.writeBytes { try flushHot(job.file) }
        }
        if job.isWhole {
            let directory = try job.segment.directory(source)
            job.summary.minSequence = directory.minSequence
            job.summary.maxSequence = directory.maxSequence
            job.summary.typeNumbers = directory.typeNumbers
            job.summary.attributeNumbers = directory.attributeNumbers
        } else {
            job.summary.typeNumbers = job.types.sorted()
            job.summary.attributeNumbers = job.attributes.sorted()
        }
        try finish(&job, header)
    }

    private func flushHot(_ file: any FileHandle) throws(Fault) {
        try file.write(regions.hot.bytes, at: regions.hotWritten)
        regions.hotWritten += regions.hot.count
        regions.hot.removeAll()
    }
}

// MARK: - Entities

extension SegmentCopier {
    /// An entity on its way: who it was and who it becomes.
    private struct Identities {
        var from: UInt32
        var fromKey: UInt64
        var to: UInt32
        var toKey: UInt64
        var segment: SegmentID
        var copy: SegmentID

        func source(block: Int, pack: Int, rows: Int) -> PackIdentity {
            .entity(from, keyID: fromKey, segment: segment, block: block, pack: pack, rows: rows)
        }

        func target(block: Int, pack: Int, rows: Int) -> PackIdentity {
            .entity(to, keyID: toKey, segment: copy, block: block, pack: pack, rows: rows)
        }
    }

    private func copyEntity(
        _ entry: SegmentEntityEntry, as number: UInt32, _ job: inout Job
    ) throws(Fault) -> SegmentEntityEntry {
        try scanner.open(job.segment, entry)
        let who = Identities(
            from: entry.entity, fromKey: scanner.keyID, to: number, toKey: try target.entityKeyID(number),
            segment: job.segment.id, copy: job.id)
        hot.removeAll()
        heads.removeAll()
        head.removeAll()
        records.removeAll()
        var isUnchanged = false
        for index in 0..<scanner.blockCount {
            let (strings, ids) = (regions.strings.count, regions.ids.count)
            do throws(Fault) {
                try copyPacks(index, who, &job)
                try look(index, &job)
            } catch { throw scanner.located(error, index) }
            isUnchanged = relocate(scanner.blockState(index), strings: strings, ids: ids)
            if scanner.blockCount > 1 { try sealBlockHead(index, who, job) }
        }
        var copied = entry
        copied.entity = number
        copied.keyID = who.toKey
        (copied.headOffset, copied.headLength) = try sealHead(entry, who, job, isUnchanged: isUnchanged)
        return copied
    }

    /// The block's directory with the places its packs have now, in `pack`; whether it is the same as before.
    private func relocate(_ block: UnsafeMutablePointer<BlockState>, strings: Int, ids: Int) -> Bool {
        let directory = block.pointee.directory
        pack.removeAll()
        var done = 0
        for (place, offset) in [(block.pointee.stringsPlace, strings), (block.pointee.idsPlace, ids)]
        where place.end > 0 {
            pack.raw(UnsafeRawBufferPointer(rebasing: directory[done..<Int(place.start)]))
            pack.varint(offset)
            done = Int(place.end)
        }
        pack.raw(UnsafeRawBufferPointer(rebasing: directory[done...]))
        return pack.count == directory.count && pack.bytes.elementsEqual(directory)
    }

    /// One of several blocks: its directory, in `pack`, is a pack of its own.
    private func sealBlockHead(_ index: Int, _ who: Identities, _ job: Job) throws(Fault) {
        let block = scanner.blockState(index).pointee
        let (bytes, codec) = compressor.compress(pack.bytes, high: false)
        let length = try PackSealing.seal(
            bytes, who.target(block: index + 1, pack: 0, rows: block.rows), codec: codec, rawLength: pack.count,
            sealer: target, into: &heads)
        records.varint(block.rows)
        records.zigzag(block.minTime &- job.segment.partitionStart)
        records.varint(UInt64(bitPattern: block.maxTime &- block.minTime))
        records.varint(UInt64(SegmentFormat.HeadPrefix.make(rawLength: pack.count, codec: codec)))
        records.varint(length)
    }

    /// Seals the entity's head, then puts heads of blocks and hot packs behind it. Returns its place and length.
    private func sealHead(
        _ entry: SegmentEntityEntry, _ who: Identities, _ job: Job, isUnchanged: Bool
    ) throws(Fault) -> (offset: Int, length: Int) {
        let offset = regions.hot.count
        let identity = who.target(block: 0, pack: 0, rows: entry.rows)
        if isUnchanged, scanner.blockCount == 1 {
            // As it stands in the file, compressed as it is.
            let prefix = SegmentFormat.HeadPrefix.byteCount
            let stored = try scanner.bytes(at: entry.headOffset, entry.headLength, job.segment)
            let word = UInt32(littleEndian: stored.loadUnaligned(as: UInt32.self))
            let (rawLength, codec) = try SegmentFormat.HeadPrefix.parse(word)
            regions.hot.integer(word)
            _ = try reseal(
                UnsafeRawBufferPointer(rebasing: stored[prefix...]), who.source(block: 0, pack: 0, rows: entry.rows),
                identity, codec, rawLength, into: &regions.hot)
        } else {
            head.varint(scanner.blockCount)
            head.raw(scanner.blockCount == 1 ? pack.bytes : records.bytes)
            let (bytes, codec) = compressor.compress(head.bytes, high: false)
            regions.hot.integer(SegmentFormat.HeadPrefix.make(rawLength: head.count, codec: codec))
            try PackSealing.seal(
                bytes, identity, codec: codec, rawLength: head.count, sealer: target, into: &regions.hot)
        }
        let length = regions.hot.count - offset
        regions.hot.raw(heads.bytes)
        regions.hot.raw(hot.bytes)
        return (regions.hotWritten + offset, length)
    }

    // MARK: Packs

    /// Opens a pack and seals it as the target's; what it holds, still compressed, is valid until the next call.
    private func reseal(
        _ sealed: UnsafeRawBufferPointer, _ from: PackIdentity, _ to: PackIdentity, _ codec: PackCodec,
        _ rawLength: Int, into sink: inout ByteSink
    ) throws(Fault) -> UnsafeRawBufferPointer {
        let length = sealed.count - SegmentFormat.tagBytes
        guard length >= 0, codec != .raw || length == rawLength else {
            throw Fault(.damaged, "a pack's length does not fit")
        }
        if plain.count < length {
            plain.deallocate()
            plain = .allocate(byteCount: length, alignment: 16)
        }
        let opened = UnsafeMutableRawBufferPointer(rebasing: plain[..<length])
        try PackSealing.open(sealed, from, codec: codec, rawLength: rawLength, sealer: source, into: opened)
        let bytes = UnsafeRawBufferPointer(opened)
        try PackSealing.seal(bytes, to, codec: codec, rawLength: rawLength, sealer: target, into: &sink)
        return bytes
    }

    private func copyPacks(_ index: Int, _ who: Identities, _ job: inout Job) throws(Fault) {
        let block = scanner.blockState(index)
        findWanted(block, job)
        let starts = job.segment.regions
        for number in block.pointee.packs.indices where block.pointee.packs[number].length > 0 {
            let slot = block.pointee.packs[number]
            let from = who.source(block: index + 1, pack: slot.number, rows: block.pointee.rows)
            let to = who.target(block: index + 1, pack: slot.number, rows: block.pointee.rows)
            let sealed = try scanner.bytes(at: slot.offset, slot.length, job.segment)
            let bytes: UnsafeRawBufferPointer
            if slot.offset < starts.strings {
                bytes = try reseal(sealed, from, to, slot.codec, slot.rawLength, into: &hot)
            } else if slot.offset < starts.ids {
                bytes = try reseal(sealed, from, to, slot.codec, slot.rawLength, into: &regions.strings)
            } else {
                bytes = try reseal(sealed, from, to, slot.codec, slot.rawLength, into: &regions.ids)
            }
            guard isWanted[number] else { continue }
            let memory = UnsafeMutableRawBufferPointer(
                start: scanner.arena.bytes(max(slot.rawLength, 1)), count: slot.rawLength)
            try PackCompressor.decompress(bytes, codec: slot.codec, into: memory)
            block.pointee.packs[number].memory = UnsafeRawBufferPointer(memory)
        }
    }

    /// Which packs of a block are to be looked into.
    private func findWanted(_ block: UnsafeMutablePointer<BlockState>, _ job: Job) {
        isWanted.removeAll(keepingCapacity: true)
        isWanted.append(contentsOf: repeatElement(false, count: block.pointee.packs.count))
        func want(_ place: PayloadPlace) { if place.length > 0 { isWanted[Int(place.pack)] = true } }
        if job.countsDays {
            want(block.pointee.time.place)
            if !block.pointee.flags.contains(.shapesInOrder) { want(block.pointee.shape.place) }
        }
        guard !job.isWhole else { return }
        want(block.pointee.sequence.place)
        for slot in block.pointee.columns where VocabularyUse.mayUse(slot, block.pointee) { want(slot.place) }
    }

    /// Notes what of a block has to be known beside its packs.
    private func look(_ index: Int, _ job: inout Job) throws(Fault) {
        let block = scanner.blockState(index)
        let rows = block.pointee.rows
        if job.countsDays {
            let times = try scanner.timestamps(index)
            let codes = try scanner.shapeCodes(index)
            for row in 0..<rows {
                let day = times[row] >= 0 ? times[row] / Limits.msPerDay : (times[row] + 1) / Limits.msPerDay - 1
                let type = block.pointee.shapes[Int(codes[row])].type
                job.days[DayRows(day: day, entity: scanner.entity, type: type), default: 0] += 1
            }
        }
        guard !job.isWhole else { return }
        let sequences = try scanner.sequences(index)
        for row in 0..<rows {
            let stored = sequences[row] &- job.segment.sequenceBase
            job.summary.minSequence = min(job.summary.minSequence, stored)
            job.summary.maxSequence = max(job.summary.maxSequence, stored)
        }
        for shape in block.pointee.shapes { job.types.insert(shape.type) }
        for slot in block.pointee.columns {
            job.attributes.insert(slot.key.attribute)
            guard VocabularyUse.mayUse(slot, block.pointee) else { continue }
            let payload = try scanner.payload(slot.place, block, index)
            try job.use.note(slot, block.pointee, payload)
        }
    }
}

// MARK: - End of the file

extension SegmentCopier {
    private func finish(_ job: inout Job, _ header: [UInt8]) throws(Fault) {
        try flushHot(job.file)
        var places = SegmentRegions(strings: regions.hotWritten, ids: 0, vocabulary: 0, directory: 0)
        places.ids = places.strings + regions.strings.count
        places.vocabulary = places.ids + regions.ids.count
        try job.file.write(regions.strings.bytes, at: places.strings)
        try job.file.write(regions.ids.bytes, at: places.ids)
        regions.hot.removeAll()
        let (key, vocabulary) = try copyVocabulary(job, at: places.vocabulary)
        places.directory = places.vocabulary + regions.hot.count
        try SegmentEnding.append(
            job.summary, vocabularyKey: key, vocabularyPlaces: vocabulary, regions: places, header: header,
            compressor: compressor, high: false, sealer: target, into: &regions.hot)
        try job.file.write(regions.hot.bytes, at: places.vocabulary)
        job.summary.fileBytes = places.vocabulary + regions.hot.count
    }

    /// Seals the vocabulary under a key of its own.
    private func copyVocabulary(
        _ job: Job, at start: Int
    ) throws(Fault) -> (key: [UInt8], places: [VocabularyPlace]) {
        let columns = try vocabularyColumns(job)
        guard !columns.isEmpty else { return ([], []) }
        let key = environment.random(DirectoryCodec.vocabularyKeyBytes)
        try key.withBytes { (key) throws(Fault) in try target.useVocabularyKey(key) }
        var places: [VocabularyPlace] = []
        for (index, column) in columns.enumerated() {
            let plain = VocabularyCodec.encode(column.values)
            defer { withExtendedLifetime(plain) {} }
            let (bytes, codec) = compressor.compress(plain.bytes, high: false)
            let offset = start + regions.hot.count
            let length = try PackSealing.seal(
                bytes, .vocabulary(job.id, pack: index), codec: codec, rawLength: plain.count, sealer: target,
                into: &regions.hot)
            places.append(
                VocabularyPlace(
                    attribute: column.attribute, entries: column.values.count, offset: offset, length: length,
                    rawLength: plain.count, codec: codec))
        }
        return (key, places)
    }

    /// All values when all of the segment is copied, else those that are used.
    private func vocabularyColumns(
        _ job: Job
    ) throws(Fault) -> [(attribute: UInt32, values: [StringRef])] {
        let attributes =
            job.isWhole
            ? try job.segment.directory(source).vocabularyPlaces.map(\.attribute) : job.use.attributes
        var columns: [(attribute: UInt32, values: [StringRef])] = []
        for attribute in attributes {
            guard let column = try job.segment.vocabularyColumn(attribute, source) else {
                throw Fault(.damaged, "shared value without a vocabulary")
            }
            let entries = UnsafeBufferPointer(start: column.entries, count: column.count)
            columns.append((attribute, job.isWhole ? Array(entries) : try job.use.reduced(entries, of: attribute)))
        }
        return columns
    }
}
