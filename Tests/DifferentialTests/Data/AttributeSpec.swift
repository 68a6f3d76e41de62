// The attributes of the generated events: what each looks like and what a query generator must know of it.

import EventStore

/// How an attribute's values behave in SQL.
struct ColumnTraits: OptionSet, Hashable, Sendable {
    let rawValue: Int
    /// Can be used where a number makes sense.
    static let numeric = ColumnTraits(rawValue: 1)
    /// Can be used where text makes sense.
    static let textual = ColumnTraits(rawValue: 2)
    /// Some values are doubles, so that sums are rounded.
    static let doubles = ColumnTraits(rawValue: 4)
    /// Holds integers and doubles that are equal: which of them stands for a group is open.
    static let mixesNumbers = ColumnTraits(rawValue: 8)
    /// Few distinct values: worth grouping by.
    static let groups = ColumnTraits(rawValue: 16)
    /// Integers so large that sums overflow.
    static let huge = ColumnTraits(rawValue: 32)
    /// Doubles of more than 15 digits, whose text SQLite rounds in its own way.
    static let noText = ColumnTraits(rawValue: 64)
    /// True and false.
    static let flag = ColumnTraits(rawValue: 128)
}

/// One attribute: its name and how its values come about.
struct AttributeSpec: Sendable {
    let name: String
    let traits: ColumnTraits
    /// The types whose events may have it, by number; empty is all.
    let types: [Int]
    /// Of a hundred such events, how many have it.
    let density: Int
    let make: @Sendable (inout SeededGenerator, EventContext) -> AttributeValue?

    init(
        _ name: String, _ traits: ColumnTraits, types: [Int] = [], density: Int = 100,
        _ make: @escaping @Sendable (inout SeededGenerator, EventContext) -> AttributeValue?
    ) {
        self.name = name
        self.traits = traits
        self.types = types
        self.density = density
        self.make = make
    }
}

/// What values may depend on.
struct EventContext: Sendable {
    let ordinal: Int
    let entity: Int
    let type: Int
    let day: Int
}

extension AttributeSpec {
    static let all: [AttributeSpec] = texts + numbers + mixtures + oddNames

    private static func choice(_ values: [String]) -> @Sendable (inout SeededGenerator, EventContext) -> AttributeValue?
    {
        { random, _ in .string(random.pick(values)) }
    }

    private static let paths = [
        "/", "/wp-login.php", "/index.html", "/100%_sure", "/a_b/c", "/über/straße", "/ABC", "/abc",
    ]
    private static let agents = [
        "Mozilla/5.0 (X11)", "curl/8.5.0", "Googlebot/2.1", "WordPress/6.4; https://example.org", "",
    ]
    private static let unicode = [
        "e\u{301}t\u{e9}", "\u{e9}te\u{301}", "caf\u{e9}", "cafe\u{301}", "☃ snow", "日本語", "İstanbul", "straße",
        "STRASSE",
        "\u{212a}elvin", "kelvin", "😀", "😀😁", "ſ", "s", "", "\u{fffd}", "\u{10ffff}", "\u{e000}",
    ]
    private static let numberTexts = [
        "1", "1.0", "1e3", " 12 ", "0x10", "-5", "", "12abc", "9223372036854775808", "-9223372036854775808", "+7", ".5",
        "5.",
        "1e", "NaN", "inf", "00012", "9007199254740993",
    ]

    private static let extremes: [Int64] = [
        .min, .max, .min + 1, .max - 1, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1, 1 << 62, 0, -1, 1,
    ]
    private static let edges: [Double] = [
        1e308, -1e308, .leastNonzeroMagnitude, 2.2250738585072014e-308, 0.1, 0.30000000000000004, 1e15, 1e16, 0,
        9007199254740992, -1.5,
        123456789012345680, 9.223372036854775e18, -9.223372036854775808e18,
    ]
    private static let anyKind: [AttributeValue] = [
        1, 1.0, "1", true, .json("[1]"), "", 2, 2.5, "two", false, "true", 0, -3, "-3", 1e3, "1000", 404, "404",
    ]
    private static let beyondDoubles: [AttributeValue] = [
        .integer(1 << 53), .integer((1 << 53) + 1), .double(0x1p53), .double(0x1p53 + 2), .integer((1 << 53) - 1),
        .double(-0x1p53), .integer(-(1 << 53) - 1),
    ]

    private static let texts: [AttributeSpec] = [
        AttributeSpec("method", [.textual, .groups], density: 90, choice(["GET", "POST", "HEAD", "get", "PUT"])),
        AttributeSpec("req.method", [.textual, .groups], types: [0, 1], choice(["GET", "POST", "DELETE"])),
        AttributeSpec("req.path", [.textual], types: [0, 3]) { random, _ in
            random.percent(40) ? .string(random.pick(paths)) : .string(random.pick(paths) + "/\(random.below(500))")
        },
        AttributeSpec("level", [.textual, .groups], density: 80, choice(["info", "warn", "error", "Error", ""])),
        AttributeSpec(
            "country", [.textual, .groups], density: 60, choice(["de", "fr", "us", "at", "ch", "jp", "br"])),
        AttributeSpec("agent", [.textual, .groups], types: [0], choice(agents)),
        AttributeSpec("actor.ip", [.textual], density: 85) { random, _ in
            .string("10.\(random.below(3)).\(random.below(256)).\(random.below(256))")
        },
        AttributeSpec("hash", [.textual], types: [0, 2]) { random, _ in
            let digits = String(random.next(), radix: 16) + String(random.next(), radix: 16)
            return .string(String((digits + "0123456789abcdef0123456789abcdef").prefix(32)))
        },
        AttributeSpec("unicode", [.textual, .groups], density: 70, choice(unicode)),
        AttributeSpec("numtext", [.textual], density: 70, choice(numberTexts)),
        AttributeSpec("long", [.textual], density: 4) { random, _ in
            .string(String(repeating: "lorem ipsum \(random.below(50)) ", count: random.within(5...120)))
        },
        AttributeSpec("note", [.textual], density: 20) { random, _ in
            .string(
                random.pick([
                    "it's", "say \"hi\"", "line\nbreak", "tab\there", "semi; --colon", "back\\slash", "/* c */",
                ]))
        },
        AttributeSpec("tags", [.textual, .groups], density: 50) { random, _ in
            .json(random.pick(["[]", "[1,2]", "[\"a\",\"b\"]", "[{\"x\":1}]", "[null,true]", "[1.5]"]))
        },
        AttributeSpec("who", [.textual, .groups]) { _, context in .string("owner of \(context.entity)") },
        AttributeSpec("constant", [.textual, .groups]) { _, _ in "same" },
    ]

    private static let numbers: [AttributeSpec] = [
        AttributeSpec("status", [.numeric, .groups], density: 95) { random, _ in
            .integer(Int64(random.pick([200, 200, 200, 301, 304, 404, 403, 500, 503])))
        },
        AttributeSpec("bytes", [.numeric], types: [0, 1, 3]) { random, _ in .integer(Int64(random.below(5_000_000))) },
        AttributeSpec("delta", [.numeric]) { random, context in .integer(Int64(context.ordinal * 3 + random.below(3)))
        },
        AttributeSpec("small", [.numeric, .groups], density: 75) { random, _ in .integer(Int64(random.within(-12...12)))
        },
        AttributeSpec("duration", [.numeric, .doubles], density: 90) { random, _ in
            .double(Double(random.below(2_000_000)) / 1000)
        },
        AttributeSpec("price", [.numeric, .doubles, .groups], types: [2, 4]) { random, _ in
            .double(Double(random.within(-300...300)) / 100)
        },
        AttributeSpec("ratio", [.numeric, .doubles, .noText]) { random, _ in .double(random.fraction() * 2 - 1) },
        AttributeSpec("ok", [.numeric, .flag, .groups], density: 92) { random, _ in .bool(random.percent(80)) },
        AttributeSpec("payload.success", [.numeric, .flag, .groups], types: [1]) { random, _ in
            .bool(random.percent(40))
        },
        AttributeSpec("payload.count", [.numeric, .groups], types: [1, 2]) { random, _ in
            .integer(Int64(random.below(9)))
        },
        AttributeSpec("payload.size", [.numeric, .doubles, .groups], types: [2, 3]) { random, _ in
            .double(Double(random.below(6)))
        },
        AttributeSpec("big", [.numeric, .huge], density: 30) { random, _ in .integer(random.pick(extremes)) },
        AttributeSpec("exact", [.numeric], density: 40) { random, _ in
            .integer((1 << 53) + Int64(random.within(-3...3)))
        },
        AttributeSpec("edge", [.numeric, .doubles, .noText], density: 30) { random, _ in .double(random.pick(edges)) },
        AttributeSpec("retries", [.numeric, .groups], types: [5]) { random, _ in .integer(Int64(random.below(4))) },
        AttributeSpec("rare", [.numeric], density: 1) { random, _ in .integer(Int64(random.below(10))) },
        AttributeSpec("first_days", [.numeric, .groups]) { random, context in
            context.day < 2 ? .integer(Int64(random.below(5))) : nil
        },
    ]

    private static let mixtures: [AttributeSpec] = [
        AttributeSpec("mixed", [.numeric, .textual, .doubles, .mixesNumbers, .groups], density: 85) { random, _ in
            random.pick(anyKind)
        },
        AttributeSpec("pair", [.numeric, .doubles, .mixesNumbers, .groups], density: 80) { random, _ in
            let whole = Int64(random.within(-2...3))
            return random.percent(50) ? .integer(whole) : .double(Double(whole))
        },
        AttributeSpec("edges", [.numeric, .doubles, .mixesNumbers, .noText], density: 30) { random, _ in
            random.pick(beyondDoubles)
        },
        AttributeSpec("switch", [.numeric, .groups], density: 60) { random, _ in
            random.percent(50) ? .bool(random.percent(50)) : .integer(Int64(random.below(3)))
        },
        AttributeSpec("code", [.numeric, .textual, .groups], density: 90) { random, context in
            let number = random.pick([200, 301, 404, 500])
            return context.entity % 3 == 0 ? .string("\(number)") : .integer(Int64(number))
        },
        AttributeSpec("arrays", [.textual], density: 30) { random, _ in
            random.percent(50) ? .json("[\(random.below(4))]") : .string("[\(random.below(4))]")
        },
    ]

    private static let oddNames: [AttributeSpec] = [
        AttributeSpec("type", [.textual, .groups], density: 50, choice(["inner", "outer", ""])),
        AttributeSpec("timestamp", [.numeric], density: 40) { random, _ in .integer(Int64(random.below(1000))) },
        AttributeSpec("with blank", [.numeric, .groups], density: 60) { random, _ in .integer(Int64(random.below(7))) },
        AttributeSpec("quo\"te", [.textual, .groups], density: 40, choice(["a", "b", "c'd"])),
        AttributeSpec("o'clock", [.numeric, .groups], density: 40) { random, _ in .integer(Int64(random.below(24))) },
        AttributeSpec("select", [.textual, .groups], density: 50, choice(["star", "one"])),
        AttributeSpec("naïve.größe", [.numeric, .doubles], density: 40) { random, _ in
            .double(Double(random.below(100)) / 8)
        },
        AttributeSpec("a-b", [.textual, .groups], density: 30, choice(["x", "y"])),
        AttributeSpec("x[0].y", [.numeric, .groups], density: 30) { random, _ in .integer(Int64(random.below(3))) },
        AttributeSpec("UPPER_case9", [.textual, .groups], density: 50, choice(["Yes", "no", "YES"])),
    ]
}
