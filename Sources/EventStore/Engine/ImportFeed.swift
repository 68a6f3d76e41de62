// The input of an import as batches of rows: opens one source after the other, parses chunks with several
// threads, gives batches back in the order of the input, and keeps the counts.

import EventStoreCore
import EventStoreCrypto
import EventStoreIngest
import Foundation
import Synchronization

/// Belongs to the thread that runs the import; what its workers share is in `Shared`.
final class ImportFeed {
    struct Parsed {
        var batches: [RowBatch]
        var isLast: Bool
    }

    private let request: ImportRequest
    /// Files in the place of directories.
    private let sources: [String]
    private let files: any FileSystem
    private let keyring: Keyring
    private let threads: Int
    /// One a thread: each remembers what it decided about names.
    private let screeners: [BatchScreener]
    private let options: InputOptions
    private let progress: (@Sendable (ImportProgress) -> Void)?
    private var nextSource = 0
    private var current: Current?
    private var lastName = ""
    private var bytesBefore = 0
    private let bytesTotal: Int
    private(set) var counts = ParseReport()
    private(set) var firstRefusals: [Refusal] = []
    private var laterRefusals: [String: Int] = [:]
    /// What the collection policy left out.
    private var stripped: [PolicyReason: Int] = [:]
    /// What it found, if that was asked for.
    private(set) var findings: [PolicyFinding: Int] = [:]
    private var reported = ContinuousClock.now
    private static let pauseBytes = 32 * 1024
    /// Why the input ended before its end.
    private(set) var damage: Fault?

    private struct Current {
        /// A file of lines; of a table there is `table`.
        var source: InputSource?
        var name: String
        var parsers: [ParserSlot] = []
        var table: (any TableSource)?
        var bytesRead: Int { source?.bytesRead ?? table?.bytesRead ?? 0 }
    }

    /// A parser and the thread's right to use it. `@unchecked Sendable`: slot i is used by worker i alone.
    private final class ParserSlot: @unchecked Sendable {
        let parser: any EventParser
        let screener: BatchScreener
        init(_ parser: any EventParser, _ screener: BatchScreener) {
            self.parser = parser
            self.screener = screener
        }
    }

    init(
        _ request: ImportRequest, _ context: ReadContext, policy: PolicyScreen, collectsFindings: Bool = false,
        progress: (@Sendable (ImportProgress) -> Void)?
    ) throws(Fault) {
        self.request = request
        self.progress = progress
        files = context.environment.files
        sources = try TableSources.expand(request.sources, context.environment.files)
        keyring = context.keyring
        threads = context.threads
        screeners = (0..<context.threads).map { _ in BatchScreener(policy, collectsFindings: collectsFindings) }
        var zone: InputTimeZone?
        if let name = request.inputTimeZone {
            guard let known = InputTimeZone(name) else {
                throw Fault(.invalid, "unknown time zone '\(name)'; give an IANA name such as Europe/Berlin")
            }
            zone = known
        }
        if let entity = request.entity, !(1...Limits.entityNameBytesMax).contains(entity.utf8.count) {
            throw Fault(.invalid, "an entity's name has 1 to \(Limits.entityNameBytesMax) bytes")
        }
        var options = InputOptions(
            format: request.format.inputFormat, logFormat: request.logFormat, defaultEntity: request.entity,
            inputTimeZone: zone, nowMs: context.environment.nowMs())
        options.standardInput = request.standardInput
        self.options = options
        var total = 0
        for source in sources where source != "-" {
            total += (try context.environment.files.status(source))?.size ?? 0
        }
        bytesTotal = sources.contains("-") ? 0 : total
    }

    var refusedCount: Int { counts.refusedCount + laterRefusals.values.reduce(0, +) }

    /// Counts a row refused behind the parsers, where lines are no longer known.
    func refuse(_ verdict: RowVerdict) {
        laterRefusals[verdict.reason, default: 0] += 1
        if firstRefusals.count < ParseReport.firstMax {
            firstRefusals.append(
                Refusal(source: current?.name ?? lastName, line: 0, reason: verdict.reason, detail: verdict.detail))
        }
    }

    func fill(_ report: inout ImportReport) {
        report.read = counts.read
        report.refused = refusedCount
        report.duplicateKeys = counts.duplicateKeys
        report.strippedByReason = [:]
        for (reason, count) in stripped { report.strippedByReason[reason.rawValue] = count }
        if counts.stripped > 0 { report.strippedByReason[StoreEngine.strippedFromLogLines] = counts.stripped }
        report.stripped = report.strippedByReason.values.reduce(0, +)
        report.firstRefusals = firstRefusals
        report.refusedByReason = laterRefusals
        for (reason, count) in counts.refused { report.refusedByReason[reason.rawValue, default: 0] += count }
    }

    // MARK: Sources

    /// The source to read from, opening the next one when needed; `nil` at the end of all.
    private func source() throws(Fault) -> Current? {
        if let current { return current }
        guard nextSource < sources.count else { return nil }
        let name = sources[nextSource]
        nextSource += 1
        let table = try TableSources.open(
            name, format: request.format, options: options, identity: StoreLineIdentity(keyring), files)
        if let table {
            current = Current(name: name, table: table)
            return current
        }
        let source = try InputSource(path: name, options: options)
        var parsers: [ParserSlot] = []
        for screener in screeners {
            let parser = try EventParsers.make(
                source.description, options: options, identity: StoreLineIdentity(keyring))
            parsers.append(ParserSlot(parser, screener))
        }
        current = Current(source: source, name: name, parsers: parsers)
        return current
    }

    private func endSource(_ ended: Current) {
        if let source = ended.source { merge(source.takeReport(), ended.name) }
        bytesBefore += ended.bytesRead
        lastName = ended.name
        current = nil
        tell(force: true)
    }

    private func merge(_ report: ParseReport, _ name: String) {
        for refusal in report.first where firstRefusals.count < ParseReport.firstMax {
            firstRefusals.append(
                Refusal(source: name, line: refusal.line, reason: refusal.reason.rawValue, detail: refusal.detail))
        }
        var report = report
        report.first = []
        counts.merge(report)
    }

    /// Counts what the collection policy did, and gives the rows that go on.
    private func accept(_ screening: Screening) -> RowBatch {
        for refusal in screening.refused { refuse(RowVerdict(refusal.reason)) }
        stripped.merge(screening.stripped) { $0 + $1 }
        findings.merge(screening.findings) { $0 + $1 }
        return screening.batch
    }

    private func tell(force: Bool = false) {
        guard let progress else { return }
        let now = ContinuousClock.now
        guard force || now - reported > .milliseconds(100) else { return }
        reported = now
        progress(
            ImportProgress(
                bytesRead: bytesBefore + (current?.bytesRead ?? 0), bytesTotal: bytesTotal,
                eventsRead: counts.read))
    }

    // MARK: Parsing with all threads

    /// What the workers of one call share.
    private struct Shared {
        var nextIndex = 0
        var rows = 0
        var isAtEnd = false
        var fault: Fault?
        var results: [(index: Int, screening: Screening, report: ParseReport)] = []
    }

    /// Parses chunks until there are about `rows` rows, or to the end of the source.
    func parse(rows wanted: Int) throws(Fault) -> Parsed {
        guard let current = try source() else { return Parsed(batches: [], isLast: true) }
        guard let source = current.source else { return try parseTable(current, rows: wanted) }
        let shared = Mutex(Shared())
        let reading = NSLock()
        let parsers = current.parsers
        try Workers.run(parsers.count, threads: parsers.count) { (slot) throws(Fault) in
            let parser = parsers[slot].parser
            let screener = parsers[slot].screener
            while true {
                reading.lock()
                let taken = ImportFeed.take(source, shared, wanted)
                reading.unlock()
                guard let (index, chunk) = taken else { return }
                withExtendedLifetime(chunk) { _ = parser.parse(chunk.bytes, firstLine: chunk.firstLine) }
                let screening = screener.screen(parser.takeBatch())
                let report = parser.takeReport()
                shared.withLock { state in
                    state.rows += screening.batch.rowCount
                    state.results.append((index, screening, report))
                }
            }
        }
        var state = shared.withLock { $0 }
        state.results.sort { $0.index < $1.index }
        var batches: [RowBatch] = []
        for result in state.results {
            merge(result.report, current.name)
            batches.append(accept(result.screening))
        }
        if state.isAtEnd { endSource(current) }
        tell()
        // What was readable before the damage is stored first.
        damage = state.fault
        let isLast = damage != nil || state.isAtEnd && nextSource >= sources.count
        return Parsed(batches: batches.filter { $0.rowCount > 0 }, isLast: isLast)
    }

    /// The next chunk and its place in the order, or `nil` when this call is to end.
    private static func take(
        _ source: InputSource, _ shared: borrowing Mutex<Shared>, _ wanted: Int
    ) -> (Int, InputChunk)? {
        let mayGoOn = shared.withLock { $0.rows < wanted && !$0.isAtEnd && $0.fault == nil }
        guard mayGoOn else { return nil }
        do throws(Fault) {
            guard let chunk = try source.nextChunk() else {
                shared.withLock { $0.isAtEnd = true }
                return nil
            }
            return shared.withLock { state in
                state.nextIndex += 1
                return (state.nextIndex - 1, chunk)
            }
        } catch {
            shared.withLock { $0.fault = error }
            return nil
        }
    }

    private func parseTable(_ current: Current, rows wanted: Int) throws(Fault) -> Parsed {
        var batches: [RowBatch] = []
        var rows = 0
        var isAtEnd = false
        while rows < wanted, damage == nil, !isAtEnd {
            do throws(Fault) {
                if let batch = try current.table?.next(rows: wanted - rows) {
                    let kept = accept(screeners[0].screen(batch))
                    rows += kept.rowCount
                    if kept.rowCount > 0 { batches.append(kept) }
                } else {
                    isAtEnd = true
                }
            } catch {
                // What was readable before the damage is stored first.
                damage = error
            }
            if let report = current.table?.takeReport() { merge(report, current.name) }
            tell()
        }
        if isAtEnd { endSource(current) }
        return Parsed(batches: batches, isLast: damage != nil || isAtEnd && nextSource >= sources.count)
    }

    private func forEachBatch(
        of rows: Int, _ current: Current, _ body: (RowBatch) throws(Fault) -> Void
    ) throws(Fault) {
        while let batch = try current.table?.next(rows: rows) {
            if let report = current.table?.takeReport() { merge(report, current.name) }
            let kept = accept(screeners[0].screen(batch))
            if kept.rowCount > 0 { try body(kept) }
            tell()
        }
        if let report = current.table?.takeReport() { merge(report, current.name) }
        endSource(current)
    }

    // MARK: Parsing in small steps

    /// Parses one source after the other in batches of `rows` rows, one thread, in order. The last batch of a
    /// source may be smaller, and those of a pipe that pauses.
    func forEachBatch(of rows: Int, _ body: (RowBatch) throws(Fault) -> Void) throws(Fault) {
        while let current = try source() {
            guard let source = current.source else {
                try forEachBatch(of: rows, current, body)
                continue
            }
            let slot = current.parsers[0]
            let parser = slot.parser
            var fault: Fault?
            while fault == nil {
                let next: InputChunk?
                do throws(Fault) {
                    next = try source.nextChunk()
                } catch {
                    // What was readable before the damage is stored first.
                    fault = error
                    break
                }
                guard let chunk = next else { break }
                var offset = 0
                var line = chunk.firstLine
                while offset < chunk.bytes.count {
                    let rest = UnsafeRawBufferPointer(rebasing: chunk.bytes[offset...])
                    let progress = parser.parse(rest, firstLine: line, rowLimit: rows)
                    offset += progress.bytes
                    line += progress.lines
                    if parser.rowCount >= rows {
                        try hand(slot, current.name, body)
                        tell()
                    }
                    if progress.bytes == 0 { break }
                }
                // A pipe that pauses hands out small chunks: what came is appended without waiting for more.
                if source.totalBytes == 0, chunk.bytes.count < ImportFeed.pauseBytes, parser.rowCount > 0 {
                    try hand(slot, current.name, body)
                }
                withExtendedLifetime(chunk) {}
            }
            try hand(slot, current.name, body)
            if let fault { throw fault }
            endSource(current)
        }
    }

    /// Hands on what a parser has, as far as the collection policy lets it.
    private func hand(_ slot: ParserSlot, _ name: String, _ body: (RowBatch) throws(Fault) -> Void) throws(Fault) {
        merge(slot.parser.takeReport(), name)
        guard slot.parser.rowCount > 0 else { return }
        let batch = accept(slot.screener.screen(slot.parser.takeBatch()))
        if batch.rowCount > 0 { try body(batch) }
    }
}

extension ImportRequest.Format {
    var inputFormat: InputFormat? {
        switch self {
        case .auto, .parquet, .sqlite: nil
        case .ndjson: .ndjson
        case .csv: .csv
        case .clf: .clf
        case .combined: .combined
        case .vhostCombined: .vhostCombined
        }
    }
}
