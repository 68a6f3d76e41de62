import EventStoreCore

/// Takes the values of one column of a row group. Rows without a value need not be mentioned: the row group knows
/// how many rows there are, and `skip(toRow:)` says that a value belongs to a later row.
///
/// Texts are interned as they come, until they turn out to repeat too little; a caller who holds codes of a
/// dictionary of its own can hand those over, so that a text is hashed once a dictionary and not once a row.
///
/// A builder is a plain pointer into its row group, so that a row costs no retains: it must not outlive the group.
@frozen
@usableFromInline
package struct ParquetColumnBuilder: BitwiseCopyable {
    @usableFromInline
    struct State: ~Copyable {
        @usableFromInline let kind: ParquetKind
        let isOptional: Bool
        /// Row groups without a dictionary, in a row.
        var plainGroups = 0
        /// Rows so far, with a value or without.
        @usableFromInline var rows = 0
        @usableFromInline var values = 0
        /// A bit for each row; words that were not needed yet are missing and count as zero.
        @usableFromInline var presence = GrowableBuffer<UInt64>()
        /// Values of kinds that are a word, without gaps.
        @usableFromInline var words = GrowableBuffer<UInt64>()
        /// Texts as codes of `texts`, unless `isPlain`.
        @usableFromInline var codes = GrowableBuffer<UInt32>()
        @usableFromInline var texts = StringTable()
        /// Values in Parquet's PLAIN encoding: ids, and texts once `isPlain`.
        @usableFromInline var plain = ByteSink()
        @usableFromInline var isPlain = false
        /// Codes of the caller's dictionary as codes of `texts`; empty until the first one comes.
        @usableFromInline var known = GrowableBuffer<UInt32>()
        /// Texts in the caller's dictionary.
        var codeCount = 0
        /// Bytes of all texts.
        @usableFromInline var textBytes = 0

        init(_ column: ParquetColumn) {
            kind = column.kind
            isOptional = column.isOptional
        }
    }

    @usableFromInline let state: UnsafeMutablePointer<State>
    /// More distinct texts than this are not worth a dictionary.
    private static let textsMax = 65_536
    private static let textBytesMax = 8 << 20
    /// After so many row groups without a dictionary one is looked for again.
    private static let plainGroupsMax = 8
    /// Values that show whether texts repeat.
    private static let evidenceMin = 4096
    @usableFromInline static let unknown = UInt32.max

    init(_ column: ParquetColumn) {
        state = .allocate(capacity: 1)
        state.initialize(to: State(column))
    }

    /// Called by the row group when it ends.
    func deallocate() {
        state.deinitialize(count: 1)
        state.deallocate()
    }

    @inlinable package var kind: ParquetKind { state.pointee.kind }
    var isOptional: Bool { state.pointee.isOptional }

    // MARK: Rows

    /// Rows so far.
    @inlinable package var rowCount: Int { state.pointee.rows }

    @inlinable
    package func appendNull() { state.pointee.rows &+= 1 }

    /// Rows before `row` that were not mentioned have no value.
    @inlinable
    package func skip(toRow row: Int) {
        assert(row >= state.pointee.rows)
        state.pointee.rows = row
    }

    @inlinable
    @inline(__always)
    func mark() {
        let row = state.pointee.rows
        let word = row &>> 6
        if word >= state.pointee.presence.count { state.pointee.presence.resize(to: word + 1, filling: 0) }
        state.pointee.presence.base[word] |= 1 &<< UInt64(truncatingIfNeeded: row & 63)
        state.pointee.rows = row &+ 1
        state.pointee.values &+= 1
    }

    // MARK: Words

    /// For `integer`, `timestamp`, and `unsigned` as its bits.
    @inlinable
    package func append(_ value: Int64) { append(word: UInt64(bitPattern: value)) }

    @inlinable
    package func append(_ value: UInt64) { append(word: value) }

    @inlinable
    package func append(_ value: Double) { append(word: value.bitPattern) }

    @inlinable
    package func append(_ value: Bool) { append(word: value ? 1 : 0) }

    /// The 64 bits of a value; 0 or 1 for a boolean.
    @inlinable
    @inline(__always)
    package func append(word: UInt64) {
        assert(kind.isWord)
        mark()
        state.pointee.words.append(word)
    }

    @inlinable
    package func append(_ id: EventID) {
        assert(kind == .uuid)
        mark()
        state.pointee.plain.integer(id.high.byteSwapped)
        state.pointee.plain.integer(id.low.byteSwapped)
    }

    // MARK: Texts

    @inlinable
    package func append(bytes: UnsafeRawBufferPointer) {
        assert(kind.isText)
        mark()
        _ = take(bytes)
    }

    package func append(_ text: String) {
        var text = text
        text.withUTF8 { append(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// A dictionary of the caller with so many texts comes into use for `append(code:_:)`. What was said of an
    /// earlier one is forgotten. Costs four bytes a text, as soon as the column gets a code of it: a column that
    /// has values in few rows does better with `append(bytes:)`.
    package func startCodes(count: Int) {
        state.pointee.known.truncate(to: 0)
        state.pointee.codeCount = count
    }

    @usableFromInline
    func prepareCodes(_ code: Int) {
        precondition(code < state.pointee.codeCount, "a code beyond the dictionary of startCodes")
        state.pointee.known.resize(to: state.pointee.codeCount, filling: ParquetColumnBuilder.unknown)
    }

    /// A text by its code in the caller's dictionary; `text` gives the bytes when they are needed.
    @inlinable
    package func append(code: Int, _ text: (Int) -> UnsafeRawBufferPointer) {
        assert(kind.isText)
        mark()
        if code >= state.pointee.known.count { prepareCodes(code) }
        let known = state.pointee.known[code]
        if known != ParquetColumnBuilder.unknown, !state.pointee.isPlain {
            state.pointee.codes.append(known)
            state.pointee.textBytes &+= state.pointee.texts.bytes(Int(known)).count
            return
        }
        state.pointee.known[code] = take(text(code))
    }

    /// Adds a text and says its code.
    @usableFromInline
    func take(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        state.pointee.textBytes += bytes.count
        if state.pointee.isPlain {
            state.pointee.plain.integer(UInt32(bytes.count))
            state.pointee.plain.raw(bytes)
            return ParquetColumnBuilder.unknown
        }
        let code = state.pointee.texts.intern(bytes)
        state.pointee.codes.append(code)
        if state.pointee.texts.count > ParquetColumnBuilder.textsMax
            || state.pointee.texts.arena.count > ParquetColumnBuilder.textBytesMax
            || state.pointee.codes.count & 4095 == 0 && state.pointee.texts.count > state.pointee.codes.count / 4 * 3
        {
            giveUpDictionary()
            return ParquetColumnBuilder.unknown
        }
        return code
    }

    /// Writes the texts out that were interned so far; later ones are written as they come.
    func giveUpDictionary() {
        let codes = state.pointee.codes.buffer
        state.pointee.plain.reserve(state.pointee.textBytes + codes.count * 4)
        for code in codes {
            let bytes = state.pointee.texts.bytes(Int(code))
            state.pointee.plain.integer(UInt32(bytes.count))
            state.pointee.plain.raw(bytes)
        }
        state.pointee.codes.truncate(to: 0)
        state.pointee.texts = StringTable()
        state.pointee.isPlain = true
    }

    // MARK: The row group's view

    var valueCount: Int { state.pointee.values }

    /// Memory the values take.
    var byteCount: Int {
        state.pointee.words.count * 8 + state.pointee.codes.count * 4 + state.pointee.plain.count
            + state.pointee.texts.arena.count + state.pointee.presence.count * 8
    }

    /// Begins the next row group.
    func reset() {
        let values = state.pointee.values
        state.pointee.rows = 0
        state.pointee.values = 0
        state.pointee.textBytes = 0
        state.pointee.presence.truncate(to: 0)
        state.pointee.words.truncate(to: 0)
        state.pointee.codes.truncate(to: 0)
        state.pointee.plain.removeAll(keepingAtMost: 4 << 20)
        if state.pointee.texts.count > 0 { state.pointee.texts = StringTable() }
        state.pointee.known.truncate(to: 0)
        guard kind.isText else { return }
        // Few values are no evidence.
        if values < ParquetColumnBuilder.evidenceMin { state.pointee.isPlain = false }
        state.pointee.plainGroups = state.pointee.isPlain ? state.pointee.plainGroups + 1 : 0
        if state.pointee.plainGroups >= ParquetColumnBuilder.plainGroupsMax {
            state.pointee.plainGroups = 0
            state.pointee.isPlain = false
        }
    }
}
