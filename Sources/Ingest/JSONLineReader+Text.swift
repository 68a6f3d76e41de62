// Strings and arrays of an event line. Text without escapes stays where it is; the rest is unescaped into
// the reader's scratch memory.

import EventStoreCore

extension JSONLineReader {
    /// Reads a string from behind its opening quote into `text` and `textLength`.
    @inline(__always)
    mutating func readString(_ start: BytePointer) -> BytePointer? {
        let stop = TextScan.plainEnd(start)
        if stop[0] == 0x22 {
            text = start
            textLength = stop - start
            return stop + 1
        }
        return readLongString(start, stop)
    }

    /// The same for a string with escapes or with text beyond ASCII, which begins at `stop`.
    private mutating func readLongString(_ start: BytePointer, _ stop: BytePointer) -> BytePointer? {
        var position = stop
        /// What is not copied yet starts here.
        var pending = start
        let copyStart = scratch.count
        var isCopy = false
        while true {
            let byte = position[0]
            if byte >= 0x80 {
                let length = TextScan.sequenceLength(position)
                if length == 0 { return fail(.badUTF8, position) }
                position += length
                if position[0] >= 0x80 { continue }
            } else if byte == 0x22 {
                break
            } else if byte == 0x5c {
                if !isCopy { scratch.reserve(scratchNeed) }
                isCopy = true
                scratch.append(from: pending, count: position - pending)
                guard let next = unescape(position) else { return nil }
                position = next
                pending = next
            } else {
                return fail(.badJSON, position)
            }
            position = TextScan.plainEnd(position)
        }
        if isCopy {
            scratch.append(from: pending, count: position - pending)
            text = BytePointer(scratch.base + copyStart)
            textLength = scratch.count - copyStart
        } else {
            text = start
            textLength = position - start
        }
        return position + 1
    }

    /// Nothing unescaped is longer than it was, so that scratch memory of a line's length never moves.
    var scratchNeed: Int { scratch.count == 0 ? lineEnd - lineStart + 8 : 0 }

    /// Appends what the escape at `position` stands for to the scratch memory.
    private mutating func unescape(_ position: BytePointer) -> BytePointer? {
        switch position[1] {
        case 0x22, 0x5c, 0x2f: scratch.append(position[1])
        case 0x62: scratch.append(0x08)
        case 0x66: scratch.append(0x0c)
        case 0x6e: scratch.append(0x0a)
        case 0x72: scratch.append(0x0d)
        case 0x74: scratch.append(0x09)
        case 0x75:
            guard let (scalar, next) = JSONSyntax.unicodeEscape(position) else { return fail(.badJSON, position) }
            appendScalar(scalar)
            return next
        default: return fail(.badJSON, position)
        }
        return position + 2
    }

    private mutating func appendScalar(_ scalar: UInt32) {
        if scalar < 0x80 {
            scratch.append(UInt8(scalar))
        } else if scalar < 0x800 {
            scratch.append(UInt8(0xc0 | scalar >> 6))
            scratch.append(UInt8(0x80 | scalar & 0x3f))
        } else if scalar < 0x10000 {
            scratch.append(UInt8(0xe0 | scalar >> 12))
            scratch.append(UInt8(0x80 | scalar >> 6 & 0x3f))
            scratch.append(UInt8(0x80 | scalar & 0x3f))
        } else {
            scratch.append(UInt8(0xf0 | scalar >> 18))
            scratch.append(UInt8(0x80 | scalar >> 12 & 0x3f))
            scratch.append(UInt8(0x80 | scalar >> 6 & 0x3f))
            scratch.append(UInt8(0x80 | scalar & 0x3f))
        }
    }

    // MARK: Arrays

    /// Checks an array and keeps its text without the white space between its tokens.
    mutating func readArray(_ attribute: UInt32, _ start: BytePointer, owner: UInt32) -> BytePointer? {
        var checker = JSONSyntax()
        let depth = Int(steps.contexts[Int(steps.members[Int(owner)].context)].depth)
        guard let end = checker.containerEnd(start, depth: depth) else {
            return fail(checker.failure, checker.failedAt)
        }
        var kept = start
        var length = end - start
        if checker.whiteSpaceSeen {
            scratch.reserve(scratchNeed)
            let copyStart = scratch.count
            JSONSyntax.minify(start, end, into: &scratch)
            kept = BytePointer(scratch.base + copyStart)
            length = scratch.count - copyStart
        }
        if length > Limits.valueBytesMax { return fail(.valueTooLong, start) }
        row.addText(attribute, .json, kept, length, owner: owner)
        return end
    }
}
