// Tells a write-ahead log that rotted from one whose tail a crash tore (format:
// https://sqlite.org/fileformat2.html#the_write_ahead_log).
//
// SQLite stops at the first frame that does not match its checksum and takes everything behind it for the
// torn end of an unfinished commit. With synchronous=FULL one commit at most is unfinished: when frames of two
// or more commits follow, acknowledged commits are behind the broken frame, and the log is damaged.

import EventStoreCore

struct LogInspection: Equatable {
    /// Pages that have a frame in the part SQLite will read.
    var pages: Set<UInt32> = []
    /// Frames that match their checksum.
    var frames = 0
    /// Commits whose end lies at or behind the first broken frame.
    var commitsBehindBreak = 0
    /// The header does not match its checksum, though the frames behind it belong to it.
    var headerBroken = false

    var isEmpty: Bool { self == LogInspection() }
    var isDamaged: Bool { headerBroken || commitsBehindBreak >= 2 }
    /// A tail that a crash tore, or that rotted within the last commit: the two look alike.
    var isTorn: Bool { commitsBehindBreak == 1 }

    /// What to tell the user, or nil.
    var finding: String? {
        if headerBroken { return "header does not match its checksum: the commits in it are lost" }
        guard isDamaged else { return nil }
        return
            "frame \(frames + 1) does not match its checksum: \(commitsBehindBreak) commits at and behind it are lost"
    }

    /// Reads `path` while no one or one writer appends to it; a missing or empty log has nothing in it.
    static func inspect(_ path: String, files: any FileSystem = PosixFileSystem()) throws(Fault) -> LogInspection {
        guard let status = try files.status(path), status.size > LogLayout.headerBytes else { return LogInspection() }
        let file = try files.openForReading(path)
        defer { file.close() }
        var scan = LogScan(file: file, size: status.size)
        do throws(Fault) {
            try scan.run()
        } catch  where error.code == .damaged {
            // The writer emptied the log meanwhile: what it held is in the catalog.
        }
        return scan.result
    }
}

private enum LogLayout {
    static let headerBytes = 32
    static let frameHeaderBytes = 24
    static let frameBytes = frameHeaderBytes + PageChecksums.pageBytes
    static let magic: UInt32 = 0x377f_0682
}

private struct LogScan {
    let file: any FileHandle
    let size: Int
    private var first: UInt32 = 0
    private var second: UInt32 = 0
    private var isBigEndian = false
    private(set) var result = LogInspection()

    init(file: any FileHandle, size: Int) {
        self.file = file
        self.size = size
    }

    mutating func run() throws(Fault) {
        let header = try read(LogLayout.headerBytes, at: 0)
        let salts = [Self.word(header, 16), Self.word(header, 20)]
        isBigEndian = Self.word(header, 0) == LogLayout.magic | 1
        add(header, 0..<24)
        let isValid =
            Self.word(header, 0) | 1 == LogLayout.magic | 1
            && [first, second] == [Self.word(header, 24), Self.word(header, 28)]
        let frameCount = (size - LogLayout.headerBytes) / LogLayout.frameBytes
        if !isValid {
            if frameCount > 0 { result.headerBroken = try firstFrameBelongs(to: salts) }
            return
        }
        var isBroken = false
        for index in 0..<frameCount {
            let frame = try read(LogLayout.frameBytes, at: LogLayout.headerBytes + index * LogLayout.frameBytes)
            let belongs = [Self.word(frame, 8), Self.word(frame, 12)] == salts
            if !isBroken {
                isBroken = !continues(frame, salts: salts)
                if !isBroken {
                    result.frames += 1
                    result.pages.insert(Self.word(frame, 0))
                }
            }
            if isBroken, belongs, Self.word(frame, 4) != 0 { result.commitsBehindBreak += 1 }
        }
    }

    private mutating func continues(_ frame: [UInt8], salts: [UInt32]) -> Bool {
        add(frame, 0..<8)
        add(frame, LogLayout.frameHeaderBytes..<LogLayout.frameBytes)
        return [Self.word(frame, 8), Self.word(frame, 12)] == salts
            && [first, second] == [Self.word(frame, 16), Self.word(frame, 20)]
    }

    /// A header that was being rewritten when power failed has new salts, of which one is random; one that
    /// rotted has the salts of its frames, give or take a bit.
    private func firstFrameBelongs(to salts: [UInt32]) throws(Fault) -> Bool {
        let frame = try read(LogLayout.frameBytes, at: LogLayout.headerBytes)
        let difference =
            (Self.word(frame, 8) ^ salts[0]).nonzeroBitCount + (Self.word(frame, 12) ^ salts[1]).nonzeroBitCount
        return difference <= 1
    }

    private func read(_ count: Int, at offset: Int) throws(Fault) -> [UInt8] {
        var failure: Fault?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(Fault) {
                try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
                filled = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private mutating func add(_ bytes: [UInt8], _ range: Range<Int>) {
        bytes.withUnsafeBytes { raw in
            var offset = range.lowerBound
            while offset < range.upperBound {
                let a = raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let b = raw.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                first &+= (isBigEndian ? UInt32(bigEndian: a) : UInt32(littleEndian: a)) &+ second
                second &+= (isBigEndian ? UInt32(bigEndian: b) : UInt32(littleEndian: b)) &+ first
                offset += 8
            }
        }
    }

    /// Header fields are big-endian.
    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        UInt32(bytes[offset]) << 24 | UInt32(bytes[offset + 1]) << 16 | UInt32(bytes[offset + 2]) << 8
            | UInt32(bytes[offset + 3])
    }
}
