// An export from beginning to end: what is read, by which columns, where to; then the manifest and the audit record.

import EventStoreCore
import EventStoreCrypto
import EventStoreQuery
import Foundation
import Synchronization

/// One export. `@unchecked Sendable`: what its threads change is behind `progress` and in the order of `ExportTurns`;
/// everything else is set before they start.
final class ExportRun: @unchecked Sendable {
    private let engine: StoreEngine
    private let request: ExportRequest
    private let snapshot: Published
    private let filter: RowFilter?
    private let sequences: Range<UInt64>
    private let progress: Mutex<ExportMeter>
    private var target: ExportTarget?
    private var output: (any ExportOutput)?

    /// Rows of an item of a format that writes rows one after the other.
    private static let itemRows = 16_384

    init(
        _ engine: StoreEngine, _ request: ExportRequest, progress: (@Sendable (ExportProgress) -> Void)?
    ) throws(Fault) {
        self.engine = engine
        self.request = request
        snapshot = try engine.snapshot()
        filter = try engine.context.names.compile(request.filter)
        let end = snapshot.nextSequence
        sequences = min(request.fromSequence ?? 0, end)..<end
        self.progress = Mutex(ExportMeter(progress))
    }

    func run() throws(Fault) -> ExportReport {
        let start = ContinuousClock.now
        do throws(Fault) {
            let isStream = if case .stream = request.destination { true } else { false }
            if isStream { try engine.record(request, events: nil) }
            let files = try open()
            let tally = try write(files)
            let list = try files.finish()
            var report = ExportReport(manifest: manifest(tally, list), manifestPath: nil, seconds: 0)
            if !isStream { try engine.record(request, events: tally.events) }
            report.manifestPath = try target?.publish(report.manifest.text)
            report.seconds = (ContinuousClock.now - start) / .seconds(1)
            progress.withLock { $0.tellEnd(events: report.events, bytes: report.bytes) }
            return report
        } catch {
            output?.abandon()
            target?.discard()
            throw error
        }
    }

    // MARK: Output

    private func open() throws(Fault) -> any ExportOutput {
        let needsColumns = request.format != .ndjson
        progress.withLock { $0.passes = needsColumns ? 2 : 1 }
        if case .path(let path) = request.destination {
            target = try ExportTarget(
                engine.context.environment.files, path, isDirectory: request.format == .parquet,
                replaces: request.replacesExisting)
        }
        let columns = needsColumns ? try findColumns() : nil
        let made = try makeOutput(columns)
        output = made
        return made
    }

    private func makeOutput(_ columns: ExportColumns?) throws(Fault) -> any ExportOutput {
        let names = engine.context.names
        guard let columns else {
            return TextOutput(try textFile()) { NDJSONRows(names: NameResolver(names)) }
        }
        switch request.format {
        case .ndjson, .csv:
            let header = try CSVRows.header(columns)
            let file = try textFile()
            try header.withBytes { (bytes) throws(Fault) in try file.write(bytes) }
            return TextOutput(file) { CSVRows(columns, names) }
        case .parquet:
            guard let target else { throw ExportRun.needsPath(request.format) }
            return try ParquetOutput(target, columns, names)
        case .store: throw Fault(.invalid, "an export that is a store is no table")
        case .sqlite:
            guard let target else { throw ExportRun.needsPath(request.format) }
            let info = [
                (name: "format", value: "eventstore-export"), (name: "version", value: "1"),
                (name: "store", value: engine.context.settings.storeID.hexText),
                (name: "nextSequence", value: "\(sequences.upperBound)"),
            ]
            return try SQLiteOutput(target, columns, engine.context, info: info)
        }
    }

    private static func needsPath(_ format: ExportRequest.Format) -> Fault {
        Fault(.invalid, "an export to \(format.rawValue) needs a path; only ndjson and csv can go to a stream")
    }

    private func textFile() throws(Fault) -> ExportFile {
        switch request.destination {
        case .stream(let stream): return ExportFile(stream)
        case .path(let path):
            guard let target else { throw ExportRun.needsPath(request.format) }
            return ExportFile(try target.create(nil), name: Path.name(target.path.isEmpty ? path : target.path))
        }
    }

    // MARK: Reading

    private func plan() -> ExportPlan? {
        guard let filter else { return nil }
        let isParquet = request.format == .parquet
        let shape = ExportPlan.Shape(
            itemRows: isParquet ? ParquetOutput.itemRows : ExportRun.itemRows, isByDay: isParquet)
        let plan = ExportPlan(engine, filter, snapshot, sequences: sequences, shape)
        progress.withLock { $0.rowsExpected = plan.rowsExpected }
        return plan
    }

    private func check() throws(Fault) {
        if request.isCancelled?() == true { throw Fault(.cancelled, "the export was cancelled; nothing of it is left") }
        try engine.requireOpen()
    }

    /// The first pass: which columns the matching rows have.
    private func findColumns() throws(Fault) -> ExportColumns {
        let found = Mutex<[UInt32: Int]>([:])
        if let plan = plan() {
            try eachThread { [self] () throws(Fault) in
                let reader = ExportReader(engine.context, sequences)
                var counts: [UInt32: Int] = [:]
                while let item = try plan.next() {
                    try check()
                    try reader.count(item, into: &counts)
                    progress.withLock { $0.passed(rows: item.rowCount, events: 0, bytes: 0) }
                }
                found.withLock { $0.merge(counts) { $0 + $1 } }
            }
        }
        progress.withLock { $0.nextPass() }
        var reserved: Set<String> = []
        if request.format != .csv { reserved = Set(ExportColumns.fixed) }
        if request.format == .parquet { reserved.insert(ExportColumns.dayColumn) }
        return ExportColumns(
            found.withLock { $0 }, names: engine.context.names, reserved: reserved,
            ignoresCase: request.format == .sqlite)
    }

    /// The second pass: the rows.
    private func write(_ output: any ExportOutput) throws(Fault) -> ExportTally {
        guard let plan = plan() else { return ExportTally() }
        let turns = ExportTurns()
        let total = Mutex(ExportTally())
        try eachThread { [self] () throws(Fault) in
            do throws(Fault) {
                let tally = try work(plan, turns, output)
                total.withLock { $0.merge(tally) }
            } catch {
                turns.fail(error)
                throw error
            }
        }
        return total.withLock { $0 }
    }

    private func work(
        _ plan: ExportPlan, _ turns: ExportTurns, _ output: any ExportOutput
    ) throws(Fault) -> ExportTally {
        let reader = ExportReader(engine.context, sequences)
        let worker = try output.makeWorker()
        var tally = ExportTally()
        while let item = try plan.next() {
            let turn = ExportTurn(item: item, turns: turns)
            try reader.read(item) { (rows) throws(Fault) in
                try check()
                try worker.take(rows, turn)
                tally.add(rows)
            }
            try check()
            try worker.end(turn)
            try turn.wait()
            progress.withLock { $0.passed(rows: item.rowCount, events: item.rowCount, bytes: output.byteCount) }
            turns.finish(item.number)
        }
        return tally
    }

    private func eachThread(_ body: @escaping @Sendable () throws(Fault) -> Void) throws(Fault) {
        let threads = max(1, engine.context.threads)
        try Workers.run(threads, threads: threads) { (_) throws(Fault) in try body() }
    }

    // MARK: The manifest

    private func manifest(_ tally: ExportTally, _ files: [ExportManifest.File]) -> ExportManifest {
        ExportManifest(
            format: request.format.rawValue, store: engine.context.settings.storeID.hexText,
            created: TimestampText.utc(engine.context.environment.nowMs()), fromSequence: request.fromSequence,
            nextSequence: sequences.upperBound, filter: ExportManifest.Filter(request.filter), events: tally.events,
            entities: tally.entities(engine.context.names), files: files)
    }
}

/// How far an export is.
struct ExportMeter {
    private let tell: (@Sendable (ExportProgress) -> Void)?
    var passes = 1
    var rowsExpected = 0
    private var pass = 0
    private var rows = 0
    private var events = 0
    private var last = ContinuousClock.now
    /// Of a first pass that only looks which columns there are.
    private static let firstShare = 0.1

    init(_ tell: (@Sendable (ExportProgress) -> Void)?) { self.tell = tell }

    mutating func passed(rows more: Int, events written: Int, bytes: Int) {
        rows += more
        events += written
        guard let tell else { return }
        let now = ContinuousClock.now
        guard now - last > .milliseconds(100) else { return }
        last = now
        let part = min(1, Double(rows) / Double(max(1, rowsExpected)))
        let first = passes == 2 ? ExportMeter.firstShare : 0
        tell(
            ExportProgress(
                events: events, bytes: bytes, share: pass + 1 < passes ? part * first : first + part * (1 - first)))
    }

    mutating func nextPass() {
        pass += 1
        rows = 0
    }

    func tellEnd(events: Int, bytes: Int) { tell?(ExportProgress(events: events, bytes: bytes, share: 1)) }
}

extension ExportManifest.Filter {
    init(_ filter: EventFilter) {
        self.init(
            entities: filter.entities, types: filter.types, since: filter.since, until: filter.until,
            conditions: filter.conditions.map { condition in
                let value =
                    switch condition.value {
                    case .string(let text), .json(let text): "\"\(text)\""
                    case .integer(let number): "\(number)"
                    case .double(let number): "\(number)"
                    case .bool(let flag): "\(flag)"
                    }
                return "\(condition.attribute) \(condition.comparison.rawValue) \(value)"
            })
    }
}
