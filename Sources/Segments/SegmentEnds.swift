// The plain first and last bytes of a segment file. Both carry a CRC-32C against rot; the header is also
// authenticated with the sealed directory, and the footer's numbers stand in it once more.

import EventStoreCore

struct SegmentHeader: Equatable {
    private typealias Field = SegmentFormat.Header

    var id: SegmentID
    var partitionStart: Int64
    var partitionMs: Int64
    var incarnation: UInt64
    var createdMs: Int64

    func encoded() throws(Fault) -> [UInt8] {
        let hours = partitionMs / SegmentFormat.msPerHour
        let startHours = partitionStart / SegmentFormat.msPerHour
        guard hours > 0, hours * SegmentFormat.msPerHour == partitionMs, let hours16 = UInt16(exactly: hours),
            startHours * SegmentFormat.msPerHour == partitionStart, let start32 = Int32(exactly: startHours)
        else { throw Fault(.invalid, "a partition must begin and end on an hour") }
        var bytes = [UInt8](repeating: 0, count: Field.byteCount)
        bytes.withUnsafeMutableBytes { target in
            target.storeBytes(of: SegmentFormat.magic.littleEndian, toByteOffset: Field.magic, as: UInt32.self)
            target.storeBytes(of: SegmentFormat.version.littleEndian, toByteOffset: Field.version, as: UInt16.self)
            target.storeBytes(of: hours16.littleEndian, toByteOffset: Field.partitionHours, as: UInt16.self)
            id.write(to: target.baseAddress! + Field.segmentID)
            target.storeBytes(of: incarnation.littleEndian, toByteOffset: Field.incarnation, as: UInt64.self)
            target.storeBytes(of: start32.littleEndian, toByteOffset: Field.partitionStartHours, as: Int32.self)
            let seconds = UInt32(clamping: createdMs / 1000)
            target.storeBytes(of: seconds.littleEndian, toByteOffset: Field.createdSeconds, as: UInt32.self)
            let sum = Checksum.crc32c(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(target)[..<Field.checksum]))
            target.storeBytes(of: sum.littleEndian, toByteOffset: Field.checksum, as: UInt32.self)
        }
        return bytes
    }

    static func parse(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> SegmentHeader {
        precondition(bytes.count == Field.byteCount)
        func load<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
            T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
        guard load(Field.magic, UInt32.self) == SegmentFormat.magic else {
            throw Fault(.damaged, "this is no segment file", at: .init(offset: 0))
        }
        let sum = Checksum.crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<Field.checksum]))
        guard load(Field.checksum, UInt32.self) == sum else {
            throw Fault(.damaged, "the header's checksum does not match", at: .init(offset: 0))
        }
        guard load(Field.version, UInt16.self) == SegmentFormat.version else {
            throw Fault(.tooNew, "the segment was written by a newer version of the store", at: .init(offset: 4))
        }
        return SegmentHeader(
            id: SegmentID(UnsafeRawBufferPointer(rebasing: bytes[Field.segmentID..<Field.incarnation])),
            partitionStart: Int64(load(Field.partitionStartHours, Int32.self)) * SegmentFormat.msPerHour,
            partitionMs: Int64(load(Field.partitionHours, UInt16.self)) * SegmentFormat.msPerHour,
            incarnation: load(Field.incarnation, UInt64.self),
            createdMs: Int64(load(Field.createdSeconds, UInt32.self)) * 1000)
    }
}

struct SegmentFooter: Equatable {
    private typealias Field = SegmentFormat.Footer

    var regions: SegmentRegions
    var directoryLength: Int
    var directoryRawLength: Int
    var directoryCodec: PackCodec

    func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: Field.byteCount)
        writer.integer(UInt64(regions.strings))
        writer.integer(UInt64(regions.ids))
        writer.integer(UInt64(regions.vocabulary))
        writer.integer(UInt32(directoryLength))
        writer.integer(SegmentFormat.HeadPrefix.make(rawLength: directoryRawLength, codec: directoryCodec))
        writer.integer(writer.bytes.withUnsafeBytes { Checksum.crc32c($0) })
        writer.integer(SegmentFormat.magic)
        return writer.bytes
    }

    /// Checks that the regions follow one another and fill the file.
    static func parse(_ bytes: UnsafeRawBufferPointer, fileBytes: Int) throws(Fault) -> SegmentFooter {
        let place = Fault.Place(offset: fileBytes - Field.byteCount)
        var reader = ByteReader(bytes)
        let starts = (try reader.u64(), try reader.u64(), try reader.u64())
        let length = Int(try reader.u32())
        let prefix = try reader.u32()
        let sum = Checksum.crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<Field.checksum]))
        guard try reader.u32() == sum, try reader.u32() == SegmentFormat.magic else {
            throw Fault(.damaged, "the footer's checksum does not match: the file is torn or damaged", at: place)
        }
        let directory = fileBytes - Field.byteCount - length
        let (rawLength, codec) = try SegmentFormat.HeadPrefix.parse(prefix)
        guard length >= SegmentFormat.tagBytes, starts.0 >= UInt64(SegmentRegions.hot), starts.1 >= starts.0,
            starts.2 >= starts.1, directory >= 0, UInt64(directory) >= starts.2
        else { throw Fault(.damaged, "the footer's numbers do not fit the file", at: place) }
        return SegmentFooter(
            regions: SegmentRegions(
                strings: Int(starts.0), ids: Int(starts.1), vocabulary: Int(starts.2), directory: directory),
            directoryLength: length, directoryRawLength: rawLength, directoryCodec: codec)
    }
}
