// What the other rooms see of segments: identity, who seals, what a segment holds, how to build one.

import EventStoreCore

/// The 12 random bytes that name a segment. Drawn anew for every file ever written, never reused.
package struct SegmentID: Hashable, Sendable, CustomStringConvertible {
    package static let byteCount = 12
    /// Bytes 0 ..< 8, big-endian.
    package let high: UInt64
    /// Bytes 8 ..< 12, big-endian.
    package let low: UInt32

    package init(high: UInt64, low: UInt32) {
        self.high = high
        self.low = low
    }

    /// `bytes` must be 12 long.
    package init(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == SegmentID.byteCount)
        high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        low = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    }

    package static func random(_ environment: Environment) -> SegmentID {
        environment.random(byteCount).withUnsafeBytes { SegmentID($0) }
    }

    /// 24 lower-case hex digits: the file's name before `.seg`.
    package var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for shift in stride(from: 60, through: 0, by: -4) { text.append(digits[Int(high >> UInt64(shift) & 15)]) }
        for shift in stride(from: 28, through: 0, by: -4) { text.append(digits[Int(low >> UInt32(shift) & 15)]) }
        return String(decoding: text, as: UTF8.self)
    }

    package init?(hex: String) {
        let text = Array(hex.utf8)
        guard text.count == 24, text.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
            return nil
        }
        guard let high = UInt64(hex.prefix(16), radix: 16), let low = UInt32(hex.suffix(8), radix: 16) else {
            return nil
        }
        self.init(high: high, low: low)
    }

    package var description: String { hex }

    /// The 12 bytes, as the catalog and the file's header have them.
    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SegmentID.byteCount) { target, count in
            if let base = target.baseAddress { write(to: UnsafeMutableRawPointer(base)) }
            count = SegmentID.byteCount
        }
    }

    func write(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: high.bigEndian, as: UInt64.self)
        target.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}

/// Whose key seals a pack.
package enum PackKey: Hashable, Sendable {
    /// The key with this id, of the entity with this store number.
    case entity(UInt32, keyID: UInt64)
    /// The segment's own random vocabulary key, handed over by `useVocabularyKey`.
    case vocabulary
    /// The store's key for directories.
    case directory
}

/// Seals and opens packs; holds the keys so that this room never does. One per thread, not `Sendable`.
package protocol BlockSealer: AnyObject {
    /// The id of the key the entity has now: bound into the additional data of every pack that is written. Throws
    /// `keyErased` or `notFound`.
    func entityKeyID(_ entity: UInt32) throws(Fault) -> UInt64
    /// `nonce` is 24 bytes: segment id, then a counter unique in the segment. `into` is 16 longer than `plain`.
    func seal(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer) throws(Fault)
    /// `into` is 16 shorter than `sealed`. Throws `tampered` when the tag does not match.
    func open(
        _ key: PackKey, nonce: UnsafeRawBufferPointer, aad: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into: UnsafeMutableRawBufferPointer) throws(Fault)
    /// The 32 bytes that `PackKey.vocabulary` stands for until the next call. Called before packs of a
    /// vocabulary are sealed or opened; a copy is taken.
    func useVocabularyKey(_ bytes: UnsafeRawBufferPointer) throws(Fault)
    /// Called before a group of blocks is opened: keys of entities erased since are to be forgotten.
    func refresh()
}

extension BlockSealer {
    package func refresh() {}
}

/// One entity in a segment: what the catalog's index keeps, numbers only.
package struct SegmentEntityEntry: Hashable, Sendable {
    package var entity: UInt32
    package var rows: Int
    /// Milliseconds, both inclusive.
    package var minTime: Int64
    package var maxTime: Int64
    /// Place of the head pack in the file, and its bytes there.
    package var headOffset: Int
    package var headLength: Int
    /// Ascending by type number.
    package var types: [TypeCount]
    /// The id of the key it is sealed under; 0 is the one the entity has now. The file does not say: the index does.
    package var keyID: UInt64

    package init(
        entity: UInt32, rows: Int, minTime: Int64, maxTime: Int64, headOffset: Int, headLength: Int,
        types: [TypeCount], keyID: UInt64 = 0
    ) {
        self.keyID = keyID
        self.entity = entity
        self.rows = rows
        self.minTime = minTime
        self.maxTime = maxTime
        self.headOffset = headOffset
        self.headLength = headLength
        self.types = types
    }

    /// Entries are equal when they say the same of the file's content: the file's own directory does not know the key.
    package static func == (a: SegmentEntityEntry, b: SegmentEntityEntry) -> Bool {
        a.entity == b.entity && a.rows == b.rows && a.minTime == b.minTime && a.maxTime == b.maxTime
            && a.headOffset == b.headOffset && a.headLength == b.headLength && a.types == b.types
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(entity)
        hasher.combine(headOffset)
        hasher.combine(minTime)
    }
}

/// What the catalog records of a segment.
package struct SegmentSummary: Sendable, Equatable {
    package var id: SegmentID
    package var partitionStart: Int64
    package var partitionMs: Int64
    package var rows: Int
    package var minTime: Int64
    package var maxTime: Int64
    /// Relative to the base the segment was built with (`SegmentOptions.sequenceBase`).
    package var minSequence: UInt64
    package var maxSequence: UInt64
    package var fileBytes: Int
    /// Ascending by entity number.
    package var entities: [SegmentEntityEntry]
    /// Numbers of the type and attribute names used, ascending.
    package var typeNumbers: [UInt32]
    package var attributeNumbers: [UInt32]
}

/// How to build a segment.
package struct SegmentOptions: Sendable {
    /// A value used by at least this many entities of the segment may join its vocabulary; 0 = off.
    package var sharedValueEntitiesMin = 3
    /// Whether an attribute's name says that its values can identify a person: those are never shared.
    package var isPersonal: @Sendable (_ attributeNumber: UInt32) -> Bool = { _ in true }
    /// Spend time on size: LZ4HC and a search for the smallest encodings. For compaction.
    package var highCompression = false
    package var blockRowsMax = Limits.blockRowsMax
    /// The catalog's incarnation, so that an orphan can be told from a stranger's file.
    package var storeIncarnation: UInt64 = 0
    package var createdMs: Int64 = 0
    /// Subtracted (wrapping) from every row's sequence; the reader is handed the base again.
    package var sequenceBase: UInt64 = 0

    package init() {}
}
