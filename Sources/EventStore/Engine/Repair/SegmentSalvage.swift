// What can still be read of one damaged segment, block by block, and what cannot.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments

/// One per segment. Reads only.
final class SegmentSalvage {
    private let context: ReadContext
    private let handle: SegmentHandle
    private let sealer: StoreSealer
    private(set) var losses: [RepairReport.Loss] = []
    private(set) var saved = 0

    init(_ context: ReadContext, _ handle: SegmentHandle) {
        self.context = context
        self.handle = handle
        sealer = StoreSealer(context.names)
    }

    private func reader() throws(Fault) -> SegmentReader {
        let file = try context.environment.files.openForReading(handle.path)
        let reader = try SegmentReader(file: file, path: handle.path, sequenceBase: handle.info.sequenceBase)
        guard handle.isFile(of: reader) else {
            throw Fault(.tampered, "this is another segment's file", at: .init(file: handle.path))
        }
        return reader
    }

    /// Entities whose part of the segment is gone on purpose.
    private func gone() throws(Fault) -> Set<UInt32> {
        let number = handle.info.number
        let parts = try context.catalog.read { (reader) throws(Fault) in try reader.gone(segment: number) }
        return Set(parts.map(\.entity))
    }

    /// Under which keys parts lie that are not under their entity's own: said by the catalog alone, and in a table that
    /// stands when the index is lost.
    private func olderKeys() throws(Fault) -> [UInt32: UInt64] {
        let number = handle.info.number
        return try context.catalog.read { (reader) throws(Fault) in try reader.partKeys(segment: number) }
    }

    private func indexed() throws(Fault) -> [SegmentEntityEntry] {
        let number = handle.info.number
        let rows = try context.catalog.read { (reader) throws(Fault) in
            try reader.segmentEntities(segment: number, entities: nil)
        }
        return rows.map { SegmentEntityEntry($0) }
    }

    /// Why the segment has to be written anew; `nil` when every byte of it is as it should be.
    func finding() throws(Fault) -> Fault? {
        let gone = try gone()
        let indexed = try indexed()
        do throws(Fault) {
            let reader = try reader()
            let entries = try reader.directory(sealer).entities.filter { !gone.contains($0.entity) }
            let rows = entries.reduce(0) { $0 + $1.rows }
            guard reader.fileBytes == handle.info.fileBytes, rows == handle.info.rows, indexed == entries else {
                return Fault(.damaged, "the catalog's index and the segment's own directory differ")
            }
            return SegmentVerifier.verify(reader, sealer: sealer, gone: gone, keys: try olderKeys())
                .findings.first?.fault
        } catch {
            guard StoreRepair.isDamage(error) else { throw error }
            return error.code == .notFound ? Fault(.damaged, "the file is missing") : error
        }
    }

    /// Hands out what can be read, a few blocks at a time, and notes what cannot.
    func salvage(_ body: (RowBatch) throws(Fault) -> Void) throws(Fault) {
        let gone = try gone()
        let indexed = try indexed()
        let reader: SegmentReader
        do throws(Fault) {
            reader = try self.reader()
        } catch {
            guard StoreRepair.isDamage(error) else { throw error }
            let why = error.code == .notFound ? "the file is missing" : error.message
            for entry in indexed { lose(entry, why) }
            return
        }
        // The directory is sealed; the catalog's index says the same and stands in when it cannot be read.
        var entries = indexed
        if let own = try? reader.directory(sealer).entities.filter({ !gone.contains($0.entity) }) {
            let known = Set(own.map(\.entity))
            for entry in indexed where !known.contains(entry.entity) { lose(entry, "the segment has no such entity") }
            let keys = try olderKeys()
            entries = own.map { entry in
                var entry = entry
                entry.keyID = keys[entry.entity] ?? 0
                return entry
            }
        }
        let collector = RowCollector()
        let scanner = BlockScanner(sealer: sealer)
        for entry in entries {
            try salvage(entry, reader, scanner, collector, body)
        }
        if collector.batch.rowCount > 0 { try body(collector.takeBatch()) }
    }

    private func salvage(
        _ entry: SegmentEntityEntry, _ reader: SegmentReader, _ scanner: BlockScanner, _ collector: RowCollector,
        _ body: (RowBatch) throws(Fault) -> Void
    ) throws(Fault) {
        do throws(Fault) {
            try scanner.open(reader, entry)
        } catch {
            guard StoreRepair.isDamage(error) else { throw error }
            return lose(entry, error.message)
        }
        var left = entry.rows
        for index in 0..<scanner.blockCount {
            let block = scanner.block(index)
            left -= block.rows
            let all = (0..<UInt32(block.rows)).map { $0 }
            do throws(Fault) {
                try all.withUnsafeBufferPointer { (all) throws(Fault) in
                    try collector.append(scanner, block: index, rows: all)
                }
                saved += block.rows
            } catch {
                guard StoreRepair.isDamage(error) else { throw error }
                lose(entry.entity, block.rows, block.minTime, block.maxTime, error.message)
            }
            if collector.batch.rowCount >= SegmentSalvage.rowsMax { try body(collector.takeBatch()) }
        }
        if left > 0 { lose(entry.entity, left, entry.minTime, entry.maxTime, "the directory lacks blocks") }
    }

    private static let rowsMax = 131_072

    private func lose(_ entry: SegmentEntityEntry, _ message: String) {
        lose(entry.entity, entry.rows, entry.minTime, entry.maxTime, message)
    }

    private func lose(_ entity: UInt32, _ rows: Int, _ since: Int64, _ until: Int64, _ message: String) {
        losses.append(
            RepairReport.Loss(
                file: handle.path, entity: context.names.entityName(entity), since: since, until: until, rows: rows,
                message: message))
    }
}
