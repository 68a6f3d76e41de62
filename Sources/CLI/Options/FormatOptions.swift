/// `--format` and `--json`: a table on a terminal, ndjson elsewhere, unless told.

import ArgumentParser

extension RowFormat: ExpressibleByArgument {
    /// What is printed when nothing was asked for.
    package static func standard(on terminal: Terminal) -> RowFormat { terminal.isTerminal ? .table : .ndjson }
}

struct FormatOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "table, json, ndjson or csv (default: table on a terminal, else ndjson).", valueName: "format"))
    var format: RowFormat?

    @Flag(help: "Short for --format json.")
    var json = false

    mutating func validate() throws {
        if json, let format, format != .json {
            throw ValidationError("--json and --format \(format) exclude each other")
        }
    }

    func resolved(_ terminal: Terminal) -> RowFormat {
        if json { return .json }
        return format ?? RowFormat.standard(on: terminal)
    }
}

/// `--quiet`: no progress, no notes. Failures and hints are still said.
struct QuietOptions: ParsableArguments {
    @Flag(help: "No progress on standard error.")
    var quiet = false
}
