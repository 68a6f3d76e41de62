// A policy made fit for work: its rules by number, and what they say about one attribute of one type.

import EventStoreCore

/// Immutable; any number of threads screen with one.
package struct PolicyScreen: Sendable {
    package let policy: CollectionPolicy
    /// Number 0 is for types without rules of their own.
    let rules: [RuleSet]
    private let exactTypes: [String: Int]

    /// Everything that holds for a type.
    struct RuleSet: Sendable {
        var isRefused = false
        var only: [String: Bool]?
        /// The type's own rules by name, then the document's.
        var own: [String: PolicyAction]
        var general: [String: PolicyAction]
        var findings: [PolicyReason: PolicyAction]

        func action(_ finding: PolicyReason) -> PolicyAction {
            findings[finding] ?? CollectionPolicy.defaultAction(finding)
        }
    }

    package init(_ policy: CollectionPolicy) {
        self.policy = policy
        var rules = [RuleSet(own: [:], general: policy.rules.attributes, findings: policy.rules.findings)]
        var numbers: [String: Int] = [:]
        for (name, type) in policy.types {
            var set = rules[0]
            set.isRefused = type.isRefused
            if let only = type.only { set.only = Dictionary(only.map { ($0, true) }) { first, _ in first } }
            set.own = type.rules.attributes
            set.findings.merge(type.rules.findings) { _, own in own }
            numbers[name] = rules.count
            rules.append(set)
        }
        self.rules = rules
        exactTypes = numbers
    }

    package init() { self.init(CollectionPolicy()) }

    /// The number of a type's rules.
    func ruleSet(ofType name: String) -> Int { PolicyPattern.find(name, in: exactTypes) ?? 0 }

    /// Screens one batch. Threads that screen many keep a `BatchScreener` each: it remembers names.
    package func screen(_ batch: RowBatch) -> Screening { BatchScreener(self).screen(batch) }
}

/// What happens to the values of one attribute in one type.
struct ColumnDecision: Sendable {
    enum Effect: Sendable, Hashable {
        case pass
        case strip(PolicyReason)
        case refuse(PolicyReason)
    }

    /// By kind of value, decided by the name alone.
    var text = Effect.pass
    var number = Effect.pass
    var bool = Effect.pass
    /// How the name led to it: `name` or `rule`.
    var cause = "name"

    /// What text is looked at for, if it passes.
    var looks = Looks()
    var credential = PolicyAction.keep
    var email = PolicyAction.keep
    var body = PolicyAction.keep
    var database = PolicyAction.keep
    var query = PolicyAction.keep
    var address = PolicyAction.keep
    var path = NameMeaning.Path.no
    var isStatement = false

    func effect(_ kind: ValueKind) -> Effect {
        switch kind {
        case .string, .json: text
        case .integer, .double: number
        case .bool: bool
        }
    }

    private mutating func setAll(_ effect: Effect) {
        text = effect
        number = effect
        bool = effect
    }

    init(_ name: String, _ meaning: NameMeaning, _ rules: PolicyScreen.RuleSet) {
        let own = PolicyPattern.find(name, in: rules.own)
        if own == nil, let only = rules.only, PolicyPattern.find(name, in: only) == nil {
            setAll(.strip(.notListed))
            cause = "rule"
            return
        }
        let rule = own ?? PolicyPattern.find(name, in: rules.general)
        switch rule {
        case .keep: return
        case .strip, .refuse:
            setAll(rule == .strip ? .strip(.rule) : .refuse(.rule))
            cause = "rule"
            return
        case .cutQuery, .cutEmail, .truncateIP, nil: break
        }
        if rule == nil { judge(meaning, rules) }
        watch(meaning, rules, rule)
    }

    /// What the name alone decides.
    private mutating func judge(_ meaning: NameMeaning, _ rules: PolicyScreen.RuleSet) {
        func effect(_ reason: PolicyReason?) -> Effect {
            guard let reason else { return .pass }
            switch rules.action(reason) {
            case .keep: return .pass
            case .refuse: return .refuse(reason)
            // Of a name that says it is an address, nothing stays to be cut.
            case .strip, .cutQuery, .cutEmail, .truncateIP: return .strip(reason)
            }
        }
        text = effect(meaning.text)
        number = effect(meaning.number)
        bool = effect(meaning.bool)
    }

    /// What values are looked at for.
    private mutating func watch(_ meaning: NameMeaning, _ rules: PolicyScreen.RuleSet, _ rule: PolicyAction?) {
        credential = rules.action(.credential)
        email = rules.action(.email)
        body = rules.action(.body)
        database = rules.action(.database)
        query = rule == .cutQuery ? .cutQuery : rules.action(.queryString)
        address = rule == .truncateIP ? .truncateIP : rules.action(.ip)
        path = rule == .cutQuery ? .yes : meaning.path
        isStatement = meaning.isStatement
        // The address of a robot's maker, or in a path, is cut out: the rest tells nothing of anybody.
        let isAround = meaning.isUserAgent || meaning.path == .yes
        if rule == .cutEmail || isAround && email == .strip { email = .cutEmail }
        if credential != .keep { looks.formUnion(Looks.credentials) }
        if email != .keep { looks.insert(.email) }
        // What stands there was asked for, not answered: attacks with SQL and markup are what an operator looks for.
        if isAround { database = .keep }
        if isAround || isStatement { body = .keep }
        if body != .keep { looks.formUnion(Looks.bodies) }
        if database != .keep { looks.formUnion(isStatement ? [Looks.databases, .any] : Looks.databases) }
        if path == .no { query = .keep }
        if query != .keep { looks.insert(.query) }
        if !(meaning.isAddress || rule == .truncateIP) { address = .keep }
        if address != .keep { looks.insert(.any) }
    }
}
