// Whether rows of the store are an answer that the reference's rows allow.
//
// The reference gives all rows in order, with the order keys. Rows of equal keys form a run: inside a run any order is
// right, and where LIMIT or OFFSET cut a run any of its rows may be the ones that stay.

struct Comparison {
    let question: Question
    /// All rows of the reference: items, then order keys that are no items, then bounds of rounded sums.
    let expected: [[Cell]]
    let matches: [Match]
    private let keyColumns: [(column: Int, match: Match)]
    private let boundColumns: [Int: Int]
    private let isSimple: Bool

    init(_ question: Question, expected: [[Cell]]) {
        self.question = question
        self.expected = expected
        matches = question.items.flatMap(\.matches)
        var next = matches.count
        keyColumns = question.orderBy.map { key in
            if let item = key.item { return (item, key.match) }
            next += 1
            return (next - 1, key.match)
        }
        var bounds: [Int: Int] = [:]
        for (column, match) in matches.enumerated() {
            guard case .near = match else { continue }
            bounds[column] = next
            next += 1
        }
        boundColumns = bounds
        isSimple = matches.allSatisfy { if case .exact = $0 { true } else { false } }
    }

    /// What is wrong, or `nil`.
    /// - Parameters:
    ///   - limit: in place of the question's own.
    ///   - inOrder: false where the order is not promised.
    func problem(with rows: [[Cell]], limit: Int? = nil, inOrder: Bool = true) -> String? {
        let limit = limit ?? question.limit
        let isLimited = limit != nil
        let first = isLimited ? min(question.offset ?? 0, expected.count) : 0
        // A negative limit is none; OFFSET holds with it.
        let end = limit.map { $0 < 0 ? expected.count : min(expected.count, first + $0) } ?? expected.count
        guard rows.count == end - first else { return "\(rows.count) rows, \(end - first) expected" }
        if let width = rows.first?.count, width != matches.count {
            return "\(width) columns, \(matches.count) expected"
        }
        if isSimple, !rows.indices.contains(where: { !isSame(rows[$0], expected[first + $0]) }) { return nil }
        if hasCancelledKey { return problem(rows, in: 0..<expected.count) }
        guard inOrder, !question.orderBy.isEmpty else {
            let runs = self.runs()
            guard !inOrder, isLimited, !question.orderBy.isEmpty else { return problem(rows, in: 0..<expected.count) }
            // Order is not promised, but which rows are in the window is: those of runs that lie whole in it.
            let touched = runs.filter { $0.overlaps(first..<end) }
            guard let low = touched.first?.lowerBound, let high = touched.last?.upperBound else { return nil }
            return problem(rows, in: low..<high)
        }
        for run in runs() where run.overlaps(first..<end) {
            let part = run.clamped(to: first..<end)
            if let problem = problem(Array(rows[part.lowerBound - first..<part.upperBound - first]), in: run) {
                return "rows \(part): " + problem
            }
        }
        return nil
    }

    private func isSame(_ row: [Cell], _ wanted: [Cell]) -> Bool {
        for column in matches.indices where row[column] != wanted[column] { return false }
        return true
    }

    /// Whether a sum that rows are ordered by is small beside its parts: then what is left of it is rounding, and so is
    /// the order of its row among all others.
    private var hasCancelledKey: Bool {
        keyColumns.contains { column, _ in
            guard let bound = boundColumns[column] else { return false }
            return expected.contains { row in
                guard let sum = row[column].number, let parts = row[bound].number else { return false }
                return !parts.isFinite || parts * 1e-12 > 1e-9 * abs(sum)
            }
        }
    }

    /// Stretches of the reference's rows with equal order keys.
    private func runs() -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var start = 0
        for row in expected.indices.dropFirst() where !sameKeys(expected[row - 1], expected[row]) {
            runs.append(start..<row)
            start = row
        }
        if !expected.isEmpty { runs.append(start..<expected.count) }
        return runs
    }

    private func sameKeys(_ a: [Cell], _ b: [Cell]) -> Bool {
        for (column, match) in keyColumns {
            let left = a[column]
            let right = b[column]
            if match.isRounded, let left = left.number, let right = right.number {
                // Rounded sums that are so near may come in either order, and then later keys decide nothing.
                var distance = 1e-9 * max(abs(left), abs(right))
                if case .within(let step) = match { distance = max(distance, step) }
                return abs(left - right) <= distance || !left.isFinite || !right.isFinite
            }
            if Cell.sqlOrder(left, right) != 0 { return false }
        }
        return true
    }

    // MARK: Rows of one run

    /// Whether each row is one of the reference's in this range, each of those used once.
    private func problem(_ rows: [[Cell]], in range: Range<Int>) -> String? {
        var places: [[Cell]: [Int]] = [:]
        for place in range { places[key(expected[place]), default: []].append(place) }
        var groups: [[Cell]: [[Cell]]] = [:]
        for row in rows { groups[key(row), default: []].append(row) }
        for (key, rows) in groups {
            guard let candidates = places[key] else { return "not expected: \(rows[0])" }
            if arePaired(rows, candidates) { continue }
            if let row = withoutPartner(rows, among: candidates) {
                return "not near enough: \(row), expected \(expected[candidates[0]])"
            }
        }
        return nil
    }

    /// Whether each row is equal to one of the reference's at these places: the common case, and a cheap one.
    private func arePaired(_ rows: [[Cell]], _ places: [Int]) -> Bool {
        var free = places
        return rows.allSatisfy { row in
            guard let index = free.firstIndex(where: { isSame(row, expected[$0]) }) else { return false }
            free.remove(at: index)
            return true
        }
    }

    /// The first row that finds no partner of its own among the reference's rows at these places, however the others are
    /// paired: a maximum matching by augmenting paths (Kuhn's algorithm), since a row that is near several must leave to
    /// another the one that only the other is near.
    private func withoutPartner(_ rows: [[Cell]], among places: [Int]) -> [Cell]? {
        let near = rows.map { row in places.indices.filter { isNear(row, expected[places[$0]]) } }
        var partner = [Int?](repeating: nil, count: places.count)
        func findPartner(of row: Int, _ seen: inout Set<Int>) -> Bool {
            for place in near[row] where seen.insert(place).inserted {
                guard let other = partner[place], !findPartner(of: other, &seen) else {
                    partner[place] = row
                    return true
                }
            }
            return false
        }
        for row in rows.indices {
            var seen: Set<Int> = []
            guard findPartner(of: row, &seen) else { return rows[row] }
        }
        return nil
    }

    /// The row as far as it must agree without tolerance.
    private func key(_ row: [Cell]) -> [Cell] {
        if isSimple { return row.count == matches.count ? row : Array(row.prefix(matches.count)) }
        return matches.indices.map { column in
            switch matches[column] {
            case .exact: row[column]
            case .canonical: row[column].canonical
            case .json: JSONMembers.sorted(row[column])
            case .near, .within: .null
            }
        }
    }

    private func isNear(_ row: [Cell], _ wanted: [Cell]) -> Bool {
        matches.indices.allSatisfy { column in
            switch matches[column] {
            case .near:
                let bound = boundColumns[column].map { wanted[$0].number ?? 0 } ?? 0
                return Self.isNear(row[column], wanted[column], within: 1e-12 * bound, hasInfinity: !bound.isFinite)
            case .within(let distance):
                return Self.isNear(row[column], wanted[column], within: distance, hasInfinity: false)
            default: return true
            }
        }
    }

    /// Integers must be equal and stay integers; doubles may differ by rounding. Where parts of a sum are infinite
    /// their order decides what comes out, NULL included.
    private static func isNear(_ a: Cell, _ b: Cell, within distance: Double, hasInfinity: Bool) -> Bool {
        if a == b || hasInfinity { return true }
        guard case .real(let left) = a, case .real(let right) = b else { return false }
        return abs(left - right) <= max(distance, 1e-15 * max(abs(left), abs(right)))
    }
}
