// The collection policy at the doors of a store: which one holds, where it is kept, and screeners for appends.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreIngest
import Synchronization

/// The policy in force. Imports take its screen when they begin; appends borrow a screener each.
final class PolicyGate: Sendable {
    private struct State {
        var screen: PolicyScreen
        /// Screeners nobody uses; all of the screen above.
        var idle: [BatchScreener] = []
        var generation = 0
    }

    private let state: Mutex<State>
    private static let idleMax = 16

    init(_ policy: CollectionPolicy) { state = Mutex(State(screen: PolicyScreen(policy))) }

    var screen: PolicyScreen { state.withLock { $0.screen } }

    func replace(_ policy: CollectionPolicy) {
        let screen = PolicyScreen(policy)
        state.withLock { state in
            state.screen = screen
            state.idle = []
            state.generation += 1
        }
    }

    func screening(_ batch: RowBatch) -> Screening {
        let (screener, generation) = state.withLock { state in
            (state.idle.popLast() ?? BatchScreener(state.screen), state.generation)
        }
        let result = screener.screen(batch)
        state.withLock { state in
            if state.generation == generation, state.idle.count < PolicyGate.idleMax { state.idle.append(screener) }
        }
        return result
    }
}

/// The policy's place in the catalog: a document sealed under the key of names.
enum StoredPolicy {
    static let name = "policy"

    /// The store's policy; the default when none was ever set.
    static func load(_ context: ReadContext) throws(Fault) -> CollectionPolicy {
        let sealed = try context.catalog.read { (reader) throws(Fault) in try reader.document(name) }
        guard let sealed, !sealed.isEmpty else { return CollectionPolicy() }
        let text = try SealedValue.open(
            sealed, key: context.keyring.subkey(.names), aad: NameSealing.document(name))
        do throws(Fault) {
            return try CollectionPolicy(json: text)
        } catch {
            guard error.code == .invalid else { throw error }
            throw Fault(.damaged, "the stored collection policy does not decode", cause: error)
        }
    }

    static func sealed(_ policy: CollectionPolicy, _ context: ReadContext) throws(Fault) -> [UInt8] {
        try SealedValue.seal(
            Array(policy.json.utf8), key: context.keyring.subkey(.names), aad: NameSealing.document(name),
            context.environment)
    }
}

extension RowVerdict {
    init(_ reason: PolicyReason) {
        switch reason {
        case .credential: self = .policyCredential
        case .email: self = .policyEmail
        case .body: self = .policyBody
        case .database: self = .policyDatabase
        case .queryString: self = .policyQueryString
        case .ip: self = .policyIP
        case .notListed: self = .policyNotListed
        case .rule: self = .policyRule
        }
    }

    var policyReason: PolicyReason? {
        switch self {
        case .policyCredential: .credential
        case .policyEmail: .email
        case .policyBody: .body
        case .policyDatabase: .database
        case .policyQueryString: .queryString
        case .policyIP: .ip
        case .policyNotListed: .notListed
        case .policyRule: .rule
        default: nil
        }
    }
}

extension StoreEngine {
    /// The canonical text of the policy in force.
    func policyText() throws(Fault) -> String {
        try requireOpen()
        return try StoredPolicy.load(context).json
    }

    /// Takes a policy from now on. What is stored already stays as it is.
    func setPolicy(json: String) throws(Fault) {
        let lane = try writer()
        let policy = try CollectionPolicy(json: json)
        let sealed = try StoredPolicy.sealed(policy, context)
        try lane.exclusively { () throws(Fault) in
            var change = CatalogChange()
            change.setDocuments[StoredPolicy.name] = sealed
            try lane.record(
                [
                    AuditEntry(
                        operation: "policy.set", entity: nil, blindName: nil, reason: nil, details: [:], actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
        }
        self.policy.replace(policy)
    }

    /// Reads an import's sources and says what a policy would do about them; nothing is stored.
    func testPolicy(
        _ request: ImportRequest, json: String?, progress: (@Sendable (ImportProgress) -> Void)?
    ) throws(Fault) -> PolicyTestReport {
        try requireOpen()
        guard !request.sources.isEmpty else { throw Fault(.invalid, "a test needs a source") }
        let policy: CollectionPolicy
        if let json {
            policy = try CollectionPolicy(json: json)
        } else {
            policy = try StoredPolicy.load(context)
        }
        let feed = try ImportFeed(
            request, context, policy: PolicyScreen(policy), collectsFindings: true, progress: progress)
        var isLast = false
        while !isLast { isLast = try feed.parse(rows: StoreEngine.testRows).isLast }
        if let damage = feed.damage { throw damage }
        return PolicyTestReport(feed)
    }

    private static let testRows = 65_536
}

extension PolicyTestReport {
    init(_ feed: ImportFeed) {
        var report = ImportReport()
        feed.fill(&report)
        read = report.read
        strippedByReason = report.strippedByReason
        let words = Dictionary(PolicyReason.allCases.map { ($0.refusalWord, $0.rawValue) }) { first, _ in first }
        for (word, count) in report.refusedByReason {
            if let reason = words[word] {
                refusedByReason[reason] = count
            } else {
                unreadable += count
            }
        }
        findings = feed.findings.map { found, count in
            Finding(
                type: found.type, attribute: found.attribute, reason: found.reason.rawValue, look: found.look,
                action: found.action.rawValue, count: count)
        }.sorted { a, b in
            (b.count, a.type, a.attribute, a.look, a.reason) < (a.count, b.type, b.attribute, b.look, b.reason)
        }
    }
}
