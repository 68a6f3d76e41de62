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

    func verifyAudit() throws(Fault) -> AuditVerification {
        let chain = chain
        let rows = try auditRows()
        var broken = chain.firstBroken(rows)
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

    func auditHead() throws(Fault) -> AuditHead {
        struct Head: Encodable {
            var head = "eventstore audit 1"
            var store: String
            var number: Int64
            var time: String
            var mac: String
        }
        try requireOpen()
        let last = try context.catalog.read { (reader) throws(Fault) in try reader.lastAudit() }
        let head = Head(
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
