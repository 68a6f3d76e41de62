// What becomes of one text under one attribute: the policy's word on what was seen in it.

import EventStoreCore

enum TextOutcome: Equatable {
    struct Change: Equatable {
        var reason: PolicyReason
        var look: String
        var action: PolicyAction
    }

    case same
    case strip(PolicyReason, look: String)
    case refuse(PolicyReason, look: String)
    case replace([UInt8], [Change])

    /// Query strings go first: what else they carry goes with them. Then the rest is looked at, and the hardest
    /// action for what is in it holds.
    static func judge(
        _ value: UnsafeRawBufferPointer, _ seen: Looks, _ decision: ColumnDecision, isJSON: Bool,
        _ scanner: borrowing ValueScanner
    ) -> TextOutcome {
        let isPath = decision.path == .yes || decision.path == .ifLooking && (isJSON || ValueRewrite.isPathLike(value))
        guard decision.query != .keep, isPath, seen.contains(.query) else {
            return judgeRest(value, seen, decision, [])
        }
        switch decision.query {
        case .strip: return .strip(.queryString, look: "query")
        case .refuse: return .refuse(.queryString, look: "query")
        default: break
        }
        let cut = ValueRewrite.cuttingQuery(value, isJSON: isJSON)
        if cut.isEmpty { return .strip(.queryString, look: "query") }
        let change = Change(reason: .queryString, look: "query", action: .cutQuery)
        return cut.withUnsafeBytes { cut in
            if cut.elementsEqual(value) { return judgeRest(value, seen, decision, []) }
            return judgeRest(cut, scanner.looks(cut), decision, [change])
        }
    }

    private static func judgeRest(
        _ value: UnsafeRawBufferPointer, _ seen: Looks, _ decision: ColumnDecision, _ before: [Change]
    ) -> TextOutcome {
        var seen = seen
        if decision.isStatement, decision.database != .keep, StatementLook.isStatement(value) { seen.insert(.sql) }
        let found: [(PolicyReason, PolicyAction, Looks)] = [
            (.credential, decision.credential, seen.intersection(Looks.credentials)),
            (.email, decision.email, seen.intersection(.email)),
            (.body, decision.body, seen.intersection(Looks.bodies)),
            (.database, decision.database, seen.intersection(Looks.databases)),
        ].filter { !$0.2.isEmpty }
        for (reason, action, looks) in found where action == .refuse { return .refuse(reason, look: looks.word ?? "") }
        if decision.address == .refuse, ValueRewrite.hasAddress(value) { return .refuse(.ip, look: "address") }
        for (reason, action, looks) in found where action == .strip { return .strip(reason, look: looks.word ?? "") }
        if decision.address == .strip, ValueRewrite.hasAddress(value) { return .strip(.ip, look: "address") }
        let cutsEmail = decision.email == .cutEmail && seen.contains(.email)
        return rewrite(value, decision, cutsEmail: cutsEmail, before)
    }

    private static func rewrite(
        _ value: UnsafeRawBufferPointer, _ decision: ColumnDecision, cutsEmail: Bool, _ before: [Change]
    ) -> TextOutcome {
        var changes = before
        var text = Array(value)
        if cutsEmail {
            text = ValueRewrite.cuttingEmails(value)
            // Hidden behind escapes: then all of it goes.
            if text.elementsEqual(value) || text.isEmpty { return .strip(.email, look: "email") }
            changes.append(Change(reason: .email, look: "email", action: .cutEmail))
        }
        if decision.address == .truncateIP, let cut = text.withUnsafeBytes({ ValueRewrite.truncatingAddresses($0) }) {
            text = cut
            changes.append(Change(reason: .ip, look: "address", action: .truncateIP))
        }
        return changes.isEmpty ? .same : .replace(text, changes)
    }
}
