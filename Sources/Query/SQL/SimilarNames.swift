// Names close to one that is not there, for "did you mean".
//
// Distance: optimal string alignment (insert, delete, replace, swap of neighbours), ASCII case ignored.

package enum SimilarNames {
    private static let distanceMax = 2

    /// "; did you mean 'status' or 'state'?", or nothing.
    package static func question(_ name: String, among names: [String]) -> String {
        let near = near(name, among: names).map { "'\($0)'" }
        guard let last = near.last else { return "" }
        let list = near.count == 1 ? last : near.dropLast().joined(separator: ", ") + " or " + last
        return "; did you mean \(list)?"
    }

    /// At most `limit` names, nearest first: within two changes (one for short names); those whose last part after a dot it is; those it
    /// begins, and those that begin it.
    package static func near(_ name: String, among names: [String], limit: Int = 3) -> [String] {
        let wanted = ASCII.lowercased(name)
        let bytes = Array(wanted.utf8)
        guard !bytes.isEmpty, bytes.count <= 200 else { return [] }
        let allowed = bytes.count <= 4 ? 1 : distanceMax
        var found: [(rank: Int, name: String)] = []
        for candidate in names {
            let lowered = ASCII.lowercased(candidate)
            if let distance = distance(bytes, Array(lowered.utf8), atMost: allowed), distance < bytes.count {
                found.append((distance, candidate))
            } else if lowered.hasSuffix("." + wanted) {
                found.append((allowed + 1, candidate))
            } else if bytes.count >= 3, lowered.hasPrefix(wanted) || (wanted.hasPrefix(lowered) && lowered.count >= 3) {
                found.append((allowed + 2, candidate))
            }
        }
        return found.sorted { ($0.rank, $0.name) < ($1.rank, $1.name) }.prefix(limit).map(\.name)
    }

    /// The distance, or `nil` when it is greater than `atMost`.
    static func distance(_ a: [UInt8], _ b: [UInt8], atMost: Int) -> Int? {
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
