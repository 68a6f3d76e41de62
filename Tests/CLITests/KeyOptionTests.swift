/// Where the key comes from, in which order; hints about names; made-up events.

import EventStore
import Foundation
import Testing

@testable import EventStoreCLI

@Suite("Key options")
struct KeyOptionTests {
    private static let environment = [
        "EVENTSTORE_KEY_FILE": "from-environment", "EVENTSTORE_PASSPHRASE_FILE": "phrase",
        "EVENTSTORE_KEY_COMMAND": "command",
    ]

    private func source(_ arguments: [String], _ environment: [String: String] = [:]) throws -> String {
        try KeyOptions.parse(arguments).explicitSource(environment: environment).map { "\($0)" } ?? "none"
    }

    @Test func optionsComeFirst() throws {
        #expect(try source(["--key-file", "f"], Self.environment) == #"keyFile("f")"#)
        #expect(try source(["--passphrase-file", "f"], Self.environment) == #"passphraseFile("f")"#)
        #expect(try source(["--key-env", "NAME"], Self.environment) == #"environment("NAME")"#)
        #expect(try source(["--key-command", "pass show x"], Self.environment) == #"command("pass show x")"#)
    }

    @Test func thenTheEnvironment() throws {
        var environment = Self.environment
        #expect(try source([], environment) == #"keyFile("from-environment")"#)
        // Set to nothing is not set.
        environment["EVENTSTORE_KEY_FILE"] = ""
        #expect(try source([], environment) == #"passphraseFile("phrase")"#)
        environment["EVENTSTORE_PASSPHRASE_FILE"] = nil
        #expect(try source([], environment) == #"command("command")"#)
        #expect(try source([]) == "none")
    }

    @Test func keysAreOneAtATime() {
        #expect(throws: (any Error).self) { try KeyOptions.parse(["--key-file", "a", "--key-command", "b"]) }
        #expect(throws: (any Error).self) { try KeyOptions.parse(["--key-file", "a", "--passphrase"]) }
    }

    @Test func theKeyLiesBesideTheStore() {
        #expect(KeyOptions.fileBeside("events") == "events.key")
        #expect(KeyOptions.fileBeside("a/events///") == "a/events.key")
        #expect(KeyOptions.fileBeside("./x/../events") == "./x/../events.key")
        let here = FileManager.default.currentDirectoryPath
        #expect(KeyOptions.fileBeside(".") == here + ".key")
    }

    @Test func aMissingKeyFileIsSaidEarly() {
        let missing = "/nowhere/at/all.key"
        #expect(throws: CLIFailure.self) { _ = try KeyOptions.checked(.keyFile(missing)) }
        #expect(throws: CLIFailure.self) { _ = try KeyOptions.checked(.environment("EVENTSTORE_TEST_UNSET")) }
    }

    @Test func newKeyFilesAreSecretAndNeverReplaceOne() throws {
        let path = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString + ".key"
        defer { unlink(path) }
        try KeyFile.make(at: path)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.count == 65 && text.last == "\n")
        #expect(text.dropLast().allSatisfy { $0.isHexDigit && !$0.isUppercase })
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(throws: CLIFailure.self) { try KeyFile.make(at: path) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }
}

@Suite("Hints")
struct NameHintTests {
    @Test func nearNamesAreOffered() {
        #expect(
            NameHints.text("http.requets", word: "type", near: ["http.request"])
                == "hint: no type 'http.requets' in this store; did you mean 'http.request'?")
        #expect(NameHints.text("x", word: "entity", near: []) == "hint: no entity 'x' in this store")
    }

    @Test func fieldsAreNotAttributes() {
        #expect(NameHints.text("entity", word: "attribute", near: []).hasSuffix("filtered with --entity"))
    }

    @Test func hintsAreHarmless() {
        #expect(!NameHints.text("\u{1b}[2J", word: "type", near: ["\u{1b}c"]).unicodeScalars.contains("\u{1b}"))
    }
}

@Suite("Lines of events")
struct EventLineTests {
    @Test func pairsAreInOrderAndQuotedWhereNeeded() {
        let attributes: [String: AttributeValue] = [
            "path": "/a b", "n": 5, "x": 0.5, "ok": true, "list": .json("[1]"), "empty": "", "plain": "v",
        ]
        #expect(
            EventPrinter.pairs(attributes) == #"empty="" list=[1] n=5 ok=true path="/a b" plain=v x=0.5"#)
    }

    @Test func batchesOfLinesBecomeOneArray() {
        func joined(_ lines: String, isFirst: Bool) -> String {
            var target: [UInt8] = []
            EventPrinter.joined(Array(lines.utf8), isFirst: isFirst, into: &target)
            return String(decoding: target, as: UTF8.self)
        }
        #expect(joined("{\"a\":1}\n{\"b\":2}\n", isFirst: true) == "\n{\"a\":1},\n{\"b\":2}")
        #expect(joined("{\"c\":3}\n", isFirst: false) == ",\n{\"c\":3}")
        #expect(joined("", isFirst: true) == "")
    }

    @Test func rowsKeepAbsentApartFromEmpty() {
        var event = Event(entity: "e", type: "t", timestamp: 1, attributes: ["a": "", "n": 2])
        event.sequence = 7
        let row = EventPrinter.row(event, names: ["a", "b", "n"])
        #expect(
            row == [.text("e"), .text("t"), .time(1), .absent, .integer(7), .time(0), .text(""), .absent, .integer(2)])
    }

    @Test("The demo's events are the same for the same moment, in order, each with an id of its own")
    func demoEvents() throws {
        func made() throws -> [String] {
            var lines: [String] = []
            var events = DemoEvents(nowMs: 1_795_428_000_000)
            try events.write(count: 2000) { lines.append($0) }
            return lines
        }
        let lines = try made()
        #expect(try made() == lines)
        var ids: Set<UUID> = []
        var last = 0.0
        for line in lines {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            let id = try #require((object?["event_id"] as? String).flatMap { UUID(uuidString: $0) })
            ids.insert(id)
            let time = try #require(object?["timestamp"] as? Double)
            #expect(time >= last && time <= 1_795_428_000_000)
            last = time
        }
        #expect(ids.count == 2000)
    }
}
