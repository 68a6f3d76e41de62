/// `eventstore entity erase` and `receipts`: gone for good, and the proof of it.

import ArgumentParser
import EventStore
import Foundation

struct EntityEraseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "erase",
        abstract: "Erase an entity at once and for good; print the signed receipt.",
        discussion: """
            Its key is destroyed: no copy of the store made without the keyring can be read any more. Then its \
            names, index and bytes go. The receipt says when, how many events, which key, and which recorded \
            copies of the keyring still have it elsewhere; `audit verify-receipt` checks it without the store.

            Such a copy is opened by the root keys of its time. --rotate-root replaces the root key in use, then \
            erases: copies made before are opened by replaced root keys alone, unless a slot is kept, and are \
            useless once those keys are destroyed everywhere. Here only the file STORE.key is overwritten, if it \
            was the key in use. All else is yours to destroy.

            On a terminal the name is asked for again; elsewhere --yes is needed.

            Examples:
              eventstore entity erase events example.org --reason 'request of 23 November'
              eventstore entity erase events example.org --yes --receipt erased.json
              eventstore entity erase events example.org --yes --rotate-root --drop-others
            """)

    @OptionGroup var access: StoreAccess

    @Argument(help: "The entity.")
    var name: String

    @Option(help: ArgumentHelp("Why; kept in the audit chain.", valueName: "text"))
    var reason: String?

    @Option(help: ArgumentHelp("Also write the receipt to this new file.", valueName: "file"))
    var receipt: String?

    @Flag(help: "Do not ask.")
    var yes = false

    @OptionGroup(title: "Root key") var root: RootReplacementOptions

    @OptionGroup var format: FormatOptions
    @OptionGroup var quietness: QuietOptions

    func run() throws {
        var session = try access.session()
        if !yes, Passphrase.canAsk {
            let entity = try session.entity(name)
            Diagnostics.line(
                "\(TextLayout.grouped(entity.events)) events of '\(TextLayout.harmless(name))' will be gone for good.")
        }
        try Confirmation.require("Type its name to erase it: ", answer: name, yes: yes, doing: "entity erase")
        let file = try receipt.map { try ResultFile(making: $0) }
        let report: ErasureReport
        do {
            if root.rotateRoot {
                // Nothing is replaced for an entity that is not there.
                _ = try session.entity(name)
                session = try RootReplacement(options: root, quiet: quietness.quiet).run(session)
            }
            let result = try session.perform(.eraseEntity(name: name, reason: reason), onEntity: name)
            guard case .erased(let erased) = result else { throw CLIFailure.oddAnswer }
            report = erased
        } catch {
            file?.discard()
            throw error
        }
        try tell(report, file)
    }

    private func tell(_ report: ErasureReport, _ file: ResultFile?) throws {
        let signed = SignedText(report.receipt)
        let terminal = Terminal.current()
        let output = Output()
        try ReceiptText.print(signed, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
        try file?.write(signed.json.text + "\n")
        if !quietness.quiet {
            Diagnostics.line(
                "erased '\(TextLayout.harmless(name))': \(TextLayout.grouped(report.events)) events, unreadable after "
                    + "\(TextLayout.decimal(report.unreadableSeconds * 1000, 0)) ms, "
                    + "\(TextLayout.bytes(report.bytesFreed)) freed")
            for copy in ReceiptText.outliving(signed) {
                Diagnostics.line("a copy of the keyring still has its key, for data that was copied: \(copy)")
            }
        }
    }
}

struct EntityReceiptsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receipts",
        abstract: "Print the receipts of all erasures, oldest first.",
        discussion: """
            Example:
              eventstore entity receipts events --format ndjson
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup var format: FormatOptions

    func run() throws {
        let receipts = try access.open(.readOnly) { try $0.receipts() }.map { SignedText($0) }
        let terminal = Terminal.current()
        let output = Output()
        try ReceiptText.list(receipts, format: format.resolved(terminal), output: output, terminal: terminal)
        try output.flush()
    }
}

/// Receipts in words and as objects.
package enum ReceiptText {
    package static func print(
        _ signed: SignedText, format: RowFormat, output: Output, terminal: Terminal
    ) throws {
        let facts = signed.facts
        func fact(_ key: String, _ label: String) -> ReportField {
            ReportField(key, .null, label: label, shown: facts[key].map { "\($0)" })
        }
        guard format == .table else {
            let fields = [
                ReportField("text", .string(signed.text), label: "", shown: nil),
                ReportField("signature", .string(HexText.text(signed.signature)), label: "", shown: nil),
                ReportField("publicKey", .string(HexText.text(signed.publicKey)), label: "", shown: nil),
            ]
            return try ObjectPrinter.print(fields, format: format, output: output, terminal: terminal)
        }
        var fields = [
            fact("erased", "erased"), fact("store", "store"), fact("entity", "entity's number"), fact("key", "key"),
            fact("events", "events"),
        ]
        let chain = facts["chain"] as? [String: Any]
        fields.append(
            ReportField("chain", .null, label: "audit record", shown: chain?["number"].map { "\($0)" }))
        let copies = outliving(signed)
        fields.append(
            ReportField(
                "keyBackups", .null, label: "copies of its key",
                shown: copies.isEmpty ? "none recorded" : copies.joined(separator: ", ")))
        fields.append(
            ReportField("signature", .null, label: "signature", shown: HexText.text(signed.signature)))
        fields.append(
            ReportField("publicKey", .null, label: "public key", shown: HexText.text(signed.publicKey)))
        try output.write(ObjectPrinter.lines(fields, terminal: terminal))
    }

    package static func list(
        _ receipts: [SignedText], format: RowFormat, output: Output, terminal: Terminal
    ) throws {
        guard format == .table || format == .csv else {
            return try ObjectList.print(receipts.map(\.json), format: format, output: output)
        }
        let columns =
            format == .csv
            ? ["text", "signature", "publicKey"]
            : ["erased", "entity", "events", "key", "audit record", "copies of key"]
        let writer = try RowWriter(
            columns: columns, format: format, output: output, times: TimeText(zone: .gmt), terminal: terminal)
        for receipt in receipts {
            let csv: [Cell] = [
                .text(receipt.text), .text(HexText.text(receipt.signature)), .text(HexText.text(receipt.publicKey)),
            ]
            try writer.write(format == .csv ? csv : row(receipt))
        }
        try writer.finish()
    }

    private static func row(_ receipt: SignedText) -> [Cell] {
        let facts = receipt.facts
        func number(_ value: Any?) -> Cell { (value as? Int).map { .integer(Int64($0)) } ?? .absent }
        func text(_ value: Any?) -> Cell { (value as? String).map { .text($0) } ?? .absent }
        return [
            text(facts["erased"]), number(facts["entity"]), number(facts["events"]), text(facts["key"]),
            number((facts["chain"] as? [String: Any])?["number"]), .integer(Int64(outliving(receipt).count)),
        ]
    }

    /// Recorded copies of the keyring that still have the key, with when they were made, and whether all root keys of
    /// the store were replaced since.
    package static func outliving(_ receipt: SignedText) -> [String] {
        (receipt.facts["keyBackups"] as? [[String: Any]] ?? []).map { copy in
            let roots = copy["rootKeys"] as? String == "replaced" ? ", opened by replaced root keys alone" : ""
            return TextLayout.harmless("\(copy["path"] ?? "?") of \(copy["time"] ?? "?")") + roots
        }
    }
}
