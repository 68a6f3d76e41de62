/// Names close to one that is not there, for "did you mean".
///
/// Distance: optimal string alignment (insert, delete, replace, swap of neighbours), case ignored.

package enum NearNames {
    /// At most `limit` names, nearest first: within a third of the name's length (at least 2), or names that
    /// contain it or are contained in it.
    package static func near(_ name: String, among names: [String], limit: Int = 3) -> [String] {
        let wanted = Array(name.lowercased().unicodeScalars)
        let allowed = max(2, wanted.count / 3)
        var found: [(distance: Int, name: String)] = []
        for candidate in names {
            let scalars = Array(candidate.lowercased().unicodeScalars)
            if let distance = distance(wanted, scalars, atMost: allowed), distance < max(wanted.count, 1) {
                found.append((distance, candidate))
            } else if wanted.count >= 3, contains(candidate.lowercased(), name.lowercased()) {
                found.append((allowed + 1, candidate))
            }
        }
        return found.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(limit).map(\.name)
    }

    private static func contains(_ a: String, _ b: String) -> Bool {
        a.contains(b) || (a.count >= 3 && b.contains(a))
    }

    /// The distance, or `nil` when it is greater than `atMost`.
    package static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar], atMost: Int) -> Int? {
        guard abs(a.count - b.count) <= atMost else { return nil }
        var before: [Int] = []
        var previous = Array(0...b.count)
        for i in 0..<a.count {
            var current = [i + 1]
            current.reserveCapacity(b.count + 1)
            for j in 0..<b.count {
                let replaced = previous[j] + (a[i] == b[j] ? 0 : 1)
                var best = min(replaced, previous[j + 1] + 1, current[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
                current.append(best)
            }
            if current.min() ?? 0 > atMost { return nil }
            before = previous
            previous = current
        }
        return previous[b.count] <= atMost ? previous[b.count] : nil
    }
}
