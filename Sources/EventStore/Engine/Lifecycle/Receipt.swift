// Receipts of erasure: what they say, and who can check them.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

/// The text of a receipt. Keys are sorted, so that the same facts are the same bytes.
struct ReceiptText: Codable, Sendable {
    struct Chain: Codable, Sendable {
        var number: Int64
        var mac: String
    }
    /// A copy of keys that was recorded when it was made, and still opens what was erased.
    struct KeyBackup: Codable, Sendable {
        var path: String
        var time: String
        /// `replaced` when all root keys of the store were replaced after the copy was made.
        var rootKeys: String?
    }
    static let replacedRoots = "replaced"
    var receipt = "eventstore erasure 1"
    var store: String
    var entity: UInt32
    var key: String
    /// Keys the entity had before, oldest first.
    var olderKeys: [String]?
    var erased: String
    var events: Int
    var chain: Chain
    var keyBackups: [KeyBackup]

    func encoded() throws(Fault) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let text = try? encoder.encode(self) else { throw Fault(.invalid, "a receipt is no text") }
        return [UInt8](text)
    }
}

extension StoreEngine {
    /// Signs with the store's receipt key.
    func sign(_ text: [UInt8]) throws(Fault) -> [UInt8] {
        try Ed25519.sign(text, seed: context.keyring.subkey(.receipts))
    }

    func receiptPublicKey() throws(Fault) -> [UInt8] {
        try Ed25519.publicKey(seed: context.keyring.subkey(.receipts))
    }

    func receipt(_ row: ReceiptRow) throws(Fault) -> ErasureReceipt {
        ErasureReceipt(
            text: String(decoding: row.body, as: UTF8.self), signature: row.signature,
            publicKey: try receiptPublicKey())
    }

    /// All receipts, oldest first.
    func receipts() throws(Fault) -> [ErasureReceipt] {
        try requireOpen()
        let rows = try context.catalog.read { (reader) throws(Fault) in try reader.receipts() }
        var receipts: [ErasureReceipt] = []
        for row in rows { receipts.append(try receipt(row)) }
        return receipts
    }
}

extension ErasureReceipt {
    /// Whether the signature is the store's over this text. Needs no store: whoever has the public key can check.
    public func isValid(publicKey expected: [UInt8]? = nil) -> Bool {
        Ed25519.verify(signature, of: Array(text.utf8), publicKey: expected ?? publicKey)
    }
}
