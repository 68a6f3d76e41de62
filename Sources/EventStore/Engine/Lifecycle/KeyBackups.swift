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
    /// When it was written last.
    var configuredTimeMs: Int64?
    /// Those nobody rewrites: made by hand, or once the configured one. Oldest first.
    var copies: [Copy] = []
    /// Of the keyring when all its root keys were replaced last, none kept.
    var rootsReplacedGeneration: UInt64?

    /// Whether the copy is opened by no root key that opens the store now, unless one came back that was replaced.
    func isBehindReplacedRoots(_ copy: Copy) -> Bool {
        rootsReplacedGeneration.map { copy.generation < $0 } ?? false
    }

    static let documentName = "key-backups"

    /// The newest generation of which a copy is known; 0 when there is none.
    var newestGeneration: UInt64 {
        copies.map(\.generation).max().map { max($0, configuredPath == nil ? 0 : configuredGeneration) }
            ?? (configuredPath == nil ? 0 : configuredGeneration)
    }

    /// The configured copy was written.
    mutating func configured(_ path: String, _ generation: UInt64, _ timeMs: Int64) {
        guard path == configuredPath else { return }
        configuredGeneration = generation
        configuredTimeMs = timeMs
    }

    /// A copy was made by hand: an older one at that path is no more.
    mutating func copied(to path: String, _ generation: UInt64, _ timeMs: Int64) {
        if path == configuredPath { return configured(path, generation, timeMs) }
        copies.removeAll { $0.path == path }
        copies.append(Copy(path: path, timeMs: timeMs, generation: generation))
    }

    /// From now on the copy at `path` is kept up to date. The one before is left as it is, hence a copy like others.
    mutating func configure(_ path: String?, _ generation: UInt64, _ timeMs: Int64) {
        if let old = configuredPath, old != path {
            copies.append(Copy(path: old, timeMs: configuredTimeMs ?? timeMs, generation: configuredGeneration))
        }
        if let path { copies.removeAll { $0.path == path } }
        configuredPath = path
        configuredGeneration = path == nil ? 0 : generation
        configuredTimeMs = path == nil ? nil : timeMs
    }
}

extension StoreEngine {
    /// In the process that writes what it knows, in others what the catalog says.
    func keyBackups() throws(Fault) -> KeyBackups {
        if lane != nil { return context.keyBackups.backups }
        return try document(KeyBackups.documentName) ?? KeyBackups()
    }

    /// Copies that have one of the keys when the store no longer has: those that were made while it was there
    /// and that nobody rewrites. The configured one is rewritten with the erasure.
    func outlivingKeyBackups(_ keys: [RetiredKey]) throws(Fault) -> [ReceiptText.KeyBackup] {
        guard let made = keys.map(\.generation).filter({ $0 > 0 }).min() else { return [] }
        let backups = try keyBackups()
        return backups.copies.filter { $0.generation >= made }.map { copy in
            ReceiptText.KeyBackup(
                path: copy.path, time: TimestampText.utc(copy.timeMs),
                rootKeys: backups.isBehindReplacedRoots(copy) ? ReceiptText.replacedRoots : nil)
        }
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
        return try SealedValue.open(
            box, key: context.keyring.subkey(.names), aad: ReadContext.aad(document: name))
    }

    func sealed(document name: String, _ bytes: [UInt8]) throws(Fault) -> [UInt8] {
        try context.sealed(document: name, bytes)
    }
}

extension ReadContext {
    func sealed(document name: String, _ bytes: [UInt8]) throws(Fault) -> [UInt8] {
        try SealedValue.seal(
            bytes, key: keyring.subkey(.names), aad: ReadContext.aad(document: name), environment)
    }

    /// A document as a commit takes it.
    func sealed(document name: String, of value: some Encodable) throws(Fault) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let text = try? encoder.encode(value) else {
            throw Fault(.invalid, "the document '\(name)' cannot be encoded")
        }
        return try sealed(document: name, [UInt8](text))
    }

    static func aad(document name: String) -> [UInt8] {
        var writer = ByteWriter()
        writer.lengthPrefixed("document")
        writer.lengthPrefixed(name)
        return writer.bytes
    }
}
