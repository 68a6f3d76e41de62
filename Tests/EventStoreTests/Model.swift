// A store in a few lines: what the engine must agree with, written from the documentation alone.

import Foundation

@testable import EventStore

/// Random events over a small universe, so that ids, names and values meet again.
struct EventMaker {
    var generator: SeededGenerator
    var entities = 6
    var days: ClosedRange<Int64> = -45...0
    var ids: UInt64 = 80

    static let texts = [
        "", "GET", "/wp-login.php", "wp-login", "Mozilla/5.0 (X11; Linux)", "ünïcödé ✓ 日本", "203.0.113.9", "0",
        "deadbeefdeadbeef", "a\u{1}b\"c\\d\n", "6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4",
    ]
    static let integers: [Int64] = [0, 1, -1, 200, 404, 1 << 53, (1 << 53) + 1, .min, .max]
    static let doubles: [Double] = [0.5, -0.0, 1, 200, 404.25, 9_007_199_254_740_992, 1e300, -1e-300]

    mutating func value() -> AttributeValue {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4: .string(generator.pick(Self.texts))
        case 4..<6: .integer(generator.pick(Self.integers))
        case 6..<8: .double(generator.pick(Self.doubles))
        case 8: .bool(Bool.random(using: &generator))
        default: .json("[1,\"\(Int.random(in: 0..<3, using: &generator))\"]")
        }
    }

    /// - Parameter withID: `nil` is either.
    mutating func event(withID: Bool? = nil) -> Event {
        let number = UInt64.random(in: 0..<ids, using: &generator)
        // An id mostly comes with the same event again, sometimes with another.
        var source = generator.chance(9, of: 10) ? SeededGenerator(seed: number) : generator
        _ = generator.next()
        swap(&source, &generator)
        defer { swap(&source, &generator) }
        let day = Int64.random(in: days, using: &generator)
        var attributes: [String: AttributeValue] = [:]
        for name in ["a", "b", "ip", "req.method", "status", "ünï"] where generator.chance(2, of: 3) {
            attributes[name] = value()
        }
        let entity = "site\(Int.random(in: 0..<entities, using: &generator)).example"
        let type = generator.pick(["http.request", "auth", "wp.cron", "x"])
        let time = Fixed.day + day * Fixed.dayMs + Int64.random(in: 0..<Fixed.dayMs / 3, using: &generator)
        let hasID = withID ?? source.chance(3, of: 4)
        return Event(
            entity: entity, type: type, timestamp: time, id: hasID ? Fixed.id(number) : nil, attributes: attributes)
    }

    mutating func condition() -> EventFilter.Condition {
        EventFilter.Condition(
            generator.pick(["a", "b", "ip", "req.method", "status", "ünï", "unknown"]),
            generator.pick([.equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .contains, .startsWith]),
            value())
    }

    mutating func filter() -> EventFilter {
        var filter = EventFilter()
        if generator.chance(1, of: 3) {
            filter.entities = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                "site\(Int.random(in: 0...entities, using: &generator)).example"
            }
        }
        if generator.chance(1, of: 3) { filter.types = [generator.pick(["http.request", "auth", "none"]), "x"] }
        if generator.chance(1, of: 3) { filter.since = time() }
        if generator.chance(1, of: 3) { filter.until = time() }
        while generator.chance(1, of: 3) { filter.conditions.append(condition()) }
        return filter
    }

    mutating func time() -> Int64 {
        let day = Fixed.day + Int64.random(in: days, using: &generator) * Fixed.dayMs
        return generator.chance(1, of: 2) ? day : day + Int64.random(in: 0..<Fixed.dayMs, using: &generator)
    }
}

/// What a filter means.
enum ModelFilter {
    static func matches(_ event: Event, _ filter: EventFilter) -> Bool {
        (filter.entities.isEmpty || filter.entities.contains(event.entity))
            && (filter.types.isEmpty || filter.types.contains(event.type))
            && event.timestamp >= filter.since ?? .min && (filter.until.map { event.timestamp < $0 } ?? true)
            && filter.conditions.allSatisfy { holds($0, event.attributes[$0.attribute]) }
    }

    static func holds(_ condition: EventFilter.Condition, _ stored: AttributeValue?) -> Bool {
        switch (stored, condition.value) {
        case (.string(let a), .string(let b)), (.json(let a), .string(let b)), (.json(let a), .json(let b)):
            text(condition.comparison, Array(a.utf8), Array(b.utf8))
        case (.integer(let a), .integer(let b)): sign(condition.comparison, a == b ? 0 : a < b ? -1 : 1)
        case (.double(let a), .double(let b)): sign(condition.comparison, a == b ? 0 : a < b ? -1 : 1)
        case (.integer(let a), .double(let b)): sign(condition.comparison, compare(a, b))
        case (.double(let a), .integer(let b)): sign(condition.comparison, -compare(b, a))
        case (.bool(let a), .bool(let b)):
            condition.comparison == .equal && a == b || condition.comparison == .notEqual && a != b
        default: false
        }
    }

    private static func text(_ comparison: EventFilter.Comparison, _ a: [UInt8], _ b: [UInt8]) -> Bool {
        switch comparison {
        case .contains: b.isEmpty || a.indices.contains { a[$0...].starts(with: b) }
        case .startsWith: a.starts(with: b)
        default: sign(comparison, a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1)
        }
    }

    private static func sign(_ comparison: EventFilter.Comparison, _ sign: Int) -> Bool {
        switch comparison {
        case .equal: sign == 0
        case .notEqual: sign != 0
        case .less: sign < 0
        case .lessOrEqual: sign <= 0
        case .greater: sign > 0
        case .greaterOrEqual: sign >= 0
        case .contains, .startsWith: false
        }
    }

    private static func compare(_ a: Int64, _ b: Double) -> Int {
        if b >= 0x1p63 { return -1 }
        if b < -0x1p63 { return 1 }
        let whole = Int64(b.rounded(.towardZero))
        if a != whole { return a < whole ? -1 : 1 }
        let rest = b - b.rounded(.towardZero)
        return rest == 0 ? 0 : rest > 0 ? -1 : 1
    }
}

/// Events by identity; the first stays.
struct ModelStore {
    private(set) var byIdentity: [String: Event] = [:]
    private(set) var withoutID: [Event] = []
    var count: Int { byIdentity.count + withoutID.count }

    /// What becomes of an event that has an id.
    mutating func add(_ event: Event) -> EventOutcome {
        guard event.id != nil else {
            withoutID.append(event)
            return .stored
        }
        guard let known = byIdentity[event.identity] else {
            byIdentity[event.identity] = event
            return .stored
        }
        return known == event ? .duplicate : .conflict
    }
}

extension Event {
    /// A line of the store's own envelope.
    var line: String {
        let fields = attributes.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)):\(Self.json($0.value))" }
        let idText = id.map { ",\"id\":\"\($0.uuidString)\"" } ?? ""
        return "{\"entity\":\(Self.quoted(entity)),\"type\":\(Self.quoted(type)),\"timestamp\":\(timestamp)\(idText)"
            + ",\"attributes\":{\(fields.joined(separator: ","))}}\n"
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            default:
                if scalar.value < 0x20 {
                    result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }

    static func json(_ value: AttributeValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .integer(let number): "\(number)"
        case .double(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        case .json(let text): text
        }
    }
}
