// The one interface of all parsers: whole lines in, rows of a RowBatch out.

import EventStoreCore

/// How far a call of `parse` came.
package struct ParseProgress: Sendable, Equatable {
    package var bytes: Int
    package var lines: Int
    package init(bytes: Int, lines: Int) {
        self.bytes = bytes
        self.lines = lines
    }
}

/// A parser belongs to one thread and is not Sendable; the batches and reports it gives away are.
///
/// Input comes in chunks of whole lines (the last line of a file may lack its line feed), in any order: no
/// state but the learned shapes passes from chunk to chunk. An event that cannot be taken is refused and
/// counted; parsing goes on behind it. Nothing here throws or traps, whatever the bytes.
package protocol EventParser: AnyObject {
    /// Parses lines until the bytes end or the batch holds `rowLimit` rows. The bytes are not kept.
    /// - Parameter firstLine: number of the first line in its file, from 1, for the report.
    @discardableResult
    func parse(_ bytes: UnsafeRawBufferPointer, firstLine: Int, rowLimit: Int) -> ParseProgress
    /// Rows in the batch being filled.
    var rowCount: Int { get }
    /// Memory of the batch being filled, in bytes.
    var batchByteCount: Int { get }
    /// The rows parsed so far; parsing goes on into a fresh batch.
    func takeBatch() -> RowBatch
    /// The counts since the last call.
    func takeReport() -> ParseReport
}

extension EventParser {
    @discardableResult
    package func parse(_ bytes: UnsafeRawBufferPointer, firstLine: Int = 1) -> ParseProgress {
        parse(bytes, firstLine: firstLine, rowLimit: .max)
    }
}

/// Makes the parser for what an `InputSource` found its file to be.
package enum EventParsers {
    /// - Throws: `invalid` when the log format or the CSV header cannot be used.
    package static func make(
        _ description: InputDescription, options: InputOptions, identity: any LineIdentity
    ) throws(Fault) -> any EventParser {
        func log(_ text: String) throws(Fault) -> LogLineParser {
            try LogLineParser(pattern: try LogPattern(text), options: options, identity: identity)
        }
        switch description.format {
        case .ndjson: return NDJSONParser(options: options, identity: identity)
        case .clf: return try log(LogPattern.clfText)
        case .combined: return try log(LogPattern.combinedText)
        case .vhostCombined: return try log(LogPattern.vhostCombinedText)
        case .logPattern: return try log(options.logFormat ?? "")
        case .csv: return try CSVParser(header: description.csvHeader, options: options, identity: identity)
        }
    }
}
