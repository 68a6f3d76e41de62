/// Who may import whom: the house of docs/architecture.md. A lower room never names a higher one, and each
/// foreign library has one room that knows it.
enum ImportRules {
    /// The rooms and what each may import besides the C library and Swift's own modules.
    static let allowed: [String: Set<String>] = [
        "Core": ["CHostSystem"],
        "Crypto": ["EventStoreCore", "CLibCrypto"],
        "Segments": ["EventStoreCore", "CLZ4"],
        "Parquet": ["EventStoreCore", "CLZ4", "CZstd"],
        "Ingest": ["EventStoreCore", "CZlib", "CZstd", "Foundation"],
        "Catalog": ["EventStoreCore", "GRDB", "GRDBSQLite"],
        "Query": ["EventStoreCore", "EventStoreSegments", "GRDBSQLite"],
        "EventStore": [
            "EventStoreCore", "EventStoreCrypto", "EventStoreSegments", "EventStoreIngest", "EventStoreCatalog",
            "EventStoreQuery", "EventStoreParquet", "CHostSystem", "Logging", "Foundation",
        ],
        "CLI": ["EventStore", "ArgumentParser", "Foundation"],
    ]

    /// Libraries that only one folder of a room may import.
    private static let folders: [String: [String: String]] = [
        "Query": ["GRDBSQLite": "Sources/Query/SQLite/"],
        "Parquet": ["CZstd": "Sources/Parquet/Read/"],
    ]

    /// Part of every toolchain and without cost to an embedder: open to all rooms.
    private static let system: Set<String> = [
        "Swift", "Synchronization", "Dispatch", "Glibc", "Musl", "Darwin", "_Concurrency",
    ]

    /// `public` belongs to the front door; the command line is a program and has no callers.
    private static let publicRooms: Set<String> = ["EventStore", "CLI"]

    static func check(_ file: SwiftFile) -> [Finding] {
        guard !file.room.isEmpty else { return [] }
        guard let allowed = allowed[file.room] else {
            return [
                Finding(path: file.path, line: 0, message: "a room that the import rules do not know; add it there")
            ]
        }
        return file.tokens.indices.compactMap { index in
            let token = file.tokens[index]
            if token.text == "import", let module = module(in: file.tokens, after: index),
                !system.contains(module), !allowed.contains(module)
            {
                return file.finding(at: token, "\(file.room) may not import \(module); see docs/architecture.md")
            }
            if token.text == "import", let module = module(in: file.tokens, after: index),
                let folder = folders[file.room]?[module], !file.path.hasPrefix(folder)
            {
                return file.finding(at: token, "only files under \(folder) may import \(module)")
            }
            if token.text == "public" || token.text == "open" && declares(file.tokens.text(index + 1)),
                !publicRooms.contains(file.room)
            {
                return file.finding(at: token, "`\(token.text)` outside the front door; between rooms it is `package`")
            }
            return nil
        }
    }

    /// The module of an import: `struct` and the like may stand between, `.Name` may follow.
    private static func module(in tokens: [Token], after index: Int) -> String? {
        let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        let next = kinds.contains(tokens.text(index + 1)) ? index + 2 : index + 1
        return tokens.indices.contains(next) ? tokens[next].text : nil
    }

    private static func declares(_ word: String) -> Bool {
        ["class", "func", "var", "subscript", "override", "final"].contains(word)
    }
}
