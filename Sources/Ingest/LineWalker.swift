// What all parsers of lines share: walking from line to line, and copying a line to where wide reads are safe.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Lines of a chunk that hold more than white space.
struct LineWalker {
    struct Line {
        var start: BytePointer
        /// Without white space at the end.
        var end: BytePointer
        var number: Int
        /// A line feed ends it and `TextScan.padding` bytes behind that can be read.
        var isPadded: Bool
    }

    private let base: BytePointer
    private let end: BytePointer
    private var position: BytePointer
    private var line: Int
    private let firstLine: Int

    /// `nil` for no bytes at all.
    init?(_ bytes: UnsafeRawBufferPointer, firstLine: Int) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return nil }
        base = start.assumingMemoryBound(to: UInt8.self)
        end = base + bytes.count
        position = base
        line = firstLine
        self.firstLine = firstLine
        if firstLine == 1, bytes.starts(with: [0xef, 0xbb, 0xbf]) { position += 3 }
    }

    @inline(__always)
    mutating func next() -> Line? {
        while position < end {
            let start = position
            let found = memchr(start, 0x0a, end - start)
            let lineEnd = found.map { BytePointer($0.assumingMemoryBound(to: UInt8.self)) } ?? end
            let content = TextScan.trimmedEnd(start, lineEnd)
            let number = line
            position = found == nil ? end : lineEnd + 1
            line &+= 1
            if content > start {
                return Line(start: start, end: content, number: number, isPadded: end - lineEnd > TextScan.padding)
            }
        }
        return nil
    }

    var progress: ParseProgress {
        ParseProgress(bytes: position - base, lines: line - firstLine)
    }
}

/// Memory for lines that stand too near the end of theirs.
struct LineCopy: ~Copyable {
    private var buffer = GrowableBuffer<UInt8>()

    /// The line with a line feed behind it and `TextScan.padding` bytes behind that. Valid until the next call.
    mutating func padded(_ start: BytePointer, _ end: BytePointer) -> BytePointer {
        let length = end - start
        buffer.truncate(to: 0)
        buffer.append(from: start, count: length)
        buffer.append(0x0a)
        buffer.resize(to: length + 1 + TextScan.padding, filling: 0)
        return BytePointer(buffer.base)
    }
}
