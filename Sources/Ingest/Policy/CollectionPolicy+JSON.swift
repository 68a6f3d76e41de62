// The policy as a JSON document: strict decoding, and one canonical text for every policy.

import EventStoreCore

extension CollectionPolicy {
    /// Decodes a document. What is not understood is an error that says where it stands.
    package init(json text: [UInt8]) throws(Fault) {
        self.init()
        var keys = PolicyKeys(try PolicyJSONReader.read(text), at: "the policy")
        try keys.mustBeObject()
        guard let version = try keys.integer("version") else {
            throw Fault(.invalid, "the policy has no \"version\"; this program knows \(CollectionPolicy.version)")
        }
        guard version == CollectionPolicy.version else {
            throw Fault(
                version > CollectionPolicy.version ? .tooNew : .invalid,
                "the policy has version \(version), this program knows \(CollectionPolicy.version)")
        }
        rules = try PolicyRules(&keys)
        if var types = try keys.object("types") {
            for name in types.names {
                try PolicyKeys.check(name, max: Limits.typeNameBytesMax + 2, at: types.place)
                guard var type = try types.object(name) else { continue }
                self.types[name] = try PolicyTypeRules(&type)
            }
        }
        try keys.finish()
        let count = rules.attributes.count + types.values.reduce(types.count) { $0 + $1.ruleCount }
        guard count <= Limits.policyRulesMax else {
            throw Fault(.invalid, "a policy has at most \(Limits.policyRulesMax) rules, this one has \(count)")
        }
    }

    package init(json text: String) throws(Fault) { try self.init(json: Array(text.utf8)) }

    /// The canonical text: keys in a fixed order, names sorted by their bytes, findings written out in full.
    package var json: String {
        var text = "{\n  \"version\": \(CollectionPolicy.version)"
        let full = CollectionPolicy.findings.map { ($0, rules.findings[$0] ?? CollectionPolicy.defaultAction($0)) }
        text += ",\n  \"findings\": " + PolicyText.object(full.map { ($0.0.rawValue, $0.1) }, indent: 2)
        text += ",\n  \"attributes\": " + PolicyText.attributes(rules.attributes, indent: 2)
        text += ",\n  \"types\": {"
        for (index, name) in types.keys.sorted(by: PolicyText.precedes).enumerated() {
            text += index == 0 ? "\n" : ",\n"
            text += "    " + PolicyText.quoted(name) + ": " + (types[name] ?? PolicyTypeRules()).json
        }
        return text + (types.isEmpty ? "}\n}\n" : "\n  }\n}\n")
    }
}

extension PolicyRules {
    fileprivate init(_ keys: inout PolicyKeys) throws(Fault) {
        self.init()
        if var found = try keys.object("findings") {
            for finding in CollectionPolicy.findings {
                guard let action = try found.action(finding.rawValue) else { continue }
                guard CollectionPolicy.allows(action, for: finding) else {
                    throw Fault(.invalid, "\(found.place): \"\(action.rawValue)\" is no action for \(finding.rawValue)")
                }
                findings[finding] = action
            }
            try found.finish()
        }
        if var found = try keys.object("attributes") {
            for name in found.names {
                try PolicyKeys.check(name, max: Limits.attributeNameBytesMax + 2, at: found.place)
                if let action = try found.action(name) { attributes[name] = action }
            }
        }
    }
}

extension PolicyTypeRules {
    fileprivate init(_ keys: inout PolicyKeys) throws(Fault) {
        self.init()
        if let action = try keys.action("action") {
            guard [.keep, .refuse].contains(action) else {
                throw Fault(.invalid, "\(keys.place): the action of a type is \"keep\" or \"refuse\"")
            }
            isRefused = action == .refuse
        }
        only = try keys.strings("only")
        rules = try PolicyRules(&keys)
        try keys.finish()
        for name in only ?? [] {
            try PolicyKeys.check(name, max: Limits.attributeNameBytesMax + 2, at: keys.place + ".only")
        }
    }

    fileprivate var ruleCount: Int { rules.attributes.count + (only?.count ?? 0) }

    fileprivate var json: String {
        var parts: [String] = []
        if isRefused { parts.append("\"action\": \"refuse\"") }
        if let only {
            let names = Set(only).sorted(by: PolicyText.precedes).map { PolicyText.quoted($0) }
            parts.append("\"only\": [" + names.joined(separator: ", ") + "]")
        }
        let findings = CollectionPolicy.findings.compactMap { finding in
            rules.findings[finding].map { (finding.rawValue, $0) }
        }
        if !findings.isEmpty { parts.append("\"findings\": " + PolicyText.object(findings, indent: 6)) }
        if !rules.attributes.isEmpty {
            parts.append("\"attributes\": " + PolicyText.attributes(rules.attributes, indent: 6))
        }
        return parts.isEmpty ? "{}" : "{\n      " + parts.joined(separator: ",\n      ") + "\n    }"
    }
}

/// The members of one object of the document. What nobody asked for is an error.
private struct PolicyKeys {
    private let value: PolicyJSON
    private var members: [String: PolicyJSON] = [:]
    private(set) var names: [String] = []
    let place: String

    init(_ value: PolicyJSON, at place: String) {
        self.value = value
        self.place = place
        guard case .object(let found) = value else { return }
        names = found.map(\.key)
        for member in found { members[member.key] = member.value }
    }

    func mustBeObject() throws(Fault) {
        guard case .object = value else { throw Fault(.invalid, "\(place) must be an object") }
    }

    static func check(_ name: String, max: Int, at place: String) throws(Fault) {
        guard !name.isEmpty, name != ".*", name.utf8.count <= max else {
            throw Fault(.invalid, "\(place): a name has 1 to \(max - 2) bytes, and may end in .* for all below it")
        }
    }

    private mutating func take(_ key: String) -> PolicyJSON? { members.removeValue(forKey: key) }

    mutating func object(_ key: String) throws(Fault) -> PolicyKeys? {
        guard let value = take(key) else { return nil }
        let keys = PolicyKeys(value, at: place == "the policy" ? key : "\(place).\(key)")
        try keys.mustBeObject()
        return keys
    }

    mutating func integer(_ key: String) throws(Fault) -> Int64? {
        guard let value = take(key) else { return nil }
        guard case .integer(let number) = value else {
            throw Fault(.invalid, "\(place): \"\(key)\" must be a whole number")
        }
        return number
    }

    mutating func strings(_ key: String) throws(Fault) -> [String]? {
        guard let value = take(key) else { return nil }
        guard case .array(let values) = value else { throw Fault(.invalid, "\(place): \"\(key)\" must be a list") }
        var texts: [String] = []
        for value in values {
            guard case .string(let text) = value else {
                throw Fault(.invalid, "\(place): \"\(key)\" must be a list of texts")
            }
            texts.append(text)
        }
        return texts
    }

    mutating func action(_ key: String) throws(Fault) -> PolicyAction? {
        guard let value = take(key) else { return nil }
        guard case .string(let text) = value, let action = PolicyAction(rawValue: text) else {
            let known = PolicyAction.allCases.map(\.rawValue).joined(separator: ", ")
            throw Fault(.invalid, "\(place): \"\(key)\" must be one of \(known)")
        }
        return action
    }

    func finish() throws(Fault) {
        guard let unknown = names.first(where: { members[$0] != nil }) else { return }
        throw Fault(.invalid, "\(place): unknown key \"\(unknown)\"")
    }
}

private enum PolicyText {
    /// Names in the order of their bytes, whatever the language.
    static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = []
        Array(text.utf8).withUnsafeBytes { JSONText.appendQuoted($0, &bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func object(_ members: [(String, PolicyAction)], indent: Int) -> String {
        if members.isEmpty { return "{}" }
        let space = String(repeating: " ", count: indent)
        let lines = members.map { "\(space)  \(quoted($0.0)): \"\($0.1.rawValue)\"" }
        return "{\n" + lines.joined(separator: ",\n") + "\n\(space)}"
    }

    static func attributes(_ rules: [String: PolicyAction], indent: Int) -> String {
        object(rules.sorted { precedes($0.key, $1.key) }.map { ($0.key, $0.value) }, indent: indent)
    }
}
