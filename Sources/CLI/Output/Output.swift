/// Standard output and standard error as bytes.
///
/// `Output` buffers and writes whole chunks; a reader that went away throws ``OutputClosed``, which ends
/// the program quietly. Diagnostics never fail: if nobody reads standard error, nobody is told.

import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The reader of standard output went away.
package struct OutputClosed: Error {
    package init() {}
}

/// A buffered file descriptor. Not for use by two threads at a time. Nothing is written by `deinit`: flush.
package final class Output {
    private static let flushBytes = 1 << 16
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    package init(descriptor: Int32 = 1) { self.descriptor = descriptor }

    package func write(_ text: String) throws {
        buffer.append(contentsOf: text.utf8)
        if buffer.count >= Output.flushBytes { try flush() }
    }

    /// Lets `fill` append to the buffer itself: no copy for bulk output.
    package func write(with fill: (inout [UInt8]) throws -> Void) throws {
        try fill(&buffer)
        if buffer.count >= Output.flushBytes { try flush() }
    }

    package func flush() throws {
        defer { buffer.removeAll(keepingCapacity: true) }
        switch writeAll(descriptor, buffer) {
        case 0: return
        case EPIPE: throw OutputClosed()
        case ENOSPC: throw CLIFailure(code: "disk-full", message: "no space left for standard output")
        case let number:
            throw CLIFailure(code: "io", message: "cannot write standard output: \(String(cString: strerror(number)))")
        }
    }
}

/// Standard error: notes, hints and progress.
package enum Diagnostics {
    package static func line(_ text: String) { emit(text + "\n") }

    /// Text without a line end, as a redrawn progress line needs.
    package static func raw(_ text: String) { emit(text) }

    private static func emit(_ text: String) { _ = writeAll(2, Array(text.utf8)) }
}

/// Writes all bytes; returns 0 or `errno`. Waits where the descriptor does not block.
private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Int32 {
    bytes.withUnsafeBytes { raw -> Int32 in
        var offset = 0
        while offset < raw.count {
            let written = write(descriptor, raw.baseAddress! + offset, raw.count - offset)
            if written >= 0 {
                offset += written
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, -1)
            default: return errno
            }
        }
        return 0
    }
}
