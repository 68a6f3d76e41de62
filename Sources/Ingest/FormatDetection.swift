// Finds out what a file is from its first lines; a name's ending only decides what the lines leave open.

import EventStoreCore

enum FormatDetection {
    private static let linesMax = 20

    /// - Throws: `invalid` when neither lines nor name tell, saying what was tried.
    static func format(of beginning: UnsafeRawBufferPointer, path: String) throws(Fault) -> InputFormat {
        let hint = hint(path)
        var walker = LineWalker(beginning, firstLine: 1)
        guard let first = walker?.next() else { return hint ?? .ndjson }
        if firstByte(first) == 0x7b { return .ndjson }
        if let format = accessLog(beginning) { return format }
        if isHeader(first) { return .csv }
        if let hint { return hint }
        let isArray = firstByte(first) == 0x5b
        let seen = isArray ? "; it begins like a JSON array, write one object a line instead" : ""
        throw Fault(
            .invalid,
            "the format cannot be told: the first line is no JSON object (ndjson), no line of an access log (clf, "
                + "combined, vhost_combined) and no header that names \"timestamp\" and \"type\" or \"entity\" (csv)"
                + "\(seen). Name it with --format, or describe a log with --log-format",
            at: .init(file: path))
    }

    /// What the ending says, with that of a compression taken off.
    private static func hint(_ path: String) -> InputFormat? {
        var name = path.lowercased()
        for ending in [".gz", ".zst", ".zstd"] where name.hasSuffix(ending) { name.removeLast(ending.count) }
        if [".ndjson", ".jsonl", ".ldjson"].contains(where: name.hasSuffix) { return .ndjson }
        return name.hasSuffix(".csv") ? .csv : nil
    }

    private static func firstByte(_ line: LineWalker.Line) -> UInt8? {
        UnsafeBufferPointer(start: line.start, count: line.end - line.start).first { $0 != 0x20 && $0 != 0x09 }
    }

    /// The usual log format that most of the first lines have, if it is half of them at least.
    private static func accessLog(_ beginning: UnsafeRawBufferPointer) -> InputFormat? {
        var best: (format: InputFormat, count: Int)?
        for (format, text) in [
            (InputFormat.vhostCombined, LogPattern.vhostCombinedText), (.combined, LogPattern.combinedText),
            (.clf, LogPattern.clfText),
        ] {
            let (matching, lines) = matches(beginning, text)
            if matching * 2 >= lines, matching > best?.count ?? 0 { best = (format, matching) }
        }
        return best?.format
    }

    private static func matches(_ beginning: UnsafeRawBufferPointer, _ text: String) -> (matching: Int, lines: Int) {
        let options = InputOptions(defaultEntity: "x", nowMs: .max)
        guard let pattern = try? LogPattern(text) else { return (0, 0) }
        // The last line may be cut off.
        let whole =
            beginning.lastIndex(of: 0x0a).map { UnsafeRawBufferPointer(rebasing: beginning[...$0]) } ?? beginning
        guard let parser = try? LogLineParser(pattern: pattern, options: options, identity: NoIdentity()) else {
            return (0, 0)
        }
        parser.parse(whole, firstLine: 1, rowLimit: linesMax)
        return (parser.rowCount, parser.takeReport().read)
    }

    private static func isHeader(_ line: LineWalker.Line) -> Bool {
        let text = String(
            decoding: UnsafeBufferPointer(start: line.start, count: line.end - line.start), as: UTF8.self)
        let names = Set(
            text.split(separator: ",").map { part in
                part.split(separator: ":", maxSplits: 1)[0].filter { $0 != "\"" && $0 != "\u{feff}" }
            })
        return names.contains("timestamp") && !names.isDisjoint(with: ["type", "event_type", "entity"])
    }

    private final class NoIdentity: LineIdentity {
        func lineID(entity: UnsafeRawBufferPointer, line: UnsafeRawBufferPointer) -> EventID {
            EventID(high: 0, low: 0)
        }
        func textID(_ text: UnsafeRawBufferPointer) -> EventID { EventID(high: 0, low: 0) }
    }
}
