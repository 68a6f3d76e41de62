// Values that stay, less something: query strings cut off, e-mail addresses cut out, IP addresses truncated.

import EventStoreCore

enum ValueRewrite {
    // MARK: Query strings

    /// Whether a value is a path or a URL: for names that may hold something else.
    static func isPathLike(_ value: UnsafeRawBufferPointer) -> Bool {
        if value.first == UInt8(ascii: "/") || value.first == UInt8(ascii: "?") { return true }
        let scheme = value.run(from: 0, max: 16) { ByteKind.isLetter($0) || $0 == UInt8(ascii: "+") }
        return scheme > 1 && value.has("://", at: scheme)
    }

    /// Everything before the first `?` or `#`. Of a request line its protocol stays too; of a JSON array each text
    /// is cut by itself.
    static func cuttingQuery(_ value: UnsafeRawBufferPointer, isJSON: Bool) -> [UInt8] {
        if isJSON { return cuttingQueriesOfTexts(value) }
        guard let cut = value.firstIndex(where: isQuerySign) else { return Array(value) }
        var kept = Array(value[..<cut])
        // ` HTTP/1.1` and the like.
        let end = value.count - 9
        if end >= cut, value.has(" HTTP/", at: end), value[end + 7] == UInt8(ascii: ".") {
            kept.append(contentsOf: value[end...])
        }
        return kept
    }

    @inline(__always)
    private static func isQuerySign(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#") }

    private static func cuttingQueriesOfTexts(_ value: UnsafeRawBufferPointer) -> [UInt8] {
        var kept: [UInt8] = []
        kept.reserveCapacity(value.count)
        var isInText = false
        var isCut = false
        var index = 0
        while index < value.count {
            let byte = value[index]
            if isInText, byte == UInt8(ascii: "\\"), index + 1 < value.count {
                // The escapes of the signs themselves.
                if value.hasAnyCase("\\u003f", at: index) || value.has("\\u0023", at: index) { isCut = true }
                if !isCut { kept.append(contentsOf: value[index...(index + 1)]) }
                index += 2
                continue
            }
            if byte == UInt8(ascii: "\"") {
                isInText.toggle()
                isCut = false
            } else if isInText, isQuerySign(byte) {
                isCut = true
            }
            if !isCut { kept.append(byte) }
            index += 1
        }
        return kept
    }

    // MARK: E-mail addresses

    static func cuttingEmails(_ value: UnsafeRawBufferPointer) -> [UInt8] {
        var kept: [UInt8] = []
        var start = 0
        while let address = EmailLook.next(in: value, from: start) {
            kept.append(contentsOf: value[start..<address.lowerBound])
            start = address.upperBound
        }
        kept.append(contentsOf: value[start...])
        return kept
    }

    // MARK: Addresses of the internet protocol

    /// The value with every address in it truncated, or `nil` when there is none that would change.
    static func truncatingAddresses(_ value: UnsafeRawBufferPointer) -> [UInt8]? {
        var result: [UInt8] = []
        var isChanged = false
        var index = 0
        while index < value.count {
            let length = value.run(from: index, max: .max, isAddressByte)
            let token = UnsafeRawBufferPointer(rebasing: value[index..<(index + length)])
            if length > 0, let truncated = InternetAddress.truncated(token) {
                isChanged = isChanged || !truncated.elementsEqual(token)
                result.append(contentsOf: truncated)
            } else {
                result.append(contentsOf: token)
            }
            index += length
            if index < value.count {
                result.append(value[index])
                index += 1
            }
        }
        return isChanged ? result : nil
    }

    /// Whether there is an address in the value.
    static func hasAddress(_ value: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < value.count {
            let length = value.run(from: index, max: .max, isAddressByte)
            let token = UnsafeRawBufferPointer(rebasing: value[index..<(index + length)])
            if length > 0, InternetAddress.truncated(token) != nil { return true }
            index += length + 1
        }
        return false
    }

    /// Names of zones (`%eth0`) end an address.
    private static func isAddressByte(_ byte: UInt8) -> Bool {
        ByteKind.isDigit(byte) || (byte | 0x20) &- 0x61 < 6 || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":")
    }
}

/// Text forms of addresses: dotted IPv4 (with a port or without), IPv6 as RFC 4291 2.2 has it.
enum InternetAddress {
    /// The address cut to /24 or /64, `nil` for what is none.
    static func truncated(_ token: UnsafeRawBufferPointer) -> [UInt8]? {
        guard (2...64).contains(token.count) else { return nil }
        let text = String(decoding: token, as: UTF8.self)
        let colons = token.count { $0 == UInt8(ascii: ":") }
        if colons <= 1 {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard let octets = octets(parts[0]) else { return nil }
            if colons == 1, UInt16(parts[1]) == nil { return nil }
            return Array("\(octets[0]).\(octets[1]).\(octets[2]).0".utf8)
                + (colons == 1 ? Array(":\(parts[1])".utf8) : [])
        }
        guard let groups = groups(text) else { return nil }
        // An IPv4 address in IPv6 clothes.
        if groups[..<5].allSatisfy({ $0 == 0 }), groups[5] == 0xffff {
            return Array("::ffff:\(groups[6] >> 8).\(groups[6] & 255).\(groups[7] >> 8).0".utf8)
        }
        var head = groups[..<4].map { String($0, radix: 16) }
        while head.last == "0" { head.removeLast() }
        return Array((head.joined(separator: ":") + "::").utf8)
    }

    private static func octets(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        let octets = parts.compactMap { part in
            part.utf8.count <= 3 && part.utf8.allSatisfy(ByteKind.isDigit) ? UInt8(part) : nil
        }
        return octets.count == 4 ? octets : nil
    }

    private static func groups(_ text: String) -> [UInt16]? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return nil }
        var lists: [[UInt16]] = []
        for (index, half) in halves.enumerated() {
            guard let list = list(half, mayEndInIPv4: index == halves.count - 1) else { return nil }
            lists.append(list)
        }
        if lists.count == 1 { return lists[0].count == 8 ? lists[0] : nil }
        let missing = 8 - lists[0].count - lists[1].count
        return missing < 1 ? nil : lists[0] + [UInt16](repeating: 0, count: missing) + lists[1]
    }

    private static func list(_ text: Substring, mayEndInIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if mayEndInIPv4, index == parts.count - 1, let octets = octets(part) {
                groups.append(UInt16(octets[0]) << 8 | UInt16(octets[1]))
                groups.append(UInt16(octets[2]) << 8 | UInt16(octets[3]))
            } else {
                guard (1...4).contains(part.utf8.count), let group = UInt16(part, radix: 16) else { return nil }
                groups.append(group)
            }
        }
        return groups
    }
}
