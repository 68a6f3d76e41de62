import EventStoreCore

/// What a collection policy would do about some events: names, counts and the kind of look, never a value.
public struct PolicyTestReport: Sendable {
    /// One attribute of one type in which something was found.
    public struct Finding: Sendable, Hashable {
        public var type: String
        /// Empty when events of the type are refused whatever is in them.
        public var attribute: String
        /// `credential`, `email`, `body`, `database`, `query-string`, `ip`, `not-listed` or `rule`.
        public var reason: String
        /// How it was seen: `name`, `rule`, or what a value looks like, such as `jwt`.
        public var look: String
        /// `strip`, `refuse`, `cut-query`, `cut-email` or `truncate-ip`.
        public var action: String
        /// Values it was found in.
        public var count: Int
    }
    /// Lines looked at.
    public var read = 0
    /// Lines that are refused before the policy sees them.
    public var unreadable = 0
    /// Values that would be left out or shortened.
    public var strippedByReason: [String: Int] = [:]
    /// Events that would be refused.
    public var refusedByReason: [String: Int] = [:]
    /// Most frequent first.
    public var findings: [Finding] = []
    public init() {}
}

extension EventStore {
    /// The collection policy in force, as the canonical JSON text of docs/policy.md.
    public func policyText() async throws -> String { try await offload { try self.blocking.policyText() } }

    /// Takes a collection policy, a JSON document, for everything that is appended or imported from now on.
    ///
    /// Durable when it returns. Events that are stored already stay as they are.
    /// - Throws: `invalid` when the document is not understood, saying where; `read-only`, `disk-full`, `poisoned`.
    public func setPolicy(json: String) async throws {
        try await offload { try self.blocking.setPolicy(json: json) }
    }

    /// What the policy would do about the events of some files. Stores nothing; works on a store opened for reading.
    ///
    /// - Parameter json: another policy to try; `nil` is the one in force.
    public func testPolicy(
        _ request: ImportRequest, json: String? = nil, progress: (@Sendable (ImportProgress) -> Void)? = nil
    ) async throws -> PolicyTestReport {
        try await offload { try self.blocking.testPolicy(request, json: json, progress: progress) }
    }
}

extension BlockingEventStore {
    /// The collection policy in force, as the canonical JSON text of docs/policy.md.
    public func policyText() throws(EventStoreError) -> String {
        try atTheDoor { () throws(Fault) in try engine.policyText() }
    }

    /// Takes a collection policy, a JSON document, for everything that is appended or imported from now on.
    public func setPolicy(json: String) throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.setPolicy(json: json) }
    }

    /// What the policy in force, or another, would do about the events of some files. Stores nothing.
    public func testPolicy(
        _ request: ImportRequest, json: String? = nil, progress: (@Sendable (ImportProgress) -> Void)? = nil
    ) throws(EventStoreError) -> PolicyTestReport {
        try atTheDoor { () throws(Fault) in try engine.testPolicy(request, json: json, progress: progress) }
    }
}
