// What is known of an open block: its shapes, and of every column its key, its count, where its descriptor and its
// payload stand. Descriptors are only measured when a block is opened; they are read when a column is decoded.

import EventStoreCore

/// A type and the columns its rows have in a block. Memory belongs to the scanner and lasts until its next `open`.
package struct BlockShape: BitwiseCopyable {
    /// Store number.
    package var type: UInt32
    package var rows: Int
    var places: ShapeBits

    /// With store numbers of attributes, ascending.
    package var columns: ShapeColumns { ShapeColumns(places) }

    /// Whether its rows have the n-th column of the block.
    package func hasColumn(_ number: Int) -> Bool { places.contains(number) }
}

/// Which of the block's columns a shape has.
struct ShapeBits: BitwiseCopyable {
    /// One bit a column; nil when the shape is the block's only one and has all.
    var bits: UnsafePointer<UInt8>?
    /// Keys of all columns of the block.
    var keys: UnsafeBufferPointer<ColumnKey>

    @inline(__always)
    func contains(_ number: Int) -> Bool {
        guard let bits else { return true }
        return bits[number >> 3] >> UInt8(truncatingIfNeeded: number & 7) & 1 != 0
    }
}

/// The keys of a shape's columns, ascending.
package struct ShapeColumns: Sequence, BitwiseCopyable {
    private let places: ShapeBits
    init(_ places: ShapeBits) { self.places = places }

    package struct Iterator: IteratorProtocol {
        private let places: ShapeBits
        private var number = 0
        init(_ places: ShapeBits) { self.places = places }

        package mutating func next() -> ColumnKey? {
            while number < places.keys.count {
                defer { number += 1 }
                if places.contains(number) { return places.keys[number] }
            }
            return nil
        }
    }

    package func makeIterator() -> Iterator { Iterator(places) }

    package var count: Int { reduce(0) { count, _ in count + 1 } }
}

/// Where a payload stands: a pack of the block, and the place in its raw bytes.
struct PayloadPlace: BitwiseCopyable {
    var pack: Int32 = 0
    var start: UInt32 = 0
    var length: UInt32 = 0
}

/// A pack of a block. Pack 0 is the head the directory was read from.
struct PackSlot: BitwiseCopyable {
    var offset: Int
    /// In the file, tag included.
    var length: Int
    var rawLength: Int
    var codec: PackCodec
    /// Number within the block, for the nonce.
    var number: Int
    var memory: UnsafeRawBufferPointer?
}

/// Bytes of a block's directory. Empty for what a block does not have.
struct DirectoryPlace: BitwiseCopyable {
    var start: UInt32 = 0
    var end: UInt32 = 0

    init() {}
    init(_ start: Int, _ end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
    }
}

/// One of the four columns that every block has, ids aside.
struct FixedSlot: BitwiseCopyable {
    /// Where its descriptor begins in the directory.
    var descriptor = 0
    var place = PayloadPlace()
}

struct ColumnSlot: BitwiseCopyable {
    var key: ColumnKey
    var count: UInt32
    /// Where its descriptor begins in the directory.
    var descriptor: UInt32
    var isFar: Bool
    var place: PayloadPlace
    /// Pack of its Bloom filter, -1 without one.
    var bloomPack: Int32 = -1
    var decoded: UnsafePointer<BlockColumn>?
}

/// Least and greatest value of a numeric column in a block.
package enum BlockZone: Sendable, Equatable, BitwiseCopyable {
    case integers(Int64, Int64)
    case doubles(Double, Double)
}

/// Everything known of one block while its entity is open. All it points to is in the scanner's arena.
struct BlockState: BitwiseCopyable {
    var rows: Int
    /// Milliseconds, both inclusive.
    var minTime: Int64
    var maxTime: Int64
    var flags: BlockFlags = []
    /// The pack it was read from, from the directory on.
    var directory = UnsafeRawBufferPointer(start: nil, count: 0)
    var columns = UnsafeMutableBufferPointer<ColumnSlot>(start: nil, count: 0)
    /// Keys of `columns`.
    var keys = UnsafeBufferPointer<ColumnKey>(start: nil, count: 0)
    var shapes = UnsafeBufferPointer<BlockShape>(start: nil, count: 0)
    var packs = UnsafeMutableBufferPointer<PackSlot>(start: nil, count: 0)
    /// One for each column, in blocks that have zone maps.
    var zones: UnsafeMutablePointer<BlockZone?>?

    /// Meaningless when rows come shape by shape.
    var shape = FixedSlot()
    var time = FixedSlot()
    var sequence = FixedSlot()
    var received = FixedSlot()
    var id = FixedSlot()
    /// -1 without one.
    var idBloomPack: Int32 = -1
    /// Where the directory says at which place of their regions its far packs and its ids begin.
    var stringsPlace = DirectoryPlace()
    var idsPlace = DirectoryPlace()

    // Decoded once.
    var times: UnsafePointer<Int64>?
    var shapeCodes: UnsafePointer<UInt32>?
    var sequences: UnsafePointer<UInt64>?
    var receivedTimes: UnsafePointer<Int64>?
    var ids: UnsafePointer<EventID>?

    /// Index of a column, or nil.
    func index(of key: ColumnKey) -> Int? {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].raw < key.raw { low = middle + 1 } else { high = middle }
        }
        return low < keys.count && keys[low] == key ? low : nil
    }

    func reader(at descriptor: Int) -> DescriptorReader { DescriptorReader(directory, at: descriptor) }
}

/// Where the packs of a block are to be looked for.
struct BlockSurroundings {
    /// Where the entity's hot packs begin in the file.
    var hotStart: Int
    var regions: SegmentRegions
    /// The block is its entity's only one, its directory in the entity's head pack.
    var isOnly: Bool
}
