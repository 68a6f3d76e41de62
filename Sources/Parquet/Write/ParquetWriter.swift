import EventStoreCore

/// Takes the bytes of a file from its beginning to its end.
package protocol ParquetSink {
    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(Fault)
}

/// A sink that is a new file. The caller syncs and closes it.
package struct ParquetFileSink: ParquetSink {
    package let file: any FileHandle
    package private(set) var offset = 0

    package init(_ file: any FileHandle) { self.file = file }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
        try file.write(bytes, at: offset)
        offset += bytes.count
    }
}

/// Writes a Parquet file (https://github.com/apache/parquet-format): row groups one after the other, then the
/// footer. Memory is bounded by one row group; of those written only their metadata are kept.
///
/// After a fault the file is unfinished and no Parquet file: the caller removes it.
package struct ParquetWriter<Sink: ParquetSink>: ~Copyable {
    package let schema: ParquetSchema
    package private(set) var sink: Sink
    package private(set) var rowCount = 0
    package private(set) var rowGroupCount = 0
    /// Bytes written so far; the size of the file once it is finished.
    package private(set) var byteCount = 0
    /// The footer's list of row groups, encoded already.
    private var rowGroups = ThriftWriter()

    package init(_ schema: ParquetSchema, to sink: Sink) throws(Fault) {
        self.schema = schema
        self.sink = sink
        try write(ParquetFormat.magic)
    }

    /// Writes a row group and empties it. One without rows leaves no trace.
    package mutating func append(_ group: ParquetRowGroup) throws(Fault) {
        precondition(group.schema.columns == schema.columns, "a row group of another schema")
        if group.rowCount > 0 {
            group.encode()
            let base = byteCount
            try write(group.output.bytes)
            note(group, at: base)
        }
        group.reset()
    }

    private mutating func note(_ group: ParquetRowGroup, at base: Int) {
        let chunks = group.chunks
        rowGroups.element { entry in
            entry.list(1, of: .structure, count: chunks.count)
            for (column, chunk) in zip(group.schema.columns, chunks) { chunk.write(column, at: base, to: &entry) }
            entry.int64(2, chunks.reduce(0) { $0 + $1.plainBytes })
            entry.int64(3, group.rowCount)
            entry.int64(5, base)
            entry.int64(6, chunks.reduce(0) { $0 + $1.storedBytes })
        }
        rowCount += group.rowCount
        rowGroupCount += 1
    }

    /// Writes the footer. `createdBy` has the form "NAME version VERSION"; `metadata` are shown by every reader.
    package mutating func finish(
        createdBy: String, metadata: [(key: String, value: String)] = []
    ) throws(Fault) {
        var thrift = ThriftWriter()
        thrift.element { footer in
            footer.int32(1, ParquetFormat.version)
            footer.list(2, of: .structure, count: schema.columns.count + 1)
            footer.element { root in
                root.string(4, "schema")
                root.int32(5, Int32(schema.columns.count))
            }
            for column in schema.columns { column.write(to: &footer) }
            footer.int64(3, rowCount)
            footer.list(4, of: .structure, count: rowGroupCount)
            footer.sink.raw(rowGroups.sink.bytes)
            if !metadata.isEmpty {
                footer.list(5, of: .structure, count: metadata.count)
                for (key, value) in metadata {
                    footer.element { pair in
                        pair.string(1, key)
                        pair.string(2, value)
                    }
                }
            }
            footer.string(6, createdBy)
            // Bounds are in the order of each column's type.
            footer.list(7, of: .structure, count: schema.columns.count)
            for _ in schema.columns { footer.element { $0.structure(1) } }
        }
        let length = thrift.sink.count
        guard length <= Limits.parquetFooterBytesMax else {
            throw Fault(.limit, "the Parquet footer would have \(length) bytes; write fewer rows into one file")
        }
        try write(thrift.sink.bytes)
        try write(UInt32(length))
        try write(ParquetFormat.magic)
    }

    private mutating func write(_ number: UInt32) throws(Fault) {
        var tail = ByteSink(capacity: 4)
        tail.integer(number)
        try write(tail.bytes)
    }

    private mutating func write(_ bytes: UnsafeRawBufferPointer) throws(Fault) {
        try sink.append(bytes)
        byteCount += bytes.count
    }
}
