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
        #if canImport(Darwin)
            if let base = buffer.baseAddress { arc4random_buf(base, buffer.count) }
        #else
            // getentropy(3) gives at most 256 bytes a call and only fails where the kernel has no generator;
            // keys must not be drawn from anything else.
            var done = 0
            while done < buffer.count, let base = buffer.baseAddress {
                let part = min(256, buffer.count - done)
                if getentropy(base + done, part) != 0 { preconditionFailure("the system has no random generator") }
                done += part
            }
        #endif
    }

    package func random(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { randomBytes($0) }
        return bytes
    }
}
