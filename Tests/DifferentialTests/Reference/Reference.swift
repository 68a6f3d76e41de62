// The same events in a plain table of SQLite: what answers are compared with.

import EventStore
import Foundation

/// A table `events` in memory: the fixed columns with their declared types, one column without a type an attribute.
final class Reference {
    let connection: SQLiteConnection
    private let toReal: SQLiteStatement

    /// The column of an attribute; one named like a fixed column is called otherwise here.
    static func column(_ attribute: String) -> String {
        fixedColumns.contains(attribute) ? "attributes." + attribute : attribute
    }

    static let fixedColumns = ["id", "entity", "type", "timestamp", "sequence", "received", "attributes"]

    init(events: [Event]) throws {
        connection = try SQLiteConnection()
        // Rows of some kilobytes stay on one page.
        try connection.execute("PRAGMA page_size = 65536; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -1000000")
        toReal = try connection.prepare("SELECT CAST(? AS REAL)")
        let specs = AttributeSpec.all
        let names = specs.map { Self.quoted(Self.column($0.name)) }.joined(separator: ", ")
        try connection.execute(
            """
            CREATE TABLE events(
              number INTEGER PRIMARY KEY, id TEXT, entity TEXT, type TEXT, timestamp INTEGER, sequence INTEGER,
              received INTEGER, \(names), attributes TEXT)
            """)
        try ReferenceFunctions.register(on: connection)
        try connection.execute("BEGIN")
        let marks = Array(repeating: "?", count: specs.count + 8).joined(separator: ",")
        let insert = try connection.prepare("INSERT INTO events VALUES(\(marks))")
        for (index, event) in events.enumerated() {
            let fixed: [Cell] = [
                .integer(Int64(index)), .text(event.id?.uuidString.lowercased() ?? ""), .text(event.entity),
                .text(event.type), .integer(event.timestamp), .integer(Int64(event.sequence)), .integer(event.received),
            ]
            let values =
                fixed + specs.map { Cell(event.attributes[$0.name]) } + [.text(JSONMembers.object(event.attributes))]
            for (place, value) in values.enumerated() { insert.bind(value, at: place) }
            _ = try insert.step()
            insert.reset()
        }
        try connection.execute("COMMIT")
    }

    static func quoted(_ name: String) -> String { "\"" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\"" }

    /// Whether SQLite reads the text of this double as exactly this double; now and then it is off by a bit.
    func reads(_ number: Double) -> Bool {
        toReal.bind(.text("\(number)"), at: 0)
        defer { toReal.reset() }
        guard (try? toReal.step()) == true else { return false }
        return toReal.value(0) == .real(number)
    }
}
