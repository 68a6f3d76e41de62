import EventStoreCore
import Foundation

/// The value of one attribute of an event.
public enum AttributeValue: Sendable, Hashable {
    /// Text, at most 64 KiB of UTF-8.
    case string(String)
    case integer(Int64)
    /// A finite number.
    case double(Double)
    case bool(Bool)
    /// The text of a JSON array, on one line, kept as it is.
    case json(String)
}

extension AttributeValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// One event: what happened, where, when, and its attributes.
///
/// Identity is (entity, UTC day of `timestamp`, `id`): a second event with the same three is stored once.
public struct Event: Sendable, Hashable {
    /// The site the event belongs to: 1–200 bytes of UTF-8.
    public var entity: String
    /// What happened, such as `http.request`: 1–100 bytes.
    public var type: String
    /// When it happened, in milliseconds since 1970 UTC.
    public var timestamp: Int64
    /// The client's id. `nil` on append: the batch's id and the event's place in it make one.
    public var id: UUID?
    /// Position in commit order. Set by the store; ignored on append.
    public var sequence: UInt64
    /// When the store took it in, milliseconds since 1970 UTC. Set by the store; ignored on append.
    public var received: Int64
    /// Flat attributes; nested names are dotted (`req.method`).
    public var attributes: [String: AttributeValue]

    public init(
        entity: String, type: String, timestamp: Int64, id: UUID? = nil, attributes: [String: AttributeValue] = [:]
    ) {
        self.entity = entity
        self.type = type
        self.timestamp = timestamp
        self.id = id
        self.sequence = 0
        self.received = 0
        self.attributes = attributes
    }

    /// An event that happened at `date`. A date beyond what 64 bits of milliseconds hold is refused on append.
    public init(
        entity: String, type: String, date: Date, id: UUID? = nil, attributes: [String: AttributeValue] = [:]
    ) {
        self.init(
            entity: entity, type: type,
            timestamp: Int64(exactly: (date.timeIntervalSince1970 * 1000).rounded()) ?? .max, id: id,
            attributes: attributes)
    }

    /// `timestamp` as a `Date`.
    public var date: Date { Date(timeIntervalSince1970: Double(timestamp) / 1000) }
}
