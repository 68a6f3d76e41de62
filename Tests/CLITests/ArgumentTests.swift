/// Arguments: what is made ready for the parser, what it takes, what it refuses, what help says.

import ArgumentParser
import EventStore
import Testing

import EventStoreCLI

@Suite("Arguments")
struct ArgumentTests {
    private func parse(_ arguments: String...) throws -> any ParsableCommand {
        try EventStoreCommand.parseAsRoot(PreparedArguments.prepare(arguments))
    }

    @Test func negativeTimesStayWithTheirOption() {
        func prepared(_ arguments: String...) -> [String] { PreparedArguments.prepare(arguments) }
        #expect(prepared("events", "s", "--since", "-24h") == ["events", "s", "--since=-24h"])
        #expect(prepared("--since=-24h") == ["--since=-24h"])
        #expect(prepared("--since", "24h", "--until", "-1h") == ["--since", "24h", "--until=-1h"])
        #expect(prepared("--now", "-5") == ["--now=-5"])
        // An option after --since is not its value.
        #expect(prepared("--since", "--until", "now") == ["--since", "--until", "now"])
        #expect(prepared("--since", "-h") == ["--since", "-h"])
        #expect(prepared("--since") == ["--since"])
        #expect(prepared("--entity", "-24h") == ["--entity", "-24h"])
        #expect(prepared("--", "--since", "-24h") == ["--", "--since", "-24h"])
    }

    @Test(
        "Command lines of the contract are understood",
        arguments: [
            "init S --partition week --default-plan starter", "init S --key-file K", "init S --passphrase-file P",
            "init S --key-env NAME", "init S --key-command cat", "import S", "import S -", "import S a.ndjson b.gz",
            "import S a --format vhost_combined --entity e --no-new-entities --input-tz Europe/Berlin --dry-run",
            "import S a --durable --batch 500 --quiet", "import S a --durable --max-refused 5%",
            "import S a --max-refused 10", "import S a --strict", "import S a --log-format %h", "events S",
            "events S --entity a --entity b --type t --since -24h --until now --limit 0 --oldest-first --json",
            "events S --where a=1 --where b~x --format csv --tz Asia/Tokyo --now 2026-11-23", "events S --since=-24h",
            "chart S --by entity --bucket 1h --since 7d", "tail S --from 12 --type t", "tail S --from now",
            "stats S --json", "stats S --format prometheus", "stats S --format json --quiet", "verify S --quick --json",
            "compact S", "demo --events 10 --directory D", "sql S SELECT", "sql S --file F --explain --timing",
            "sql S SELECT --param a=-1 --param b= --format csv --limit 0 --tz Asia/Tokyo", "sql S", "sql S --json",
            "schema S", "schema S --type t --type u --entity e --since -7d --until now --format csv",
            "export S --to a --format store --entity e --expires 30d --force", "import S a --format store",
            "export S --to a --format store --recipient-passphrase-file P --from 7 --expires 2027-01-01",
            "export S --to a --format store --new-key-file K", "import S a --source-key-file K",
            "import S a --source-passphrase-file P",
            "budget show S --json", "budget set S --max-bytes 20GB --min-free 1GiB",
            "budget set S --entity e --entity-events-per-day none --entity-bytes-per-day 1.5MB",
            "budget set S --entity e --reset", "init S --max-bytes 1TB --entity-events-per-day 1000000",
            "repair S", "repair S --dry-run --json", "chart S --grouped --top 3 --by entity",
            "chart S --sql SELECT --param a=1 --grouped",
        ])
    func contract(line: String) throws {
        _ = try EventStoreCommand.parseAsRoot(PreparedArguments.prepare(line.split(separator: " ").map(String.init)))
    }

    @Test(
        "Wrong usage is refused with 64",
        arguments: [
            "init", "init S --partition hour", "init S --default-plan gold", "init S --key-file K --key-env N",
            "export S --to - --format store", "export S --to a --format csv --expires 30d",
            "export S --to a --format store --new-key-file K --recipient-passphrase-file P",
            "import S a --source-key-file K --source-passphrase-file P", "import S --format xml", "import S --batch 5",
            "import S --durable --batch 0", "import S - -",
            "import S --input-tz Mars/Base", "import S --max-refused=-1", "import S --max-refused 101%",
            "events S --limit -1", "events S --json --format csv", "events S --format xml", "events S --tz Mars/Base",
            "events S --nonsense", "events", "chart S --bucket 0h", "chart S --bucket hour", "tail S --from yesterday",
            "sql", "sql S a b", "sql S a --file F", "sql S a --limit -1", "sql S a --json --format csv", "schema",
            "chart S --top 0", "chart S --top 7", "chart S --param a=1", "chart S --sql a --by type",
            "chart S --sql a --since 1d", "chart S --sql a --json", "stats S --format xml", "verify", "compact",
            "demo --events 0", "nonsense", "budget set S", "budget set S --max-bytes -1",
            "budget set S --max-bytes 5XB",
            "budget set S --reset", "budget set S --entity e --max-bytes 1GB", "budget set S --entity-events-per-day 0",
        ])
    func wrongUsage(line: String) {
        do {
            _ = try EventStoreCommand.parseAsRoot(
                PreparedArguments.prepare(line.split(separator: " ").map(String.init)))
            Issue.record("understood: \(line)")
        } catch {
            let end = CommandEnd(of: error)
            #expect(end.exitCode == 64)
            #expect(end.output.isEmpty)
            #expect(end.diagnostics.last?.hasPrefix("error[usage]: ") == true)
            #expect(end.diagnostics.last?.contains("\n") == false)
        }
    }

    private static let names = EventStoreCommand.configuration.subcommands.compactMap { $0.configuration.commandName }

    @Test("Every command has help with an example that can be copied", arguments: names)
    func help(name: String) throws {
        let command = try #require(
            EventStoreCommand.configuration.subcommands.first { $0.configuration.commandName == name })
        let text = EventStoreCommand.helpMessage(for: command, columns: 80)
        let examples = command.configuration.discussion.split(separator: "\n").filter { $0.hasPrefix("  ") }
        #expect(examples.contains { $0.contains("eventstore \(name)") })
        for example in examples { #expect(text.contains(example), "cut at 80 columns: \(example)") }
        // Each example is itself understood.
        for example in ArgumentTests.joined(examples) {
            guard let start = example.range(of: "eventstore ") else { continue }
            let words = ArgumentTests.shellWords(String(example[start.upperBound...]))
            #expect(throws: Never.self, "\(example)") {
                try EventStoreCommand.parseAsRoot(PreparedArguments.prepare(words))
            }
        }
    }

    @Test func helpGoesToStandardOutput() {
        do {
            var command = try parse("events", "--help")
            try command.run()
            Issue.record("no help")
        } catch {
            let end = CommandEnd(of: error)
            #expect(end.exitCode == 0)
            #expect(end.diagnostics.isEmpty)
            #expect(end.output.contains("--where"))
            // The clock is for tests: it works, but help does not offer it.
            #expect(!end.output.contains("--now"))
        }
    }

    @Test func versionGoesToStandardOutput() {
        do {
            _ = try parse("--version")
            Issue.record("no version")
        } catch {
            #expect(CommandEnd(of: error).output == EventStoreCommand.configuration.version + "\n")
        }
    }

    /// Lines that end in a backslash go on in the next.
    private static func joined(_ lines: [Substring]) -> [String] {
        var result: [String] = []
        var open = ""
        for line in lines {
            open += line
            if open.hasSuffix("\\") {
                open.removeLast()
            } else {
                result.append(open)
                open = ""
            }
        }
        return result
    }

    /// Words between blanks up to a redirection; quotes keep blanks.
    private static func shellWords(_ line: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        for character in line {
            if character == quote {
                quote = nil
            } else if quote == nil, character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if quote == nil, character == " " || character == ">" {
                if let word { words.append(word) }
                word = nil
                if character == ">" { return words }
            } else {
                word = (word ?? "") + String(character)
            }
        }
        return words + (word.map { [$0] } ?? [])
    }
}

@Suite("Refusal tolerance")
struct RefusalToleranceTests {
    @Test func counts() throws {
        let five = try #require(RefusalTolerance(argument: "5"))
        #expect(five.tolerates(5, of: 10))
        #expect(!five.tolerates(6, of: 1_000_000))
        #expect(RefusalTolerance(argument: "0") == .count(0))
    }

    @Test func shares() throws {
        let five = try #require(RefusalTolerance(argument: "5%"))
        #expect(five.tolerates(5, of: 100))
        #expect(!five.tolerates(6, of: 100))
        #expect(!five.tolerates(1, of: 19))
        #expect(five.tolerates(0, of: 0))
        let fine = try #require(RefusalTolerance(argument: "0.1%"))
        #expect(fine.tolerates(1, of: 1000))
        #expect(!fine.tolerates(2, of: 1000))
    }

    @Test(arguments: ["", "%", "-1", "-1%", "101%", "five", "5 %", "nan%", "1.5"])
    func nonsense(text: String) { #expect(RefusalTolerance(argument: text) == nil) }
}

@Suite("Near names")
struct NearNamesTests {
    private static let types = ["auth.attempt", "auth.session", "http.request", "wp.cron", "plugin.update"]

    @Test(arguments: [
        ("http.requets", "http.request"), ("auth.attemp", "auth.attempt"), ("HTTP.Request", "http.request"),
        ("wp-cron", "wp.cron"), ("request", "http.request"),
    ])
    func finds(wanted: String, expected: String) {
        #expect(NearNames.near(wanted, among: Self.types).first == expected)
    }

    @Test func saysNothingAboutStrangers() {
        #expect(NearNames.near("zzzzzz", among: Self.types).isEmpty)
        #expect(NearNames.near("", among: Self.types).isEmpty)
        #expect(NearNames.near("x", among: []).isEmpty)
    }

    @Test func nearestFirstAndFew() {
        let sites = (1...20).map { "site-\($0).example" }
        let near = NearNames.near("site-1.exmaple", among: sites)
        #expect(near.first == "site-1.example")
        #expect(near.count == 3)
    }

    @Test func distances() {
        func distance(_ a: String, _ b: String, atMost: Int = 5) -> Int? {
            NearNames.distance(Array(a.unicodeScalars), Array(b.unicodeScalars), atMost: atMost)
        }
        #expect(distance("abc", "abc") == 0)
        #expect(distance("abc", "abd") == 1)
        #expect(distance("abc", "acb") == 1)
        #expect(distance("abc", "ab") == 1)
        #expect(distance("", "abc") == 3)
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("kitten", "sitting", atMost: 2) == nil)
    }
}
