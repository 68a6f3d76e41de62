// Which functions there are, how many arguments they take, and which of SQLite's run only there.

enum FunctionCatalog {
    /// Aggregates by name. `min` and `max` are these with one argument.
    static let aggregates: [String: AggregateKind] = [
        "count": .count, "sum": .sum, "total": .total, "avg": .average, "min": .minimum, "max": .maximum,
        "quantile": .quantile, "first": .first, "last": .last,
    ]

    static func arguments(of aggregate: AggregateKind) -> ClosedRange<Int> {
        switch aggregate {
        case .count: 0...1
        case .sum, .total, .average, .minimum, .maximum: 1...1
        case .quantile: 2...2
        case .first, .last: 1...2
        }
    }

    static func scalar(_ name: String) -> ScalarFunction? {
        name == "substring" ? .substr : ScalarFunction(rawValue: name)
    }

    /// As many arguments as SQLite's functions may have.
    static let argumentsMax = 127

    static func arguments(of function: ScalarFunction) -> ClosedRange<Int> {
        switch function {
        case .abs, .length, .lower, .upper, .sign, .typeof, .hex, .unicode: 1...1
        case .ifnull, .instr, .nullif: 2...2
        case .iif, .replace: 3...3
        case .ltrim, .rtrim, .trim, .round, .iso: 1...2
        case .substr, .timeBucket, .dateTrunc: 2...3
        case .coalesce, .least, .greatest: 2...argumentsMax
        case .char: 0...argumentsMax
        }
    }

    /// Functions of SQLite that have no native counterpart; of versions up to 3.50.
    private static let onlySQLite: Set<String> = [
        "changes", "concat", "concat_ws", "format", "glob", "if", "last_insert_rowid", "like", "likelihood", "likely",
        "load_extension", "octet_length", "printf", "quote", "random", "randomblob", "soundex",
        "sqlite_compileoption_get", "sqlite_compileoption_used", "sqlite_offset", "sqlite_source_id",
        "sqlite_version", "total_changes", "unhex", "unistr", "unistr_quote", "unlikely", "zeroblob",
        "date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff",
        "group_concat", "string_agg", "median", "percentile", "percentile_cont", "percentile_disc",
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos", "cosh", "degrees",
        "exp", "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow", "power", "radians", "sin", "sinh", "sqrt",
        "tan", "tanh", "trunc", "match", "regexp",
    ]
    private static let windows: Set<String> = [
        "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value",
        "last_value", "nth_value",
    ]

    /// What to call a function that SQLite has to run; `nil` for one that does not exist.
    static func reason(_ name: String) -> String? {
        if windows.contains(name) { return "a window function" }
        let isKnown = onlySQLite.contains(name) || name.hasPrefix("json")
        return isKnown ? "the function \(name)" : nil
    }

    /// The names to suggest.
    static var names: [String] { aggregates.keys + ScalarFunction.allCases.map(\.rawValue) + onlySQLite }

    /// "takes 2 or 3 arguments".
    static func sentence(_ counts: ClosedRange<Int>) -> String {
        let (low, high) = (counts.lowerBound, counts.upperBound)
        if high == argumentsMax { return "takes at least \(low) argument\(low == 1 ? "" : "s")" }
        if low == high { return "takes \(low) argument\(low == 1 ? "" : "s")" }
        return "takes \(low) or \(high) arguments"
    }
}
