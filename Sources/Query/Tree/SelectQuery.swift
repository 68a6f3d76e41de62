// A question about single events or groups of them: the part of SQL that runs natively.

package struct SelectItem: Hashable, Sendable {
    package var expression: Expression
    /// The name of the result's column.
    package var name: String
    package init(_ expression: Expression, name: String) {
        self.expression = expression
        self.name = name
    }
}

package struct OrderTerm: Hashable, Sendable {
    package var expression: Expression
    package var isDescending: Bool
    /// SQLite's default: NULLs are least, so first when ascending and last when descending.
    package var nullsFirst: Bool
    package init(_ expression: Expression, isDescending: Bool = false, nullsFirst: Bool? = nil) {
        self.expression = expression
        self.isDescending = isDescending
        self.nullsFirst = nullsFirst ?? !isDescending
    }
}

/// `SELECT items FROM events WHERE … GROUP BY … HAVING … ORDER BY … LIMIT … OFFSET …`. Aliases and ordinals in it are
/// resolved to expressions; `*` is spelled out.
package struct SelectQuery: Hashable, Sendable {
    package var isDistinct = false
    package var items: [SelectItem]
    package var condition: Expression?
    package var groupBy: [Expression] = []
    package var having: Expression?
    package var orderBy: [OrderTerm] = []
    /// `nil` is all.
    package var limit: Int?
    package var offset = 0

    package init(items: [SelectItem]) { self.items = items }

    /// How many rows in all are of interest: those passed over and those given; `nil` is all.
    package var rowsWanted: Int? {
        limit.map { limit in
            let (sum, overflow) = limit.addingReportingOverflow(offset)
            return overflow ? .max : sum
        }
    }

    /// Whether rows are groups of events: with a GROUP BY, or with an aggregate anywhere.
    package var isGrouped: Bool {
        !groupBy.isEmpty || having != nil || items.contains { $0.expression.hasAggregate }
            || orderBy.contains { $0.expression.hasAggregate }
    }

    /// Whether rows made distinct would be ordered by something that the rows do not say.
    package var ordersDistinctRowsByOthers: Bool {
        guard isDistinct, !isGrouped else { return false }
        return orderBy.contains { term in
            let rest = term.expression.replacing { part in
                items.contains { $0.expression == part } ? .literal(.null) : nil
            }
            return rest.hasColumn
        }
    }

    /// What `*` stands for.
    package static let allColumns: [FixedColumn] = [
        .id, .entity, .type, .timestamp, .sequence, .received, .attributes,
    ]
}
