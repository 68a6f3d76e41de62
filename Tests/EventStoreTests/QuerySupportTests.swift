// What the suites about queries share: short ways to ask, and a store of known rows in segments and journal.

import EventStoreCore
import Testing

@testable import EventStore

extension BlockingEventStore {
    /// All rows of a query.
    func ask(_ sql: String, _ parameters: [String: QueryValue] = [:]) throws -> [[QueryValue]] {
        try query(sql, parameters: parameters).rows()
    }

    /// The only value of a query.
    func one(_ sql: String, _ parameters: [String: QueryValue] = [:]) throws -> QueryValue {
        let rows = try ask(sql, parameters)
        #expect(rows.count == 1 && rows.first?.count == 1, "one value: \(sql)")
        return rows.first?.first ?? .null
    }

    /// The lines of an EXPLAIN.
    func plan(_ sql: String) throws -> [String] {
        try ask("EXPLAIN " + sql).map { row in
            if case .text(let line) = row[0] { line } else { "" }
        }
    }

    func statistics(_ sql: String) throws -> QueryStatistics {
        let cursor = try query(sql)
        _ = try cursor.rows()
        return cursor.statistics
    }
}

extension QueryValue: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, ExpressibleByFloatLiteral {
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(stringLiteral value: String) { self = .text(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
}

enum Known {
    static let entities = 6
    static let types = ["http.request", "auth.attempt", "wp.cron"]

    /// Row `number` of a day: everything about it follows from the number.
    static func event(_ number: Int, day: Int = 0) -> Event {
        var attributes: [String: AttributeValue] = [
            "n": .integer(Int64(number)), "path": .string("/p/\(number % 17)"), "ok": .bool(number % 2 == 0),
        ]
        if number % 3 != 0 { attributes["ms"] = .double(Double(number % 50) / 4) }
        return Event(
            entity: "site\(number % entities)", type: types[number % 3],
            timestamp: Fixed.day + Int64(day) * Fixed.dayMs + Int64(number) * 1000,
            id: Fixed.id(UInt64(day + 100) << 24 | UInt64(number)), attributes: attributes)
    }

    /// Three days before `Fixed.day`, each in a segment, and half a day in the journal.
    static func store(
        _ folder: TestFolder, perDay: Int = 600, _ options: CreateOptions = Fixed.create(),
        open: OpenOptions = Fixed.open()
    ) throws -> BlockingEventStore {
        let store = try folder.create(options, open: open)
        for day in -3..<0 {
            try store.append((0..<perDay).map { event($0, day: day) })
            try store.flush()
        }
        try store.append((0..<perDay / 2).map { event($0) })
        return store
    }
}
