// One journal blob: the rows of one commit, by entity, each entity's rows sealed once under its key.
// The page is docs/format/journal.md. Everything is little-endian.
//
// Blob:    u8 version, varint section count, sections
// Section: varint entity number, u64 key id, varint rows, u8 codec, varint raw length, varint stored length,
//          nonce (24) ‖ ciphertext of the stored bytes ‖ tag (16)
// Raw:     varint shape count, shapes; then the rows in order of sequence
// Shape:   varint type number, varint column count, column keys as steps (number << 3 | kind)
// Row:     varint step of the sequence, varint shape, zigzag step of the timestamp, id (16 bytes, big-endian),
//          then its cells: text as length and bytes, integers zigzag, doubles 8 bytes, booleans 1 byte

import EventStoreCore
import EventStoreSegments

enum JournalFormat {
    static let version: UInt8 = 1
    static let label = "eventstore journal 1"
    /// Sections below this are stored raw: setting up LZ4 would cost more than the few bytes it saves, in an
    /// entry that lives until the next flush.
    static let compressBytesMin = 2048
    static let boxOverheadBytes = 40
    static let sectionBytesMax = Limits.packRawBytesMax
    /// An entity's rows that come to more are cut in two sections, and so on; one row is always less.
    static let sectionBytesTarget = 8 << 20
}

/// What a section is bound to: it cannot be moved to another store, entity, place or length.
struct JournalBinding {
    var storeID: [UInt8]
    var firstSequence: UInt64

    /// - Parameter section: place of the section in its blob, from 0.
    func additionalData(
        section: Int, entity: UInt32, keyID: UInt64, rows: Int, codec: PackCodec, rawLength: Int
    ) -> [UInt8] {
        var writer = ByteWriter(reserving: 80)
        writer.lengthPrefixed(JournalFormat.label)
        writer.raw(storeID)
        writer.integer(firstSequence)
        writer.integer(UInt32(section))
        writer.integer(entity)
        writer.integer(keyID)
        writer.integer(UInt32(rows))
        writer.u8(codec.rawValue)
        writer.integer(UInt32(rawLength))
        return writer.bytes
    }
}

/// Encodes blobs; one per writer lane. Keeps its buffers between calls.
final class JournalEncoder {
    private let sealer: StoreSealer
    private let compressor = PackCompressor()
    private var buffers = Buffers()
    private var shapeCodes: [UInt32] = []
    private var order: [UInt32] = []

    /// Taken out of the class while they are written, which spares a check on each access.
    private struct Buffers: ~Copyable {
        var raw = ByteSink(capacity: 16_384)
        var blob = ByteSink(capacity: 1 << 18)
    }

    init(_ sealer: StoreSealer) { self.sealer = sealer }

    /// The blob of all rows of a batch whose numbers are filled. Sequences count from `binding.firstSequence`.
    func encode(_ batch: RowBatch, _ binding: JournalBinding) throws(Fault) -> [UInt8] {
        let starts = group(batch)
        var buffers = Buffers(raw: ByteSink(capacity: 16), blob: ByteSink(capacity: 16))
        swap(&buffers, &self.buffers)
        defer { swap(&buffers, &self.buffers) }
        buffers.blob.removeAll(keepingAtMost: 16 << 20)
        var count = 0
        for section in starts where section.rows > 0 {
            try write(batch, section, binding, &buffers, &count)
        }
        var head = ByteSink(capacity: 16)
        head.u8(JournalFormat.version)
        head.varint(count)
        return [UInt8](unsafeUninitializedCapacity: head.count + buffers.blob.count) { target, size in
            let target = UnsafeMutableRawBufferPointer(target)
            target.copyMemory(from: head.bytes)
            UnsafeMutableRawBufferPointer(rebasing: target[head.count...]).copyMemory(from: buffers.blob.bytes)
            size = head.count + buffers.blob.count
        }
    }

    private struct Section {
        var entity: UInt32
        var start: Int
        var rows: Int
    }

    /// Sorts rows by local entity code, keeping their order inside one: a counting sort.
    private func group(_ batch: RowBatch) -> [Section] {
        var counts = [Int](repeating: 0, count: batch.entityNumbers.count)
        for row in 0..<batch.rowCount { counts[Int(batch.entity.base[row])] += 1 }
        var sections: [Section] = []
        var places = counts
        var start = 0
        for (code, rows) in counts.enumerated() {
            sections.append(Section(entity: batch.entityNumbers[code], start: start, rows: rows))
            places[code] = start
            start += rows
        }
        if order.count < batch.rowCount { order = [UInt32](repeating: 0, count: batch.rowCount) }
        for row in 0..<batch.rowCount {
            let code = Int(batch.entity.base[row])
            order[places[code]] = UInt32(row)
            places[code] += 1
        }
        if shapeCodes.count < batch.shapes.count {
            shapeCodes = [UInt32](repeating: .max, count: batch.shapes.count)
        }
        return sections
    }

    /// Adds to `count` how many sections the rows became.
    private func write(
        _ batch: RowBatch, _ section: Section, _ binding: JournalBinding, _ buffers: inout Buffers,
        _ count: inout Int
    ) throws(Fault) {
        let fits = encodeRows(batch, section, binding, into: &buffers.raw)
        if !fits, section.rows > 1 {
            let half = section.rows / 2
            let first = Section(entity: section.entity, start: section.start, rows: half)
            let second = Section(entity: section.entity, start: section.start + half, rows: section.rows - half)
            try write(batch, first, binding, &buffers, &count)
            try write(batch, second, binding, &buffers, &count)
            return
        }
        try seal(section, count, binding, &buffers)
        count += 1
    }

    /// Fills `raw`; false when the rows are too many bytes for one section.
    private func encodeRows(
        _ batch: RowBatch, _ section: Section, _ binding: JournalBinding, into raw: inout ByteSink
    ) -> Bool {
        raw.removeAll()
        let rows = section.start..<section.start + section.rows
        writeShapes(batch, rows, into: &raw)
        var sequence = binding.firstSequence
        var time: Int64 = 0
        for place in rows {
            let row = Int(order[place])
            raw.varint(batch.sequence.base[row] - sequence)
            sequence = batch.sequence.base[row]
            raw.varint(UInt64(shapeCodes[Int(batch.shape.base[row])]))
            raw.zigzag(batch.timestamp.base[row] &- time)
            time = batch.timestamp.base[row]
            raw.integer(batch.id.base[row].high.bigEndian)
            raw.integer(batch.id.base[row].low.bigEndian)
            JournalEncoder.writeCells(batch, row, into: &raw)
            if raw.count > JournalFormat.sectionBytesTarget { break }
        }
        for place in rows { shapeCodes[Int(batch.shape.base[Int(order[place])])] = .max }
        return raw.count <= JournalFormat.sectionBytesTarget
    }

    private func writeShapes(_ batch: RowBatch, _ rows: Range<Int>, into raw: inout ByteSink) {
        var used: [Int] = []
        for place in rows {
            let shape = Int(batch.shape.base[Int(order[place])])
            if shapeCodes[shape] == .max {
                shapeCodes[shape] = UInt32(used.count)
                used.append(shape)
            }
        }
        raw.varint(used.count)
        for number in used {
            let shape = batch.shapes[number]
            raw.varint(UInt64(batch.typeNumbers[Int(shape.type)]))
            raw.varint(shape.columns.count)
            for column in shape.columns {
                let attribute = batch.attributeNumbers[Int(column.attribute)]
                raw.varint(UInt64(ColumnKey(attribute: attribute, kind: column.kind).raw))
            }
        }
    }

    private static func writeCells(_ batch: RowBatch, _ row: Int, into raw: inout ByteSink) {
        let columns = batch.shapes[Int(batch.shape.base[row])].columns
        let cells = batch.cells(ofRow: row)
        for (index, column) in columns.enumerated() {
            switch column.kind {
            case .string, .json:
                let text = batch.strings.bytes(Int(cells[index]))
                raw.varint(text.count)
                raw.raw(text)
            case .integer: raw.zigzag(Int64(bitPattern: cells[index]))
            case .double: raw.integer(cells[index])
            case .bool: raw.u8(UInt8(truncatingIfNeeded: cells[index]))
            }
        }
    }

    private func seal(
        _ section: Section, _ number: Int, _ binding: JournalBinding, _ buffers: inout Buffers
    ) throws(Fault) {
        let keyID = try sealer.entityKeyID(section.entity)
        let plain = buffers.raw.bytes
        let (stored, codec) =
            plain.count >= JournalFormat.compressBytesMin
            ? compressor.compress(plain, high: false) : (bytes: plain, codec: PackCodec.raw)
        let aad = binding.additionalData(
            section: number, entity: section.entity, keyID: keyID, rows: section.rows, codec: codec,
            rawLength: plain.count)
        buffers.blob.varint(UInt64(section.entity))
        buffers.blob.integer(keyID)
        buffers.blob.varint(section.rows)
        buffers.blob.u8(codec.rawValue)
        buffers.blob.varint(plain.count)
        buffers.blob.varint(stored.count)
        let length = stored.count + JournalFormat.boxOverheadBytes
        let target = UnsafeMutableRawBufferPointer(start: buffers.blob.extend(length), count: length)
        try aad.withBytes { (aad) throws(Fault) in
            try sealer.sealSection(entity: section.entity, aad: aad, plain: stored, into: target)
        }
    }
}

/// Decodes blobs into batches. One per thread.
final class JournalDecoder {
    private let sealer: StoreSealer

    init(_ sealer: StoreSealer) { self.sealer = sealer }

    /// The rows of a blob; those of erased entities are left out. Throws `damaged` or `tampered`.
    func decode(_ blob: [UInt8], _ binding: JournalBinding, received: Int64) throws(Fault) -> RowBatch {
        let target = JournalRows()
        try blob.withBytes { (bytes) throws(Fault) in
            var reader = ByteReader(bytes)
            let version = try reader.u8()
            guard version == JournalFormat.version else {
                throw Fault(.tooNew, "a journal entry has format version \(version)")
            }
            let sections = try reader.count(max: Limits.segmentRowsMax)
            for number in 0..<sections { try decodeSection(number, &reader, binding, received, target) }
            guard reader.isAtEnd else { throw Fault(.damaged, "a journal entry is longer than its sections") }
        }
        return target.batch
    }

    /// What can be read of a blob that does not decode as a whole: sections that fail are left out. Of those it says what
    /// their headers say, which nothing vouches for; a header that makes no sense ends the blob.
    func salvage(
        _ blob: [UInt8], _ binding: JournalBinding, received: Int64
    ) -> (rows: RowBatch, lost: [(entity: UInt32, rows: Int, fault: Fault)]) {
        var target = JournalRows()
        var lost: [(entity: UInt32, rows: Int, fault: Fault)] = []
        blob.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            guard (try? reader.u8()) == JournalFormat.version,
                let sections = try? reader.count(max: Limits.segmentRowsMax)
            else { return }
            for number in 0..<sections {
                var header = reader
                let before = target.batch.rowCount
                do throws(Fault) {
                    try decodeSection(number, &reader, binding, received, target)
                } catch {
                    // What is sealed is whole or not there; half a section would be a fault of the writer.
                    if target.batch.rowCount != before { target = JournalRows() }
                    guard let entity = try? header.count(max: Int(UInt32.max) - 1), (try? header.u64()) != nil,
                        let rows = try? header.count(max: Limits.segmentRowsMax)
                    else { return }
                    lost.append((UInt32(entity), rows, error))
                }
            }
        }
        return (target.batch, lost)
    }

    private func decodeSection(
        _ number: Int, _ reader: inout ByteReader, _ binding: JournalBinding, _ received: Int64, _ target: JournalRows
    ) throws(Fault) {
        let entity = UInt32(try reader.count(max: Int(UInt32.max) - 1))
        let keyID = try reader.u64()
        let rows = try reader.count(max: Limits.segmentRowsMax)
        guard let codec = PackCodec(rawValue: try reader.u8()) else {
            throw Fault(.damaged, "a journal entry has an unknown codec")
        }
        let rawLength = try reader.count(max: JournalFormat.sectionBytesMax)
        let storedLength = try reader.count(max: JournalFormat.sectionBytesMax)
        let box = try reader.raw(storedLength + JournalFormat.boxOverheadBytes)
        let aad = binding.additionalData(
            section: number, entity: entity, keyID: keyID, rows: rows, codec: codec, rawLength: rawLength)
        var stored = [UInt8](repeating: 0, count: storedLength)
        do throws(Fault) {
            try stored.withMutableBytes { (stored) throws(Fault) in
                try aad.withBytes { (aad) throws(Fault) in
                    try sealer.openSection(entity: entity, keyID: keyID, aad: aad, box: box, into: stored)
                }
            }
        } catch {
            guard error.code == .keyErased else { throw error.at(entity: entity) }
            // Only a tombstone says that a key was erased; a number nobody has is a changed byte.
            if sealer.isErased(keyID) { return }
            throw Fault(.tampered, "a journal section names an entity that never was", at: .init(entity: entity))
        }
        var plain = [UInt8](repeating: 0, count: rawLength)
        try plain.withMutableBytes { (plain) throws(Fault) in
            try stored.withBytes { (stored) throws(Fault) in
                try PackCompressor.decompress(stored, codec: codec, into: plain)
            }
        }
        try plain.withBytes { (plain) throws(Fault) in
            var inner = ByteReader(plain)
            try target.decode(&inner, entity: entity, rows: rows, binding.firstSequence, received)
            guard inner.isAtEnd else { throw Fault(.damaged, "a journal section is longer than its rows") }
        }
    }
}

/// Rows coming out of a journal section into a batch. The batch's local codes stand for store numbers.
private final class JournalRows {
    let batch = RowBatch(rowCapacity: 512)
    private var typeCodes: [UInt32: UInt32] = [:]
    private var attributeCodes: [UInt32: UInt32] = [:]

    /// A shape of the section: its number in the batch, the kinds of its cells as stored, and where each goes.
    private struct Shape {
        var number: UInt32
        var kinds: [ValueKind]
        var places: [Int]
    }

    func decode(
        _ reader: inout ByteReader, entity: UInt32, rows: Int, _ firstSequence: UInt64, _ received: Int64
    ) throws(Fault) {
        let shapeCount = try reader.count(max: max(rows, 1))
        var shapes: [Shape] = []
        for _ in 0..<shapeCount { shapes.append(try shape(&reader)) }
        let entityCode = UInt32(batch.entityNumbers.count)
        batch.entityNumbers.append(entity)
        var sequence = firstSequence
        var time: Int64 = 0
        for _ in 0..<rows {
            sequence &+= try reader.varint()
            let code = try reader.count(max: Int(UInt32.max))
            guard code < shapes.count else { throw Fault(.damaged, "a journal row has no shape") }
            time &+= try reader.zigzag()
            let high = UInt64(bigEndian: try reader.integer(UInt64.self).littleEndian)
            let low = UInt64(bigEndian: try reader.integer(UInt64.self).littleEndian)
            try readCells(&reader, shapes[code])
            batch.finishRow(
                entity: entityCode, shape: shapes[code].number, timestamp: time, id: EventID(high: high, low: low),
                sequence: sequence, received: received)
        }
    }

    private func shape(_ reader: inout ByteReader) throws(Fault) -> Shape {
        let type = UInt32(try reader.count(max: Limits.namesPerStoreMax))
        let count = try reader.count(max: Limits.attributesPerEventMax)
        var columns: [ColumnKey] = []
        for _ in 0..<count {
            let raw = ColumnKey(raw: UInt32(try reader.count(max: Int(UInt32.max))))
            guard let kind = raw.kindIfValid, raw.attribute <= Limits.namesPerStoreMax else {
                throw Fault(.damaged, "a journal column has an unknown kind")
            }
            columns.append(ColumnKey(attribute: attributeCode(raw.attribute), kind: kind))
        }
        let order = columns.indices.sorted { columns[$0] < columns[$1] }
        let sorted = order.map { columns[$0] }
        guard zip(sorted, sorted.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw Fault(.damaged, "a journal row has a column twice")
        }
        var places = [Int](repeating: 0, count: count)
        for (place, index) in order.enumerated() { places[index] = place }
        let number = batch.internShape(RowShape(type: typeCode(type), columns: sorted))
        return Shape(number: number, kinds: columns.map(\.kind), places: places)
    }

    private func typeCode(_ number: UInt32) -> UInt32 {
        if let code = typeCodes[number] { return code }
        let code = UInt32(batch.typeNumbers.count)
        batch.typeNumbers.append(number)
        typeCodes[number] = code
        return code
    }

    private func attributeCode(_ number: UInt32) -> UInt32 {
        if let code = attributeCodes[number] { return code }
        let code = UInt32(batch.attributeNumbers.count)
        batch.attributeNumbers.append(number)
        attributeCodes[number] = code
        return code
    }

    private func readCells(_ reader: inout ByteReader, _ shape: Shape) throws(Fault) {
        let first = batch.cells.count
        batch.cells.resize(to: first + shape.kinds.count, filling: 0)
        for (index, kind) in shape.kinds.enumerated() {
            let value: UInt64
            switch kind {
            case .string, .json:
                value = UInt64(batch.strings.intern(try reader.lengthPrefixed(max: Limits.valueBytesMax)))
            case .integer: value = UInt64(bitPattern: try reader.zigzag())
            case .double: value = try reader.u64()
            case .bool:
                value = UInt64(try reader.u8())
                guard value <= 1 else { throw Fault(.damaged, "a journal boolean is neither 0 nor 1") }
            }
            batch.cells[first + shape.places[index]] = value
        }
    }
}
