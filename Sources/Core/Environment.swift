#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the store takes from outside besides files: time and randomness. Tests inject their own.
package struct Environment: Sendable {
    package var files: any FileSystem
    /// Milliseconds since 1970 UTC.
    package var nowMs: @Sendable () -> Int64
    /// Fills the memory with random bytes from a cryptographic generator.
    package var randomBytes: @Sendable (UnsafeMutableRawBufferPointer) -> Void

    package init(
        files: any FileSystem = PosixFileSystem(),
        nowMs: @escaping @Sendable () -> Int64 = Environment.systemNowMs,
        randomBytes: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void = Environment.systemRandomBytes
    ) {
        self.files = files
        self.nowMs = nowMs
        self.randomBytes = randomBytes
    }

    package static let systemNowMs: @Sendable () -> Int64 = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    package static let systemRandomBytes: @Sendable (UnsafeMutableRawBufferPointer) -> Void = { buffer in
        // SystemRandomNumberGenerator is getrandom(2) on Linux and arc4random_buf on Apple's systems.
        var generator = SystemRandomNumberGenerator()
        for index in buffer.indices { buffer[index] = UInt8.random(in: .min ... .max, using: &generator) }
    }

    package func random(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { randomBytes($0) }
        return bytes
    }
}
