/// How long events of an entity are kept.
public struct Plan: Sendable, Hashable, Codable {
    public var name: String
    /// `nil` keeps for ever.
    public var days: Int?
    public init(name: String, days: Int?) {
        self.name = name
        self.days = days
    }
}

/// An entity of the store, as a fleet view shows it.
public struct EntityInfo: Sendable {
    public enum State: String, Sendable { case active, suspended, cancelled }
    public var name: String
    /// Stands for the entity where its name must not: audit records and receipts.
    public var number: UInt32
    public var state: State
    public var plan: String
    /// Days its events are kept: its own number or its plan's; `nil` is for ever.
    public var days: Int?
    public var events: Int
    /// Bytes of its parts of segments, by the share of rows.
    public var bytes: Int
    public var createdMs: Int64
    public var lastEventMs: Int64?
    public var lastReceivedMs: Int64?
    public var eventsInLastDay: Int
    public var refused: Int
    public var expired: Int
    /// How far the newest event lies behind (or, negative, before) its arrival, in milliseconds.
    public var clockSkewMs: Int64?
    /// Days until the oldest event expires; `nil` when none does.
    public var daysLeft: Int?
    /// When a cancelled entity will be erased at the latest.
    public var eraseAtMs: Int64?
}

/// What a retention sweep did, or with `dryRun` would do.
public struct SweepReport: Sendable, Codable {
    public var segmentsDropped = 0
    /// Parts of segments whose other entities are still kept.
    public var partsRemoved = 0
    public var eventsExpired = 0
    /// Bytes the file system has back, of files removed and of holes made.
    public var bytesFreed = 0
    /// Names of cancelled entities that were erased because their time was up.
    public var entitiesErased: [String] = []
    public var seconds = 0.0
    public init() {}
}

/// The proof that an entity was erased, for the customer and whoever audits.
///
/// `text` says when, how many events, which key, where in the audit chain, and which recorded copies of keys outlive
/// it; `signature` is Ed25519 over its bytes under the store's receipt key.
public struct ErasureReceipt: Sendable, Hashable, Codable {
    /// JSON. Never the name: who gets the receipt knows whose it is.
    public var text: String
    /// 64 bytes.
    public var signature: [UInt8]
    /// 32 bytes.
    public var publicKey: [UInt8]

    public init(text: String, signature: [UInt8], publicKey: [UInt8]) {
        self.text = text
        self.signature = signature
        self.publicKey = publicKey
    }
}

/// What an erasure did.
public struct ErasureReport: Sendable, Codable {
    public var receipt: ErasureReceipt
    public var events: Int
    public var segmentsDropped: Int
    public var bytesFreed: Int
    /// From the call until nothing of it could be read any more.
    public var unreadableSeconds: Double
    public var seconds: Double
}

/// One record of the audit chain.
public struct AuditRecord: Sendable {
    public var number: Int64
    public var timeMs: Int64
    public var operation: String
    public var user: String
    public var process: Int32
    public var program: String
    /// The entity's name while it is there.
    public var entity: String?
    public var entityNumber: UInt32?
    public var reason: String?
    public var details: [String: String]
}

/// The end of the audit chain, signed: kept elsewhere, it shows later that nothing before it was changed or cut off.
public struct AuditHead: Sendable {
    /// JSON: store, number of the last record, its time and MAC.
    public var text: String
    public var signature: [UInt8]
    public var publicKey: [UInt8]

    public init(text: String, signature: [UInt8], publicKey: [UInt8]) {
        self.text = text
        self.signature = signature
        self.publicKey = publicKey
    }
}

/// What `auditVerify` found.
public struct AuditVerification: Sendable {
    public var records: Int
    /// The first record that is wrong, and why.
    public var firstBroken: (number: Int64, message: String)?
}
