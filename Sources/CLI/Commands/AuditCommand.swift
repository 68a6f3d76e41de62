/// `eventstore audit`: the record of who did what, its check, and its signed end.

import ArgumentParser
import EventStore
import Foundation

struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "List and check the audit chain; print its signed end; check receipts.",
        discussion: """
            Examples:
              eventstore audit list events
              eventstore audit verify events
              eventstore audit head events --json > head-of-today.json
            """,
        subcommands: [
            AuditListCommand.self, AuditVerifyCommand.self, AuditHeadCommand.self, AuditVerifyReceiptCommand.self,
        ])
}

struct AuditListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Print the records, oldest first.",
        discussion: """
            An erased entity is shown by its number.

            Examples:
              eventstore audit list events
              eventstore audit list events --after 120 --format ndjson
            """)

    @OptionGroup var access: StoreAccess

    @Option(help: ArgumentHelp("Only records after this number.", valueName: "n"))
    var after: Int64 = 0

    @OptionGroup var format: FormatOptions

    func run() throws {
        let records = try access.open(.readOnly) { try $0.auditRecords(after: after) }
        let terminal = Terminal.current()
        let output = Output()
        try AuditText.print(
            records, format: format.resolved(terminal), output: output, times: access.time.times, terminal: terminal)
        try output.flush()
    }
}

struct AuditVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the whole chain.",
        discussion: """
            Exit code 2 with the first record that is wrong. That the end was cut off shows only beside a head that \
            was kept elsewhere: give it with --head.

            Examples:
              eventstore audit verify events
              eventstore audit verify events --head head-of-last-month.json
            """)

    @OptionGroup var access: StoreAccess

    @Option(help: ArgumentHelp("A head printed earlier; the chain must still contain it.", valueName: "file"))
    var head: String?

    @OptionGroup var format: FormatOptions

    func run() throws {
        let kept = try head.map { try SignedText.read($0) }
            .map { AuditHead(text: $0.text, signature: $0.signature, publicKey: $0.publicKey) }
        let found: AuditVerification
        do {
            found = try access.open(.readOnly) { try $0.verifyAudit(including: kept) }
        } catch let error as EventStoreError where error.code == .damaged || error.code == .tampered {
            // A chain that cannot even be read is a finding like any other.
            throw CLIFailure(
                code: error.code.rawValue, message: "the audit chain cannot be read: \(error.message)",
                exitCode: CLIFailure.foundSomething)
        }
        let terminal = Terminal.current()
        let output = Output()
        try ObjectPrinter.print(
            AuditText.fields(found), format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
        guard let broken = found.firstBroken else { return }
        throw CLIFailure(
            code: "tampered", message: "audit record \(broken.number): \(broken.message)",
            exitCode: CLIFailure.foundSomething)
    }
}

struct AuditHeadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "head",
        abstract: "Print the signed end of the chain, to be kept elsewhere.",
        discussion: """
            Example:
              eventstore audit head events --json > head-of-today.json
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions

    func run() throws {
        let head = SignedText(try access.open(.readOnly) { try $0.auditHead() })
        let terminal = Terminal.current()
        let output = Output()
        let signature = HexText.text(head.signature)
        let key = HexText.text(head.publicKey)
        let fields = [
            ReportField("text", .string(head.text), label: "text", shown: head.text),
            ReportField("signature", .string(signature), label: "signature", shown: signature),
            ReportField("publicKey", .string(key), label: "public key", shown: key),
        ]
        try ObjectPrinter.print(fields, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }
}

struct AuditVerifyReceiptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-receipt",
        abstract: "Check the signature of a receipt or a head; needs no store.",
        discussion: """
            Exit code 2 when text and signature do not belong together. Give the public key that you got from the \
            store's owner by another way: without it only the one in the file is used, which proves nothing about \
            who signed.

            Examples:
              eventstore audit verify-receipt erased.json --public-key 4fa0…
            """)

    @Argument(help: "The receipt, as `entity erase` printed it.")
    var file: String

    @Option(help: ArgumentHelp("The store's public key: 64 hexadecimal digits.", valueName: "hex"))
    var publicKey: String?

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if let publicKey, HexText.bytes(publicKey)?.count != 32 {
            throw ValidationError("--public-key is 64 hexadecimal digits")
        }
    }

    func run() throws {
        let signed = try SignedText.read(file)
        let expected = publicKey.flatMap { HexText.bytes($0) }
        guard signed.isValid(publicKey: expected) else {
            throw CLIFailure(
                code: "tampered", message: "\(file): the signature is not that of this text under this key",
                exitCode: CLIFailure.foundSomething)
        }
        let terminal = Terminal.current()
        let output = Output()
        try ReceiptText.print(signed, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
        guard !quietness.quiet else { return }
        Diagnostics.line(
            expected == nil
                ? "valid under the key in the file; give --public-key to know whose that is" : "valid")
    }
}

package enum AuditText {
    static let columns = [
        "number", "time", "operation", "entity", "entityNumber", "user", "process", "program", "reason", "details",
    ]

    package static func print(
        _ records: [AuditRecord], format: RowFormat, output: Output, times: TimeText, terminal: Terminal
    ) throws {
        if format == .json || format == .ndjson {
            let objects = records.map { record in
                JSONValue.object(zip(columns, row(record)).map { ($0, JSONValue($1) ?? .null) })
            }
            return try ObjectList.print(objects, format: format, output: output)
        }
        guard format == .table else {
            let writer = try RowWriter(
                columns: columns, format: format, output: output, times: times, terminal: terminal)
            for record in records { try writer.write(row(record)) }
            return try writer.finish()
        }
        var table = TableLayout(
            columns: ["#", "time", "operation", "entity", "by", "reason", "details"], terminal: terminal)
        for record in records {
            if let text = table.add(cells(record, times)) { try output.write(text) }
        }
        try output.write(table.finish())
    }

    private static func row(_ record: AuditRecord) -> [Cell] {
        func text(_ value: String?) -> Cell { value.map { .text($0) } ?? .absent }
        return [
            .integer(record.number), .time(record.timeMs), .text(record.operation), text(record.entity),
            record.entityNumber.map { .integer(Int64($0)) } ?? .absent, .text(record.user),
            .integer(Int64(record.process)), .text(record.program), text(record.reason),
            .json(details(record).text),
        ]
    }

    private static func details(_ record: AuditRecord) -> JSONValue {
        .object(record.details.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
    }

    private static func cells(_ record: AuditRecord, _ times: TimeText) -> [TableCell] {
        func text(_ value: String) -> TableCell { TableCell(text: TextLayout.harmless(value)) }
        let entity = record.entity ?? record.entityNumber.map { "#\($0)" } ?? ""
        let details = record.details.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return [
            TableCell(text: "\(record.number)", right: true),
            TableCell(text: times.rfc3339(record.timeMs), isText: false), text(record.operation), text(entity),
            text("\(record.user), \(record.program) \(record.process)"), text(record.reason ?? ""),
            text(details.joined(separator: " ")),
        ]
    }

    package static func fields(_ found: AuditVerification) -> [ReportField] {
        let broken = found.firstBroken.map {
            JSONValue.object([("number", .integer($0.number)), ("message", .string($0.message))])
        }
        return [
            ReportField("ok", .bool(broken == nil), label: "chain", shown: broken == nil ? "whole" : "broken"),
            ReportField("records", count: found.records, label: "records"),
            ReportField(
                "firstBroken", broken ?? .null, label: "first bad record",
                shown: found.firstBroken.map { "\($0.number): \($0.message)" }),
        ]
    }
}
