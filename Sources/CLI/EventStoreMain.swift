/// Entry of the executable `eventstore`: prepares arguments, runs one command, turns its end into an exit
/// code and the last line of standard error.
///
/// Invariants: standard output carries data only; every failure ends standard error with
/// `error[CODE]: …`; a reader that went away (`| head`) ends the program quietly with 0.
/// Exit codes: 0 done, 1 could not be done, 2 verify found something, 64 wrong usage, 65 input refused.

import ArgumentParser
import EventStore
import Foundation

package struct EventStoreCommand: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "eventstore",
        abstract: "An encrypted, append-only store for event metadata of web sites.",
        discussion: """
            Data goes to standard output, everything else to standard error.

            Example:
              eventstore init events
              eventstore import events access.log.gz --entity example.org
              eventstore events events --since -24h --where 'status >= 500'
              eventstore schema events
              eventstore sql events 'SELECT entity, count(*) FROM events GROUP BY entity'
              eventstore chart events --by type
            """,
        version: "0.1.0",
        subcommands: [
            InitCommand.self, ImportCommand.self, EventsCommand.self, SQLCommand.self, SchemaCommand.self,
            ChartCommand.self, TailCommand.self, StatsCommand.self, VerifyCommand.self, CompactCommand.self,
            EntityCommand.self, PlanCommand.self, RetentionCommand.self, AuditCommand.self, PolicyCommand.self,
            BudgetCommand.self, RepairCommand.self,
            KeyCommand.self, ExportCommand.self, BackupCommand.self, RestoreCommand.self, UpgradeCommand.self,
            DemoCommand.self,
        ])

    package init() {}
}

@main
enum EventStoreMain {
    static func main() {
        // A reader that goes away shows as EPIPE on write, which `Output` turns into a quiet end.
        signal(SIGPIPE, SIG_IGN)
        OpenFiles.allowMany()
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    /// Runs one command line and returns the exit code.
    static func run(_ arguments: [String]) -> Int32 {
        do {
            var command = try EventStoreCommand.parseAsRoot(PreparedArguments.prepare(arguments))
            try command.run()
            return 0
        } catch {
            return say(CommandEnd(of: error))
        }
    }

    private static func say(_ end: CommandEnd) -> Int32 {
        for line in end.diagnostics { Diagnostics.line(line) }
        guard !end.output.isEmpty else { return end.exitCode }
        do {
            let output = Output()
            try output.write(end.output)
            try output.flush()
        } catch let failure as CLIFailure {
            return say(CommandEnd(failure))
        } catch { return 0 }
        return end.exitCode
    }
}

/// How an error ends the program: what is said where, and the exit code.
package struct CommandEnd: Equatable, Sendable {
    package var exitCode: Int32 = 0
    /// For standard output.
    package var output = ""
    /// Lines for standard error; of a failure the last one is `error[CODE]: …`.
    package var diagnostics: [String] = []

    /// Done, with nothing to say.
    private init() {}

    package init(_ failure: CLIFailure) {
        exitCode = failure.exitCode
        diagnostics = failure.context + [failure.lastLine]
    }

    package init(of error: any Error) {
        switch error {
        case is OutputClosed: self.init()
        case let failure as CLIFailure: self.init(failure)
        case let failure as EventStoreError: self.init(CLIFailure(failure))
        default: self.init(ofParsing: error)
        }
    }

    /// Help and version come as "errors" too; they go to standard output with 0.
    private init(ofParsing error: any Error) {
        let code = EventStoreCommand.exitCode(for: error)
        let message = EventStoreCommand.message(for: error)
        let full = EventStoreCommand.fullMessage(for: error)
        switch code {
        case .success:
            self.init()
            output = full + "\n"
        case .validationFailure:
            self.init(CLIFailure.usage(message))
            let usage = CommandEnd.without(message, full)
            if !usage.isEmpty { diagnostics.insert(usage, at: 0) }
        default: self.init(CLIFailure(code: "io", message: message))
        }
    }

    /// The parser's help to an error, without the error itself, which stands last.
    private static func without(_ message: String, _ full: String) -> String {
        for prefix in ["Error: \(message)", message] where full.hasPrefix(prefix) {
            return String(full.dropFirst(prefix.count)).trimmingCharacters(in: .newlines)
        }
        return full
    }
}
