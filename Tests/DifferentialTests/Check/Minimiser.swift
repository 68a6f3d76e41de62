// Makes a failing question smaller: clauses go one by one while it still fails.

struct Minimiser {
    let fails: (Question) -> Bool
    private(set) var attempts = 0

    init(fails: @escaping (Question) -> Bool) { self.fails = fails }

    mutating func smallest(_ question: Question) -> Question {
        var best = question
        var isShrinking = true
        while isShrinking, attempts < 300 {
            isShrinking = false
            for candidate in candidates(best) {
                attempts += 1
                if attempts >= 300 { break }
                if fails(candidate) {
                    best = candidate
                    isShrinking = true
                    break
                }
            }
        }
        return best
    }

    private func candidates(_ question: Question) -> [Question] {
        var smaller: [Question] = []
        func add(_ change: (inout Question) -> Void) {
            var copy = question
            change(&copy)
            smaller.append(copy)
        }
        for index in question.conditions.indices { add { $0.conditions.remove(at: index) } }
        for index in question.having.indices { add { $0.having.remove(at: index) } }
        if question.offset != nil { add { $0.offset = nil } }
        if question.limit != nil {
            add {
                $0.limit = nil
                $0.offset = nil
            }
        }
        for index in question.orderBy.indices { add { $0.orderBy.remove(at: index) } }
        if question.isDistinct { add { $0.isDistinct = false } }
        for index in question.compounds.indices { add { $0.compounds.remove(at: index) } }
        // Items and keys point at each other by number and alias: only where nothing does.
        if question.groupBy.isEmpty, question.compounds.isEmpty, question.items.count > 1 {
            for index in question.items.indices where !question.orderBy.contains(where: { ($0.item ?? -1) >= 0 }) {
                add { $0.items.remove(at: index) }
            }
        } else if question.items.count > 1 {
            for index in question.items.indices.reversed() where question.items[index].alias?.hasPrefix("k") != true {
                let isLast = index == question.items.count - 1
                if isLast, !question.orderBy.contains(where: { $0.item == index }) {
                    add { $0.items.remove(at: index) }
                }
            }
        }
        return smaller
    }
}
