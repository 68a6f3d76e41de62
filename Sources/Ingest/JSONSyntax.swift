// Checks JSON text against RFC 8259 without taking anything from it: for arrays, which are kept as text.
// A line feed ends everything, see TextScan.swift.

import EventStoreCore

struct JSONSyntax {
    private(set) var whiteSpaceSeen = false
    private(set) var failure = RefusalReason.badJSON
    private(set) var failedAt: BytePointer?

    private mutating func fail(_ reason: RefusalReason, _ position: BytePointer) -> BytePointer? {
        failure = reason
        failedAt = position
        return nil
    }

    /// The end of the array or object at `start`. It calls itself once a level, `Limits.jsonDepthMax` at most.
    /// - Parameter depth: how many arrays and objects lie around it.
    mutating func containerEnd(_ start: BytePointer, depth: Int) -> BytePointer? {
        guard depth < Limits.jsonDepthMax else { return fail(.tooDeep, start) }
        let isObject = start[0] == 0x7b
        let close: UInt8 = isObject ? 0x7d : 0x5d
        var position = skipWhiteSpace(start + 1)
        if position[0] == close { return position + 1 }
        while true {
            if isObject {
                guard position[0] == 0x22 else { return fail(.badJSON, position) }
                guard let name = stringEnd(position) else { return nil }
                position = skipWhiteSpace(name)
                guard position[0] == 0x3a else { return fail(.badJSON, position) }
                position = skipWhiteSpace(position + 1)
            }
            guard let end = valueEnd(position, depth: depth + 1) else { return nil }
            position = skipWhiteSpace(end)
            if position[0] == close { return position + 1 }
            guard position[0] == 0x2c else { return fail(.badJSON, position) }
            position = skipWhiteSpace(position + 1)
        }
    }

    private mutating func valueEnd(_ start: BytePointer, depth: Int) -> BytePointer? {
        switch start[0] {
        case 0x22: return stringEnd(start)
        case 0x5b, 0x7b: return containerEnd(start, depth: depth)
        case 0x2d, 0x30...0x39: return numberEnd(start)
        case 0x66: return JSONSyntax.starts(start, with: "false") ? start + 5 : fail(.badJSON, start)
        case 0x6e: return JSONSyntax.starts(start, with: "null") ? start + 4 : fail(.badJSON, start)
        case 0x74: return JSONSyntax.starts(start, with: "true") ? start + 4 : fail(.badJSON, start)
        default: return fail(.badJSON, start)
        }
    }

    private static func starts(_ position: BytePointer, with word: StaticString) -> Bool {
        for index in 0..<word.utf8CodeUnitCount where position[index] != word.utf8Start[index] { return false }
        return true
    }

    private mutating func numberEnd(_ start: BytePointer) -> BytePointer? {
        var position = start[0] == 0x2d ? start + 1 : start
        let first = position
        position = JSONSyntax.digitsEnd(position)
        guard position > first, first[0] != 0x30 || position == first + 1 else { return fail(.badJSON, start) }
        if position[0] == 0x2e {
            let fraction = position + 1
            position = JSONSyntax.digitsEnd(fraction)
            guard position > fraction else { return fail(.badJSON, start) }
        }
        if position[0] | 0x20 == 0x65 {
            position += 1
            if position[0] == 0x2b || position[0] == 0x2d { position += 1 }
            let exponent = position
            position = JSONSyntax.digitsEnd(exponent)
            guard position > exponent else { return fail(.badJSON, start) }
        }
        return position
    }

    private static func digitsEnd(_ start: BytePointer) -> BytePointer {
        var position = start
        while position[0] &- 0x30 < 10 { position += 1 }
        return position
    }

    private mutating func stringEnd(_ start: BytePointer) -> BytePointer? {
        var position = start + 1
        while true {
            position = TextScan.plainEnd(position)
            let byte = position[0]
            if byte == 0x22 { return position + 1 }
            if byte >= 0x80 {
                let length = TextScan.sequenceLength(position)
                if length == 0 { return fail(.badUTF8, position) }
                position += length
            } else if byte == 0x5c {
                guard let next = JSONSyntax.escapeEnd(position) else { return fail(.badJSON, position) }
                position = next
            } else {
                return fail(.badJSON, position)
            }
        }
    }

    private static func escapeEnd(_ position: BytePointer) -> BytePointer? {
        switch position[1] {
        case 0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74: position + 2
        case 0x75: unicodeEscape(position)?.end
        default: nil
        }
    }

    private mutating func skipWhiteSpace(_ start: BytePointer) -> BytePointer {
        var position = start
        while JSONSyntax.isWhiteSpace(position[0]) {
            whiteSpaceSeen = true
            position += 1
        }
        return position
    }

    /// White space within a line: a line feed ends the line.
    @inline(__always)
    static func isWhiteSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }

    /// The scalar of the `\uXXXX` at `position`, which takes in the second half of a surrogate pair. `nil` when
    /// the digits are none or a surrogate stands alone.
    static func unicodeEscape(_ position: BytePointer) -> (scalar: UInt32, end: BytePointer)? {
        guard let first = hexDigits(position + 2) else { return nil }
        if first & 0xf800 != 0xd800 { return (first, position + 6) }
        guard first < 0xdc00, position[6] == 0x5c, position[7] == 0x75, let second = hexDigits(position + 8),
            second & 0xfc00 == 0xdc00
        else { return nil }
        return (0x10000 + (first & 0x3ff) << 10 + (second & 0x3ff), position + 12)
    }

    static func hexDigits(_ position: BytePointer, count: Int = 4) -> UInt32? {
        var value: UInt32 = 0
        for index in 0..<count {
            let digit: UInt8
            switch position[index] {
            case 0x30...0x39: digit = position[index] - 0x30
            case 0x41...0x46: digit = position[index] - 0x41 + 10
            case 0x61...0x66: digit = position[index] - 0x61 + 10
            default: return nil
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// Copies checked JSON without the white space between its tokens.
    static func minify(_ start: BytePointer, _ end: BytePointer, into target: inout GrowableBuffer<UInt8>) {
        var position = start
        var inString = false
        while position < end {
            let byte = position[0]
            if inString || !isWhiteSpace(byte) { target.append(byte) }
            if byte == 0x22 { inString.toggle() }
            if byte == 0x5c {
                target.append(position[1])
                position += 1
            }
            position += 1
        }
    }
}
