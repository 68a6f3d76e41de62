// What the lane asks before it takes an append: whether the store may grow, and whether its entities have budget left.

import EventStoreCore

/// Everything here is called with the lane held.
extension WriterLane {
    func giveBackClaims(from index: Int) {
        for claim in provisionalClaims[index...] { context.room.ledger.giveBack(claim) }
        provisionalClaims.removeSubrange(index...)
    }

    /// Whether the store may take a request; says why not.
    func hasRoom(for request: AppendRequest, bytes: Int) -> Bool {
        do throws(Fault) {
            try context.room.check(published.withLock { $0.segments }, adding: bytes)
            return true
        } catch {
            request.fault = error
            return false
        }
    }

    /// Takes rows out that are beyond the day's budget of their entity.
    func claim(_ request: AppendRequest, _ kept: inout [UInt32], _ verdicts: inout [RowVerdict]) {
        let batch = request.batch
        let rows = kept
        let now = context.environment.nowMs()
        let (claim, isOver) = context.room.ledger.claim(rows.count, nowMs: now) { (batch, Int(rows[$0])) }
        if !claim.use.isEmpty { request.claim = claim }
        guard !isOver.isEmpty else { return }
        for (index, row) in rows.enumerated() where isOver[index] { verdicts[Int(row)] = .overBudget }
        kept = rows.indices.filter { !isOver[$0] }.map { rows[$0] }
        // What repeats a row of this batch that is refused is there no more than that row.
        for row in 0..<batch.rowCount where verdicts[row] == .duplicate || verdicts[row] == .conflict {
            let twin = inBatch.find(RowIdentity.hash(batch, row)) { RowIdentity.isSame(batch, Int($0.row), batch, row) }
            if let twin, verdicts[Int(twin.row)] == .overBudget { verdicts[row] = .overBudget }
        }
    }
}
