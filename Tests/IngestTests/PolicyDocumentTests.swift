// The policy's document: what is understood, what is refused and how that is said, the canonical text.

import EventStoreCore
import Testing

@testable import EventStoreIngest

@Suite struct PolicyDocumentTests {
    static let full = """
        {
          "version": 1,
          "findings": {
            "credential": "refuse",
            "email": "cut-email",
            "body": "strip",
            "database": "keep",
            "query-string": "cut-query",
            "ip": "truncate-ip"
          },
          "attributes": {
            "a \\"quoted\\" name": "strip",
            "payload.*": "keep"
          },
          "types": {
            "form.*": {
              "action": "refuse"
            },
            "http.request": {
              "only": ["path", "status"],
              "findings": {
                "email": "refuse"
              },
              "attributes": {
                "referrer": "keep"
              }
            },
            "x": {}
          }
        }

        """

    @Test func canonicalTextIsAFixedPoint() throws {
        let policy = try CollectionPolicy(json: PolicyDocumentTests.full)
        #expect(policy.json == PolicyDocumentTests.full)
        #expect(policy.types["form.*"]?.isRefused == true)
        #expect(policy.types["http.request"]?.only == ["path", "status"])
        let standard = CollectionPolicy()
        #expect(try CollectionPolicy(json: standard.json).json == standard.json)
        #expect(try CollectionPolicy(json: #"{"version":1}"#).json == standard.json)
    }

    static let wrong: [(String, String)] = [
        ("", "line 1"), ("{", "line 1"), ("[]", "must be an object"), ("{}", "no \"version\""),
        (#"{"version":"1"}"#, "whole number"),
        (#"{"version":1.0}"#, "whole number"), (#"{"version":1}x"#, "nothing more"),
        (#"{"version":1,"version":1}"#, "came twice"),
        (#"{"version":0}"#, "version 0"), (#"{"version":1,"finding":{}}"#, "unknown key \"finding\""),
        (#"{"version":1,"findings":{"mail":"strip"}}"#, "findings: unknown key \"mail\""),
        (#"{"version":1,"findings":{"email":"drop"}}"#, "\"email\" must be one of"),
        (#"{"version":1,"findings":{"email":"cut-query"}}"#, "is no action for email"),
        (#"{"version":1,"findings":[]}"#, "findings must be an object"),
        (#"{"version":1,"attributes":{"a":true}}"#, "\"a\" must be one of"),
        (#"{"version":1,"attributes":{"":"keep"}}"#, "a name has"),
        (#"{"version":1,"types":{"t":{"onyl":[]}}}"#, "types.t: unknown key \"onyl\""),
        (#"{"version":1,"types":{"t":{"only":[1]}}}"#, "list of texts"),
        (#"{"version":1,"types":{"t":{"action":"strip"}}}"#, "the action of a type"),
        (#"{"version":1,"types":{"t":{"findings":{"ips":"keep"}}}}"#, "types.t.findings: unknown key \"ips\""),
        ("{\"version\":1,\n\"a\":\"\t\"}", "line 2"), (#"{"version":1,"a":"\x"}"#, "escape"),
        (#"{"version":01}"#, "whole number"),
        (#"{"version":1,}"#, "a key was expected"),
        ("{\"version\":1,\"attributes\":{\"\\ud800\":\"keep\"}}", "half a character"),
        (String(repeating: "[", count: 100), "too deep"),
    ]

    @Test(arguments: wrong) func isRefused(_ text: String, _ expected: String) {
        let fault = #expect(throws: Fault.self) { try CollectionPolicy(json: text) }
        #expect(fault?.message.contains(expected) == true, "\(fault?.message ?? "")")
        #expect(fault?.code == .invalid)
    }

    @Test func bounds() {
        let newer = #expect(throws: Fault.self) { try CollectionPolicy(json: #"{"version":2}"#) }
        #expect(newer?.code == .tooNew)
        let many = (0...Limits.policyRulesMax).map { "\"a\($0)\":\"keep\"" }.joined(separator: ",")
        #expect(throws: Fault.self) { try CollectionPolicy(json: "{\"version\":1,\"attributes\":{\(many)}}") }
        let long = String(repeating: " ", count: Limits.policyBytesMax) + "{\"version\":1}"
        #expect(throws: Fault.self) { try CollectionPolicy(json: long) }
        #expect(throws: Fault.self) { try CollectionPolicy(json: [0x22, 0xff, 0x22]) }
        let name = String(repeating: "n", count: Limits.attributeNameBytesMax + 3)
        #expect(throws: Fault.self) {
            try CollectionPolicy(json: "{\"version\":1,\"attributes\":{\"\(name)\":\"keep\"}}")
        }
    }

    /// Whatever is changed in a document: an error or a policy, never a trap, and one canonical text.
    @Test func randomChangesNeverTrap() throws {
        var random = TestRandom()
        print("PolicyDocumentTests.randomChangesNeverTrap: seed \(random.seed)")
        for _ in 0..<2000 {
            var text = Array(PolicyDocumentTests.full.utf8)
            for _ in 0..<(1 + random.below(3)) {
                let place = random.below(text.count)
                switch random.below(3) {
                case 0: text[place] = UInt8(random.below(256))
                case 1: text.remove(at: place)
                default: text.insert(contentsOf: text[place..<min(text.count, place + random.below(20))], at: place)
                }
            }
            guard let policy = try? CollectionPolicy(json: text) else { continue }
            #expect(try CollectionPolicy(json: policy.json).json == policy.json)
        }
    }

    @Test func patterns() {
        let entries = ["a": 1, "a.*": 2, "a.b.*": 3, "c.*": 4]
        func find(_ name: String) -> Int? { PolicyPattern.find(name, in: entries) }
        #expect(find("a") == 1)
        #expect(find("a.x") == 2)
        #expect(find("a.b") == 2)
        #expect(find("a.b.c.d") == 3)
        #expect(find("c") == nil)
        #expect(find("cc.d") == nil)
        #expect(find("") == nil)
        #expect(find(".") == nil)
    }
}
