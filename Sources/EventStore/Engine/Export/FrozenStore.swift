// A store that is an export: how it is known, and what it does not do.
//
// Its catalog has a sealed document that says what it is. It is never opened for writing, nothing in it expires, and
// after the time it was given, if any, it is not opened at all.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation

extension ExportInfo {
    static let documentName = "export"

    func encoded() throws(Fault) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let text = try? encoder.encode(self) else {
            throw Fault(.invalid, "what the export is cannot be written as text")
        }
        return [UInt8](text)
    }

    /// What the store says of itself; `nil` for one that is no export.
    static func read(_ catalog: Catalog, _ keyring: Keyring) throws(Fault) -> ExportInfo? {
        let box = try catalog.read { (reader) throws(Fault) in try reader.document(documentName) }
        guard let box else { return nil }
        let text = try SealedValue.open(
            box, key: keyring.subkey(.names), aad: ReadContext.aad(document: documentName))
        guard let info = try? JSONDecoder().decode(ExportInfo.self, from: Data(text)) else {
            throw Fault(.damaged, "what the export says of itself does not decode", at: .init(file: catalog.path))
        }
        return info
    }

    func requireUnexpired(_ environment: Environment, _ files: StoreFiles) throws(Fault) {
        guard let expiresMs, environment.nowMs() >= expiresMs else { return }
        throw Fault(
            .permission, "this export expired at \(TimestampText.utc(expiresMs)); ask for a new one",
            at: .init(file: files.root))
    }
}

extension StoreFiles {
    /// Throws `readOnly` when the store is an export. Called before anything is locked or written: the medium may not
    /// take either.
    func requireWritable(_ environment: Environment) throws(Fault) {
        // A catalog that does not open for reading is no whole export; opening it for writing says what it is.
        guard let catalog = try? Catalog.open(path: catalog, mode: .reader, files: environment.files) else { return }
        defer { catalog.close() }
        let marker = try? catalog.read { (reader) throws(Fault) in try reader.document(ExportInfo.documentName) }
        guard marker != nil else { return }
        throw Fault(
            .readOnly, "this store is an export and stays as it is; import it into a store of your own to change that",
            at: .init(file: root))
    }
}
