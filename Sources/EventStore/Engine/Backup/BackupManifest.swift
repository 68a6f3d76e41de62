// What a backup consists of: the file that makes a directory of copies a backup, replaced as a whole and last.

import EventStoreCore
import Foundation

/// `backup.json`. Numbers, sizes and file names only: nothing of an entity's data.
struct BackupManifest: Codable, Equatable, Sendable {
    struct CatalogFile: Codable, Equatable, Sendable {
        /// In the backup's directory.
        var name: String
        var bytes: Int
        /// As hexadecimal.
        var sha256: String
    }

    struct SegmentFile: Codable, Equatable, Sendable {
        /// Below `segments`.
        var path: String
        var bytes: Int
        /// Numbers of entities whose bytes have been destroyed in this copy.
        var gone: [UInt32]
    }

    /// Of this file and the directory's layout.
    var format = BackupManifest.formatVersion
    /// The store's id, as hexadecimal.
    var store: String
    var catalogFormat: Int
    /// RFC 3339, and the same in milliseconds.
    var time: String
    var timeMs: Int64
    /// The first sequence that is not in it.
    var nextSequence: UInt64
    var events: Int
    var entities: Int
    var catalog: CatalogFile
    /// By path.
    var files: [SegmentFile]

    static let formatVersion = 1
    static let name = "backup.json"
    static let bytesMax = 1 << 30

    var bytes: Int { files.reduce(catalog.bytes) { $0 + $1.bytes } }

    func encoded() throws(Fault) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { throw Fault(.invalid, "a manifest is no text") }
        return [UInt8](data) + [0x0a]
    }

    init(decoding bytes: [UInt8], file: String) throws(Fault) {
        struct Version: Decodable { var format: Int }
        guard let version = try? JSONDecoder().decode(Version.self, from: Data(bytes)) else {
            throw Fault(.damaged, "the manifest of the backup does not decode", at: .init(file: file))
        }
        guard version.format <= BackupManifest.formatVersion else {
            throw Fault(
                .tooNew, "the backup has format \(version.format), this program knows \(BackupManifest.formatVersion)",
                at: .init(file: file))
        }
        guard let manifest = try? JSONDecoder().decode(BackupManifest.self, from: Data(bytes)),
            manifest.namesAreSound
        else { throw Fault(.damaged, "the manifest of the backup does not decode", at: .init(file: file)) }
        self = manifest
    }

    init(
        store: String, catalogFormat: Int, timeMs: Int64, nextSequence: UInt64, events: Int, entities: Int,
        catalog: CatalogFile, files: [SegmentFile]
    ) {
        self.store = store
        self.catalogFormat = catalogFormat
        time = TimestampText.utc(timeMs)
        self.timeMs = timeMs
        self.nextSequence = nextSequence
        self.events = events
        self.entities = entities
        self.catalog = catalog
        self.files = files
    }

    /// Names that lead nowhere but into the backup's directory.
    private var namesAreSound: Bool {
        func isPlain(_ name: Substring) -> Bool {
            !name.isEmpty && !name.hasPrefix(".") && !name.contains("/") && !name.utf8.contains(0)
        }
        return isPlain(catalog.name[...])
            && files.allSatisfy { file in
                let parts = file.path.split(separator: "/", omittingEmptySubsequences: false)
                return parts.count == 2 && parts.allSatisfy(isPlain) && file.bytes >= 0
            }
    }
}
