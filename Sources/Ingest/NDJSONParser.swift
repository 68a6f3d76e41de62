// The parser of event lines: one JSON object a line (RFC 8259), straight into the columns of a RowBatch.
//
// This file splits chunks into lines; `JSONLineReader` reads a line. A line is read in place when a line feed
// ends it and `TextScan.padding` bytes behind may be read; the few others are copied to where that holds.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

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
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            return ParseProgress(bytes: 0, lines: 0)
        }
        let end = base + bytes.count
        var start = base
        line = firstLine
        if firstLine == 1, bytes.starts(with: [0xef, 0xbb, 0xbf]) { start += 3 }
        // Lines that end before this are read in place.
        let inPlaceEnd = bytes.count > TextScan.padding ? end - TextScan.padding : base
        while start < end, row.rowCount < rowLimit {
            let found = memchr(start, 0x0a, end - start)
            let lineEnd = found.map { BytePointer($0.assumingMemoryBound(to: UInt8.self)) } ?? end
            let content = TextScan.trimmedEnd(start, lineEnd)
            if content > start {
                readLine(start, content, inPlace: lineEnd < inPlaceEnd, identity: identity)
            }
            start = found == nil ? end : lineEnd + 1
            line += 1
        }
        return ParseProgress(bytes: start - base, lines: line - firstLine)
    }

    @inline(__always)
    private mutating func readLine(
        _ start: BytePointer, _ end: BytePointer, inPlace: Bool, identity: any LineIdentity
    ) {
        report.read &+= 1
        if end - start > Limits.lineBytesMax {
            refuse(.lineTooLong, "longer than \(Limits.lineBytesMax) bytes")
        } else if inPlace {
            if !readEvent(start, end, identity: identity) { refuseLine(start, end) }
        } else {
            let copy = paddedCopy(start, end)
            if !readEvent(copy, copy + (end - start), identity: identity) { refuseLine(copy, copy + (end - start)) }
        }
    }

    private mutating func paddedCopy(_ start: BytePointer, _ end: BytePointer) -> BytePointer {
        let length = end - start
        lineCopy.resize(to: 0, filling: 0)
        lineCopy.append(from: start, count: length)
        lineCopy.append(0x0a)
        lineCopy.resize(to: length + 1 + TextScan.padding, filling: 0)
        return BytePointer(lineCopy.base)
    }

    mutating func refuse(_ reason: RefusalReason, _ detail: @autoclosure () -> String) {
        report.refuse(line: line, reason, detail())
    }

    /// Counts the line as refused for the reason its reading ended with.
    private mutating func refuseLine(_ start: BytePointer, _ end: BytePointer) {
        let reason = failure ?? .badJSON
        let place = failedAt.map { $0 - start + 1 } ?? 0
        report.refuse(line: line, reason, JSONLineReader.detail(reason, place: place))
    }

    private static func detail(_ reason: RefusalReason, place: Int) -> String {
        let sentence =
            switch reason {
            case .badJSON: "not a JSON object as RFC 8259 defines it"
            case .badUTF8: "not UTF-8"
            case .tooDeep: "nested deeper than \(Limits.jsonDepthMax)"
            case .noEntity: "no \"entity\", and no default was given"
            case .badEntity: "\"entity\" is not a text of 1 to \(Limits.entityNameBytesMax) bytes"
            case .noType: "no \"event_type\" or \"type\""
            case .badType: "the event's type is not a text of 1 to \(Limits.typeNameBytesMax) bytes"
            case .badID: "the event's id is neither text nor a whole number"
            case .noTimestamp: "no \"timestamp\""
            case .badTimestamp: "\"timestamp\" is neither a number nor an RFC 3339 time"
            case .timestampWithoutZone: "\"timestamp\" has no zone, and no input time zone was given"
            case .futureTimestamp: "\"timestamp\" lies too far in the future"
            case .integerRange: "a whole number beyond 64 bits"
            case .numberRange: "a number beyond the range of a double"
            case .attributeName: "an attribute's name is empty or longer than \(Limits.attributeNameBytesMax) bytes"
            case .tooManyAttributes: "more than \(Limits.attributesPerEventMax) attributes"
            case .valueTooLong: "a value is longer than \(Limits.valueBytesMax) bytes"
            case .eventTooLarge: "larger than \(Limits.eventBytesMax) bytes"
            default: reason.rawValue
            }
        return place > 0 ? "\(sentence), at byte \(place)" : sentence
    }
}
