// SHAKE128 (FIPS 202), for the accumulated test of XAES-256-GCM alone.

struct Shake128 {
    private static let rate = 168
    private var lanes = [UInt64](repeating: 0, count: 25)
    private var position = 0
    private var isSqueezing = false

    mutating func absorb(_ bytes: some Sequence<UInt8>) {
        precondition(!isSqueezing)
        for byte in bytes {
            lanes[position >> 3] ^= UInt64(byte) << UInt64((position & 7) * 8)
            position += 1
            if position == Shake128.rate {
                permute()
                position = 0
            }
        }
    }

    mutating func squeeze(_ count: Int) -> [UInt8] {
        if !isSqueezing {
            lanes[position >> 3] ^= 0x1f << UInt64((position & 7) * 8)
            lanes[(Shake128.rate - 1) >> 3] ^= 0x80 << 56
            isSqueezing = true
            permute()
            position = 0
        }
        return (0..<count).map { _ in
            if position == Shake128.rate {
                permute()
                position = 0
            }
            defer { position += 1 }
            return UInt8(truncatingIfNeeded: lanes[position >> 3] >> UInt64((position & 7) * 8))
        }
    }

    private mutating func permute() {
        lanes.withUnsafeMutableBufferPointer { a in
            var state: UInt8 = 1
            for _ in 0..<24 {
                Shake128.round(a)
                // Iota: the round constant's bits come from a linear feedback register.
                for bit in 0..<7 {
                    if state & 1 != 0 { a[0] ^= 1 << UInt64((1 << bit) - 1) }
                    state = state & 0x80 != 0 ? state << 1 ^ 0x71 : state << 1
                }
            }
        }
    }

    private static func rotated(_ value: UInt64, _ count: Int) -> UInt64 {
        count == 0 ? value : value << UInt64(count) | value >> UInt64(64 - count)
    }

    private static func round(_ a: UnsafeMutableBufferPointer<UInt64>) {
        var parity: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
        withUnsafeMutableBytes(of: &parity) { raw in
            let c = raw.bindMemory(to: UInt64.self)
            for x in 0..<5 { c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] }
            for x in 0..<5 {
                let d = c[(x + 4) % 5] ^ rotated(c[(x + 1) % 5], 1)
                for y in stride(from: 0, to: 25, by: 5) { a[x + y] ^= d }
            }
            // Rho and pi walk the lanes in one cycle.
            var (x, y, carried) = (1, 0, a[1])
            for step in 0..<24 {
                (x, y) = (y, (2 * x + 3 * y) % 5)
                let next = a[x + 5 * y]
                a[x + 5 * y] = rotated(carried, (step + 1) * (step + 2) / 2 % 64)
                carried = next
            }
            for y in stride(from: 0, to: 25, by: 5) {
                for x in 0..<5 { c[x] = a[x + y] }
                for x in 0..<5 { a[x + y] = c[x] ^ (~c[(x + 1) % 5] & c[(x + 2) % 5]) }
            }
        }
    }
}
