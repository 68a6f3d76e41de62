// The budgets of a store as the catalog keeps them: a sealed document.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

struct StoredBudget: Codable, Sendable, Equatable {
    /// Of a day. `nil` is not set, 0 no limit.
    struct Day: Codable, Sendable, Equatable {
        var events: Int?
        var bytes: Int?
        var isEmpty: Bool { events == nil && bytes == nil }
    }
    /// Bytes of all files of the store; `nil` is no limit.
    var maxBytes: Int?
    /// Bytes that stay free in its file system.
    var minFree: Int?
    /// Of each entity that has no other.
    var each = Day()
    /// By entity number; what is not set here is as for each.
    var own: [UInt32: Day] = [:]

    static let documentName = "budget"

    /// What an entity may add on a day; `Int.max` without a limit.
    func events(_ entity: UInt32) -> Int { StoredBudget.limit(own[entity]?.events ?? each.events) }
    func bytes(_ entity: UInt32) -> Int { StoredBudget.limit(own[entity]?.bytes ?? each.bytes) }

    private static func limit(_ value: Int?) -> Int { value.map { $0 > 0 ? $0 : .max } ?? .max }

    private var days: [Day] { own.values + [each] }
    var limitsDays: Bool { days.contains { $0.events ?? 0 > 0 || $0.bytes ?? 0 > 0 } }
    var limitsBytesOfDays: Bool { days.contains { $0.bytes ?? 0 > 0 } }
    var limitsStore: Bool { maxBytes != nil || minFree != nil }

    static func load(_ context: ReadContext) throws(Fault) -> StoredBudget {
        let sealed = try context.catalog.read { (reader) throws(Fault) in try reader.document(documentName) }
        guard let sealed else { return StoredBudget() }
        let text = try SealedValue.open(
            sealed, key: context.keyring.subkey(.names), aad: ReadContext.aad(document: documentName))
        guard let budget = try? JSONDecoder().decode(StoredBudget.self, from: Data(text)) else {
            throw Fault(.damaged, "the stored budget does not decode")
        }
        return budget
    }
}
