// Appended `Event` values as rows: checks each against the limits and gives those without an id one.

import EventStoreCore
import EventStoreCrypto
import EventStoreIngest
import Foundation

/// Events turned into a batch; what could not be is refused with a reason.
struct EventRows {
    let batch = RowBatch()
    /// By event: why it did not become a row.
    private(set) var doorVerdicts: [RowVerdict?] = []

    private let nowMs: Int64
    private let idPrefix: EventID

    /// - Parameter idPrefix: 16 bytes unique to the batch; the ordinal of an event in it makes an id of them.
    init(_ events: [Event], nowMs: Int64, idPrefix: EventID) {
        self.nowMs = nowMs
        self.idPrefix = idPrefix
        var builder = RowBatchBuilder(batch)
        for (ordinal, event) in events.enumerated() {
            let refusal = refusal(event)
            doorVerdicts.append(refusal)
            if refusal == nil { add(event, ordinal, &builder) }
        }
    }

    /// By event: why it is no row of the screened batch.
    func verdicts(_ refused: [PolicyRefusal]) -> [RowVerdict?] {
        guard !refused.isEmpty else { return doorVerdicts }
        var verdicts = doorVerdicts
        var row = 0
        var next = 0
        for event in verdicts.indices where verdicts[event] == nil {
            if next < refused.count, refused[next].row == row {
                verdicts[event] = RowVerdict(refused[next].reason)
                next += 1
            }
            row += 1
        }
        return verdicts
    }

    private func add(_ event: Event, _ ordinal: Int, _ builder: inout RowBatchBuilder) {
        for (name, value) in event.attributes.sorted(by: { $0.key < $1.key }) {
            let attribute = batch.attributes.intern(name)
            switch value {
            case .string(let text):
                builder.add(ColumnKey(attribute: attribute, kind: .string), UInt64(batch.strings.intern(text)))
            case .json(let text):
                builder.add(ColumnKey(attribute: attribute, kind: .json), UInt64(batch.strings.intern(text)))
            case .integer(let number):
                builder.add(ColumnKey(attribute: attribute, kind: .integer), UInt64(bitPattern: number))
            case .double(let number):
                builder.add(ColumnKey(attribute: attribute, kind: .double), number.bitPattern)
            case .bool(let flag):
                builder.add(ColumnKey(attribute: attribute, kind: .bool), flag ? 1 : 0)
            }
        }
        builder.finishRow(
            entity: batch.entities.intern(event.entity), type: batch.types.intern(event.type),
            timestamp: event.timestamp, id: event.id.map { EventID($0) } ?? id(ordinal))
    }

    /// Prefix and ordinal as a UUIDv8: the high half is the batch's, the low half counts.
    private func id(_ ordinal: Int) -> EventID {
        EventID.version8(
            hash: EventID(high: idPrefix.high, low: (idPrefix.low & 0x3fff_ffff_0000_0000) + UInt64(ordinal)))
    }

    private func refusal(_ event: Event) -> RowVerdict? {
        guard (1...Limits.entityNameBytesMax).contains(event.entity.utf8.count) else {
            return .badEntity
        }
        guard (1...Limits.typeNameBytesMax).contains(event.type.utf8.count) else {
            return .badType
        }
        guard event.timestamp >= Limits.timestampMsMin else {
            return .badTimestamp
        }
        guard event.timestamp <= nowMs.addingReportingOverflow(Limits.futureMsMax).partialValue else {
            return .futureTimestamp
        }
        guard event.attributes.count <= Limits.attributesPerEventMax else {
            return .tooManyAttributes
        }
        return refusal(event.attributes)
    }

    /// Whether a text can stand in a line of JSON as it is. Objects are no values: they flatten to dotted names.
    private static func isArray(_ text: String) -> Bool {
        guard text.utf8.first == 0x5b, !text.utf8.contains(where: { $0 == 0x0a || $0 == 0x0d }) else { return false }
        return (try? JSONSerialization.jsonObject(with: Data(text.utf8))) is [Any]
    }

    private func refusal(_ attributes: [String: AttributeValue]) -> RowVerdict? {
        var bytes = 0
        for (name, value) in attributes {
            guard (1...Limits.attributeNameBytesMax).contains(name.utf8.count) else {
                return .attributeName
            }
            bytes += name.utf8.count
            switch value {
            case .string(let text), .json(let text):
                guard text.utf8.count <= Limits.valueBytesMax else {
                    return .valueTooLong
                }
                if case .json = value, !EventRows.isArray(text) { return .badValue }
                bytes += text.utf8.count
            case .double(let number):
                guard number.isFinite else {
                    return .numberRange
                }
                bytes += 8
            case .integer, .bool: bytes += 8
            }
        }
        guard bytes <= Limits.eventBytesMax else {
            return .eventTooLarge
        }
        return nil
    }
}

extension EventID {
    /// A hash as the catalog keeps tags: two little-endian words.
    var tagBytes: [UInt8] {
        var writer = ByteWriter(reserving: 16)
        writer.integer(high)
        writer.integer(low)
        return writer.bytes
    }

    init(_ uuid: UUID) {
        var uuid = uuid.uuid
        self = withUnsafeBytes(of: &uuid) { bytes in
            EventID(
                high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    var uuid: UUID {
        var value: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        withUnsafeMutableBytes(of: &value) { bytes in
            bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return UUID(uuid: value)
    }
}

extension StoreEngine {
    func append(_ events: [Event], batchID: String?) throws(Fault) -> AppendReport {
        let lane = try writer()
        if let batchID, !(1...Limits.valueBytesMax).contains(batchID.utf8.count) {
            throw Fault(.invalid, "a batch id has 1 to \(Limits.valueBytesMax) bytes")
        }
        let tag = batchID.map { batchTag($0) }
        let rows = EventRows(events, nowMs: context.environment.nowMs(), idPrefix: tag ?? randomPrefix())
        let screening = policy.screening(rows.batch)
        let request = AppendRequest(screening.batch, receivedMs: context.environment.nowMs())
        if let tag {
            request.batchTag = tag.tagBytes
            request.bodyHash = EventDigest.hash(events)
        }
        request.doorVerdicts = rows.verdicts(screening.refused)
        request.stripped = screening.stripped
        for (event, verdict) in zip(events, request.doorVerdicts) where verdict != nil {
            request.refusedAtDoor[event.entity, default: 0] += 1
        }
        if screening.batch.rowCount > 0 || tag != nil {
            lane.submit(request)
            if let fault = request.fault { throw fault }
        }
        let report = try report(request, lane)
        // What went through the lane was counted in its commit.
        if screening.batch.rowCount == 0, tag == nil {
            try count(
                refused: report.refusedByReason, stripped: [:],
                tallies: context.names.tallies(refused: request.refusedAtDoor))
        }
        return report
    }

    private func report(_ request: AppendRequest, _ lane: WriterLane) throws(Fault) -> AppendReport {
        var report = AppendReport(
            outcomes: [], nextSequence: request.nextSequence, stored: 0, duplicates: 0, conflicts: 0, refused: 0,
            expired: 0, stripped: request.earlierAnswer == nil ? request.stripped.values.reduce(0, +) : 0,
            repeated: request.earlierAnswer != nil)
        var verdicts = request.eventVerdicts
        if let earlier = request.earlierAnswer {
            let answer = try BatchAnswer(decoding: earlier)
            verdicts = answer.verdicts
            report.nextSequence = answer.nextSequence
        }
        for verdict in verdicts { report.add(verdict) }
        if report.nextSequence == 0 { report.nextSequence = lane.published.withLock { $0.nextSequence } }
        return report
    }

    private func batchTag(_ id: String) -> EventID {
        let hasher = LineHasher(key: context.keyring.subkey(.nameTags))
        hasher.begin()
        Array("batch".utf8).withUnsafeBytes { hasher.add($0) }
        Array(id.utf8).withUnsafeBytes { hasher.add($0) }
        return hasher.finish()
    }

    private func randomPrefix() -> EventID {
        context.environment.random(16).withUnsafeBytes { bytes in
            EventID(
                high: bytes.loadUnaligned(as: UInt64.self), low: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            )
        }
    }
}

extension AppendReport {
    fileprivate var refusedByReason: [String: Int] {
        var counts: [String: Int] = [:]
        for case .refused(let reason, _) in outcomes { counts[reason, default: 0] += 1 }
        return counts
    }

    mutating func add(_ verdict: RowVerdict) {
        switch verdict {
        case .stored:
            outcomes.append(.stored)
            stored += 1
        case .duplicate:
            outcomes.append(.duplicate)
            duplicates += 1
        case .conflict:
            outcomes.append(.conflict)
            conflicts += 1
        case .expired:
            outcomes.append(.expired)
            expired += 1
        default:
            outcomes.append(.refused(reason: verdict.reason, detail: verdict.detail))
            refused += 1
        }
    }
}

/// SHA-256 over what a batch says, so that one id cannot stand for two batches.
enum EventDigest {
    static func hash(_ events: [Event]) -> [UInt8] {
        var writer = ByteWriter()
        for event in events {
            writer.lengthPrefixed(event.entity)
            writer.lengthPrefixed(event.type)
            writer.integer(event.timestamp)
            writer.lengthPrefixed(event.id?.uuidString ?? "")
            writer.varint(event.attributes.count)
            for (name, value) in event.attributes.sorted(by: { $0.key < $1.key }) {
                writer.lengthPrefixed(name)
                switch value {
                case .string(let text): add(0, text, &writer)
                case .json(let text): add(4, text, &writer)
                case .integer(let number): add(1, UInt64(bitPattern: number), &writer)
                case .double(let number): add(2, number.bitPattern, &writer)
                case .bool(let flag): add(3, flag ? 1 : 0, &writer)
                }
            }
        }
        return sha256(writer.bytes)
    }

    private static func add(_ kind: UInt8, _ text: String, _ writer: inout ByteWriter) {
        writer.u8(kind)
        writer.lengthPrefixed(text)
    }

    private static func add(_ kind: UInt8, _ word: UInt64, _ writer: inout ByteWriter) {
        writer.u8(kind)
        writer.integer(word)
    }
}
