// Which conversions comparisons apply: the affinity of expressions (sqlite.org/datatype3.html, sections 3 and 4.2).

import EventStoreCore

extension Affinity {
    var isNumeric: Bool {
        switch self {
        case .numeric, .integer, .real: true
        case .none, .blob, .text: false
        }
    }

    /// What a comparison of two expressions with these affinities applies to both sides: `numeric`, `text` or `none`.
    package static func ofComparison(_ a: Affinity, _ b: Affinity) -> Affinity {
        let joint: Affinity
        if a != .none, b != .none {
            joint = a.isNumeric || b.isNumeric ? .numeric : .none
        } else {
            joint = a == .none ? b : a
        }
        return joint.isNumeric ? .numeric : joint == .text ? .text : .none
    }
}

extension FixedColumn {
    package var affinity: Affinity {
        switch self {
        case .id, .entity, .type, .attributes: .text
        case .timestamp, .sequence, .received: .integer
        }
    }
}

extension Expression {
    /// Columns, slots and casts have one; a unary plus and everything else has none.
    package var affinity: Affinity {
        switch node {
        case .column(.fixed(let column)): column.affinity
        case .column(.attribute): .blob
        case .slot(_, let affinity), .cast(_, let affinity): affinity
        default: .none
        }
    }
}
