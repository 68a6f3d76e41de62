// E-mail addresses and passwords in URLs, found in one pass.
//
// An address is what RFC 5321 allows without quotes: local part, `@` (or `%40`, as in paths), a domain of two
// labels or more whose last is letters. Not one is `logo@2x.png`, `pkg@1.2.3`, `root@localhost`.

import EventStoreCore

enum EmailLook {
    /// The first address from a place on.
    static func next(in value: UnsafeRawBufferPointer, from start: Int) -> Range<Int>? {
        // Where the local part may begin: behind the last `@`, so that no byte is walked over twice.
        var floor = start
        var index = start
        while index < value.count {
            guard let width = atSign(value, index) else {
                index += 1
                continue
            }
            let after = index + width
            let first = localStart(value, index, floor)
            if first < index, let end = domainEnd(value, after) { return first..<end }
            floor = after
            index = after
        }
        return nil
    }

    private static func atSign(_ value: UnsafeRawBufferPointer, _ index: Int) -> Int? {
        if value[index] == UInt8(ascii: "@") { return 1 }
        return value[index] == UInt8(ascii: "%") && value.has("40", at: index + 1) ? 3 : nil
    }

    /// Where the local part that ends at `end` begins; `end` when there is none.
    private static func localStart(_ value: UnsafeRawBufferPointer, _ end: Int, _ floor: Int) -> Int {
        var start = end
        var hasWord = false
        while start > floor {
            let byte = value[start - 1]
            if ByteKind.isWord(byte) {
                hasWord = true
            } else if !"._%+-'*=^~{}|!&".utf8.contains(byte) {
                break
            }
            start -= 1
        }
        // Signs alone are no name; signs before it belong to the text around.
        guard hasWord else { return end }
        while start < end, !ByteKind.isWord(value[start]), value[start] != UInt8(ascii: "_") { start += 1 }
        return start
    }

    private static func domainEnd(_ value: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        var end =
            start
            + value.run(from: start, max: .max) {
                ByteKind.isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
            }
        while end > start, !ByteKind.isWord(value[end - 1]) { end -= 1 }
        var dot = end
        while dot > start, value[dot - 1] != UInt8(ascii: ".") { dot -= 1 }
        // A label before the last, not empty.
        guard dot > start + 1, ByteKind.isWord(value[dot - 2]) else { return nil }
        let last = UnsafeRawBufferPointer(rebasing: value[dot..<end])
        guard isTopLevel(last) else { return nil }
        let domain = String(decoding: UnsafeRawBufferPointer(rebasing: value[start..<end]).prefix(32), as: UTF8.self)
        return algorithms.contains(domain.lowercased()) ? nil : end
    }

    private static func isTopLevel(_ label: UnsafeRawBufferPointer) -> Bool {
        guard (2...63).contains(label.count) else { return false }
        if label.hasAnyCase("xn--", at: 0) { return true }
        guard label.allSatisfy({ ByteKind.isLetter($0) || $0 >= 0x80 }) else { return false }
        return label.count > 7 || !files.contains(String(decoding: label, as: UTF8.self).lowercased())
    }

    /// Endings of files that are no domains.
    private static let files: Set<String> = [
        "png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "ico", "bmp", "css", "js", "mjs", "cjs", "json", "map",
        "html",
        "htm", "php", "xml", "txt", "woff", "ttf", "eot", "otf", "pdf", "mp3", "mp4", "webm", "conf", "service",
        "timer",
        "socket", "log", "yml", "yaml", "scss", "less", "tsx", "jsx", "vue", "min", "aspx", "asp", "jsp",
    ]

    /// Domains in the names of SSH's algorithms (RFC 4250, 4.6.1): `chacha20-poly1305@openssh.com`.
    private static let algorithms: Set<String> = ["openssh.com", "libssh.org", "lysator.liu.se"]
}

enum UserinfoLook {
    /// Whether a URL carries a password: `scheme://user:password@host` (RFC 3986, 3.2.1).
    static func isIn(_ value: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index + 2 < value.count {
            guard value[index] == UInt8(ascii: ":"), value.has("//", at: index + 1), index > 0,
                ByteKind.isWord(value[index - 1])
            else {
                index += 1
                continue
            }
            let start = index + 3
            let length = value.run(from: start, max: .max) { $0 > 0x20 && !"/?#\"<>\\".utf8.contains($0) }
            let authority = UnsafeRawBufferPointer(rebasing: value[start..<(start + length)])
            if let at = authority.lastIndex(of: UInt8(ascii: "@")),
                let colon = authority[..<at].firstIndex(of: UInt8(ascii: ":")), colon + 1 < at
            {
                return true
            }
            index = start + length
        }
        return false
    }
}
