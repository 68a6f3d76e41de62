// Constant folding: what does not depend on a row is computed once, and conditions that are decided disappear.

import EventStoreCore

package enum Folding {
    /// The expression with its constant parts as literals. Parts whose evaluation fails stay as they are and fail when
    /// they are evaluated; casts stay around their literals, since comparisons look at them.
    package static func fold(_ expression: Expression, zones: any ZoneSource) throws(Fault) -> Expression {
        try Folder(zones: zones).fold(expression)
    }
}

private struct Folder {
    let zones: any ZoneSource

    func fold(_ expression: Expression) throws(Fault) -> Expression {
        if case .literal = expression.node { return expression }
        if isConstant(expression), let value = value(of: expression) {
            if case .cast(_, let affinity) = expression.node {
                return Expression(.cast(Expression(.literal(value), expression.range), affinity), expression.range)
            }
            return Expression(.literal(value), expression.range)
        }
        return simplified(try insides(expression))
    }

    private func isConstant(_ expression: Expression) -> Bool {
        switch expression.node {
        case .column, .aggregate, .slot: false
        default: expression.children.allSatisfy(isConstant)
        }
    }

    private func value(of expression: Expression) -> SQLValue? {
        try? ScalarProgram(expression, zones: zones).value([])
    }

    /// Children folded one by one.
    private func insides(_ expression: Expression) throws(Fault) -> Expression {
        var fault: Fault?
        var isSelf = true
        let result = expression.replacing { child in
            // The first to be asked is the node itself, whose children are wanted.
            defer { isSelf = false }
            if isSelf || fault != nil { return nil }
            do throws(Fault) { return try fold(child) } catch {
                fault = error
                return nil
            }
        }
        if let fault { throw fault }
        return result
    }

    /// AND with a false side and OR with a true side are decided.
    private func simplified(_ expression: Expression) -> Expression {
        guard case .binary(let operation, let left, let right) = expression.node else { return expression }
        let sides = [truth(left), truth(right)]
        switch operation {
        case .and where sides.contains(false): return Expression(.literal(.integer(0)), expression.range)
        case .or where sides.contains(true): return Expression(.literal(.integer(1)), expression.range)
        default: return expression
        }
    }

    private func truth(_ expression: Expression) -> Bool? {
        if case .literal(let value) = expression.node { return value.truth }
        return nil
    }
}
