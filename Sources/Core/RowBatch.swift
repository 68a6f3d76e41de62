// Events in memory, the common currency between the rooms: parsers fill a RowBatch, the journal decodes
// to one, the memory table is a list of them, the segment writer reads them, queries and exports
// materialise into them. An `Event` value exists only at the public iterator.
//
// Rows are fixed columns plus a run of 8-byte cells. What a row's cells mean is said by its shape:
// a type and the list of (attribute, kind) pairs, ordered by column key. Rows of one kind of event share
// one shape, so a row costs no per-cell tag, and presence, kind and order are decided once per shape.

/// What a cell holds. Raw values are persisted and never reused.
@frozen
@usableFromInline
package enum ValueKind: UInt8, Sendable {
    /// Payload: a code of the batch's `strings`.
    case string = 0
    /// Payload: the Int64's bits.
    case integer = 1
    /// Payload: the Double's bits.
    case double = 2
    /// Payload: 0 or 1.
    case bool = 3
    /// Payload: a code of the batch's `strings`, whose text is JSON (an array).
    case json = 4
}

/// One attribute with one kind: attribute number << 3 | kind. An attribute whose kind varies is several columns.
@frozen
@usableFromInline
package struct ColumnKey: Hashable, Comparable, Sendable, BitwiseCopyable {
    @usableFromInline package var raw: UInt32
    @inlinable package init(raw: UInt32) { self.raw = raw }
    @inlinable
    package init(attribute: UInt32, kind: ValueKind) { raw = attribute << 3 | UInt32(kind.rawValue) }
    @inlinable package var attribute: UInt32 { raw >> 3 }
    /// `nil` for bits that are no kind: only possible in bytes read from outside.
    @inlinable package var kindIfValid: ValueKind? { ValueKind(rawValue: UInt8(raw & 7)) }
    @inlinable package var kind: ValueKind { ValueKind(rawValue: UInt8(raw & 7))! }
    @inlinable
    package static func < (a: ColumnKey, b: ColumnKey) -> Bool { a.raw < b.raw }
}

/// A type and the columns its rows have, in ascending order of key. Numbers are the batch's local codes
/// (see `RowBatch.types`, `RowBatch.attributes`).
package struct RowShape: Hashable, Sendable {
    package var type: UInt32
    package var columns: [ColumnKey]
    package init(type: UInt32, columns: [ColumnKey]) {
        self.type = type
        self.columns = columns
    }
}

@frozen
@usableFromInline
package struct RowFlags: OptionSet, Sendable, BitwiseCopyable {
    @usableFromInline package let rawValue: UInt8
    @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The id is a hash of (entity, line); the n-th equal line of an import still gets its own.
    package static let idFromLine = RowFlags(rawValue: 1)
    /// The row has no id: it takes the batch's prefix and its ordinal.
    package static let idMissing = RowFlags(rawValue: 2)
}

/// A batch of events in columns. Filled by one thread through `RowBatchBuilder`'s or the append methods
/// below, then never changed: from then on any number of threads may read it.
///
/// `@unchecked Sendable`: mutation happens only before the batch is handed on; the engine publishes it
/// through a lock, which orders the writes before every later read.
@usableFromInline
package final class RowBatch: @unchecked Sendable {
    // Local vocabularies: dense codes in order of first appearance.
    package var entities = StringTable()
    package var types = StringTable()
    package var attributes = StringTable(capacity: 64)
    package var strings: StringTable

    // What the store's numbers are for the local codes; filled when the engine admits the batch.
    package var entityNumbers: [UInt32] = []
    package var typeNumbers: [UInt32] = []
    package var attributeNumbers: [UInt32] = []

    package private(set) var shapes: [RowShape] = []
    private var shapeIndex: [RowShape: UInt32] = [:]

    // One element a row.
    @usableFromInline package var entity = GrowableBuffer<UInt32>()
    @usableFromInline package var shape = GrowableBuffer<UInt32>()
    @usableFromInline package var timestamp = GrowableBuffer<Int64>()
    @usableFromInline package var id = GrowableBuffer<EventID>()
    @usableFromInline package var flags = GrowableBuffer<RowFlags>()
    @usableFromInline package var sequence = GrowableBuffer<UInt64>()
    @usableFromInline package var received = GrowableBuffer<Int64>()
    /// First cell of the row; `cellStart[rowCount]` is the end of the last.
    @usableFromInline package var cellStart = GrowableBuffer<UInt32>()
    @usableFromInline package var cells = GrowableBuffer<UInt64>()

    package init(rowCapacity: Int = 16) {
        strings = StringTable(capacity: Swift.max(16, rowCapacity))
        cellStart.append(0)
    }

    @inlinable package var rowCount: Int { shape.count }

    /// Memory held, in bytes, within a few percent.
    package var byteCount: Int {
        strings.byteCount + entities.byteCount + types.byteCount + attributes.byteCount
            + entity.byteCount + shape.byteCount + timestamp.byteCount + id.byteCount + flags.byteCount
            + sequence.byteCount + received.byteCount + cellStart.byteCount + cells.byteCount
    }

    /// The number of this shape, whose columns must be strictly ascending.
    package func internShape(_ candidate: RowShape) -> UInt32 {
        if let known = shapeIndex[candidate] { return known }
        let number = UInt32(shapes.count)
        shapes.append(candidate)
        shapeIndex[candidate] = number
        return number
    }

    /// Ends a row whose cells were appended to `cells` in the order of the shape's columns.
    @inlinable
    package func finishRow(
        entity entityCode: UInt32, shape shapeNumber: UInt32, timestamp ms: Int64, id eventID: EventID,
        flags rowFlags: RowFlags = [], sequence number: UInt64 = 0, received receivedMs: Int64 = 0
    ) {
        entity.append(entityCode)
        shape.append(shapeNumber)
        timestamp.append(ms)
        id.append(eventID)
        flags.append(rowFlags)
        sequence.append(number)
        received.append(receivedMs)
        cellStart.append(UInt32(truncatingIfNeeded: cells.count))
    }

    /// The cells of a row, in the order of its shape's columns.
    @inlinable
    package func cells(ofRow row: Int) -> UnsafeBufferPointer<UInt64> {
        let start = Int(cellStart[row])
        return UnsafeBufferPointer(start: cells.base + start, count: Int(cellStart[row + 1]) - start)
    }
}

/// A row of one of several batches, small enough to sort millions of.
@frozen
@usableFromInline
package struct RowRef: Sendable, BitwiseCopyable {
    @usableFromInline package var batch: UInt32
    @usableFromInline package var row: UInt32
    @inlinable
    package init(batch: UInt32, row: UInt32) {
        self.batch = batch
        self.row = row
    }
}
