// Texts compared with `timestamp` or `received` are times: they become milliseconds (the one stated difference from
// SQLite). Other text there is an error, since it could never match.

import EventStoreCore

struct TimeConversion {
    /// Makes an error of a message about the text.
    let stop: (_ text: Expression, _ message: String) -> ParseStop

    init(source: SQLSource) { stop = { source.stop($0.range.lowerBound, $1) } }

    /// For trees that come from no text.
    init() { stop = { .fault(Fault(.invalid, $1)) } }

    func convert(_ expression: Expression) throws(ParseStop) -> Expression {
        var failure: ParseStop?
        let converted = expression.replacing { node in
            guard failure == nil else { return node }
            do throws(ParseStop) {
                return try comparison(node)
            } catch {
                failure = error
                return node
            }
        }
        if let failure { throw failure }
        return converted
    }

    /// The comparison with its texts converted; `nil` for what is none with a time.
    private func comparison(_ expression: Expression) throws(ParseStop) -> Expression? {
        switch expression.node {
        case .binary(let operation, let left, let right):
            guard Self.compares(operation), isTime(left) || isTime(right) else { return nil }
            return Expression(.binary(operation, try time(left), try time(right)), expression.range)
        case .between(let value, let low, let high, let isNegated):
            guard isTime(value) || isTime(low) || isTime(high) else { return nil }
            let isOfTime = isTime(value)
            let lower = isOfTime || isText(value) ? try time(low) : try convert(low)
            let upper = isOfTime || isText(value) ? try time(high) : try convert(high)
            return Expression(.between(try time(value), lower, upper, isNegated: isNegated), expression.range)
        case .inList(let value, let list, let isNegated):
            guard isTime(value) || (isText(value) && list.contains(where: isTime)) else { return nil }
            var converted: [Expression] = []
            for element in list { converted.append(isTime(value) ? try time(element) : element) }
            return Expression(.inList(try time(value), converted, isNegated: isNegated), expression.range)
        default: return nil
        }
    }

    private static func compares(_ operation: BinaryOperator) -> Bool {
        switch operation {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .isSame, .isNotSame: true
        default: false
        }
    }

    private func isTime(_ expression: Expression) -> Bool {
        expression.node == .column(.fixed(.timestamp)) || expression.node == .column(.fixed(.received))
    }

    private func isText(_ expression: Expression) -> Bool {
        if case .literal(.text) = expression.node { true } else { false }
    }

    private func time(_ expression: Expression) throws(ParseStop) -> Expression {
        guard case .literal(.text(let text)) = expression.node else { return try convert(expression) }
        guard let ms = TimeLiteral.parse(text.string) else {
            throw stop(expression, "'\(text.string.prefix(60))' is no time; \(TimeLiteral.hint)")
        }
        return Expression(.literal(.integer(ms)), expression.range)
    }
}
