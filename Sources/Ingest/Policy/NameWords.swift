// Splits attribute names into dotted parts, and parts into words: at punctuation and at changes of case.
//
// `user.accessToken`, `user.access_token` and `user.ACCESS-TOKEN` are all [user] [access token]. Digits at the
// end of a word are dropped (`password2`), words of digits alone too. Linear in the name's length.

enum NameWords {
    static func parts(_ name: UnsafeRawBufferPointer) -> [[String]] {
        var parts: [[String]] = []
        var start = 0
        for index in 0...name.count where index == name.count || name[index] == UInt8(ascii: ".") {
            let part = words(UnsafeRawBufferPointer(rebasing: name[start..<index]))
            if !part.isEmpty { parts.append(part) }
            start = index + 1
        }
        return parts
    }

    static func parts(_ name: String) -> [[String]] { Array(name.utf8).withUnsafeBytes { parts($0) } }

    private enum Kind { case other, lower, upper, digit }

    private static func kind(_ byte: UInt8) -> Kind {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), 0x80...: .lower
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): .upper
        case UInt8(ascii: "0")...UInt8(ascii: "9"): .digit
        default: .other
        }
    }

    private static func words(_ part: UnsafeRawBufferPointer) -> [String] {
        var words: [String] = []
        var current: [UInt8] = []
        var previous = Kind.other
        func flush() {
            while let last = current.last, last &- 0x30 < 10 { current.removeLast() }
            if !current.isEmpty { words.append(String(decoding: current, as: UTF8.self)) }
            current.removeAll(keepingCapacity: true)
        }
        for index in 0..<part.count {
            let byte = part[index]
            let kind = kind(byte)
            let next = index + 1 < part.count ? NameWords.kind(part[index + 1]) : .other
            // `accessToken` splits before T; `APIKey` before K, which begins a word of its own.
            let begins =
                kind == .upper && (previous == .lower || previous == .digit || previous == .upper && next == .lower)
            if kind == .other || begins { flush() }
            if kind != .other { current.append(kind == .upper ? byte | 0x20 : byte) }
            previous = kind
        }
        flush()
        return words
    }
}
