// Helpers of the parser's tests: a catalog of names, shorthands to parse, and a printer that shows precedence.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct TestNames: NameCatalog {
    var names: [String]
    func hasAttribute(_ name: String) -> Bool { names.contains(name) }
    func attributeNames() -> [String] { names }

    static let usual = TestNames(names: [
        "status", "path", "ip", "req.method", "req.path", "payload.success", "payload.order", "actor.ip", "type",
        "labels.id", "Mixed", "mixed", "User", "tags", "a", "b", "c", "d", "duration_ms", "order", "user agent",
    ])
}

enum SQLTest {
    static func parse(
        _ text: String, _ parameters: [String: SQLValue] = [:], names: TestNames = .usual
    ) throws(Fault) -> ParsedStatement {
        try SQLParser.parse(text, parameters: parameters, names: names)
    }

    static func native(
        _ text: String, _ parameters: [String: SQLValue] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> SelectQuery {
        switch try parse(text, parameters).body {
        case .native(let query): return query
        case .general(let statement):
            Issue.record("not native for \(statement.reason): \(text)", sourceLocation: sourceLocation)
            return SelectQuery(items: [])
        }
    }

    static func general(
        _ text: String, _ parameters: [String: SQLValue] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> GeneralStatement {
        switch try parse(text, parameters).body {
        case .general(let statement): return statement
        case .native:
            Issue.record("native: \(text)", sourceLocation: sourceLocation)
            return GeneralStatement(text: "", attributes: [], reason: "", parameters: [:])
        }
    }

    /// The expression of `SELECT … FROM events`, with brackets around every operation.
    static func shape(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        let query = try native("SELECT \(text) FROM events", sourceLocation: sourceLocation)
        return query.items.map { shape($0.expression) }.joined(separator: ", ")
    }

    static func condition(
        _ text: String, _ parameters: [String: SQLValue] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let query = try native("SELECT id FROM events WHERE \(text)", parameters, sourceLocation: sourceLocation)
        return query.condition.map(shape) ?? ""
    }

    static func fault(_ text: String, _ parameters: [String: SQLValue] = [:], names: TestNames = .usual) -> Fault? {
        do {
            let parsed = try parse(text, parameters, names: names)
            Issue.record("no error, but \(parsed.body): \(text)")
            return nil
        } catch {
            return error
        }
    }

    // MARK: Printing

    static func shape(_ expression: Expression) -> String {
        switch expression.node {
        case .literal(let value): return literal(value)
        case .column(.fixed(let column)): return column.rawValue
        case .column(.attribute(let name)): return "\"\(name)\""
        case .unary(let operation, let operand): return "(\(sign(operation))\(shape(operand)))"
        case .binary(let operation, let left, let right):
            return "(\(shape(left)) \(sign(operation)) \(shape(right)))"
        case .isNull(let operand, let isNegated): return "(\(shape(operand)) \(isNegated ? "NOTNULL" : "ISNULL"))"
        case .between(let value, let low, let high, let isNegated):
            return "(\(shape(value))\(isNegated ? " NOT" : "") BETWEEN \(shape(low)) AND \(shape(high)))"
        case .inList(let value, let list, let isNegated):
            return "(\(shape(value))\(isNegated ? " NOT" : "") IN (\(list.map(shape).joined(separator: ", "))))"
        case .pattern(let kind, let value, let pattern, let escape, let isNegated):
            let tail = escape.map { " ESCAPE " + shape($0) } ?? ""
            let word = kind == .like ? "LIKE" : "GLOB"
            return "(\(shape(value))\(isNegated ? " NOT" : "") \(word) \(shape(pattern))\(tail))"
        case .conditional(let operand, let clauses, let otherwise):
            let whens = clauses.map { " WHEN \(shape($0.condition)) THEN \(shape($0.result))" }.joined()
            return "CASE\(operand.map { " " + shape($0) } ?? "")\(whens)"
                + "\(otherwise.map { " ELSE " + shape($0) } ?? "") END"
        case .cast(let operand, let affinity): return "CAST(\(shape(operand)) AS \(type(affinity)))"
        case .function(let function, let arguments):
            return "\(function.rawValue)(\(arguments.map(shape).joined(separator: ", ")))"
        case .aggregate(let call):
            let inside = call.arguments.isEmpty ? "*" : call.arguments.map(shape).joined(separator: ", ")
            return "\(call.kind)(\(call.isDistinct ? "DISTINCT " : "")\(inside))"
                + "\(call.filter.map { " FILTER (WHERE \(shape($0)))" } ?? "")"
        case .slot(let index, _): return "slot\(index)"
        }
    }

    private static func literal(_ value: SQLValue) -> String {
        switch value {
        case .null: "NULL"
        case .integer(let number): "\(number)"
        case .double(let number): "\(number)"
        case .text(let text):
            "'\(text.string.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'"
        }
    }

    private static func type(_ affinity: Affinity) -> String {
        switch affinity {
        case .none, .blob: "BLOB"
        case .text: "TEXT"
        case .numeric: "NUMERIC"
        case .integer: "INTEGER"
        case .real: "REAL"
        }
    }

    private static func sign(_ operation: UnaryOperator) -> String {
        switch operation {
        case .plus: "+"
        case .negate: "- "
        case .not: "NOT "
        case .bitNot: "~"
        }
    }

    private static func sign(_ operation: BinaryOperator) -> String {
        switch operation {
        case .add: "+"
        case .subtract: "-"
        case .multiply: "*"
        case .divide: "/"
        case .modulo: "%"
        case .concatenate: "||"
        case .bitAnd: "&"
        case .bitOr: "|"
        case .shiftLeft: "<<"
        case .shiftRight: ">>"
        case .equal: "="
        case .notEqual: "<>"
        case .less: "<"
        case .lessOrEqual: "<="
        case .greater: ">"
        case .greaterOrEqual: ">="
        case .isSame: "IS"
        case .isNotSame: "IS NOT"
        case .and: "AND"
        case .or: "OR"
        case .jsonText: "->"
        case .jsonValue: "->>"
        }
    }
}
