// An open segment file: identity, regions, and the directory and vocabulary once somebody asked for them.

import EventStoreCore
import Synchronization

package final class SegmentReader: Sendable {
    package let path: String
    package let id: SegmentID
    package let partitionStart: Int64
    package let partitionMs: Int64
    package let fileBytes: Int
    package let incarnation: UInt64
    package let createdMs: Int64
    /// Added (wrapping) to every stored sequence.
    package let sequenceBase: UInt64
    package let vocabulary = SegmentVocabulary()

    let file: any FileHandle
    let footer: SegmentFooter
    var regions: SegmentRegions { footer.regions }
    private let headerBytes: [UInt8]
    private let cachedDirectory = Mutex<SegmentDirectory?>(nil)
    private let cachedPlaces = Mutex<VocabularyPlaces?>(nil)

    /// Checks header and footer. Takes two small reads; the file must stay open as long as the reader.
    package init(file: any FileHandle, path: String, sequenceBase: UInt64) throws(Fault) {
        self.file = file
        self.path = path
        self.sequenceBase = sequenceBase
        do throws(Fault) {
            let size = try file.size()
            let least = SegmentFormat.Header.byteCount + SegmentFormat.Footer.byteCount + SegmentFormat.tagBytes
            guard size >= least else { throw Fault(.damaged, "the file is too short for a segment") }
            fileBytes = size
            headerBytes = try SegmentReader.read(file, at: 0, SegmentFormat.Header.byteCount)
            let footerBytes = try SegmentReader.read(
                file, at: size - SegmentFormat.Footer.byteCount, SegmentFormat.Footer.byteCount)
            let header = try SegmentReader.parse(headerBytes) { bytes throws(Fault) in try SegmentHeader.parse(bytes) }
            footer = try SegmentReader.parse(footerBytes) { bytes throws(Fault) in
                try SegmentFooter.parse(bytes, fileBytes: size)
            }
            id = header.id
            partitionStart = header.partitionStart
            partitionMs = header.partitionMs
            incarnation = header.incarnation
            createdMs = header.createdMs
        } catch { throw error.at(file: path) }
    }

    private static func read(_ file: any FileHandle, at offset: Int, _ count: Int) throws(Fault) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: Fault?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(Fault) { try file.read(into: buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    private static func parse<T>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(Fault) -> T
    ) throws(Fault) -> T {
        let result = bytes.withUnsafeBytes { buffer -> Result<T, Fault> in
            do throws(Fault) { return .success(try body(buffer)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// The directory, opened on first use and kept.
    package func directory(_ sealer: any BlockSealer) throws(Fault) -> SegmentDirectory {
        if let known = cachedDirectory.withLock({ $0 }) { return known }
        do throws(Fault) {
            let fresh = try openDirectory(sealer)
            return cachedDirectory.withLock { cached in
                if let known = cached { return known }
                cached = fresh
                return fresh
            }
        } catch { throw error.at(file: path) }
    }

    private func openDirectory(_ sealer: any BlockSealer) throws(Fault) -> SegmentDirectory {
        let directory = try withDirectoryBytes(sealer) { plain throws(Fault) in
            try DirectoryCodec.read(
                plain, id: id, partitionStart: partitionStart, partitionMs: partitionMs, fileBytes: fileBytes)
        }
        try check(directory.regions)
        return directory
    }

    private func check(_ found: SegmentRegions) throws(Fault) {
        guard found == regions else { throw Fault(.tampered, "the footer and the sealed directory disagree") }
    }

    /// Where the vocabulary stands, read on first use and kept.
    private func vocabularyPlaces(_ sealer: any BlockSealer) throws(Fault) -> VocabularyPlaces {
        if let known = cachedPlaces.withLock({ $0 }) { return known }
        let found = try withDirectoryBytes(sealer) { plain throws(Fault) in
            try DirectoryCodec.readVocabulary(plain, fileBytes: fileBytes)
        }
        try check(found.regions)
        cachedPlaces.withLock { $0 = found }
        return found
    }

    private func withDirectoryBytes<T>(
        _ sealer: any BlockSealer, _ body: (UnsafeRawBufferPointer) throws(Fault) -> T
    ) throws(Fault) -> T {
        let sealed = try SegmentReader.read(file, at: regions.directory, footer.directoryLength)
        let arena = Arena()
        defer { withExtendedLifetime(arena) {} }
        let plain = try SegmentReader.parse(headerBytes) { header throws(Fault) in
            try SegmentReader.parse(sealed) { sealed throws(Fault) in
                try PackOpening.open(
                    sealed, .directory(id), codec: footer.directoryCodec, rawLength: footer.directoryRawLength,
                    header: header, sealer: sealer, arena: arena)
            }
        }
        return try body(plain)
    }

    /// The shared values of an attribute, decoded on first use; nil when it has none.
    func vocabularyColumn(_ attribute: UInt32, _ sealer: any BlockSealer) throws(Fault) -> VocabularyColumn? {
        try vocabulary.column(attribute) { arena throws(Fault) -> VocabularyColumn? in
            let vocabulary: VocabularyPlaces
            do throws(Fault) { vocabulary = try vocabularyPlaces(sealer) } catch { throw error.at(file: path) }
            guard let index = vocabulary.places.firstIndex(where: { $0.attribute == attribute }) else {
                return nil
            }
            do throws(Fault) {
                let place = vocabulary.places[index]
                let sealed = try SegmentReader.read(file, at: place.offset, place.length)
                try SegmentReader.parse(vocabulary.key) { key throws(Fault) in
                    try sealer.useVocabularyKey(key)
                }
                let plain = try SegmentReader.parse(sealed) { sealed throws(Fault) in
                    try PackOpening.open(
                        sealed, .vocabulary(id, pack: index), codec: place.codec, rawLength: place.rawLength,
                        sealer: sealer, arena: arena)
                }
                return try VocabularyCodec.decode(plain, count: place.entries, arena: arena)
            } catch { throw error.at(file: path) }
        }
    }
}

/// Opens a sealed pack into an arena: authentication, then decompression.
enum PackOpening {
    static func open(
        _ sealed: UnsafeRawBufferPointer, _ identity: PackIdentity, codec: PackCodec, rawLength: Int,
        header: UnsafeRawBufferPointer? = nil, sealer: any BlockSealer, arena: Arena
    ) throws(Fault) -> UnsafeRawBufferPointer {
        let length = sealed.count - SegmentFormat.tagBytes
        guard length >= 0, rawLength >= 0, rawLength <= Limits.packRawBytesMax, codec != .raw || length == rawLength
        else { throw Fault(.damaged, "a pack's length does not fit") }
        let opened = UnsafeMutableRawBufferPointer(start: arena.bytes(max(length, 1)), count: length)
        try PackSealing.open(
            sealed, identity, codec: codec, rawLength: rawLength, header: header, sealer: sealer, into: opened)
        if codec == .raw { return UnsafeRawBufferPointer(opened) }
        let plain = UnsafeMutableRawBufferPointer(start: arena.bytes(max(rawLength, 1)), count: rawLength)
        try PackCompressor.decompress(UnsafeRawBufferPointer(opened), codec: codec, into: plain)
        return UnsafeRawBufferPointer(plain)
    }
}
