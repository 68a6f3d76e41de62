// The manifest of an export that is a store: files, sizes and hashes. It stands beside sealed files in plain text, so it
// has no names, and no filter, which is made of them: that is sealed in the catalog.

import EventStoreCore
import Foundation

struct StoreManifest: Codable, Equatable {
    var version = 1
    var format = "store"
    /// Id of the exported store, which is not that of the store it came from.
    var store: String
    var created: String
    var expires: String?
    var fromSequence: UInt64?
    var nextSequence: UInt64
    var events: Int
    var files: [ExportManifest.File]

    init(_ manifest: ExportManifest, expiresMs: Int64?) {
        store = manifest.store
        created = manifest.created
        expires = expiresMs.map { TimestampText.utc($0) }
        fromSequence = manifest.fromSequence
        nextSequence = manifest.nextSequence
        events = manifest.events
        files = manifest.files
    }

    var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) + "\n" } ?? ""
    }

    /// What differs between an export and what its manifest says.
    ///
    /// - Parameter known: files that are known to be damaged; they are not named twice.
    static func holes(
        _ context: ReadContext, events: Int, quick: Bool, known: Set<String>
    ) throws(Fault) -> [Hole] {
        let files = context.environment.files
        let path = Path.join(context.files.root, ExportTarget.manifestInside)
        guard try files.status(path) != nil else { return [Hole(file: path, message: "the manifest is missing")] }
        let bytes = try files.readAll(path, max: 1 << 30)
        guard let manifest = try? JSONDecoder().decode(StoreManifest.self, from: Data(bytes)) else {
            return [Hole(file: path, message: "the manifest does not decode")]
        }
        guard manifest.store == context.settings.storeID.hexText else {
            return [Hole(file: path, message: "the manifest is that of another export")]
        }
        var holes: [Hole] = []
        for file in manifest.files {
            let place = Path.join(context.files.root, file.path)
            guard !known.contains(place), let message = try difference(file, place, files, quick: quick) else {
                continue
            }
            holes.append(Hole(file: place, message: message))
        }
        if holes.isEmpty, known.isEmpty, manifest.events != events {
            holes.append(
                Hole(file: path, message: "the manifest says \(manifest.events) events, the store has \(events)"))
        }
        return holes
    }

    private static func difference(
        _ file: ExportManifest.File, _ path: String, _ files: any FileSystem, quick: Bool
    ) throws(Fault) -> String? {
        // Never a file outside the export, whatever the manifest says.
        guard !file.path.split(separator: "/").contains(".."), !file.path.hasPrefix("/") else {
            return "the manifest names a file outside the export"
        }
        guard let status = try files.status(path), !status.isDirectory else { return "the file is missing" }
        guard status.size == file.bytes else {
            return "the file has \(status.size) bytes, the manifest says \(file.bytes)"
        }
        if quick { return nil }
        return try FileBytes.sha256(path, files).sha256 == file.sha256 ? nil : "the file is not the one in the manifest"
    }
}
