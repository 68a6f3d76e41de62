/// `eventstore policy`: shows, sets and tests what a store never takes in.

import ArgumentParser
import EventStore
import Foundation

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Show, set or test what is not collected.",
        discussion: """
            Credentials, e-mail addresses, contents of forms, pages, mails and databases are left out of events, and \
            query strings are cut from paths and referrers, before anything is stored. docs/policy.md describes the \
            document and how findings are made.

            Examples:
              eventstore policy show events > policy.json
              eventstore policy test events yesterday.ndjson --policy policy.json
              eventstore policy set events policy.json
            """,
        subcommands: [PolicyShowCommand.self, PolicySetCommand.self, PolicyTestCommand.self])
}

struct PolicyShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print the policy in force, a JSON document.",
        discussion: """
            Examples:
              eventstore policy show events > policy.json
            """)

    @OptionGroup var access: StoreAccess

    func run() throws {
        let text = try access.open(.readOnly) { try $0.policyText() }
        let output = Output()
        try output.write(text)
        try output.flush()
    }
}

struct PolicySetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Take a policy for all that comes in from now on.",
        discussion: """
            What is stored already stays as it is. Prints the policy in its canonical form. An unknown key or \
            action is an error that names it, and changes nothing.

            Examples:
              eventstore policy set events policy.json
              echo '{"version":1,"findings":{"ip":"truncate-ip"}}' | eventstore policy set events
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: "The document; - or nothing is standard input.")
    var file: String?

    func run() throws {
        let json = try PolicyText.read(file)
        let key = try access.keys.source(store: access.store)
        // Beside another writer, that one takes it.
        _ = try StoreAdministration.perform(
            .setPolicy(json: json), at: access.store, key: key, options: access.options(.readWrite))
        let text = try access.open(.readOnly) { try $0.policyText() }
        let output = Output()
        try output.write(text)
        try output.flush()
    }
}

struct PolicyTestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Tell what the policy would do about events; store nothing.",
        discussion: """
            Reads events as import does and prints where something was found: type, attribute, reason, the kind of \
            look, what would be done, in how many values. Values are never printed.

            Examples:
              eventstore policy test events access.log --input combined --entity my.site
              eventstore policy test events app.ndjson.zst --json
              eventstore policy test events app.ndjson --policy new-policy.json
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: "Files of events; - or nothing is standard input.")
    var files: [String] = []

    @Option(help: ArgumentHelp("Another policy to try instead of the one in force.", valueName: "file"))
    var policy: String?

    @Option(help: ArgumentHelp("auto, ndjson, csv, clf, combined or vhost_combined.", valueName: "format"))
    var input = "auto"

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("An Apache or nginx log format; overrides --input.", valueName: "pattern"))
    var logFormat: String?

    @Option(help: ArgumentHelp("Entity of events that name none.", valueName: "name"))
    var entity: String?

    @Option(help: ArgumentHelp("Zone of times that carry none; without it they are refused.", valueName: "zone"))
    var inputTz: String?

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        guard ImportRequest.Format(rawValue: input) != nil else {
            let known = ImportRequest.Format.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("unknown --input '\(input)'; known: \(known)")
        }
        if files.count(where: { $0 == "-" }) > 1 { throw ValidationError("standard input can be read once") }
        if policy == "-", files.isEmpty || files.contains("-") {
            throw ValidationError("the policy and the events cannot both come from standard input")
        }
    }

    func run() throws {
        for file in files where file != "-" && !FileManager.default.fileExists(atPath: file) {
            throw CLIFailure(code: "not-found", message: "no file at \(file)")
        }
        var request = ImportRequest(sources: files.isEmpty ? ["-"] : files)
        request.format = ImportRequest.Format(rawValue: input) ?? .auto
        request.logFormat = logFormat
        request.entity = entity
        request.inputTimeZone = inputTz
        let json = try policy.map { try PolicyText.read($0) }
        let report = try access.open(.readOnly) { store in
            let meter = ProgressMeter("testing", quiet: quietness.quiet)
            defer { meter.finish() }
            return try store.testPolicy(request, json: json) { meter.update($0) }
        }
        let terminal = Terminal.current()
        let output = Output()
        try PolicyText.print(
            report, format: format.resolved(terminal), output: output, times: access.time.times, terminal: terminal)
        if !quietness.quiet { for line in PolicyText.summary(report) { Diagnostics.line(line) } }
    }
}

/// The document's way in, and a test's way out.
package enum PolicyText {
    private static let bytesMax = 1 << 20

    static func read(_ file: String?) throws -> String {
        let data: Data
        if let file, file != "-" {
            guard let content = FileManager.default.contents(atPath: file) else {
                throw CLIFailure(code: "not-found", message: "cannot read \(file)")
            }
            data = content
        } else {
            if isatty(0) == 1 { throw CLIFailure.usage("no policy; give a file, or the document on standard input") }
            data = try FileHandle.standardInput.read(upToCount: bytesMax) ?? Data()
        }
        guard data.count < bytesMax, let text = String(validating: data, as: UTF8.self) else {
            throw CLIFailure.usage("the policy is too large, or not UTF-8")
        }
        return text
    }

    /// The findings as rows; as json one object with the totals.
    package static func print(
        _ report: PolicyTestReport, format: RowFormat, output: Output, times: TimeText, terminal: Terminal
    ) throws {
        if format == .json {
            try output.write(object(report).text + "\n")
            return try output.flush()
        }
        let writer = try RowWriter(
            columns: ["type", "attribute", "reason", "look", "action", "values"], format: format, output: output,
            times: times, terminal: terminal)
        for found in report.findings {
            try writer.write([
                .text(found.type), .text(found.attribute), .text(found.reason), .text(found.look), .text(found.action),
                .integer(Int64(found.count)),
            ])
        }
        try writer.finish()
    }

    private static func object(_ report: PolicyTestReport) -> JSONValue {
        func counts(_ values: [String: Int]) -> JSONValue {
            .object(values.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) })
        }
        let findings = report.findings.map { found in
            JSONValue.object([
                ("type", .string(found.type)), ("attribute", .string(found.attribute)),
                ("reason", .string(found.reason)), ("look", .string(found.look)), ("action", .string(found.action)),
                ("values", .int(found.count)),
            ])
        }
        return .object([
            ("read", .int(report.read)), ("unreadable", .int(report.unreadable)),
            ("stripped", counts(report.strippedByReason)), ("refused", counts(report.refusedByReason)),
            ("findings", .array(findings)),
        ])
    }

    package static func summary(_ report: PolicyTestReport) -> [String] {
        func line(_ what: String, _ counts: [String: Int]) -> [String] {
            if counts.isEmpty { return [] }
            let parts = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { "\($0.key) \(TextLayout.grouped($0.value))" }
            return ["\(what): " + parts.joined(separator: ", ")]
        }
        var lines = ["read \(TextLayout.grouped(report.read)) events; nothing was stored"]
        lines += line("values that would be left out or shortened", report.strippedByReason)
        lines += line("events that would be refused", report.refusedByReason)
        if report.unreadable > 0 { lines.append("not readable: \(TextLayout.grouped(report.unreadable))") }
        return lines
    }
}
