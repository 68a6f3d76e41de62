// Copies of the keyring that are known: which one is kept up to date, and which outlive what is erased.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

/// What the store remembers of copies of its keyring. A sealed document of the catalog.
struct KeyBackups: Codable, Sendable, Equatable {
    struct Copy: Codable, Sendable, Equatable {
        var path: String
        var timeMs: Int64
        /// Of the keyring when it was copied.
        var generation: UInt64
    }
    /// Rewritten with every change of the keyring, before what needs the change is acknowledged.
    var configuredPath: String?
    /// The generation the configured copy holds.
    var configuredGeneration: UInt64 = 0
    /// Made by hand, oldest first.
    var copies: [Copy] = []

    static let documentName = "key-backups"
}

extension StoreEngine {
    func keyBackups() throws(Fault) -> KeyBackups {
        try document(KeyBackups.documentName) ?? KeyBackups()
    }

    /// Copies that still open the key when the store no longer can: those made by hand while it was there. The
    /// configured one is rewritten with the erasure.
    func outlivingKeyBackups(_ keyID: UInt64) throws(Fault) -> [ReceiptText.KeyBackup] {
        guard let made = context.keyring.entityKeyGeneration(keyID) else { return [] }
        return try keyBackups().copies.filter { $0.generation >= made }
            .map { ReceiptText.KeyBackup(path: $0.path, time: TimestampText.utc($0.timeMs)) }
    }

    /// Brings the configured copy up to date after the keyring changed.
    func keyringChanged() throws(Fault) {
        guard let path = try keyBackups().configuredPath else { return }
        let bytes = try context.environment.files.readAll(context.files.keyring)
        try context.environment.files.replace(path, with: bytes)
    }

    // MARK: Sealed documents

    /// A document of the catalog, opened and decoded; `nil` when there is none.
    func document<T: Decodable>(_ name: String, as type: T.Type = T.self) throws(Fault) -> T? {
        guard let bytes = try documentBytes(name) else { return nil }
        guard let value = try? JSONDecoder().decode(T.self, from: Data(bytes)) else {
            throw Fault(.damaged, "the document '\(name)' of the catalog does not decode")
        }
        return value
    }

    func documentBytes(_ name: String) throws(Fault) -> [UInt8]? {
        let box = try context.catalog.read { (reader) throws(Fault) in try reader.document(name) }
        guard let box else { return nil }
        return try SealedValue.open(box, key: context.keyring.subkey(.names), aad: StoreEngine.aad(document: name))
    }

    func sealed(document name: String, _ bytes: [UInt8]) throws(Fault) -> [UInt8] {
        try SealedValue.seal(
            bytes, key: context.keyring.subkey(.names), aad: StoreEngine.aad(document: name), context.environment)
    }

    static func aad(document name: String) -> [UInt8] {
        var writer = ByteWriter()
        writer.lengthPrefixed("document")
        writer.lengthPrefixed(name)
        return writer.bytes
    }
}
