// Input sources: chunks of whole lines at any size, compression, damage, lines that are too long, formats found out.

import CZlib
import CZstd
import EventStoreCore
import EventStoreIngest
import Foundation
import Testing

@Suite struct InputSourceTests {
    private struct Read {
        var text: [UInt8] = []
        var chunks: [(bytes: [UInt8], firstLine: Int)] = []
        var report = ParseReport()
        var fault: Fault?
    }

    /// Without the search for differences that a failed `==` of arrays starts.
    private func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool { a == b }

    private func read(_ source: InputSource) -> Read {
        var result = Read()
        do {
            while let chunk = try source.nextChunk() {
                // The padding can be read.
                let base = chunk.bytes.baseAddress
                #expect(base?.load(fromByteOffset: chunk.bytes.count + 63, as: UInt8.self) != nil)
                result.chunks.append((Array(chunk.bytes), chunk.firstLine))
                result.text += chunk.bytes
            }
        } catch { result.fault = error }
        #expect((try? source.nextChunk()) == nil)
        result.report = source.takeReport()
        return result
    }

    private func read(
        _ bytes: [UInt8], _ options: InputOptions = testOptions(format: .ndjson), chunkBytes: Int = 4 << 20
    ) throws -> Read {
        try withFile(bytes) { path in
            read(try InputSource(path: path, options: options, chunkBytes: chunkBytes))
        }
    }

    // MARK: Chunks

    @Test func chunksOfEverySizeAreWholeLines() throws {
        let text = Array((1...40).map { String(repeating: "x", count: $0 * 7 % 31) }.joined(separator: "\n").utf8)
        for size in stride(from: 16, through: 300, by: 3) {
            let found = try read(text, chunkBytes: size)
            #expect(isEqual(found.text, text) && found.fault == nil)
            var line = 1
            for chunk in found.chunks {
                #expect(chunk.firstLine == line)
                line += chunk.bytes.filter { $0 == 0x0a }.count
                if line < 40 { #expect(chunk.bytes.last == 0x0a) }
            }
            #expect(size > 64 || found.chunks.count > 4)
        }
        #expect(try read([]).chunks.isEmpty)
        #expect(try read([0x0a]).text == [0x0a])
    }

    @Test func recordsOfCSVAreNotCut() throws {
        let header = "entity,type,timestamp,v\n"
        let records = (0..<60).map {
            "a,t,\($0),\($0 % 3 == 0 ? "\"x\n\n\"\"y,\(String(repeating: "z", count: $0))\"" : "b\($0)\"")\n"
        }
        let text = Array((header + records.joined()).utf8)
        let whole = try csvRows(text, chunkBytes: 4 << 20)
        #expect(whole.rows.count == 20 && whole.report.refused == [.badCSV: 40])
        for size in stride(from: 16, through: 200, by: 3) {
            let cut = try csvRows(text, chunkBytes: size)
            #expect(cut.rows == whole.rows && cut.report.first == whole.report.first)
        }
    }

    private func csvRows(_ text: [UInt8], chunkBytes: Int) throws -> Parsed {
        try withFile(text) { path in
            let source = try InputSource(path: path, options: testOptions(format: .csv), chunkBytes: chunkBytes)
            #expect(source.description.csvHeader == Array("entity,type,timestamp,v".utf8))
            let parser = try EventParsers.make(source.description, options: testOptions(), identity: PlainIdentity())
            while let chunk = try source.nextChunk() { parser.parse(chunk.bytes, firstLine: chunk.firstLine) }
            return parser.finish()
        }
    }

    /// Lines parsed in chunks of any size give the rows of the whole.
    @Test func chunksGiveTheSameRows() throws {
        var maker = LineMaker()
        let text = Array((0..<40).map { _ in maker.line() }.joined(separator: "\n").utf8)
        let whole = parseJSON(text).rows
        try withFile(text) { path in
            for size in stride(from: 16, through: 3000, by: 13) {
                let source = try InputSource(path: path, options: testOptions(), chunkBytes: size)
                let parser = try EventParsers.make(
                    source.description, options: testOptions(), identity: PlainIdentity())
                while let chunk = try source.nextChunk() { parser.parse(chunk.bytes, firstLine: chunk.firstLine) }
                #expect(rows(of: parser.takeBatch()) == whole, "seed \(maker.random.seed) size \(size)")
            }
        }
    }

    @Test func chunksOutliveTheirSource() throws {
        let text = Array(String(repeating: "line\n", count: 2000).utf8)
        let kept = try withFile(text) { path in
            let source = try InputSource(path: path, options: testOptions(format: .ndjson), chunkBytes: 100)
            var kept: [InputChunk] = []
            while let chunk = try source.nextChunk() { kept.append(chunk) }
            #expect(source.bytesRead == text.count && source.totalBytes == text.count)
            return kept
        }
        #expect(isEqual(kept.flatMap { Array($0.bytes) }, text))
    }

    @Test func linesThatAreTooLongAreSkipped() throws {
        let long = [UInt8](repeating: 0x78, count: Limits.lineBytesMax)
        for (extra, chunkBytes) in [(1, 1000), (2_000_000, 1 << 20), (4_000_000, 4 << 20), (2_000_000, 100_000)] {
            let line = long + [UInt8](repeating: 0x79, count: extra)
            for end in ["", "\n\(event("\"c\":3"))\n\(event("\"d\":4"))"] {
                let text = Array((event("\"a\":1") + "\n\n").utf8) + line + Array(end.utf8)
                let parsed = try parse(text, chunkBytes: chunkBytes)
                #expect(parsed.rows.count == (end.isEmpty ? 1 : 3), "\(extra) \(chunkBytes)")
                #expect(parsed.report.refused == [.lineTooLong: 1] && parsed.report.read == parsed.rows.count + 1)
                #expect(parsed.report.first.first?.line == 3)
            }
        }
        let found = try read(long + [0x0a] + long, chunkBytes: 1000)
        #expect(found.text.count == 2 * Limits.lineBytesMax + 1)
    }

    /// Memory stays bounded: what is skipped is never held whole.
    private func parse(_ text: [UInt8], chunkBytes: Int) throws -> Parsed {
        try withFile(text) { path in
            let source = try InputSource(path: path, options: testOptions(), chunkBytes: chunkBytes)
            let parser = try EventParsers.make(source.description, options: testOptions(), identity: PlainIdentity())
            while let chunk = try source.nextChunk() {
                #expect(chunk.bytes.count <= max(chunkBytes, 2 * Limits.lineBytesMax))
                parser.parse(chunk.bytes, firstLine: chunk.firstLine)
            }
            var parsed = parser.finish()
            parsed.report.merge(source.takeReport())
            return parsed
        }
    }

    @Test func recordsOfCSVThatAreTooLongAreSkippedWhole() throws {
        let long = "a,t,1,\"" + String(repeating: "\"\"\n,", count: 300_000) + "\"\n"
        let text = Array(("entity,type,timestamp,v\na,t,1,x\n" + long + "a,t,1,y\n").utf8)
        let parsed = try parse(text, chunkBytes: 100_000)
        #expect(
            parsed.rows.count == 2 && parsed.report.refused == [.lineTooLong: 1] && parsed.report.first[0].line == 3)
    }

    // MARK: Compression

    private func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        deflateInit2_(
            &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        defer { deflateEnd(&stream) }
        var input = bytes
        var output = [UInt8](repeating: 0, count: bytes.count + 1000)
        let size = input.withUnsafeMutableBufferPointer { source in
            output.withUnsafeMutableBufferPointer { target in
                stream.next_in = source.baseAddress
                stream.avail_in = UInt32(source.count)
                stream.next_out = target.baseAddress
                stream.avail_out = UInt32(target.count)
                #expect(deflate(&stream, Z_FINISH) == Z_STREAM_END)
                return Int(stream.total_out)
            }
        }
        return Array(output[..<size])
    }

    private func zstd(_ bytes: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
        let size = ZSTD_compress(&output, output.count, bytes, bytes.count, 3)
        return Array(output[..<size])
    }

    private var lines: [UInt8] { Array((0..<6000).map { "line \($0 * 7919 % 100_003)\n" }.joined().utf8) }

    @Test func compressedFilesOfOneOrSeveralMembers() throws {
        let text = lines
        let half = text.count / 2
        let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]
        for file in [
            gzip(text), gzip(Array(text[..<half])) + gzip(Array(text[half...])), gzip(text) + [0, 0, 0, 0],
            gzip([]) + gzip(text) + gzip([]), zstd(text), zstd(Array(text[..<half])) + zstd(Array(text[half...])),
            skippable + zstd(text) + skippable, zstd([]) + zstd(text),
        ] {
            for chunkBytes in [1000, 4 << 20] {
                let found = try read(file, chunkBytes: chunkBytes)
                #expect(isEqual(found.text, text) && found.fault == nil)
            }
        }
        #expect(try read(gzip([])).chunks.isEmpty)
        #expect(try read(zstd([])).chunks.isEmpty)
    }

    /// Cut anywhere: all whole lines that could be read, then `damaged` with the file's name.
    @Test func truncatedFiles() throws {
        let text = lines
        for file in [gzip(text), zstd(text), gzip(text) + gzip(text), zstd(text) + zstd(text)] {
            for cut in [4, 5, 11, 19, file.count / 3, file.count / 2 + 7, file.count - 9, file.count - 1] {
                let found: Read
                do {
                    found = try read(Array(file[..<cut]), chunkBytes: 10_000)
                } catch let fault as Fault {
                    #expect(fault.code == .damaged)
                    continue
                }
                // A cut between two members is a shorter file.
                #expect(found.fault?.code == .damaged && found.fault?.place.file?.hasSuffix("input") == true)
                #expect(isEqual(Array((text + text).prefix(found.text.count)), found.text))
                #expect(found.text.isEmpty || found.text.last == 0x0a)
                // Of gzip only a byte of the checksum is missing then.
                if cut == file.count - 1, file[0] == 0x1f { #expect(found.text.count > text.count / 2) }
            }
        }
    }

    @Test func brokenFiles() throws {
        let text = lines
        var random = TestRandom()
        for file in [gzip(text), zstd(text)] {
            for _ in 0..<40 {
                var broken = file
                broken[random.below(file.count - 4) + 4] ^= UInt8(1 << random.below(8))
                guard let found = try? read(broken, chunkBytes: 10_000) else { continue }
                let isWhole = isEqual(found.text, text) && found.fault == nil
                #expect(isWhole || found.fault?.code == .damaged || file.starts(with: [0x28]), "seed \(random.seed)")
            }
        }
        #expect(try read(gzip(text) + [1, 2, 3]).fault?.code == .damaged)
        #expect(isEqual(try read(gzip(text) + [1, 2, 3]).text, text))
        #expect(try read(zstd(text) + [1, 2, 3, 4, 5]).fault?.code == .damaged)
    }

    /// A pipe that pauses hands out the lines it has.
    @Test func pipesGiveWhatTheyHave() throws {
        let pipe = Pipe()
        let writer = pipe.fileHandleForWriting
        try writer.write(contentsOf: Data("{\"a\":1}\n{\"b\"".utf8))
        let source = try InputSource(
            path: "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)", options: testOptions())
        #expect(source.description.format == .ndjson && source.totalBytes == 0)
        let first = try source.nextChunk().map { Array($0.bytes) }
        #expect(first == Array("{\"a\":1}\n".utf8))
        try writer.write(contentsOf: Data(":2}".utf8))
        try writer.close()
        let second = try source.nextChunk()
        #expect(second.map { Array($0.bytes) } == Array("{\"b\":2}".utf8) && second?.firstLine == 2)
        let third = try source.nextChunk()
        #expect(third == nil)
    }

    @Test func filesThatCannotBeOpened() throws {
        #expect { try InputSource(path: "/nonexistent/file", options: testOptions()) } throws: {
            ($0 as? Fault)?.code == .notFound
        }
        #expect(throws: Fault.self) { try InputSource(path: "/", options: testOptions()) }
    }

    // MARK: Formats

    private func format(_ text: String, name: String = "input", _ options: InputOptions = testOptions()) throws
        -> InputFormat
    {
        try withFile(Array(text.utf8), name: name) { path in
            try InputSource(path: path, options: options).description.format
        }
    }

    @Test func formatsAreFoundOut() throws {
        let clf = #"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1"#
        let combined = clf + #" "-" "UA""#
        #expect(try format("{\"a\":1}") == .ndjson)
        #expect(try format("\u{feff}\n  \n\t{\"a\":1}\nx") == .ndjson)
        #expect(try format(clf + "\n" + clf + "\n") == .clf)
        #expect(try format(combined + "\n") == .combined)
        #expect(try format("broken line\n" + combined + "\n" + combined) == .combined)
        #expect(try format("www.example.org:80 " + combined + "\n") == .vhostCombined)
        #expect(try format("entity,type,timestamp\n") == .csv)
        #expect(try format("\u{feff}\"timestamp\",\"event_type:string\",v\r\na,b,c") == .csv)
        #expect(try format("") == .ndjson)
        #expect(try format("", name: "x.csv.gz") == .csv)
        #expect(try format("broken", name: "x.jsonl.zst") == .ndjson)
        #expect(try format("a;b", name: "x.CSV") == .csv)
        #expect(try format("{", testOptions(format: .combined)) == .combined)
        var log = testOptions(format: .ndjson)
        log.logFormat = "%t"
        #expect(try format("x", log) == .logPattern)
        for unknown in ["x\n", "[{\"a\":1}]", "a,b,c\n1,2,3\n", "<xml/>", "\0\0"] {
            #expect { try format(unknown) } throws: { error in
                let fault = error as? Fault
                return fault?.code == .invalid && fault?.message.contains("--format") == true
            }
        }
    }

    @Test func theDetectedBeginningIsNotLost() throws {
        let text = Array(("\n\n" + event("\"v\":1") + "\n" + event("\"v\":2")).utf8)
        for size in [16, 70, 4096] {
            let found = try read(text, testOptions(), chunkBytes: size)
            #expect(isEqual(found.text, text) && found.chunks.first?.firstLine == 1)
        }
    }
}
