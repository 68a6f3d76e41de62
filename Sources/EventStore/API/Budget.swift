// Budgets: how large a store may become, and how much an entity may add a day.

import EventStoreCore

/// What an entity may add on one UTC day, by the time of arrival. `nil` is no limit.
public struct EntityBudget: Sendable, Hashable, Codable {
    public var eventsPerDay: Int?
    /// Bytes of names and values, eight for a number, and 24 an event: not what the events take on disk.
    public var bytesPerDay: Int?
    public init(eventsPerDay: Int? = nil, bytesPerDay: Int? = nil) {
        self.eventsPerDay = eventsPerDay
        self.bytesPerDay = bytesPerDay
    }
}

/// A change of budgets. What is `nil` stays as it is; 0 takes a limit away.
public struct BudgetChange: Sendable, Hashable, Codable {
    /// Bytes all files of the store may take together. Not with `entity`.
    public var maxBytes: Int?
    /// Bytes that are to stay free in its file system. Not with `entity`.
    public var minFree: Int?
    /// The entity whose own budget is meant; `nil` means every entity that has none of its own.
    public var entity: String?
    public var eventsPerDay: Int?
    public var bytesPerDay: Int?
    /// Takes the entity's own budget away before the rest is set: it has that of all again.
    public var resetsEntity = false
    public init(
        maxBytes: Int? = nil, minFree: Int? = nil, entity: String? = nil, eventsPerDay: Int? = nil,
        bytesPerDay: Int? = nil, resetsEntity: Bool = false
    ) {
        self.maxBytes = maxBytes
        self.minFree = minFree
        self.entity = entity
        self.eventsPerDay = eventsPerDay
        self.bytesPerDay = bytesPerDay
        self.resetsEntity = resetsEntity
    }
}

/// The budgets of a store and how much of them is used.
public struct BudgetReport: Sendable, Hashable {
    public struct Entity: Sendable, Hashable {
        public var name: String
        public var budget: EntityBudget
        /// Whether some of it is set for this entity alone.
        public var isOwn: Bool
        /// What arrived since the UTC day began, or since it has had a budget.
        public var events: Int
        /// 0 where no budget in bytes is set.
        public var bytes: Int
    }
    /// Bytes all files may take together; `nil` is no limit.
    public var maxBytes: Int?
    /// Bytes that are to stay free in the file system; `nil` is no limit.
    public var minFree: Int?
    /// Of each entity that has no other.
    public var each: EntityBudget
    /// Bytes of disk the store takes.
    public var storeBytes: Int
    /// Bytes free in its file system.
    public var freeBytes: Int
    /// Entities with a budget of their own or with events today, by name.
    public var entities: [Entity]
}

extension EventStore {
    /// Changes what the store and its entities may take in.
    ///
    /// Durable when it returns, and in force at every door from then on. Nothing that is stored goes for it: beyond the
    /// limits of the store an append throws `disk-full`, beyond those of an entity its events are refused with the
    /// reason `budget`. Counting begins when an entity gets a budget.
    /// - Throws: `invalid` for a negative number; `not-found` for an unknown entity.
    public func setBudget(_ change: BudgetChange) async throws {
        try await offload { try self.blocking.setBudget(change) }
    }

    /// The budgets and how much of them is used. Costs a look at the size of every file.
    public func budget() async throws -> BudgetReport { try await offload { try self.blocking.budget() } }
}

extension BlockingEventStore {
    /// Changes what the store and its entities may take in, from now on.
    public func setBudget(_ change: BudgetChange) throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.setBudget(change) }
    }

    /// The budgets and how much of them is used.
    public func budget() throws(EventStoreError) -> BudgetReport {
        try atTheDoor { () throws(Fault) in try engine.budget() }
    }
}
