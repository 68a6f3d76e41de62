/// `eventstore import`: files or standard input into the store, one JSON line about it at the end.

import ArgumentParser
import EventStore
import Foundation

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Store events from files or standard input.",
        discussion: """
            .zst and .gz are read as they are. Give each line of a log once: the same line again in one call counts
            as one more occurrence, the same line in a later call does not. Lines without an id get a stable one, so that a growing log \
            file can be imported again and again. Prints one JSON line; refused lines are counted on standard \
            error and make the exit code 65, while the good ones are stored.

            Examples:
              eventstore import events events.ndjson.zst
              eventstore import events access.log* --format combined --entity my.site
              eventstore import copy events.parquet
              tail -n 500 app.ndjson | eventstore import events - --durable
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: "Files, directories of Parquet files; - is standard input.")
    var files: [String] = []

    @Option(
        help: ArgumentHelp("auto, ndjson, csv, parquet, sqlite, clf, combined or vhost_combined.", valueName: "format"))
    var format = "auto"

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("An Apache or nginx log format; overrides --format.", valueName: "pattern"))
    var logFormat: String?

    @Option(help: ArgumentHelp("Entity of events that name none.", valueName: "name"))
    var entity: String?

    @Option(help: ArgumentHelp("Plan of the entities this import adds.", valueName: "name"))
    var plan: String?

    @Flag(help: "Refuse events of entities the store does not know.")
    var noNewEntities = false

    @Option(help: ArgumentHelp("Zone of times that carry none; without it they are refused.", valueName: "zone"))
    var inputTz: String?

    @Flag(help: "Each batch is one acknowledged append, on stable storage before the next.")
    var durable = false

    @Option(help: ArgumentHelp("Events a batch with --durable (default: 500).", valueName: "n"))
    var batch: Int?

    @Flag(help: "Store nothing if any line is refused.")
    var strict = false

    @Flag(help: "Read and count, store nothing.")
    var dryRun = false

    @Flag(help: "Do not read back what was written before it counts.")
    var noVerify = false

    @Option(help: ArgumentHelp("Refused lines that are tolerated, a count or a share (default: 0).", valueName: "n|p%"))
    var maxRefused: RefusalTolerance = .count(0)

    @Flag(help: ArgumentHelp("Print each acknowledged count as a JSON line.", visibility: .hidden))
    var acknowledgements = false

    @OptionGroup var quietness: QuietOptions

    private static let laterFormats = ["store"]

    func validate() throws {
        if ImportCommand.laterFormats.contains(format) {
            throw ValidationError("--format \(format) is not in this release")
        }
        guard ImportRequest.Format(rawValue: format) != nil else {
            let known = ImportRequest.Format.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("unknown --format '\(format)'; known: \(known)")
        }
        if let batch, batch < 1 { throw ValidationError("--batch must be at least 1") }
        if batch != nil, !durable { throw ValidationError("--batch goes with --durable") }
        if strict, maxRefused != .count(0) { throw ValidationError("--strict and --max-refused exclude each other") }
        if let inputTz, TimeZone(identifier: inputTz) == nil {
            throw ValidationError("unknown time zone '\(inputTz)'; give an IANA name such as Europe/Berlin")
        }
        if files.count(where: { $0 == "-" }) > 1 { throw ValidationError("standard input can be read once") }
    }

    func run() throws {
        let request = try request()
        let meter = ProgressMeter("importing", quiet: quietness.quiet)
        let report = try importEvents(request, meter)
        let output = Output()
        try output.write(ImportSummary.line(report) + "\n")
        try output.flush()
        try judge(report)
    }

    /// Here, or in the process that has the store open already.
    private func importEvents(_ request: ImportRequest, _ meter: ProgressMeter) throws -> ImportReport {
        let session = try access.session()
        defer { meter.finish() }
        do {
            return try session.open(.readWrite) { store in try store.importEvents(request) { meter.update($0) } }
        } catch let error as EventStoreError where error.code == .locked && !acknowledgements {
            // The other process has another working directory.
            var request = request
            request.sources = request.sources.map { $0 == "-" ? $0 : URL(fileURLWithPath: $0).path }
            let result = try session.perform(.importEvents(request)) { meter.update(share: $0) }
            guard case .imported(let report) = result else {
                throw CLIFailure(code: "io", message: "the holder of the store gave another answer")
            }
            return report
        }
    }

    private func request() throws -> ImportRequest {
        let sources = files.isEmpty ? ["-"] : files
        for source in sources where source != "-" {
            guard FileManager.default.fileExists(atPath: source) else {
                throw CLIFailure(code: "not-found", message: "no file at \(source)")
            }
            guard FileManager.default.isReadableFile(atPath: source) else {
                throw CLIFailure(code: "permission", message: "\(source) cannot be read")
            }
        }
        if files.isEmpty, isatty(0) == 1, !quietness.quiet { Diagnostics.line("reading standard input") }
        var request = ImportRequest(sources: sources)
        request.format = ImportRequest.Format(rawValue: format) ?? .auto
        request.logFormat = logFormat
        request.entity = entity
        request.allowNewEntities = !noNewEntities
        request.plan = plan
        request.verify = !noVerify
        request.inputTimeZone = inputTz
        request.durable = durable
        request.batchSize = batch ?? 500
        request.strict = strict
        request.dryRun = dryRun
        if acknowledgements { request.acknowledged = ImportCommand.printAcknowledged }
        return request
    }

    @Sendable private static func printAcknowledged(_ events: Int) {
        let output = Output()
        try? output.write("{\"acknowledged\":\(events)}\n")
        try? output.flush()
    }

    private func judge(_ report: ImportReport) throws {
        guard report.refused > 0 else { return }
        for line in ImportSummary.refusals(report) { Diagnostics.line(line) }
        guard !maxRefused.tolerates(report.refused, of: report.read) else { return }
        let fate =
            strict
            ? "nothing was stored"
            : dryRun
                ? "nothing was to be stored"
                : report.refused == report.read ? "nothing was stored" : "the others were stored"
        throw CLIFailure(
            code: "refused",
            message: "\(TextLayout.grouped(report.refused)) of \(TextLayout.grouped(report.read)) events refused; "
                + fate,
            exitCode: CLIFailure.inputRefused)
    }
}

/// How many refused events an import may have and still count as done.
package enum RefusalTolerance: ExpressibleByArgument, Equatable, Sendable {
    case count(Int)
    case percent(Double)

    package init?(argument: String) {
        if argument.hasSuffix("%") {
            guard let share = Double(argument.dropLast()), (0...100).contains(share) else { return nil }
            self = .percent(share)
        } else {
            guard let count = Int(argument), count >= 0 else { return nil }
            self = .count(count)
        }
    }

    package var defaultValueDescription: String {
        switch self {
        case .count(let count): String(count)
        case .percent(let share): "\(share)%"
        }
    }

    package func tolerates(_ refused: Int, of read: Int) -> Bool {
        switch self {
        case .count(let count): refused <= count
        case .percent(let share): Double(refused) * 100 <= share * Double(read)
        }
    }
}

/// The words of an import's end.
package enum ImportSummary {
    /// The contract's keys in its order, then what is said beyond it.
    package static func line(_ report: ImportReport) -> String {
        JSONValue.object([
            ("read", .int(report.read)), ("stored", .int(report.stored)), ("duplicates", .int(report.duplicates)),
            ("refused", .int(report.refused)), ("expired", .int(report.expired)), ("stripped", .int(report.stripped)),
            ("entitiesAdded", .array(report.entitiesAdded.map { .string($0) })),
            ("seconds", .double((report.seconds * 1000).rounded() / 1000)),
            ("conflicts", .int(report.conflicts)), ("duplicateKeys", .int(report.duplicateKeys)),
        ]).text
    }

    package static func refusals(_ report: ImportReport) -> [String] {
        var lines = ["refused \(TextLayout.grouped(report.refused)) of \(TextLayout.grouped(report.read)):"]
        let reasons = report.refusedByReason.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        let width = reasons.map { TextLayout.width($0.key) }.max() ?? 0
        for (reason, count) in reasons {
            lines.append("  \(TextLayout.padded(reason, to: width))  \(TextLayout.grouped(count))")
        }
        if !report.firstRefusals.isEmpty { lines.append("first:") }
        for refusal in report.firstRefusals {
            let line = refusal.line > 0 ? ":\(refusal.line)" : ""
            let text = "\(refusal.source)\(line): \(refusal.reason): \(refusal.detail)"
            lines.append("  " + TextLayout.harmless(text))
        }
        return lines
    }
}
