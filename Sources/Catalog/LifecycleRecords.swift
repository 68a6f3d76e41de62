// The value types behind plans, the audit chain, receipts and what is gone. Opaque blobs arrive sealed.

/// A plan by name and the days it keeps.
package struct PlanRecord: Sendable, Equatable {
    package var name: String
    /// 0 keeps for ever.
    package var days: Int

    package init(name: String, days: Int) {
        self.name = name
        self.days = days
    }
}

/// One link of the audit chain; numbers rise by one from 1.
package struct AuditRow: Sendable, Equatable {
    package var number: Int64
    package var timeMs: Int64
    /// Sealed.
    package var body: [UInt8]
    /// Over this row and the MAC of the row before.
    package var mac: [UInt8]

    package init(number: Int64, timeMs: Int64, body: [UInt8], mac: [UInt8]) {
        self.number = number
        self.timeMs = timeMs
        self.body = body
        self.mac = mac
    }
}

/// The proof that an entity was erased, as it was handed out.
package struct ReceiptRow: Sendable, Equatable {
    /// 0 when added; the commit numbers it.
    package var number: Int64
    package var entity: UInt32
    package var timeMs: Int64
    package var body: [UInt8]
    package var signature: [UInt8]

    package init(number: Int64 = 0, entity: UInt32, timeMs: Int64, body: [UInt8], signature: [UInt8]) {
        self.number = number
        self.entity = entity
        self.timeMs = timeMs
        self.body = body
        self.signature = signature
    }
}

/// What the fleet view shows of an entity beyond its events. In a change, times are raised and counts added.
package struct EntityTally: Sendable, Equatable {
    package var entity: UInt32
    package var lastEventMs: Int64
    package var lastReceivedMs: Int64
    package var refused: Int
    package var expired: Int

    package init(
        entity: UInt32, lastEventMs: Int64 = .min, lastReceivedMs: Int64 = .min, refused: Int = 0, expired: Int = 0
    ) {
        self.entity = entity
        self.lastEventMs = lastEventMs
        self.lastReceivedMs = lastReceivedMs
        self.refused = refused
        self.expired = expired
    }
}

/// What arrived of an entity on one UTC day. In a change: what is added; another day's count makes way.
package struct EntityArrivals: Sendable, Equatable {
    package var entity: UInt32
    /// UTC day number since 1970.
    package var day: Int64
    package var events: Int
    package var bytes: Int

    package init(entity: UInt32, day: Int64, events: Int, bytes: Int) {
        self.entity = entity
        self.day = day
        self.events = events
        self.bytes = bytes
    }
}

/// An entity's part of a segment that is no longer there for anybody: its bytes are being destroyed, or were.
package struct GonePart: Sendable, Equatable {
    package var segment: Int64
    package var entity: UInt32
    package var rows: Int
    /// Where its bytes lie in the file, ascending and apart from each other.
    package var ranges: [Range<Int>]
    /// Whether the bytes were punched out or overwritten.
    package var isFreed: Bool

    package init(segment: Int64, entity: UInt32, rows: Int, ranges: [Range<Int>], isFreed: Bool = false) {
        self.segment = segment
        self.entity = entity
        self.rows = rows
        self.ranges = ranges
        self.isFreed = isFreed
    }
}

/// A key that an entity had before the one it has now.
package struct RetiredKey: Sendable, Equatable {
    package var id: UInt64
    package var entity: UInt32
    /// Of the keyring that brought it.
    package var generation: UInt64
    package var retiredMs: Int64
    /// 0 while it is in the keyring.
    package var destroyedMs: Int64

    package init(id: UInt64, entity: UInt32, generation: UInt64, retiredMs: Int64, destroyedMs: Int64 = 0) {
        self.id = id
        self.entity = entity
        self.generation = generation
        self.retiredMs = retiredMs
        self.destroyedMs = destroyedMs
    }
}

package struct DestroyedKey: Sendable, Equatable {
    package var id: UInt64
    package var timeMs: Int64

    package init(id: UInt64, timeMs: Int64) {
        self.id = id
        self.timeMs = timeMs
    }
}

/// A part of a segment that is not sealed under the key its entity has now.
package struct PartUnderKey: Sendable, Equatable {
    package var segment: Int64
    package var entity: UInt32
    package var keyID: UInt64

    package init(segment: Int64, entity: UInt32, keyID: UInt64) {
        self.segment = segment
        self.entity = entity
        self.keyID = keyID
    }
}

/// An entity's part of a segment, by number.
package struct PartKey: Sendable, Hashable {
    package var segment: Int64
    package var entity: UInt32

    package init(segment: Int64, entity: UInt32) {
        self.segment = segment
        self.entity = entity
    }
}
