import EventStoreCore

/// Rows being gathered, and the pages made of them. Several row groups can be filled and encoded at the same time,
/// each by one thread; `ParquetWriter.append` then puts them into the file one after the other.
///
/// `@unchecked Sendable`: a row group has one user at a time. Whoever hands it to another thread does so through a
/// lock, a queue or the end of a task, which orders all earlier writes before the later reads.
@usableFromInline
package final class ParquetRowGroup: @unchecked Sendable {
    /// Bounds of a row group, and how hard its pages are compressed.
    @usableFromInline
    package struct Options: Sendable {
        /// At most so many rows.
        @usableFromInline package var rowsMax = 131_072
        /// Full when its values take about so many bytes.
        package var bytesMax = 64 << 20
        /// A page is closed when it has so many bytes before compression.
        package var pageBytes = 1 << 20
        /// LZ4 with a thorough search: smaller by some percent, several times slower.
        package var isCompact = false

        package init() {}
    }

    package let schema: ParquetSchema
    @usableFromInline package let options: Options
    /// One for each column of the schema; they end with the group.
    @usableFromInline package let columns: [ParquetColumnBuilder]
    @usableFromInline package private(set) var rowCount = 0
    /// The row at which the bytes are counted next.
    @usableFromInline var nextCount = 0
    @usableFromInline var isOverBudget = false

    /// All pages, and where each column's begin; valid once `isEncoded`.
    private(set) var output = ByteSink()
    private(set) var chunks: [ChunkMetadata] = []
    private(set) var isEncoded = false

    package init(_ schema: ParquetSchema, _ options: Options = Options()) {
        self.schema = schema
        self.options = options
        columns = schema.columns.map { ParquetColumnBuilder($0) }
    }

    deinit {
        for column in columns { column.deallocate() }
    }

    /// Ends a row: columns that got no value for it have none.
    @inlinable
    package func endRow() {
        rowCount &+= 1
        if rowCount >= nextCount { countBytes() }
    }

    /// Ends several rows, for columns filled one after the other.
    @inlinable
    package func endRows(_ count: Int) {
        rowCount += count
        if rowCount >= nextCount { countBytes() }
    }

    /// Time to encode: as many rows or bytes as a row group shall have.
    @inlinable
    package var isFull: Bool { rowCount >= options.rowsMax || isOverBudget }

    @usableFromInline
    func countBytes() {
        let bytes = byteCount
        isOverBudget = bytes >= options.bytesMax
        nextCount = rowCount + min(1024, max(16, (options.bytesMax - bytes) / Limits.eventBytesMax))
    }

    /// Memory the values take so far.
    package var byteCount: Int { columns.reduce(0) { $0 + $1.byteCount } }

    /// Makes the pages. Costs most of the time of writing; may run on any thread. Rows cannot be added before
    /// the writer has taken the group or `reset` was called.
    package func encode() {
        if isEncoded { return }
        let encoder = ChunkEncoder(options, rows: rowCount)
        output.removeAll()
        chunks = columns.map { encoder.encode($0, into: &output) }
        isEncoded = true
    }

    /// Empties the group for the next rows; memory is kept.
    package func reset() {
        for column in columns { column.reset() }
        rowCount = 0
        nextCount = 0
        isOverBudget = false
        output.removeAll()
        chunks = []
        isEncoded = false
    }
}
