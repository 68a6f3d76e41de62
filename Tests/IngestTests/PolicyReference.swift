// A slow policy for random tests: rows as dictionaries, and names and values out of lists that say what they are,
// so that it shares no judgement with the code it checks.

import EventStoreCore

@testable import EventStoreIngest

struct PolicyReference {
    struct Name {
        var name: String
        var text: PolicyReason?
        var number: PolicyReason?
        var isPath = false
        var isAround = false
        var isAddress = false
    }

    struct Text {
        var text: String
        var looks: Set<PolicyReason> = []
        /// Without its query, if it has one, and what that looks like.
        var cut: String?
        var cutLooks: Set<PolicyReason> = []
        var withoutEmail: String?
        var truncated: String?
    }

    static let names: [Name] = [
        Name(name: "a"), Name(name: "b.note"), Name(name: "b.status"), Name(name: "token_bucket"),
        Name(name: "username_hash"),
        Name(name: "password", text: .credential, number: .credential), Name(name: "b.cookie", text: .credential),
        Name(name: "userEmail", text: .email), Name(name: "message_body", text: .body),
        Name(name: "sql", text: .database),
        Name(name: "query_string", text: .queryString), Name(name: "path", isPath: true, isAround: true),
        Name(name: "http.referer", isPath: true, isAround: true), Name(name: "user_agent", isAround: true),
        Name(name: "client_ip", isAddress: true),
    ]

    static let texts: [Text] = [
        Text(text: ""), Text(text: "GET"), Text(text: "/wp-login.php"), Text(text: "plain text"),
        Text(text: "/a?b=c", cut: "/a"), Text(text: "?b", cut: ""),
        Text(text: "/r?t=Bearer abc123def456", looks: [.credential], cut: "/r"),
        Text(
            text: "/p/AKIAIOSFODNN7EXAMPLE?x", looks: [.credential], cut: "/p/AKIAIOSFODNN7EXAMPLE",
            cutLooks: [.credential]),
        Text(text: PolicyValueTests.jwt, looks: [.credential]),
        Text(text: "bob@example.org", looks: [.email], withoutEmail: ""),
        Text(text: "to bob@example.org!", looks: [.email], withoutEmail: "to !"),
        Text(
            text: "/u/bob@example.org?x", looks: [.email], cut: "/u/bob@example.org", cutLooks: [.email],
            withoutEmail: "/u/"),
        Text(
            text: "Basic dXNlcjpwYXNz for bob@example.org", looks: [.credential, .email],
            withoutEmail: "Basic dXNlcjpwYXNz for "),
        Text(text: "<html><body>", looks: [.body]), Text(text: "SELECT a FROM b WHERE c = 'x'", looks: [.database]),
        Text(text: "192.0.2.17", truncated: "192.0.2.0"), Text(text: "192.0.2.0"),
        Text(text: "2001:db8::5", truncated: "2001:db8::"),
    ]

    static func rows(_ random: inout TestRandom, count: Int) -> [Row] {
        (0..<count).map { number in
            var attributes: [String: Value] = [:]
            for _ in 0..<random.below(6) {
                let name = random.pick(names).name
                switch random.below(8) {
                case 0: attributes[name] = .integer(Int64(random.below(100)))
                case 1: attributes[name] = .bool(random.below(2) == 0)
                case 2: attributes[name] = .number(Double(random.below(100)) / 4)
                default: attributes[name] = .string(random.pick(texts).text)
                }
            }
            return Row(
                entity: "e\(random.below(3))", type: random.pick(["t.a", "t.b", "u"]), timestamp: Int64(number),
                id: EventID(high: 7, low: UInt64(number)), flags: 0, attributes: attributes)
        }
    }

    static func policy(_ random: inout TestRandom) -> CollectionPolicy {
        var policy = CollectionPolicy()
        if random.below(6) == 0 { return policy }
        policy.rules = rules(&random)
        for type in ["t.a", "t.*", "u"] where random.below(3) == 0 {
            var special = PolicyTypeRules()
            special.rules = rules(&random)
            special.isRefused = random.below(5) == 0
            if random.below(3) == 0 { special.only = (0..<6).map { _ in random.pick(names).name } + ["b.*"] }
            policy.types[type] = special
        }
        return policy
    }

    private static func rules(_ random: inout TestRandom) -> PolicyRules {
        var rules = PolicyRules()
        for finding in CollectionPolicy.findings where random.below(3) == 0 {
            rules.findings[finding] = random.pick(
                PolicyAction.allCases.filter { CollectionPolicy.allows($0, for: finding) })
        }
        for _ in 0..<random.below(4) {
            rules.attributes[random.below(5) == 0 ? "b.*" : random.pick(names).name] = random.pick(
                PolicyAction.allCases)
        }
        return rules
    }

    // MARK: Judging

    let policy: CollectionPolicy
    init(_ policy: CollectionPolicy) { self.policy = policy }

    struct Result {
        var kept: [Row] = []
        var refused: [Int] = []
        var stripped: [PolicyReason: Int] = [:]
    }

    private enum Verdict {
        case keep(Value, [PolicyReason])
        case strip(PolicyReason)
        case refuse
    }

    func screen(_ rows: [Row]) -> Result {
        var result = Result()
        for (number, row) in rows.enumerated() {
            let type = policy.types[row.type] ?? (row.type.hasPrefix("t.") ? policy.types["t.*"] : nil)
            var kept = row
            var stripped: [PolicyReason] = []
            var isRefused = type?.isRefused ?? false
            for (name, value) in row.attributes {
                switch judge(name, value, type) {
                case .keep(let value, let reasons):
                    kept.attributes[name] = value
                    stripped += reasons
                case .strip(let reason):
                    kept.attributes[name] = nil
                    stripped.append(reason)
                case .refuse: isRefused = true
                }
            }
            if isRefused {
                result.refused.append(number)
            } else {
                result.kept.append(kept)
                for reason in stripped { result.stripped[reason, default: 0] += 1 }
            }
        }
        return result
    }

    private func rule(_ name: String, _ rules: [String: PolicyAction]?) -> PolicyAction? {
        rules?[name] ?? (name.hasPrefix("b.") ? rules?["b.*"] : nil)
    }

    private func judge(_ name: String, _ value: Value, _ type: PolicyTypeRules?) -> Verdict {
        func action(_ finding: PolicyReason) -> PolicyAction {
            type?.rules.findings[finding] ?? policy.rules.findings[finding] ?? CollectionPolicy.defaultAction(finding)
        }
        let own = rule(name, type?.rules.attributes)
        if own == nil, let only = type?.only, !only.contains(name), !name.hasPrefix("b.") { return .strip(.notListed) }
        let rule = own ?? rule(name, policy.rules.attributes)
        if rule == .keep { return .keep(value, []) }
        if rule == .strip { return .strip(.rule) }
        if rule == .refuse { return .refuse }
        guard let known = PolicyReference.names.first(where: { $0.name == name }) else { return .keep(value, []) }
        guard case .string(let text) = value else {
            var isNumber = true
            if case .bool = value { isNumber = false }
            guard rule == nil, isNumber, let reason = known.number, action(reason) != .keep else {
                return .keep(value, [])
            }
            return action(reason) == .refuse ? .refuse : .strip(reason)
        }
        if rule == nil, let reason = known.text, action(reason) != .keep {
            return action(reason) == .refuse ? .refuse : .strip(reason)
        }
        guard let entry = PolicyReference.texts.first(where: { $0.text == text }) else { return .keep(value, []) }
        return judge(entry, known, rule, action)
    }

    private func judge(
        _ entry: Text, _ name: Name, _ rule: PolicyAction?, _ action: (PolicyReason) -> PolicyAction
    ) -> Verdict {
        var text = entry.text
        var looks = entry.looks
        var reasons: [PolicyReason] = []
        if let cut = entry.cut, name.isPath || rule == .cutQuery {
            switch rule == .cutQuery ? .cutQuery : action(.queryString) {
            case .strip: return .strip(.queryString)
            case .refuse: return .refuse
            case .cutQuery:
                if cut.isEmpty { return .strip(.queryString) }
                text = cut
                looks = entry.cutLooks
                reasons.append(.queryString)
            default: break
            }
        }
        var actions: [PolicyReason: PolicyAction] = [:]
        for look in looks { actions[look] = action(look) }
        if name.isAround {
            actions[.database] = nil
            actions[.body] = nil
        }
        if looks.contains(.email), rule == .cutEmail || name.isAround && action(.email) == .strip {
            actions[.email] = .cutEmail
        }
        let address = rule == .truncateIP ? .truncateIP : name.isAddress ? action(.ip) : .keep
        let isAddress = entry.truncated != nil || entry.text == "192.0.2.0"
        if actions.values.contains(.refuse) || isAddress && address == .refuse { return .refuse }
        for reason in [PolicyReason.credential, .email, .body, .database] where actions[reason] == .strip {
            return .strip(reason)
        }
        if isAddress, address == .strip { return .strip(.ip) }
        if actions[.email] == .cutEmail {
            text = entry.withoutEmail ?? text
            // The query that was not cut stays.
            if reasons.isEmpty, entry.cut != nil { text += "?x" }
            if text.isEmpty { return .strip(.email) }
            reasons.append(.email)
        }
        if address == .truncateIP, let truncated = entry.truncated {
            text = truncated
            reasons.append(.ip)
        }
        return .keep(.string(text), reasons)
    }
}
