// Bytes of a file or of standard input, decompressed where they are gzip (RFC 1952) or zstd (RFC 8878).
// Both are known by their first bytes, never by a file's name; several members or frames may follow each other.

import CZlib
import CZstd
import EventStoreCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file descriptor being read from its start. Memory: one buffer of `bufferBytes`.
final class InputFile {
    static let bufferBytes = 256 * 1024

    let path: String
    /// 0 for what is no regular file.
    let totalBytes: Int
    /// Whether waiting for more may take long: a pipe, a terminal, a socket.
    let isLive: Bool
    let bytesRead = Atomic<Int>(0)
    private let descriptor: Int32
    private let isStandardInput: Bool
    /// Bytes read ahead of the decoder.
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: InputFile.bufferBytes, alignment: 16)
    private var start = 0
    private var end = 0

    /// - Parameter path: `-` is standard input, which somebody else closes.
    init(path: String, standardInput: Int32) throws(Fault) {
        isStandardInput = path == "-"
        self.path = isStandardInput ? "standard input" : path
        descriptor = isStandardInput ? standardInput : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Fault.system("open", errno: errno, file: path) }
        var status = stat()
        let isRegular = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        totalBytes = isRegular && !isStandardInput ? Int(status.st_size) : 0
        isLive = !isRegular
    }

    deinit {
        buffer.deallocate()
        if !isStandardInput { close(descriptor) }
    }

    /// Bytes read but not used yet.
    var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: buffer + start, count: end - start) }

    func consume(_ count: Int) { start += count }

    /// Adds bytes to `unread`; `false` at the end of the file.
    func readAhead() throws(Fault) -> Bool {
        if start > 0 {
            buffer.copyMemory(from: buffer + start, byteCount: end - start)
            end -= start
            start = 0
        }
        guard end < InputFile.bufferBytes else { return true }
        let count = try readBytes(buffer + end, InputFile.bufferBytes - end)
        end += count
        return count > 0
    }

    /// Reads past the buffer when that is empty; 0 at the end of the file.
    func read(into target: UnsafeMutableRawBufferPointer) throws(Fault) -> Int {
        guard start == end else {
            let count = min(end - start, target.count)
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: unread[..<count]))
            start += count
            return count
        }
        guard let base = target.baseAddress, target.count > 0 else { return 0 }
        return try readBytes(base, target.count)
    }

    /// Whether a live input has nothing to read for this long.
    func waits(milliseconds: Int32) -> Bool {
        guard isLive, start == end else { return false }
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, milliseconds) == 0
    }

    private func readBytes(_ target: UnsafeMutableRawPointer, _ count: Int) throws(Fault) -> Int {
        while true {
            let result = systemRead(descriptor, target, count)
            if result >= 0 {
                bytesRead.add(result, ordering: .relaxed)
                return result
            }
            if errno != EINTR { throw Fault.system("read", errno: errno, file: path) }
        }
    }
}

private func systemRead(_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(descriptor, target, count)
}

/// What turns a file's bytes into text.
protocol InputDecoder: AnyObject {
    /// Fills some of `target`, which is not empty; 0 at the end.
    /// - Throws: `damaged` when the compressed bytes are broken or end too early.
    func read(into target: UnsafeMutableRawBufferPointer) throws(Fault) -> Int
}

enum InputDecoders {
    /// The decoder for what the file's first bytes say it is.
    static func make(_ file: InputFile) throws(Fault) -> any InputDecoder {
        while file.unread.count < 4 { if try !file.readAhead() { break } }
        let head = file.unread.prefix(4)
        if head.starts(with: [0x1f, 0x8b]) { return try GzipDecoder(file) }
        if head.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return try ZstdDecoder(file) }
        let isSkippableFrame = head.count == 4 && head[0] & 0xf0 == 0x50 && head.dropFirst() == [0x2a, 0x4d, 0x18]
        return isSkippableFrame ? try ZstdDecoder(file) : PlainDecoder(file)
    }
}

extension UnsafeRawBufferPointer.SubSequence {
    fileprivate static func == (bytes: Self, expected: [UInt8]) -> Bool { bytes.elementsEqual(expected) }
}

private final class PlainDecoder: InputDecoder {
    private let file: InputFile
    init(_ file: InputFile) { self.file = file }
    func read(into target: UnsafeMutableRawBufferPointer) throws(Fault) -> Int { try file.read(into: target) }
}

private final class GzipDecoder: InputDecoder {
    private let file: InputFile
    private let stream: UnsafeMutablePointer<z_stream>
    private var isBetweenMembers = false

    init(_ file: InputFile) throws(Fault) {
        self.file = file
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 15: the largest window; + 16: a gzip header and its checksum.
        let result = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard result == Z_OK else { throw Fault(.limit, "no memory to read gzip", at: .init(file: file.path)) }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func read(into target: UnsafeMutableRawBufferPointer) throws(Fault) -> Int {
        while true {
            if file.unread.isEmpty, try !file.readAhead() {
                if isBetweenMembers { return 0 }
                throw damaged("the gzip data ends in the middle")
            }
            if isBetweenMembers, try !beginMember() { continue }
            let produced = try inflateSome(target)
            if produced > 0 { return produced }
        }
    }

    /// At the start of a member; zeros that fill up a tape block are skipped.
    private func beginMember() throws(Fault) -> Bool {
        let zeros = file.unread.prefix { $0 == 0 }.count
        if zeros > 0 {
            file.consume(zeros)
            return false
        }
        guard file.unread[0] == 0x1f else { throw damaged("what follows the gzip data is no gzip") }
        inflateReset(stream)
        isBetweenMembers = false
        return true
    }

    private func inflateSome(_ target: UnsafeMutableRawBufferPointer) throws(Fault) -> Int {
        let input = file.unread
        let room = min(target.count, 1 << 30)
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(room)
        let result = inflate(stream, Z_NO_FLUSH)
        file.consume(input.count - Int(stream.pointee.avail_in))
        let produced = room - Int(stream.pointee.avail_out)
        switch result {
        case Z_STREAM_END: isBetweenMembers = true
        case Z_OK, Z_BUF_ERROR: break
        default: if produced == 0 { throw damaged("the gzip data is broken") }
        }
        return produced
    }

    private func damaged(_ what: String) -> Fault {
        Fault(.damaged, "\(what); the file may be cut short: make it anew", at: .init(file: file.path))
    }
}

private final class ZstdDecoder: InputDecoder {
    private let file: InputFile
    private let stream: OpaquePointer
    /// 0 between frames.
    private var pending = 0

    init(_ file: InputFile) throws(Fault) {
        self.file = file
        guard let stream = ZSTD_createDStream() else {
            throw Fault(.limit, "no memory to read zstd", at: .init(file: file.path))
        }
        self.stream = stream
        ZSTD_initDStream(stream)
    }

    deinit { ZSTD_freeDStream(stream) }

    func read(into target: UnsafeMutableRawBufferPointer) throws(Fault) -> Int {
        var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        while output.pos == 0 {
            // With a full buffer before, output may be left although no input is.
            if file.unread.isEmpty, try !file.readAhead() {
                if pending == 0 { return 0 }
                var nothing = ZSTD_inBuffer(src: nil, size: 0, pos: 0)
                try decompress(&output, &nothing)
                if output.pos > 0 || pending == 0 { return output.pos }
                throw damaged("the zstd data ends in the middle")
            }
            var input = ZSTD_inBuffer(src: file.unread.baseAddress, size: file.unread.count, pos: 0)
            defer { file.consume(input.pos) }
            try decompress(&output, &input)
        }
        return output.pos
    }

    private func decompress(_ output: inout ZSTD_outBuffer, _ input: inout ZSTD_inBuffer) throws(Fault) {
        pending = ZSTD_decompressStream(stream, &output, &input)
        guard ZSTD_isError(pending) != 0 else { return }
        let reason = String(cString: ZSTD_getErrorName(pending))
        throw damaged("the zstd data is broken (\(reason))")
    }

    private func damaged(_ what: String) -> Fault {
        Fault(.damaged, "\(what); the file may be cut short: make it anew", at: .init(file: file.path))
    }
}
