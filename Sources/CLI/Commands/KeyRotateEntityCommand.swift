/// `eventstore key rotate-entity`: new keys for entities, used from now on, or for all that is there.

import ArgumentParser
import EventStore

struct KeyRotateEntityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-entity",
        abstract: "Give an entity, or all, a new key.",
        discussion: """
            What is stored from now on is sealed under the new key. What is there stays readable under the old \
            one until its segments are merged: `compact` does that, or --at-once now. Then the old key is \
            destroyed. `key status` shows what is still under old keys.

            Data backups made before are opened by a copy of the keyring from before alone: make a new backup \
            of data and keys afterwards, and keep the old ones together or not at all.

            Examples:
              eventstore key rotate-entity events example.org --at-once
              eventstore key rotate-entity events --all
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: ArgumentHelp("The entities.", valueName: "entity"))
    var names: [String] = []

    @Flag(help: "All entities.")
    var all = false

    @Flag(help: "Also seal at once anew what is under the old keys.")
    var atOnce = false

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if names.isEmpty != all { throw ValidationError("name the entities, or give --all") }
    }

    func run() throws {
        let meter = ProgressMeter("sealing anew", quiet: quietness.quiet || !atOnce)
        let operation = StoreOperation.keys(.rotateEntities(names: all ? nil : names, now: atOnce))
        let session = try access.session()
        let result: OperationResult
        do {
            defer { meter.finish() }
            if let name = names.first, names.count == 1 {
                result = try session.perform(operation, onEntity: name) { meter.update(share: $0) }
            } else {
                result = try session.perform(operation) { meter.update(share: $0) }
            }
        }
        guard case .keys(.entitiesRotated(let report)) = result else { throw CLIFailure.oddAnswer }
        try KeyReport.print(KeyReport.fields(report), format)
        guard !quietness.quiet, report.entities > 0 else { return }
        if report.segmentsLeft == 0, report.keysLeft > 0 {
            Diagnostics.line(
                "\(TextLayout.grouped(report.keysLeft)) old keys are not destroyed yet; `compact` does it")
        }
        if report.segmentsLeft > 0 {
            Diagnostics.line(
                "\(TextLayout.grouped(report.segmentsLeft)) segments are still under old keys; `compact` seals them anew"
            )
        }
        Diagnostics.line("data backups made before need a copy of the keyring from before: make new ones of both")
    }
}

extension KeyReport {
    package static func fields(_ report: EntityKeyReport) -> [ReportField] {
        [
            ReportField("entities", count: report.entities, label: "entities with a new key"),
            ReportField("segmentsRewritten", count: report.segmentsRewritten, label: "segments written anew"),
            ReportField("keysDestroyed", count: report.keysDestroyed, label: "old keys destroyed"),
            ReportField("keysLeft", count: report.keysLeft, label: "old keys left"),
            ReportField("segmentsLeft", count: report.segmentsLeft, label: "segments under old keys"),
            ReportField("bytesLeft", bytes: report.bytesLeft, label: "their size"),
            ReportField("seconds", seconds: report.seconds, label: "took"),
        ]
    }

    static func json(_ use: OldKeyUse) -> JSONValue {
        .object([
            ("entity", .string(use.entity)), ("keys", .array(use.keys.map { .string($0) })),
            ("segments", .int(use.segments)), ("bytes", .int(use.bytes)),
        ])
    }

    package static func table(_ uses: [OldKeyUse], terminal: Terminal) -> String {
        guard !uses.isEmpty else { return "" }
        var table = TableLayout(columns: ["entity with old keys", "keys", "segments", "size"], terminal: terminal)
        var text = "\n"
        for use in uses {
            text +=
                table.add([
                    TableCell(text: TextLayout.harmless(use.entity)),
                    TableCell(text: TextLayout.grouped(use.keys.count), right: true),
                    TableCell(text: TextLayout.grouped(use.segments), right: true),
                    TableCell(text: TextLayout.bytes(use.bytes), right: true),
                ]) ?? ""
        }
        return text + table.finish()
    }
}
