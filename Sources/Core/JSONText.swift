// Writing JSON (RFC 8259) as bytes: strings and whole numbers.

package enum JSONText {
    /// A JSON string: quotes, backslashes and control characters escaped, all else as it is.
    package static func appendQuoted(_ text: UnsafeRawBufferPointer, _ target: inout [UInt8]) {
        target.append(0x22)
        var start = 0
        for index in 0..<text.count {
            let byte = text[index]
            if byte >= 0x20, byte != 0x22, byte != 0x5c { continue }
            target.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start..<index]))
            appendEscape(byte, &target)
            start = index + 1
        }
        target.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[start...]))
        target.append(0x22)
    }

    private static func appendEscape(_ byte: UInt8, _ target: inout [UInt8]) {
        target.append(0x5c)
        switch byte {
        case 0x22, 0x5c: target.append(byte)
        case 0x0a: target.append(0x6e)
        case 0x0d: target.append(0x72)
        case 0x09: target.append(0x74)
        case 0x08: target.append(0x62)
        case 0x0c: target.append(0x66)
        default:
            let digits = Array("0123456789abcdef".utf8)
            target.append(contentsOf: [0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
    }

    package static func append(_ number: Int64, _ target: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { scratch in
            var rest = number.magnitude
            var place = 20
            repeat {
                place -= 1
                scratch[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            if number < 0 {
                place -= 1
                scratch[place] = 0x2d
            }
            target.append(contentsOf: scratch[place..<20])
        }
    }
}
