/// What the lifecycle commands print and refuse.

import ArgumentParser
import Foundation
import Testing

@testable import EventStore
@testable import EventStoreCLI

@Suite("Lifecycle commands")
struct LifecycleTests {
    private static let now: Int64 = 1_795_428_000_000
    private static let times = TimeText(zone: .gmt)

    private static var entity: EntityInfo {
        EntityInfo(
            name: "example.org", number: 7, state: .cancelled, plan: "starter", days: 7, events: 12_345, bytes: 41_500,
            createdMs: now - 86_400_000, lastEventMs: now - 300_000, lastReceivedMs: now - 2000, eventsInLastDay: 12,
            refused: 3, expired: 4, clockSkewMs: 298_000, daysLeft: 2, eraseAtMs: now + 3 * 86_400_000)
    }

    private static var bare: EntityInfo {
        EntityInfo(
            name: "\u{1b}[2J", number: 8, state: .active, plan: "unlimited", days: nil, events: 0, bytes: 0,
            createdMs: now, lastEventMs: nil, lastReceivedMs: nil, eventsInLastDay: 0, refused: 0, expired: 0,
            clockSkewMs: nil, daysLeft: nil, eraseAtMs: nil)
    }

    @Test(arguments: [
        (0, "now"), (999, "now"), (-999, "now"), (1000, "1s ago"), (59_999, "59s ago"), (300_000, "5m ago"),
        (7_199_999, "1h ago"), (86_400_000, "1d ago"), (-3_600_000, "in 1h"),
    ])
    func relativeTimes(_ age: Int64, _ text: String) {
        #expect(RelativeTime.text(Self.now - age, nowMs: Self.now) == text)
    }

    @Test func relativeTimesOfAnyNumber() {
        #expect(RelativeTime.text(.min, nowMs: Self.now) == "long ago")
        #expect(RelativeTime.span(.min).hasPrefix("-"))
        #expect(RelativeTime.span(-500) == "0s" && RelativeTime.span(-1500) == "-1s")
    }

    private static func fleet(_ format: RowFormat, _ entities: [EntityInfo] = [entity, bare]) throws -> String {
        try captured {
            try FleetText.print(
                entities, format: format, output: $0, time: (times, now), terminal: Terminal(width: 200))
            try $0.flush()
        }
    }

    @Test func theFleetAsATable() throws {
        let lines = try Self.fleet(.table).split(separator: "\n")
        #expect(lines.count == 4)
        let cells = lines[2].split(separator: "  ").map { $0.trimmingCharacters(in: .whitespaces) }
        #expect(
            cells == [
                "example.org", "cancelled", "starter", "7", "12,345", "12", "5m ago", "2s ago", "3", "4m", "41.5 kB",
                "erased in 3d",
            ])
        #expect(lines[0].hasPrefix("entity"))
        #expect(lines[3].contains("forever") && !lines[3].contains("\u{1b}[2J"))
    }

    @Test func theFleetAsObjects() throws {
        let object =
            #"{"name":"example.org","number":7,"state":"cancelled","plan":"starter","days":7,"events":12345,"#
            + #""eventsInLastDay":12,"lastEvent":1795427700000,"lastArrival":1795427998000,"refused":3,"expired":4,"#
            + #""clockSkewMs":298000,"bytes":41500,"daysLeft":2,"created":1795341600000,"eraseAt":1795687200000}"#
        #expect(try Self.fleet(.ndjson, [Self.entity]) == object + "\n")
        #expect(try Self.fleet(.json, []) == "[]\n")
        let none = FleetText.object(Self.bare).text
        #expect(
            none.contains(#""days":null"#) && none.contains(#""lastEvent":null"#) && none.contains(#""eraseAt":null"#))
        let all = try JSONSerialization.jsonObject(with: Data(try Self.fleet(.json).utf8)) as? [[String: Any]]
        #expect(all?.count == 2 && all?.allSatisfy { $0.count == 16 } == true)
        // csv has the names json has.
        let header = try Self.fleet(.csv).prefix { $0 != "\n" }
        let names = try #require(all?.first).keys.sorted()
        #expect(header.split(separator: ",").map { String($0.dropFirst().dropLast()) }.sorted() == names)
    }

    @Test func oneEntityHasTheSameKeys() {
        let fields = FleetText.fields(Self.entity, times: Self.times, nowMs: Self.now)
        #expect(JSONValue.object(fields.map { ($0.key, $0.value) }).text == FleetText.object(Self.entity).text)
    }

    @Test func aSweepHasTheContractsKeys() {
        var report = SweepReport()
        report.segmentsDropped = 2
        report.bytesFreed = 3
        report.eventsExpired = 4
        report.entitiesErased = ["a"]
        let text = JSONValue.object(SweepText.fields(report).map { ($0.key, $0.value) }).text
        #expect(
            text
                == #"{"segmentsDropped":2,"bytesFreed":3,"eventsExpired":4,"partsRemoved":0,"entitiesErased":["a"],"#
                + #""seconds":0.0}"#)
    }

    @Test func plansInEveryFormat() throws {
        let plans = [Plan(name: "starter", days: 7), Plan(name: "unlimited", days: nil)]
        func printed(_ format: RowFormat) throws -> String {
            try captured {
                try PlanText.print(
                    plans, entities: ["starter": 3], format: format, output: $0, terminal: Terminal())
                try $0.flush()
            }
        }
        #expect(
            try printed(.ndjson)
                == "{\"name\":\"starter\",\"days\":7,\"entities\":3}\n"
                + "{\"name\":\"unlimited\",\"days\":null,\"entities\":0}\n")
        #expect(try printed(.csv) == "\"name\",\"days\",\"entities\"\n\"starter\",7,3\n\"unlimited\",,0\n")
        #expect(try printed(.table).contains("forever"))
    }

    @Test func auditRecords() throws {
        let records = [
            AuditRecord(
                number: 1, timeMs: Self.now, operation: "entity.add", user: "root", process: 5, program: "eventstore",
                entity: "a", entityNumber: 1, reason: "why", details: ["plan": "starter"]),
            AuditRecord(
                number: 2, timeMs: Self.now, operation: "plan.set", user: "root", process: 5, program: "eventstore",
                entity: nil, entityNumber: nil, reason: nil, details: [:]),
        ]
        func printed(_ format: RowFormat) throws -> String {
            try captured {
                try AuditText.print(
                    records, format: format, output: $0, times: Self.times, terminal: Terminal(width: 200))
                try $0.flush()
            }
        }
        #expect(
            try printed(.ndjson).hasPrefix(
                #"{"number":1,"time":1795428000000,"operation":"entity.add","entity":"a","entityNumber":1,"user":"root","#
                    + #""process":5,"program":"eventstore","reason":"why","details":{"plan":"starter"}}"# + "\n"))
        #expect(try printed(.table).contains("root, eventstore 5"))
        #expect(try printed(.csv).split(separator: "\n").count == 3)
    }

    @Test func auditVerification() {
        func text(_ found: AuditVerification) -> String {
            JSONValue.object(AuditText.fields(found).map { ($0.key, $0.value) }).text
        }
        #expect(text(AuditVerification(records: 3, firstBroken: nil)) == #"{"ok":true,"records":3,"firstBroken":null}"#)
        #expect(
            text(AuditVerification(records: 3, firstBroken: (2, "changed")))
                == #"{"ok":false,"records":3,"firstBroken":{"number":2,"message":"changed"}}"#)
    }

    @Test func spansOfCancellation() {
        #expect(CancelTime.ms("30d") == Int64(30 * 86_400_000))
        #expect(CancelTime.ms("12h") == Int64(12 * 3_600_000))
        for text in ["30", "-30d", "d", "", "36501d", "9999999999999999d", "1y"] { #expect(CancelTime.ms(text) == nil) }
    }

    @Test func hintsOfNearNames() {
        #expect(EntityHint.lines([]) == [])
        #expect(EntityHint.lines(["a", "b"]) == ["hint: did you mean 'a' or 'b'?"])
    }
}

@Suite("Signed texts")
struct SignedTextTests {
    @Test func hexadecimal() {
        #expect(HexText.text([0, 10, 255]) == "000aff")
        #expect(HexText.bytes("000aFF") == [0, 10, 255])
        for text in ["0", "zz", "+1", "0x", "é"] { #expect(HexText.bytes(text) == nil) }
    }

    @Test func thereAndBack() throws {
        let signed = SignedText(
            text: "{\"erased\":\"a \\\"b\\\"\"}", signature: [UInt8](repeating: 1, count: 64),
            publicKey: [UInt8](repeating: 2, count: 32))
        #expect(SignedText(parsing: Data(signed.json.text.utf8)) == signed)
        #expect(!signed.isValid(publicKey: nil))
        for text in ["", "[]", "{}", #"{"text":"x","signature":"00","publicKey":"00"}"#] {
            #expect(SignedText(parsing: Data(text.utf8)) == nil)
        }
    }

    @Test func aResultFileIsNeverOneThatIsThere() throws {
        let path = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString
        let file = try ResultFile(making: path)
        #expect(throws: CLIFailure.self) { try ResultFile(making: path) }
        try file.write("x\n")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "x\n")
        #expect(throws: CLIFailure.self) { try ResultFile(making: path) }
        try FileManager.default.removeItem(atPath: path)
        try ResultFile(making: path).discard()
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}

@Suite("A store's life by commands", .serialized)
struct LifecycleRunTests {
    private let folder = NSTemporaryDirectory() + "eventstore-test-" + UUID().uuidString
    private var store: String { folder + "/s" }

    private func run(_ words: String...) -> Int32 { EventStoreMain.run(words) }

    @Test func exitCodes() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(run("init", store, "--quiet") == 0)
        #expect(run("entity", "add", store, "a", "--plan", "starter", "--quiet") == 0)
        #expect(run("entity", "add", store, "a", "--quiet") == 1)
        #expect(run("entity", "add", store, "b", "--days", "0") == 64)
        #expect(run("entity", "show", store, "b") == 1)
        #expect(run("entity", "set-plan", store, "a") == 64)
        #expect(run("entity", "set-plan", store, "a", "--days", "45", "--json", "--quiet") == 0)
        #expect(run("entity", "suspend", store, "b") == 1)
        #expect(run("entity", "suspend", store, "a", "--reason", "r", "--quiet") == 0)
        #expect(run("retention", "sweep", store, "--yes", "--json") == 0)
        #expect(run("entity", "cancel", store, "a", "--erase-after", "soon") == 64)
        #expect(run("entity", "cancel", store, "a", "--erase-after", "30d", "--quiet") == 0)
        #expect(run("entity", "rename", store, "a", "c", "--quiet") == 0)
        #expect(run("plan", "set", store, "p") == 64)
        #expect(run("plan", "set", store, "p", "--days", "3", "--forever") == 64)
        #expect(run("plan", "set", store, "p", "--forever", "--quiet") == 0)
        let receipt = folder + "/receipt.json"
        #expect(run("entity", "erase", store, "c", "--yes", "--receipt", folder + "/none/r", "--quiet") == 1)
        #expect(run("entity", "show", store, "c", "--json") == 0)
        #expect(run("entity", "erase", store, "x", "--yes", "--receipt", receipt, "--quiet") == 1)
        #expect(!FileManager.default.fileExists(atPath: receipt))
        #expect(run("entity", "erase", store, "c", "--yes", "--receipt", receipt, "--quiet") == 0)
        #expect(run("audit", "verify-receipt", receipt, "--quiet") == 0)
        #expect(run("audit", "verify-receipt", receipt, "--public-key", String(repeating: "00", count: 32)) == 2)
        let changed = try String(contentsOfFile: receipt, encoding: .utf8)
        let other = folder + "/changed.json"
        try changed.replacing("events", with: "Events").write(toFile: other, atomically: true, encoding: .utf8)
        #expect(run("audit", "verify-receipt", other) == 2)
        for words in [["audit", "list"], ["audit", "verify"], ["audit", "head"], ["entity", "receipts"]] {
            #expect(EventStoreMain.run(words + [store, "--json"]) == 0)
        }
        #expect(run("upgrade", store, "--json", "--quiet") == 0)
        #expect(run("compact", store, "--json", "--quiet") == 0)
    }

    @Test func helpHasAnExample() {
        for command in [
            EntityCommand.self, EntityAddCommand.self, EntityListCommand.self, EntityShowCommand.self,
            EntitySetPlanCommand.self, EntityRenameCommand.self, EntitySuspendCommand.self, EntityResumeCommand.self,
            EntityCancelCommand.self, EntityEraseCommand.self, EntityReceiptsCommand.self, PlanCommand.self,
            PlanListCommand.self, PlanSetCommand.self, RetentionCommand.self, RetentionSweepCommand.self,
            AuditCommand.self, AuditListCommand.self, AuditVerifyCommand.self, AuditHeadCommand.self,
            AuditVerifyReceiptCommand.self, UpgradeCommand.self,
        ] as [any ParsableCommand.Type] {
            #expect(command.configuration.discussion.contains("Example"), "\(command)")
            #expect(command.configuration.discussion.contains("  eventstore "), "\(command)")
        }
    }
}
