// What the NDJSON parser has learned about the structure of its events.
//
// Between two scalar values of an event stands only structure: `,"status":`, `,"labels":{"method":`, `}}`.
// That text is almost always the same as the last time. So the parser keeps a graph: a *member* is a place
// where a scalar stands (event type, enclosing object, key); an *edge* is the exact text that leads from one
// member's value to the next member's. Matching an edge is a comparison of up to 32 bytes; nothing is parsed.
//
// Invariants:
// - An edge's text was parsed in full once, and what it means depends only on the member it starts from. The
//   same bytes at the same member mean the same for ever.
// - An edge only counts as matched if its text is not followed by white space or `{`, which would make the
//   structure longer than the edge's text.
// - Numbers of members, contexts and keys are indices into this struct's tables; `reset` makes all invalid.

import EventStoreCore

/// What becomes of a scalar.
enum JSONAction: UInt8 {
    case attribute
    case entity
    case type
    case timestamp
    case id
    /// A top-level `sequence` or `received`: the store's own in an event it exported.
    case sequence
    case received
    /// No scalar: the event ends here.
    case end
}

struct JSONMember: BitwiseCopyable {
    var action: JSONAction
    /// The key was `type`, not `event_type`.
    var isOwnTypeKey = false
    var attribute: UInt32
    /// The object it stands in.
    var context: UInt32
    /// The assembler's code of the event's type if it is known here, or `JSONSteps.none`.
    var type: UInt32
    /// The object that stands under the same key in other events, or `none`.
    var twin: UInt32
    var key: UInt32
    /// Another member at the same place, for events of another type, or `none`.
    var nextAtPlace: UInt32 = JSONSteps.none
    var predicted: UInt32 = JSONSteps.none
    var firstEdge: UInt32 = JSONSteps.none
    var edgeCount: UInt32 = 0
}

struct JSONEdge: BitwiseCopyable {
    /// The text, 8 bytes a word, first byte lowest, and which of the bits count.
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var masks: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var length: UInt32
    var target: UInt32
    var next: UInt32
    /// Objects that begin within the text, in `openings`.
    var openStart: UInt32
    var openCount: UInt32

    @inline(__always)
    func matches(_ position: BytePointer) -> Bool {
        let ahead = UnsafeRawPointer(position)
        let a = (ahead.loadUnaligned(as: UInt64.self) ^ words.0) & masks.0
        let b = (ahead.loadUnaligned(fromByteOffset: 8, as: UInt64.self) ^ words.1) & masks.1
        let c = (ahead.loadUnaligned(fromByteOffset: 16, as: UInt64.self) ^ words.2) & masks.2
        let d = (ahead.loadUnaligned(fromByteOffset: 24, as: UInt64.self) ^ words.3) & masks.3
        return a | b | c | d == 0
    }
}

/// An object of the event, known by its parent and its key.
struct JSONContext: BitwiseCopyable {
    var parent: UInt32
    var depth: UInt32
    var key: UInt32
    /// What stands before the names of its members, as a range of `prefixes`.
    var prefixStart: Int
    var prefixLength: Int
    /// The `attributes` of our own envelope.
    var isOwnEnvelope = false
    /// The row in which it was last opened.
    var stamp: UInt32 = 0
    /// In some event a scalar stands under the same key.
    var hasTwin = false
}

struct JSONSteps: ~Copyable {
    static let none = UInt32.max
    /// Longer structure is parsed each time.
    static let edgeBytesMax = 32
    static let edgesPerMemberMax = 48
    static let membersMax = 32_768
    static let root: UInt32 = 0
    static let top: UInt32 = 0

    var members = GrowableBuffer<JSONMember>()
    var edges = GrowableBuffer<JSONEdge>()
    var contexts = GrowableBuffer<JSONContext>()
    var openings = GrowableBuffer<UInt32>()
    /// Keys as they are after unescaping.
    var keys = StringTable(capacity: 128)
    var prefixes = GrowableBuffer<UInt8>()
    /// By type code: the member that follows for the first `event_type` or `type` key, see `typedMember`.
    var typedByCode = GrowableBuffer<UInt32>()
    private var memberIndex: [MemberKey: UInt32] = [:]
    private var contextIndex: [UInt64: UInt32] = [:]
    /// By context and key: one of the members there.
    private var placeIndex: [UInt64: UInt32] = [:]

    private struct MemberKey: Hashable {
        var type: UInt32
        var context: UInt32
        var key: UInt32
    }

    init() { reset() }

    mutating func reset() {
        members.truncate(to: 0)
        edges.truncate(to: 0)
        contexts.truncate(to: 0)
        openings.truncate(to: 0)
        prefixes.truncate(to: 0)
        typedByCode.truncate(to: 0)
        keys = StringTable(capacity: 128)
        memberIndex = [:]
        contextIndex = [:]
        placeIndex = [:]
        contexts.append(
            JSONContext(
                parent: JSONSteps.none, depth: 1, key: JSONSteps.none, prefixStart: 0, prefixLength: 0))
        members.append(
            JSONMember(
                action: .end, attribute: JSONSteps.none, context: JSONSteps.none, type: JSONSteps.none,
                twin: JSONSteps.none, key: JSONSteps.none))
    }

    // MARK: Contexts

    func prefix(_ context: UInt32) -> UnsafeRawBufferPointer {
        let known = contexts.base + Int(context)
        return UnsafeRawBufferPointer(
            start: prefixes.base + known.pointee.prefixStart, count: known.pointee.prefixLength)
    }

    private func place(_ context: UInt32, _ key: UInt32) -> UInt64 { UInt64(context) << 32 | UInt64(key) }

    func contextIfKnown(parent: UInt32, key: UInt32) -> UInt32? { contextIndex[place(parent, key)] }

    mutating func addContext(parent: UInt32, key: UInt32, prefix: [UInt8]) -> UInt32 {
        let number = UInt32(contexts.count)
        let depth = contexts[Int(parent)].depth + 1
        let start = prefixes.count
        for byte in prefix { prefixes.append(byte) }
        contexts.append(
            JSONContext(parent: parent, depth: depth, key: key, prefixStart: start, prefixLength: prefix.count))
        contextIndex[place(parent, key)] = number
        var member = placeIndex[place(parent, key)] ?? JSONSteps.none
        while member != JSONSteps.none {
            members.base[Int(member)].twin = number
            contexts.base[Int(number)].hasTwin = true
            member = members[Int(member)].nextAtPlace
        }
        return number
    }

    /// Whether `context` is `ancestor` or lies within it.
    func lies(_ context: UInt32, within ancestor: UInt32) -> Bool {
        var current = context
        while current != JSONSteps.none {
            if current == ancestor { return true }
            current = contexts[Int(current)].parent
        }
        return false
    }

    // MARK: Members

    func memberIfKnown(type: UInt32, context: UInt32, key: UInt32) -> UInt32? {
        memberIndex[MemberKey(type: type, context: context, key: key)]
    }

    mutating func addMember(_ member: JSONMember) -> UInt32 {
        let number = UInt32(members.count)
        var member = member
        if member.action != .end, let twin = contextIfKnown(parent: member.context, key: member.key) {
            member.twin = twin
            contexts.base[Int(twin)].hasTwin = true
        }
        if member.action != .end {
            member.nextAtPlace = placeIndex[place(member.context, member.key)] ?? JSONSteps.none
            placeIndex[place(member.context, member.key)] = number
        }
        members.append(member)
        memberIndex[MemberKey(type: member.type, context: member.context, key: member.key)] = number
        return number
    }

    /// The same member with the event's type known: what follows is learned type by type.
    @inline(__always)
    mutating func typedMember(_ member: UInt32, type: UInt32) -> UInt32 {
        let known = members.base + Int(member)
        if known.pointee.type == JSONSteps.none {
            let place = Int(type) * 2 + (known.pointee.isOwnTypeKey ? 1 : 0)
            if place < typedByCode.count, typedByCode.base[place] != JSONSteps.none { return typedByCode.base[place] }
        }
        return addTypedMember(member, type: type)
    }

    private mutating func addTypedMember(_ member: UInt32, type: UInt32) -> UInt32 {
        let source = members[Int(member)]
        var number = memberIfKnown(type: type, context: source.context, key: source.key) ?? JSONSteps.none
        if number == JSONSteps.none {
            var typed = source
            typed.type = type
            typed.predicted = JSONSteps.none
            typed.firstEdge = JSONSteps.none
            typed.edgeCount = 0
            number = addMember(typed)
        }
        if source.type == JSONSteps.none {
            let place = Int(type) * 2 + (source.isOwnTypeKey ? 1 : 0)
            typedByCode.resize(to: max(typedByCode.count, place + 1), filling: JSONSteps.none)
            typedByCode.base[place] = number
        }
        return number
    }

    // MARK: Edges

    /// Remembers that `text`, starting behind `source`'s value, leads to `target`.
    mutating func addEdge(
        from source: UInt32, text start: BytePointer, length: Int, target: UInt32, opens: Range<Int>
    ) -> UInt32? {
        let member = members.base + Int(source)
        guard length <= JSONSteps.edgeBytesMax, member.pointee.edgeCount < JSONSteps.edgesPerMemberMax else {
            return nil
        }
        let number = UInt32(edges.count)
        var edge = JSONEdge(
            length: UInt32(length), target: target, next: member.pointee.firstEdge,
            openStart: UInt32(opens.lowerBound), openCount: UInt32(opens.count))
        withUnsafeMutableBytes(of: &edge.words) { words in
            for index in 0..<length { words[index] = start[index] }
        }
        withUnsafeMutableBytes(of: &edge.masks) { masks in
            for index in 0..<length { masks[index] = 0xff }
        }
        edges.append(edge)
        member.pointee.firstEdge = number
        member.pointee.edgeCount += 1
        return number
    }
}
