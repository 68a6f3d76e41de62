// Splits CSV as RFC 4180 defines it into records and fields. A quote opens a quoted field only at the field's
// start; one anywhere else in a bare field, or text behind a closing quote, makes the record malformed but
// moves no record's end, so that one bad line does not take the next ones with it.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

struct CSVRecord: ~Copyable {
    struct Field: BitwiseCopyable {
        /// Without the quotes around it.
        var start: BytePointer
        var length: Int
        var isQuoted: Bool
        var hasDoubledQuotes: Bool
    }

    /// The fields of the record, `count` of them.
    let fields: UnsafeMutablePointer<Field>
    private let fieldsMax: Int
    private(set) var count = 0
    /// Line feeds within the record's quotes.
    private(set) var lineFeeds = 0
    /// Broken quoting, or more fields than there is room for.
    private(set) var isMalformed = false

    init(fieldsMax: Int) {
        self.fieldsMax = fieldsMax
        fields = .allocate(capacity: fieldsMax)
    }

    deinit { fields.deallocate() }

    /// Splits the record at `start`, and returns its end: a line feed or `end`.
    mutating func split(_ start: BytePointer, _ end: BytePointer) -> BytePointer {
        count = 0
        lineFeeds = 0
        isMalformed = false
        var position = start
        while true {
            position = position < end && position[0] == 0x22 ? readQuoted(position, end) : readBare(position, end)
            if position == end || position[0] == 0x0a { return position }
            position += 1
        }
    }

    @inline(__always)
    private mutating func add(_ field: Field) {
        if count == fieldsMax {
            isMalformed = true
        } else {
            fields[count] = field
            count &+= 1
        }
    }

    /// Reads up to the comma, the line feed or the end.
    @inline(__always)
    private mutating func readBare(_ start: BytePointer, _ end: BytePointer) -> BytePointer {
        var position = start
        while position < end, position[0] != 0x2c, position[0] != 0x0a {
            if position[0] == 0x22 { isMalformed = true }
            position += 1
        }
        let atEnd = position == end || position[0] == 0x0a
        let length = position - start
        let trimmed = atEnd && length > 0 && position[-1] == 0x0d ? length - 1 : length
        add(Field(start: start, length: trimmed, isQuoted: false, hasDoubledQuotes: false))
        return position
    }

    private mutating func readQuoted(_ start: BytePointer, _ end: BytePointer) -> BytePointer {
        var position = start + 1
        var hasDoubledQuotes = false
        while true {
            guard let found = memchr(position, 0x22, end - position) else {
                isMalformed = true
                countLineFeeds(start, end)
                return end
            }
            position = BytePointer(found.assumingMemoryBound(to: UInt8.self)) + 1
            guard position < end, position[0] == 0x22 else { break }
            hasDoubledQuotes = true
            position += 1
        }
        countLineFeeds(start, position)
        add(
            Field(
                start: start + 1, length: position - start - 2, isQuoted: true, hasDoubledQuotes: hasDoubledQuotes))
        if position < end, position[0] == 0x0d, position + 1 == end || position[1] == 0x0a { return position + 1 }
        while position < end, position[0] != 0x2c, position[0] != 0x0a {
            isMalformed = true
            position += 1
        }
        return position
    }

    private mutating func countLineFeeds(_ start: BytePointer, _ end: BytePointer) {
        lineFeeds += LineSplitter.count(0x0a, UnsafeRawBufferPointer(start: start, count: end - start))
    }
}
