// The engine's side of an export, and its record in the audit chain.

import EventStoreCatalog
import EventStoreCore

extension StoreEngine {
    func export(
        _ request: ExportRequest, progress: (@Sendable (ExportProgress) -> Void)?
    ) throws(Fault) -> ExportReport {
        try requireOpen()
        if request.format == .store { return try StoreExport(self, request, progress: progress).run() }
        return try ExportRun(self, request, progress: progress).run()
    }

    /// Records an export: how many events, by what filter. Called when all is written and before it appears under its
    /// name. A reader has no lane: what it exports is recorded by whoever opened it, through the holder of the store.
    func recordExport(format: String, filter: ExportManifest.Filter, events: Int) throws(Fault) {
        guard let lane else { return }
        var details = ["format": format, "events": "\(events)"]
        if !filter.entities.isEmpty { details["entities"] = "\(filter.entities.count)" }
        if !filter.types.isEmpty { details["types"] = "\(filter.types.count)" }
        if let since = filter.since { details["since"] = "\(since)" }
        if let until = filter.until { details["until"] = "\(until)" }
        if !filter.conditions.isEmpty { details["conditions"] = "\(filter.conditions.count)" }
        // One entity is named by its number and blind name, as everywhere in the chain; names never are.
        let number = filter.entities.count == 1 ? context.names.number(ofEntity: filter.entities[0]) : nil
        let entry = AuditEntry(
            operation: "export", entity: number,
            blindName: number.flatMap { context.names.lives.record($0)?.tag.hexText }, reason: nil, details: details,
            actor: .own)
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            try lane.record([entry], in: &change)
            _ = try lane.commit(change)
        }
    }
}
