// The constants of a segment file, shared by writer, reader and verifier. The page that describes them
// is docs/format/segment.md; a change here is a change there and, once released, a new format version.
//
// Offsets are derived one from the other. Everything is little-endian. Values on disk are never reused.

import EventStoreCore

package enum SegmentFormat {
    /// "EVSG" read as bytes.
    static let magic: UInt32 = 0x4753_5645
    package static let version: UInt16 = 1

    /// The plain header, bytes 0 ..< 40 of the file.
    enum Header {
        static let magic = 0
        static let version = magic + 4
        static let partitionHours = version + 2
        static let segmentID = partitionHours + 2
        static let incarnation = segmentID + SegmentID.byteCount
        static let partitionStartHours = incarnation + 8
        static let createdSeconds = partitionStartHours + 4
        static let checksum = createdSeconds + 4
        static let byteCount = checksum + 4
    }

    /// The plain footer, the last 40 bytes of the file. The sealed directory ends where it begins. The hot
    /// region begins behind the header; each region ends where the next begins.
    enum Footer {
        static let stringsStart = 0
        static let idsStart = stringsStart + 8
        static let vocabularyStart = idsStart + 8
        static let directoryLength = vocabularyStart + 8
        /// As in `HeadPrefix`.
        static let directoryPrefix = directoryLength + 4
        static let checksum = directoryPrefix + 4
        static let magic = checksum + 4
        static let byteCount = magic + 4
    }

    /// The plain word before a head pack: raw length in bits 0–29, codec in bits 30–31. Both are authenticated.
    enum HeadPrefix {
        static let byteCount = 4
        static let lengthMask: UInt32 = 0x3fff_ffff

        static func make(rawLength: Int, codec: PackCodec) -> UInt32 {
            UInt32(truncatingIfNeeded: rawLength) | UInt32(codec.rawValue) << 30
        }

        static func parse(_ word: UInt32) throws(Fault) -> (rawLength: Int, codec: PackCodec) {
            let length = Int(word & lengthMask)
            guard length <= Limits.packRawBytesMax, let codec = PackCodec(rawValue: UInt8(word >> 30)) else {
                throw Fault(.damaged, "the word before a sealed pack is no length and codec")
            }
            return (length, codec)
        }
    }

    static let tagBytes = 16
    static let nonceBytes = 24

    /// The additional data of every sealed pack. The directory's is followed by the whole header.
    enum AdditionalData {
        static let version = 0
        static let segmentID = version + 2
        static let keyID = segmentID + SegmentID.byteCount
        static let block = keyID + 8
        static let pack = block + 4
        static let codec = pack + 4
        static let rows = codec + 1
        static let rawLength = rows + 4
        static let byteCount = rawLength + 4
    }

    /// First word of the nonce's counter when the pack is no entity's. Entity numbers stay below 2^28.
    static let directoryOwner: UInt32 = 0xffff_ffff
    static let vocabularyOwner: UInt32 = 0xffff_fffe

    /// Entity numbers stay below this.
    package static let entityNumberEnd: UInt32 = 1 << 28

    static let msPerHour: Int64 = 3_600_000

    /// An entity whose directory, columns and ids come to at most this is one single pack.
    static let singlePackBytesMax = 2048
    /// Blocks of at least this many rows have zone maps and Bloom filters.
    static let zoneRowsMin = 4096
    /// A run of one (entity, type) of at least this many rows gets blocks of its own.
    static let ownBlockRowsMin = 16_384
    /// A column whose bytes would exceed this makes its block be cut in two.
    static let columnBytesMax = 12 << 20
    /// So does a block's directory.
    static let blockDirectoryBytesMax = 1 << 20
    /// What a directory may come to when read: one row may need more than the above.
    static let hotBytesInHeadMax = 16 * 1024
}

/// How the bytes of a pack are stored before they are sealed.
package enum PackCodec: UInt8, Sendable, BitwiseCopyable {
    case raw = 0
    case lz4 = 1
    /// LZ4 with the format's preset dictionary as the 64 KiB before the first byte.
    case lz4Preset = 2
}

/// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4: guards the plain header and footer against rot.
enum Checksum {
    private static let table: [UInt32] = (0..<256).map { index in
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
        return value
    }

    static func crc32c(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var state: UInt32 = 0xffff_ffff
        for byte in bytes { state = table[Int((state ^ UInt32(byte)) & 0xff)] ^ state >> 8 }
        return ~state
    }
}
