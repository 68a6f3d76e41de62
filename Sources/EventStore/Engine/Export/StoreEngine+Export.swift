// The engine's side of an export, and its record in the audit chain.

import EventStoreCatalog
import EventStoreCore

extension StoreEngine {
    func export(
        _ request: ExportRequest, progress: (@Sendable (ExportProgress) -> Void)?
    ) throws(Fault) -> ExportReport {
        try requireOpen()
        var attempts = 0
        while true {
            do throws(Fault) {
                if request.format == .store { return try StoreExport(self, request, progress: progress).run() }
                return try ExportRun(self, request, progress: progress).run()
            } catch {
                // A key was rotated and destroyed while files under it were read. Nothing of the export is left; what a
                // stream has handed over cannot be taken back.
                attempts += 1
                guard case .path = request.destination, error.code == .notFound, error.place.entity != nil,
                    attempts < CursorRun.attemptsMax
                else { throw error }
            }
        }
    }

    /// Has an export recorded, before anybody can have it: in a file before it appears under its name, in a stream
    /// before the first byte, when the number of events is not known. A reader cannot write: whoever opened it may.
    func record(_ request: ExportRequest, events: Int?) throws(Fault) {
        let record = ExportRecord(
            format: request.format, filter: ExportManifest.Filter(request.filter), events: events)
        if lane != nil { return try self.record(record) }
        // An export stays as it is and can keep no record; nobody is asked in vain.
        if context.export != nil { return }
        guard let recorder = request.recorder else { return }
        do {
            try recorder(record)
        } catch let error as EventStoreError {
            throw Fault(.init(rawValue: error.code.rawValue), "not recorded in the audit chain: " + error.message)
        } catch {
            throw Fault(.io, "not recorded in the audit chain", cause: error)
        }
    }

    /// Records an export of this process or of another one.
    func record(_ export: ExportRecord) throws(Fault) {
        let lane = try writer()
        let filter = export.filter
        var details = ["format": export.format.rawValue]
        if let events = export.events { details["events"] = "\(events)" }
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
