// Values of a data page, decoded piece by piece, and the dictionary that many of them refer to.

import EventStoreCore

/// Dictionary of a column chunk. Texts point into the page it was read from.
struct PageDictionary: ~Copyable {
    var words = GrowableBuffer<UInt64>()
    var texts = GrowableBuffer<UnsafeRawBufferPointer>()
    var count = 0

    /// Memory that so many entries take beside their page.
    static func byteCount(_ entries: Int, _ column: ParquetFileColumn) -> Int {
        entries * (column.kind.isWord ? 8 : MemoryLayout<UnsafeRawBufferPointer>.stride)
    }
}

struct ValueDecoder {
    private enum Source {
        case plain(ByteReader)
        case bits(ByteReader, Int)
        case codes(HybridDecoder)
        case levels(HybridDecoder)
        case deltas(DeltaDecoder)
    }

    private let column: ParquetFileColumn
    private var source: Source

    private static func damaged(_ what: String) -> Fault { Fault(.damaged, "a Parquet page does not decode: \(what)") }

    /// - Throws: `invalid` for an encoding that cannot be read.
    init(_ bytes: UnsafeRawBufferPointer, _ encoding: Int32, _ column: ParquetFileColumn) throws(Fault) {
        self.column = column
        guard let known = Encoding(rawValue: encoding) else {
            throw ValueDecoder.damaged("unknown encoding \(encoding)")
        }
        var reader = ByteReader(bytes)
        switch (known, column.physical) {
        case (.plain, .boolean): source = .bits(reader, 0)
        case (.plain, _): source = .plain(reader)
        case (.rle, .boolean):
            let length = Int(try reader.u32())
            source = .levels(try HybridDecoder(try reader.raw(length), width: 1))
        case (.plainDictionary, _), (.rleDictionary, _):
            if column.physical == .boolean { throw ValueDecoder.damaged("booleans with a dictionary") }
            // A page without values may lack even the width.
            let width = reader.isAtEnd ? 0 : Int(try reader.u8())
            source = .codes(try HybridDecoder(try reader.raw(reader.remaining), width: width))
        case (.deltaBinaryPacked, .int32), (.deltaBinaryPacked, .int64): source = .deltas(try DeltaDecoder(bytes))
        default:
            throw Fault(
                .invalid,
                "Parquet column \"\(column.name)\" is encoded as \(known.name), which cannot be read; "
                    + "write the file again with dictionary or PLAIN encoding")
        }
    }

    /// Decodes the next values to the beginning of the vector. `scratch` holds codes of the dictionary meanwhile.
    mutating func decode(
        _ count: Int, _ dictionary: borrowing PageDictionary, _ scratch: inout GrowableBuffer<UInt32>,
        into vector: ParquetVector
    ) throws(Fault) {
        if count == 0 { return }
        switch source {
        case .plain(var reader):
            try ValueDecoder.plain(count, column, &reader, vector.words.base, vector.texts.base)
            source = .plain(reader)
        case .bits(let reader, let bit):
            guard bit + count <= reader.bytes.count * 8, let base = reader.bytes.baseAddress else {
                throw ValueDecoder.damaged("too few booleans")
            }
            for index in 0..<count { vector.words.base[index] = packedBits(base, at: bit + index, width: 1) }
            source = .bits(reader, bit + count)
        case .levels(var decoder):
            scratch.resize(to: count, filling: 0)
            try decoder.decode(count, into: scratch.base)
            for index in 0..<count { vector.words.base[index] = UInt64(scratch.base[index] & 1) }
            source = .levels(decoder)
        case .codes(var decoder):
            scratch.resize(to: count, filling: 0)
            try decoder.decode(count, into: scratch.base)
            source = .codes(decoder)
            try lookUp(count, dictionary, scratch, vector)
        case .deltas(var decoder):
            try decoder.decode(count, into: vector.words.base)
            source = .deltas(decoder)
            for index in 0..<count { vector.words.base[index] = column.value(ofStored: vector.words.base[index]) }
        }
    }

    private func lookUp(
        _ count: Int, _ dictionary: borrowing PageDictionary, _ codes: borrowing GrowableBuffer<UInt32>,
        _ vector: ParquetVector
    ) throws(Fault) {
        let size = dictionary.count
        for index in 0..<count where Int(codes.base[index]) >= size {
            throw ValueDecoder.damaged("a code beyond the dictionary")
        }
        if column.kind.isWord {
            for index in 0..<count { vector.words.base[index] = dictionary.words.base[Int(codes.base[index])] }
        } else {
            for index in 0..<count { vector.texts.base[index] = dictionary.texts.base[Int(codes.base[index])] }
        }
    }

    /// PLAIN values; of `words` and `texts` the one that the column's kind needs is filled.
    static func plain(
        _ count: Int, _ column: ParquetFileColumn, _ reader: inout ByteReader,
        _ words: UnsafeMutablePointer<UInt64>, _ texts: UnsafeMutablePointer<UnsafeRawBufferPointer>
    ) throws(Fault) {
        switch column.physical {
        case .int64, .double:
            let bytes = try reader.raw(count * 8)
            for index in 0..<count {
                let stored = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
                words[index] = column.value(ofStored: stored)
            }
        case .int32, .float:
            let bytes = try reader.raw(count * 4)
            for index in 0..<count {
                let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
                words[index] = column.value(ofStored: UInt64(stored))
            }
        case .fixedLengthByteArray:
            for index in 0..<count { texts[index] = try reader.raw(column.fixedLength) }
        case .byteArray:
            for index in 0..<count { texts[index] = try reader.raw(Int(try reader.u32())) }
        case .boolean, .int96: throw damaged("values of another type")
        }
    }
}

extension ParquetFileColumn {
    /// What a stored number means: sign or width extended, times in milliseconds.
    @inline(__always)
    func value(ofStored word: UInt64) -> UInt64 {
        switch physical {
        case .double: return word
        case .float: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: word))).bitPattern
        case .int32:
            let low = UInt32(truncatingIfNeeded: word)
            if kind == .unsigned { return UInt64(low) }
            return UInt64(bitPattern: Int64(Int32(bitPattern: low)) &* factor)
        default:
            if divisor == 1 { return word }
            let (quotient, remainder) = Int64(bitPattern: word).quotientAndRemainder(dividingBy: divisor)
            return UInt64(bitPattern: remainder < 0 ? quotient - 1 : quotient)
        }
    }
}
