// Fields of an access log line become cells. Every function that finds a field bad returns `false` and leaves
// the reason in `failure`.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension LogLineReader {
    /// Takes one field, whose text is UTF-8 and unescaped.
    @inline(__always)
    mutating func take(_ step: LogStep, _ text: BytePointer, _ length: Int) -> Bool {
        if step.role == .ignored || length == 0 || (length == 1 && text[0] == 0x2d) { return true }
        switch step.role {
        case .text: return addText(step.attribute, text, length)
        case .request: return takeRequest(text, length)
        case .path: return addPath(step.attribute, text, length)
        case .referrer: return takeReferrer(step.attribute, text, length)
        case .integer: return takeInteger(step.attribute, text, length)
        case .accessTime: return takeAccessTime(text, length)
        default: return takeRare(step, text, length)
        }
    }

    private mutating func takeRare(_ step: LogStep, _ text: BytePointer, _ length: Int) -> Bool {
        switch step.role {
        case .stripped: report.stripped += 1
        case .host: return takeHost(step, text, length)
        case .microseconds: return takeDuration(step.attribute, text, length, perMs: 1000)
        case .milliseconds: return takeDuration(step.attribute, text, length, perMs: 1)
        case .seconds: return takeSeconds(step.attribute, text, length)
        case .secondsList: return takeSecondsList(step.attribute, text, length)
        case .time: return takeTime(text, length)
        default: break
        }
        return true
    }

    private mutating func refuse(_ reason: RefusalReason) -> Bool {
        failure = reason
        return false
    }

    @inline(__always)
    private mutating func addText(_ attribute: UInt32, _ text: BytePointer, _ length: Int) -> Bool {
        if length > Limits.valueBytesMax { return refuse(.valueTooLong) }
        guard row.count < RowAssembler.cellsMax else { return refuse(.tooManyAttributes) }
        row.addText(attribute, .string, text, length)
        return true
    }

    private mutating func addInteger(_ attribute: UInt32, _ value: Int64) -> Bool {
        guard row.count < RowAssembler.cellsMax else { return refuse(.tooManyAttributes) }
        row.add(attribute, .integer, UInt64(bitPattern: value))
        return true
    }

    // MARK: Requests, paths, hosts

    /// `METHOD target PROTOCOL`; what is no request line is kept whole as `request`, without a query.
    private mutating func takeRequest(_ text: BytePointer, _ length: Int) -> Bool {
        var methodLength = 0
        while methodLength < length,
            text[methodLength] &- 0x41 < 26 || text[methodLength] == 0x5f
                || text[methodLength] == 0x2d
        {
            methodLength += 1
        }
        guard methodLength > 0, methodLength < length - 1, text[methodLength] == 0x20 else {
            return addPath(requestAttribute, text, length)
        }
        let target = text + methodLength + 1
        var targetLength = length - methodLength - 1
        var scan = targetLength
        while scan > 0, targetLength - scan <= 10, target[scan - 1] != 0x20 { scan -= 1 }
        let mark = target + scan
        if scan > 1, targetLength - scan >= 5, target[scan - 1] == 0x20, mark[0] == 0x48, mark[1] == 0x54,
            mark[2] == 0x54, mark[3] == 0x50, mark[4] == 0x2f
        {
            guard addText(protocolAttribute, mark, targetLength - scan) else { return false }
            targetLength = scan - 1
        }
        return addText(methodAttribute, text, methodLength) && addPath(pathAttribute, target, targetLength)
    }

    /// Adds a path up to its query.
    @inline(__always)
    private mutating func addPath(_ attribute: UInt32, _ text: BytePointer, _ length: Int) -> Bool {
        var kept = length
        if let found = memchr(text, 0x3f, length) {
            kept = BytePointer(found.assumingMemoryBound(to: UInt8.self)) - text
            report.stripped &+= 1
            if kept == 0 { return true }
        }
        return addText(attribute, text, kept)
    }

    /// A URL without user, password, query and fragment.
    private mutating func takeReferrer(_ attribute: UInt32, _ text: BytePointer, _ length: Int) -> Bool {
        var kept = 0
        while kept < length, text[kept] != 0x3f, text[kept] != 0x23, text[kept] != 0x40 { kept += 1 }
        if kept < length { return takeLongReferrer(attribute, text, length) }
        return addText(attribute, text, length)
    }

    private mutating func takeLongReferrer(_ attribute: UInt32, _ text: BytePointer, _ length: Int) -> Bool {
        let bytes = UnsafeBufferPointer(start: text, count: length)
        var kept = bytes.prefix { $0 != 0x3f && $0 != 0x23 }
        if kept.count < length { report.stripped += 1 }
        guard !kept.isEmpty else { return true }
        // The user stands between the two slashes and an @ before the next slash.
        if let colon = kept.firstIndex(of: 0x3a), kept[colon...].starts(with: [0x3a, 0x2f, 0x2f]) {
            let authority = kept[(colon + 3)...].prefix { $0 != 0x2f }
            if let at = authority.lastIndex(of: 0x40) {
                report.stripped += 1
                let start = scratch.count
                scratch.reserve(scratchNeed)
                scratch.append(from: text, count: colon + 3)
                scratch.append(from: text + at + 1, count: kept.count - at - 1)
                kept = UnsafeBufferPointer(start: scratch.base + start, count: scratch.count - start)[...]
            }
        }
        guard let base = UnsafeBufferPointer(rebasing: kept).baseAddress else { return true }
        return addText(attribute, base, kept.count)
    }

    /// The length of a host without the port that a client's Host may have.
    private func hostLength(_ text: BytePointer, _ length: Int) -> Int {
        var end = length
        while end > 0, text[end - 1] &- 0x30 < 10 { end -= 1 }
        return end > 1 && end < length && text[end - 1] == 0x3a ? end - 1 : length
    }

    private mutating func takeHost(_ step: LogStep, _ text: BytePointer, _ fullLength: Int) -> Bool {
        let length = hostLength(text, fullLength)
        var lower = text
        if (0..<length).contains(where: { text[$0] &- 0x41 < 26 }) {
            scratch.reserve(scratchNeed)
            let start = scratch.count
            for index in 0..<length { scratch.append(text[index] &- 0x41 < 26 ? text[index] | 0x20 : text[index]) }
            lower = BytePointer(scratch.base + start)
        }
        hostText = lower
        hostLength = length
        return addText(step.attribute, lower, length)
    }

    // MARK: Numbers

    @inline(__always)
    private mutating func takeInteger(_ attribute: UInt32, _ text: BytePointer, _ length: Int) -> Bool {
        guard let value = wholeNumber(text, length) else { return refuse(.badLogLine) }
        return addInteger(attribute, value)
    }

    /// Up to 18 digits and nothing else.
    @inline(__always)
    private func wholeNumber(_ text: BytePointer, _ length: Int) -> Int64? {
        guard length >= 1, length <= 18 else { return nil }
        var value: Int64 = 0
        for index in 0..<length {
            let digit = text[index] &- 0x30
            guard digit < 10 else { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return value
    }

    private mutating func takeDuration(
        _ attribute: UInt32, _ text: BytePointer, _ length: Int, perMs: Int64
    ) -> Bool {
        guard let value = wholeNumber(text, length) else { return refuse(.badLogLine) }
        return addInteger(attribute, (value + perMs / 2) / perMs)
    }

    private mutating func takeSeconds(_ attribute: UInt32, _ text: BytePointer, _ length: Int) -> Bool {
        guard let ms = milliseconds(UnsafeBufferPointer(start: text, count: length)[...]) else {
            return refuse(.badLogLine)
        }
        return addInteger(attribute, ms)
    }

    /// nginx writes one time for each server asked, separated by commas and colons, `-` for one not reached.
    private mutating func takeSecondsList(_ attribute: UInt32, _ text: BytePointer, _ length: Int) -> Bool {
        var sum: Int64 = 0
        var isKnown = false
        let all = UnsafeBufferPointer(start: text, count: length)
        for part in all.split(whereSeparator: { $0 == 0x2c || $0 == 0x3a || $0 == 0x20 }) {
            if part.count == 1, part.first == 0x2d { continue }
            guard let ms = milliseconds(part) else { return refuse(.badLogLine) }
            sum += ms
            isKnown = true
        }
        return isKnown ? addInteger(attribute, sum) : true
    }

    /// Milliseconds of seconds with or without decimals, rounded.
    private func milliseconds(_ text: UnsafeBufferPointer<UInt8>.SubSequence) -> Int64? {
        let parts = text.split(separator: 0x2e, maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, !whole.isEmpty, whole.count <= 12 else { return nil }
        var value: Int64 = 0
        for byte in whole {
            guard byte &- 0x30 < 10 else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        value *= 1000
        guard parts.count == 2 else { return value }
        var weight: Int64 = 1000
        var tenths: Int64 = 0
        for byte in parts[1] {
            guard byte &- 0x30 < 10 else { return nil }
            tenths += Int64(byte - 0x30) * weight
            weight /= 10
        }
        return parts[1].isEmpty ? nil : value + (tenths + 5) / 10
    }

    // MARK: Times

    @inline(__always)
    private mutating func takeAccessTime(_ text: BytePointer, _ length: Int) -> Bool {
        do throws(EventTime.Problem) {
            time = try EventTime.parseAccessLog(UnsafeRawBufferPointer(start: text, count: length), zone: zone)
            return true
        } catch {
            return refuse(error == .zoneMissing ? .timestampWithoutZone : .badTimestamp)
        }
    }

    private mutating func takeTime(_ text: BytePointer, _ length: Int) -> Bool {
        do throws(EventTime.Problem) {
            time = try EventTime.parse(UnsafeRawBufferPointer(start: text, count: length), zone: zone)
            return true
        } catch {
            return refuse(error == .zoneMissing ? .timestampWithoutZone : .badTimestamp)
        }
    }

    // MARK: Escapes

    /// Checks a field's text and resolves its escapes: `\"`, `\\`, `\t`, `\n`, `\r`, `\b`, `\v`, `\xHH`, `\uHHHH`.
    /// A text that is not UTF-8 without its escapes (a binary request of a scanner) keeps them.
    mutating func clean(_ text: inout BytePointer, _ length: inout Int) -> Bool {
        let raw = UnsafeRawBufferPointer(start: text, count: length)
        guard TextScan.isUTF8(raw) else {
            failedAt = text
            return refuse(.badUTF8)
        }
        guard memchr(text, 0x5c, length) != nil else { return true }
        scratch.reserve(scratchNeed)
        let start = scratch.count
        var position = 0
        while position < length {
            position += appendUnescaped(text + position, length - position)
        }
        let result = UnsafeRawBufferPointer(start: scratch.base + start, count: scratch.count - start)
        if TextScan.isUTF8(result) {
            text = BytePointer(scratch.base + start)
            length = result.count
        } else {
            scratch.truncate(to: start)
        }
        return true
    }

    /// Nothing unescaped or shortened is longer than it was; a field may be copied twice.
    private var scratchNeed: Int { scratch.count == 0 ? 2 * (lineEnd - lineStart) + 16 : 0 }

    /// Appends what stands at `position` and returns how many bytes that took.
    private mutating func appendUnescaped(_ position: BytePointer, _ available: Int) -> Int {
        guard position[0] == 0x5c, available >= 2 else {
            scratch.append(position[0])
            return 1
        }
        switch position[1] {
        case 0x22, 0x5c, 0x2f, 0x27: scratch.append(position[1])
        case 0x74: scratch.append(0x09)
        case 0x6e: scratch.append(0x0a)
        case 0x72: scratch.append(0x0d)
        case 0x62: scratch.append(0x08)
        case 0x76: scratch.append(0x0b)
        case 0x66: scratch.append(0x0c)
        case 0x78:
            guard available >= 4, let value = JSONSyntax.hexDigits(position + 2, count: 2) else {
                return keep(position)
            }
            scratch.append(UInt8(value))
            return 4
        case 0x75:
            guard available >= 6, let value = JSONSyntax.hexDigits(position + 2, count: 4), value < 0x80 else {
                return keep(position)
            }
            scratch.append(UInt8(value))
            return 6
        default: return keep(position)
        }
        return 2
    }

    /// What is no escape stays as it is.
    private mutating func keep(_ position: BytePointer) -> Int {
        scratch.append(0x5c)
        return 1
    }
}
