import EventStoreCore

/// Values of one column for the rows of a batch. Overwritten by the next batch; texts lie in the reader's pages and
/// are valid until then.
package final class ParquetVector {
    package let kind: ParquetKind
    package internal(set) var rowCount = 0
    package internal(set) var nullCount = 0
    /// 1 for a row with a value.
    var levels = GrowableBuffer<UInt32>()
    var words = GrowableBuffer<UInt64>()
    var texts = GrowableBuffer<UnsafeRawBufferPointer>()

    init(_ kind: ParquetKind) { self.kind = kind }

    package func isNull(_ row: Int) -> Bool { levels[row] == 0 }

    /// The 64 bits of a value of a kind that is a word (0 or 1 for a boolean); 0 without a value.
    package func word(_ row: Int) -> UInt64 { words[row] }
    package func integer(_ row: Int) -> Int64 { Int64(bitPattern: words[row]) }
    package func double(_ row: Int) -> Double { Double(bitPattern: words[row]) }
    package func bool(_ row: Int) -> Bool { words[row] != 0 }

    /// The bytes of a text, which nobody has checked for UTF-8; 16 bytes of a `uuid`. Empty without a value.
    package func bytes(_ row: Int) -> UnsafeRawBufferPointer { texts[row] }

    /// Of a `uuid` with a value.
    package func id(_ row: Int) -> EventID {
        let bytes = texts[row]
        precondition(bytes.count == 16, "no id in this row or column")
        return EventID(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    /// Room for rows; contents are anything.
    func prepare(_ rows: Int) {
        rowCount = rows
        levels.resize(to: rows, filling: 0)
        if kind.isWord {
            words.resize(to: rows, filling: 0)
        } else {
            texts.resize(to: rows, filling: UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    /// Moves the values, which lie without gaps at the beginning, to the rows that have one.
    func spread(_ values: Int) {
        nullCount = rowCount - values
        if nullCount == 0 { return }
        var from = values
        var row = rowCount
        while row > 0 {
            row -= 1
            let isThere = levels.base[row] != 0
            if isThere { from -= 1 }
            if kind.isWord {
                words.base[row] = isThere ? words.base[from] : 0
            } else {
                texts.base[row] = isThere ? texts.base[from] : UnsafeRawBufferPointer(start: nil, count: 0)
            }
        }
    }
}
