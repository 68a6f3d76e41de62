/// Entry of the executable `eventstore`: prepares arguments, runs one command, turns its end into an exit
/// code and the last line of standard error.
///
/// Invariants: standard output carries data only; every failure ends standard error with
/// `error[CODE]: …`; a reader that went away (`| head`) ends the program quietly with 0.
/// Exit codes: 0 done, 1 could not be done, 2 verify found something, 64 wrong usage, 65 input refused.

import ArgumentParser
import EventStore
import Foundation

struct EventStoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eventstore",
        abstract: "An encrypted, append-only store for event metadata of web sites.",
        discussion: """
            Data goes to standard output, everything else to standard error.

            Example:
              eventstore init events
              eventstore import events access.log.gz --entity example.org
              eventstore events events --since -24h --where 'status >= 500'
              eventstore chart events --by type
            """,
        version: "0.1.0",
        subcommands: [
            InitCommand.self, ImportCommand.self, EventsCommand.self, ChartCommand.self, TailCommand.self,
            StatsCommand.self, VerifyCommand.self, CompactCommand.self, DemoCommand.self,
        ])
}

@main
enum EventStoreMain {
    static func main() {
        // A reader that goes away shows as EPIPE on write, which `Output` turns into a quiet end.
        signal(SIGPIPE, SIG_IGN)
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    /// Runs one command line and returns the exit code.
    static func run(_ arguments: [String]) -> Int32 {
        do {
            var command = try EventStoreCommand.parseAsRoot(PreparedArguments.prepare(arguments))
            try command.run()
            return 0
        } catch {
            return end(with: error)
        }
    }

    private static func end(with error: any Error) -> Int32 {
        switch error {
        case is OutputClosed:
            return 0
        case let failure as CLIFailure:
            return report(failure)
        case let failure as EventStoreError:
            return report(CLIFailure(failure))
        default:
            return endOfParsing(error)
        }
    }

    private static func report(_ failure: CLIFailure) -> Int32 {
        Diagnostics.line(failure.lastLine)
        return failure.exitCode
    }

    /// Help and version come as "errors" too; they go to standard output with 0.
    private static func endOfParsing(_ error: any Error) -> Int32 {
        let code = EventStoreCommand.exitCode(for: error).rawValue
        let full = EventStoreCommand.fullMessage(for: error)
        if code == 0 {
            do {
                let output = Output()
                try output.write(full + "\n")
                try output.flush()
            } catch let failure as CLIFailure {
                return report(failure)
            } catch { return 0 }
            return 0
        }
        guard code == ExitCode.validationFailure.rawValue else {
            return report(CLIFailure(code: "io", message: EventStoreCommand.message(for: error)))
        }
        let message = EventStoreCommand.message(for: error)
        var usage = full
        for prefix in ["Error: \(message)", message] where usage.hasPrefix(prefix) {
            usage = String(usage.dropFirst(prefix.count)).trimmingCharacters(in: .newlines)
        }
        if !usage.isEmpty { Diagnostics.line(usage) }
        return report(CLIFailure.usage(message))
    }
}
