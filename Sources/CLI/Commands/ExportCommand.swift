/// `eventstore export`: events into a file, a directory or standard output, one JSON line about it at the end.

import ArgumentParser
import EventStore
import Foundation
import Synchronization

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write events for other programs; import takes them back.",
        discussion: """
            ndjson and csv are one file each, or standard output with --to -. parquet is a directory with a file for \
            each UTC day (day=YYYY-MM-DD/part-0.parquet), sqlite a database with a table events. Beside it comes a \
            manifest with counts and SHA-256 hashes: PATH.manifest.json, PATH/_manifest.json in a directory.

            The export appears under PATH when all of it is written. Prints one JSON line: on standard output, with \
            --to - on standard error. Its nextSequence as --from of the next call exports only what is new.

            store is a directory that is a store itself: sealed under a new key, never changed again, readable from \
            media that cannot be written. Without a key option its key is made beside it as PATH.key. A filter by \
            entity alone, or none, copies what is there without decoding it.

            Examples:
              eventstore export events --to events.parquet --format parquet
              eventstore export events --to october.csv --format csv --since 2026-10-01
              eventstore export events --to new.ndjson --format ndjson --from 1000000
              eventstore export events --to shop.export --format store --entity shop
            """)

    @OptionGroup var access: StoreAccess

    @Option(help: ArgumentHelp("A file, for parquet and store a directory; - is standard output.", valueName: "path|-"))
    var to: String

    @Option(help: ArgumentHelp("ndjson, csv, parquet, sqlite or store.", valueName: "format"))
    var format: String

    @OptionGroup(title: "Filters") var filters: FilterOptions

    @Option(help: ArgumentHelp("Only events with this sequence or a later one.", valueName: "sequence"))
    var from: UInt64?

    @Flag(help: "Replace what is at PATH.")
    var force = false

    @OptionGroup(title: "Exports of format store") var recipient: RecipientOptions

    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        guard let format = ExportRequest.Format(rawValue: format) else {
            throw ValidationError("--format is ndjson, csv, parquet, sqlite or store")
        }
        if format != .store, recipient.isGiven {
            throw ValidationError("--recipient-passphrase-file, --new-key-file and --expires go with --format store")
        }
        if to.isEmpty { throw ValidationError("--to needs a path, or - for standard output") }
        if to == "-", format != .ndjson, format != .csv {
            throw ValidationError("only ndjson and csv can go to standard output")
        }
    }

    func run() throws {
        guard let format = ExportRequest.Format(rawValue: format) else { return }
        let stream = StandardOutputStream()
        let isStream = to == "-"
        var request = ExportRequest(format: format, to: isStream ? .stream { try stream.write($0) } : .path(to))
        request.filter = try filters.filter(access.time)
        request.fromSequence = from
        request.replacesExisting = force
        let session = try access.session()
        request.recorder = { try Self.record($0, session) }
        let interruption = Interruption()
        request.isCancelled = { interruption.isAsked }
        request.expiresMs = try recipient.expiresMs(access.time)
        let meter = ProgressMeter("export", quiet: quietness.quiet)
        let prepared = request
        let report = try session.open(.readOnly) { store in
            try NameHints(store: store).check(prepared.filter)
            var final = prepared
            let key = format == .store ? try recipient.key(for: to, replaces: force) : nil
            final.recipientKey = key?.source
            defer { meter.finish() }
            do {
                let report = try store.export(final) { meter.update($0) }
                if !quietness.quiet { key?.say() }
                return report
            } catch {
                key?.discard()
                throw stream.failure ?? error
            }
        }
        if isStream {
            if !quietness.quiet { Diagnostics.line(ExportCommand.line(report)) }
            return
        }
        let output = Output()
        try output.write(ExportCommand.line(report) + "\n")
        try output.flush()
    }

    /// In the audit chain, here or through the process that has the store open for writing. What cannot be written to
    /// can be exported all the same.
    private static func record(_ export: ExportRecord, _ session: StoreSession) throws {
        do {
            _ = try session.perform(.recordExport(export))
        } catch let error as EventStoreError where error.code == .readOnly || error.code == .permission {
            Diagnostics.line("the export is not recorded in the audit chain: \(error.message)")
        }
    }

    static func line(_ report: ExportReport) -> String {
        var fields: [(String, JSONValue)] = [
            ("format", .string(report.manifest.format)), ("events", .int(report.events)),
            ("files", .int(report.manifest.files.count)), ("bytes", .int(report.bytes)),
            ("entities", .int(report.manifest.entities.count)), ("nextSequence", .int(Int(report.nextSequence))),
        ]
        if let path = report.manifestPath { fields.append(("manifest", .string(path))) }
        if report.manifestPath == nil, let file = report.manifest.files.first {
            fields.append(("sha256", .string(file.sha256)))
        }
        fields.append(("seconds", .double((report.seconds * 1000).rounded() / 1000)))
        return JSONValue.object(fields).text
    }
}

/// Standard output as the end of an export, and why it took no more: a reader that went away ends the program quietly.
///
/// `@unchecked Sendable`: an export hands over its bytes one call at a time, and the failure is read after it ended.
private final class StandardOutputStream: @unchecked Sendable {
    private let output = Output()
    private(set) var failure: (any Error)?

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        do {
            try output.write { $0.append(contentsOf: bytes) }
            try output.flush()
        } catch {
            failure = error
            throw error
        }
    }
}

/// Whether somebody pressed Ctrl-C or asked the process to end: the export then cleans up.
///
/// `@unchecked Sendable`: the sources are set in `init` and only kept; the flag is atomic.
private final class Interruption: @unchecked Sendable {
    private let flag = Atomic<Bool>(false)
    private var sources: [any DispatchSourceSignal] = []

    var isAsked: Bool { flag.load(ordering: .relaxed) }

    init() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in self?.flag.store(true, ordering: .relaxed) }
            source.resume()
            sources.append(source)
        }
    }
}
