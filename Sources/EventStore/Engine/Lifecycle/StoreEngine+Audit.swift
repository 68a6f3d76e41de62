// Reading and checking the audit chain.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

extension StoreEngine {
    private var chain: AuditChain { AuditChain(keyring: context.keyring, environment: context.environment) }

    private func auditRows(after number: Int64 = 0) throws(Fault) -> [AuditRow] {
        // In a reader this brings names and keys up to date.
        _ = try snapshot()
        return try context.catalog.read { (reader) throws(Fault) in try reader.audit(after: number) }
    }

    func auditRecords(after number: Int64) throws(Fault) -> [AuditRecord] {
        let chain = chain
        var records: [AuditRecord] = []
        for row in try auditRows(after: number) {
            let entry = try chain.open(row)
            records.append(
                AuditRecord(
                    number: row.number, timeMs: row.timeMs, operation: entry.operation, user: entry.actor.user,
                    process: entry.actor.process, program: entry.actor.program,
                    entity: entry.entity.flatMap { context.names.entityName($0) }, entityNumber: entry.entity,
                    reason: entry.reason, details: entry.details ?? [:]))
        }
        return records
    }

    func verifyAudit(including head: AuditHead? = nil) throws(Fault) -> AuditVerification {
        let chain = chain
        let kept = try head.map { (head) throws(Fault) in try checked(head) }
        let rows = try auditRows()
        var broken = chain.firstBroken(rows)
        if broken == nil, let kept { broken = StoreEngine.missing(kept, in: rows) }
        if broken == nil {
            for row in rows {
                do throws(Fault) {
                    _ = try chain.open(row)
                } catch {
                    broken = (row.number, error.message)
                    break
                }
            }
        }
        return AuditVerification(records: rows.count, firstBroken: broken)
    }

    /// What a head says, once its signature and its store are this store's.
    private func checked(_ head: AuditHead) throws(Fault) -> AuditHeadText {
        guard let text = try? JSONDecoder().decode(AuditHeadText.self, from: Data(head.text.utf8)) else {
            throw Fault(.invalid, "this is no head of an audit chain")
        }
        guard text.store == context.settings.storeID.hexText else {
            throw Fault(.invalid, "this is the head of another store's audit chain")
        }
        guard Ed25519.verify(head.signature, of: Array(head.text.utf8), publicKey: try receiptPublicKey()) else {
            throw Fault(.invalid, "the head was not signed by this store")
        }
        return text
    }

    private static func missing(_ head: AuditHeadText, in rows: [AuditRow]) -> (number: Int64, message: String)? {
        guard head.number > 0 else { return nil }
        guard let row = rows.first(where: { $0.number == head.number }) else {
            return (head.number, "record \(head.number) was there when the head was signed and is missing")
        }
        return row.mac.hexText == head.mac
            ? nil : (head.number, "record \(head.number) is not the one that was there when the head was signed")
    }

    func auditHead() throws(Fault) -> AuditHead {
        try requireOpen()
        let last = try context.catalog.read { (reader) throws(Fault) in try reader.lastAudit() }
        let head = AuditHeadText(
            store: context.settings.storeID.hexText, number: last?.number ?? 0,
            time: TimestampText.utc(last?.timeMs ?? context.settings.createdMs), mac: last?.mac.hexText ?? "")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let text = try? encoder.encode(head) else { throw Fault(.invalid, "a head is no text") }
        return AuditHead(
            text: String(decoding: text, as: UTF8.self), signature: try sign([UInt8](text)),
            publicKey: try receiptPublicKey())
    }
}

/// The text of a head. Keys are sorted, so that the same facts are the same bytes.
private struct AuditHeadText: Codable {
    var head = "eventstore audit 1"
    var store: String
    var number: Int64
    var time: String
    var mac: String
}
