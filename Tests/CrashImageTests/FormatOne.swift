// The store of format 1 that the tests of upgrades read, as the content of a simulated disk.

import EventStoreSimulation
import Foundation

@testable import EventStore

enum FormatOne {
    /// Ten days after its last event.
    static let nowMs: Int64 = 1_790_000_000_331 + 10 * 86_400_000

    private static let folder =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        + "/EventStoreTests/Fixtures/format-1"

    static func disk() throws -> DiskState {
        var state = DiskState()
        let names = FileManager.default.enumerator(atPath: folder + "/store")?.compactMap { $0 as? String } ?? []
        for name in names.sorted() where !name.hasSuffix("-shm") {
            var isDirectory: ObjCBool = false
            let path = folder + "/store/" + name
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue
            else { continue }
            state.put("store/" + name, [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))))
        }
        return state
    }

    static func key() throws -> KeySource {
        let text = try String(contentsOfFile: folder + "/store.key", encoding: .utf8)
        let digits = Array(text.utf8.filter { $0 > 0x20 })
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { index in
            UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16)
        }
        return .raw(bytes)
    }
}
