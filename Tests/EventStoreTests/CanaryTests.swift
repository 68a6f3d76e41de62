// No file of a store shows a name or a value: recognisable ones go in through every door, then every byte of
// every file is looked at, while the store is open (its write-ahead log beside it) and after.

import Foundation
import Testing

@testable import EventStore

@Suite struct CanaryTests {
    static let entityNames = (0..<6).map { "canary-entity-\($0).qzx.example" }
    static let types = ["canary.type.qzxone", "canary.type.qzxtwo"]
    static let names = ["canary_attribute_qzx", "canary.nested.qzxname", "qzx_user_agent"]
    static let values = ["canary value qzx 123", "qzxvaluecanary", "/qzx/canary/path.php", "Canary/1.0 (qzx; shared)"]
    static let ids = (0..<8).map { Fixed.id(0xabc0_1234_5600 + UInt64($0)) }
    static let number: Int64 = 0x5a17_c3d9_4e8b_2f61

    private func events(_ tag: Int) -> [Event] {
        let start = Fixed.day + Int64(tag - 4) * Fixed.dayMs
        return (0..<60).map { (index: Int) -> Event in
            Event(
                entity: Self.entityNames[index % (tag == 0 ? 1 : 6)], type: Self.types[index % 2],
                timestamp: start + Int64(index), id: index < 8 ? Self.ids[index] : nil,
                attributes: [
                    Self.names[0]: .string(Self.values[index % 3]), Self.names[1]: .integer(Self.number),
                    Self.names[2]: .string(Self.values[3]),
                    "qzxjson": .json("[\"\(Self.values[1])\"]"), "only_qzx_\(tag)": .string("single qzx \(tag)"),
                ])
        }
    }

    @Test(arguments: [0, 1, 3]) func noFileShowsANameOrAValue(_ sharedMin: Int) throws {
        let folder = TestFolder()
        var store = try folder.create(Fixed.create(.day, sharedMin: sharedMin))
        try store.append(events(0), batchID: "canary-batch-qzx")
        try scan(folder, "journal only, open")
        try store.append(events(1))
        try scan(folder, "names shared, open")
        try store.flush()
        try scan(folder, "flushed, open")
        var bulk = ImportRequest(sources: [try folder.write("bulk.ndjson", events(2).map(\.line).joined())])
        try store.importEvents(bulk)
        try scan(folder, "bulk import, open")
        bulk.sources = [try folder.write("durable.ndjson", events(3).map(\.line).joined())]
        bulk.durable = true
        try store.importEvents(bulk)
        try scan(folder, "durable import, open")
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.all().count == 240)
        try scan(folder, "with a reader")
        try reader.close()
        try store.close()
        try scan(folder, "closed with a journal")
        store = try folder.open()
        _ = try store.compact()
        try scan(folder, "compacted, open")
        try store.close()
        try scan(folder, "closed")
    }

    @Test func theScannerFindsWhatItLooksFor() {
        for needle in Self.needles() {
            #expect(Self.find(in: [1, 2, 3] + needle.bytes + [4]).contains(needle.text))
        }
        #expect(Self.find(in: Array("nothing of the kind".utf8)).isEmpty)
    }

    struct Needle {
        var text: String
        var bytes: [UInt8]
    }

    static func needles() -> [Needle] {
        var needles: [Needle] = []
        let texts = entityNames + types + names + values + ["qzx", "canary", "only_qzx", "canary-batch"]
        for text in texts {
            let bytes = Array(text.utf8)
            needles.append(Needle(text: text, bytes: bytes))
            needles.append(Needle(text: text + " reversed", bytes: bytes.reversed()))
            needles.append(Needle(text: text + " as UTF-16", bytes: text.utf16.flatMap { [UInt8($0 & 255), 0] }))
        }
        withUnsafeBytes(of: number.littleEndian) { needles.append(Needle(text: "number", bytes: Array($0))) }
        withUnsafeBytes(of: number.bigEndian) { needles.append(Needle(text: "number, big-endian", bytes: Array($0))) }
        for id in ids {
            needles.append(Needle(text: id.uuidString, bytes: withUnsafeBytes(of: id.uuid) { Array($0) }))
        }
        // Short needles would be found by chance in megabytes of ciphertext.
        return needles.filter { $0.bytes.count >= 6 }
    }

    static func find(in bytes: [UInt8]) -> [String] {
        let data = Data(bytes)
        return needles().filter { data.range(of: Data($0.bytes)) != nil }.map(\.text)
    }

    private func scan(_ folder: TestFolder, _ moment: String) throws {
        let files = TestFolder.files(below: folder.store)
        #expect(files.contains("catalog.db") && files.contains("keyring"))
        for file in files {
            let found = Self.find(in: try TestFolder.bytes(folder.store + "/" + file))
            #expect(found.isEmpty, "\(moment): \(file) shows \(found)")
            #expect(Self.find(in: Array(file.utf8)).isEmpty)
        }
    }
}
