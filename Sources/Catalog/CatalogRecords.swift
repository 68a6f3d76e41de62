// The value types the catalog stores: numbers and opaque blobs only. Names arrive sealed and tags arrive
// blinded; nothing here can be read as an entity, a type, an attribute or a value. The layout on disk is
// docs/format/catalog.md.

import EventStoreCore

/// Fixed when a store is created; never changed afterwards.
package struct CatalogSettings: Sendable, Equatable {
    package var formatVersion: Int
    /// 16 random bytes.
    package var storeID: [UInt8]
    /// Drawn when this catalog was made; segment files carry it, so that orphans are told from strangers.
    package var incarnation: UInt64
    /// 1 day, 2 week, 3 month.
    package var partition: Int
    package var sharedByEntitiesMin: Int
    package var defaultPlan: String
    package var createdMs: Int64

    package init(
        formatVersion: Int, storeID: [UInt8], incarnation: UInt64, partition: Int, sharedByEntitiesMin: Int,
        defaultPlan: String, createdMs: Int64
    ) {
        self.formatVersion = formatVersion
        self.storeID = storeID
        self.incarnation = incarnation
        self.partition = partition
        self.sharedByEntitiesMin = sharedByEntitiesMin
        self.defaultPlan = defaultPlan
        self.createdMs = createdMs
    }
}

package struct EntityRecord: Sendable, Equatable {
    package var number: UInt32
    package var keyID: UInt64
    package var sealedName: [UInt8]
    /// Blinded name, unique in the store.
    package var tag: [UInt8]
    package var createdMs: Int64
    package var plan: String
    package var state: Int
    /// Events before this never come back, whatever the plan becomes: neither index nor totals have any.
    package var floorMs: Int64
    /// Days kept if other than the plan's; 0 is what the plan says.
    package var days: Int
    /// When a cancelled entity is erased; 0 when its data lives out its retention.
    package var eraseAtMs: Int64

    package init(
        number: UInt32, keyID: UInt64, sealedName: [UInt8], tag: [UInt8], createdMs: Int64, plan: String, state: Int,
        floorMs: Int64, days: Int = 0, eraseAtMs: Int64 = 0
    ) {
        self.number = number
        self.keyID = keyID
        self.sealedName = sealedName
        self.tag = tag
        self.createdMs = createdMs
        self.plan = plan
        self.state = state
        self.floorMs = floorMs
        self.days = days
        self.eraseAtMs = eraseAtMs
    }
}

/// A type or attribute name.
package struct NameRecord: Sendable, Equatable {
    package var number: UInt32
    /// 1 type, 2 attribute. Numbers and tags are unique within a kind.
    package var kind: Int
    package var tag: [UInt8]
    /// The name sealed under the store's key, once enough entities use it.
    package var shared: [UInt8]?

    package init(number: UInt32, kind: Int, tag: [UInt8], shared: [UInt8]? = nil) {
        self.number = number
        self.kind = kind
        self.tag = tag
        self.shared = shared
    }
}

/// A name as one entity that uses it has it sealed, until the name is shared.
package struct NameHolder: Sendable, Equatable {
    package var name: UInt32
    package var kind: Int
    package var entity: UInt32
    package var sealed: [UInt8]

    package init(name: UInt32, kind: Int, entity: UInt32, sealed: [UInt8]) {
        self.name = name
        self.kind = kind
        self.entity = entity
        self.sealed = sealed
    }
}

package struct CatalogSegment: Sendable, Equatable {
    /// `state` of a segment that queries read.
    package static let live = 0
    /// `state` of a segment whose file is being removed: queries skip it, the next open finishes the removal.
    package static let unlinking = 1

    /// Assigned by the commit that adds the segment, rising and never used twice; 0 before.
    package var number: Int64
    /// 12 random bytes.
    package var id: [UInt8]
    package var partitionStart: Int64
    package var partitionMs: Int64
    package var rows: Int
    package var fileBytes: Int
    package var minTime: Int64
    package var maxTime: Int64
    /// What the sequences inside the file are relative to. The two below are absolute, the last one inclusive.
    package var sequenceBase: UInt64
    package var minSequence: UInt64
    package var maxSequence: UInt64
    package var level: Int
    package var state: Int
    package var retentionDays: Int
    /// Name numbers the file uses.
    package var types: [UInt32]
    package var attributes: [UInt32]

    package init(
        number: Int64 = 0, id: [UInt8], partitionStart: Int64, partitionMs: Int64, rows: Int, fileBytes: Int,
        minTime: Int64, maxTime: Int64, sequenceBase: UInt64, minSequence: UInt64, maxSequence: UInt64, level: Int,
        state: Int = CatalogSegment.live, retentionDays: Int, types: [UInt32], attributes: [UInt32]
    ) {
        self.number = number
        self.id = id
        self.partitionStart = partitionStart
        self.partitionMs = partitionMs
        self.rows = rows
        self.fileBytes = fileBytes
        self.minTime = minTime
        self.maxTime = maxTime
        self.sequenceBase = sequenceBase
        self.minSequence = minSequence
        self.maxSequence = maxSequence
        self.level = level
        self.state = state
        self.retentionDays = retentionDays
        self.types = types
        self.attributes = attributes
    }
}

/// One entity's part of one segment: how much, when, and where its directory stands in the file.
package struct CatalogSegmentEntity: Sendable, Equatable {
    /// Ignored when added together with its segment.
    package var segment: Int64
    package var entity: UInt32
    package var rows: Int
    package var minTime: Int64
    package var maxTime: Int64
    package var headOffset: Int
    package var headLength: Int
    package var types: [TypeCount]
    /// The id of the key it is sealed under. 0 when added is the one its entity has, and when read that the entity is
    /// unknown.
    package var keyID: UInt64

    package init(
        segment: Int64 = 0, entity: UInt32, rows: Int, minTime: Int64, maxTime: Int64, headOffset: Int,
        headLength: Int, types: [TypeCount], keyID: UInt64 = 0
    ) {
        self.keyID = keyID
        self.segment = segment
        self.entity = entity
        self.rows = rows
        self.minTime = minTime
        self.maxTime = maxTime
        self.headOffset = headOffset
        self.headLength = headLength
        self.types = types
    }
}

/// One commit group of appended rows, waiting to be flushed into segments.
package struct JournalEntry: Sendable, Equatable {
    /// Sequences stay below 2^63.
    package var firstSequence: UInt64
    package var rows: Int
    package var receivedMs: Int64
    package var blob: [UInt8]

    package init(firstSequence: UInt64, rows: Int, receivedMs: Int64, blob: [UInt8]) {
        self.firstSequence = firstSequence
        self.rows = rows
        self.receivedMs = receivedMs
        self.blob = blob
    }
}

/// A batch that was answered, so that a repeat gets the same answer.
package struct BatchRecord: Sendable, Equatable {
    /// The scope of the local importer; every other scope is an entity number.
    package static let localImporter = UInt32.max

    package var scope: UInt32
    package var tag: [UInt8]
    package var bodyHash: [UInt8]
    package var receivedMs: Int64
    package var answer: [UInt8]

    package init(scope: UInt32, tag: [UInt8], bodyHash: [UInt8], receivedMs: Int64, answer: [UInt8]) {
        self.scope = scope
        self.tag = tag
        self.bodyHash = bodyHash
        self.receivedMs = receivedMs
        self.answer = answer
    }
}

/// What a segment adds to the totals of entities and of types, by UTC day.
package struct SegmentDays: Sendable, Equatable {
    package var entities: [DayCount]
    package var types: [DayCount]

    package init(entities: [DayCount], types: [DayCount]) {
        self.entities = entities
        self.types = types
    }
}

/// Rows of one entity or one type on one UTC day; in a change, how many more or fewer.
package struct DayCount: Sendable, Equatable {
    /// UTC day number since 1970.
    package var day: Int32
    /// Entity or type number.
    package var key: UInt32
    package var rows: Int

    package init(day: Int32, key: UInt32, rows: Int) {
        self.day = day
        self.key = key
        self.rows = rows
    }
}
