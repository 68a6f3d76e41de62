// What a store collects and what it never takes in: the document, as docs/policy.md describes it.
//
// A document is data only. `PolicyScreen` makes it fit for work.

import EventStoreCore

/// Why something was not taken in. Raw values are printed, counted under and never change their meaning.
package enum PolicyReason: String, Sendable, CaseIterable, Hashable {
    /// A password, token, cookie, key or the like.
    case credential
    /// An e-mail address.
    case email
    /// What somebody wrote: a form, a page, a mail.
    case body
    /// What stands in a database.
    case database
    /// The query string of a path or a referrer.
    case queryString = "query-string"
    /// The rest of an address of the internet protocol.
    case ip
    /// Not on the allow-list of its type.
    case notListed = "not-listed"
    /// A rule of the document names it.
    case rule
}

/// What is done about an attribute. Raw values are those of the document.
package enum PolicyAction: String, Sendable, CaseIterable, Hashable {
    case keep
    /// The attribute is left out; the event stays.
    case strip
    /// The whole event is refused.
    case refuse
    /// Everything from the first `?` or `#` on is cut off.
    case cutQuery = "cut-query"
    /// E-mail addresses are cut out; the rest of the text stays.
    case cutEmail = "cut-email"
    /// Addresses lose their last 8 bits (IPv4) or 64 bits (IPv6).
    case truncateIP = "truncate-ip"
}

/// The rules for attributes by name, and actions for what is found. Used for all types, and for one.
package struct PolicyRules: Sendable, Hashable {
    /// By full attribute name, or `prefix.*` for all names below a prefix.
    package var attributes: [String: PolicyAction] = [:]
    /// What to do about a finding; what is not named here falls back: a type's to the document's, those to the default.
    package var findings: [PolicyReason: PolicyAction] = [:]

    package init() {}
}

/// What is special about a type, or about all types below a prefix (`form.*`).
package struct PolicyTypeRules: Sendable, Hashable {
    /// Events of this type are refused.
    package var isRefused = false
    /// Only these attributes are kept (names, or `prefix.*`); findings in them are still findings.
    package var only: [String]?
    package var rules = PolicyRules()

    package init() {}
}

/// The collection policy of a store.
package struct CollectionPolicy: Sendable, Hashable {
    package static let version = 1

    package var rules = PolicyRules()
    /// By type, or `prefix.*`.
    package var types: [String: PolicyTypeRules] = [:]

    /// The default: every finding is stripped, query strings are cut, addresses of the internet protocol stay.
    package init() {}

    /// Findings a document may set an action for.
    package static let findings: [PolicyReason] = [.credential, .email, .body, .database, .queryString, .ip]

    package static func defaultAction(_ finding: PolicyReason) -> PolicyAction {
        switch finding {
        case .queryString: .cutQuery
        case .ip: .keep
        default: .strip
        }
    }

    /// The actions that make sense for a finding.
    package static func allows(_ action: PolicyAction, for finding: PolicyReason) -> Bool {
        switch action {
        case .keep, .strip, .refuse: true
        case .cutQuery: finding == .queryString
        case .cutEmail: finding == .email
        case .truncateIP: finding == .ip
        }
    }
}

/// Whether a pattern of a document, a name or `prefix.*`, covers a name. Prefixes end at a dot.
enum PolicyPattern {
    static func prefix(_ pattern: String) -> String? {
        pattern.hasSuffix(".*") && pattern.utf8.count > 2 ? String(pattern.dropLast()) : nil
    }

    static func covers(_ pattern: String, _ name: String) -> Bool {
        if let prefix = prefix(pattern) { return name.utf8.starts(with: prefix.utf8) }
        return name == pattern
    }

    /// The entry for a name: its own, or that of the longest prefix.
    static func find<Value>(_ name: String, in entries: [String: Value]) -> Value? {
        if let own = entries[name] { return own }
        if entries.isEmpty { return nil }
        var end = name.utf8.endIndex
        while let dot = name.utf8[..<end].lastIndex(of: 0x2e) {
            if let value = entries[String(name[...dot]) + "*"] { return value }
            end = dot
        }
        return nil
    }
}
