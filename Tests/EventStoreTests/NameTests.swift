// Names: under whose key a name stands, and when it joins the store's vocabulary.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Foundation
import Testing

@testable import EventStore

@Suite struct NameTests {
    private func append(_ store: BlockingEventStore, _ entity: Int, _ type: String, _ names: [String]) throws {
        let attributes = Dictionary(uniqueKeysWithValues: names.map { ($0, AttributeValue.integer(1)) })
        let report = try store.append([
            Event(entity: "entity\(entity)", type: type, timestamp: Fixed.day, attributes: attributes)
        ])
        #expect(report.stored == 1)
    }

    /// What the catalog keeps of each name: by kind and number, whether it is shared, and who holds it.
    private func content(_ store: BlockingEventStore) throws -> [String: (shared: Bool, holders: Set<UInt32>)] {
        let context = store.engine.context
        let (names, holders) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.names(), try reader.holders())
        }
        var result: [String: (shared: Bool, holders: Set<UInt32>)] = [:]
        for name in names {
            let text =
                name.kind == StoredNameKind.type.rawValue
                ? context.names.typeName(name.number) : context.names.attributeName(name.number)
            let using = holders.filter { $0.kind == name.kind && $0.name == name.number }.map(\.entity)
            #expect(result[text ?? "?"] == nil)
            result[text ?? "?"] = (name.shared != nil, Set(using))
        }
        return result
    }

    @Test(arguments: [0, 1, 2, 3, 5]) func aNameIsSharedOnceEnoughEntitiesUseIt(_ sharedMin: Int) throws {
        let folder = TestFolder()
        var store = try folder.create(Fixed.create(.day, sharedMin: sharedMin))
        for entity in 0..<6 {
            // The type and `common` are everybody's; `few` that of entities 0 and 1; `own` one's each.
            try append(store, entity, "type", ["common", "own\(entity)"] + (entity < 2 ? ["few"] : []))
            // A second time changes nothing.
            try append(store, entity, "type", ["common", "own\(entity)"])
            let found = try content(store)
            let using = entity + 1
            for name in ["type", "common"] {
                let isShared = sharedMin > 0 && using >= sharedMin
                #expect(found[name]?.shared == isShared, "\(name) with \(using) of \(sharedMin)")
                #expect(found[name]?.holders == (isShared ? [] : Set((0...entity).map(UInt32.init))))
            }
            #expect(found["own\(entity)"]?.shared == (sharedMin == 1))
            let few = found["few"]
            #expect(few?.shared == (sharedMin > 0 && min(using, 2) >= sharedMin))
            if entity == 3 {
                try store.close()
                store = try folder.open()
            }
        }
        #expect(try store.names(of: .attribute).count == 8)
        // Each box opens under the key of the entity it is for, and under no other.
        let context = store.engine.context
        let (names, holders, entities) = try context.catalog.read { (reader) throws(Fault) in
            (try reader.names(), try reader.holders(), try reader.entities())
        }
        let cipher = XAESContext()
        for holder in holders {
            let kind = try #require(StoredNameKind(rawValue: holder.kind))
            let aad = NameSealing.holder(kind, holder.name, holder.entity)
            for entity in entities {
                let key = try context.keyring.entityKey(entity.keyID)
                let opened = try? cipher.openBox(key: key, aad: aad, box: holder.sealed)
                #expect((opened != nil) == (entity.number == holder.entity))
            }
            #expect(throws: Fault.self) {
                try cipher.openBox(key: context.keyring.subkey(.names), aad: aad, box: holder.sealed)
            }
        }
        for name in names {
            guard let box = name.shared else { continue }
            let kind = try #require(StoredNameKind(rawValue: name.kind))
            let opened = try cipher.openBox(
                key: context.keyring.subkey(.names), aad: NameSealing.shared(kind, name.number), box: box)
            #expect(!opened.isEmpty)
        }
        try store.expectClean()
        try store.close()
    }

    @Test func anImportSharesNamesAsAppendsDo() throws {
        for durable in [false, true] {
            let folder = TestFolder()
            let store = try folder.create()
            let events = (0..<40).map { index in
                Event(
                    entity: "entity\(index % 4)", type: "type", timestamp: Fixed.day + Int64(index),
                    id: Fixed.id(UInt64(index)),
                    attributes: ["common": 1, "own\(index % 4)": 2, index % 4 < 2 ? "few" : "rest": 3])
            }
            var request = ImportRequest(sources: [try folder.write("in.ndjson", events.map(\.line).joined())])
            request.durable = durable
            try store.importEvents(request)
            let found = try content(store)
            #expect(found["type"]?.shared == true && found["common"]?.shared == true)
            #expect(found["few"]?.shared == false && found["few"]?.holders == [0, 1])
            #expect(found["own2"]?.holders == [2])
            try store.close()
        }
    }

    @Test func aReaderLearnsNamesAsTheyCome() throws {
        let folder = TestFolder()
        let writer = try folder.create()
        let reader = try folder.open(Fixed.open(.readOnly))
        for round in 0..<6 {
            try append(writer, round % 3, "type\(round)", ["name\(round)", "common"])
            #expect(try reader.names(of: .type).count == round + 1)
            let found = try reader.all(EventFilter(types: ["type\(round)"]))
            #expect(found.first?.attributes.keys.sorted() == ["common", "name\(round)"])
        }
        // A name first used by a row that was refused, then by one that was not.
        let line = #"{"entity":"stranger","type":"late","timestamp":\#(Fixed.day),"attributes":{"late_name":1}}"# + "\n"
        var request = ImportRequest(sources: [try folder.write("in.ndjson", line)])
        request.allowNewEntities = false
        #expect(try writer.importEvents(request).refused == 1)
        try append(writer, 0, "after", ["after_name"])
        #expect(try reader.names(of: .type).contains("after"))
        try append(writer, 1, "late", ["late_name"])
        #expect(try reader.all(EventFilter(types: ["late"])).first?.attributes == ["late_name": 1])
        try reader.close()
        try writer.close()
    }
}
