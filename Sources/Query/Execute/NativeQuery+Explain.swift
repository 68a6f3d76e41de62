// What EXPLAIN says of a native query: what is read, what was left out and why, and what is done with the rows.

import EventStoreCore

extension NativeQuery {
    package func explain() throws(Fault) -> [String] {
        try prune()
        let pruned = workers.reduce(0) { $0 + $1.context.loader.counts.blocksPruned }
        var lines = ["engine: native, \(environment.threads) threads"]
        lines += scope()
        lines.append(
            "segments: \(scan.segments), \(scan.segmentsPruned) outside the time range; "
                + "entities in segments: \(scan.entries), \(scan.entriesPruned) ruled out by the index; "
                + "units to scan: \(units.count) with \(units.reduce(0) { $0 + $1.rowCount }) events")
        if pruned > 0 { lines.append("blocks ruled out by zone maps and Bloom filters: \(pruned)") }
        for conjunct in plan.conjuncts { lines.append("filter: " + describe(conjunct)) }
        if plan.scope.isEmpty { lines.append("nothing can match: no event is read") }
        lines += work()
        let columns = workers[0].context.columns.map { column in
            switch column.name {
            case .fixed(let fixed): return fixed.rawValue
            case .attribute(let name): return name
            }
        }
        if !columns.isEmpty { lines.append("columns: " + columns.joined(separator: ", ")) }
        return lines
    }

    private func scope() -> [String] {
        var lines: [String] = []
        let times = plan.scope.times
        if times != Int64.min...Int64.max {
            let first = times.lowerBound == .min ? "the first" : "\(times.lowerBound)"
            let last = times.upperBound == .max ? "the last" : "\(times.upperBound)"
            lines.append("time range: \(first) to \(last), milliseconds, by the index")
        }
        if let entities = plan.scope.entities { lines.append("entities: \(entities.count), by the index") }
        if let types = plan.scope.types { lines.append("types: \(types.count), by the index") }
        return lines
    }

    private func describe(_ conjunct: Conjunct) -> String {
        switch conjunct.kind {
        case .time: "timestamp, left out where a whole segment is inside"
        case .entity: "entity, done by the index in segments"
        case .type: "type, once per distinct type"
        case .other:
            switch try? Compiler(source, environment.zones).filter(conjunct.expression) {
            case .test: "one column, once per distinct value or by an interval"
            case .program: "an expression, row by row"
            default: "a combination of conditions, column by column"
            }
        }
    }

    private func work() -> [String] {
        let query = plan.query
        var lines: [String] = []
        if let grouped = plan.grouped {
            if let groups = workers[0].groups, IndexCounting(plan, source, groups) != nil {
                lines.append("counts: from the totals or the index where whole segments are asked for")
            }
            lines.append("groups: \(grouped.keys.count) keys, \(grouped.calls.count) aggregates, by codes")
        }
        if !query.orderBy.isEmpty {
            let few = query.rowsWanted.map { $0 <= TopRows.sizeMax } ?? false
            lines.append(
                plan.grouped != nil
                    ? "order: groups are sorted"
                    : few ? "order: the first rows are kept, their values read last" : "order: all rows are sorted")
        }
        if let limit = query.limit { lines.append("limit: \(limit), offset \(query.offset)") }
        return lines
    }
}
