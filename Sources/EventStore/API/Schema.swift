import EventStoreCore

/// What the events of a store look like: the analyst's first question.
public struct StoreSchema: Sendable {
    /// By falling number of events.
    public var types: [TypeSchema] = []
    /// Why some events are not in it, if so: the first damage met.
    public var damage: EventStoreError?
    public init() {}
}

/// What the events of one type look like.
public struct TypeSchema: Sendable {
    public var type: String
    public var events: Int
    /// Entities that have events of this type.
    public var entities: Int
    /// Milliseconds since 1970 UTC, both inclusive.
    public var firstTimestamp: Int64
    public var lastTimestamp: Int64
    /// In order of name.
    public var attributes: [AttributeSchema]

    public init(
        type: String, events: Int, entities: Int, firstTimestamp: Int64, lastTimestamp: Int64,
        attributes: [AttributeSchema]
    ) {
        self.type = type
        self.events = events
        self.entities = entities
        self.firstTimestamp = firstTimestamp
        self.lastTimestamp = lastTimestamp
        self.attributes = attributes
    }
}

/// What one attribute of the events of one type looks like.
public struct AttributeSchema: Sendable {
    /// How many values are of one kind.
    public struct KindCount: Sendable, Hashable {
        /// `string`, `integer`, `double`, `bool` or `json`.
        public var kind: String
        public var count: Int
        public init(kind: String, count: Int) {
            self.kind = kind
            self.count = count
        }
    }

    /// A value and how often it occurs; with more than ``distinct`` can count exactly, at least how often.
    public struct ValueCount: Sendable, Hashable {
        /// Text is cut after 120 bytes, at the end of a character.
        public var value: AttributeValue
        public var count: Int
        public init(value: AttributeValue, count: Int) {
            self.value = value
            self.count = count
        }
    }

    public var name: String
    /// Events of the type that have it.
    public var events: Int
    /// `events` as a share of all events of the type, 0 to 1.
    public var fillRate: Double
    /// By falling count; more than one when the attribute is mixed.
    public var kinds: [KindCount]
    public var isMixed: Bool { kinds.count > 1 }
    /// Different values: exact up to 10,000, an estimate within a few percent beyond. Fewer are told exactly when
    /// there are very many attributes, so that memory stays within the budget.
    public var distinct: Int
    public var distinctIsExact: Bool
    /// Least and greatest of the numbers among the values.
    public var minimum: AttributeValue?
    public var maximum: AttributeValue?
    /// The most frequent values, at most five.
    public var samples: [ValueCount]

    public init(
        name: String, events: Int, fillRate: Double, kinds: [KindCount], distinct: Int, distinctIsExact: Bool,
        minimum: AttributeValue? = nil, maximum: AttributeValue? = nil, samples: [ValueCount]
    ) {
        self.name = name
        self.events = events
        self.fillRate = fillRate
        self.kinds = kinds
        self.distinct = distinct
        self.distinctIsExact = distinctIsExact
        self.minimum = minimum
        self.maximum = maximum
        self.samples = samples
    }
}

extension BlockingEventStore {
    /// The types of the matching events and their attributes: kinds, fill rates, distinct values, ranges, samples.
    ///
    /// Cost: every value of the matching events is read, on as many threads as the store has. Memory stays within a
    /// part of the budget, whatever the number of values. What is damaged is left out and reported in the result.
    /// - Parameter progress: called with the share done, on any thread.
    public func schema(
        _ filter: EventFilter = EventFilter(), progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> StoreSchema {
        try atTheDoor { () throws(Fault) in try engine.schema(filter, progress: progress) }
    }
}

extension EventStore {
    /// The types of the matching events and their attributes: kinds, fill rates, distinct values, ranges, samples.
    ///
    /// Cost: every value of the matching events is read, on as many threads as the store has. Memory stays within a
    /// part of the budget, whatever the number of values. What is damaged is left out and reported in the result.
    /// - Parameter progress: called with the share done, on any thread.
    public func schema(
        _ filter: EventFilter = EventFilter(), progress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> StoreSchema {
        try await offload { try self.blocking.schema(filter, progress: progress) }
    }
}
