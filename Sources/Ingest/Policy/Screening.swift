// What screening a batch gives: the rows that may go on, those that may not, and what was left out.

import EventStoreCore

/// A row that the policy refuses.
package struct PolicyRefusal: Sendable, Hashable {
    /// Its number in the batch that was screened.
    package var row: Int
    package var reason: PolicyReason
    package init(row: Int, reason: PolicyReason) {
        self.row = row
        self.reason = reason
    }
}

extension PolicyReason {
    /// The stable word under which refused events are counted.
    package var refusalWord: String { "policy-" + rawValue }

    /// What is said about a refused event. Never a value of it.
    package var refusalSentence: String {
        switch self {
        case .credential: "the collection policy refuses events that carry a credential"
        case .email: "the collection policy refuses events that carry an e-mail address"
        case .body: "the collection policy refuses events that carry the content of a form, page or mail"
        case .database: "the collection policy refuses events that carry contents of a database"
        case .queryString: "the collection policy refuses events that carry a query string"
        case .ip: "the collection policy refuses events that carry an IP address"
        case .notListed: "the collection policy refuses events with attributes that are not on the list of their type"
        case .rule: "the collection policy refuses events of this type or with this attribute"
        }
    }
}

/// One kind of finding in a test of a policy: names and counts, never a value.
package struct PolicyFinding: Sendable, Hashable {
    package var type: String
    /// Empty when the type itself is refused.
    package var attribute: String
    package var reason: PolicyReason
    /// How it was seen: `name`, a look such as `jwt`, or `rule`.
    package var look: String
    package var action: PolicyAction

    package init(type: String, attribute: String, reason: PolicyReason, look: String, action: PolicyAction) {
        self.type = type
        self.attribute = attribute
        self.reason = reason
        self.look = look
        self.action = action
    }
}

package struct Screening: Sendable {
    /// The rows that may go on. The batch that came, untouched, when nothing was found; otherwise a new one, in
    /// which nothing of what was left out is, not even as a name.
    package var batch: RowBatch
    /// In order of row.
    package var refused: [PolicyRefusal] = []
    /// The same by name of entity.
    package var refusedByEntity: [String: Int] = [:]
    /// Values left out or shortened, by reason. Those of refused rows are not among them.
    package var stripped: [PolicyReason: Int] = [:]
    /// Filled by a screener that collects findings: how many values each kind was found in.
    package var findings: [PolicyFinding: Int] = [:]

    package init(batch: RowBatch) { self.batch = batch }

    package var strippedCount: Int { stripped.values.reduce(0, +) }
}
