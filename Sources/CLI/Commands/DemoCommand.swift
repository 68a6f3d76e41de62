/// `eventstore demo`: makes a store, fills it, asks it, draws it, by running the very commands it shows.

import ArgumentParser
import EventStore
import Foundation

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Make a store, fill it, ask it, draw it.",
        discussion: """
            The events are made up: a week of ten small sites, with an outage and a password-guessing run to \
            find.

            Example:
              eventstore demo --events 200000 --directory /tmp/demo
            """)

    @Option(help: ArgumentHelp("How many events.", valueName: "n"))
    var events = 100_000

    @Option(help: ArgumentHelp("Where; made if it is not there (default: a temporary directory).", valueName: "dir"))
    var directory: String?

    @OptionGroup var time: TimeOptions
    @OptionGroup var quietness: QuietOptions

    private static let tableColumns = 110

    func validate() throws {
        guard (1...100_000_000).contains(events) else { throw ValidationError("--events takes 1 to 100000000") }
    }

    func run() throws {
        let place = try prepareDirectory()
        let store = place + "/events"
        guard !FileManager.default.fileExists(atPath: store) else {
            throw CLIFailure(code: "exists", message: "\(store) is there already; give another --directory")
        }
        let source = place + "/events.ndjson"
        try say(
            "\(TextLayout.grouped(events)) made-up events of \(DemoEvents.sites.count) sites, the last "
                + "\(DemoEvents.days) days, in \(place)")
        try writeEvents(to: source)
        try step("A new store; its key lies beside it.", "init", store, hidden: quiet)
        try step("Import: parsed, deduplicated, packed, encrypted, synced.", "import", store, source, hidden: quiet)
        try step("The same file again changes nothing.", "import", store, source, hidden: quiet)
        try step("What is in it.", "stats", store, hidden: ["--format", "table"])
        try ask(store)
        try farewell(store, place: place)
    }

    private func ask(_ store: String) throws {
        let table = ["--format", "table", "--width", String(max(Terminal.current().width, DemoCommand.tableColumns))]
        try step(
            "The last events of one site.", "events", store, "--entity", "shop.example", "--limit", "5", hidden: table)
        try step(
            "What failed on the servers lately.", "events", store, "--where", "status >= 500", "--limit", "5",
            hidden: table)
        try step(
            "What events of a type look like.", "schema", store, "--type", "http.request",
            hidden: ["--format", "table"] + quiet)
        try step(
            "Any question, in SQL.", "sql", store,
            "SELECT entity, count(*) AS requests, quantile(duration_ms, 0.95) AS p95_ms FROM events "
                + "WHERE type = 'http.request' GROUP BY entity ORDER BY requests DESC LIMIT 5",
            hidden: ["--format", "table"])
        try step("The week at a glance: can you see the night of the guesses?", "chart", store)
        try step(
            "Who was it? Failed logins by network.", "chart", store, "--type", "auth.attempt", "--where",
            "result != success", "--by", "ip_anon")
        try step("Is every byte as it was written?", "verify", store, hidden: quiet + ["--format", "table"])
    }

    private var quiet: [String] { quietness.quiet ? ["--quiet"] : [] }

    private func prepareDirectory() throws -> String {
        if let directory {
            do {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch { throw CLIFailure(code: "permission", message: "cannot make the directory \(directory)") }
            return directory
        }
        var template = Array(
            (NSTemporaryDirectory() + "/eventstore-demo.XXXXXX").replacing("//", with: "/").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CLIFailure(code: "permission", message: "cannot make a temporary directory")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func writeEvents(to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CLIFailure(code: "permission", message: "cannot write \(path)") }
        defer { close(descriptor) }
        let output = Output(descriptor: descriptor)
        var events = DemoEvents(nowMs: time.nowMs)
        try events.write(count: self.events) { try output.write($0 + "\n") }
        try output.flush()
    }

    /// Shows a command line and runs it; `hidden` arguments only keep the output the same everywhere.
    private func step(_ words: String, _ shown: String..., hidden: [String] = []) throws {
        let line = "$ eventstore " + shown.map(DemoCommand.shellWord).joined(separator: " ")
        let terminal = Terminal.current()
        try say("\n\(words)\n" + terminal.bold(line))
        let zone = shown[0] == "init" || shown[0] == "import" ? [] : ["--tz", time.tz]
        let clock = time.now.map { ["--now=" + $0] } ?? []
        var command = try EventStoreCommand.parseAsRoot(shown + hidden + zone + clock)
        try command.run()
    }

    private static func shellWord(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            byte >= 0x80 || Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber
                || "/._-".utf8.contains(byte)
        }
        return isPlain ? text : text.contains("'") ? "\"\(text)\"" : "'\(text)'"
    }

    private func farewell(_ store: String, place: String) throws {
        try say(
            """

            The store is \(store), its key \(store).key, the events as text \(place)/events.ndjson.
            Go on with:
              eventstore events \(store) --since -1h
              eventstore sql \(store) 'SELECT type, count(*) FROM events GROUP BY type'
              eventstore chart \(store) --by entity --where 'status >= 500'
              eventstore tail \(store) --from 0
              eventstore --help
            When you are done: rm -r \(place)
            """)
    }

    private func say(_ text: String) throws {
        let output = Output()
        try output.write(text + "\n")
        try output.flush()
    }
}
