/// Hashing for in-memory tables: folded 64×64→128-bit multiplication, as in wyhash
/// (https://github.com/wangyi-fudan/wyhash, public domain) and foldhash, over 16 bytes a step.
/// Never persisted: the seed is drawn once per process, which also keeps crafted input from piling
/// up in one slot.
@usableFromInline
package enum Hash {
    package static let seed: UInt64 = UInt64.random(in: .min ... .max) | 1

    @inlinable
    @inline(__always)
    package static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    @inlinable
    package static func bytes(_ pointer: UnsafeRawPointer, count: Int, seed: UInt64) -> UInt64 {
        var state = seed ^ UInt64(truncatingIfNeeded: count) &* 0x9e37_79b9_7f4a_7c15
        var offset = 0
        while count - offset > 16 {
            let a = pointer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let b = pointer.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
            state = fold(a ^ 0xa076_1d64_78bd_642f, b ^ state)
            offset += 16
        }
        let rest = count - offset
        var a: UInt64 = 0
        var b: UInt64 = 0
        if rest >= 8 {
            a = pointer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            b = pointer.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
        } else if rest >= 4 {
            a = UInt64(pointer.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            b = UInt64(pointer.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self))
        } else if rest > 0 {
            a =
                UInt64(pointer.load(fromByteOffset: offset, as: UInt8.self)) << 16
                | UInt64(pointer.load(fromByteOffset: offset + rest >> 1, as: UInt8.self)) << 8
                | UInt64(pointer.load(fromByteOffset: count - 1, as: UInt8.self))
        }
        return fold(fold(a ^ 0xe703_7ed1_a0b4_28db, b ^ state), 0x8ebc_6af0_9c88_c6e3)
    }

    @inlinable
    @inline(__always)
    package static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        fold(a ^ 0xa076_1d64_78bd_642f, b ^ 0xe703_7ed1_a0b4_28db)
    }
}
