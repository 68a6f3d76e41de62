// Screens batches: names are decided once, values once a distinct text, and rows are only walked when something
// was seen. What is stripped is gone from the batch that goes on: it is a new one.

import EventStoreCore

/// Screens one batch after the other and remembers what it decided about names.
///
/// `@unchecked Sendable`: handed from thread to thread whole; one thread at a time uses it, which its owner
/// (a parser's slot, a pool behind a lock) makes sure of.
package final class BatchScreener: @unchecked Sendable {
    let screen: PolicyScreen
    /// Whether `Screening.findings` is filled.
    let collects: Bool
    private let scanner = ValueScanner()
    private var names = StringTable(capacity: 128)
    private var meanings: [NameMeaning] = []
    var decisions: [ColumnDecision] = []
    /// Rule set and name to the number of a decision.
    private var decisionIndex: [UInt64: Int] = [:]
    private var looks = GrowableBuffer<UInt32>()
    /// What became of texts that were looked at closely, in the batch at hand.
    private var outcomes: [OutcomeKey: TextOutcome] = [:]

    private static let namesMax = 16_384

    package init(_ screen: PolicyScreen, collectsFindings: Bool = false) {
        self.screen = screen
        collects = collectsFindings
    }

    /// The columns of one shape as numbers of decisions.
    struct ShapePlan {
        var type: Int
        var columns: [ColumnKey]
        var decisions: [Int]
        var isRefused: Bool
        /// A column is a finding by its name.
        var isDecided: Bool
        /// Position and looks of the columns with text.
        var watched: [(position: Int, looks: UInt32)]
    }

    struct OutcomeKey: Hashable {
        var decision: Int
        var text: UInt64
        var isJSON: Bool
    }

    package func screen(_ batch: RowBatch) -> Screening {
        outcomes.removeAll(keepingCapacity: true)
        let plans = plan(batch)
        let touched = findRows(batch, plans)
        guard !touched.isEmpty else { return Screening(batch: batch) }
        return rebuild(batch, plans, touched)
    }

    // MARK: Names

    private func plan(_ batch: RowBatch) -> [ShapePlan] {
        if names.count > BatchScreener.namesMax { forgetNames() }
        let rules = (0..<batch.types.count).map { screen.ruleSet(ofType: batch.types.string($0)) }
        let codes = (0..<batch.attributes.count).map { nameCode(batch.attributes.bytes($0)) }
        return batch.shapes.map { shape in
            let set = rules[Int(shape.type)]
            let isRefused = screen.rules[set].isRefused
            var plan = ShapePlan(
                type: Int(shape.type), columns: shape.columns, decisions: [], isRefused: isRefused,
                isDecided: isRefused, watched: [])
            plan.decisions.reserveCapacity(shape.columns.count)
            for (position, column) in shape.columns.enumerated() {
                let number = decision(set, codes[Int(column.attribute)])
                plan.decisions.append(number)
                if decisions[number].effect(column.kind) != .pass {
                    plan.isDecided = true
                } else if column.kind == .string || column.kind == .json, !decisions[number].looks.isEmpty {
                    plan.watched.append((position, decisions[number].looks.rawValue))
                }
            }
            return plan
        }
    }

    private func forgetNames() {
        names = StringTable(capacity: 128)
        meanings = []
        decisions = []
        decisionIndex = [:]
    }

    private func nameCode(_ name: UnsafeRawBufferPointer) -> Int {
        let code = Int(names.intern(name))
        if code == meanings.count { meanings.append(meaning(name)) }
        return code
    }

    /// A name may itself be what must not be kept: a list of addresses with counts.
    private func meaning(_ name: UnsafeRawBufferPointer) -> NameMeaning {
        var meaning = NameMeaning(name)
        guard meaning.text == nil else { return meaning }
        let seen = scanner.looks(name)
        let reason: PolicyReason? =
            !seen.isDisjoint(with: Looks.credentials.subtracting(.assignment))
            ? .credential
            : seen.contains(.email) ? .email : nil
        if let reason {
            meaning.text = reason
            meaning.number = reason
            meaning.bool = reason
        }
        return meaning
    }

    private func decision(_ rules: Int, _ name: Int) -> Int {
        let key = UInt64(rules) << 32 | UInt64(name)
        if let known = decisionIndex[key] { return known }
        decisions.append(ColumnDecision(names.string(name), meanings[name], screen.rules[rules]))
        decisionIndex[key] = decisions.count - 1
        return decisions.count - 1
    }

    // MARK: Values

    /// The rows in which something was found.
    private func findRows(_ batch: RowBatch, _ plans: [ShapePlan]) -> [Int] {
        let seen = lookAtTexts(batch)
        let isDecided = plans.map(\.isDecided)
        let isWatched = plans.map { plan in plan.watched.contains { $0.looks & seen != 0 } }
        guard isDecided.contains(true) || isWatched.contains(true) else { return [] }
        var touched: [Int] = []
        for row in 0..<batch.rowCount {
            let shape = Int(batch.shape.base[row])
            if isDecided[shape] || isWatched[shape] && hasFinding(batch, row, plans[shape]) { touched.append(row) }
        }
        return touched
    }

    /// Looks at every distinct text; returns all that was seen in any.
    private func lookAtTexts(_ batch: RowBatch) -> UInt32 {
        let count = batch.strings.count
        looks.resize(to: count, filling: 0)
        var seen: UInt32 = 0
        for code in 0..<count {
            let found = scanner.looks(batch.strings.bytes(code)).rawValue
            looks.base[code] = found
            seen |= found
        }
        return seen
    }

    private func hasFinding(_ batch: RowBatch, _ row: Int, _ plan: ShapePlan) -> Bool {
        let cells = batch.cells(ofRow: row)
        for (position, mask) in plan.watched where looks.base[Int(cells[position])] & mask != 0 {
            let isJSON = plan.columns[position].kind == .json
            if outcome(batch, plan.decisions[position], cells[position], isJSON) != .same { return true }
        }
        return false
    }

    private func outcome(_ batch: RowBatch, _ decision: Int, _ text: UInt64, _ isJSON: Bool) -> TextOutcome {
        let key = OutcomeKey(decision: decision, text: text, isJSON: isJSON)
        if let known = outcomes[key] { return known }
        let outcome = TextOutcome.judge(
            batch.strings.bytes(Int(text)), Looks(rawValue: looks.base[Int(text)]), decisions[decision], isJSON: isJSON,
            scanner)
        outcomes[key] = outcome
        return outcome
    }

    // MARK: The batch that goes on

    private func rebuild(_ batch: RowBatch, _ plans: [ShapePlan], _ touched: [Int]) -> Screening {
        var copy = BatchCopy(batch)
        var result = Screening(batch: copy.target)
        var next = 0
        var edits: [CellEdit] = []
        for row in 0..<batch.rowCount {
            let plan = plans[Int(batch.shape.base[row])]
            guard next < touched.count, touched[next] == row else {
                copy.add(row, plan.columns, type: plan.type)
                continue
            }
            next += 1
            edits.removeAll(keepingCapacity: true)
            if let reason = edit(batch, row, plan, &edits, &result) {
                result.refused.append(PolicyRefusal(row: row, reason: reason))
                result.refusedByEntity[batch.entities.string(Int(batch.entity.base[row])), default: 0] += 1
                continue
            }
            copy.add(row, plan.columns, type: plan.type, edits: edits)
            for edit in edits { for reason in edit.reasons { result.stripped[reason, default: 0] += 1 } }
        }
        return result
    }

    /// What has to change in a row; returns why the row is refused, if it is.
    private func edit(
        _ batch: RowBatch, _ row: Int, _ plan: ShapePlan, _ edits: inout [CellEdit], _ result: inout Screening
    ) -> PolicyReason? {
        if plan.isRefused {
            note(batch, plan, nil, .rule, "rule", .refuse, &result)
            return .rule
        }
        let cells = batch.cells(ofRow: row)
        var refusal: PolicyReason?
        for (position, column) in plan.columns.enumerated() {
            let decision = decisions[plan.decisions[position]]
            switch decision.effect(column.kind) {
            case .strip(let reason):
                edits.append(CellEdit(position: position, text: nil, reasons: [reason]))
                note(batch, plan, position, reason, decision.cause, .strip, &result)
            case .refuse(let reason):
                refusal = refusal ?? reason
                note(batch, plan, position, reason, decision.cause, .refuse, &result)
            case .pass:
                guard column.kind == .string || column.kind == .json,
                    looks.base[Int(cells[position])] & decision.looks.rawValue != 0
                else { continue }
                let found = outcome(batch, plan.decisions[position], cells[position], column.kind == .json)
                apply(found, batch, plan, position, &edits, &refusal, &result)
            }
        }
        return refusal
    }

    private func apply(
        _ found: TextOutcome, _ batch: RowBatch, _ plan: ShapePlan, _ position: Int, _ edits: inout [CellEdit],
        _ refusal: inout PolicyReason?, _ result: inout Screening
    ) {
        switch found {
        case .same: break
        case .strip(let reason, let look):
            edits.append(CellEdit(position: position, text: nil, reasons: [reason]))
            note(batch, plan, position, reason, look, .strip, &result)
        case .refuse(let reason, let look):
            refusal = refusal ?? reason
            note(batch, plan, position, reason, look, .refuse, &result)
        case .replace(let text, let changes):
            edits.append(CellEdit(position: position, text: text, reasons: changes.map(\.reason)))
            for change in changes { note(batch, plan, position, change.reason, change.look, change.action, &result) }
        }
    }

    private func note(
        _ batch: RowBatch, _ plan: ShapePlan, _ position: Int?, _ reason: PolicyReason, _ look: String,
        _ action: PolicyAction, _ result: inout Screening
    ) {
        guard collects else { return }
        let attribute = position.map { batch.attributes.string(Int(plan.columns[$0].attribute)) } ?? ""
        let finding = PolicyFinding(
            type: batch.types.string(plan.type), attribute: attribute, reason: reason, look: look, action: action)
        result.findings[finding, default: 0] += 1
    }
}

/// A change to one cell: another text, or nothing at all.
struct CellEdit {
    var position: Int
    /// `nil` leaves the cell out.
    var text: [UInt8]?
    var reasons: [PolicyReason]
}

/// Rows of a batch copied into a new one under local codes of its own: only what is used gets there.
struct BatchCopy: ~Copyable {
    let target: RowBatch
    private let source: RowBatch
    private var builder: RowBatchBuilder
    private var entities: [UInt32]
    private var types: [UInt32]
    private var attributes: [UInt32]
    private var strings: [UInt32]
    private static let none = UInt32.max

    init(_ source: RowBatch) {
        self.source = source
        target = RowBatch(rowCapacity: source.rowCount)
        builder = RowBatchBuilder(target)
        entities = [UInt32](repeating: BatchCopy.none, count: source.entities.count)
        types = [UInt32](repeating: BatchCopy.none, count: source.types.count)
        attributes = [UInt32](repeating: BatchCopy.none, count: source.attributes.count)
        strings = [UInt32](repeating: BatchCopy.none, count: source.strings.count)
    }

    mutating func add(_ row: Int, _ columns: [ColumnKey], type: Int, edits: [CellEdit] = []) {
        let cells = source.cells(ofRow: row)
        var next = 0
        for (position, column) in columns.enumerated() {
            if next < edits.count, edits[next].position == position {
                if let text = edits[next].text {
                    let code = text.withUnsafeBytes { target.strings.intern($0) }
                    builder.add(key(column), UInt64(code))
                }
                next += 1
            } else if column.kind == .string || column.kind == .json {
                builder.add(key(column), UInt64(string(Int(cells[position]))))
            } else {
                builder.add(key(column), cells[position])
            }
        }
        let entity = Int(source.entity.base[row])
        if entities[entity] == BatchCopy.none {
            entities[entity] = target.entities.intern(source.entities.bytes(entity))
        }
        if types[type] == BatchCopy.none { types[type] = target.types.intern(source.types.bytes(type)) }
        builder.finishRow(
            entity: entities[entity], type: types[type], timestamp: source.timestamp.base[row],
            id: source.id.base[row], flags: source.flags.base[row], sequence: source.sequence.base[row],
            received: source.received.base[row])
    }

    private mutating func key(_ column: ColumnKey) -> ColumnKey {
        let code = Int(column.attribute)
        if attributes[code] == BatchCopy.none {
            attributes[code] = target.attributes.intern(source.attributes.bytes(code))
        }
        return ColumnKey(attribute: attributes[code], kind: column.kind)
    }

    private mutating func string(_ code: Int) -> UInt32 {
        if strings[code] == BatchCopy.none { strings[code] = target.strings.intern(source.strings.bytes(code)) }
        return strings[code]
    }
}
