// SQLite's functions on text. Positions and lengths count code points; case means ASCII letters; several functions
// end at a zero byte as they do there.

import EventStoreCore

enum TextFunctions {
    /// Code points of text; of a number those of its text.
    static func length(_ value: SQLValue) -> SQLValue {
        guard case .text(let text) = value else {
            return value.textValue.map { .integer(Int64($0.string.utf8.count)) } ?? .null
        }
        return text.withBytes { bytes in
            var count: Int64 = 0
            for byte in bytes {
                if byte == 0 { break }
                if byte & 0xc0 != 0x80 { count += 1 }
            }
            return .integer(count)
        }
    }

    static func lower(_ value: SQLValue) -> SQLValue { mapBytes(value) { foldedASCII($0) } }
    static func upper(_ value: SQLValue) -> SQLValue { mapBytes(value) { $0 &- 0x61 < 26 ? $0 & 0xdf : $0 } }

    @inline(__always)
    private static func mapBytes(_ value: SQLValue, _ change: (UInt8) -> UInt8) -> SQLValue {
        guard let text = value.textValue else { return .null }
        return text.withBytes { bytes in
            .text(
                Text(
                    String(unsafeUninitializedCapacity: bytes.count) { target in
                        for index in 0..<bytes.count { target.initializeElement(at: index, to: change(bytes[index])) }
                        return bytes.count
                    }))
        }
    }

    /// 32 bits of an integer, as SQLite takes positions and digits.
    static func short(_ value: SQLValue) -> Int64 { Int64(Int32(truncatingIfNeeded: value.integerValue)) }

    /// `substr(text, start[, count])`: a negative start counts from the end, a negative count goes backwards.
    static func substr(_ value: SQLValue, _ start: SQLValue, _ count: SQLValue?) -> SQLValue {
        guard let text = value.textValue, !start.isNull, count?.isNull != true else { return .null }
        return text.withBytes { bytes in
            var first = short(start)
            var length = count.map(short) ?? 1_000_000_000
            let isBackwards = length < 0
            length = abs(length)
            if first < 0 {
                first += characters(bytes)
                if first < 0 {
                    length = max(0, length + first)
                    first = 0
                }
            } else if first > 0 {
                first -= 1
            } else if length > 0 {
                length -= 1
            }
            if isBackwards {
                first -= length
                if first < 0 {
                    length += first
                    first = 0
                }
            }
            var scan = ScalarScan(bytes)
            skip(first, &scan)
            let begin = scan.position
            skip(length, &scan)
            return .text(Text(UnsafeRawBufferPointer(rebasing: bytes[begin..<scan.position])))
        }
    }

    private static func characters(_ bytes: UnsafeRawBufferPointer) -> Int64 {
        var scan = ScalarScan(bytes)
        var count: Int64 = 0
        while scan.next() != nil { count += 1 }
        return count
    }

    private static func skip(_ count: Int64, _ scan: inout ScalarScan) {
        var left = count
        while left > 0, scan.next() != nil { left -= 1 }
    }

    /// The position of the first occurrence, from 1, in code points; 0 for none.
    static func instr(_ value: SQLValue, _ wanted: SQLValue) -> SQLValue {
        guard let text = value.textValue, let needle = wanted.textValue else { return .null }
        return text.withBytes { bytes in
            needle.withBytes { needle in
                guard !needle.isEmpty else { return .integer(1) }
                guard let place = find(needle, in: bytes, from: 0) else { return .integer(0) }
                return .integer(Int64(bytes[..<place].reduce(1) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) }))
            }
        }
    }

    private static func find(_ needle: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer, from start: Int) -> Int?
    {
        guard let first = needle.first, text.count >= needle.count else { return nil }
        var place = start
        while place <= text.count - needle.count {
            if text[place] == first, text[place..<place + needle.count].elementsEqual(needle) { return place }
            place += 1
        }
        return nil
    }

    static func replace(_ value: SQLValue, _ wanted: SQLValue, _ replacement: SQLValue) -> SQLValue {
        guard let text = value.textValue, let needle = wanted.textValue else { return .null }
        if needle.isEmpty || needle.string.utf8.first == 0 { return value }
        guard let new = replacement.textValue else { return .null }
        var result: [UInt8] = []
        text.withBytes { bytes in
            needle.withBytes { needle in
                var from = 0
                while let place = find(needle, in: bytes, from: from) {
                    result.append(contentsOf: bytes[from..<place])
                    result.append(contentsOf: new.string.utf8)
                    from = place + needle.count
                }
                result.append(contentsOf: bytes[from...])
            }
        }
        return .text(Text(String(decoding: result, as: UTF8.self)))
    }

    /// Takes characters of a set off one or both ends; blanks without a set.
    static func trim(_ value: SQLValue, _ set: SQLValue?, left: Bool, right: Bool) -> SQLValue {
        guard let text = value.textValue else { return .null }
        let characters: [[UInt8]]
        if let set {
            guard let set = set.textValue else { return .null }
            characters = set.string.unicodeScalars.prefix { $0.value != 0 }.map { Array(String(Character($0)).utf8) }
        } else {
            characters = [[0x20]]
        }
        return text.withBytes { bytes in
            var rest = bytes[...]
            while left, let found = characters.first(where: { rest.starts(with: $0) }) { rest.removeFirst(found.count) }
            while right, let found = characters.first(where: { rest.suffix($0.count).elementsEqual($0) }) {
                rest.removeLast(found.count)
            }
            return .text(Text(UnsafeRawBufferPointer(rebasing: rest)))
        }
    }

    /// The bytes of the text in hexadecimal; of NULL no text, which is not NULL.
    static func hex(_ value: SQLValue) -> SQLValue {
        guard let text = value.textValue else { return .text("") }
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.string.utf8 { result += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return .text(Text(String(decoding: result, as: UTF8.self)))
    }

    /// The first code point; NULL without one.
    static func unicode(_ value: SQLValue) -> SQLValue {
        guard let text = value.textValue else { return .null }
        return text.withBytes { bytes in
            var scan = ScalarScan(bytes)
            return scan.next().map { .integer(Int64($0)) } ?? .null
        }
    }

    /// The text of code points; what is none becomes U+FFFD. (SQLite lets surrogates through, which no text has.)
    static func char(_ values: [SQLValue]) -> SQLValue {
        var scalars = String.UnicodeScalarView()
        for value in values {
            let number = value.integerValue
            let scalar = number >= 0 && number <= 0x10ffff ? Unicode.Scalar(UInt32(number)) : nil
            scalars.append(scalar ?? "\u{fffd}")
        }
        return .text(Text(String(scalars)))
    }
}
