// The parser of web servers' access logs: one request a line, in the order a LogPattern says.
//
// This file splits chunks into lines and finds the fields; LogLineReader+Fields.swift turns fields into cells.
// Lines are read where `TextScan.padding` bytes behind their line feed can be read, others are copied there.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Reads access logs. One thread's own; see `EventParser`. docs/input-formats.md says what it accepts.
package final class LogLineParser: EventParser {
    private var reader: LogLineReader
    private let identity: any LineIdentity

    /// - Throws: `invalid` when neither the pattern nor the options name a site.
    package init(pattern: LogPattern, options: InputOptions, identity: any LineIdentity) throws(Fault) {
        guard pattern.namesHost || options.defaultEntity != nil else {
            throw Fault(.invalid, "lines of this log format name no site: give one with --entity")
        }
        reader = LogLineReader(pattern: pattern, options: options)
        self.identity = identity
    }

    package var rowCount: Int { reader.row.batch.rowCount }
    package var batchByteCount: Int { reader.row.batch.byteCount }
    package func takeBatch() -> RowBatch { reader.row.takeBatch() }
    package func takeReport() -> ParseReport { reader.takeReport() }

    @discardableResult
    package func parse(_ bytes: UnsafeRawBufferPointer, firstLine: Int, rowLimit: Int) -> ParseProgress {
        reader.row.exchangeColumns()
        defer { reader.row.exchangeColumns() }
        return reader.parse(bytes, firstLine: firstLine, rowLimit: rowLimit, identity: identity)
    }
}

/// One field of the format, ready for the loop.
struct LogStep: BitwiseCopyable {
    var role: LogRole
    var isQuoted: Bool
    var isList: Bool
    /// The byte the field ends before: the first of the text behind it, or the line feed.
    var endByte: UInt8
    var attribute: UInt32
    /// The text behind the field, up to 8 bytes of it, and which of the bits count.
    var literalWord: UInt64
    var literalMask: UInt64
    var literalLength: Int

    /// Whether the text behind the field, or its first 8 bytes, stand here.
    @inline(__always)
    func isAhead(_ position: BytePointer) -> Bool {
        let ahead = UnsafeRawPointer(position).loadUnaligned(as: UInt64.self).littleEndian
        return (ahead ^ literalWord) & literalMask == 0
    }
}

struct LogLineReader: ~Copyable {
    var row = RowAssembler()
    var report = ParseReport()
    var lineCopy = LineCopy()
    let zone: InputTimeZone?
    private let timestampMsMax: Int64
    private let defaultEntity: UInt32?
    private let type: UInt32
    private let prefix: [UInt8]
    private let literals: [[UInt8]]
    private let steps: UnsafeMutablePointer<LogStep>
    private let stepCount: Int
    let methodAttribute: UInt32
    let pathAttribute: UInt32
    let protocolAttribute: UInt32
    let requestAttribute: UInt32

    // The line being read.
    var lineStart: BytePointer
    var lineEnd: BytePointer
    /// Unescaped text, never moved while a line is read.
    var scratch = GrowableBuffer<UInt8>()
    var failure = RefusalReason.badLogLine
    var failedAt: BytePointer?
    var hostText: BytePointer?
    var hostLength = 0
    var time: Int64?

    static let eventType = Array("http.request".utf8)

    init(pattern: LogPattern, options: InputOptions) {
        zone = options.inputTimeZone
        timestampMsMax = options.timestampMsMax
        if let name = options.defaultEntity {
            defaultEntity = row.entities.code(Array(name.utf8))
        } else {
            defaultEntity = nil
        }
        type = row.types.code(LogLineReader.eventType)
        prefix = pattern.prefix
        literals = pattern.steps.map(\.literal)
        stepCount = pattern.steps.count
        steps = .allocate(capacity: max(stepCount, 1))
        for (index, step) in pattern.steps.enumerated() {
            let attribute = step.field.name.isEmpty ? 0 : row.attributes.code(Array(step.field.name.utf8))
            (steps + index).initialize(to: LogStep(step, attribute: attribute))
        }
        methodAttribute = row.attributes.code(Array("method".utf8))
        pathAttribute = row.attributes.code(Array("path".utf8))
        protocolAttribute = row.attributes.code(Array("protocol".utf8))
        requestAttribute = row.attributes.code(Array("request".utf8))
        lineStart = BytePointer(scratch.base)
        lineEnd = lineStart
    }

    deinit { steps.deallocate() }

    mutating func takeReport() -> ParseReport {
        defer { report = ParseReport() }
        return report
    }

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
            if !readLine(start, start + (found.end - found.start), identity: identity) {
                let place = failedAt.map { " at byte \($0 - start + 1)" } ?? ""
                report.refuse(line: found.number, failure, failure.sentence + place)
            }
        }
        return lines.progress
    }

    @inline(__always)
    private mutating func readLine(_ start: BytePointer, _ end: BytePointer, identity: any LineIdentity) -> Bool {
        lineStart = start
        lineEnd = end
        scratch.truncate(to: 0)
        hostText = nil
        time = nil
        if defaultEntity == nil, row.entities.inBatch.count > RowAssembler.entitiesMax { row.resetEntities() }
        if row.arrivalCount > RowAssembler.arrivalsMax { row.resetArrivals() }
        row.begin()
        guard prefix.isEmpty || (end - start >= prefix.count && memcmp(start, prefix, prefix.count) == 0) else {
            return fail(.badLogLine, start)
        }
        var position = start + prefix.count
        for index in 0..<stepCount {
            guard let next = readField(index, position) else { return false }
            position = next
        }
        guard position == end else { return fail(.badLogLine, position) }
        return finishLine(identity: identity)
    }

    /// Finds the field's end, takes the field, and steps over the text behind it.
    @inline(__always)
    private mutating func readField(_ index: Int, _ start: BytePointer) -> BytePointer? {
        let step = steps + index
        let stop =
            step.pointee.isQuoted ? TextScan.plainEnd(start) : TextScan.tokenEnd(start, step.pointee.endByte, lineEnd)
        var end = stop
        var text = start
        var length = stop - start
        // One byte of the text behind the field may stand in the field too, all of it may not. A lone `-` is the
        // whole of an absent field.
        let isPlain =
            stop < lineEnd && stop[0] == step.pointee.endByte
            && (step.pointee.literalLength < 2 || step.pointee.isQuoted || step.pointee.isAhead(stop)
                || (stop - start == 1 && start[0] == 0x2d))
        if !isPlain {
            guard let found = findEnd(start, stop, step.pointee, literals[index]) else { return nil }
            end = found
            length = end - start
            guard clean(&text, &length) else { return nil }
        }
        if step.pointee.isList, !step.pointee.isQuoted, let whole = listEnd(start, end, step.pointee.endByte) {
            end = whole
            length = end - start
        }
        guard step.pointee.isAhead(end), step.pointee.literalLength <= 8 || matchesLong(literals[index], end) else {
            _ = fail(.badLogLine, end)
            return nil
        }
        guard take(step.pointee, text, length) else {
            failedAt = start
            return nil
        }
        return end + step.pointee.literalLength
    }

    private func matchesLong(_ literal: [UInt8], _ position: BytePointer) -> Bool {
        lineEnd - position >= literal.count && memcmp(position, literal, literal.count) == 0
    }

    /// The end of a list whose separators contain the byte the field ends before.
    private func listEnd(_ start: BytePointer, _ firstEnd: BytePointer, _ endByte: UInt8) -> BytePointer? {
        guard endByte == 0x20, firstEnd > start else { return nil }
        var end = firstEnd
        while end < lineEnd, end[-1] == 0x2c || end[-1] == 0x3a || end[1] == 0x3a {
            end += 1
            while end < lineEnd, end[0] != 0x20 {
                guard end[0] &- 0x21 < 0x5e, end[0] != 0x5c else { return nil }
                end += 1
            }
        }
        return end
    }

    /// The end of a field that is more than plain text: with escapes, beyond ASCII, or at the line's end.
    private mutating func findEnd(
        _ start: BytePointer, _ stop: BytePointer, _ step: LogStep, _ literal: [UInt8]
    ) -> BytePointer? {
        var position = stop
        while position < lineEnd {
            let byte = position[0]
            if byte == step.endByte, step.isQuoted || literal.count < 2 || matchesLong(literal, position) {
                return position
            }
            position += byte == 0x5c && step.isQuoted && position + 1 < lineEnd ? 2 : 1
        }
        if literal.isEmpty { return lineEnd }
        _ = fail(.badLogLine, start)
        return nil
    }

    @inline(__always)
    mutating func fail(_ reason: RefusalReason, _ position: BytePointer?) -> Bool {
        failure = reason
        failedAt = position
        return false
    }

    // MARK: The row

    @inline(__always)
    private mutating func finishLine(identity: any LineIdentity) -> Bool {
        guard let time else { return fail(.noTimestamp, nil) }
        guard time <= timestampMsMax else { return fail(.futureTimestamp, nil) }
        guard time >= Limits.timestampMsMin else { return fail(.badTimestamp, nil) }
        let entity: UInt32
        if let defaultEntity {
            entity = defaultEntity
        } else if let hostText {
            guard hostLength <= Limits.entityNameBytesMax else { return fail(.badEntity, nil) }
            entity = row.entities.code(hostText, hostLength)
        } else {
            return fail(.noEntity, nil)
        }
        if lineEnd - lineStart > Limits.eventBytesMax / 8, row.eventBytes() > Limits.eventBytesMax {
            return fail(.eventTooLarge, nil)
        }
        let line = UnsafeRawBufferPointer(start: lineStart, count: lineEnd - lineStart)
        let id = EventID.version8(
            hash: identity.lineID(entity: row.entities.table.bytes(Int(entity)), line: line))
        row.finish(entity: entity, type: type, timestamp: time, id: id, flags: .idFromLine)
        return true
    }
}

extension LogStep {
    init(_ step: LogPattern.Step, attribute: UInt32) {
        var word: UInt64 = 0
        var mask: UInt64 = 0
        for (index, byte) in step.literal.prefix(8).enumerated() {
            word |= UInt64(byte) << UInt64(index * 8)
            mask |= 0xff << UInt64(index * 8)
        }
        self.init(
            role: step.field.role, isQuoted: step.isQuoted, isList: step.field.isList,
            endByte: step.literal.first ?? 0x0a, attribute: attribute, literalWord: word, literalMask: mask,
            literalLength: step.literal.count)
    }
}
