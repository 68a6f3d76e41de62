// Sealing and opening a pack, packing and unpacking it: what every block costs beside its codecs.

import Benchmark
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments

/// A pack, a key, and room for what comes of them.
private final class Pack {
    let context = XAESContext()
    let key = SecretKey(random: Environment())
    let compressor = PackCompressor()
    let plain: UnsafeMutableRawBufferPointer
    let sealed: UnsafeMutableRawBufferPointer
    private(set) var packed: [UInt8] = []
    private(set) var codec = PackCodec.raw
    private let additional = [UInt8](repeating: 7, count: 48)
    private var nonce = [UInt8](repeating: 1, count: 24)
    private var counter: UInt64 = 0

    init(bytes: Int) throws {
        plain = .allocate(byteCount: bytes, alignment: 16)
        sealed = .allocate(byteCount: bytes + 16, alignment: 16)
        var random = Numbers(seed: 5)
        // Text that LZ4 can do something with, as packs hold it.
        for index in 0..<bytes {
            plain[index] = UInt8(truncatingIfNeeded: 97 + (random.next() % 4) * (random.next() % 3))
        }
        let result = compressor.compress(UnsafeRawBufferPointer(plain), high: false)
        (packed, codec) = (Array(result.bytes), result.codec)
        try seal()
    }

    deinit {
        plain.deallocate()
        sealed.deallocate()
    }

    /// With another counter each time, as packs of one segment have it.
    func seal() throws {
        counter += 1
        nonce.withUnsafeMutableBytes { $0.storeBytes(of: counter, toByteOffset: 16, as: UInt64.self) }
        try nonce.withUnsafeBytes { nonce in
            try additional.withUnsafeBytes {
                try context.seal(key: key, nonce: nonce, aad: $0, plain: UnsafeRawBufferPointer(plain), into: sealed)
            }
        }
    }

    func open() throws {
        try nonce.withUnsafeBytes { nonce in
            try additional.withUnsafeBytes {
                try context.open(key: key, nonce: nonce, aad: $0, sealed: UnsafeRawBufferPointer(sealed), into: plain)
            }
        }
    }

    func unpack() throws {
        try packed.withUnsafeBytes { try PackCompressor.decompress($0, codec: codec, into: plain) }
    }
}

func sealBenchmarks() {
    for kibibytes in [4, 64] {
        let make: () throws -> Pack = { try Pack(bytes: kibibytes << 10) }
        measure("seal-\(kibibytes)KiB", setUp: make) { try $0.seal() }
        measure("open-\(kibibytes)KiB", setUp: make) { try $0.open() }
        measure("compress-\(kibibytes)KiB", setUp: make) {
            blackHole($0.compressor.compress(UnsafeRawBufferPointer($0.plain), high: false).codec)
        }
        measure("decompress-\(kibibytes)KiB", setUp: make) { try $0.unpack() }
    }
}
