// Screening of batches: what goes on, what does not, what is counted; random batches against a slow reference.

import EventStoreCore
import Testing

@testable import EventStoreIngest

@Suite struct PolicyScreenTests {
    static func batch(_ rows: [Row]) -> RowBatch {
        let batch = RowBatch()
        var builder = RowBatchBuilder(batch)
        for row in rows {
            for (name, value) in row.attributes.sorted(by: { $0.key < $1.key }) {
                let code = batch.attributes.intern(name)
                switch value {
                case .string(let text):
                    builder.add(ColumnKey(attribute: code, kind: .string), UInt64(batch.strings.intern(text)))
                case .json(let text):
                    builder.add(ColumnKey(attribute: code, kind: .json), UInt64(batch.strings.intern(text)))
                case .integer(let number):
                    builder.add(ColumnKey(attribute: code, kind: .integer), UInt64(bitPattern: number))
                case .double(let bits): builder.add(ColumnKey(attribute: code, kind: .double), bits)
                case .bool(let flag): builder.add(ColumnKey(attribute: code, kind: .bool), flag ? 1 : 0)
                }
            }
            builder.finishRow(
                entity: batch.entities.intern(row.entity), type: batch.types.intern(row.type), timestamp: row.timestamp,
                id: row.id, flags: RowFlags(rawValue: row.flags))
        }
        return batch
    }

    static func row(_ type: String, _ attributes: [String: Value], at time: Int64 = 1) -> Row {
        Row(
            entity: "e.example", type: type, timestamp: time, id: EventID(high: 1, low: UInt64(time)), flags: 0,
            attributes: attributes)
    }

    /// The attributes of one event after screening; `nil` when it is refused.
    private func screen(
        _ attributes: [String: Value], type: String = "t", _ policy: String = #"{"version":1}"#
    ) throws -> [String: Value]? {
        let screen = PolicyScreen(try CollectionPolicy(json: policy))
        return rows(of: screen.screen(PolicyScreenTests.batch([PolicyScreenTests.row(type, attributes)])).batch).first?
            .attributes
    }

    @Test func untouchedBatchesGoOnAsTheyAre() {
        let batch = PolicyScreenTests.batch([
            PolicyScreenTests.row(
                "http.request", ["path": .string("/wp-login.php"), "status": .integer(200), "mfa": .bool(true)]),
            PolicyScreenTests.row(
                "auth.attempt", ["method": .string("password"), "username_hash": .string("4813494d137e")]),
            PolicyScreenTests.row("password_reset", ["token_bucket": .integer(5), "password": .bool(true)]),
        ])
        let screening = PolicyScreen().screen(batch)
        #expect(screening.batch === batch)
        #expect(screening.stripped.isEmpty && screening.refused.isEmpty)
        let empty = RowBatch()
        #expect(PolicyScreen().screen(empty).batch === empty)
    }

    @Test func whatIsStrippedLeavesNoTrace() {
        let batch = PolicyScreenTests.batch([
            PolicyScreenTests.row(
                "t", ["password": .string("hunter2"), "a": .string("kept"), "note": .string("bob@example.org")]),
            PolicyScreenTests.row("t", ["a": .string("other"), "path": .string("/p?x=1")], at: 2),
        ])
        let screening = PolicyScreen().screen(batch)
        #expect(screening.batch !== batch)
        #expect(screening.stripped == [.credential: 1, .email: 1, .queryString: 1])
        let after = screening.batch
        #expect((0..<after.attributes.count).map { after.attributes.string($0) }.sorted() == ["a", "path"])
        #expect((0..<after.strings.count).map { after.strings.string($0) }.sorted() == ["/p", "kept", "other"])
        let before = rows(of: batch)
        for (old, new) in zip(before, rows(of: after)) { #expect(old.id == new.id && old.timestamp == new.timestamp) }
    }

    @Test func oneTextUnderSeveralNames() throws {
        let text = Value.string("/a?b=c")
        #expect(try screen(["path": text, "note": text]) == ["path": .string("/a"), "note": text])
        // A token within the query goes with the query; one in the path takes the path along.
        let token = PolicyValueTests.jwt
        #expect(try screen(["path": .string("/reset?t=" + token)]) == ["path": .string("/reset")])
        #expect(try screen(["path": .string("/reset/" + token + "?x"), "a": .bool(true)]) == ["a": .bool(true)])
        #expect(try screen(["path": .string("?x=1"), "a": .bool(true)]) == ["a": .bool(true)])
        // The maker of a robot, but not somebody in a message.
        #expect(
            try screen(["user_agent": .string("Bot (a@b.org)"), "message": .string("x a@b.org")]) == [
                "user_agent": .string("Bot ()")
            ])
        #expect(
            try screen(["tags": .json(#"["a\u0040b.org"]"#), "urls": .json(#"["/x?y"]"#)]) == [
                "urls": .json(#"["/x"]"#)
            ])
        // Attacks stay where they are looked for.
        let attack = Value.string("/x' UNION SELECT a FROM b WHERE c = 'd' <form>")
        #expect(try screen(["path": attack]) == ["path": attack])
        #expect(try screen(["message": attack, "a": .bool(true)]) == ["a": .bool(true)])
    }

    @Test func namesThatAreFindings() throws {
        #expect(
            try screen(["visits.bob@example.org": .integer(3), "visits.total": .integer(4)]) == [
                "visits.total": .integer(4)
            ])
        #expect(try screen(["AKIAIOSFODNN7EXAMPLE": .bool(true)]) == [:])
    }

    @Test func rulesOfTheDocument() throws {
        let secret = Value.string("hunter2")
        #expect(try screen(["token": secret], #"{"version":1,"attributes":{"token":"keep"}}"#) == ["token": secret])
        #expect(
            try screen(["a.b": secret, "c": secret], #"{"version":1,"attributes":{"a.*":"strip"}}"#) == ["c": secret])
        let typed = #"{"version":1,"types":{"t":{"attributes":{"token":"keep"}}}}"#
        #expect(try screen(["token": secret], typed) == ["token": secret])
        #expect(try screen(["token": secret], type: "u", typed) == [:])
        let only = #"{"version":1,"types":{"t.*":{"only":["a","p.*"]}}}"#
        #expect(
            try screen(["a": secret, "p.q": secret, "b": .integer(1), "p.token": secret], type: "t.x", only)
                == ["a": secret, "p.q": secret])
        #expect(try screen(["a": secret], #"{"version":1,"attributes":{"a":"refuse"}}"#) == nil)
        #expect(try screen(["token": secret], #"{"version":1,"findings":{"credential":"refuse"}}"#) == nil)
        #expect(try screen([:], #"{"version":1,"types":{"t":{"action":"refuse"}}}"#) == nil)
        #expect(
            try screen(["x": .string("a?b")], #"{"version":1,"attributes":{"x":"cut-query"}}"#) == ["x": .string("a")])
        #expect(
            try screen(["path": .string("/a?b")], #"{"version":1,"findings":{"query-string":"keep"}}"#) == [
                "path": .string("/a?b")
            ])
        let ip = #"{"version":1,"findings":{"ip":"truncate-ip"}}"#
        #expect(
            try screen(["ip": .string("192.0.2.9"), "version": .string("1.2.3.4")], ip)
                == ["ip": .string("192.0.2.0"), "version": .string("1.2.3.4")])
        #expect(try screen(["ip": .string("192.0.2.9")]) == ["ip": .string("192.0.2.9")])
        #expect(try screen(["ip": .string("192.0.2.9")], #"{"version":1,"findings":{"ip":"strip"}}"#) == [:])
        let off =
            #"{"version":1,"findings":{"credential":"keep","email":"keep","body":"keep","database":"keep","query-string":"keep"}}"#
        let all: [String: Value] = [
            "token": secret, "to": .string("a@b.org"), "body": secret, "sql": secret, "path": .string("/?x"),
        ]
        #expect(try screen(all, off) == all)
    }

    @Test func findingsAreCollectedWithoutValues() {
        let batch = PolicyScreenTests.batch([
            PolicyScreenTests.row(
                "t", ["token": .string("canary"), "note": .string("canary@example.org"), "path": .string("/?canary")])
        ])
        let findings = BatchScreener(PolicyScreen(), collectsFindings: true).screen(batch).findings
        #expect(findings.count == 3)
        #expect(findings.keys.map(\.look).sorted() == ["email", "name", "query"])
        #expect(!"\(findings)".contains("canary"))
    }

    @Test func aScreenerRemembersNamesAcrossBatches() {
        let screener = BatchScreener(PolicyScreen())
        for number in 0..<5 {
            let batch = PolicyScreenTests.batch([
                PolicyScreenTests.row("t\(number % 2)", ["a\(number)": .string("x"), "token": .string("y\(number)")])
            ])
            let after = rows(of: screener.screen(batch).batch)
            #expect(after.map(\.attributes) == [["a\(number)": .string("x")]])
        }
    }

    // MARK: Random batches

    @Test func randomBatchesAgreeWithTheReference() {
        var random = TestRandom()
        print("PolicyScreenTests.randomBatchesAgreeWithTheReference: seed \(random.seed)")
        for _ in 0..<60 {
            let policy = PolicyReference.policy(&random)
            let screener = BatchScreener(PolicyScreen(policy))
            for _ in 0..<3 {
                let input = PolicyReference.rows(&random, count: random.below(60))
                let screening = screener.screen(PolicyScreenTests.batch(input))
                let expected = PolicyReference(policy).screen(input)
                #expect(rows(of: screening.batch) == expected.kept, "\(policy.json)")
                #expect(screening.refused.map(\.row) == expected.refused)
                #expect(screening.stripped == expected.stripped)
            }
        }
    }
}
