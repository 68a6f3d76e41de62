// Reads one entity of a segment after the other: opens its head pack, then whatever column is asked for.
//
// Everything handed out points into the scanner's arena and lasts until the next `open`.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What is known of a block without decoding a column.
package struct ScannedBlock {
    package var rows: Int
    /// Milliseconds, both inclusive.
    package var minTime: Int64
    package var maxTime: Int64
    package var shapes: UnsafeBufferPointer<BlockShape>
    /// Rows come shape by shape, in the order of `shapes`.
    package var shapesInOrder: Bool
    /// The block's columns, ascending by key.
    package var columns: UnsafeBufferPointer<ColumnKey>
}

/// Decoded values of one column of a block, for the rows that have it.
package struct BlockColumn: BitwiseCopyable {
    package enum Values: BitwiseCopyable {
        case strings(StringColumn)
        case integers(UnsafePointer<Int64>)
        case doubles(UnsafePointer<Double>)
        case bools(UnsafePointer<Bool>)
    }
    package var values: Values
    /// Present values.
    package var count: Int
    /// Row → index among the present values, -1 where absent; nil when every row has the column.
    package var dense: UnsafePointer<Int32>?
}

/// Reads entities of segments. One per thread: its buffers are reused.
package final class BlockScanner {
    let sealer: any BlockSealer
    /// Vocabulary columns of `segment` met so far, so that a block need not ask the segment and its lock.
    private var vocabulary: [(attribute: UInt32, column: VocabularyColumn?)] = []
    let arena = Arena()
    private(set) var segment: SegmentReader?
    /// Bytes of heads and packs that were opened, as they stand in the file.
    package private(set) var bytesOpened = 0
    private(set) var entity: UInt32 = 0
    /// Place of the open entity's head.
    private var headPlace = 0..<0
    /// Of `blockCapacity` blocks.
    private var blocks: UnsafeMutablePointer<BlockState>
    private var blockCapacity = 4
    private(set) package var blockCount = 0
    private(set) var keyID: UInt64 = 0
    /// Places of the open entity's block heads, when it has several blocks.
    private(set) var headPlaces: [Range<Int>] = []

    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    // Of the regions of `windowSegment`. Unchecked: private, and nothing they call comes back here.
    @exclusivity(unchecked) private var hotWindow = RegionWindow()
    @exclusivity(unchecked) private var stringsWindow = RegionWindow()
    @exclusivity(unchecked) private var idsWindow = RegionWindow()
    private var windowSegment: SegmentReader?

    package init(sealer: any BlockSealer) {
        self.sealer = sealer
        blocks = .allocate(capacity: blockCapacity)
    }

    deinit {
        blocks.deallocate()
        buffer.deallocate()
        hotWindow.deallocate()
        stringsWindow.deallocate()
        idsWindow.deallocate()
    }

    /// Memory held, in bytes.
    package var byteCount: Int {
        arena.byteCount + buffer.count + hotWindow.byteCount + stringsWindow.byteCount + idsWindow.byteCount
    }

    // MARK: Opening

    /// Serves this segment from memory from now on, read in few large pieces, as long as entities are opened in
    /// ascending order of place. String packs and ids are read ahead once packs behind each other are asked for.
    /// Reads nothing by itself.
    package func prefetch(_ segment: SegmentReader) throws(Fault) {
        if windowSegment === segment { return }
        windowSegment = segment
        hotWindow.reset(start: SegmentRegions.hot, ahead: RegionWindow.bytesMax)
        stringsWindow.reset(start: segment.regions.strings, ahead: 0)
        idsWindow.reset(start: segment.regions.ids, ahead: 0)
    }

    /// Opens the head of an entity; blocks and columns of the one before are gone.
    package func open(_ segment: SegmentReader, _ entry: SegmentEntityEntry) throws(Fault) {
        arena.reset()
        blockCount = 0
        headPlaces.removeAll(keepingCapacity: true)
        if self.segment !== segment {
            self.segment = segment
            vocabulary.removeAll(keepingCapacity: true)
        }
        entity = entry.entity
        headPlace = entry.headOffset..<entry.headOffset &+ max(entry.headLength, 0)
        do throws(Fault) {
            // Asked for in any case: of an entity that is erased nothing is opened, under whatever key.
            let current = try sealer.entityKeyID(entry.entity)
            keyID = entry.keyID == 0 ? current : entry.keyID
            try openHead(segment, entry)
        } catch {
            blockCount = 0
            var fault = error.at(file: segment.path, entity: entry.entity)
            fault.place.offset = error.place.offset ?? entry.headOffset
            fault.place.timeRange = fault.place.timeRange ?? entry.minTime..<max(entry.maxTime, entry.minTime)
            throw fault
        }
    }

    private func openHead(_ segment: SegmentReader, _ entry: SegmentEntityEntry) throws(Fault) {
        let prefixBytes = SegmentFormat.HeadPrefix.byteCount
        guard entry.headOffset >= SegmentRegions.hot, entry.headLength >= prefixBytes + SegmentFormat.tagBytes,
            entry.headLength <= segment.regions.strings - entry.headOffset
        else { throw Fault(.damaged, "a head pack lies outside its region") }
        let stored = try bytes(at: entry.headOffset, entry.headLength, segment)
        let word = UInt32(littleEndian: stored.loadUnaligned(as: UInt32.self))
        let (rawLength, codec) = try SegmentFormat.HeadPrefix.parse(word)
        let head = try PackOpening.open(
            UnsafeRawBufferPointer(rebasing: stored[prefixBytes...]),
            identity(segment, block: 0, pack: 0, rows: entry.rows), codec: codec, rawLength: rawLength,
            sealer: sealer, arena: arena)
        var reader = DescriptorReader(head)
        let count = try reader.count(max: max(entry.rows, 1))
        let end = entry.headOffset + entry.headLength
        if count == 1 {
            let block = state(0)
            block.initialize(to: BlockState(rows: entry.rows, minTime: entry.minTime, maxTime: entry.maxTime))
            try BlockDirectoryReader.read(
                try reader.raw(reader.remaining), into: block,
                BlockSurroundings(hotStart: end, regions: segment.regions, isOnly: true), arena: arena)
        } else {
            try openBlocks(count, &reader, from: end, segment, entry)
        }
        blockCount = count
    }

    /// Memory for the state of a block; those before it are set.
    private func state(_ index: Int) -> UnsafeMutablePointer<BlockState> {
        if index == blockCapacity {
            let grown = UnsafeMutablePointer<BlockState>.allocate(capacity: 2 * blockCapacity)
            grown.update(from: blocks, count: blockCapacity)
            blocks.deallocate()
            blocks = grown
            blockCapacity *= 2
        }
        return blocks + index
    }

    /// Heads of several blocks stand right behind the entity's head, in their order.
    private func openBlocks(
        _ count: Int, _ reader: inout DescriptorReader, from start: Int, _ segment: SegmentReader,
        _ entry: SegmentEntityEntry
    ) throws(Fault) {
        var packs: [PackSlot] = []
        var offset = start
        var rest = entry.rows
        for index in 0..<count {
            let rows = try reader.count(max: rest)
            rest -= rows
            let minTime = segment.partitionStart &+ (try reader.zigzag())
            let maxTime = minTime &+ Int64(bitPattern: try reader.varint())
            guard let word = UInt32(exactly: try reader.varint()) else { throw damagedHead() }
            let (rawLength, codec) = try SegmentFormat.HeadPrefix.parse(word)
            let length = try reader.count(max: segment.regions.strings - offset)
            guard length >= SegmentFormat.tagBytes, minTime <= maxTime else { throw damagedHead() }
            packs.append(
                PackSlot(offset: offset, length: length, rawLength: rawLength, codec: codec, number: 0, memory: nil))
            state(index).initialize(to: BlockState(rows: rows, minTime: minTime, maxTime: maxTime))
            headPlaces.append(offset..<offset + length)
            offset += length
        }
        guard rest == 0, reader.isAtEnd else { throw damagedHead() }
        for index in 0..<count {
            let block = blocks + index
            do throws(Fault) {
                let stored = try bytes(at: packs[index].offset, packs[index].length, segment)
                let head = try PackOpening.open(
                    stored, identity(segment, block: index + 1, pack: 0, rows: block.pointee.rows),
                    codec: packs[index].codec,
                    rawLength: packs[index].rawLength, sealer: sealer, arena: arena)
                try BlockDirectoryReader.read(
                    head, into: block,
                    BlockSurroundings(hotStart: offset, regions: segment.regions, isOnly: false), arena: arena)
            } catch { throw error.at(block: UInt32(truncatingIfNeeded: index)) }
        }
    }

    private func damagedHead() -> Fault { Fault(.damaged, "the blocks of an entity's head do not add up") }

    private func identity(_ segment: SegmentReader, block: Int, pack: Int, rows: Int) -> PackIdentity {
        .entity(entity, keyID: keyID, segment: segment.id, block: block, pack: pack, rows: rows)
    }

    /// Bytes of the file, valid until the next call.
    func bytes(at offset: Int, _ count: Int, _ segment: SegmentReader) throws(Fault) -> UnsafeRawBufferPointer {
        bytesOpened &+= count
        if windowSegment === segment, let found = try windowBytes(at: offset, count, segment) { return found }
        if buffer.count < count {
            buffer.deallocate()
            buffer = .allocate(byteCount: count, alignment: 16)
        }
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
        try segment.file.read(into: target, at: offset)
        return UnsafeRawBufferPointer(target)
    }

    @inline(__always)
    private func windowBytes(
        at offset: Int, _ count: Int, _ segment: SegmentReader
    ) throws(Fault) -> UnsafeRawBufferPointer? {
        let regions = segment.regions
        let end = offset &+ count
        if end <= regions.strings {
            return try hotWindow.bytes(at: offset, count, end: regions.strings, segment.file)
        }
        if offset >= regions.strings, end <= regions.ids {
            return try stringsWindow.bytes(at: offset, count, end: regions.ids, segment.file)
        }
        if offset >= regions.ids, end <= regions.vocabulary {
            return try idsWindow.bytes(at: offset, count, end: regions.vocabulary, segment.file)
        }
        return nil
    }

    /// The shared values of an attribute in the open segment. Only a handful of columns is ever read at once.
    func vocabularyColumn(_ attribute: UInt32) throws(Fault) -> VocabularyColumn? {
        for known in vocabulary where known.attribute == attribute { return known.column }
        let column = try segment?.vocabularyColumn(attribute, sealer)
        vocabulary.append((attribute, column))
        return column
    }

    // MARK: Packs

    /// Every byte of the file that holds the open entity's data, in ascending order: what to punch or zero when
    /// the entity expires before its segment does.
    package func places() -> [Range<Int>] {
        guard blockCount > 0 else { return [] }
        var places = [headPlace] + headPlaces
        for index in 0..<blockCount {
            for slot in blocks[index].packs where slot.length > 0 {
                places.append(slot.offset..<slot.offset + slot.length)
            }
        }
        places.sort { $0.lowerBound < $1.lowerBound }
        var merged: [Range<Int>] = []
        for place in places {
            if let last = merged.last, last.upperBound == place.lowerBound {
                merged[merged.count - 1] = last.lowerBound..<place.upperBound
            } else {
                merged.append(place)
            }
        }
        return merged
    }

    /// The state of a block, until the next `open`.
    func blockState(_ index: Int) -> UnsafeMutablePointer<BlockState> {
        precondition(index >= 0 && index < blockCount, "no such block")
        return blocks + index
    }

    func payload(
        _ place: PayloadPlace, _ block: UnsafeMutablePointer<BlockState>, _ index: Int
    ) throws(Fault) -> UnsafeRawBufferPointer {
        if place.length == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let memory = try pack(Int(place.pack), block, index)
        let start = Int(place.start)
        return UnsafeRawBufferPointer(rebasing: memory[start..<start + Int(place.length)])
    }

    /// The raw bytes of a pack, opened once.
    func pack(
        _ number: Int, _ block: UnsafeMutablePointer<BlockState>, _ index: Int
    ) throws(Fault) -> UnsafeRawBufferPointer {
        let slot = block.pointee.packs[number]
        if let memory = slot.memory { return memory }
        guard let segment else { preconditionFailure("nothing is open") }
        do throws(Fault) {
            let memory = try PackOpening.open(
                try bytes(at: slot.offset, slot.length, segment),
                identity(segment, block: index + 1, pack: slot.number, rows: block.pointee.rows),
                codec: slot.codec, rawLength: slot.rawLength, sealer: sealer, arena: arena)
            block.pointee.packs[number].memory = memory
            return memory
        } catch {
            var fault = error
            fault.place.offset = error.place.offset ?? slot.offset
            throw fault
        }
    }

    /// Fills in where a fault of a block happened.
    func located(_ fault: Fault, _ index: Int) -> Fault {
        var located = fault.at(file: segment?.path, entity: entity, block: UInt32(truncatingIfNeeded: index))
        let block = blocks[index]
        located.place.timeRange = fault.place.timeRange ?? block.minTime..<max(block.minTime, block.maxTime)
        return located
    }
}
