// The slow half of reading an event line: structure not met before, names and what they stand for, members
// that come twice. What is found out here is remembered as steps.

import EventStoreCore

extension JSONLineReader {
    /// The step from `member`'s value at `position`: a known one that fits, or a new one.
    /// Objects that begin on the way are opened.
    mutating func findStep(from member: UInt32, _ position: BytePointer) -> (target: UInt32, value: BytePointer)? {
        var number = steps.members[Int(member)].firstEdge
        while number != JSONSteps.none {
            let edge = steps.edges.base + Int(number)
            if edge.pointee.matches(position) {
                let value = position + Int(edge.pointee.length)
                let isEnd = steps.members[Int(edge.pointee.target)].action == .end
                if isEnd || (value[0] > 0x20 && value[0] != 0x7b) {
                    steps.members.base[Int(member)].predicted = number
                    openAll(edge.pointee.openStart, edge.pointee.openCount)
                    return (edge.pointee.target, value)
                }
            }
            number = edge.pointee.next
        }
        return learnStep(from: member, position)
    }

    private mutating func learnStep(
        from member: UInt32, _ start: BytePointer
    ) -> (target: UInt32, value: BytePointer)? {
        let firstOpening = steps.openings.count
        guard let (target, value) = readStructure(from: member, start) else {
            steps.openings.truncate(to: firstOpening)
            return nil
        }
        let opened = firstOpening..<steps.openings.count
        openAll(UInt32(opened.lowerBound), UInt32(opened.count))
        guard memberCount <= JSONLineReader.membersPerLineMax else {
            steps.openings.truncate(to: firstOpening)
            _ = fail(.tooManyAttributes, value)
            return nil
        }
        if let edge = steps.addEdge(from: member, text: start, length: value - start, target: target, opens: opened) {
            steps.members.base[Int(member)].predicted = edge
        } else {
            steps.openings.truncate(to: firstOpening)
        }
        return (target, value)
    }

    /// Reads from behind a value to the next value or the event's end. Opened objects go to `steps.openings`.
    private mutating func readStructure(
        from member: UInt32, _ start: BytePointer
    ) -> (target: UInt32, value: BytePointer)? {
        let type = steps.members[Int(member)].type
        var context = steps.members[Int(member)].context
        var position = skipWhiteSpace(start)
        var atKey = false
        if member == JSONSteps.root {
            guard position[0] == 0x7b else { return failStep(.badJSON, position) }
            context = JSONSteps.top
            position = skipWhiteSpace(position + 1)
            atKey = position[0] != 0x7d
        }
        while true {
            if !atKey {
                if position[0] == 0x7d {
                    context = steps.contexts[Int(context)].parent
                    if context == JSONSteps.none { return (endMember(type: type), position + 1) }
                    position = skipWhiteSpace(position + 1)
                    continue
                }
                guard position[0] == 0x2c else { return failStep(.badJSON, position) }
                position = skipWhiteSpace(position + 1)
            }
            guard position[0] == 0x22 else { return failStep(.badJSON, position) }
            guard let (key, value) = readKey(position) else { return nil }
            position = value
            atKey = false
            guard value[0] == 0x7b else {
                guard let target = self.member(type: type, context: context, key: key, value) else { return nil }
                return (target, value)
            }
            guard let inner = self.context(parent: context, key: key, value) else { return nil }
            steps.openings.append(inner)
            position = skipWhiteSpace(value + 1)
            if position[0] == 0x7d {
                position = skipWhiteSpace(position + 1)
            } else {
                context = inner
                atKey = true
            }
        }
    }

    private mutating func failStep(
        _ reason: RefusalReason, _ position: BytePointer
    ) -> (target: UInt32, value: BytePointer)? {
        _ = fail(reason, position)
        return nil
    }

    private func skipWhiteSpace(_ start: BytePointer) -> BytePointer {
        var position = start
        while JSONSyntax.isWhiteSpace(position[0]) { position += 1 }
        return position
    }

    /// Reads `"key" :` and gives the key's number and where its value starts.
    private mutating func readKey(_ start: BytePointer) -> (key: UInt32, value: BytePointer)? {
        guard let end = readString(start + 1) else { return nil }
        let colon = skipWhiteSpace(end)
        guard colon[0] == 0x3a else {
            _ = fail(.badJSON, colon)
            return nil
        }
        guard textLength <= Limits.attributeNameBytesMax else {
            _ = fail(.attributeName, start)
            return nil
        }
        return (steps.keys.intern(text, count: textLength), skipWhiteSpace(colon + 1))
    }

    // MARK: What names stand for

    private mutating func endMember(type: UInt32) -> UInt32 {
        if let known = steps.memberIfKnown(type: type, context: JSONSteps.none, key: JSONSteps.none) { return known }
        return steps.addMember(
            JSONMember(
                action: .end, attribute: JSONSteps.none, context: JSONSteps.none, type: type, twin: JSONSteps.none,
                key: JSONSteps.none))
    }

    private mutating func member(type: UInt32, context: UInt32, key: UInt32, _ position: BytePointer) -> UInt32? {
        if let known = steps.memberIfKnown(type: type, context: context, key: key) { return known }
        let name = Array(steps.keys.bytes(Int(key)))
        var member = JSONMember(
            action: .attribute, attribute: JSONSteps.none, context: context, type: type, twin: JSONSteps.none, key: key)
        if context == JSONSteps.top, let field = EventFields.field(name) {
            member.action = field
            member.isOwnTypeKey = name == EventFields.ownTypeKey
        }
        switch member.action {
        case .attribute, .sequence, .received:
            // In our own envelope attributes stand apart from the fixed fields, so any name is theirs to have.
            let isApart = steps.contexts[Int(context)].isOwnEnvelope
            let plain = Array(steps.prefix(context)) + name
            let full = isApart ? plain : EventFields.attributeName(plain)
            guard !full.isEmpty, full.count <= Limits.attributeNameBytesMax else {
                _ = fail(.attributeName, position)
                return nil
            }
            member.attribute = attributeCode(full)
        default: break
        }
        return steps.addMember(member)
    }

    mutating func attributeCode(_ name: [UInt8]) -> UInt32 {
        let code = row.attributes.code(name)
        stamps.resize(to: row.attributes.inBatch.count, filling: 0)
        return code
    }

    private mutating func context(parent: UInt32, key: UInt32, _ position: BytePointer) -> UInt32? {
        if let known = steps.contextIfKnown(parent: parent, key: key) { return known }
        guard steps.contexts[Int(parent)].depth < Limits.jsonDepthMax else {
            _ = fail(.tooDeep, position)
            return nil
        }
        let name = Array(steps.keys.bytes(Int(key)))
        let isFlat = parent == JSONSteps.top && EventFields.flatObjects.contains(name)
        let prefix = isFlat ? [] : Array(steps.prefix(parent)) + name + [0x2e]
        guard prefix.count <= Limits.attributeNameBytesMax else {
            _ = fail(.attributeName, position)
            return nil
        }
        let number = steps.addContext(parent: parent, key: key, prefix: prefix)
        steps.contexts.base[Int(number)].isOwnEnvelope = isFlat && name == EventFields.ownObject
        return number
    }

    // MARK: Members that come twice

    /// Notes that objects begin; one that began before in this event, or a scalar under its key, is dropped.
    mutating func openAll(_ start: UInt32, _ count: UInt32) {
        for index in 0..<count {
            let number = steps.openings.base[Int(start + index)]
            let context = steps.contexts.base + Int(number)
            memberCount &+= 1
            if context.pointee.isOwnEnvelope { seen.formUnion(.ownEnvelope) }
            if context.pointee.stamp == rowStamp {
                report.duplicateKeys += 1
                dropMembers(within: number)
            } else if context.pointee.hasTwin {
                dropScalar(parent: context.pointee.parent, key: context.pointee.key)
            }
            context.pointee.stamp = rowStamp
        }
    }

    /// The attribute came before in this event: the last one wins.
    mutating func dropDuplicate(_ attribute: UInt32) {
        report.duplicateKeys += 1
        row.removeCells(of: attribute)
    }

    /// A scalar comes after an object under the same key: the object's members go.
    mutating func replaceTwin(_ member: UInt32) {
        let twin = steps.members[Int(member)].twin
        guard steps.contexts[Int(twin)].stamp == rowStamp else { return }
        report.duplicateKeys += 1
        dropMembers(within: twin)
    }

    private mutating func dropMembers(within ancestor: UInt32) {
        var kept = 0
        for index in 0..<row.count {
            if steps.lies(steps.members[Int(row.owners[index])].context, within: ancestor) {
                stamps.base[Int(row.keys[index] >> 3)] = 0
            } else {
                row.moveCell(from: index, to: kept)
                kept += 1
            }
        }
        row.truncateCells(to: kept)
        for number in 0..<steps.contexts.count where steps.contexts[number].stamp == rowStamp {
            if steps.lies(UInt32(number), within: ancestor) { steps.contexts.base[number].stamp = 0 }
        }
    }

    private mutating func dropScalar(parent: UInt32, key: UInt32) {
        for index in 0..<row.count {
            let owner = steps.members.base + Int(row.owners[index])
            guard owner.pointee.context == parent, owner.pointee.key == key else { continue }
            report.duplicateKeys += 1
            stamps.base[Int(row.keys[index] >> 3)] = 0
            for later in index + 1..<row.count { row.moveCell(from: later, to: later - 1) }
            row.truncateCells(to: row.count - 1)
            return
        }
    }

    // MARK: Rare fixed fields

    /// Reads a top-level `sequence` or `received` into the attribute it is unless the event is an export's.
    mutating func readStoreField(_ target: UInt32, _ start: BytePointer) -> BytePointer? {
        let known = steps.members[Int(target)]
        seen.formUnion(known.action == .sequence ? .sequence : .received)
        return readAttribute(known.attribute, start, owner: target)
    }

    /// An event in our own envelope with `sequence` or `received` comes from an export: the store gives both
    /// anew, and with both the timestamp is in milliseconds whatever its size.
    mutating func settleStoreFields() {
        guard seen.contains(.ownEnvelope) else { return }
        if time == .number, seen.contains([.sequence, .received]) { time = .milliseconds }
        var kept = 0
        for index in 0..<row.count {
            let action = steps.members[Int(row.owners[index])].action
            if action == .sequence || action == .received { continue }
            row.moveCell(from: index, to: kept)
            kept += 1
        }
        row.truncateCells(to: kept)
    }

    /// Reads an id that is not a UUID: any other text, or a number, whose digits are its text.
    mutating func readOtherID(_ start: BytePointer) -> BytePointer? {
        if start[0] == 0x22 {
            guard let next = readString(start + 1) else { return nil }
            if textLength > Limits.valueBytesMax { return fail(.valueTooLong, start) }
            otherID = textLength > 0 ? text : nil
            otherIDLength = textLength
            if textLength == 36, let known = UUIDText.parse(text) {
                id = known
                hasID = true
            }
            return next
        }
        if isNull(start) { return start + 4 }
        guard start[0] == 0x2d || start[0] &- 0x30 < 10 else { return failedScalar(start, .badID) }
        var outcome = NumberText.Outcome.malformed
        let next = NumberText.parse(start, &outcome)
        switch outcome {
        case .integer, .integerRange:
            otherID = start
            otherIDLength = next - start
            return next
        case .malformed: return fail(.badJSON, start)
        default: return fail(.badID, start)
        }
    }

    /// Gives the event its id: a hash of its id's text, which it keeps as attribute, or of its line.
    mutating func settleID(_ entity: UInt32, _ identity: any LineIdentity, _ flags: inout RowFlags) -> Bool {
        guard let otherID else {
            let line = UnsafeRawBufferPointer(start: lineStart, count: lineEnd - lineStart)
            id = .version8(hash: identity.lineID(entity: row.entities.table.bytes(Int(entity)), line: line))
            flags = .idFromLine
            return true
        }
        let attribute = attributeCode(EventFields.otherIDAttribute)
        if stamps[Int(attribute)] == rowStamp { dropDuplicate(attribute) }
        guard row.count < RowAssembler.cellsMax else { return refused(.tooManyAttributes) }
        row.addText(attribute, .string, otherID, otherIDLength)
        id = .version8(hash: identity.textID(UnsafeRawBufferPointer(start: otherID, count: otherIDLength)))
        return true
    }
}
