// The audit chain: who did what to which entity, each record bound to the one before.
//
// A record's text is sealed under the store's names key. Its MAC, HMAC-SHA256 under the audit key, is over the MAC of
// the record before, the number, the time and the sealed text: a record cannot be changed, taken out or put in without
// every later one failing. That the end was cut off shows when an earlier head, signed and kept elsewhere, is compared.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

/// What is recorded of one operation. Never the name of an entity: its number, and its blind name.
struct AuditEntry: Codable, Sendable, Equatable {
    var operation: String
    var entity: UInt32?
    /// The entity's blind name, as hexadecimal.
    var blindName: String?
    var reason: String?
    var details: [String: String]?
    var actor: AuditActor
}

/// Who did it, as far as the operating system says.
struct AuditActor: Codable, Sendable, Equatable {
    var user: String
    var userID: UInt32
    var process: Int32
    var program: String

    /// Whoever this work is done for: this process, or the one that asked over the control socket.
    static var own: AuditActor { current ?? process }
    @TaskLocal static var current: AuditActor?

    init(user: String, userID: UInt32, process: Int32, program: String) {
        self.user = user
        self.userID = userID
        self.process = process
        self.program = program
    }

    /// A process at the other end of a local socket.
    init(peer: (user: UInt32, process: Int32)) {
        let name = getpwuid(peer.user).map { String(cString: $0.pointee.pw_name) } ?? "#\(peer.user)"
        self.init(user: name, userID: peer.user, process: peer.process, program: AuditActor.program(of: peer.process))
    }

    /// What the system calls a process; elsewhere than on Linux, which does not say, it is taken for one of ours.
    private static func program(of process: Int32) -> String {
        #if os(Linux)
            let name = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
            return name?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
        #else
            return AuditActor.process.program
        #endif
    }

    /// In what goes to others: who made it is their business no more than the names of the machine.
    static let unnamed = AuditActor(user: "", userID: 0, process: 0, program: "eventstore")

    private static let process = AuditActor(
        user: getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "#\(getuid())", userID: getuid(),
        process: ProcessInfo.processInfo.processIdentifier, program: ProcessInfo.processInfo.processName)
}

struct AuditChain: Sendable {
    let keyring: Keyring
    let environment: Environment

    private static let start = [UInt8](repeating: 0, count: 32)

    /// The record that follows `last`.
    func link(_ entry: AuditEntry, after last: AuditRow?) throws(Fault) -> AuditRow {
        let number = (last?.number ?? 0) + 1
        let timeMs = environment.nowMs()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(entry) else { throw Fault(.invalid, "an audit record is no text") }
        let body = try SealedValue.seal(
            [UInt8](text), key: keyring.subkey(.names), aad: AuditChain.aad(number), environment)
        return AuditRow(
            number: number, timeMs: timeMs, body: body,
            mac: mac(number, timeMs, body, previous: last?.mac ?? AuditChain.start))
    }

    func open(_ row: AuditRow) throws(Fault) -> AuditEntry {
        let text = try SealedValue.open(row.body, key: keyring.subkey(.names), aad: AuditChain.aad(row.number))
        guard let entry = try? JSONDecoder().decode(AuditEntry.self, from: Data(text)) else {
            throw Fault(.damaged, "an audit record does not decode")
        }
        return entry
    }

    /// The first record that does not follow from the ones before, and why; `nil` when all do.
    func firstBroken(_ rows: [AuditRow]) -> (number: Int64, message: String)? {
        var previous = AuditChain.start
        var expected: Int64 = 1
        for row in rows {
            guard row.number == expected else {
                return (expected, "record \(expected) is missing; the next one is \(row.number)")
            }
            guard constantTimeEquals(row.mac, mac(row.number, row.timeMs, row.body, previous: previous)) else {
                return (row.number, "record \(row.number) does not follow from the one before: it was changed")
            }
            previous = row.mac
            expected += 1
        }
        return nil
    }

    private func mac(_ number: Int64, _ timeMs: Int64, _ body: [UInt8], previous: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reserving: body.count + 64)
        writer.lengthPrefixed("eventstore audit 1")
        writer.raw(previous)
        writer.integer(number)
        writer.integer(timeMs)
        writer.raw(body)
        return hmacSHA256(key: keyring.subkey(.audit), writer.bytes)
    }

    private static func aad(_ number: Int64) -> [UInt8] {
        var writer = ByteWriter()
        writer.lengthPrefixed("audit")
        writer.integer(number)
        return writer.bytes
    }
}

extension WriterLane {
    /// Adds audit records to a change. With `turn` held, so that nothing comes between.
    func record(_ entries: [AuditEntry], in change: inout CatalogChange) throws(Fault) {
        var last = change.addAudit.last
        if last == nil { last = try lastAudit() }
        let chain = AuditChain(keyring: context.keyring, environment: context.environment)
        for entry in entries {
            let row = try chain.link(entry, after: last)
            change.addAudit.append(row)
            last = row
        }
    }

    private func lastAudit() throws(Fault) -> AuditRow? {
        try context.catalog.read { (reader) throws(Fault) in try reader.lastAudit() }
    }
}
