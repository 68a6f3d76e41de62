// Writes all rows of one entity: cuts them into blocks, fills packs, seals them into the three regions, and
// the head pack last, because it says where the others are.

import EventStoreCore

/// Sealed bytes on their way to the file.
struct RegionSinks: ~Copyable {
    var hot = ByteSink(capacity: 1 << 20)
    /// Bytes of the hot region that went to the file already.
    var hotWritten = 0
    var strings = ByteSink(capacity: 1 << 20)
    var ids = ByteSink(capacity: 1 << 20)
}

/// What all packs of a segment being written share.
struct PackContext {
    var segment: SegmentID
    var sealer: any BlockSealer
    var compressor: PackCompressor
    var high: Bool
}

final class EntityWriter {
    private let encoder = BlockEncoder()
    private var pack = ByteSink(capacity: 64 * 1024)
    /// Sealed hot packs of the entity's blocks, and sealed heads of its blocks when there are several.
    private var hot = ByteSink(capacity: 64 * 1024)
    private var heads = ByteSink()
    /// The entity's head.
    private var head = ByteSink()
    private var table = ByteSink()
    private var blockRecords = ByteSink()

    var distinct: DistinctFinder { encoder.distinct }
    var gather: BlockGather { encoder.gather }

    struct Job {
        var entity: UInt32
        var keyID: UInt64
        var input: BlockEncoder.Input
        var blockRowsMax: Int
        var context: PackContext

        func identity(block: Int, pack: Int, rows: Int) -> PackIdentity {
            .entity(entity, keyID: keyID, segment: context.segment, block: block, pack: pack, rows: rows)
        }
    }

    /// Appends the entity's packs to the regions; returns place and length of the head pack in the hot one.
    func write(_ job: Job, _ regions: inout RegionSinks) throws(Fault) -> (offset: Int, length: Int) {
        hot.removeAll()
        heads.removeAll()
        head.removeAll()
        blockRecords.removeAll()
        var cuts = BlockPlanner.cuts(job.input.rows, job.input.source, blockRowsMax: job.blockRowsMax)
        var done = 0
        if cuts.count == 1 {
            if try writeOnlyBlock(job, &regions) { return try finish(job, &regions) }
            cuts = [job.input.rows.count / 2, job.input.rows.count]
        }
        var block = 0
        var index = 0
        while index < cuts.count {
            var part = job
            part.input.rows = UnsafeBufferPointer(rebasing: job.input.rows[done..<cuts[index]])
            if try !writeBlock(part, block, &regions) {
                cuts.insert(done + (cuts[index] - done) / 2, at: index)
                continue
            }
            done = cuts[index]
            block += 1
            index += 1
        }
        head.varint(block)
        head.raw(blockRecords.bytes)
        return try finish(job, &regions)
    }

    /// The only block of an entity has its directory in the entity's head, and its hot columns too while small.
    private func writeOnlyBlock(_ job: Job, _ regions: inout RegionSinks) throws(Fault) -> Bool {
        guard encoder.encode(job.input) else { return false }
        head.varint(1)
        let total = encoder.directory.count + encoder.slices.reduce(0) { $0 + $1.length } + encoder.ids.length
        if total <= SegmentFormat.singlePackBytesMax, encoder.blooms.isEmpty {
            encoder.markSingle()
            head.raw(encoder.directory.bytes)
            append(encoder.slices, to: &head)
            head.raw(encoder.payload.slice(encoder.ids.start, encoder.ids.length))
            return true
        }
        let inHead = encoder.slices.reduce(0) { $0 + ($1.isFar ? 0 : $1.length) } <= SegmentFormat.hotBytesInHeadMax
        try sealPacks(job, block: 0, hotInHead: inHead, &regions)
        head.raw(encoder.directory.bytes)
        head.raw(table.bytes)
        if inHead { append(encoder.slices.filter { !$0.isFar }, to: &head) }
        return true
    }

    private func append(_ slices: [PayloadSlice], to sink: inout ByteSink) {
        for slice in slices { sink.raw(encoder.payload.slice(slice.start, slice.length)) }
    }

    /// One of several blocks: its directory is a pack of its own.
    private func writeBlock(_ job: Job, _ block: Int, _ regions: inout RegionSinks) throws(Fault) -> Bool {
        guard encoder.encode(job.input) else { return false }
        try sealPacks(job, block: block, hotInHead: false, &regions)
        let rows = job.input.rows.count
        pack.removeAll()
        pack.raw(encoder.directory.bytes)
        pack.raw(table.bytes)
        let (bytes, codec) = job.context.compressor.compress(pack.bytes, high: job.context.high)
        let length = try PackSealing.seal(
            bytes, job.identity(block: block + 1, pack: 0, rows: rows), codec: codec, rawLength: pack.count,
            sealer: job.context.sealer, into: &heads)
        blockRecords.varint(rows)
        blockRecords.zigzag(encoder.minTime &- job.input.partitionStart)
        blockRecords.varint(UInt64(bitPattern: encoder.maxTime &- encoder.minTime))
        blockRecords.varint(UInt64(HeadPrefix.make(rawLength: pack.count, codec: codec)))
        blockRecords.varint(length)
        return true
    }

    private typealias HeadPrefix = SegmentFormat.HeadPrefix

    // MARK: Packs

    /// Seals the block's packs and writes their table.
    private func sealPacks(_ job: Job, block: Int, hotInHead: Bool, _ regions: inout RegionSinks) throws(Fault) {
        table.removeAll()
        var number = 1
        if !hotInHead {
            table.varint(hot.count)
            try sealColumns(job, block, isFar: false, &number, into: &hot)
        }
        if encoder.slices.contains(where: { $0.isFar && $0.length > 0 }) {
            table.varint(regions.strings.count)
            try sealColumns(job, block, isFar: true, &number, into: &regions.strings)
        }
        table.varint(regions.ids.count)
        try sealPack(
            job, block, &number, raw: true, encoder.payload.slice(encoder.ids.start, encoder.ids.length),
            into: &regions.ids)
        for bloom in encoder.blooms {
            try sealPack(
                job, block, &number, raw: true, encoder.payload.slice(bloom.start, bloom.length), into: &regions.ids)
        }
    }

    private func sealColumns(
        _ job: Job, _ block: Int, isFar: Bool, _ number: inout Int, into sink: inout ByteSink
    ) throws(Fault) {
        pack.removeAll()
        for slice in encoder.slices where slice.isFar == isFar && slice.length > 0 {
            pack.raw(encoder.payload.slice(slice.start, slice.length))
            if pack.count >= Limits.packTargetBytes {
                try sealPack(job, block, &number, raw: false, pack.bytes, into: &sink)
                pack.removeAll()
            }
        }
        if pack.count > 0 { try sealPack(job, block, &number, raw: false, pack.bytes, into: &sink) }
    }

    private func sealPack(
        _ job: Job, _ block: Int, _ number: inout Int, raw: Bool, _ plain: UnsafeRawBufferPointer,
        into sink: inout ByteSink
    ) throws(Fault) {
        var (bytes, codec) = (plain, PackCodec.raw)
        if !raw { (bytes, codec) = job.context.compressor.compress(plain, high: job.context.high) }
        let identity = job.identity(block: block + 1, pack: number, rows: job.input.rows.count)
        try PackSealing.seal(
            bytes, identity, codec: codec, rawLength: plain.count, sealer: job.context.sealer, into: &sink)
        table.varint(bytes.count << 2 | Int(codec.rawValue))
        number += 1
    }

    /// Seals the entity's head, then puts heads of blocks and hot packs behind it.
    private func finish(_ job: Job, _ regions: inout RegionSinks) throws(Fault) -> (offset: Int, length: Int) {
        let offset = regions.hot.count
        let (bytes, codec) = job.context.compressor.compress(head.bytes, high: job.context.high)
        regions.hot.integer(HeadPrefix.make(rawLength: head.count, codec: codec))
        try PackSealing.seal(
            bytes, job.identity(block: 0, pack: 0, rows: job.input.rows.count), codec: codec, rawLength: head.count,
            sealer: job.context.sealer, into: &regions.hot)
        let length = regions.hot.count - offset
        regions.hot.raw(heads.bytes)
        regions.hot.raw(hot.bytes)
        return (regions.hotWritten + offset, length)
    }
}

/// Cuts an entity's rows into blocks.
enum BlockPlanner {
    /// Ends of the blocks, ascending. Long runs of one type get blocks of their own, of nearly equal length;
    /// what lies between joins, types one after another.
    static func cuts(_ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows, blockRowsMax: Int) -> [Int] {
        let limit = min(max(blockRowsMax, 1), Limits.blockRowsMax)
        if rows.count <= min(limit, SegmentFormat.ownBlockRowsMin) { return [rows.count] }
        var cuts: [Int] = []
        var open = 0
        var start = 0
        while start < rows.count {
            let end = endOfType(rows, source, from: start)
            if end - start >= SegmentFormat.ownBlockRowsMin {
                cut(open..<start, limit, &cuts)
                cut(start..<end, limit, &cuts)
                open = end
            }
            start = end
        }
        cut(open..<rows.count, limit, &cuts)
        return cuts
    }

    private static func cut(_ range: Range<Int>, _ limit: Int, _ cuts: inout [Int]) {
        guard !range.isEmpty else { return }
        let parts = (range.count + limit - 1) / limit
        for part in 1...parts { cuts.append(range.lowerBound + range.count * part / parts) }
    }

    private static func endOfType(_ rows: UnsafeBufferPointer<RowRef>, _ source: SegmentRows, from start: Int) -> Int {
        let type = typeOf(rows[start], source)
        // Galloping, because runs are either short or very long.
        var low = start
        var step = 1
        while low + step < rows.count, typeOf(rows[low + step], source) == type {
            low += step
            step *= 2
        }
        var high = min(low + step, rows.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if typeOf(rows[middle], source) == type { low = middle } else { high = middle }
        }
        return high
    }

    private static func typeOf(_ ref: RowRef, _ source: SegmentRows) -> UInt32 {
        let view = source.view(ref)
        return source.shapes[Int(view.shapes[Int(view.shape[Int(ref.row)])])].type
    }
}
