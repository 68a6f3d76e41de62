// The parser of event lines: one JSON object a line (RFC 8259), straight into the columns of a RowBatch.
//
// This file splits chunks into lines; `JSONLineReader` reads a line. A line is read in place when a line feed
// ends it and `TextScan.padding` bytes behind may be read; the few others are copied to where that holds.

import EventStoreCore

/// Reads NDJSON. One thread's own; see `EventParser`. docs/input-formats.md says what it accepts.
package final class NDJSONParser: EventParser {
    private var reader: JSONLineReader
    private let identity: any LineIdentity

    package init(options: InputOptions, identity: any LineIdentity) {
        reader = JSONLineReader(options: options)
        self.identity = identity
    }

    package var rowCount: Int { reader.row.batch.rowCount }
    package var batchByteCount: Int { reader.row.batch.byteCount }
    package func takeBatch() -> RowBatch { reader.row.takeBatch() }

    package func takeReport() -> ParseReport {
        let report = reader.report
        reader.report = ParseReport()
        return report
    }

    @discardableResult
    package func parse(_ bytes: UnsafeRawBufferPointer, firstLine: Int, rowLimit: Int) -> ParseProgress {
        reader.row.exchangeColumns()
        defer { reader.row.exchangeColumns() }
        return reader.parse(bytes, firstLine: firstLine, rowLimit: rowLimit, identity: identity)
    }
}

extension JSONLineReader {
    mutating func parse(
        _ bytes: UnsafeRawBufferPointer, firstLine: Int, rowLimit: Int, identity: any LineIdentity
    ) -> ParseProgress {
        guard var lines = LineWalker(bytes, firstLine: firstLine) else { return ParseProgress(bytes: 0, lines: 0) }
        while row.rowCount < rowLimit, let found = lines.next() {
            report.read &+= 1
            if found.end - found.start > Limits.lineBytesMax {
                report.refuse(line: found.number, .lineTooLong, RefusalReason.lineTooLong.sentence)
                continue
            }
            let start = found.isPadded ? found.start : lineCopy.padded(found.start, found.end)
            if !readEvent(start, start + (found.end - found.start), identity: identity) {
                refuseLine(found.number, start)
            }
        }
        return lines.progress
    }

    /// Counts the line as refused for the reason its reading ended with.
    private mutating func refuseLine(_ line: Int, _ start: BytePointer) {
        let reason = failure ?? .badJSON
        let place = failedAt.map { ", at byte \($0 - start + 1)" } ?? ""
        report.refuse(line: line, reason, reason.sentence + place)
    }
}
