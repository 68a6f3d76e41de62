// The names with a meaning of their own, in one place for all formats. docs/input-formats.md lists them.

enum EventFields {
    static let ownTypeKey = Array("type".utf8)
    static let ownObject = Array("attributes".utf8)
    /// Top-level objects whose members count as if they stood at the top.
    static let flatObjects: [[UInt8]] = [Array("labels".utf8), ownObject]
    /// Where the text of an id goes that is not a UUID.
    static let otherIDAttribute = Array("event_id".utf8)

    /// Fixed fields of a stored event. An attribute of that name is called `labels.NAME`.
    private static let reserved: Set<[UInt8]> = Set(
        ["id", "entity", "type", "timestamp", "sequence", "received", "attributes"].map { Array($0.utf8) })

    private static let fields: [[UInt8]: JSONAction] = [
        Array("entity".utf8): .entity,
        Array("event_type".utf8): .type,
        ownTypeKey: .type,
        Array("timestamp".utf8): .timestamp,
        Array("event_id".utf8): .id,
        Array("id".utf8): .id,
        Array("sequence".utf8): .sequence,
        Array("received".utf8): .received,
    ]

    /// What a top-level member of this name is, if not an attribute.
    static func field(_ name: [UInt8]) -> JSONAction? { fields[name] }

    static func attributeName(_ name: [UInt8]) -> [UInt8] {
        reserved.contains(name) ? Array("labels.".utf8) + name : name
    }
}
