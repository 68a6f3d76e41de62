// The collection policy at every way in: canaries of credentials, addresses and contents never get into a store, are
// counted, and the policy is kept, replaced and tested.

import Foundation
import Testing

@testable import EventStore

@Suite struct PolicyTests {
    static let canary = "qzxcanary"

    /// Attributes that must not come in, each with the canary in name or value.
    static let secrets: [String: AttributeValue] = [
        "password": "qzxcanary1", "user.sessionId": "qzxcanary2", "note_a": "login failed password=qzxcanary3",
        "note_b": "Bearer qzxcanary4AbCdEf", "contact": "qzxcanary@example.org", "payload.body": "qzxcanary5",
        "stmt": "SELECT a FROM b WHERE c = 'qzxcanary6'", "url": "/ok/path?token=qzxcanary7",
        "referrer": "https://h.example/x#qzxcanary8", "list": .json(#"["x","qzxcanary9@example.org"]"#),
        "user_agent": "Bot/1.0 (+qzxcanary10@example.org)", "page": "<html>qzxcanary11</html>",
        "visits.qzxcanary12@example.org": 4, "form_data.qzxcanary13": 5, "dsn": "mysql://u:qzxcanary14@db/x",
        "options": #"a:1:{s:1:"k";s:11:"qzxcanary15";}"#,
    ]
    /// How many values of the above are stripped or shortened.
    static let secretCount = secrets.count
    static let kept: [String: AttributeValue] = [
        "path": "/wp-login.php", "username_hash": "4813494d137e1631", "token_bucket": 5, "password_changed": true,
        "method": "password", "url": "/ok/path", "referrer": "https://h.example/x", "user_agent": "Bot/1.0 (+)",
    ]

    static func event(_ number: Int) -> Event {
        Event(
            entity: "site-\(number % 3).example", type: "password_reset", timestamp: Fixed.day + Int64(number),
            id: Fixed.id(UInt64(number)), attributes: secrets.merging(kept) { secret, _ in secret })
    }

    private func check(_ store: BlockingEventStore, events: Int, _ comment: Comment) throws {
        let all = try store.all()
        #expect(all.count == events, comment)
        for event in all {
            #expect(event.attributes == Self.kept, comment)
            #expect(!"\(event)".contains(Self.canary), comment)
        }
        #expect(
            try !store.names(of: .attribute).contains { $0.contains(Self.canary) || $0.contains("password=") }, comment)
        #expect(try !store.names(of: .attribute).contains("password"), comment)
        let stats = try store.stats()
        #expect(stats.stripped == events * Self.secretCount, comment)
        #expect(stats.strippedByReason["credential"] == events * 5, comment)
        #expect(stats.strippedByReason["email"] == events * 4, comment)
        #expect(stats.strippedByReason["query-string"] == events * 2, comment)
    }

    @Test func noCanaryGetsInByAppend() throws {
        let folder = TestFolder()
        var store = try folder.create()
        let report = try store.append((0..<20).map(Self.event), batchID: "b")
        #expect(report.stored == 20)
        #expect(report.stripped == 20 * Self.secretCount)
        // The first answer again: nothing was stripped a second time.
        let again = try store.append((0..<20).map(Self.event), batchID: "b")
        #expect(again.repeated && again.stripped == 0)
        try check(store, events: 20, "journal")
        try store.flush()
        try check(store, events: 20, "segments")
        try store.close()
        store = try folder.open()
        try check(store, events: 20, "reopened")
        try store.close()
    }

    @Test(arguments: [false, true]) func noCanaryGetsInByImport(_ durable: Bool) throws {
        let folder = TestFolder()
        let store = try folder.create()
        var request = ImportRequest(sources: [
            try folder.write("events.ndjson", (0..<300).map { Self.event($0).line }.joined())
        ])
        request.durable = durable
        request.batchSize = 64
        let report = try store.importEvents(request)
        #expect(report.stored == 300)
        #expect(report.stripped == 300 * Self.secretCount)
        #expect(report.strippedByReason["body"] == 300 * 3)
        try check(store, events: 300, "durable: \(durable)")
        // The same lines again have the same ids and the same content.
        let again = try store.importEvents(request)
        #expect(again.duplicates == 300 && again.conflicts == 0)
        try store.expectClean()
        try store.close()
    }

    @Test func refusedEventsAreToldAndCounted() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setPolicy(
            json: #"{"version":1,"findings":{"credential":"refuse"},"types":{"form.*":{"action":"refuse"}}}"#)
        let events = [
            Event(entity: "e", type: "t", timestamp: Fixed.day, attributes: ["a": 1]),
            Event(entity: "", type: "t", timestamp: Fixed.day),
            Event(entity: "e", type: "t", timestamp: Fixed.day + 1, attributes: ["token": "x", "secret_name": 4]),
            Event(entity: "new", type: "form.sent", timestamp: Fixed.day + 2, attributes: ["b": 1]),
            Event(entity: "e", type: "t", timestamp: Fixed.day + 3, attributes: ["mail_to": "a@b.org"]),
        ]
        let report = try store.append(events)
        let words = report.outcomes.map { outcome -> String in
            if case .refused(let reason, _) = outcome { return reason }
            return "\(outcome)"
        }
        #expect(words == ["stored", "bad-entity", "policy-credential", "policy-rule", "stored"])
        #expect(report.stripped == 1)
        // All refused: nothing to commit but the counts.
        #expect(try store.append([events[2]]).refused == 1)
        let stats = try store.stats()
        #expect(stats.refusedByReason == ["bad-entity": 1, "policy-credential": 2, "policy-rule": 1])
        #expect(stats.strippedByReason == ["email": 1])
        #expect(try store.names(of: .entity) == ["e"])
        #expect(try !store.names(of: .attribute).contains("token"))
        for durable in [false, true] {
            var request = ImportRequest(sources: [
                try folder.write("x.ndjson", events.filter { !$0.entity.isEmpty }.map(\.line).joined())
            ])
            request.durable = durable
            let imported = try store.importEvents(request)
            #expect(imported.refusedByReason == ["policy-credential": 1, "policy-rule": 1])
        }
        try store.close()
    }

    @Test func aBatchIDKeepsThePolicysAnswer() throws {
        let folder = TestFolder()
        let store = try folder.create()
        try store.setPolicy(json: #"{"version":1,"findings":{"credential":"refuse"}}"#)
        let events = [
            Event(entity: "e", type: "t", timestamp: Fixed.day, attributes: ["token": "x"]),
            Event(entity: "e", type: "t", timestamp: Fixed.day, attributes: ["a": "x"]),
        ]
        let first = try store.append(events, batchID: "b")
        try store.setPolicy(json: #"{"version":1}"#)
        let second = try store.append(events, batchID: "b")
        #expect(second.outcomes == first.outcomes && second.repeated)
        #expect(first.refused == 1 && first.stored == 1)
        try store.close()
    }

    @Test func policiesAreKeptSealedAndReplaced() throws {
        let folder = TestFolder()
        var store = try folder.create()
        let standard = try store.policyText()
        #expect(standard.contains(#""credential": "strip""#))
        try store.setPolicy(json: #"{"version":1,"attributes":{"qzxcanary_name":"keep","token":"keep"}}"#)
        #expect(code { try store.setPolicy(json: #"{"version":1,"atributes":{}}"#) } == "invalid")
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day, attributes: ["token": "x"])])
        #expect(try store.all().first?.attributes == ["token": "x"])
        try store.close()
        for file in TestFolder.files(below: folder.store) {
            let bytes = try TestFolder.bytes(folder.store + "/" + file)
            #expect(Data(bytes).range(of: Data("qzxcanary_name".utf8)) == nil, "\(file)")
        }
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.policyText().contains("qzxcanary_name"))
        #expect(code { try reader.setPolicy(json: standard) } == "read-only")
        try reader.close()
        store = try folder.open()
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day + 1, attributes: ["token": "y"])])
        _ = try store.perform(.setPolicy(json: standard))
        try store.append([Event(entity: "e", type: "t", timestamp: Fixed.day + 2, attributes: ["token": "z"])])
        #expect(try store.all().map { $0.attributes["token"] } == ["x", "y", nil])
        #expect(try store.policyText() == standard)
        try store.close()
    }

    @Test func aTestStoresNothingAndShowsNoValue() throws {
        let folder = TestFolder()
        let store = try folder.create()
        let lines = (0..<50).map { Self.event($0).line }.joined() + "not json\n"
        let request = ImportRequest(sources: [try folder.write("events.ndjson", lines)])
        let report = try store.testPolicy(request)
        #expect(report.read == 51 && report.unreadable == 1)
        #expect(report.strippedByReason.values.reduce(0, +) == 50 * Self.secretCount)
        #expect(report.findings.count == Self.secretCount)
        #expect(report.findings.allSatisfy { $0.count == 50 && $0.type == "password_reset" })
        let values = report.findings.map { "\($0.look) \($0.action) \($0.reason)" }.joined()
        #expect(!values.contains(Self.canary))
        let strict = try store.testPolicy(
            request, json: #"{"version":1,"types":{"password_*":{},"password_reset":{"action":"refuse"}}}"#)
        #expect(strict.refusedByReason == ["rule": 50] && strict.strippedByReason.isEmpty)
        #expect(try store.stats().events == 0 && store.stats().stripped == 0)
        try store.close()
    }
}
