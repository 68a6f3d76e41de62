// Writes batches to a segment in memory and reads them back, for the tests of the room.

import EventStoreCore
import EventStoreSegments
import Testing

struct Fixture {
    let sealer = ToySealer()
    let files = MemoryFiles()
    var options = SegmentOptions()
    var partitionStart: Int64 = 1_756_684_800_000
    var partitionMs: Int64 = Limits.msPerDay
    var randomSeed: UInt64 = 42

    init() {
        options.isPersonal = { _ in false }
        options.createdMs = 1_756_771_200_000
        options.storeIncarnation = 0x1122_3344_5566_7788
    }

    var environment: Environment {
        let seed = randomSeed
        return Environment(
            files: files, nowMs: { 0 },
            randomBytes: { buffer in
                var generator = SeededGenerator(seed: seed)
                for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: generator.next()) }
            })
    }

    static func sorted(_ batches: [RowBatch]) -> GrowableBuffer<RowRef> {
        var refs = GrowableBuffer<RowRef>()
        for (number, batch) in batches.enumerated() {
            for row in 0..<batch.rowCount { refs.append(RowRef(batch: UInt32(number), row: UInt32(row))) }
        }
        RowSorter.sort(&refs, batches)
        return refs
    }

    func write(_ batches: [RowBatch]) throws -> SegmentSummary {
        let refs = Fixture.sorted(batches)
        let writer = SegmentWriter(sealer: sealer, environment: environment)
        return try writer.write(
            refs.buffer, of: batches, partitionStart: partitionStart, partitionMs: partitionMs, options: options,
            directory: "segments")
    }

    func path(_ summary: SegmentSummary) -> String { "segments/\(summary.id.hex).seg" }

    func file(_ summary: SegmentSummary) throws -> MemoryFile { try #require(files.file(path(summary))) }

    func reader(_ summary: SegmentSummary) throws -> SegmentReader {
        try SegmentReader(file: try file(summary), path: path(summary), sequenceBase: options.sequenceBase)
    }

    /// All rows of a segment, in its order.
    static func rows(
        _ segment: SegmentReader, _ entries: [SegmentEntityEntry], _ sealer: ToySealer, prefetch: Bool = false
    ) throws -> [PlainRow] {
        let scanner = BlockScanner(sealer: sealer)
        if prefetch { try scanner.prefetch(segment) }
        let collector = RowCollector()
        for entry in entries {
            try scanner.open(segment, entry)
            for block in 0..<scanner.blockCount {
                let all = (0..<UInt32(scanner.block(block).rows)).map { $0 }
                try all.withUnsafeBufferPointer { rows throws in
                    try collector.append(scanner, block: block, rows: rows)
                }
            }
        }
        return collector.takeBatch().plainRows
    }

    /// The rows of batches in the order of a segment.
    static func expected(_ batches: [RowBatch]) -> [PlainRow] {
        let refs = sorted(batches)
        return (0..<refs.count).map { batches[Int(refs[$0].batch)].plain(Int(refs[$0].row)) }
    }
}
