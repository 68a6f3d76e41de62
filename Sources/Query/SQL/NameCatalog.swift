// What the store knows by name, and how a name in a text finds it.

import EventStoreCore

/// The attributes a store has.
package protocol NameCatalog {
    func hasAttribute(_ name: String) -> Bool
    /// All of them: asked for when a name is not found, to find it in another case or to suggest others.
    func attributeNames() -> [String]
}

extension ColumnName {
    /// The column's own name, whatever its quotes and case in a text.
    package var spelling: String {
        switch self {
        case .fixed(let column): column.rawValue
        case .attribute(let name): name
        }
    }
}

/// Looks names up as SQLite does columns: without regard to the case of ASCII letters, an exact attribute first.
final class NameLookup {
    enum Failure: Error {
        case unknown
        /// Several attributes differ from the name in case alone.
        case ambiguous([String])
    }

    private let catalog: any NameCatalog
    private lazy var attributes = catalog.attributeNames()
    /// Made when several names have been looked for among the attributes one by one.
    private lazy var byLowerCase = Dictionary(grouping: attributes, by: ASCII.lowercased)
    private var searches = 0
    private static let searchesMax = 16

    init(_ catalog: any NameCatalog) { self.catalog = catalog }

    func fixedColumn(_ name: String) -> FixedColumn? { FixedColumn(rawValue: ASCII.lowercased(name)) }

    func attribute(_ name: String) throws(Failure) -> String {
        if catalog.hasAttribute(name) { return name }
        searches += 1
        let found =
            searches > Self.searchesMax
            ? byLowerCase[ASCII.lowercased(name)] ?? [] : attributes.filter { ASCII.equal($0, name) }
        guard let first = found.first else { throw .unknown }
        if found.count > 1 { throw .ambiguous(found.sorted()) }
        return first
    }

    func isExactAttribute(_ name: String) -> Bool { catalog.hasAttribute(name) }

    func column(_ name: String) throws(Failure) -> ColumnName {
        if let fixed = fixedColumn(name) { return .fixed(fixed) }
        return .attribute(try attribute(name))
    }

    /// "no column or attribute 'statsu'; did you mean 'status'?"
    func unknown(_ name: String, beside aliases: [String] = []) -> String {
        let known = FixedColumn.allCases.map(\.rawValue) + aliases + attributes
        return "no column or attribute '\(name)'" + SimilarNames.question(name, among: known)
    }
}

extension NameLookup {
    /// The attribute that `attributes ->> path` reads: a name, `$.name` or `$."name"`. `nil` for other paths.
    static func attributeName(path: String) -> String? {
        guard path.hasPrefix("$") else {
            // SQLite takes digits for the index of an array, and a bracket for a path.
            guard let first = path.utf8.first, !ASCII.isDigit(first), first != 0x5b else { return nil }
            return path
        }
        guard path.hasPrefix("$.") else { return nil }
        let name = path.dropFirst(2)
        if name.hasPrefix("\"") {
            let inner = name.dropFirst().dropLast()
            return name.count >= 3 && name.hasSuffix("\"") && !inner.contains("\"") ? String(inner) : nil
        }
        return name.isEmpty || name.contains { "[]\"".contains($0) } ? nil : String(name)
    }
}
