// Reads one event line: from known structure to scalar to known structure, see JSONSteps.swift.
//
// Every function that can find the line bad notes why in `failure` and where in `failedAt`, and returns `nil`
// or `false`. Pointers run freely to the line feed behind the line, which no rule of JSON accepts anywhere
// here, and wide reads up to `TextScan.padding` bytes further.

import EventStoreCore

struct JSONLineReader: ~Copyable {
    var row = RowAssembler()
    var steps = JSONSteps()
    var report = ParseReport()
    var lineCopy = LineCopy()
    var failure: RefusalReason?
    var failedAt: BytePointer?

    let zone: InputTimeZone?
    let timestampMsMax: Int64
    private let defaultEntity: [UInt8]?

    // The event being read.
    var lineStart: BytePointer
    var lineEnd: BytePointer
    /// Unescaped text of this line. Never moves while a line is read: it is as large as the line.
    var scratch = GrowableBuffer<UInt8>()
    var text: BytePointer
    var textLength = 0
    var rowStamp: UInt32 = 0
    /// By attribute: the row that last had it.
    var stamps = GrowableBuffer<UInt32>()
    var memberCount = 0
    var seen = Seen()
    var entityText: BytePointer?
    var entityLength = 0
    var type: UInt32 = JSONSteps.none
    var time = Time.none
    var timeValue: Int64 = 0
    var id = EventID(high: 0, low: 0)
    var hasID = false
    /// An id that is not a UUID.
    var otherID: BytePointer?
    var otherIDLength = 0

    /// Fixed fields met in this event.
    struct Seen: OptionSet {
        let rawValue: UInt16
        static let entity = Seen(rawValue: 1)
        static let type = Seen(rawValue: 2)
        static let timestamp = Seen(rawValue: 4)
        static let id = Seen(rawValue: 8)
        static let sequence = Seen(rawValue: 16)
        static let received = Seen(rawValue: 32)
        static let ownEnvelope = Seen(rawValue: 64)
    }

    enum Time {
        case none
        /// A whole number whose unit is still to be told from its size.
        case number
        case milliseconds
    }

    /// More members than this in a line, absent ones included, are refused.
    static let membersPerLineMax = 4096

    init(options: InputOptions) {
        zone = options.inputTimeZone
        timestampMsMax = options.timestampMsMax
        defaultEntity = options.defaultEntity.map { Array($0.utf8) }
        lineStart = BytePointer(scratch.base)
        lineEnd = lineStart
        text = lineStart
    }

    // MARK: One event

    /// Reads the line and adds its row; `false` when it is refused.
    @inline(__always)
    mutating func readEvent(_ start: BytePointer, _ end: BytePointer, identity: any LineIdentity) -> Bool {
        beginEvent(start, end)
        return readMembers(start) && finishEvent(identity: identity)
    }

    @inline(__always)
    private mutating func beginEvent(_ start: BytePointer, _ end: BytePointer) {
        if steps.members.count > JSONSteps.membersMax || row.arrivalCount > RowAssembler.arrivalsMax || rowStamp == .max
            || row.entities.inBatch.count > RowAssembler.entitiesMax
            || row.types.inBatch.count > RowAssembler.typesMax
        {
            forgetStructure()
        }
        lineStart = start
        lineEnd = end
        scratch.truncate(to: 0)
        rowStamp &+= 1
        memberCount = 0
        seen = []
        entityText = nil
        type = JSONSteps.none
        time = .none
        hasID = false
        otherID = nil
        row.begin()
    }

    private mutating func forgetStructure() {
        steps.reset()
        row.resetNames()
        stamps.truncate(to: 0)
        rowStamp = 0
    }

    /// From structure to value to structure until the object ends.
    @inline(__always)
    private mutating func readMembers(_ start: BytePointer) -> Bool {
        var position = start
        var member = JSONSteps.root
        while true {
            let predicted = steps.members.base[Int(member)].predicted
            var target: UInt32
            var value: BytePointer
            if predicted != JSONSteps.none, steps.edges.base[Int(predicted)].matches(position) {
                let edge = steps.edges.base + Int(predicted)
                target = edge.pointee.target
                value = position + Int(edge.pointee.length)
                if value[0] <= 0x20 || value[0] == 0x7b, steps.members.base[Int(target)].action != .end {
                    guard let found = findStep(from: member, position) else { return false }
                    (target, value) = found
                } else if edge.pointee.openCount > 0 {
                    openAll(edge.pointee.openStart, edge.pointee.openCount)
                }
            } else {
                guard let found = findStep(from: member, position) else { return false }
                (target, value) = found
            }
            let known = steps.members.base + Int(target)
            memberCount &+= 1
            if known.pointee.action == .attribute {
                if known.pointee.twin != JSONSteps.none { replaceTwin(target) }
                guard let next = readAttribute(known.pointee.attribute, value, owner: target) else { return false }
                position = next
                member = target
            } else if known.pointee.action == .end {
                return value == lineEnd || fail(.badJSON, value) != nil
            } else {
                guard let next = readFixed(target, value, &member) else { return false }
                position = next
            }
        }
    }

    // MARK: Values

    /// Reads a scalar or an array into a cell.
    @inline(__always)
    mutating func readAttribute(_ attribute: UInt32, _ start: BytePointer, owner: UInt32) -> BytePointer? {
        if stamps.base[Int(attribute)] == rowStamp { dropDuplicate(attribute) }
        stamps.base[Int(attribute)] = rowStamp
        guard row.count < RowAssembler.cellsMax, memberCount <= JSONLineReader.membersPerLineMax else {
            return tooMany(attribute, start)
        }
        let first = start[0]
        if first == 0x22 {
            guard let next = readString(start + 1) else { return nil }
            if textLength > Limits.valueBytesMax { return fail(.valueTooLong, start) }
            row.addText(attribute, .string, text, textLength, owner: owner)
            return next
        }
        if first &- 0x30 < 10 {
            let (count, number) = NumberText.digits(UnsafeRawPointer(start).loadUnaligned(as: UInt64.self).littleEndian)
            let after = start[count]
            if count < 8, after != 0x2e, after | 0x20 != 0x65, count == 1 || first != 0x30 {
                row.add(attribute, .integer, number, owner: owner)
                return start + count
            }
            return readNumber(attribute, start, owner: owner)
        }
        let word = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self).littleEndian
        if word == 0x6575_7274 {
            row.add(attribute, .bool, 1, owner: owner)
            return start + 4
        }
        if word == 0x736c_6166, start[4] == 0x65 {
            row.add(attribute, .bool, 0, owner: owner)
            return start + 5
        }
        if word == 0x6c6c_756e { return start + 4 }
        if first == 0x2d { return readNumber(attribute, start, owner: owner) }
        if first == 0x5b { return readArray(attribute, start, owner: owner) }
        return fail(.badJSON, start)
    }

    /// At the limit only an absent value is still welcome.
    private mutating func tooMany(_ attribute: UInt32, _ start: BytePointer) -> BytePointer? {
        let word = UnsafeRawPointer(start).loadUnaligned(as: UInt32.self).littleEndian
        if word == 0x6c6c_756e, memberCount <= JSONLineReader.membersPerLineMax { return start + 4 }
        return fail(.tooManyAttributes, start)
    }

    private mutating func readNumber(_ attribute: UInt32, _ start: BytePointer, owner: UInt32) -> BytePointer? {
        var outcome = NumberText.Outcome.malformed
        let next = NumberText.parse(start, &outcome)
        switch outcome {
        case .integer(let value): row.add(attribute, .integer, UInt64(bitPattern: value), owner: owner)
        case .double(let value): row.add(attribute, .double, value.bitPattern, owner: owner)
        case .integerRange: return fail(.integerRange, start)
        case .doubleRange: return fail(.numberRange, start)
        case .malformed: return fail(.badJSON, start)
        }
        return next
    }

    @inline(__always)
    mutating func fail(_ reason: RefusalReason, _ position: BytePointer?) -> BytePointer? {
        failure = reason
        failedAt = position
        return nil
    }

    // MARK: Fixed fields

    /// Reads the value of a fixed field. `member` becomes where the structure goes on.
    @inline(__always)
    private mutating func readFixed(
        _ target: UInt32, _ start: BytePointer, _ member: inout UInt32
    ) -> BytePointer? {
        let known = steps.members.base + Int(target)
        if known.pointee.twin != JSONSteps.none { replaceTwin(target) }
        member = target
        switch known.pointee.action {
        case .timestamp: return readTimestamp(start)
        case .entity: return readEntity(start)
        case .id: return readID(start)
        case .type: return readType(start, &member)
        default: return readStoreField(target, start)
        }
    }

    @inline(__always)
    mutating func mark(_ field: Seen) {
        if !seen.isDisjoint(with: field) { report.duplicateKeys += 1 }
        seen.formUnion(field)
    }

    @inline(__always)
    func isNull(_ start: BytePointer) -> Bool {
        UnsafeRawPointer(start).loadUnaligned(as: UInt32.self).littleEndian == 0x6c6c_756e
    }

    @inline(__always)
    private mutating func readTimestamp(_ start: BytePointer) -> BytePointer? {
        mark(.timestamp)
        let raw = UnsafeRawPointer(start)
        let (count, high) = NumberText.digits(raw.loadUnaligned(as: UInt64.self).littleEndian)
        if count == 8, start[0] != 0x30 {
            let (more, low) = NumberText.digits(raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self).littleEndian)
            let after = start[8 + more]
            if more < 8, after != 0x2e, after | 0x20 != 0x65 {
                time = .number
                timeValue = Int64(high &* NumberText.powerOfTen(more) &+ low)
                return start + (8 + more)
            }
        }
        return readOtherTimestamp(start)
    }

    private mutating func readOtherTimestamp(_ start: BytePointer) -> BytePointer? {
        time = .none
        if start[0] == 0x22 {
            guard let next = readString(start + 1) else { return nil }
            do {
                timeValue = try EventTime.parse(UnsafeRawBufferPointer(start: text, count: textLength), zone: zone)
                time = .milliseconds
                return next
            } catch {
                return fail(error == .zoneMissing ? .timestampWithoutZone : .badTimestamp, start)
            }
        }
        if isNull(start) { return start + 4 }
        guard start[0] == 0x2d || start[0] &- 0x30 < 10 else { return failedScalar(start, .badTimestamp) }
        var outcome = NumberText.Outcome.malformed
        let next = NumberText.parse(start, &outcome)
        switch outcome {
        case .integer(let value):
            time = .number
            timeValue = value
        case .double(let value):
            guard let ms = EventTime.ms(double: value) else { return fail(.badTimestamp, start) }
            time = .milliseconds
            timeValue = ms
        case .malformed: return fail(.badJSON, start)
        default: return fail(.badTimestamp, start)
        }
        return next
    }

    @inline(__always)
    private mutating func readEntity(_ start: BytePointer) -> BytePointer? {
        mark(.entity)
        guard start[0] == 0x22 else {
            entityText = nil
            return isNull(start) ? start + 4 : failedScalar(start, .badEntity)
        }
        guard let next = readString(start + 1) else { return nil }
        guard textLength >= 1, textLength <= Limits.entityNameBytesMax else { return fail(.badEntity, start) }
        entityText = text
        entityLength = textLength
        return next
    }

    @inline(__always)
    private mutating func readType(_ start: BytePointer, _ member: inout UInt32) -> BytePointer? {
        mark(.type)
        guard start[0] == 0x22 else {
            type = JSONSteps.none
            return isNull(start) ? start + 4 : failedScalar(start, .badType)
        }
        guard let next = readString(start + 1) else { return nil }
        guard textLength >= 1, textLength <= Limits.typeNameBytesMax else { return fail(.badType, start) }
        type = row.types.code(text, textLength)
        if steps.members.base[Int(member)].isOwnTypeKey { seen.formUnion(.ownEnvelope) }
        member = steps.typedMember(member, type: type)
        return next
    }

    @inline(__always)
    private mutating func readID(_ start: BytePointer) -> BytePointer? {
        mark(.id)
        hasID = false
        otherID = nil
        if start[0] == 0x22, start[37] == 0x22, let known = UUIDText.parse(start + 1) {
            id = known
            hasID = true
            return start + 38
        }
        return readOtherID(start)
    }

    /// The error for a scalar of a kind that cannot be taken, or for what is no JSON at all.
    mutating func failedScalar(_ start: BytePointer, _ reason: RefusalReason) -> BytePointer? {
        switch start[0] {
        case 0x22, 0x2d, 0x30...0x39, 0x5b, 0x66, 0x6e, 0x74: fail(reason, start)
        default: fail(.badJSON, start)
        }
    }

    // MARK: The row

    private mutating func finishEvent(identity: any LineIdentity) -> Bool {
        let entity: UInt32
        if let entityText {
            entity = row.entities.code(entityText, entityLength)
        } else if let defaultEntity {
            entity = row.entities.code(defaultEntity)
        } else {
            return refused(.noEntity)
        }
        guard type != JSONSteps.none else { return refused(.noType) }
        if !seen.isDisjoint(with: [.sequence, .received]) { settleStoreFields() }
        switch time {
        case .none: return refused(.noTimestamp)
        case .number: timeValue = EventTime.ms(integer: timeValue)
        case .milliseconds: break
        }
        guard timeValue <= timestampMsMax else { return refused(.futureTimestamp) }
        guard timeValue >= Limits.timestampMsMin else { return refused(.badTimestamp) }
        if lineEnd - lineStart > Limits.eventBytesMax / 8, row.eventBytes() > Limits.eventBytesMax {
            return refused(.eventTooLarge)
        }
        var flags: RowFlags = []
        if !hasID {
            guard settleID(entity, identity, &flags) else { return false }
        }
        row.finish(entity: entity, type: type, timestamp: timeValue, id: id, flags: flags)
        return true
    }

    mutating func refused(_ reason: RefusalReason) -> Bool {
        failure = reason
        failedAt = nil
        return false
    }
}
